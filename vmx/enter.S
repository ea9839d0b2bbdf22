/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bool vmx_run(u64 regs[16], bool is_launched): into the guest and back. VM entry and exit switch
 * all but the GPRs; those are switched here, in the order of enum gpr. Called by vmx_enter() only.
 */
#define HOST_RSP 0x6c14 /* VMCS field, natural width (SDM 3D B.4.4) */

	.text
	.global vmx_run, vmx_exit_stub

vmx_run:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi				/* regs, for the way back */
	mov	$HOST_RSP, %eax
	vmwrite	%rsp, %rax
	jbe	vmfail
	test	%sil, %sil			/* no MOV below touches the flags */
	mov	0*8(%rdi), %rax
	mov	1*8(%rdi), %rcx
	mov	2*8(%rdi), %rdx
	mov	3*8(%rdi), %rbx
	mov	5*8(%rdi), %rbp
	mov	6*8(%rdi), %rsi
	mov	8*8(%rdi), %r8
	mov	9*8(%rdi), %r9
	mov	10*8(%rdi), %r10
	mov	11*8(%rdi), %r11
	mov	12*8(%rdi), %r12
	mov	13*8(%rdi), %r13
	mov	14*8(%rdi), %r14
	mov	15*8(%rdi), %r15
	mov	7*8(%rdi), %rdi
	jnz	1f
	vmlaunch
	jmp	vmfail
1:	vmresume
vmfail:						/* not entered: GPRs in regs are as they were */
	mov	$1, %eax
	add	$8, %rsp
	jmp	out

vmx_exit_stub:					/* RSP is as VMWRITE saw it: regs is on top */
	xchg	%rdi, (%rsp)
	mov	%rax, 0*8(%rdi)
	mov	%rcx, 1*8(%rdi)
	mov	%rdx, 2*8(%rdi)
	mov	%rbx, 3*8(%rdi)
	mov	%rbp, 5*8(%rdi)
	mov	%rsi, 6*8(%rdi)
	mov	%r8, 8*8(%rdi)
	mov	%r9, 9*8(%rdi)
	mov	%r10, 10*8(%rdi)
	mov	%r11, 11*8(%rdi)
	mov	%r12, 12*8(%rdi)
	mov	%r13, 13*8(%rdi)
	mov	%r14, 14*8(%rdi)
	mov	%r15, 15*8(%rdi)
	pop	7*8(%rdi)
	xor	%eax, %eax
out:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.section .note.GNU-stack, "", @progbits
