/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small guest (apic_trial_guest.S) does with its local APIC what guests do, and each exit must be the next one of a
 * table here: so must all that makes none. Knows vcpu_ops and the layout of the APIC's page, no vendor and no partition.
 * Called once, at boot. Pure.
 */
#include "kernel/apic_trial.h"
#include "devices/vlapic.h"
#include "drivers/lapic.h"
#include "kernel/birth.h"
#include "lib/lib.h"
#include "log.h"

enum { APIC_VERSION = 0x30, APIC_EOI = 0xb0, APIC_ISR = 0x100, APIC_TMR = 0x180, APIC_IRR = 0x200, APIC_ICR = 0x300,
       APIC_LVT_TIMER = 0x320, APIC_CURRENT_COUNT = 0x390 };

#define VERSION	       0x00050014
#define ICR_PENDING    BIT(12) /* delivery status: VT-x clears it, AVIC may not */
#define COUNT_READ_LEN 6       /* MOV EAX, [EBX + disp32] */
#define MAX_FOREIGN    1000    /* exits that the guest has no part in */

enum check { CHECK_NOTHING, CHECK_GPR, CHECK_REG };

/* @what: port, register or vector of the exit. @where, @value: what must be so at it. @request: what comes then. */
struct row {
	enum exit_kind kind;
	u16 what;
	enum check check;
	u16 where;
	u32 value;
	enum { REQUEST_NONE, REQUEST_LEVEL, REQUEST_EDGE } request;
};

static const struct row rows[] = {
	{ EXIT_PIO, 1, CHECK_GPR, GPR_RAX, VERSION, 0 },	     /* it is read in the page */
	{ EXIT_PIO, 2, CHECK_GPR, GPR_RAX, TRIAL_TPR, 0 },
	{ EXIT_PIO, 3, CHECK_GPR, GPR_RSI, 1, 0 },		     /* the guest has interrupted itself, and ended that */
	{ EXIT_APIC_WRITE, APIC_ICR, CHECK_REG, APIC_ICR, TRIAL_ICR, 0 },
	{ EXIT_PIO, 4, 0, 0, 0, 0 },				     /* the write exited behind itself */
	{ EXIT_APIC_WRITE, APIC_LVT_TIMER, CHECK_REG, APIC_LVT_TIMER, TRIAL_LVT, 0 },
	{ EXIT_MMIO, APIC_CURRENT_COUNT, 0, 0, 0, 0 },		     /* before it */
	{ EXIT_PIO, 5, 0, 0, 0, REQUEST_LEVEL },
	{ EXIT_PIO, 6, CHECK_GPR, GPR_RDI, 0, 0 },		     /* IF is 0 */
	{ EXIT_EOI, TRIAL_HOST_VECTOR, CHECK_GPR, GPR_RDI, 1, 0 },   /* of a level */
	{ EXIT_PIO, 7, CHECK_GPR, GPR_RDI, 1, REQUEST_EDGE },
	{ EXIT_PIO, 8, CHECK_GPR, GPR_RDI, 1, 0 },		     /* TPR keeps it back */
	{ EXIT_PIO, 9, CHECK_GPR, GPR_RDI, 2, 0 },		     /* the write of TPR let it in */
};

struct trial {
	struct vcpu *v;
	struct vlapic_page *apic;
	const struct apic_trial_env *env;
};

static u32 *reg(const struct trial *t, u32 offset)
{
	return &t->apic->reg[offset / 16].value;
}

static void put_bit(const struct trial *t, u32 bank, u8 vector, bool is_on)
{
	u32 *word = reg(t, bank + vector / 32 * 16), bit = 1u << vector % 32;
	*word = is_on ? *word | bit : *word & ~bit;
}

static void request(const struct trial *t, bool is_level)
{
	const u8 vector = TRIAL_HOST_VECTOR;
	struct apic_view view = { .mode = APIC_XAPIC, .requested = vector };
	put_bit(t, APIC_TMR, vector, is_level);
	put_bit(t, APIC_IRR, vector, true);
	view.level[vector / 32] = is_level ? 1u << vector % 32 : 0;
	t->v->ops->apic(t->v, &view);
}

/* The next exit of the guest's own; whatever comes of the host meanwhile is taken */
static struct exit *enter(const struct trial *t)
{
	struct exit *e = &t->v->exits[0];
	for (u32 n = 0; n < MAX_FOREIGN; n++) {
		t->v->ops->enter(t->v, e);
		if (e->kind == EXIT_INTERRUPT) {
			t->env->host_irq(e->vector);
		} else if (e->kind != EXIT_TIMER && e->kind != EXIT_NMI) {
			break;
		}
	}
	return e;
}

/* AVIC may leave it to software to take a level-triggered vector out of service (svm/avic.c) */
static void end_level(const struct trial *t, struct exit *e)
{
	if (e->kind == EXIT_APIC_WRITE && e->apic_offset == APIC_EOI) {
		put_bit(t, APIC_ISR, TRIAL_HOST_VECTOR, false);
		e->kind = EXIT_EOI;
		e->vector = TRIAL_HOST_VECTOR;
	}
}

