/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmx_resume and vmx_launch: into the guest and back. RDI is u64 regs[16] of struct vcpu; CF is then 1 on VMfail. VM
 * entry and exit switch all but the GPRs; those are switched here, in the order of enum gpr. But for RBP and RSP the
 * host's are lost: vmx_enter(), which alone calls this, has the compiler save what it needs, once for many rounds.
 */
#define HOST_RSP  0x6c14 /* VMCS field, natural width (SDM 3D B.4.4) */
#define ENTRY_RSP (8*16) /* struct vcpu: regs, entry_rsp */

	/* All but RSP, which the VMCS has, and RDI, which is the base */
	.macro guest_gprs op
	\op	0, rax
	\op	1, rcx
	\op	2, rdx
	\op	3, rbx
	\op	5, rbp
	\op	6, rsi
	.irp n, 8, 9, 10, 11, 12, 13, 14, 15
	\op	\n, r\n
	.endr
	.endm
	.macro load_gpr index, reg
	mov	8*\index(%rdi), %\reg
	.endm
	.macro save_gpr index, reg
	mov	%\reg, 8*\index(%rdi)
	.endm

	.text
	.global vmx_resume, vmx_launch, vmx_exit_stub

	.macro run how
	push	%rbp
	push	%rdi				/* regs, for the way back */
	cmp	%rsp, ENTRY_RSP(%rdi)
	jne	2f
1:	guest_gprs load_gpr
	mov	8*7(%rdi), %rdi
	\how
	jmp	vmfail
2:	mov	$HOST_RSP, %eax
	vmwrite	%rsp, %rax
	mov	%rsp, ENTRY_RSP(%rdi)
	ja	1b
	jmp	vmfail
	.endm

vmx_resume:
	run	vmresume
vmx_launch:
	run	vmlaunch
vmfail:						/* not entered: GPRs in regs are as they were */
	add	$8, %rsp
	pop	%rbp
	stc
	ret

vmx_exit_stub:					/* RSP is as VMWRITE saw it: regs is on top */
	xchg	%rdi, (%rsp)
	guest_gprs save_gpr
	pop	8*7(%rdi)
	pop	%rbp
	clc
	ret

	.section .note.GNU-stack, "", @progbits
