/* SPDX-License-Identifier: BSD-2-Clause */
/* What a handler decides about an exit; vcpu_apply() alone acts on it. Pure data. */
#ifndef BULKHEAD_VERDICT_H
#define BULKHEAD_VERDICT_H

#include "abi/health.h"
#include "vcpu.h"

enum __attribute__((packed)) verdict_kind {
	V_RESUME,  /* enter again where it stopped */
	V_ADVANCE, /* the instruction is done: RIP moves past it */
	V_INJECT,  /* deliver .event (CR2 first, for #PF) */
	V_BLOCK,   /* HLT: RIP moves past it, the vCPU waits for an event */
	V_REPEAT,  /* one iteration of a REP is done and not the last: RIP stays, traps are due */
	V_SWITCHED, /* another task runs now: nothing to move, and what was being delivered has been */
	V_YIELD,   /* RIP moves past it, the slice goes to the next vCPU */
	V_END,	   /* the partition has ended: RIP stays */
	V_KILL,	   /* the partition dies: .why */
};

struct verdict {
	enum verdict_kind kind;
	u8 insn_len; /* for those that move RIP: 0 = exit.insn_len */
	u8 health;   /* V_KILL: enum health_event */
	u8 debug;    /* breakpoints that what was done has hit: B0 to B3 of DR6 */
	struct event event; /* V_INJECT only, like cr2 */
	union {
		u64 cr2;
		const char *why; /* V_KILL only */
	};
};
static_assert(sizeof(struct verdict) == 24, "every exit makes one");

static inline struct verdict verdict_hits(enum verdict_kind k, u8 insn_len, u8 debug)
{
	return (struct verdict){ .kind = k, .insn_len = insn_len, .debug = debug };
}

static inline struct verdict verdict(enum verdict_kind k)
{
	return verdict_hits(k, 0, 0);
}

static inline struct verdict verdict_advance(u8 insn_len)
{
	return verdict_hits(V_ADVANCE, insn_len, 0);
}

static inline struct verdict verdict_fault(u8 vector, bool has_error, u32 error)
{
	return (struct verdict){ .kind = V_INJECT,
				 .event = { .type = EVENT_EXCEPTION,
					    .vector = vector,
					    .has_error = has_error,
					    .error = error } };
}

#define VERDICT_GP verdict_fault(13, true, 0)
#define VERDICT_UD verdict_fault(6, false, 0)

static inline struct verdict verdict_event(const struct event *e, u64 cr2)
{
	return (struct verdict){ .kind = V_INJECT, .event = *e, .cr2 = cr2 };
}

static inline struct verdict verdict_kill(enum health_event what, const char *why)
{
	return (struct verdict){ .kind = V_KILL, .health = (u8)what, .why = why };
}

#endif
