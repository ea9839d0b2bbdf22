// SPDX-License-Identifier: BSD-2-Clause
/*
 * Virtual local APIC, delivery: which vectors wait, which may interrupt, what an EOI ends. Knows
 * IRR, ISR, TMR, priorities, destinations and errors; registers as a guest sees them are in
 * vlapic_regs.c, time in vlapic_timer.c. Called by the platform and by those two.
 */
#include "devices/vlapic_impl.h"

static u32 vec_get(const struct vlapic *a, u32 first, u8 vector)
{
	return a->page.reg[first + vector / 32].value >> vector % 32 & 1;
}

/* @first: REG_ISR, REG_TMR or REG_IRR, of 256 bits each, with eight for words in use */
static always_inline void vec_set(struct vlapic *a, u32 first, u8 vector, bool is_set)
{
	u32 *word = &a->page.reg[first + vector / 32].value, bit = 1u << vector % 32;
	u8 *used = &a->used_words[(first - REG_ISR) / 8], used_bit = (u8)(1u << vector / 32);

	*word = is_set ? *word | bit : *word & ~bit;
	if (a->env->is_cpu_delivering && first == REG_IRR && is_set) {
		vlapic_requested(a, vector);
	} else if (a->env->is_cpu_delivering) {
		vlapic_changed(a);
	} else {
		*used = *word ? *used | used_bit : *used & ~used_bit;
	}
}

/* Other CPUs ask too, so a word may have become empty since its bit in used_words was read */
static always_inline int vec_highest(const struct vlapic *a, u32 first)
{
	u32 used = a->env->is_cpu_delivering ?
			   0xff :
			   __atomic_load_n(&a->used_words[(first - REG_ISR) / 8], __ATOMIC_RELAXED);

	while (used) {
		u32 top = 31 - (u32)__builtin_clz(used);
		u32 word = __atomic_load_n(&a->page.reg[first + top].value, __ATOMIC_RELAXED);

		if (word) {
			return (int)(top * 32) + 31 - __builtin_clz(word);
		}
		used &= ~(1u << top);
	}
	return -1;
}

/* Bits 7:4 of the highest vector, the class of its priority */
static u32 vec_class(const struct vlapic *a, u32 first)
{
	int vector = vec_highest(a, first);

	return vector < 0 ? 0 : (u32)vector & 0xf0;
}

/*
 * SDM 3A 11.4.7.1 "Local APIC State After Power-Up or Reset". ID and APIC_BASE stay, untouched even
 * for a moment: another CPU may just ask for them. So do the pins' levels, and the CPU's own NMI.
 */
