// SPDX-License-Identifier: BSD-2-Clause
/*
 * Virtual local APIC, delivery: which vectors wait, which may interrupt, what an EOI ends. Knows
 * IRR, ISR, TMR, priorities, destinations and errors; registers as a guest sees them are in
 * vlapic_regs.c, time in vlapic_timer.c. Called by the platform and by those two.
 */
#include "devices/vlapic_impl.h"

/* @first: REG_ISR, REG_TMR or REG_IRR, of 256 bits each */
static void vec_set(struct vlapic *a, u32 first, u8 vector, bool is_set)
{
	u32 *word = &a->reg[first + vector / 32], bit = 1u << vector % 32;

	*word = is_set ? *word | bit : *word & ~bit;
}

static int vec_highest(const struct vlapic *a, u32 first)
{
	for (int i = 7; i >= 0; i--) {
		u32 word = a->reg[first + (u32)i];

		if (word) {
			return i * 32 + 31 - __builtin_clz(word);
		}
	}
	return -1;
}

/* SDM 3A 11.4.7.1 "Local APIC State After Power-Up or Reset" */
void vlapic_init(struct vlapic *a, const struct vlapic_env *env, u32 id, bool is_bsp,
		 bool has_x2apic)
{
	*a = (struct vlapic){
		.env = env,
		.apic_base = VLAPIC_BASE | APIC_BASE_EN | (is_bsp ? APIC_BASE_BSP : 0),
		.id = id,
		.reg = { [REG_VERSION] = VLAPIC_VERSION, [REG_DFR] = 0xffffffff, [REG_SVR] = 0xff,
			 [REG_LVT ... REG_LVT + NR_LVTS - 1] = LVT_MASKED },
		.has_x2apic = has_x2apic,
		.timer_expiry_ns = NEVER,
	};
}

void vlapic_set_virtual_wire(struct vlapic *a)
{
	a->reg[REG_SVR] = SVR_ENABLE | 0x0f;
	a->reg[REG_LVT + LVT_LINT0] = MODE_EXTINT << 8;
	a->reg[REG_LVT + LVT_LINT1] = MODE_NMI << 8;
}

/* SDM 3A 11.8.3.1 "Task and Processor Priorities" */
u8 vlapic_ppr(const struct vlapic *a)
{
	int in_service = vec_highest(a, REG_ISR);
	u32 class = in_service < 0 ? 0 : (u32)in_service & 0xf0, tpr = a->reg[REG_TPR];

	return (u8)((tpr & 0xf0) >= class ? tpr : class);
}

u64 vlapic_cr8(const struct vlapic *a)
{
	return a->reg[REG_TPR] >> 4;
}

void vlapic_set_cr8(struct vlapic *a, u64 cr8)
{
	a->reg[REG_TPR] = (u32)(cr8 & 0xf) << 4;
}

int vlapic_pending(const struct vlapic *a)
{
	int vector = vec_highest(a, REG_IRR);

	return vlapic_is_enabled(a) && (vector & ~0xf) > (vlapic_ppr(a) & 0xf0) ? vector : -1;
}

void vlapic_ack(struct vlapic *a, u8 vector)
{
	vec_set(a, REG_IRR, vector, false);
	vec_set(a, REG_ISR, vector, true);
}

static void set_pending(struct vlapic *a, u8 vector, bool is_level)
{
	vec_set(a, REG_TMR, vector, is_level);
	vec_set(a, REG_IRR, vector, true);
}

/* SDM 3A 11.5.3 "Error Handling". An illegal vector in LVT error is one more error, not a loop. */
void vlapic_error(struct vlapic *a, u32 bit)
{
	u32 lvt = a->reg[REG_LVT + LVT_ERROR];
	bool is_silent = (a->esr_pending & bit) || (lvt & LVT_MASKED);

	a->esr_pending |= bit;
	if (is_silent) {
		return;
	}
	if ((u8)lvt < 16) {
		a->esr_pending |= ESR_RECV_ILLEGAL;
	} else {
		set_pending(a, (u8)lvt, false);
	}
}

/* Disabled by software it takes no new interrupt; what IRR holds stays (SDM 3A 11.4.7.2) */
void vlapic_accept(struct vlapic *a, u8 vector, bool is_level)
{
	if (!vlapic_is_enabled(a) || !(a->reg[REG_SVR] & SVR_ENABLE)) {
		return;
	}
	if (vector < 16) {
		vlapic_error(a, ESR_RECV_ILLEGAL);
	} else {
		set_pending(a, vector, is_level);
	}
}

void vlapic_eoi(struct vlapic *a)
{
	int vector = vec_highest(a, REG_ISR);

	if (vector < 0) {
		return;
	}
	vec_set(a, REG_ISR, (u8)vector, false);
	if (a->reg[REG_TMR + vector / 32] >> vector % 32 & 1) {
		a->env->eoi_broadcast(a->env->ctx, (u8)vector);
	}
}

/* Globally disabled, LINT0 is the INTR pin of a CPU without APIC (SDM 3A 11.4.3) */
bool vlapic_takes_extint(const struct vlapic *a)
{
	u32 lint0 = a->reg[REG_LVT + LVT_LINT0];

	return !vlapic_is_enabled(a) ||
	       (!(lint0 & LVT_MASKED) && field_get(LVT_MODE, lint0) == MODE_EXTINT);
}

/*
 * SDM 3A 11.6.2.2 "Logical Destination Mode": a set of CPUs below the number of their cluster, four
 * bits, 16 in x2APIC mode; the flat model has eight and no clusters.
 */
bool vlapic_matches(const struct vlapic *a, u32 dest, bool is_logical, bool is_x2apic)
{
	bool is_all = dest == (is_x2apic ? 0xffffffff : 0xff), is_ours = vlapic_is_x2apic(a);
	u32 id = vlapic_logical_id(a) >> (is_ours ? 0 : 24);
	u32 set_bits = is_ours ? 16 : a->reg[REG_DFR] >> 28 == 0xf ? 8 : 4;
	bool is_in_set = dest >> set_bits == id >> set_bits && (dest & id & (BIT(set_bits) - 1));

	return vlapic_is_enabled(a) && (is_all || (is_logical ? is_in_set : dest == a->id));
}
