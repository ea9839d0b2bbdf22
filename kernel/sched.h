/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which vCPU of one physical CPU runs next, and until when: by turns, or by the windows of a major frame
 * (ARINC 653 part 1, 2.3.1 "Partition Scheduling"). Time is an argument; pure.
 */
#ifndef BULKHEAD_SCHED_H
#define BULKHEAD_SCHED_H

#include "config.h"
#include "kernel/host.h"
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

/* A piece of the frame, up to the start of the next one: a window, or the slack between two */
struct sched_slot {
	u64 offset;  /* TSC ticks from the frame's start */
	u64 len;     /* of a window, in ticks; 0 = slack */
	u64 owners;  /* whose window it is, a bit for each entry; 0 = slack */
	u32 ordinal; /* windows that have begun in this frame, this one included */
};
#define SCHED_MAX_SLOTS (2 * CONFIG_MAX_WINDOWS + 1)

/**
 * struct sched_frame - the cyclic schedule of one CPU, and where in it the CPU is
 * @nr:		0 = this CPU has none
 * @background: entries that may have what the owners leave, a bit for each
 * @epoch:	TSC at which frame 0 begins, the same on all CPUs
 * @number, @start, @end: the frame that now is in, and its TSC. Each frame's start is computed from its
 *		number, so rounding does not add up and frames of several CPUs keep together
 * @at:		the slot that now is in
 */
struct sched_frame {
	const struct timebase *time;
	struct sched_slot slot[SCHED_MAX_SLOTS];
	u32 nr;
	u64 background;
	u64 len_ns;
	u64 shortest; /* the background is not begun for less than this, in ticks */
	u64 epoch;
	u64 number, start, end;
	u32 at;
};

/* How exact the edges of windows were, in TSC ticks */
struct sched_stats {
	u64 nr_windows;	 /* entered at their start: who sleeps then is not counted */
	u64 worst, sum;	 /* from planned start to first entry */
	u64 nr_overruns; /* edges seen later than the limit, and windows not seen at all */
};

/**
 * sched_pick() - round robin: who has the slice keeps it to its end, then the next runnable one
 *
 * A lone entry runs without end. Updates @q.
 */
struct sched_choice sched_pick(struct sched_queue *q, const struct sched_entry *e, u32 nr, u64 now);

/** sched_frame_init() - a frame of @len_ns without windows, number 0 at @epoch. */
void sched_frame_init(struct sched_frame *f, const struct timebase *time, u64 len_ns, u64 epoch);

/** sched_frame_add() - a window for @owners; in order of offset, without overlap, inside the frame. */
void sched_frame_add(struct sched_frame *f, u64 offset_ns, u64 len_ns, u64 owners);

/**
 * sched_frame_seek() - go to the slot of @now, which may be any distance ahead
 *
 * Before the epoch it is the first one. Return: how many windows were passed over without being seen.
 */
u64 sched_frame_seek(struct sched_frame *f, u64 now);

/** sched_frame_edge() - TSC at which the present slot began; its end is sched_frame_until(). */
u64 sched_frame_edge(const struct sched_frame *f);
u64 sched_frame_until(const struct sched_frame *f);

/** sched_frame_owners() - whose window the present slot is; 0 = slack, or the time before the epoch. */
u64 sched_frame_owners(const struct sched_frame *f, u64 now);

/**
 * sched_frame_pick() - who runs in the present slot
 *
 * By turns among its owners; if none of them is runnable, by turns among the background, but at most
 * until an owner wakes, and not for less than CONFIG_MIN_WINDOW_US. Never beyond the slot's end. Updates @q,
 * whose slice the caller ends when the slot changes. sched_frame_seek() to @now comes before.
 */
struct sched_choice sched_frame_pick(const struct sched_frame *f, struct sched_queue *q,
				     const struct sched_entry *e, u32 nr, u64 now);

/** sched_note_start() - a window was entered @late ticks after its planned start. */
void sched_note_start(struct sched_stats *s, u64 late);

#endif
