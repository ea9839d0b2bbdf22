/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A partition's life up to its first instruction: scrub, reset, load, in short steps. Knows every step's
 * order and nothing of how a step works. Pure: hardware is reached through vcpu_ops and struct host.
 */
#include "kernel/birth.h"
#include "kernel/partition.h"
#include "lib/lib.h"
#include "log.h"
#include "x86/regs.h"

#define FXSAVE_FCW   0 /* SDM 1 10.5.1 "FXSAVE Area" */
#define FXSAVE_MXCSR 24
#define FCW_INIT     0x37f
#define MXCSR_INIT   0x1f80

static void set_flat_segments(struct vcpu *v, const struct guest_entry *g)
{
	const u32 code = 0xb | SEG_S | SEG_P | SEG_G | (g->mode == ENTRY_LONG ? SEG_L : SEG_DB);
	const struct segment cs = { .limit = UINT32_MAX, .attr = code, .sel = g->cs };
	const struct segment ds = { .limit = UINT32_MAX,
				    .attr = 0x3 | SEG_S | SEG_P | SEG_G | SEG_DB,
				    .sel = g->ds };
	const struct segment gdtr = { .base = g->gdt.v, .limit = g->gdt_limit };
	const enum seg data[] = { SEG_DS, SEG_ES, SEG_SS, SEG_FS, SEG_GS };
	v->ops->set_seg(v, SEG_CS, &cs);
	for (u32 i = 0; i < ARRAY_SIZE(data); i++) {
		v->ops->set_seg(v, data[i], &ds);
	}
	v->ops->set_seg(v, SEG_GDTR, &gdtr);
}

static void set_real_segments(struct vcpu *v, const struct guest_entry *g)
{
	struct segment s;
	const enum seg all[] = { SEG_CS, SEG_DS, SEG_ES, SEG_SS, SEG_FS, SEG_GS };
	for (u32 i = 0; i < ARRAY_SIZE(all); i++) {
		v->ops->get_seg(v, all[i], &s);
		s.sel = all[i] == SEG_CS ? g->cs : g->ds;
		s.base = (u64)s.sel << 4;
		v->ops->set_seg(v, all[i], &s);
	}
}

void birth_set_entry(struct vcpu *v, const struct guest_entry *g)
{
	memcpy(v->regs, g->gpr, sizeof(v->regs));
	v->ops->set(v, VREG_RIP, g->rip);
	v->ops->set(v, VREG_RSP, g->rsp);
	v->ops->set(v, VREG_RFLAGS, RFLAGS_FIXED1);
	if (g->mode == ENTRY_REAL) {
		v->ops->set(v, VREG_CR0, CR0_ET);
		set_real_segments(v, g);
		return;
	}
	u64 cr0 = CR0_PE | CR0_ET | CR0_NE;
	if (g->mode == ENTRY_LONG) {
		v->ops->set(v, VREG_CR3, g->cr3);
		v->ops->set(v, VREG_CR4, CR4_PAE);
		v->ops->set(v, VREG_EFER, EFER_LME);
		cr0 |= CR0_PG;
	}
	v->ops->set(v, VREG_CR0, cr0);
	set_flat_segments(v, g);
}

/* Initial XSAVE image: all components in their init state, MXCSR and FCW explicit (SDM 1 13.6, 13.8) */
static void init_fpu(struct vcpu *v)
{
	memset(v->xsave, 0, v->part->xsave_len);
	*(u16 *)((u8 *)v->xsave + FXSAVE_FCW) = FCW_INIT;
	*(u32 *)((u8 *)v->xsave + FXSAVE_MXCSR) = MXCSR_INIT;
	v->xcr0 = XCR0_X87;
}

static void init_cpuid(struct core *c)
{
	struct partition *p = c->v.part;
	u32 basic[4], extended[4];
	p->host->cpuid(0, 0, basic);
	p->host->cpuid(0x80000000, 0, extended);
	c->cpuid = (struct cpuid_env){ .policy = p->policy, .host = p->host->cpuid, .apic_id = c->v.id,
				       .max_basic = basic[0], .max_extended = extended[0],
				       .nr_vcpus = p->nr_cores,
				       .tsc_hz = p->host->time.tsc_hz,
				       .has_tsc_deadline = true, .has_x2apic = !c->v.ops->only_xapic };
	cpuid_prepare(&c->cpuid);
	c->msr = (struct msr_env){ .v = &c->v, .state = &c->msrs, .apic = &c->lapic, .cpuid = &c->cpuid,
				   .tsc = p->host->tsc };
}

static const bool always = true; /* until the run loop says better */

