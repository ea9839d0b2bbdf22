/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A flat guest that goes from real through protected to long mode by itself and says each on COM1. Each
 * stage is also the first one of an image of its own, entered in that mode, so each checks the state in
 * which flat images start, and leaves the next one in it: registers 0 (the stack pointer too), flat
 * segments, interrupts off. Linked at 0x8000, a page for each stage. Failures are exit codes.
 */
#define COM1	0x3f8
#define EXIT	0xf4
#define EFER	0xc0000080
#define TABLES	0x20000

	.macro all_zero			/* sets ZF if the general registers and the stack pointer are 0 */
	orl	%ebx, %eax
	orl	%ecx, %eax
	orl	%edx, %eax
	orl	%esi, %eax
	orl	%edi, %eax
	orl	%ebp, %eax
	orl	%esp, %eax
	.endm

	.macro clear_all
	xorl	%eax, %eax
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%ebp, %ebp
	xorl	%esp, %esp
	.endm

	.macro say text
	movl	$COM1, %edx
	movl	$9f, %esi
	cld
8:	lodsb
	outb	%al, %dx
	cmpb	$10, %al
	jne	8b
	jmp	7f
9:	.ascii	"\text\n"
7:
	.endm

	.section .real, "ax"
	.code16
real:	all_zero
	jnz	fail1
	movw	%cs, %ax		/* CS:IP is 0x0800:0, the others 0 */
	cmpw	$0x0800, %ax
	jne	fail1
	movw	%ds, %ax
	movw	%es, %bx
	orw	%bx, %ax
	movw	%ss, %bx
	orw	%bx, %ax
	jnz	fail1
	movl	%cr0, %eax
	testl	$0x80000001, %eax
	jnz	fail1
	movw	$0x7000, %sp
	pushfw
	popw	%ax
	testw	$0x200, %ax		/* interrupts off */
	jnz	fail1
	movl	$service, 4 * 0x20	/* page 0 is the guest's: a vector of its own */
	int	$0x20
	cmpw	$0x1234, %ax
	jne	fail1
	say	real
	lgdtl	pointer
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$0x10, $2f
fail1:	movl	$1, %eax
	outl	%eax, $EXIT
service: movw	$0x1234, %ax
	iretw

	.code32
2:	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	clear_all
	jmp	protected
	.align	16
gdt:	.quad	0, 0x00af9b000000ffff, 0x00cf9b000000ffff, 0x00cf93000000ffff
pointer: .word	. - gdt - 1
	.long	gdt

	.section .protected, "ax"
protected:
	all_zero
	jnz	fail2
	movl	%cr0, %eax
	andl	$0x80000001, %eax
	cmpl	$1, %eax
	jne	fail2
	movl	$EFER, %ecx
	rdmsr
	testl	$0x500, %eax
	jnz	fail2
	movl	$0x7000, %esp
	pushfl
	popl	%eax
	testl	$0x200, %eax
	jnz	fail2
	say	protected
	/* 4 GiB one to one, as a flat image in long mode finds it */
	movl	$TABLES, %edi
	movl	$TABLES + 0x1003, (%edi)
	movl	$0x2003 + TABLES, 0x1000(%edi)
	movl	$0x3003 + TABLES, 0x1008(%edi)
	movl	$0x4003 + TABLES, 0x1010(%edi)
	movl	$0x5003 + TABLES, 0x1018(%edi)
	addl	$0x2000, %edi
	movl	$0x83, %eax
	movl	$2048, %ecx
1:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b
	movl	$0x20, %eax
	movl	%eax, %cr4
	movl	$TABLES, %eax
	movl	%eax, %cr3
	movl	$EFER, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	lgdt	pointer64
	ljmp	$0x10, $3f
fail2:	movl	$2, %eax
	outl	%eax, $EXIT
	.align	16
gdt64:	.quad	0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
pointer64: .word . - gdt64 - 1
	.long	gdt64

	.code64
3:	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %ss
	clear_all
	jmp	long

	.section .long, "ax"
long:	orq	%rbx, %rax
	orq	%rcx, %rax
	orq	%rdx, %rax
	orq	%rsi, %rax
	orq	%rdi, %rax
	orq	%rbp, %rax
	orq	%rsp, %rax
	orq	%r8, %rax
	orq	%r15, %rax
	jnz	fail3
	movl	$EFER, %ecx
	rdmsr
	andl	$0x500, %eax
	cmpl	$0x500, %eax
	jne	fail3
	movw	%cs, %ax
	cmpw	$0x10, %ax
	jne	fail3
	movq	$0x123456789abcdef0, %rax	/* 64-bit code it is */
	bswapq	%rax
	movq	$0xf0debc9a78563412, %rcx
	cmpq	%rcx, %rax
	jne	fail3
	movl	$0xfee00030, %eax	/* local APIC's version, through the fourth GiB */
	cmpb	$0x14, (%rax)
	jne	fail3
	movl	$0x7000, %esp
	pushfq
	popq	%rax
	testl	$0x200, %eax
	jnz	fail3
	say	long
	xorl	%eax, %eax
	outl	%eax, $EXIT
fail3:	movl	$3, %eax
	outl	%eax, $EXIT
	.section .note.GNU-stack, "", @progbits
