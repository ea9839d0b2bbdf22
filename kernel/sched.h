/* SPDX-License-Identifier: BSD-2-Clause */
/* Which vCPU of one physical CPU runs next, and until when. Time is an argument; pure. */
#ifndef BULKHEAD_SCHED_H
#define BULKHEAD_SCHED_H

#include "types.h"

struct sched_entry {
	bool is_runnable;
	u64 wake_tsc;  /* not runnable: when it may be; NEVER = only by an event from elsewhere */
	u64 slice_tsc; /* length of its time slice */
};

struct sched_queue {
	u32 current;   /* index of who has the slice */
	u64 slice_end; /* TSC; 0 = the slice was given away */
};

struct sched_choice {
	int index; /* -1 = nobody is runnable */
	u64 until; /* run, or wait, until then; NEVER = no reason to stop */
};

/**
 * sched_pick() - round robin: who has the slice keeps it to its end, then the next runnable one
 *
 * A lone entry runs without end. Updates @q.
 */
struct sched_choice sched_pick(struct sched_queue *q, const struct sched_entry *e, u32 nr, u64 now);

#endif
