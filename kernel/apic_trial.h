/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trial of what the CPU does for local APICs, before a guest depends on it: for CPUs of which no test bed has one.
 * Also included by the trial's guest, which is assembly.
 */
#ifndef BULKHEAD_APIC_TRIAL_H
#define BULKHEAD_APIC_TRIAL_H

/* In the guest's page; TPR's class is above both vectors' */
#define TRIAL_OWN_VECTOR  0x41
#define TRIAL_HOST_VECTOR 0x51
#define TRIAL_TPR	  0x65
#define TRIAL_ICR	  0x4042  /* fixed, edge, to the destination in the upper half */
#define TRIAL_LVT	  0x10033 /* masked */
#define TRIAL_GDT	  0x300
#define TRIAL_CS	  0x08
#define TRIAL_DS	  0x10
#define TRIAL_ENTRY	  0x400

#ifndef __ASSEMBLER__
#include "mm/pt.h"
#include "vcpu.h"

/**
 * struct apic_trial_env - what a trial needs
 * @ops:      the backend, on on this CPU
 * @pages:    scratch
 * @host_irq: take an interrupt of the host's that has made an exit: struct exit, vector
 */
struct apic_trial_env {
	const struct vcpu_ops *ops;
	const struct pt_format *space_format;
	struct page_source *pages;
	void (*host_irq)(u8 vector);
};

enum apic_trial {
	APIC_TRIAL_PASSED,
	APIC_TRIAL_NEEDLESS, /* this CPU does not deliver interrupts by itself */
	APIC_TRIAL_FAILED,
};

/**
 * apic_trial() - does this CPU serve a local APIC as the manuals say (SDM 3C chapter 30, APM 2 15.29)?
 *
 * Logs what it has found. Some twenty pages, which nobody needs afterwards, and some thousand instructions.
 * Context: the boot CPU, no vCPU loaded, IF=0.
 */
enum apic_trial apic_trial(const struct apic_trial_env *env);

extern const u8 apic_trial_guest[], apic_trial_guest_end[];
#endif

#endif
