/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The windows of one physical CPU: the schedule it keeps, whose window it is now, and how exactly windows begin.
 * Who runs in them is the scheduler's choice, and what runs is the run loop's. Time is an argument; pure.
 */
#ifndef BULKHEAD_WINDOWS_H
#define BULKHEAD_WINDOWS_H

#include "kernel/sched.h"
#include "types.h"

struct core;
struct partition;
struct schedule_config;

/* Owned by the CPU; others read .owners, and .frame of what their vCPUs are told of it */
struct windows {
	struct sched_frame frame; /* .nr is 0 where CPUs are shared by turns */
	struct sched_stats stats;
	u64 edge;   /* TSC of the window that begins with the next entry; 0 = that has begun */
	u64 owners; /* atomic: cores whose window it is, a bit for each */
};

/* What time it is: @now and @epoch (begin of frame 0, the same on all CPUs) in TSC ticks */
struct windows_clock {
	const struct timebase *time;
	u64 epoch, now;
};

/**
 * windows_adopt() - from now on this CPU keeps the schedule @s; NULL = it has none
 *
 * Core i of @core, which are all that are pinned to it, is bit i. Each learns its bit and the frame. Windows that
 * passed before are nobody's fault. Context: the CPU itself, once, before it runs any of them. @w is zero.
 */
void windows_adopt(struct windows *w, const struct schedule_config *s, const struct windows_clock *clock,
		   struct core *const *core, u32 nr);

/**
 * windows_cross() - go to the window of @now, or the slack, and let other CPUs know whose it is
 *
 * If that is another than at the last look, windows between them count as overruns, and the turn in @q is over.
 * Return: TSC at which it began, if it is another; else 0.
 */
u64 windows_cross(struct windows *w, struct sched_queue *q, u64 now);

/** windows_owners() - the cores whose window it is; 0 = slack, or no schedule. From any CPU. */
static inline u64 windows_owners(const struct windows *w)
{
	return __atomic_load_n(&w->owners, __ATOMIC_SEQ_CST); /* pairs with windows_cross() */
}

/** windows_is_due() - does a window begin with the next entry? Then windows_begin() is. */
static inline bool windows_is_due(const struct windows *w)
{
	return w->edge;
}

/**
 * windows_begin() - its owner @p gets, at @now, the window that is due: note by how much that is late
 *
 * Later than CONFIG_MIN_WINDOW_US it is an overrun, and an event for the health table of @p.
 */
void windows_begin(struct windows *w, struct partition *p, u64 now);

/** windows_missed() - none of its owners was awake at @edge, as windows_cross() said: an overrun, if @now is too late. */
void windows_missed(struct windows *w, u64 edge, u64 now);

/** windows_log() - a line on how exact the windows of CPU @cpu were, if it has any. Context: any CPU, at the end. */
void windows_log(const struct windows *w, u32 cpu);

#endif
