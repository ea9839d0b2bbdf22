/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A multiboot kernel that is no ELF file: its header gives the addresses. The file begins with junk that
 * is not loaded; load_end_addr is 0 (all of the file), bss_end_addr is behind the file. It looks at the
 * magic, at the cleared memory, and prints its command line. Failures are exit codes.
 */
#define COM1	0x3f8
#define EXIT	0xf4
#define JUNK	64
	.code32
	.text
	.fill	JUNK / 4, 4, 0xeeeeeeee	/* at org - JUNK */
header:	.long	0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
	.long	header, header, 0, bss_end, start

start:	movl	$0x70000, %esp
	movl	$1, %ebp
	cmpl	$0x2badb002, %eax
	jne	fail
	incl	%ebp			/* 2: the junk was loaded */
	cmpl	$0xeeeeeeee, header - 4
	je	fail
	incl	%ebp			/* 3: the end of the file is not here */
	cmpl	$0x12345678, last
	jne	fail
	incl	%ebp			/* 4: behind it memory is not cleared */
	movl	$bss, %edi
	movl	$bss_end - bss, %ecx
	xorl	%eax, %eax
	repe scasb
	jne	fail
	movl	16(%ebx), %esi		/* Multiboot 0.6.96 3.3: cmdline */
	movw	$COM1, %dx
1:	lodsb
	testb	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:	movb	$10, %al
	outb	%al, %dx
	xorl	%ebp, %ebp
fail:	movl	%ebp, %eax
	outl	%eax, $EXIT
	.align	4
last:	.long	0x12345678
bss = .
bss_end = . + 8192
	.section .note.GNU-stack, "", @progbits
