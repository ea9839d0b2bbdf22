/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way into a guest and back: RDI is u64 regs[16], RSI the VMCB's address, RDX that of the host's state.
 * VMRUN itself carries RAX, RSP, RIP, RFLAGS and the control registers; VMLOAD and VMSAVE the
 * hidden rest (FS, GS, TR, LDTR, system call MSRs). With IF=0. But for RBP and RSP the host's GPRs are lost:
 * svm_enter(), which alone calls this, has the compiler save what it needs, once for many rounds.
 */
	.macro guest_gprs op
	\op 1, rcx
	\op 2, rdx
	\op 3, rbx
	\op 5, rbp
	\op 6, rsi
	.irp n, 8, 9, 10, 11, 12, 13, 14, 15
	\op \n, r\n
	.endr
	\op 7, rdi	/* last: it is the base of the loads */
	.endm
	.macro load_gpr index, reg
	mov 8*\index(%rdi), %\reg
	.endm
	.macro save_gpr index, reg
	mov %\reg, 8*\index(%rax)
	.endm

	.section .text.svm_run, "ax"
	.globl svm_run
	.type svm_run, @function
svm_run:
	.irp reg, rbp, rdi, rdx
	push %\reg
	.endr
	/*
	 * With V_INTR_MASKING the host's IF decides whether a physical interrupt ends the guest
	 * (APM 2 15.21.1), so it must be 1 at VMRUN. GIF=0 keeps the host from taking one here,
	 * from the STI to the CLI; NMIs wait for STGI, when GS and TR are the host's again.
	 */
	clgi
	sti
	mov %rsi, %rax
	vmload %rax
	guest_gprs load_gpr
	vmrun %rax
	vmsave %rax
	pop %rax
	vmload %rax
	pop %rax
	guest_gprs save_gpr
	pop %rbp
	cli
	stgi
	ret
	.size svm_run, . - svm_run