void vlapic_reset(struct vlapic *a)
{
	static const u32 values[NR_REGS] = {
		[REG_VERSION] = VLAPIC_VERSION, [REG_DFR] = 0xffffffff, [REG_SVR] = 0xff,
		[REG_LVT ... REG_LVT + NR_LVTS - 1] = LVT_MASKED
	};
	for (u32 n = 0; n < NR_REGS; n++) {
		vlapic_put(a, n, values[n]);
	}
	vlapic_show_id(a);
	for (u32 i = 0; i < ARRAY_SIZE(a->used_words); i++) {
		a->used_words[i] = 0;
	}
	a->esr_pending = 0;
	a->is_error_told = false;
	a->tsc_deadline = 0;
	a->timer_expiry_ns = a->deadline_ns = NEVER;
	vlapic_changed(a);
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

/* SDM 3A 11.4.7.3 "Local APIC State After an INIT Reset", 11.12.5.1 "x2APIC States" */
void vlapic_reset_by_init(struct vlapic *a)
{
	vlapic_reset(a);
	a->nmi_pending = false;
}

void vlapic_set_virtual_wire(struct vlapic *a)
{
	vlapic_put(a, REG_SVR, SVR_ENABLE | 0x0f);
	vlapic_put(a, REG_LVT + LVT_LINT0, MODE_EXTINT << 8);
	vlapic_put(a, REG_LVT + LVT_LINT1, MODE_NMI << 8);
	vlapic_changed(a);
}

/* SDM 3A 11.8.3.1 "Task and Processor Priorities" */
u8 vlapic_ppr(const struct vlapic *a)
{
	u32 in_service = vec_class(a, REG_ISR), tpr = vlapic_tpr(a);

	return (u8)((tpr & 0xf0) >= in_service ? tpr : in_service);
}

/* The greatest of the three, by class; only TPR has low bits (SDM 3A 11.6.2.4) */
u8 vlapic_arbitration_priority(const struct vlapic *a)
{
	u32 requested = vec_class(a, REG_IRR), in_service = vec_class(a, REG_ISR);
	u32 tpr = vlapic_tpr(a), class = tpr & 0xf0;

	return (u8)(class >= requested && class > in_service ? tpr : MAX(requested, in_service));
}

bool vlapic_is_focus(const struct vlapic *a, u8 vector)
{
	return !(a->reg[REG_SVR] & SVR_NO_FOCUS) &&
	       (vec_get(a, REG_IRR, vector) | vec_get(a, REG_ISR, vector));
}

u64 vlapic_cr8(const struct vlapic *a)
{
	return vlapic_tpr(a) >> 4;
}

void vlapic_set_cr8(struct vlapic *a, u64 cr8)
{
	a->page.reg[REG_TPR].value = (u32)(cr8 & 0xf) << 4;
}

int vlapic_pending(const struct vlapic *a)
{
	int vector = vec_highest(a, REG_IRR);

	if (vector < 0 || !vlapic_is_enabled(a)) {
		return -1;
	}
	return (vector & ~0xf) > (vlapic_ppr(a) & 0xf0) ? vector : -1;
}

u8 vlapic_ack(struct vlapic *a)
{
	int vector = vlapic_pending(a);

	if (vector < 0) {
		return (u8)a->reg[REG_SVR]; /* does not touch ISR: no EOI will come */
	}
	vlapic_serve(a, (u8)vector);
	return (u8)vector;
}

void vlapic_serve(struct vlapic *a, u8 vector)
{
	vec_set(a, REG_IRR, vector, false);
	vec_set(a, REG_ISR, vector, true);
}

/* A vector that was an edge is now a level, or the reverse: rare */
static cold void set_level(struct vlapic *a, u8 vector, bool is_level)
{
	vec_set(a, REG_TMR, vector, is_level);
}

static void set_pending(struct vlapic *a, u8 vector, bool is_level)
{
	if (vec_get(a, REG_TMR, vector) != is_level) {
		set_level(a, vector, is_level);
	}
	vec_set(a, REG_IRR, vector, true);
}

/*
 * SDM 3A 11.5.3 "Error Handling": one interrupt, then none until ESR is written. An illegal vector
 * in LVT error is one more error, not a loop.
 */
void vlapic_error(struct vlapic *a, u32 bit)
{
	u32 lvt = a->reg[REG_LVT + LVT_ERROR];

	a->esr_pending |= bit;
	if (a->is_error_told || (lvt & LVT_MASKED)) {
		return;
	}
	a->is_error_told = true;
	if ((u8)lvt < 16) {
		a->esr_pending |= ESR_RECV_ILLEGAL;
	} else {
		set_pending(a, (u8)lvt, false);
	}
}

/* Disabled by software it takes no new interrupt; what IRR holds stays (SDM 3A 11.4.7.2) */
bool vlapic_is_on(const struct vlapic *a)
{
	return vlapic_is_enabled(a) && (a->reg[REG_SVR] & SVR_ENABLE);
}

bool vlapic_needs_bit(const struct vlapic *a, u8 vector)
{
	return vlapic_is_on(a) && vector >= 16 && !vec_get(a, REG_TMR, vector);
}

void vlapic_accept(struct vlapic *a, u8 vector, bool is_level)
{
	if (!vlapic_is_on(a)) {
		return;
	}
	if (vector < 16) {
		vlapic_error(a, ESR_RECV_ILLEGAL);
	} else {
		set_pending(a, vector, is_level);
	}
}

static void remote_irr_set(struct vlapic *a, bool is_set)
{
	u32 lvt = a->reg[REG_LVT + LVT_LINT0];

	vlapic_put(a, REG_LVT + LVT_LINT0, is_set ? lvt | LVT_REMOTE : lvt & ~(u32)LVT_REMOTE);
}

void vlapic_eoi_done(struct vlapic *a, u8 vector)
{
	if (vec_get(a, REG_TMR, vector)) {
		if ((u8)a->reg[REG_LVT + LVT_LINT0] == vector) {
			remote_irr_set(a, false);
		}
		a->env->eoi_broadcast(a->env->ctx, vector);
		vlapic_lint_changed(a);
	}
}

void vlapic_eoi(struct vlapic *a)
{
	int vector = vec_highest(a, REG_ISR);

	if (vector >= 0) {
		vec_set(a, REG_ISR, (u8)vector, false);
		vlapic_eoi_done(a, (u8)vector);
	}
}

static enum apic_mode mode_of(const struct vlapic *a)
{
	return !vlapic_is_on(a) ? APIC_OFF : vlapic_is_x2apic(a) ? APIC_X2APIC : APIC_XAPIC;
}

/* A request that waits for an EOI needs no eye on TPR: the EOI exits, if the CPU does not deliver itself */
void vlapic_look(struct vlapic *a, struct apic_view *view)
{
	u32 requested = vec_class(a, REG_IRR), in_service = vec_class(a, REG_ISR);
	bool is_blocked = requested > in_service && requested <= (vlapic_tpr(a) & 0xf0);

	view->mode = mode_of(a);
	view->blocked_class = is_blocked && vlapic_is_enabled(a) ? (u8)requested : 0;
	view->requested = (u8)MAX(vec_highest(a, REG_IRR), 0);
	view->in_service = (u8)MAX(vec_highest(a, REG_ISR), 0);
	for (u32 i = 0; i < ARRAY_SIZE(view->level); i++) {
		view->level[i] = a->page.reg[REG_TMR + i].value;
	}
	if (a->env->is_cpu_delivering) {
		a->used_words[2] = a->requested = 0;
	} else if (!a->page.reg[REG_IRR].value) {
		a->used_words[2] &= (u8)~1u; /* of vlapic_changed() */
	}
}

/* Another CPU that asks for a priority meanwhile may find it too low: that only chooses among targets */
void vlapic_recount(struct vlapic *a)
{
	a->requested = 0;
	for (u32 i = 0; i < ARRAY_SIZE(a->used_words); i++) {
		u32 used = 0;

		for (u32 w = 0; w < 8 && !a->env->is_cpu_delivering; w++) {
			used |= a->page.reg[REG_ISR + 8 * i + w].value ? 1u << w : 0;
		}
		a->used_words[i] = (u8)used;
	}
}

/* Only what is fixed can be level-triggered, LINT1 not at all (SDM 3A 11.5.1, "Trigger Mode") */
static bool is_level(u32 pin, u32 lvt)
{
	return pin == 0 && (lvt & (LVT_LEVEL | LVT_MODE)) == LVT_LEVEL;
}

static void lint_deliver(struct vlapic *a, u32 pin)
{
	u32 lvt = a->reg[REG_LVT + LVT_LINT0 + pin];

	if (field_get(LVT_MODE, lvt) == MODE_NMI) {
		a->nmi_pending = true;
	} else if (field_get(LVT_MODE, lvt) == MODE_FIXED) {
		if (is_level(pin, lvt)) {
			remote_irr_set(a, true);
		}
		vlapic_accept(a, (u8)lvt, is_level(pin, lvt));
	}
}

/* LINT0 or its LVT entry has changed, or an EOI has come: a level interrupts once for each EOI */
void vlapic_lint_changed(struct vlapic *a)
{
	u32 lvt = a->reg[REG_LVT + LVT_LINT0];

	if (!is_level(0, lvt)) {
		remote_irr_set(a, false);
	} else if ((a->lint & 1) && !(lvt & (LVT_MASKED | LVT_REMOTE))) {
		lint_deliver(a, 0);
	}
}

/* Globally disabled, the pins are INTR and NMI of a CPU without APIC (SDM 3A 11.4.3) */
void vlapic_set_lint(struct vlapic *a, u32 pin, bool level)
{
	u32 lvt = a->reg[REG_LVT + LVT_LINT0 + pin];
	u8 bit = (u8)(1u << pin), was = a->lint;

	a->lint = level ? was | bit : was & ~bit;
	if (!(a->lint & ~was)) {
		return;
	}
	if (!vlapic_is_enabled(a)) {
		a->nmi_pending |= pin == 1;
	} else if (is_level(pin, lvt)) {
		vlapic_lint_changed(a);
	} else if (!(lvt & LVT_MASKED)) {
		lint_deliver(a, pin);
	}
}

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
