/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual local APIC, delivery: which vectors wait, which may interrupt, what an EOI ends. Knows
 * IRR, ISR, TMR, priorities, the LINT pins and errors; registers as a guest sees them are in
 * vlapic_regs.c, time in vlapic_timer.c. Called by the platform and by those two.
 */
#include "devices/vlapic_impl.h"

static int vec_highest(const u32 map[8])
{
	for (int i = 7; i >= 0; i--) {
		if (map[i]) {
			return i * 32 + 31 - __builtin_clz(map[i]);
		}
	}
	return -1;
}

static bool is_software_enabled(const struct vlapic *a)
{
	return vlapic_is_enabled(a) && (a->svr & SVR_ENABLE);
}

void vlapic_mask_lvts(struct vlapic *a)
{
	for (u32 i = 0; i < NR_LVTS; i++) {
		a->lvt[i] |= LVT_MASKED;
	}
}

/* SDM 3A 11.4.7.1 "Local APIC State After Power-Up or Reset"; the pins and a latched NMI stay */
void vlapic_reset(struct vlapic *a)
{
	*a = (struct vlapic){
		.env = a->env,
		.apic_base = a->apic_base,
		.id = a->id,
		.has_x2apic = a->has_x2apic,
		.nmi_pending = a->nmi_pending,
		.lint_levels = a->lint_levels,
		.dfr = 0xffffffff,
		.svr = 0xff,
		.timer_expiry_ns = NEVER,
	};
	vlapic_mask_lvts(a);
}

void vlapic_init(struct vlapic *a, const struct vlapic_env *env, u32 id, bool is_bsp,
		 bool has_x2apic)
{
	*a = (struct vlapic){
		.env = env,
		.apic_base = VLAPIC_BASE | APIC_BASE_EN | (is_bsp ? APIC_BASE_BSP : 0),
		.id = id,
		.has_x2apic = has_x2apic,
	};
	vlapic_reset(a);
}

void vlapic_set_virtual_wire(struct vlapic *a)
{
	a->svr = SVR_ENABLE | 0x0f;
	a->lvt[LVT_LINT0] = MODE_EXTINT << 8;
	a->lvt[LVT_LINT1] = MODE_NMI << 8;
}

/* SDM 3A 11.8.3.1 "Task and Processor Priorities" */
u8 vlapic_ppr(const struct vlapic *a)
{
	int in_service = vec_highest(a->isr);
	u32 class = in_service < 0 ? 0 : (u32)in_service & 0xf0;
	return (u8)((a->tpr & 0xf0) >= class ? a->tpr : class);
}

u64 vlapic_cr8(const struct vlapic *a)
{
	return a->tpr >> 4;
}

void vlapic_set_cr8(struct vlapic *a, u64 cr8)
{
	a->tpr = (u32)(cr8 & 0xf) << 4;
}

int vlapic_pending(const struct vlapic *a)
{
	int vector = vec_highest(a->irr);
	return vlapic_is_enabled(a) && (vector & ~0xf) > (vlapic_ppr(a) & 0xf0) ? vector : -1;
}

void vlapic_ack(struct vlapic *a, u8 vector)
{
	a->irr[vector / 32] &= ~vec_bit(vector);
	a->isr[vector / 32] |= vec_bit(vector);
}

static void set_pending(struct vlapic *a, u8 vector, bool is_level)
{
	u32 *tmr = &a->tmr[vector / 32];
	*tmr = is_level ? *tmr | vec_bit(vector) : *tmr & ~vec_bit(vector);
	a->irr[vector / 32] |= vec_bit(vector);
}

/* SDM 3A 11.5.3 "Error Handling". An illegal vector in LVT error is one more error, not a loop. */
void vlapic_error(struct vlapic *a, u32 bit)
{
	bool is_new = !(a->esr_pending & bit);
	a->esr_pending |= bit;
	u8 vector = (u8)a->lvt[LVT_ERROR];
	if (!is_new || (a->lvt[LVT_ERROR] & LVT_MASKED)) {
		return;
	}
	if (vector < 16) {
		a->esr_pending |= ESR_RECV_ILLEGAL;
	} else {
		set_pending(a, vector, false);
	}
}

/* Disabled by software it takes no new interrupt; what IRR holds stays (SDM 3A 11.4.7.2) */
void vlapic_accept(struct vlapic *a, u8 vector, bool is_level)
{
	if (!is_software_enabled(a)) {
		return;
	}
	if (vector < 16) {
		vlapic_error(a, ESR_RECV_ILLEGAL);
	} else {
		set_pending(a, vector, is_level);
	}
}

