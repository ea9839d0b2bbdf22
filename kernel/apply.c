/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one place that acts on a verdict, and the one that chooses what an entry delivers. Knows events
 * and RIP; knows no device but the interrupt lines of the PC. Called by the run loop. Pure.
 */
#include "kernel/backend.h"
#include "kernel/debug.h"
#include "kernel/emulate.h"
#include "kernel/exit.h"
#include "log.h"
#include "x86/regs.h"

static bool is_exception(const struct event *e, u8 vector)
{
	return e->type == EVENT_EXCEPTION && e->vector == vector;
}

/* SDM 3A table 6-4: contributory exceptions */
static bool is_contributory(const struct event *e)
{
	const u32 contributory = BIT(VEC_DE) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP);
	return e->type == EVENT_EXCEPTION && e->vector < 32 && (contributory & BIT(e->vector));
}

bool event_combine(const struct event *first, struct event *second)
{
	if (first->type == EVENT_NONE || second->type != EVENT_EXCEPTION) {
		return true;
	}
	bool second_is_serious = is_contributory(second) || is_exception(second, VEC_PF);
	if (is_exception(first, VEC_DF)) {
		return !second_is_serious;
	}
	if ((is_exception(first, VEC_PF) && second_is_serious) ||
	    (is_contributory(first) && is_contributory(second))) {
		*second = (struct event){ .type = EVENT_EXCEPTION,
					  .vector = VEC_DF,
					  .has_error = true };
	}
	return true;
}

#define MAX_POSTMORTEMS 4 /* of a partition: one that dies all the time must not fill the log */

static void end_partition(struct vcpu *v, const struct exit *e, enum health_event what, const char *why)
{
	partition_end(v->part, what, why, 0);
	log("[%s] killed: %s rip=0x%lx", v->part->cfg->name, why, e->rip);
	if (__atomic_fetch_add(&v->part->life.nr_deaths, 1, __ATOMIC_RELAXED) >= MAX_POSTMORTEMS) {
		return;
	}
	struct core *c = core_of(v);
	if (c->frame) {
		c->last_exit = *e; /* the run loop writes it, in the core's own windows */
		c->is_dying = true;
	} else {
		postmortem(v, e);
	}
}

/* Move past the exiting instruction. It may have been single-stepped, or have hit a breakpoint. */
static void advance(struct vcpu *v, const struct exit *e, const struct verdict *d)
{
	u32 len = d->insn_len ? d->insn_len : e->insn_len;
	BUG_ON(len == 0); /* exit_measure() has seen to it */
	u64 rflags = backend_skip(v, e->rip, len);
	if (d->debug || rflags & RFLAGS_TF) {
		debug_trap(v, rflags, d->debug);
	}
}

/* The #DB between two iterations finds RF set: the next one is no new instruction (SDM 3B 17.3.1.1) */
static void repeat(struct vcpu *v, const struct verdict *d)
{
	u64 rflags = backend_get(v, VREG_RFLAGS);
	backend_set(v, VREG_RFLAGS, rflags | RFLAGS_RF);
	backend_set(v, VREG_INT_SHADOW, 0);
	debug_trap(v, rflags, d->debug);
}

static bool take_nmi_pending(struct vcpu *v)
{
	struct vlapic *apic = &core_of(v)->lapic;
	if (apic->nmi_pending) {
		apic->nmi_pending = false;
		v->nmi_pending = true;
	}
	return v->nmi_pending;
}

static void block(struct vcpu *v, const struct exit *e, const struct verdict *d)
{
	u64 rflags = backend_get(v, VREG_RFLAGS);
	advance(v, e, d);
	v->is_halted = v->pending.type == EVENT_NONE;
	if (v->is_halted && !(rflags & RFLAGS_IF) && !core_has_nmi(core_of(v))) {
		core_sleep(core_of(v), CORE_DEAD);
	}
}

static void inject(struct vcpu *v, const struct exit *e, const struct verdict *d)
{
	struct event second = d->event;
	if (!event_combine(&e->vectoring, &second)) {
		end_partition(v, e, HEALTH_TRIPLE_FAULT, "triple fault");
		return;
	}
	if (is_exception(&second, VEC_PF)) {
		backend_set(v, VREG_CR2, d->cr2);
	}
	v->pending = second;
	debug_mark_fault(v, &second);
}

bool vcpu_apply(struct vcpu *v, const struct exit *e, const struct verdict *d)
{
	if (e->vectoring.type != EVENT_NONE && d->kind != V_SWITCHED) {
		v->pending = e->vectoring;
		debug_mark_fault(v, &e->vectoring);
	}
	if (d->kind == V_ADVANCE) { /* most: without an indirect jump, which costs a retpoline */
		advance(v, e, d);
		return false;
	}
	switch (d->kind) {
	case V_SWITCHED:
	case V_RESUME:
	case V_ADVANCE: return false;
	case V_REPEAT: repeat(v, d); return false;
	case V_YIELD: advance(v, e, d); return true;
	case V_INJECT: inject(v, e, d); return false;
	case V_BLOCK: block(v, e, d); return v->is_halted;
	case V_END: return true;
	case V_KILL: end_partition(v, e, (enum health_event)d->health, d->why); return true;
	}
	BUG_ON(true);
	return true;
}

static void prepare_nmi(struct vcpu *v)
{
	if (backend_get(v, VREG_NMI_BLOCKED) || backend_get(v, VREG_INT_SHADOW)) {
		v->ops->window(v, true);
		return;
	}
	v->nmi_pending = false;
	v->ops->inject(v, &(struct event){ .type = EVENT_NMI, .vector = VEC_NMI });
}

/* Behind a vector of the local APIC there is none that could interrupt it */
static void prepare_irq(struct vcpu *v, int pending)
{
	u64 rflags = backend_get(v, VREG_RFLAGS);
	if (!(rflags & RFLAGS_IF) || backend_get(v, VREG_INT_SHADOW)) {
		v->ops->window(v, false);
		return;
	}
	struct event e = { .type = EVENT_EXTINT, .vector = core_ack_irq(core_of(v), pending) };
	v->ops->inject(v, &e);
	if (pending == CORE_EXTINT && core_pending_irq(core_of(v)) >= 0) {
		v->ops->window(v, false);
	}
}

void vcpu_prepare(struct vcpu *v)
{
	if (core_is_quiet(core_of(v))) {
		return;
	}
	bool has_nmi = take_nmi_pending(v);
	int irq = core_pending_irq(core_of(v));
	if (v->pending.type != EVENT_NONE) {
		v->ops->inject(v, &v->pending);
		v->pending.type = EVENT_NONE;
		if (irq >= 0 || has_nmi) {
			v->ops->window(v, has_nmi);
		}
	} else if (has_nmi) {
		prepare_nmi(v);
	} else if (irq >= 0) {
		prepare_irq(v, irq);
	}
	if (v->has_apic) {
		core_show_apic(core_of(v));
	}
}

bool vcpu_step(struct vcpu *v)
{
	struct verdict d;
	bool gives_way = false;
	vcpu_prepare(v);
	if (exit_run_quick(v)) {
		struct exit *e = vcpu_last_exit(v);
		if (exit_measure(v, e, &d)) {
			d = exit_handle(v, e);
		}
		gives_way = vcpu_apply(v, e, &d);
	}
	return gives_way || partition_has_end(v->part);
}
