/* SPDX-License-Identifier: BSD-2-Clause */
/* Round robin with time slices over the vCPUs of one physical CPU. Called by the run loop. Pure. */
#include "kernel/sched.h"

static struct sched_choice idle(const struct sched_entry *e, u32 nr)
{
	u64 until = NEVER;
	for (u32 i = 0; i < nr; i++) {
		until = MIN(until, e[i].wake_tsc);
	}
	return (struct sched_choice){ .index = -1, .until = until };
}

struct sched_choice sched_pick(struct sched_queue *q, const struct sched_entry *e, u32 nr, u64 now)
{
	if (q->current < nr && e[q->current].is_runnable && now < q->slice_end) {
		return (struct sched_choice){ .index = (int)q->current, .until = q->slice_end };
	}
	for (u32 i = 1; i <= nr; i++) {
		u32 next = (q->current + i) % nr;
		if (e[next].is_runnable) {
			q->current = next;
			q->slice_end = nr == 1 ? NEVER : now + e[next].slice_tsc;
			return (struct sched_choice){ .index = (int)next, .until = q->slice_end };
		}
	}
	return idle(e, nr);
}
