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
	.irp	reg, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	push	%\reg
	.endr
	cld
	mov	%rsp, %rdi
	call	trap_handle
	.irp	reg, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
	pop	%\reg
	.endr
	add	$16, %rsp
	iretq

/*
 * STI keeps interrupts out until HLT has begun (SDM 2B "STI"), so none can come in vain. But QEMU up to
 * 7.2 forgets that at a VMRUN (INTERRUPT_SHADOW, APM 2 15.5.1), and a KVM on it then delivers to us
 * before the HLT: trap_handle() lets that one go past it.
 */
	.globl	irq_wait, irq_wait_hlt
irq_wait:
	sti
irq_wait_hlt:
	hlt
	cli
	ret

/* FS and GS are null from here on: their bases, which cpu_init() writes next, are MSRs */
	.globl	cpu_load_tables
cpu_load_tables:
	lgdt	(%rdi)
	lidt	(%rsi)
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$0x18, %eax
	ltr	%ax
	pop	%rax
	push	$0x08
	push	%rax
	lretq

	.section .note.GNU-stack, "", @progbits
