/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Judgement over the lives of a partition, by its health table. Decides and counts; parks and builds
 * nothing: that is the run loop's and birth.c's. Pure.
 */
#include "kernel/life.h"
#include "kernel/partition.h"
#include "lib/lib.h"
#include "log.h"

#define MAX_LOGGED 8 /* lines a life, of each event */

static const struct {
	const char *name;
	bool is_ok;
	enum health_action action; /* if nothing is configured; HEALTH_DEFAULT = on-exit */
} events[NR_HEALTH_EVENTS] = {
	[HEALTH_NONE] = { "none", false, HEALTH_STOP },
	[HEALTH_POWEROFF] = { "poweroff", true, HEALTH_DEFAULT },
	[HEALTH_EXIT] = { "exit", true, HEALTH_DEFAULT },
	[HEALTH_EXIT_FAILED] = { "exit-failed", false, HEALTH_DEFAULT },
	/* a panic must not pass for a clean end, so a reset is a failure where nobody says "restart" */
	[HEALTH_RESET] = { "reset", false, HEALTH_DEFAULT },
	[HEALTH_HALTED] = { "halted", false, HEALTH_DEFAULT },
	[HEALTH_TRIPLE_FAULT] = { "triple-fault", false, HEALTH_DEFAULT },
	[HEALTH_UNHANDLED] = { "unhandled-exit", false, HEALTH_DEFAULT },
	[HEALTH_VIOLATION] = { "violation", false, HEALTH_DEFAULT },
	[HEALTH_MACHINE_CHECK] = { "machine-check", false, HEALTH_DEFAULT },
	/* who arms a watchdog wants a restart */
	[HEALTH_WATCHDOG] = { "watchdog", false, HEALTH_RESTART },
	[HEALTH_REPORT] = { "report", false, HEALTH_LOG },
	[HEALTH_STOPPED] = { "stopped", true, HEALTH_STOP },
	[HEALTH_OVERRUN] = { "window-overrun", false, HEALTH_LOG },
	/* a PC answers both, and kernels probe */
	[HEALTH_IO_VIOLATION] = { "io-violation", false, HEALTH_IGNORE },
	[HEALTH_MEMORY_VIOLATION] = { "memory-violation", false, HEALTH_IGNORE },
};

bool health_is_ok(enum health_event e)
{
	return events[e].is_ok;
}

const char *health_name(enum health_event e)
{
	return events[e].name;
}

static enum health_action fallback(const struct partition *p)
{
	return p->cfg->on_exit == ON_EXIT_SHUTDOWN ? HEALTH_SHUTDOWN : HEALTH_STOP;
}

enum health_action life_action(const struct partition *p, enum health_event what)
{
	enum health_action a = p->cfg->health.action[what];
	a = a != HEALTH_DEFAULT ? a : events[what].action;
	return a != HEALTH_DEFAULT ? a : fallback(p);
}

/* The load keeps a flood cheap, and the count from wrapping */
bool life_may_log(struct partition *p, enum health_event what)
{
	u32 *nr = &p->life.nr_logged[what];
	return __atomic_load_n(nr, __ATOMIC_RELAXED) < MAX_LOGGED &&
	       __atomic_fetch_add(nr, 1, __ATOMIC_RELAXED) < MAX_LOGGED;
}

void life_event(struct partition *p, enum health_event what, const char *why, u64 code)
{
	if (life_action(p, what) != HEALTH_LOG) {
		partition_end(p, what, why, code);
	} else if (life_may_log(p, what)) {
		log("[%s] event=%s code=%lu", p->cfg->name, health_name(what), code);
	}
}

/* The period begins with its first restart; the first restart after its end begins another */
static bool may_restart(struct partition *p)
{
	const struct health_config *h = &p->cfg->health;
	struct life *l = &p->life;
	u64 now = p->host->tsc();
	u64 period = ns_to_tsc(&p->host->time, h->period_ms * (u64)NSEC_PER_MSEC);
	if (l->nr_recent == 0 || now - l->period_tsc >= period) {
		l->period_tsc = now;
		l->nr_recent = 0;
	}
	if (l->nr_recent >= h->restart_limit) {
		log("[%s] restart-limit: %u restarts within %u ms", p->cfg->name, l->nr_recent, h->period_ms);
		return false;
	}
	l->nr_recent++;
	return true;
}

enum health_action life_judge(struct partition *p)
{
	struct life *l = &p->life;
	enum health_action a = life_action(p, p->end.event);
	if (a == HEALTH_RESTART) {
		a = may_restart(p) ? HEALTH_RESTART : fallback(p);
	}
	if (a == HEALTH_RESTART) {
		l->nr++;
		l->last = p->end.event;
		memset(l->nr_logged, 0, sizeof(l->nr_logged));
	}
	return a;
}

void life_watchdog(struct partition *p, u64 us)
{
	u64 now = partition_now_ns(p);
	bool is_far = us >= (NEVER - now) / NSEC_PER_USEC;
	u64 until = us == 0 || is_far ? NEVER : now + us * NSEC_PER_USEC;
	__atomic_store_n(&p->pc.watchdog_ns, until, __ATOMIC_RELAXED);
}

void life_poll(struct partition *p, u64 now_ns)
{
	if (now_ns >= __atomic_load_n(&p->pc.watchdog_ns, __ATOMIC_RELAXED)) {
		__atomic_store_n(&p->pc.watchdog_ns, NEVER, __ATOMIC_RELAXED);
		life_event(p, HEALTH_WATCHDOG, "watchdog", 0);
	}
}
