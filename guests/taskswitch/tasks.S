/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_tasks(mode): from 64-bit code to 32-bit code without paging (0), with 4 MiB pages (1) or PAE (2),
 * there through all kinds of task switches, and back. Tasks note what they see; main.c judges.
 */
#define EFER	0xc0000080
#define CODE	0x08
#define DATA	0x10
#define MAIN	0x18
#define VISITOR	0x20
#define SMALL	0x28
#define BAD_GS	0x38
#define NO_DS	0x40
#define TRAPPED	0x48
#define V86	0x50
#define USER	0x58
#define APIC	0xfee00000

	.macro load_data
	movl	$DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	.endm
	.macro paging on
	movl	%cr0, %eax
	.if \on
	orl	$0x80000000, %eax
	.else
	andl	$0x7fffffff, %eax
	.endif
	movl	%eax, %cr0
	.endm
	.macro note i			/* EAX */
	movl	%eax, notes + 4 * \i
	.endm

	.text
	.code64
	.globl run_tasks
run_tasks:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	movl	%edi, mode
	movq	%rsp, saved
	movq	%cr3, %rax
	movq	%rax, saved_cr3
	sidt	saved_idt
	ljmp	*to_compat

	.code32
compat:	movl	$0x10, %eax
	movl	%eax, %ss
	paging	0
	movl	$EFER, %ecx
	rdmsr
	andl	$~0x100, %eax
	wrmsr
	lgdt	task_gdt_pointer
	ljmp	$CODE, $1f
1:	load_data
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	lidt	task_idt_pointer
	cmpl	$1, mode
	jb	3f
	movl	main_cr3, %eax
	movl	%eax, %cr3
	jne	2f
	movl	%cr4, %eax
	andl	$~0x20, %eax
	orl	$0x10, %eax
	movl	%eax, %cr4
2:	paging	1
3:	movl	$MAIN, %eax
	ltr	%ax

	movl	$0x12345678, %ebx
	lcall	$VISITOR, $0
	.globl behind_call, behind_jmp, behind_int, gp_at, task16, visit, bad_gs, trapped, on_gp, on_ts, on_np
	.globl on_db, on_ud, ud_at, after_tasks
behind_call:
	movl	%ebx, %eax
	note	0
	pushfl
	popl	%eax
	note	1
	movl	$1, leave_by_jmp
	ljmp	$VISITOR, $0
behind_jmp:
	movl	$0, leave_by_jmp
	pushfl
	popl	%eax
	note	2
	int	$0x40
behind_int:
	lcall	$SMALL, $0
	movl	$0x1f8, %eax
gp_at:	movl	%eax, %gs
after_gp:
	cmpl	$0, no_faults
	jne	1f
	lcall	$BAD_GS, $0
	lcall	$NO_DS, $0
	load_data
1:
	lcall	$TRAPPED, $0
	lcall	$V86, $0
	lcall	$USER, $0
	movl	$0x1ff, APIC + 0xf0	/* an interrupt, then an NMI, and one more */
	movl	$0x40050, APIC + 0x300
	sti
	nop
	cli
	movl	$0, APIC + 0xb0
	movl	$0, APIC + 0x310
	movl	$0x400, APIC + 0x300
	jmp	1f			/* QEMU takes NMIs between blocks of code */
1:	movl	$0x400, APIC + 0x300
	jmp	1f
1:

	paging	0
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
	paging	1
	lgdt	gdt_pointer
	ljmp	$0x08, $long_again

	/* What the visitor finds, at EDI; it is called as often as there is somebody who calls */
visit:	pushfl
	popl	(%edi)
	str	%ecx
	movl	%ecx, 4(%edi)
	movzwl	tss_visitor, %ecx
	movl	%ecx, 8(%edi)
	movl	%eax, 12(%edi)
	movl	%esp, 16(%edi)
	movl	%cr3, %ecx
	movl	%ecx, 20(%edi)
	movl	%es, %ecx
	movl	%ecx, 24(%edi)
	sldt	%ecx
	movl	%ecx, 28(%edi)
	movl	tss_main + 0x20, %ecx
	movl	%ecx, 32(%edi)
	movl	tss_main + 0x24, %ecx
	movl	%ecx, 36(%edi)
	movl	tss_main + 0x34, %ecx	/* EBX */
	movl	%ecx, 40(%edi)
	movzbl	task_gdt + VISITOR + 5, %ecx
	movl	%ecx, 44(%edi)
	movzbl	task_gdt + MAIN + 5, %ecx
	movl	%ecx, 48(%edi)
	movl	%cr0, %ecx
	movl	%ecx, 52(%edi)
	xorl	%ecx, %ecx
	testl	%esi, %esi		/* where the two address spaces differ */
	jz	1f
	movl	(%esi), %ecx
1:	movl	%ecx, 56(%edi)
	clts
	movl	$0xb00b0001, %eax
	addl	$64, %edi
	cmpl	$0, leave_by_jmp
	jne	2f
	iretl
	jmp	visit
2:	ljmp	$MAIN, $0
	jmp	visit

	/* A 16-bit TSS, no stack */
task16:	note	3
	str	%eax
	note	4
	movzwl	tss_small, %eax
	note	5
	movl	%gs, %eax
	note	6
	iretl

on_gp:	popl	%eax
	note	7
	movl	tss_main + 0x20, %eax
	note	8
	movl	tss_main + 0x24, %eax
	note	9
	movl	$after_gp, tss_main + 0x20
	iretl
	jmp	on_gp

	/* In a new task that could not be loaded: on its stack, whatever DS is */
on_ts:	load_data
	popl	%eax
	note	10
	movl	(%esp), %eax
	note	11
	str	%eax
	note	12
	movl	$go_back, (%esp)
	iretl
on_np:	load_data
	popl	%eax
	note	13
	str	%eax
	note	14
	movl	$go_back, (%esp)
	iretl
bad_gs:	hlt
go_back: iretl				/* NT is set: to who called */

on_db:	movl	%dr6, %eax
	note	15
	movl	(%esp), %eax
	note	16
	xorl	%eax, %eax
	movl	%eax, %dr6
	iretl
trapped: movl	$1, %eax
	note	17
	iretl

	/* #UD of the user and the V86 task: nine words of the frame */
on_ud:	cld
	load_data
	movl	%esp, %esi
	movl	frames_at, %edi
	movl	$9, %ecx
	rep movsl
	movl	%edi, frames_at
	pushl	$0x4002			/* NT: back by the link */
	popfl
	iretl
ud_at:	ud2

	.code64
long_again:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movq	saved, %rsp
	lidt	saved_idt
	andb	$0xfd, guest_gdt + 0x45	/* its TSS is free again */
	movw	$0x40, %ax
	ltr	%ax
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	.section .rodata
to_compat:
	.long compat
	.word 0x18

	.bss
	.align 8
saved:	.skip 8
saved_cr3: .skip 8
saved_idt: .skip 16
mode:	.skip 4
leave_by_jmp: .skip 4
	.globl main_cr3, frames_at, no_faults
no_faults: .skip 4
main_cr3: .skip 4
frames_at: .skip 4
	.section .note.GNU-stack, "", @progbits
