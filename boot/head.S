/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First instructions of the first CPU and of all others: from the loader's 32-bit protected mode,
 * or from a startup IPI in real mode, to C in long mode on one-to-one page tables of the low 4 GiB.
 * Writes only .bss: the image is measured in boot_main(). Knows nothing of the loader's data.
 */
#define MB2_MAGIC	0xe85250d6
#define MB2_LENGTH	(mb2_end - mb2_header)
#define MB1_MAGIC	0x1badb002
#define MB1_FLAGS	0x3		/* modules on pages; memory map wanted */

#define CR0_LONG	0x80010033	/* PG WP NE ET MP PE; CD, NW, EM, TS clear */
#define CR4_PAE		0x20
#define MSR_EFER	0xc0000080
#define EFER_LME	0x100
#define EFER_NXE	0x800
#define PTE_TABLE	0x23		/* A W P */
#define PTE_LEAF	0xe3		/* PS D A W P */

#define COM1		0x3f8
#define GUARDED_STACK	0x5000		/* sizeof(struct boot_stack) */

/* Multiboot2 3.1: within 32 KiB, 8-byte aligned. No EFI tags: GRUB then leaves boot services */
	.section .multiboot, "a"
	.balign	8
mb2_header:
	.long	MB2_MAGIC, 0, MB2_LENGTH, -(MB2_MAGIC + MB2_LENGTH)
	.word	6, 0, 8, 0		/* module alignment: pages; size 8 */
	.word	0, 0, 8, 0		/* end; size 8 */
mb2_end:
/* Multiboot 3.1: within 8 KiB; for `qemu -kernel` */
	.long	MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)

/* SDM 3A 9.8.5 "Initializing IA-32e Mode": PAE, CR3, LME, PG in this order. Uses EAX, ECX, EDX */
	.macro	enter_long_mode efer
	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$early_pml4, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	mov	$\efer, %eax
	xor	%edx, %edx
	wrmsr
	mov	$CR0_LONG, %eax
	mov	%eax, %cr0
	.endm

	.text
	.code32
	.globl	boot_entry
boot_entry:
	cli
	cld
	mov	$boot_stacks + GUARDED_STACK, %esp
	mov	%eax, %edi		/* boot_main(magic, the loader's information) */
	mov	%ebx, %esi
	mov	$0x80000000, %eax
	cpuid
	cmp	$0x80000001, %eax
	jb	no_long_mode
	mov	$0x80000001, %eax
	cpuid
	bt	$29, %edx		/* SDM 2 "CPUID": Intel 64 Architecture available */
	jnc	no_long_mode
	mov	$early_pd, %ecx		/* 2 MiB leaves up to 4 GiB, where EAX wraps */
	mov	$PTE_LEAF, %eax
1:	mov	%eax, (%ecx)
	add	$8, %ecx
	add	$0x200000, %eax
	jnc	1b
	.irp	n, 0, 1, 2, 3
	movl	$early_pd + \n * 0x1000 + PTE_TABLE, early_pdpt + \n * 8
	.endr
	movl	$early_pdpt + PTE_TABLE, early_pml4
	enter_long_mode EFER_LME
	lgdt	early_gdtr
	ljmp	$0x08, $boot_long

/* On the port as the loader set it up; one that is absent must not hang us */
no_long_mode:
	mov	$no_long_mode_line, %esi
1:	mov	$20000, %ecx
	mov	$COM1 + 5, %dx
2:	in	%dx, %al
	test	$0x20, %al
	loopz	2b
	mov	$COM1, %dx
	outsb
	cmpb	$0, (%esi)
	jne	1b
3:	cli
	hlt
	jmp	3b

/* The data segments are whatever they were: 64-bit mode ignores them, cpu_init() loads them */
	.code64
boot_long:
	mov	%esp, %esp
	mov	%edi, %edi		/* upper halves are undefined after a mode switch */
	mov	%esi, %esi
	call	boot_main
	ud2

/* Real mode, CS = page << 8, IP = 0. CR0.CD and NW are set after INIT (SDM 3A 9.1.1) */
	.code16
	.globl	trampoline_start, trampoline_end
trampoline_start:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	early_gdtr_copy - trampoline_start
	enter_long_mode EFER_LME | EFER_NXE
	ljmpl	$0x08, $ap_long
early_gdtr_copy:
	.word	early_gdt_end - early_gdt - 1
	.long	early_gdt
trampoline_end:

	.code64
ap_long:
	mov	ap_start, %rax
	mov	%rax, %cr3
	mov	ap_start + 8, %rsp
	mov	ap_start + 16, %rdi
	call	*ap_start + 24
	ud2

	.bss
	.balign	4096
early_pml4:
	.skip	4096
early_pdpt:
	.skip	4096
early_pd:
	.skip	4 * 4096

	.section .rodata
	.balign	8
early_gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 0x08: 64-bit code, accessed */
early_gdt_end:
early_gdtr:
	.word	early_gdt_end - early_gdt - 1
	.quad	early_gdt
no_long_mode_line:
	.asciz	"bulkhead: FATAL feature=long-mode this CPU is 32-bit\r\n"
	.section .note.GNU-stack, "", @progbits
