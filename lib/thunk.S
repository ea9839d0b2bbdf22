/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the compiler sends each indirect call and jump (-mindirect-branch=thunk-extern): one thunk for
 * each register, a retpoline. Its RET is predicted to the loop above it, and really goes where the register
 * points, so no predictor that a guest has trained is asked. On CPUs that keep a guest's training away
 * from us, speculation_host.c writes a plain JMP over the first bytes.
 *
 * Each begins in the upper half of a cache line: there ITS does not reach that JMP.
 */
	.macro thunk reg
	.balign 64, 0xcc
	.skip 32, 0xcc
	.globl __x86_indirect_thunk_\reg
	.type __x86_indirect_thunk_\reg, @function
__x86_indirect_thunk_\reg:
	call 2f
1:	pause
	lfence
	jmp 1b
2:	mov %\reg, (%rsp)
	ret
	.size __x86_indirect_thunk_\reg, . - __x86_indirect_thunk_\reg
	.endm

	.section .text.thunks, "ax"
	.balign 64, 0xcc
	.globl indirect_thunks
indirect_thunks:			/* 64 bytes each, in the order of register numbers, without RSP */
	.irp reg, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	thunk \reg
	.endr

	.section .note.GNU-stack, "", @progbits
