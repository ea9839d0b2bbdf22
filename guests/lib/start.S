/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A multiboot (version 1) guest's first instructions: 32-bit flat entry, long mode with the low 4 GiB
 * mapped one to one, exception and interrupt stubs, then main(). Shared by all guests of ours.
 */
#define MB_MAGIC 0x1badb002
#define MB_FLAGS 0x3		/* page-aligned modules, memory information */

	.section .multiboot, "a"
	.align 4
	.long MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

	.section .text.start, "ax"
	.code32
	.globl _start
_start:
	cli
	cld
	movl	%ebx, boot_info
	movl	%eax, boot_magic
	movl	$stack_top, %esp
	/* PML4 -> PDPT -> four page directories of 2 MiB pages */
	movl	$pdpt + 7, pml4
	movl	$pd + 7, %eax
	movl	$pdpt, %edi
	movl	$4, %ecx
1:	movl	%eax, (%edi)
	addl	$4096, %eax
	addl	$8, %edi
	loop	1b
	movl	$0x87, %eax
	movl	$pd, %edi
	movl	$2048, %ecx
1:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b
	movl	%cr4, %eax
	orl	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80010000, %eax	/* PG, WP */
	movl	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$0x08, $start64

	.code64
start64:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	xorl	%eax, %eax
	movw	%ax, %fs
	movw	%ax, %gs
	movq	$stack_top, %rsp
	movq	$tss, %rax		/* base into the descriptor, which is in .data */
	movw	%ax, guest_gdt + 0x40 + 2
	shrq	$16, %rax
	movb	%al, guest_gdt + 0x40 + 4
	movb	%ah, guest_gdt + 0x40 + 7
	movw	$0x40, %ax
	ltr	%ax
	call	guest_start
1:	cli
	hlt
	jmp	1b

	/* One stub a vector, 16 bytes each: error code (or 0), vector, common part */
	.align 16
	.globl guest_stubs
guest_stubs:
	vector = 0
	.rept 256
	.align 16
	.if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
	.else
	pushq	$0
	.endif
	pushq	$vector
	jmp	guest_common
	vector = vector + 1
	.endr

guest_common:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	cld
	call	guest_trap
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

	/* int user_run(void (*fn)(void)): guest_trap() comes back to user_back, vector in EAX */
	.globl user_run, user_back
user_run:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, user_rsp
	pushq	$0x33
	pushq	$user_stack_top
	pushq	user_rflags
	pushq	$0x3b
	pushq	%rdi
	iretq
user_back:
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	.data
	.align 8
	.globl user_rflags
user_rflags:
	.quad 0x2
	.globl guest_gdt
guest_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 08: 64-bit code */
	.quad 0x00cf93000000ffff	/* 10: data */
	.quad 0x00cf9b000000ffff	/* 18: 32-bit code */
	.quad 0x00009b000000ffff	/* 20: 16-bit code */
	.quad 0x000093000000ffff	/* 28: 16-bit data */
	.quad 0x00cff3000000ffff	/* 30: data for user mode */
	.quad 0x00affb000000ffff	/* 38: 64-bit code for user mode */
	.quad 0x0000890000000067, 0	/* 40: TSS */
gdt_end:
	.globl gdt_pointer
gdt_pointer:
	.word gdt_end - guest_gdt - 1
	.quad guest_gdt

	/* APM 2 12.2.5 "64-bit Task State Segment" */
	.align 8
	.long 0				/* so that RSP0 is aligned */
tss:	.long 0
	.quad trap_stack_top, 0, 0, 0	/* RSP0 to 2 */
	.quad ist_stack_top		/* IST1 */
	.skip 56
	.word 0, 104			/* no I/O bitmap */

	.bss
	.align 4096
	.globl pml4, pdpt
pml4:	.skip 4096
pdpt:	.skip 4096
	.globl pd
pd:	.skip 4 * 4096
	.skip 16384
stack_top:
	.skip 4096
trap_stack_top:
	.skip 4096
ist_stack_top:
	.skip 4096
user_stack_top:
	.globl user_rsp
user_rsp: .skip 8
	.globl boot_info
boot_info: .skip 8
	.globl boot_magic
boot_magic: .skip 8
	.section .note.GNU-stack, "", @progbits
