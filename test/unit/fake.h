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
};
extern const struct vcpu_ops fake_ops;

/* fake_vcpu() - the fake behind @v, in a 64-bit flat state with paging off */
struct fake *fake_of(struct vcpu *v);

#endif
