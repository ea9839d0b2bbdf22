/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A core's life besides running: reset, INIT and startup, sleep, what other CPUs send, and where its
 * interrupts come from. Knows local APIC, 8259 and the siblings' states; knows no exit and no other
 * device. Called by the run loop and the platform. Pure.
 */
#include "kernel/partition.h"
#include "lib/lib.h"
#include "log.h"
#include "x86/regs.h"

/*
 * SDM 3A table 10-1 "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT". INIT leaves
 * CD and NW of CR0 alone (its note 2): a guest's caches do not go off behind its back.
 */
static void reset_registers(struct vcpu *v)
{
	static const struct {
		enum vreg reg;
		u64 value;
	} regs[] = {
		{ VREG_EFER, 0 }, { VREG_CR2, 0 }, { VREG_CR3, 0 }, { VREG_CR4, 0 },
		{ VREG_CR8, 0 }, { VREG_RIP, 0xfff0 },
		{ VREG_RSP, 0 }, { VREG_RFLAGS, RFLAGS_FIXED1 }, { VREG_DR6, DR6_FIXED1 },
		{ VREG_DR7, DR7_FIXED1 }, { VREG_SYSENTER_CS, 0 }, { VREG_SYSENTER_ESP, 0 },
		{ VREG_SYSENTER_EIP, 0 }, { VREG_INT_SHADOW, 0 }, { VREG_NMI_BLOCKED, 0 },
	};
	static const u32 attrs[NR_SEGS] = {
		[SEG_ES] = 0x93, [SEG_CS] = 0x9b, [SEG_SS] = 0x93, [SEG_DS] = 0x93,
		[SEG_FS] = 0x93, [SEG_GS] = 0x93, [SEG_LDTR] = 0x82, [SEG_TR] = 0x8b,
	};
	v->ops->set(v, VREG_CR0, (v->ops->get(v, VREG_CR0) & (CR0_CD | CR0_NW)) | CR0_ET);
	for (u32 i = 0; i < ARRAY_SIZE(regs); i++) {
		v->ops->set(v, regs[i].reg, regs[i].value);
	}
	for (u32 i = 0; i < NR_SEGS; i++) {
		v->ops->set_seg(v, i, &(struct segment){ .limit = 0xffff, .attr = attrs[i] });
	}
	v->ops->set_seg(v, SEG_CS, &(struct segment){ .base = 0xffff0000, .limit = 0xffff,
						      .attr = attrs[SEG_CS], .sel = 0xf000 });
}

void core_reset(struct core *c)
{
	struct vcpu *v = &c->v;
	u32 signature[4];
	cpuid_emulate(&c->cpuid, 1, 0, signature);
	memset(v->regs, 0, sizeof(v->regs));
	v->regs[GPR_RDX] = signature[0]; /* SDM 3A 10.1.2 "Processor Built-In Self-Test" */
	v->pending.type = EVENT_NONE;
	v->nmi_pending = v->is_halted = false;
	v->is_dr_reset = true;
	reset_registers(v);
	vlapic_reset_by_init(&c->lapic);
}

/* Return: the flags before */
static u32 set_flags(struct core *c, u32 flags)
{
	/* Pairs with core_take_mail(): what was written before is seen with the flags */
	u32 before = __atomic_fetch_or(&c->mail.flags, flags, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&c->v.part->nr_posts, 1, __ATOMIC_SEQ_CST); /* pairs with core_sleep() */
	return before;
}

/* What tells of posts may make no exit */
void core_post(struct core *c, u32 flags)
{
	if (!(set_flags(c, flags) & ~(u32)MAIL_POSTED)) {
		c->v.part->host->poke(&c->v);
	}
}

static bool has_posts(const struct core *c)
{
	u32 any = 0;
	for (u32 i = 0; i < ARRAY_SIZE(c->mail.posted); i++) {
		any |= __atomic_load_n(&c->mail.posted[i], __ATOMIC_SEQ_CST);
	}
	return any;
}

/*
 * Told by another sender, the CPU may have taken it before we tell: then there is nothing to tell. A useless interrupt
 * would do no harm, but on Bochs 3.0, which gives its guest vector 255 if nothing is posted.
 */
