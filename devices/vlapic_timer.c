/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual local APIC, timer: one-shot, periodic, TSC-deadline (SDM 3A 11.5.4 "APIC Timer"). Nothing
 * ticks: the count is computed from the clock when read; an expiry found late is one interrupt.
 * Every access first lets the past happen (vlapic_poll), so a masked timer needs no wake-up at all.
 */
#include "devices/vlapic_impl.h"

/*
 * A shorter period would cost an exit each, also while the interrupt is still pending: such a timer
 * interrupts less often instead. What the guest reads stays exact.
 */
#define MIN_PERIOD_NS (10 * NSEC_PER_USEC)

/* Divide configuration: bits 3, 1, 0 are log2 of the divisor, less one; 7 is divide by 1 */
static u32 divide_shift(const struct vlapic *a)
{
	u32 code = (a->divide & 3) | (a->divide >> 1 & 4);
	return (code + 1) & 7;
}

static bool is_masked(const struct vlapic *a)
{
	return a->lvt[LVT_TIMER] & LVT_MASKED;
}

static void fire(struct vlapic *a)
{
	if (!is_masked(a)) {
		vlapic_accept(a, (u8)a->lvt[LVT_TIMER], false);
	}
}

/* The guest may move its TSC under an armed deadline: so it is translated anew each time. */
static u64 poll_deadline(struct vlapic *a, u64 now_ns)
{
	if (!a->tsc_deadline) {
		return NEVER;
	}
	if (a->env->guest_tsc(a->env->ctx) >= a->tsc_deadline) {
		a->tsc_deadline = 0;
		fire(a);
		return NEVER;
	}
	return MAX(a->env->tsc_to_ns(a->env->ctx, a->tsc_deadline), now_ns + 1);
}

static u64 poll_count(struct vlapic *a, u64 now_ns)
{
	u64 period = (u64)a->initial_count << divide_shift(a);
	bool is_periodic = a->lvt[LVT_TIMER] & LVT_PERIODIC;
	if (a->timer_expiry_ns <= now_ns) {
		fire(a);
		u64 late = now_ns - a->timer_expiry_ns;
		a->timer_expiry_ns = is_periodic ? now_ns - late % period + period : NEVER;
	}
	u64 soonest = is_periodic && period < MIN_PERIOD_NS ? now_ns + MIN_PERIOD_NS : 0;
	return MAX(a->timer_expiry_ns, soonest);
}

u64 vlapic_poll(struct vlapic *a, u64 now_ns)
{
	bool is_deadline = a->lvt[LVT_TIMER] & LVT_DEADLINE;
	u64 next = is_deadline ? poll_deadline(a, now_ns) : poll_count(a, now_ns);
	return is_masked(a) ? NEVER : next;
}

/* Returns now, with all that was due done */
static u64 catch_up(struct vlapic *a)
{
	u64 now_ns = a->env->now_ns(a->env->ctx);
	vlapic_poll(a, now_ns);
	return now_ns;
}

static u32 count_at(const struct vlapic *a, u64 now_ns)
{
	u32 shift = divide_shift(a);
	u64 left_ns = a->timer_expiry_ns == NEVER ? 0 : a->timer_expiry_ns - now_ns;
	return (u32)((left_ns + (1u << shift) - 1) >> shift);
}

static void start(struct vlapic *a, u64 now_ns, u32 count)
{
	a->timer_expiry_ns = count ? now_ns + ((u64)count << divide_shift(a)) : NEVER;
}

u32 vlapic_timer_count(struct vlapic *a)
{
	return count_at(a, catch_up(a));
}

void vlapic_timer_write_lvt(struct vlapic *a, u32 value)
{
	catch_up(a);
	if ((a->lvt[LVT_TIMER] ^ value) & LVT_DEADLINE) {
		a->tsc_deadline = 0;
		a->initial_count = 0;
		a->timer_expiry_ns = NEVER;
	}
	a->lvt[LVT_TIMER] = value;
}

void vlapic_timer_write_count(struct vlapic *a, u32 value)
{
	if (!(a->lvt[LVT_TIMER] & LVT_DEADLINE)) {
		u64 now_ns = catch_up(a);
		a->initial_count = value;
		start(a, now_ns, value);
	}
}

/* The count goes on from where it is, at the new rate */
void vlapic_timer_write_divide(struct vlapic *a, u32 value)
{
	u64 now_ns = catch_up(a);
	u32 count = count_at(a, now_ns);
	a->divide = value;
	start(a, now_ns, count);
}

u64 vlapic_timer_deadline(struct vlapic *a)
{
	catch_up(a);
	return a->tsc_deadline;
}

void vlapic_timer_write_deadline(struct vlapic *a, u64 value)
{
	if (a->lvt[LVT_TIMER] & LVT_DEADLINE) {
		catch_up(a);
		a->tsc_deadline = value;
		catch_up(a);
	}
}
