// SPDX-License-Identifier: BSD-2-Clause
/*
 * Virtual local APIC, timer: one-shot, periodic, TSC-deadline (SDM 3A 11.5.4 "APIC Timer"). Nothing
 * ticks: the count is computed from the clock when read; an expiry found late is one interrupt.
 * Every access first lets the past happen (vlapic_catch_up), so a masked timer needs no wake-up.
 */
#include "devices/vlapic_impl.h"

/*
 * A shorter period would cost an exit each, also while the interrupt is still pending: such a timer
 * interrupts less often instead. What the guest reads stays exact.
 */
#define MIN_PERIOD_NS (10 * NSEC_PER_USEC)

/* A deadline of more than a century, past which sums of ticks would wrap, never comes */
#define MAX_TICKS_AHEAD BIT(62)

/* Divide configuration: bits 3, 1, 0 are log2 of the divisor, less one; 7 is divide by 1 */
static u32 divide_shift(const struct vlapic *a)
{
	u32 divide = a->reg[REG_DIVIDE];

	return (((divide & 3) | (divide >> 1 & 4)) + 1) & 7;
}

/* Length of a period, 0 if the timer is not periodic */
static u64 period_ns(const struct vlapic *a)
{
	u32 mode = a->reg[REG_LVT + LVT_TIMER] & (LVT_PERIODIC | LVT_DEADLINE);

	return mode == LVT_PERIODIC ? (u64)a->reg[REG_COUNT_INIT] << divide_shift(a) : 0;
}

static u64 next_poll(const struct vlapic *a, u64 now_ns, u64 guest_tsc)
{
	u64 period = period_ns(a);

	if (a->reg[REG_LVT + LVT_TIMER] & LVT_MASKED) {
		return NEVER;
	}
	if (a->tsc_deadline) {
		/* The guest may move its TSC under an armed deadline: so it is translated anew */
		u64 ns = a->env->tsc_to_ns(a->env->ctx, a->tsc_deadline);

		return a->tsc_deadline - guest_tsc > MAX_TICKS_AHEAD ? NEVER : MAX(ns, now_ns + 1);
	}
	u64 soonest = period && period < MIN_PERIOD_NS ? now_ns + MIN_PERIOD_NS : 0;
	return MAX(a->timer_expiry_ns, soonest);
}

u64 vlapic_poll(struct vlapic *a, u64 now_ns)
{
	u32 lvt = a->reg[REG_LVT + LVT_TIMER];
	u64 guest_tsc = a->tsc_deadline ? a->env->guest_tsc(a->env->ctx) : 0;
	bool is_past = a->tsc_deadline && guest_tsc >= a->tsc_deadline;

	if (is_past || a->timer_expiry_ns <= now_ns) {
		u64 late = now_ns - a->timer_expiry_ns, period = period_ns(a);

		a->timer_expiry_ns = period ? now_ns - late % period + period : NEVER;
		a->tsc_deadline = 0;
		if (!(lvt & LVT_MASKED)) {
			vlapic_accept(a, (u8)lvt, false);
		}
	}
	a->deadline_ns = next_poll(a, now_ns, guest_tsc);
	return a->deadline_ns;
}

u64 vlapic_catch_up(struct vlapic *a)
{
	u64 now_ns = a->env->now_ns(a->env->ctx);

	vlapic_poll(a, now_ns);
	return now_ns;
}

u32 vlapic_timer_left(const struct vlapic *a, u64 now_ns)
{
	u64 last = BIT(divide_shift(a)) - 1;
	u64 left_ns = a->timer_expiry_ns == NEVER ? 0 : a->timer_expiry_ns - now_ns;

	return (u32)((left_ns + last) >> divide_shift(a));
}

void vlapic_timer_start(struct vlapic *a, u32 count, u64 now_ns)
{
	a->timer_expiry_ns = count ? now_ns + ((u64)count << divide_shift(a)) : NEVER;
}
