/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Windows between the configuration, which names partitions, and the scheduler, which knows bits; and the
 * judgement of each edge. Called by the run loop, of which it knows nothing. Pure.
 */
#include "kernel/windows.h"
#include "config/config_room.h"
#include "kernel/partition.h"
#include "log.h"

#define OVERRUN_NS (CONFIG_MIN_WINDOW_US * NSEC_PER_USEC) /* so late, a window may be lost as a whole */

static u64 owners_of(const struct window_config *w, struct core *const *core, u32 nr)
{
	u64 owners = 0;
	for (u32 i = 0; i < nr; i++) {
		const struct vcpu *v = &core[i]->v;
		owners |= config_window_is_of(w, v->part->cfg->name, v->id) ? BIT(i) : 0;
	}
	return owners;
}

void windows_adopt(struct windows *w, const struct schedule_config *s, const struct windows_clock *clock,
		   struct core *const *core, u32 nr)
{
	struct sched_frame *f = &w->frame;
	if (!s) {
		return;
	}
	sched_frame_init(f, clock->time, s->frame_us * NSEC_PER_USEC, clock->epoch);
	for (const struct window_config *c = s->windows; c < s->windows + s->nr_windows; c++) {
		sched_frame_add(f, c->offset_us * NSEC_PER_USEC, c->length_us * NSEC_PER_USEC,
				owners_of(c, core, nr));
	}
	for (u32 i = 0; i < nr; i++) {
		f->background |= core[i]->v.part->cfg->is_background ? BIT(i) : 0;
		core[i]->frame = f;
		core[i]->sched_bit = BIT(i);
	}
	sched_frame_seek(f, clock->now);
}

/* Owners are told before their mail is taken: see host_poke() */
u64 windows_cross(struct windows *w, struct sched_queue *q, u64 now)
{
	u64 before = sched_frame_edge(&w->frame);
	u64 nr_missed = sched_frame_seek(&w->frame, now);
	u64 edge = sched_frame_edge(&w->frame);
	w->stats.nr_overruns += nr_missed;
	q->slice_end = edge == before ? q->slice_end : 0;
	__atomic_store_n(&w->owners, sched_frame_owners(&w->frame, now), __ATOMIC_SEQ_CST);
	return edge == before ? 0 : edge;
}

static bool is_overrun(const struct windows *w, u64 late)
{
	return late > ns_to_tsc(w->frame.time, OVERRUN_NS);
}

void windows_begin(struct windows *w, struct partition *p, u64 now)
{
	u64 late = now - w->edge;
	sched_note_start(&w->stats, late);
	w->edge = 0;
	if (is_overrun(w, late)) {
		w->stats.nr_overruns++;
		life_event(p, HEALTH_OVERRUN, "window overrun", tsc_to_ns(w->frame.time, late));
	}
}

void windows_missed(struct windows *w, u64 edge, u64 now)
{
	w->stats.nr_overruns += edge && is_overrun(w, now - edge);
}

void windows_log(const struct windows *w, u32 cpu)
{
	const struct timebase *t = w->frame.time;
	const struct sched_stats *s = &w->stats;
	u64 mean = s->nr_windows ? s->sum / s->nr_windows : 0;
	if (w->frame.nr) {
		log("schedule cpu=%u frames=%lu windows=%lu jitter-max=%lu (%lu ns) jitter-mean=%lu (%lu ns) "
		    "overruns=%lu", cpu, w->frame.number, s->nr_windows, s->worst, tsc_to_ns(t, s->worst), mean,
		    tsc_to_ns(t, mean), s->nr_overruns);
	}
}
