/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lives of a partition: what its health table says about an event, and whether there is another
 * life after this one.
 */
#ifndef BULKHEAD_LIFE_H
#define BULKHEAD_LIFE_H

#include "abi/health.h"
#include "types.h"

struct partition;

/**
 * struct life - which life this is
 * @nr:         restarts so far
 * @nr_recent:  of them, in the period that began at host TSC @period_tsc
 * @last:       what ended the life before
 * @nr_logged:  events of this life that got a line, of each kind
 * @nr_deaths:  post-mortems written, of all lives
 */
struct life {
	u32 nr, nr_recent;
	u64 period_tsc;
	enum health_event last;
	u32 nr_logged[NR_HEALTH_EVENTS], nr_deaths;
};

/** health_is_ok() - is a partition that ends so a success? */
bool health_is_ok(enum health_event e);

/** health_name() - of an event, as in the health table; "none" for others. */
const char *health_name(enum health_event e);

/**
 * life_event() - something happened that @p may survive: log it, or end this life
 *
 * A guest can make such events without end, so only the first few of a kind get a line in a life.
 * Context: any core's CPU.
 */
void life_event(struct partition *p, enum health_event what, const char *why, u64 code);

/** life_action() - what the health table of @p says about @what, or its default. Not HEALTH_DEFAULT. */
enum health_action life_action(const struct partition *p, enum health_event what);

/** life_may_log() - one more line on @what: are there any left in this life? From any CPU. */
bool life_may_log(struct partition *p, enum health_event what);

/**
 * life_judge() - this life has ended, for the reason in p->end: what now?
 *
 * Context: all cores are parked, once for each life. Return: HEALTH_STOP, _RESTART or _SHUTDOWN.
 */
enum health_action life_judge(struct partition *p);

/** life_watchdog() - HC_WATCHDOG: fire in @us microseconds unless called again; 0 = off. */
void life_watchdog(struct partition *p, u64 us);

/** life_poll() - has the watchdog fired? From pc_poll(). */
void life_poll(struct partition *p, u64 now_ns);

#endif
