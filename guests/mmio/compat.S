/* SPDX-License-Identifier: BSD-2-Clause */
/* MMIO by 32-bit code: compat_mmio() reads the timer's initial count, writes it back, reads it again. */
	.text
	.code64
	.globl compat_mmio
compat_mmio:
	pushq	%rbx
	lcall	*far
	popq	%rbx
	ret
	.code32
in_compat:
	movl	$0xfee00380, %ebx
	movl	(%ebx), %ecx
	movl	%ecx, 0xfee00380
	movl	%cs:0xfee00380, %eax
	lret
	.section .rodata
far:	.long in_compat
	.word 0x18
	.section .note.GNU-stack, "", @progbits
