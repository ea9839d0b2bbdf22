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
#define EFER_LME_NXE	0x900
#define EFER_LME	0x100
#define PTE_P_W		0x3
#define PTE_P_W_PS	0x83

#define COM1		0x3f8
#define STACK_SIZE	0x8000
#define GUARDED_STACK	(0x1000 + STACK_SIZE)

/* Multiboot2 3.1: within 32 KiB, 8-byte aligned. No EFI tags: GRUB then leaves boot services */
	.section .multiboot, "a"
	.balign	8
mb2_header:
	.long	MB2_MAGIC, 0, MB2_LENGTH, -(MB2_MAGIC + MB2_LENGTH)
	.word	6, 0			/* module alignment: pages */
	.long	8
	.word	0, 0			/* end */
	.long	8
mb2_end:
/* Multiboot 3.1: within 8 KiB; for `qemu -kernel` */
	.long	MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)

	.text
	.code32
	.globl	boot_entry
boot_entry:
	cli
	cld
	mov	$boot_stacks + GUARDED_STACK, %esp
	mov	%eax, %edi		/* boot_main(magic, the loader's information) */
	mov	%ebx, %esi
	mov	$no_multiboot, %ebp
	cmp	$0x36d76289, %eax
	je	1f
	cmp	$0x2badb002, %eax
	jne	fatal
1:	mov	$no_long_mode, %ebp
	mov	$0x80000000, %eax
	cpuid
	cmp	$0x80000001, %eax
	jb	fatal
	mov	$0x80000001, %eax
	cpuid
	bt	$29, %edx		/* SDM 2 "CPUID": Intel 64 Architecture available */
	jnc	fatal

	/* early_pd: 2048 leaves of 2 MiB; early_pdpt: 4 entries; early_pml4: 1 */
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shl	$21, %eax
	or	$PTE_P_W_PS, %eax
	mov	%eax, early_pd(, %ecx, 8)
	inc	%ecx
	cmp	$2048, %ecx
	jb	1b
	mov	$early_pd + PTE_P_W, %eax
	xor	%ecx, %ecx
1:	mov	%eax, early_pdpt(, %ecx, 8)
	add	$0x1000, %eax
	inc	%ecx
	cmp	$4, %ecx
	jb	1b
	movl	$early_pdpt + PTE_P_W, early_pml4

	/* SDM 3A 9.8.5 "Initializing IA-32e Mode": PAE, CR3, LME, PG in this order */
	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$early_pml4, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$EFER_LME, %eax
	wrmsr
	mov	$CR0_LONG, %eax
	mov	%eax, %cr0
	lgdt	early_gdtr
	ljmp	$0x08, $boot_long

/* %ebp: a line. Nobody may have set up the port: 115200 8N1 first */
fatal:
	mov	$uart_setup, %esi
1:	movzbw	(%esi), %dx
	add	$COM1, %dx
	mov	1(%esi), %al
	out	%al, %dx
	add	$2, %esi
	cmp	$uart_setup_end, %esi
	jb	1b
2:	mov	$20000, %ecx		/* a port that is absent must not hang us */
	mov	$COM1 + 5, %dx
3:	in	%dx, %al
	test	$0x20, %al
	loopz	3b
	mov	(%ebp), %al
	mov	$COM1, %dx
	out	%al, %dx
	inc	%ebp
	cmpb	$0, (%ebp)
	jne	2b
4:	cli
	hlt
	jmp	4b

/* The data segments are whatever they were: 64-bit mode ignores them, cpu_init() loads them */
	.code64
boot_long:
	mov	%esp, %esp
	mov	%edi, %edi		/* upper halves are undefined after a mode switch */
	mov	%esi, %esi
	xor	%ebp, %ebp
	call	boot_main
	ud2

/* Real mode, CS = page << 8, IP = 0. CR0.CD and NW are set after INIT (SDM 3A 9.1.1) */
	.code16
	.globl	trampoline_start, trampoline_end
trampoline_start:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	trampoline_gdtr - trampoline_start
	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$early_pml4, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	mov	$EFER_LME_NXE, %eax
	xor	%edx, %edx
	wrmsr
	mov	$CR0_LONG, %eax
	mov	%eax, %cr0
	ljmpl	$0x08, $ap_long
trampoline_gdtr:
	.word	early_gdt_end - early_gdt - 1
	.long	early_gdt
trampoline_end:

	.code64
ap_long:
	mov	ap_start, %rax
	mov	%rax, %cr3
	mov	ap_start + 8, %rsp
	mov	ap_start + 16, %rdi
	xor	%ebp, %ebp
	call	*ap_start + 24
	ud2

	.section .rodata
	.balign	8
/* The accessed bit is set, so that the CPU does not write here: the image is being measured */
early_gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 0x08: 64-bit code */
early_gdt_end:
early_gdtr:
	.word	early_gdt_end - early_gdt - 1
	.quad	early_gdt
uart_setup:				/* register, value: DLAB, 1, 0, 8N1, FIFO, DTR RTS */
	.byte	3, 0x80, 0, 1, 1, 0, 3, 3, 2, 7, 4, 3
uart_setup_end:
no_long_mode:
	.asciz	"bulkhead: FATAL feature=long-mode this CPU is 32-bit\r\n"
no_multiboot:
	.asciz	"bulkhead: FATAL feature=multiboot the loader's magic is wrong\r\n"

	.bss
	.balign	4096
early_pml4:
	.skip	4096
early_pdpt:
	.skip	4096
early_pd:
	.skip	4 * 4096
	.globl	boot_stacks
boot_stacks:
	.skip	4 * GUARDED_STACK
	.globl	ap_start
ap_start:
	.skip	32
	.section .note.GNU-stack, "", @progbits
