/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handlers, alone on their page so that it can be flushed: they keep the frame in seen[], count,
 * and go on at `last` after a fault, else where the frame says.
 */
	.text
	.align 4096
	.globl handler_plain, handler_error
handler_plain:
	pushq	$0
handler_error:
	pushq	%rax
	incl	hits
	movq	%cr2, %rax
	movq	%rax, seen
	movq	8(%rsp), %rax		/* error code */
	movq	%rax, seen + 8
	movq	16(%rsp), %rax		/* RIP */
	movq	%rax, seen + 16
	movq	24(%rsp), %rax		/* CS */
	movq	%rax, seen + 24
	movq	32(%rsp), %rax		/* RFLAGS */
	movq	%rax, seen + 32
	movq	40(%rsp), %rax		/* RSP */
	movq	%rax, seen + 40
	movq	48(%rsp), %rax		/* SS */
	movq	%rax, seen + 48
	cmpl	$0, is_fault
	jz	1f
	movq	last, %rax
	movq	%rax, 16(%rsp)
1:	popq	%rax
	addq	$8, %rsp
	iretq
	.align 4096
	.section .note.GNU-stack, "", @progbits
