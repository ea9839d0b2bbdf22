/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bool vmx_run(u64 regs[16], bool is_launched): into the guest and back. VM entry and exit switch
 * all but the GPRs; those are switched here, in the order of enum gpr. Called by vmx_enter() only.
 */
#define HOST_RSP 0x6c14 /* VMCS field, natural width (SDM 3D B.4.4) */

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
	.global vmx_run, vmx_exit_stub

vmx_run:
	.irp reg, rbx, rbp, r12, r13, r14, r15
	push	%\reg
	.endr
	push	%rdi				/* regs, for the way back */
	mov	$HOST_RSP, %eax
	vmwrite	%rsp, %rax
	jbe	vmfail
	test	%sil, %sil			/* no MOV below touches the flags */
	guest_gprs load_gpr
	mov	8*7(%rdi), %rdi
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
	guest_gprs save_gpr
	pop	8*7(%rdi)
	xor	%eax, %eax
out:
	.irp reg, r15, r14, r13, r12, rbp, rbx
	pop	%\reg
	.endr
	ret

	.section .note.GNU-stack, "", @progbits