void vlapic_deliver(struct vlapic *a, u32 mode, u8 vector)
{
	switch (mode) {
	case MODE_FIXED:
	case MODE_LOWEST: vlapic_accept(a, vector, false); break;
	case MODE_NMI: a->nmi_pending = true; break;
	default: break; /* SMI, INIT: nothing behind them; ExtINT asks vlapic_takes_extint() */
	}
}

void vlapic_eoi(struct vlapic *a)
{
	int in_service = vec_highest(a->isr);
	if (in_service < 0) {
		return;
	}
	u8 vector = (u8)in_service;
	a->isr[vector / 32] &= ~vec_bit(vector);
	bool is_level = a->tmr[vector / 32] & vec_bit(vector);
	u32 *lint0 = &a->lvt[LVT_LINT0];
	if ((*lint0 & LVT_REMOTE_IRR) && field_get(LVT_VECTOR, *lint0) == vector) {
		*lint0 &= ~(u32)LVT_REMOTE_IRR;
		vlapic_lint0_update(a);
	}
	if (is_level) {
		a->env->eoi_broadcast(a->env->ctx, vector);
	}
}

bool vlapic_takes_extint(const struct vlapic *a)
{
	u32 lint0 = a->lvt[LVT_LINT0];
	/* globally disabled, the pins are INTR and NMI of a CPU without APIC (SDM 3A 11.4.3) */
	return !vlapic_is_enabled(a) ||
	       (!(lint0 & LVT_MASKED) && field_get(LVT_MODE, lint0) == MODE_EXTINT);
}

/* LINT0 as a level-triggered fixed interrupt: one message until EOI, again while the pin stays */
void vlapic_lint0_update(struct vlapic *a)
{
	u32 *lvt = &a->lvt[LVT_LINT0];
	bool is_level = (*lvt & LVT_LEVEL) && field_get(LVT_MODE, *lvt) == MODE_FIXED;
	if (is_level && (a->lint_levels & 1) && !(*lvt & (LVT_MASKED | LVT_REMOTE_IRR))) {
		*lvt |= LVT_REMOTE_IRR;
		vlapic_accept(a, (u8)*lvt, true);
	}
}

void vlapic_lint(struct vlapic *a, u32 pin, bool level)
{
	u8 bit = (u8)(1u << pin);
	bool is_rise = level && !(a->lint_levels & bit);
	a->lint_levels = (u8)(level ? a->lint_levels | bit : a->lint_levels & ~bit);
	if (!vlapic_is_enabled(a)) {
		a->nmi_pending |= is_rise && pin == 1;
		return;
	}
	u32 lvt = a->lvt[LVT_LINT0 + pin];
	bool is_fixed = field_get(LVT_MODE, lvt) == MODE_FIXED;
	if (pin == 0 && is_fixed && (lvt & LVT_LEVEL)) {
		vlapic_lint0_update(a);
	} else if (is_rise && !(lvt & LVT_MASKED)) {
		/* LINT1 is always edge-triggered (SDM 3A 11.5.1) */
		vlapic_deliver(a, (u32)field_get(LVT_MODE, lvt), (u8)lvt);
	}
}

/* SDM 3A 11.6.2.2 "Logical Destination Mode": flat: a bit per CPU; cluster: number and four bits */
static bool matches_xapic_logical(const struct vlapic *a, u32 dest)
{
	u32 ldr = a->ldr >> 24;
	switch (a->dfr >> 28) {
	case 0xf: return dest & ldr & 0xff;
	case 0: return dest == 0xff || (dest >> 4 == ldr >> 4 && (dest & ldr & 0xf));
	default: return false;
	}
}

bool vlapic_matches(const struct vlapic *a, u32 dest, bool is_logical, bool is_x2apic)
{
	if (!vlapic_is_enabled(a)) {
		return false;
	}
	if (dest == (is_x2apic ? 0xffffffff : 0xff) && !is_logical) {
		return true;
	}
	if (!is_logical) {
		return dest == a->id;
	}
	if (!vlapic_is_x2apic(a)) {
		return matches_xapic_logical(a, dest);
	}
	u32 ldr = vlapic_x2apic_ldr(a);
	return dest == 0xffffffff || (dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff));
}
