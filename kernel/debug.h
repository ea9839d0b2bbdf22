/* SPDX-License-Identifier: BSD-2-Clause */
/* What debugging asks of instructions that the hypervisor performs: breakpoints, single step, RF. Pure. */
#ifndef BULKHEAD_DEBUG_H
#define BULKHEAD_DEBUG_H

#include "kernel/backend.h"
#include "vcpu.h"

enum debug_access { DEBUG_READ, DEBUG_WRITE, DEBUG_IO };

#define DR7_ENABLES BITS(7, 0)

/* debug_hits() with some breakpoint enabled */
u32 debug_compare(struct vcpu *v, u64 dr7, enum debug_access what, u64 addr, u32 len);

/** debug_is_watching() - is any breakpoint enabled? */
static inline bool debug_is_watching(struct vcpu *v)
{
	return backend_get(v, VREG_DR7) & DR7_ENABLES;
}

/** debug_hits() - which of DR0 to DR3 watch a byte of these: bits B0 to B3 of DR6. @addr: linear, or a port */
static inline u32 debug_hits(struct vcpu *v, enum debug_access what, u64 addr, u32 len)
{
	u64 dr7 = backend_get(v, VREG_DR7);
	return dr7 & DR7_ENABLES ? debug_compare(v, dr7, what, addr, len) : 0;
}

/**
 * debug_trap() - an instruction, or one iteration of a REP, is done: queue #DB if anybody wants it
 * @rflags: as the instruction found them
 * @causes: DR6 bits beside single step, whose cause is TF
 */
void debug_trap(struct vcpu *v, u64 rflags, u64 causes);

/** debug_mark_fault() - if @e is a fault, RFLAGS.RF will be 1 in the image that its delivery pushes */
void debug_mark_fault(struct vcpu *v, const struct event *e);

#endif
