/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a CPU starts after a startup IPI: copied to AP_PAGE, so 16-bit code there addresses itself by
 * CS. Then the boot CPU's GDT and page tables, long mode, and the stack that belongs to the APIC ID.
 * What the startup IPI left in CR0, EDX and CS goes to ap_main().
 */
	.section .rodata
	.globl ap_start, ap_end
	.code16
ap_start:
	cli
	movl	%cr0, %esi
	movl	%edx, %edi
	xorl	%ebp, %ebp
	movw	%cs, %bp
	lgdtl	%cs:ap_gdt - ap_start
	movl	%esi, %eax
	andl	$~0x60000000, %eax	/* CD, NW */
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$0x18, $ap32
	.align 4
ap_gdt:	.word 0x3f			/* all of guest_gdt but the boot CPU's TSS */
	.long guest_gdt
ap_end:

	.text
	.code32
ap32:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	%cr4, %eax
	orl	$0x620, %eax		/* as in start.S */
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80010000, %eax
	movl	%eax, %cr0
	ljmp	$0x08, $ap64

	.code64
ap64:
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx		/* initial APIC ID */
	movzbl	ap_index(%rbx), %eax
	movl	%eax, %ebx
	shll	$13, %eax		/* AP_STACK */
	leaq	ap_stacks + 8192(%rax), %rsp
	movl	%edi, %edx		/* index, CR0, EDX, CS */
	movl	%ebx, %edi
	movl	%ebp, %ecx
	call	ap_main
1:	cli
	hlt
	jmp	1b
	.section .note.GNU-stack, "", @progbits