static void init_vcpu(struct vcpu *v)
{
	memset(v->regs, 0, sizeof(v->regs));
	memset(v->dr, 0, sizeof(v->dr));
	memset(v->exits, 0, sizeof(v->exits));
	v->pending = (struct event){ .type = EVENT_NONE };
	v->nmi_pending = v->is_halted = v->is_dr_reset = false;
	v->nr_exits = v->entry_rsp = 0;
	v->is_wanted = &always;
	v->deadline_tsc = NEVER;
	init_fpu(v);
}

/* All but is_parked: its CPU looks at that at any time */
static const char *init_core(struct core *c)
{
	init_vcpu(&c->v);
	if (c->v.ops->vcpu_init(&c->v, &c->params) != STATUS_OK) {
		return "out of memory for the vCPU";
	}
	memset(&c->mmio, 0, sizeof(c->mmio));
	memset(&c->mail, 0, sizeof(c->mail));
	if (c->v.id == 0 && c->v.part->pc.nr_ends > 0) {
		__atomic_fetch_or(&c->mail.flags, MAIL_DOORBELL, __ATOMIC_SEQ_CST); /* a peer may have rung since channels_reset() */
	}
	memset(&c->insns, 0, sizeof(c->insns));
	c->is_dying = false;
	c->nr_pieces = 0;
	c->due_tsc = c->lapic_due_ns = c->cr4_mask = 0;
	init_cpuid(c);
	msr_state_init(&c->msrs);
	pc_init_lapic(c);
	BUG_ON(pc_attach_core(c) != STATUS_OK);
	c->state = c->v.id == 0 ? CORE_RUNNING : CORE_WAITING;
	return NULL;
}

/* Each phase: a step. Return: true if the phase is over */

static bool scrub(struct partition *p, struct birth *b)
{
	const struct mem_extent *e = &p->mem.ext[b->i];
	u64 len = MIN(BIRTH_CHUNK, e->len - b->at);
	memset((u8 *)phys_ptr(e->host) + b->at, 0, len);
	b->at += len;
	if (b->at == e->len) {
		b->at = 0;
		b->i++;
	}
	return b->i == p->mem.nr;
}

static bool prepare(struct partition *p, struct birth *b)
{
	u64 len = p->cfg->memory_mib * MIB;
	if (pc_init(p) != STATUS_OK) {
		b->why = "debug-exit meets a device of the PC";
		return true;
	}
	b->why = channels_reset(p);
	if (b->why) {
		return true;
	}
	if (p->apic_access.v) {
		memset(phys_ptr(p->apic_access), 0, PAGE_SIZE); /* page walks of the last life may have gone there */
	}
	p->files.rsdp = guest_acpi_build(&p->mem, p->nr_cores);
	p->files.plan = &b->plan;
	b->why = load_guest(&p->files, &p->mem, &b->entry);
	vrtc_set_memory(&p->pc.rtc, MIN(len, LOW_RAM_TOP), len - MIN(len, LOW_RAM_TOP));
	return true;
}

static bool copy(struct partition *p, struct birth *b)
{
	const struct load_copy *c = &b->plan.copy[b->i];
	if (b->i == b->plan.nr) {
		return true;
	}
	u64 len = MIN(BIRTH_CHUNK, c->len - b->at);
	BUG_ON(!gmem_write(&p->mem, GPA(c->addr + b->at), (const u8 *)c->data + b->at, len));
	b->at += len;
	if (b->at == c->len) {
		b->at = 0;
		b->i++;
	}
	return false;
}

static bool make_core(struct partition *p, struct birth *b)
{
	b->why = init_core(p->core[b->i++]);
	if (b->i < p->nr_cores || b->why) {
		return false;
	}
	birth_set_entry(&p->core[0]->v, &b->entry);
	return true;
}

void birth_begin(struct partition *p, enum birth_phase from)
{
	p->birth = (struct birth){ .phase = from };
	p->end = (struct partition_end){ .is_set = false };
	p->nr_parked = 0;
}

bool birth_step(struct partition *p)
{
	static bool (*const steps[BIRTH_DONE])(struct partition *, struct birth *) = {
		[BIRTH_SCRUB] = scrub, [BIRTH_DEVICES] = prepare, [BIRTH_COPY] = copy, [BIRTH_CORES] = make_core,
	};
	struct birth *b = &p->birth;
	if (b->phase < BIRTH_DONE && steps[b->phase](p, b)) {
		b->phase++;
		b->i = 0;
		b->at = 0;
	}
	return b->phase < BIRTH_DONE && !b->why;
}
