/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vCPUs of one physical CPU: round robin with time slices, over all of them or over the owners of the
 * present window of a major frame. Called by the run loop. Pure.
 */
#include "kernel/sched.h"
#include "log.h"

static struct sched_choice idle(const struct sched_entry *e, u32 nr, u64 mask)
{
	u64 until = NEVER;
	for (u32 i = 0; i < nr; i++) {
		until = mask & BIT(i) ? MIN(until, e[i].wake_tsc) : until;
	}
	return (struct sched_choice){ .index = -1, .until = until };
}

/* By turns among the entries of @mask */
static struct sched_choice pick(struct sched_queue *q, const struct sched_entry *e, u32 nr, u64 mask, u64 now)
{
	if (q->current < nr && mask & BIT(q->current) && e[q->current].is_runnable && now < q->slice_end) {
		return (struct sched_choice){ .index = (int)q->current, .until = q->slice_end };
	}
	for (u32 i = 1; i <= nr; i++) {
		u32 next = (q->current + i) % nr;
		if (mask & BIT(next) && e[next].is_runnable) {
			q->current = next;
			q->slice_end = mask == BIT(next) ? NEVER : now + e[next].slice_tsc;
			return (struct sched_choice){ .index = (int)next, .until = q->slice_end };
		}
	}
	return idle(e, nr, mask);
}

struct sched_choice sched_pick(struct sched_queue *q, const struct sched_entry *e, u32 nr, u64 now)
{
	return pick(q, e, nr, nr ? BITS(nr - 1, 0) : 0, now);
}

static u64 start_of(const struct sched_frame *f, u64 number)
{
	return f->epoch + ns_to_tsc(f->time, number * f->len_ns);
}

static void enter_frame(struct sched_frame *f, u64 number)
{
	f->number = number;
	f->start = start_of(f, number);
	f->end = start_of(f, number + 1);
}

/* A slot of no length makes room for the one that begins there */
static void put(struct sched_frame *f, u64 offset_ns, u64 len_ns, u64 owners)
{
	u64 offset = offset_ns ? ns_to_tsc(f->time, offset_ns) : 0;
	f->nr -= f->nr && f->slot[f->nr - 1].offset == offset;
	u32 before = f->nr ? f->slot[f->nr - 1].ordinal : 0;
	BUG_ON(f->nr == SCHED_MAX_SLOTS);
	f->slot[f->nr++] = (struct sched_slot){ .offset = offset, .owners = owners,
						.len = owners ? ns_to_tsc(f->time, len_ns) : 0,
						.ordinal = before + (owners != 0) };
}

void sched_frame_init(struct sched_frame *f, const struct timebase *time, u64 len_ns, u64 epoch)
{
	*f = (struct sched_frame){ .time = time, .len_ns = len_ns, .epoch = epoch,
				   .shortest = ns_to_tsc(time, CONFIG_MIN_WINDOW_US * NSEC_PER_USEC) };
	put(f, 0, 0, 0);
	enter_frame(f, 0);
}

void sched_frame_add(struct sched_frame *f, u64 offset_ns, u64 len_ns, u64 owners)
{
	BUG_ON(offset_ns + len_ns > f->len_ns);
	put(f, offset_ns, len_ns, owners);
	if (offset_ns + len_ns < f->len_ns) {
		put(f, offset_ns + len_ns, 0, 0);
	}
}

/* Windows that have begun since the epoch */
static u64 windows_begun(const struct sched_frame *f)
{
	return f->number * f->slot[f->nr - 1].ordinal + f->slot[f->at].ordinal;
}

/* The division is a guess that may be wrong by the rounding of frames' lengths; steps put it right */
static void seek_frame(struct sched_frame *f, u64 now)
{
	u64 number = f->number + (now - f->start) / (f->end - f->start);
	while (start_of(f, number) > now) {
		number--;
	}
	while (start_of(f, number + 1) <= now) {
		number++;
	}
	enter_frame(f, number);
	f->at = 0;
}

u64 sched_frame_seek(struct sched_frame *f, u64 now)
{
	u64 before = windows_begun(f);
	u64 edge = sched_frame_edge(f);
	if (now >= f->end) {
		seek_frame(f, now);
	}
	while (f->at + 1 < f->nr && now >= f->start + f->slot[f->at + 1].offset) {
		f->at++;
	}
	u64 begun = windows_begun(f) - before;
	bool is_seen = f->slot[f->at].owners && sched_frame_edge(f) != edge;
	return begun - (begun && is_seen);
}

u64 sched_frame_edge(const struct sched_frame *f)
{
	return f->start + f->slot[f->at].offset;
}

u64 sched_frame_until(const struct sched_frame *f)
{
	return f->at + 1 < f->nr ? f->start + f->slot[f->at + 1].offset : f->end;
}

u64 sched_frame_owners(const struct sched_frame *f, u64 now)
{
	return now >= f->start ? f->slot[f->at].owners : 0;
}

struct sched_choice sched_frame_pick(const struct sched_frame *f, struct sched_queue *q,
				     const struct sched_entry *e, u32 nr, u64 now)
{
	if (now < f->start) {
		return (struct sched_choice){ .index = -1, .until = f->start };
	}
	u64 end = sched_frame_until(f);
	struct sched_choice c = pick(q, e, nr, f->slot[f->at].owners, now);
	u64 left = MIN(c.until, end);
	if (c.index < 0 && left - now >= f->shortest) {
		c = pick(q, e, nr, f->background, now);
	}
	c.until = MIN(c.until, left);
	return c;
}

void sched_note_start(struct sched_stats *s, u64 late)
{
	s->nr_windows++;
	s->sum += late;
	s->worst = MAX(s->worst, late);
}
