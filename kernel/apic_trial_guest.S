/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest of apic_trial.c: a page at guest-physical 0, 32-bit code without paging, in which IDT, GDT and stack are too.
 * EBX is the local APIC's address. OUT to ports 1 to 9 marks how far it is; what lies between is in apic_trial.c.
 */
#include "apic_trial.h"

#define VERSION	      0x30
#define TPR	      0x80
#define EOI	      0xb0
#define ICR	      0x300
#define ICR_HIGH      0x310
#define LVT_TIMER     0x320
#define CURRENT_COUNT 0x390

	.section .rodata
	.globl apic_trial_guest
	.balign 16
	.code32
apic_trial_guest:

	/* 32-bit interrupt gates (SDM 3A 6.11) */
	.org apic_trial_guest + 8 * TRIAL_OWN_VECTOR
	.word on_own - apic_trial_guest, TRIAL_CS, 0x8e00, 0
	.org apic_trial_guest + 8 * TRIAL_HOST_VECTOR
	.word on_host - apic_trial_guest, TRIAL_CS, 0x8e00, 0

	.org apic_trial_guest + TRIAL_GDT
	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff

	.org apic_trial_guest + TRIAL_ENTRY
	movl	VERSION(%ebx), %eax
	outb	%al, $1
	movl	$TRIAL_TPR, TPR(%ebx)
	movl	TPR(%ebx), %eax
	outb	%al, $2
	movl	$0, TPR(%ebx)
	sti
	movl	$(0x44000 | TRIAL_OWN_VECTOR), ICR(%ebx)	/* to itself, by shorthand */
	nop
	cli
	outb	%al, $3
	movl	$(1 << 24), ICR_HIGH(%ebx)
	movl	$TRIAL_ICR, ICR(%ebx)				/* to another */
	outb	%al, $4
	movl	$TRIAL_LVT, LVT_TIMER(%ebx)
	movl	CURRENT_COUNT(%ebx), %eax
	outb	%al, $5						/* a level-triggered request comes, and must wait */
	nop
	outb	%al, $6
	sti
	nop
	cli
	movl	$TRIAL_TPR, TPR(%ebx)
	outb	%al, $7						/* an edge comes, and must wait for TPR */
	sti
	nop
	cli
	outb	%al, $8
	sti
	movl	$0, TPR(%ebx)
	nop
	cli
	outb	%al, $9
1:	hlt
	jmp	1b

on_own:
	incl	%esi
	movl	$0, EOI(%ebx)
	iret

on_host:
	incl	%edi
	movl	$0, EOI(%ebx)
	iret

	.globl apic_trial_guest_end
apic_trial_guest_end:
