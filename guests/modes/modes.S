/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk_modes(): from 64-bit code down to real mode and back. Real mode runs from a copy below 1 MiB; all
 * of memory is mapped one to one in every paging mode, so turning paging on or off moves nothing.
 */
#define EFER	0xc0000080
#define LOW	0x8000		/* where the 16-bit part is copied to */
#define NOTE_ROW 24		/* six words */

	.macro note i
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	%ebx, notes + 4 * \i
	movl	$0x1e0, %edx
	inl	%dx, %eax
	movl	%eax, notes + NOTE_ROW + 4 * \i
	movl	%cr0, %eax
	movl	%eax, notes + 2 * NOTE_ROW + 4 * \i
	movl	word, %eax
	movl	%eax, notes + 3 * NOTE_ROW + 4 * \i
	movl	$EFER, %ecx
	rdmsr
	movl	%eax, notes + 4 * NOTE_ROW + 4 * \i
	.endm

	.macro paging_off
	movl	%cr0, %eax
	andl	$0x7fffffff, %eax
	movl	%eax, %cr0
	.endm
	.macro paging_on
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	.endm

	.text
	.code64
	.globl walk_modes
walk_modes:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	movq	%rsp, saved
	movq	%cr3, %rax
	movq	%rax, saved_cr3
	sidt	saved_idt
	leaq	real_start, %rsi
	movl	$LOW, %edi
	movl	$real_end - real_start, %ecx
	rep movsb
	ljmp	*to_compat

	.code32
compat:	movl	$0x10, %eax
	movl	%eax, %ss
	note	0
	paging_off			/* leaves long mode: LMA goes with PG */
	movl	$EFER, %ecx
	rdmsr
	andl	$~0x100, %eax
	wrmsr
	note	1
	movl	$pae_pdpt, %eax		/* PAE: the PDPTEs are loaded as paging goes on */
	movl	%eax, %cr3
	paging_on
	note	2
	movl	%cr3, %eax
	movl	%eax, %cr3
	paging_off
	movl	%cr4, %eax
	andl	$~0x20, %eax		/* PAE off, PSE on: pages of 4 MiB */
	orl	$0x10, %eax
	movl	%eax, %cr4
	movl	$legacy_pd, %eax
	movl	%eax, %cr3
	paging_on
	note	3
	paging_off
	lidt	real_idt
	ljmp	$0x20, $LOW		/* 16-bit code segment with base 0 */

	.code16
real_start:
	movw	$0x28, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x10, %ax		/* FS keeps its 4 GiB in real mode: "unreal" */
	movw	%ax, %fs
	movl	%cr0, %eax
	andb	$0xfe, %al
	movl	%eax, %cr0
	ljmp	$0, $LOW + (in_real - real_start)
in_real:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$LOW + 0x1000, %esp
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	%ebx, LOW + (real_notes - real_start)
	movw	$0x1e0, %dx
	inl	%dx, %eax
	movl	%eax, LOW + (real_notes - real_start) + 4
	movl	%cr0, %eax
	movl	%eax, LOW + (real_notes - real_start) + 8
	movl	$EFER, %ecx
	rdmsr
	movl	%eax, LOW + (real_notes - real_start) + 12
	movl	$word, %ebx
	movl	%fs:(%ebx), %eax
	movl	%eax, LOW + (real_notes - real_start) + 16
	movl	$0xfee00030, %ebx
	movl	%fs:(%ebx), %eax
	movl	%eax, LOW + (real_notes - real_start) + 20
	pushw	%ax			/* an interrupt in real mode, through vector 0x21 of the table at 0 */
	movw	$LOW + (real_int - real_start), 0x84
	movw	$0, 0x86
	int	$0x21
	popw	%ax
	lgdtl	LOW + (real_gdt - real_start)
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$0x18, $protected
real_int:
	movb	$0x21, %al
	outb	%al, $0x80
	iretw
	.align 4
real_notes:
	.skip 24
real_gdt:
	.word 0x4f
	.long guest_gdt
real_end:

	.code32
protected:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$LOW + (real_notes - real_start), %esi
	movl	(%esi), %eax
	movl	%eax, notes + 16
	movl	4(%esi), %eax
	movl	%eax, notes + NOTE_ROW + 16
	movl	8(%esi), %eax
	movl	%eax, notes + 2 * NOTE_ROW + 16
	movl	12(%esi), %eax
	movl	%eax, notes + 4 * NOTE_ROW + 16
	movl	16(%esi), %eax
	movl	%eax, notes + 3 * NOTE_ROW + 16
	movl	20(%esi), %eax
	movl	%eax, unreal_apic
	note	5
	movl	%cr4, %eax
	andl	$~0x10, %eax
	orl	$0x20, %eax
	movl	%eax, %cr4
	movl	saved_cr3, %eax
	movl	%eax, %cr3
	movl	$EFER, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	paging_on
	ljmp	$0x08, $long_again

	.code64
long_again:
	movq	saved, %rsp
	lidt	saved_idt
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	.section .rodata
to_compat:
	.long compat
	.word 0x18
real_idt:
	.word 0x3ff
	.quad 0

	.bss
	.align 4096
	.globl pae_pdpt, legacy_pd, notes, word, unreal_apic
legacy_pd: .skip 4096
pae_pdpt: .skip 32
notes:	.skip 5 * NOTE_ROW
word:	.skip 4
unreal_apic: .skip 4
	.align 8
saved:	.skip 8
saved_cr3: .skip 8
saved_idt: .skip 10
	.section .note.GNU-stack, "", @progbits