static bool is_exit(const struct exit *e, const struct row *r)
{
	if (e->kind != r->kind || e->vectoring.type != EVENT_NONE) {
		return false;
	}
	switch (e->kind) {
	case EXIT_PIO: return e->pio.port == r->what;
	case EXIT_APIC_WRITE: return e->apic_offset == r->what;
	case EXIT_EOI: return e->vector == r->what;
	default: return e->mmio.addr.v == VLAPIC_BASE + r->what && !e->mmio.is_write;
	}
}

static bool is_right(const struct trial *t, const struct row *r)
{
	switch (r->check) {
	case CHECK_GPR: return (u32)t->v->regs[r->where] == r->value;
	case CHECK_REG: return (*reg(t, r->where) & ~(u32)ICR_PENDING) == r->value;
	default: return true;
	}
}

static bool play(const struct trial *t, u32 step)
{
	const struct row *r = &rows[step];
	struct exit *e = enter(t);
	end_level(t, e);
	if (!is_exit(e, r) || !is_right(t, r)) {
		log("apic trial=failed step=%u exit=%u reason=0x%x info=0x%lx,0x%lx rip=0x%lx", step, e->kind, e->reason,
		    e->info[0], e->info[1], e->rip);
		return false;
	}
	if (e->kind == EXIT_PIO || e->kind == EXIT_MMIO) {
		t->v->ops->skip(t->v, e->rip, e->kind == EXIT_PIO ? e->insn_len : COUNT_READ_LEN);
	}
	if (r->request) {
		request(t, r->request == REQUEST_LEVEL);
	}
	return true;
}

/* Where the pages are: the guest's, its APIC's, the one that accesses to it go to, and what nobody posts to */
enum { PAGE_GUEST, PAGE_APIC, PAGE_ACCESS, PAGE_POSTS, NR_TRIAL_PAGES };

static hpa page_at(hpa first, u32 n)
{
	return HPA(first.v + n * PAGE_SIZE);
}

static bool map(const struct apic_trial_env *env, struct pt *space, hpa pages)
{
	return pt_init(space, env->space_format, env->pages, PAGE_SIZE) == STATUS_OK &&
	       pt_map(space, 0, page_at(pages, PAGE_GUEST), PAGE_SIZE, PT_R | PT_W | PT_X) == STATUS_OK &&
	       pt_map(space, VLAPIC_BASE, page_at(pages, PAGE_ACCESS), PAGE_SIZE, PT_R | PT_W) == STATUS_OK;
}

static void set_entry(struct vcpu *v)
{
	const struct guest_entry at = { .mode = ENTRY_PROTECTED, .rip = TRIAL_ENTRY, .rsp = PAGE_SIZE, .cs = TRIAL_CS,
					.ds = TRIAL_DS, .gdt = GPA(TRIAL_GDT), .gdt_limit = TRIAL_DS + 7,
					.gpr = { [GPR_RBX] = VLAPIC_BASE } };
	birth_set_entry(v, &at);
	v->ops->set_seg(v, SEG_IDTR, &(struct segment){ .limit = TRIAL_GDT - 1 });
}

static bool make(const struct apic_trial_env *env, struct trial *t)
{
	struct page_source *pages = env->pages;
	struct pt space;
	hpa at = pages->alloc(pages, NR_TRIAL_PAGES);
	if (!at.v || !map(env, &space, at)) {
		return false;
	}
	const struct vcpu_params params = { .second_level = space.root, .with_apic = space.root, .pages = pages, .tag = 1,
					    .apic_page = page_at(at, PAGE_APIC), .apic_access = page_at(at, PAGE_ACCESS),
					    .posts = page_at(at, PAGE_POSTS), .post_vector = HOST_VEC_POSTED,
					    .apic_base = GPA(VLAPIC_BASE) };
	memcpy(pages->ptr(pages, page_at(at, PAGE_GUEST)), apic_trial_guest,
	       (size_t)(apic_trial_guest_end - apic_trial_guest));
	t->apic = pages->ptr(pages, params.apic_page);
	*reg(t, APIC_VERSION) = VERSION;
	if (t->v->ops->vcpu_init(t->v, &params) != STATUS_OK) {
		return false;
	}
	set_entry(t->v);
	return true;
}

enum apic_trial apic_trial(const struct apic_trial_env *env)
{
	static struct vcpu v;
	static const bool is_wanted = true;
	struct trial t = { .v = &v, .env = env };
	v = (struct vcpu){ .ops = env->ops, .deadline_tsc = NEVER, .is_wanted = &is_wanted };
	if (!env->ops->apic) {
		return APIC_TRIAL_NEEDLESS;
	}
	if (!make(env, &t)) {
		log("apic trial=failed out of memory");
		return APIC_TRIAL_FAILED;
	}
	v.ops->apic(&v, &(struct apic_view){ .mode = APIC_XAPIC });
	if (!v.delivers_irqs) {
		return APIC_TRIAL_NEEDLESS;
	}
	u32 step = 0;
	v.ops->load(&v);
	while (step < ARRAY_SIZE(rows) && play(&t, step)) {
		step++;
	}
	v.ops->put(&v);
	if (step < ARRAY_SIZE(rows)) {
		return APIC_TRIAL_FAILED;
	}
	log("apic trial=passed steps=%u", step);
	return APIC_TRIAL_PASSED;
}
