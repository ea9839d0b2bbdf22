/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The third backend: a vCPU without a CPU. Registers are arrays, exits come from a script, and what the
 * kernel injects is recorded, so that the exit path runs on the host.
 */
#ifndef TEST_FAKE_H
#define TEST_FAKE_H

#include "vcpu.h"

#define FAKE_MAX_INJECTED 32
struct fake {
	u64 reg[NR_VREGS];
	struct segment seg[NR_SEGS];
	const struct exit *script;
	u32 nr_script, at;
	struct event injected[FAKE_MAX_INJECTED];
	u32 nr_injected, nr_flushes, nr_dumps;
	bool wants_window, wants_nmi_window;
	struct apic_view view; /* what apic() said last, and how often it spoke */
	u32 nr_views;
};
extern const struct vcpu_ops fake_ops;

/** fake_set_raw() - for the op set: EFER.LMA stays as the test has it. */
void fake_set_raw(struct vcpu *v, enum vreg r, u64 value);

/* As if the CPU served the local APIC: its TPR, or also the delivery of interrupts, or that in xAPIC mode only */
extern const struct vcpu_ops fake_serving_ops, fake_delivering_ops, fake_switching_ops;

/* fake_vcpu() - the fake behind @v, in a 64-bit flat state with paging off */
struct fake *fake_of(struct vcpu *v);

#endif