static void post(struct core *c, u32 *posted, u32 bit)
{
	__atomic_fetch_add(&c->mail.nr_posting, 1, __ATOMIC_SEQ_CST); /* pairs with await_posters() */
	__atomic_fetch_or(posted, bit, __ATOMIC_SEQ_CST);
	while (has_posts(c)) {
		if (set_flags(c, MAIL_POSTED) & MAIL_POSTED) {
			break; /* whose flag it is tells */
		}
		if (has_posts(c)) {
			c->v.part->host->notify(&c->v);
			break;
		}
		__atomic_fetch_and(&c->mail.flags, ~(u32)MAIL_POSTED, __ATOMIC_SEQ_CST); /* and look whether that hid one */
	}
	__atomic_fetch_sub(&c->mail.nr_posting, 1, __ATOMIC_RELEASE);
}

void core_post_vector(struct core *c, u8 vector, bool is_level)
{
	u32 bit = 1u << vector % 32, *level = &c->mail.level[vector / 32];
	if (!is_level && vlapic_needs_bit(&c->lapic, vector)) {
		post(c, &c->mail.posted[vector / 32], bit);
		return;
	}
	if (is_level) {
		__atomic_fetch_or(level, bit, __ATOMIC_RELAXED);
	} else {
		__atomic_fetch_and(level, ~bit, __ATOMIC_RELAXED);
	}
	__atomic_fetch_or(&c->mail.request[vector / 32], bit, __ATOMIC_RELEASE);
	core_post(c, MAIL_FIXED);
}

/* @level_of: which of them are level-triggered; NULL: none */
static void take_vectors(struct core *c, u32 request[8], const u32 level_of[8])
{
	for (u32 i = 0; i < ARRAY_SIZE(c->mail.request); i++) {
		u32 bits = __atomic_exchange_n(&request[i], 0, __ATOMIC_ACQUIRE);
		u32 level = level_of ? __atomic_load_n(&level_of[i], __ATOMIC_RELAXED) : 0;
		for (; bits; bits &= bits - 1) {
			u32 n = (u32)__builtin_ctz(bits);
			vlapic_accept(&c->lapic, (u8)(32 * i + n), level >> n & 1);
		}
	}
}

static void set_state(struct core *c, enum core_state s)
{
	__atomic_store_n(&c->state, s, __ATOMIC_SEQ_CST); /* pairs with core_sleep() of the siblings */
}

/* What was on its way is lost, as it is in a local APIC that INIT resets. Core 0 starts anew at once. */
static enum core_state take_init(struct core *c)
{
	for (u32 i = 0; i < ARRAY_SIZE(c->mail.request); i++) {
		__atomic_store_n(&c->mail.request[i], 0, __ATOMIC_RELAXED);
		__atomic_store_n(&c->mail.posted[i], 0, __ATOMIC_RELAXED);
	}
	__atomic_fetch_and(&c->mail.flags, ~(u32)MAIL_POSTED, __ATOMIC_SEQ_CST);
	core_reset(c);
	return c->v.id == 0 ? CORE_RUNNING : CORE_WAITING;
}

static void take_sipi(struct core *c)
{
	u32 vector = __atomic_load_n(&c->mail.sipi_vector, __ATOMIC_RELAXED);
	struct vcpu *v = &c->v;
	struct segment cs;
	v->ops->get_seg(v, SEG_CS, &cs);
	cs.sel = (u16)(vector << 8);
	cs.base = vector << PAGE_SHIFT;
	v->ops->set_seg(v, SEG_CS, &cs);
	v->ops->set(v, VREG_RIP, 0);
}

void core_take_mail(struct core *c, u32 what)
{
	/*
	 * A sibling that goes to sleep must see mail here or a running core at every moment, or it would
	 * end the partition. So the core runs until it is known whether the mail leaves it asleep.
	 */
	enum core_state s = c->state;
	set_state(c, CORE_RUNNING);
	u32 flags = __atomic_fetch_and(&c->mail.flags, ~what, __ATOMIC_SEQ_CST) & what;
	if (flags & MAIL_INIT) {
		s = take_init(c);
	}
	if (flags & MAIL_SIPI && s == CORE_WAITING) { /* else it does not matter: SDM 3A 8.4.3 */
		take_sipi(c);
		s = CORE_RUNNING;
	}
	if (flags & MAIL_FIXED) {
		take_vectors(c, c->mail.request, c->mail.level);
	}
	if (flags & MAIL_POSTED) {
		take_vectors(c, c->mail.posted, NULL);
	}
	if (flags & MAIL_DOORBELL) {
		channels_look(c->v.part);
	}
	if (flags & MAIL_FLUSH) {
		c->v.ops->flush(&c->v);
	}
	c->due_tsc = 0; /* MAIL_LOOK, or a deadline that INIT took away */
	if (flags & MAIL_NMI) {
		c->v.nmi_pending = true;
		s = s == CORE_DEAD && core_has_nmi(c) ? CORE_RUNNING : s;
	}
	if (s != CORE_RUNNING) {
		core_sleep(c, s);
	}
}

