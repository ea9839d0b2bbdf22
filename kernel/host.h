/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the pure part of the kernel needs from the machine it runs on, injected as one const struct:
 * the real one lives in kernel/run.c, a scripted one in the host tests. And the time base.
 */
#ifndef BULKHEAD_HOST_H
#define BULKHEAD_HOST_H

#include "types.h"

struct vcpu;

/* Fixed-point rates; both factors are 32.32 so that no path divides */
struct timebase {
	u64 tsc_hz;
	u64 ns_per_tick_q32;
	u64 ticks_per_ns_q32;
};

struct host {
	struct timebase time;
	u64 (*tsc)(void);
	u64 (*xgetbv0)(void);	  /* XCR0 as it is now, while the vCPU is loaded */
	void (*xsetbv0)(u64 xcr0);
	u64 (*debug_address)(u32 n); /* DR0 to DR3, likewise */
	u32 (*pkru)(void);	  /* likewise; only where the guest has CR4.PKE */
	void (*cpuid)(u32 leaf, u32 subleaf, u32 out[4]);
	void (*poke)(const struct vcpu *v); /* its CPU looks at its mailbox, now if it runs @v or idles */
	void (*notify)(const struct vcpu *v); /* the same for posted requests, which a CPU that runs @v may take itself */
	struct vcpu *(*loaded)(void);	    /* the vCPU whose exit this CPU handles */
	void (*kick)(u32 cpu);		    /* CPU leaves its guest and looks at all its partitions */
	s64 (*test_crash)(u64 kind);	    /* for those who test what follows */
	s64 (*space_check)(void);	    /* walk all second-level tables; number of leaks */
	u64 wall_seconds; /* since 1970, when tsc was wall_tsc */
	u64 wall_tsc;
};

static inline void timebase_init(struct timebase *t, u64 tsc_hz)
{
	t->tsc_hz = tsc_hz;
	t->ns_per_tick_q32 = (NSEC_PER_SEC << 32) / tsc_hz;
	t->ticks_per_ns_q32 = ((tsc_hz / NSEC_PER_SEC) << 32) +
			      ((tsc_hz % NSEC_PER_SEC) << 32) / NSEC_PER_SEC;
}

static inline u64 tsc_to_ns(const struct timebase *t, u64 ticks)
{
	return (u64)(((u128)ticks * t->ns_per_tick_q32) >> 32);
}

/** ns_to_tsc() - rounds up, so that a deadline is never early; NEVER stays NEVER. */
static inline u64 ns_to_tsc(const struct timebase *t, u64 ns)
{
	u128 q = (u128)ns * t->ticks_per_ns_q32 + UINT32_MAX;
	return ns == NEVER || (q >> 96) ? NEVER : (u64)(q >> 32) + 1;
}

#endif
