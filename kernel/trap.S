/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ways into trap_handle(), one stub a vector, and the loading of descriptor tables. The frame is
 * struct trap_frame.
 */
	.text
	.balign	16
	.globl	trap_stubs
trap_stubs:
	.set	vec, 0
	.rept	256
	.balign	16
	/* the CPU pushes an error code for these (SDM 3A 6.13; APM 2 8.2: 29 and 30) */
	.set	has_error, vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21
	.if	!(has_error || vec == 29 || vec == 30)
	push	$0
	.endif
	push	$vec
	jmp	trap_common
	.set	vec, vec + 1
	.endr

trap_common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi
	call	trap_handle
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

	.globl	cpu_load_tables
cpu_load_tables:
	lgdt	(%rdi)
	lidt	(%rsi)
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$0x18, %eax
	ltr	%ax
	pop	%rax
	push	$0x08
	push	%rax
	lretq

	.section .note.GNU-stack, "", @progbits