/* Mail first: who takes it runs before the mailbox is empty */
static bool all_sleep(const struct partition *p)
{
	for (u32 i = 0; i < p->nr_cores; i++) {
		if (__atomic_load_n(&p->core[i]->mail.flags, __ATOMIC_SEQ_CST) ||
		    __atomic_load_n(&p->core[i]->state, __ATOMIC_SEQ_CST) == CORE_RUNNING) {
			return false;
		}
	}
	return true;
}

/*
 * Cores are looked at one after the other: one seen asleep may have got mail from one that went to sleep
 * before it was looked at. A sender counts its message before it sleeps: with no message counted in the
 * meantime, all of them slept at one moment.
 */
void core_sleep(struct core *c, enum core_state s)
{
	struct partition *p = c->v.part;
	u32 nr_posts;
	set_state(c, s);
	do {
		nr_posts = __atomic_load_n(&p->nr_posts, __ATOMIC_SEQ_CST);
		if (!all_sleep(p)) {
			return;
		}
	} while (nr_posts != __atomic_load_n(&p->nr_posts, __ATOMIC_SEQ_CST));
	log("[%s] halted with interrupts off for ever rip=0x%lx", p->cfg->name,
	    c->v.ops->get(&c->v, VREG_RIP));
	partition_end(p, HEALTH_HALTED, "halted", 0);
}

/*
 * The 8259's output is the pin LINT0 of every local APIC; each core looks at its own. ExtINT goes first: the 8259
 * has no priority among local vectors (SDM 3A 11.8.3).
 */
int core_pending_irq(struct core *c)
{
	bool int_line = vpic_is_pending(&c->v.part->pc.pic);
	if (int_line != (c->lapic.lint & 1)) {
		vlapic_set_lint(&c->lapic, 0, int_line);
	}
	if (int_line && vlapic_takes_extint(&c->lapic)) {
		return CORE_EXTINT;
	}
	return !c->v.delivers_irqs && vlapic_has_request(&c->lapic) ? vlapic_pending(&c->lapic) : -1;
}

/* With its mode: this entry has been prepared without what waits in IRR, so that goes in at the next one */
static cold void change_hands(struct core *c)
{
	c->lapic_env.is_cpu_delivering = c->v.delivers_irqs;
	vlapic_recount(&c->lapic);
	if (core_pending_irq(c) >= 0) {
		c->v.ops->window(&c->v, false);
	}
}

void core_show_apic(struct core *c)
{
	struct apic_view view;
	u8 vector = c->v.delivers_irqs ? vlapic_take_request(&c->lapic) : 0;
	if (vector) {
		c->v.ops->request(&c->v, vector);
		return;
	}
	vlapic_look(&c->lapic, &view);
	c->v.ops->apic(&c->v, &view);
	if (c->v.delivers_irqs != c->lapic_env.is_cpu_delivering) {
		change_hands(c);
	}
}

/* Spurious if a sibling was quicker */
u8 core_ack_irq(struct core *c, int pending)
{
	struct partition *p = c->v.part;
	if (pending != CORE_EXTINT) {
		vlapic_serve(&c->lapic, (u8)pending);
		return (u8)pending;
	}
	pc_lock(p);
	u8 vector = vpic_ack(&p->pc.pic);
	pc_unlock(p);
	return vector;
}

/* A second NMI does not end a HLT within the handler of the first: SDM 3A 6.7.1 */
bool core_has_nmi(struct core *c)
{
	return (c->v.nmi_pending || c->lapic.nmi_pending) && !c->v.ops->get(&c->v, VREG_NMI_BLOCKED);
}

static bool wakes(struct core *c)
{
	if (c->v.pending.type != EVENT_NONE || core_has_nmi(c)) {
		return true;
	}
	return c->state == CORE_RUNNING &&
	       (core_pending_irq(c) >= 0 || (c->v.delivers_irqs && vlapic_pending(&c->lapic) >= 0));
}

bool core_is_runnable(struct core *c)
{
	if (c->is_dying) {
		return true; /* for its post-mortem */
	}
	if (core_has_mail(c)) {
		core_take_mail(c, MAIL_ALL);
	}
	if (c->state == CORE_WAITING || core_is_parked(c)) {
		return false;
	}
	if (c->v.is_halted && wakes(c)) {
		c->v.is_halted = false;
		set_state(c, CORE_RUNNING);
	}
	return !c->v.is_halted;
}
