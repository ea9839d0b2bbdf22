/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cores of one partition and the PC between them: startup, interrupts from one to another, sleep, who
 * is told of what. Four cores on two CPUs, each taking its mail when the test lets it.
 */
#include "kernel/core.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "log.h"
#include "rig.h"
#include "x86/msr.h"
#include "x86/regs.h"

#define NR 4
#define ALL 0xf

/* Local APIC (SDM 3A table 11-1) and ICR (SDM 3A figure 11-12) */
enum { TPR = 0x80, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0, ISR = 0x100, TMR = 0x180, IRR = 0x200,
       ICR = 0x300, ICR2 = 0x310, LVT_TIMER = 0x320, LVT0 = 0x350, TMICT = 0x380 };
#define LOWEST	  0x100u
#define NMI	  0x400u
#define INIT	  0x500u
#define STARTUP	  0x600u
#define LOGICAL	  0x800u
#define ASSERT	  0x4000u
#define LEVEL	  0x8000u
#define TO_SELF	  0x40000u
#define TO_ALL	  0x80000u
#define TO_OTHERS 0xc0000u
#define MASKED	  0x10000u

static struct partition *part;

static struct fake *fake(u32 n)
{
	return fake_of(&part->core[n]->v);
}

static u32 lapic_read(u32 n, u32 reg)
{
	return (u32)bus_read(&part->core[n]->mmio, VLAPIC_BASE + reg, 4);
}

static void lapic_write(u32 n, u32 reg, u32 value)
{
	bus_write(&part->core[n]->mmio, VLAPIC_BASE + reg, 4, value);
}

static void send(u32 from, u32 dest, u32 icr)
{
	lapic_write(from, ICR2, dest << 24);
	lapic_write(from, ICR, icr);
}

#define NR_HANDOFFS 40000

static time_t started;

/* A core that does nothing but wake the next one by NMI and halt: often enough, or as a busy host lets it */
static void *hand_on(void *arg)
{
	struct core *c = arg, *next = part->core[(c->v.id + 1) % NR];
	u32 left = NR_HANDOFFS / NR;
	while (left && !partition_has_end(part) && time(NULL) - started < 2) {
		if (core_has_mail(c)) {
			core_take_mail(c);
			left--;
			core_post(next, MAIL_NMI);
			core_sleep(c, CORE_DEAD);
		} else {
			sched_yield();
		}
	}
	return NULL;
}

/* Which cores have mail? */
static u32 with_mail(void)
{
	u32 set = 0;
	for (u32 i = 0; i < part->nr_cores; i++) {
		set |= core_has_mail(part->core[i]) ? 1u << i : 0;
	}
	return set;
}

static void take_all(void)
{
	for (u32 i = 0; i < part->nr_cores; i++) {
		core_take_mail(part->core[i]);
	}
}

/* Which cores have @vector in @bank (ISR, TMR, IRR)? */
static u32 with_vector(u32 bank, u8 vector)
{
	u32 set = 0;
	for (u32 i = 0; i < part->nr_cores; i++) {
		set |= (lapic_read(i, bank + vector / 32 * 16) >> vector % 32 & 1) << i;
	}
	return set;
}

/* Service and end all that is requested of @n */
static void serve(u32 n)
{
	struct core *c = part->core[n];
	while (vlapic_pending(&c->lapic) >= 0) {
		vlapic_ack(&c->lapic);
		lapic_write(n, EOI, 0);
	}
}

static int setup(void **state)
{
	struct partition_config cfg = rig_config;
	(void)state;
	cfg.nr_cpus = 2;
	cfg.cpus[1] = 1;
	cfg.nr_vcpus = NR;
	static struct partition_config kept;
	kept = cfg;
	assert_null(rig_build(&kept));
	part = rig.part;
	return 0;
}

/* All cores run, their local APICs are on, flat logical IDs */
static int setup_running(void **state)
{
	setup(state);
	send(0, 0, TO_OTHERS | STARTUP | ASSERT | 0x10);
	take_all();
	for (u32 i = 0; i < NR; i++) {
		lapic_write(i, SVR, 0x1ff);
		lapic_write(i, LDR, 1u << (24 + i));
		assert_int_equal(part->core[i]->state, CORE_RUNNING);
		part->core[i]->due_tsc = NEVER; /* as the run loop does */
		part->core[i]->lapic_due_ns = part->core[i]->lapic.deadline_ns;
	}
	memset(rig.pokes, 0, sizeof(rig.pokes));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini();
	return 0;
}

/* SDM 3A 8.4.1 "BSP and AP Processors"; 8.4.3: until SIPI an AP does nothing, whatever comes */
static void application_cores_wait_for_startup(void **state)
{
	(void)state;
	assert_int_equal(part->core[0]->state, CORE_RUNNING);
	assert_true(core_is_runnable(part->core[0]));
	send(0, 0, TO_OTHERS | NMI | ASSERT);
	send(0, 0, TO_OTHERS | ASSERT | 0x40);
	for (u32 i = 1; i < NR; i++) {
		assert_false(core_is_runnable(part->core[i]));
		assert_int_equal(part->core[i]->state, CORE_WAITING);
		assert_int_equal(with_vector(IRR, 0x40), 0);
	}
	assert_false(part->end.is_set);
}

/* What a kernel would have changed since */
static void spoil(u32 n)
{
	struct vcpu *v = &part->core[n]->v;
	struct fake *f = fake(n);
	memset(v->regs, 0xa5, sizeof(v->regs));
	fake_ops.set(v, VREG_EFER, EFER_LME | EFER_NXE);
	fake_ops.set(v, VREG_CR0, CR0_PG | CR0_PE | CR0_WP | CR0_TS | CR0_ET);
	f->reg[VREG_CR2] = f->reg[VREG_CR3] = 0x1234000;
	f->reg[VREG_CR4] = CR4_PAE | CR4_PGE;
	f->reg[VREG_RIP] = f->reg[VREG_RSP] = 0xffffffff81000000;
	f->reg[VREG_RFLAGS] = RFLAGS_IF | RFLAGS_FIXED1;
	f->reg[VREG_DR6] = DR6_FIXED1 | DR6_BS;
	f->reg[VREG_DR7] = DR7_FIXED1 | 3;
	f->reg[VREG_INT_SHADOW] = f->reg[VREG_NMI_BLOCKED] = 1;
	for (u32 s = 0; s < NR_SEGS; s++) {
		f->seg[s] = (struct segment){ .base = 0x77000, .limit = 0x67, .attr = SEG_UNUSABLE, .sel = 0x18 };
	}
	v->pending.type = EVENT_EXTINT;
	v->nmi_pending = v->is_halted = true;
}

static void expect_segment(u32 n, enum seg s, u16 sel, u64 base, u32 attr)
{
	const struct segment *have = &fake(n)->seg[s];
	assert_int_equal(have->sel, sel);
	assert_int_equal(have->base, base);
	assert_int_equal(have->limit, 0xffff);
	if (s != SEG_GDTR && s != SEG_IDTR) {
		assert_int_equal(have->attr, attr);
	}
}

/* The column INIT of SDM 3A table 10-1; CS as RESET has it, or as SIPI does */
static void expect_init_state(u32 n, u16 cs, u64 cs_base, u64 rip)
{
	const struct vcpu *v = &part->core[n]->v;
	const struct fake *f = fake(n);
	static const struct {
		enum vreg reg;
		u64 value;
	} regs[] = { { VREG_RFLAGS, 2 },   { VREG_CR2, 0 },	   { VREG_CR3, 0 },	  { VREG_CR4, 0 },
		     { VREG_EFER, 0 },	   { VREG_RSP, 0 },	   { VREG_DR6, 0xffff0ff0 }, { VREG_DR7, 0x400 },
		     { VREG_INT_SHADOW, 0 }, { VREG_NMI_BLOCKED, 0 } };
	for (u32 i = 0; i < ARRAY_SIZE(regs); i++) {
		assert_int_equal(f->reg[regs[i].reg], regs[i].value);
	}
	assert_int_equal(f->reg[VREG_RIP], rip);
	for (u32 i = 0; i < NR_GPRS; i++) {
		assert_int_equal(v->regs[i], i == GPR_RDX ? 0x800f12 : 0); /* EDX: CPUID.1:EAX */
	}
	expect_segment(n, SEG_CS, cs, cs_base, 0x9b);
	const enum seg data[] = { SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS };
	for (u32 i = 0; i < ARRAY_SIZE(data); i++) {
		expect_segment(n, data[i], 0, 0, 0x93);
	}
	expect_segment(n, SEG_GDTR, 0, 0, 0);
	expect_segment(n, SEG_IDTR, 0, 0, 0);
	expect_segment(n, SEG_LDTR, 0, 0, 0x82);
	expect_segment(n, SEG_TR, 0, 0, 0x8b);
	assert_int_equal(v->pending.type, EVENT_NONE);
	assert_false(v->nmi_pending || v->is_halted);
}

/* SDM 3A 8.4.4.1 "Typical BSP Initialization Sequence": INIT, SIPI, SIPI; a SIPI starts at 000VV000H */
static void init_and_startup_start_a_core(void **state)
{
	struct core *c = part->core[2];
	(void)state;
	spoil(2);
	lapic_write(2, TPR, 0x50);
	send(0, 2, INIT | LEVEL | ASSERT);
	send(0, 2, INIT | LEVEL); /* de-assert */
	assert_int_equal(with_mail(), 1 << 2);
	assert_false(core_is_runnable(c));
	assert_int_equal(c->state, CORE_WAITING);
	expect_init_state(2, 0xf000, 0xffff0000, 0xfff0);
	assert_int_equal(lapic_read(2, TPR), 0); /* SDM 3A 11.4.7.3 */
	assert_int_equal(lapic_read(2, SVR), 0xff);
	assert_int_equal(lapic_read(2, 0x20), 2u << 24);
	send(0, 2, STARTUP | ASSERT | 0x9f);
	assert_true(core_is_runnable(c));
	assert_int_equal(c->state, CORE_RUNNING);
	expect_init_state(2, 0x9f00, 0x9f000, 0);
	fake(2)->reg[VREG_RIP] = 0x44;
	send(0, 2, STARTUP | ASSERT | 0x33); /* the second one comes to a core that runs: nothing */
	assert_true(core_is_runnable(c));
	expect_init_state(2, 0x9f00, 0x9f000, 0x44);
	assert_int_equal(rig.pokes[2], 3);
	assert_int_equal(rig.pokes[0] + rig.pokes[1] + rig.pokes[3], 0);
}

/* SDM 3A table 10-1, note 2: INIT leaves CD and NW as they are, sets ET and clears the rest */
static void init_keeps_the_cache_bits_of_cr0(void **state)
{
	(void)state;
	spoil(1);
	send(0, 1, INIT | ASSERT);
	core_take_mail(part->core[1]);
	assert_int_equal(fake(1)->reg[VREG_CR0], CR0_ET);
	fake(1)->reg[VREG_CR0] = CR0_ET | CR0_CD | CR0_NW;
	send(0, 1, INIT | ASSERT);
	core_take_mail(part->core[1]);
	assert_int_equal(fake(1)->reg[VREG_CR0], 0x60000010);
}

/* Sent one after the other, taken at once: the last word counts */
static void init_and_startup_merge_in_their_order(void **state)
{
	struct core *c = part->core[1];
	(void)state;
	send(0, 1, INIT | ASSERT);
	send(0, 1, STARTUP | ASSERT | 0x20);
	core_take_mail(c);
	expect_init_state(1, 0x2000, 0x20000, 0);
	assert_int_equal(c->state, CORE_RUNNING);
	send(0, 1, INIT | ASSERT);
	send(0, 1, STARTUP | ASSERT | 0x30);
	send(0, 1, INIT | ASSERT);
	core_take_mail(c);
	assert_int_equal(c->state, CORE_WAITING);
	send(0, 1, STARTUP | ASSERT | 0x40);
	send(0, 1, STARTUP | ASSERT | 0x41);
	core_take_mail(c);
	assert_int_equal(fake(1)->seg[SEG_CS].base, 0x41000);
}

/* SDM 3A 8.4.2: INIT makes an AP wait; the BSP begins at the reset vector */
static void init_of_a_running_core(void **state)
{
	(void)state;
	core_post_vector(part->core[1], 0x40, false); /* on its way: lost */
	send(0, 1, INIT | ASSERT);
	core_take_mail(part->core[1]);
	assert_int_equal(part->core[1]->state, CORE_WAITING);
	assert_int_equal(with_vector(IRR, 0x40), 0);
	spoil(0);
	send(2, 0, INIT | ASSERT);
	assert_true(core_is_runnable(part->core[0]));
	assert_int_equal(part->core[0]->state, CORE_RUNNING);
	expect_init_state(0, 0xf000, 0xffff0000, 0xfff0);
	assert_true(part->core[0]->v.is_dr_reset && part->core[1]->v.is_dr_reset);
	send(2, 3, INIT | LEVEL); /* de-assert: no effect since the P6 (SDM 3A 11.6.1) */
	assert_int_equal(with_mail(), 0);
}

struct route {
	u32 from, dest, icr, targets;
};

static void expect_routes(const struct route *r, u32 nr, void (*sender)(u32, u32, u32))
{
	for (u32 i = 0; i < nr; i++) {
		const u8 vector = (u8)(0x40 + i);
		sender(r[i].from, r[i].dest, r[i].icr | ASSERT | vector);
		assert_int_equal(with_mail(), r[i].targets & ~(1u << r[i].from));
		take_all();
		assert_int_equal(with_vector(IRR, vector), r[i].targets);
		assert_int_equal(with_vector(TMR, vector), 0); /* IPIs are edges */
	}
}

/* SDM 3A 11.6.2.1 "Physical Destination Mode", 11.6.2.2 "Logical Destination Mode", 11.6.2.3 */
static void fixed_messages_find_their_cores(void **state)
{
	static const struct route flat[] = {
		{ 0, 2, 0, 4 },		 { 1, 1, 0, 2 },	       { 3, 4, 0, 0 },
		{ 1, 0xff, 0, ALL },	 { 0, 5, LOGICAL, 5 },	       { 3, 0xff, LOGICAL, ALL },
		{ 3, 0xf0, LOGICAL, 0 }, { 2, 0, TO_SELF, 4 },	       { 2, 0, TO_ALL, ALL },
		{ 2, 0, TO_OTHERS, 0xb }, { 0, 1, TO_OTHERS | LOGICAL, 0xe },
	};
	static const struct route cluster[] = {
		{ 0, 0x01, LOGICAL, 1 }, { 0, 0x03, LOGICAL, 3 }, { 0, 0x13, LOGICAL, 0xc },
		{ 2, 0x12, LOGICAL, 8 }, { 2, 0x2f, LOGICAL, 0 }, { 1, 0xff, LOGICAL, ALL },
	};
	(void)state;
	expect_routes(flat, ARRAY_SIZE(flat), send);
	for (u32 i = 0; i < NR; i++) { /* two clusters of two */
		serve(i);
		lapic_write(i, DFR, 0x0fffffff);
		lapic_write(i, LDR, (i / 2) << 28 | 1u << (24 + i % 2));
	}
	expect_routes(cluster, ARRAY_SIZE(cluster), send);
}

static void send_x2(u32 from, u32 dest, u32 icr)
{
	assert_true(vlapic_wrmsr(&part->core[from]->lapic, 0x830, (u64)dest << 32 | icr));
}

static u32 requested_x2(u8 vector)
{
	u32 set = 0;
	for (u32 i = 0; i < NR; i++) {
		u64 bits;
		assert_true(vlapic_rdmsr(&part->core[i]->lapic, 0x820 + vector / 32, &bits));
		set |= (u32)(bits >> vector % 32 & 1) << i;
	}
	return set;
}

/* SDM 3A 11.12.9 "ICR Operation in x2APIC Mode", 11.12.10 "Determining IPI Destination in x2APIC Mode" */
static void x2apic_messages_find_their_cores(void **state)
{
	static const struct route x2[] = {
		{ 0, 3, 0, 8 },		       { 0, 0xff, 0, 0 },	       { 0, 0xffffffff, 0, ALL },
		{ 1, 0x00000006, LOGICAL, 6 }, { 1, 0x00010006, LOGICAL, 0 }, { 2, 0, TO_OTHERS, 0xb },
		{ 3, 0x103, 0, 0 },	       { 3, 0xffffffff, LOGICAL, ALL },
	};
	(void)state;
	for (u32 i = 0; i < NR; i++) {
		assert_true(vlapic_wrmsr(&part->core[i]->lapic, MSR_APIC_BASE,
					 part->core[i]->lapic.apic_base | BIT(10)));
	}
	for (u32 i = 0; i < ARRAY_SIZE(x2); i++) {
		send_x2(x2[i].from, x2[i].dest, x2[i].icr | (0x50 + i));
		assert_int_equal(with_mail(), x2[i].targets & ~(1u << x2[i].from));
		take_all();
		assert_int_equal(requested_x2((u8)(0x50 + i)), x2[i].targets);
	}
	assert_true(vlapic_wrmsr(&part->core[1]->lapic, 0x83f, 0x99)); /* SELF IPI */
	assert_int_equal(with_mail(), 0);
	assert_int_equal(requested_x2(0x99), 2);
}

static u32 lowest(u32 from, u32 dest, u8 vector)
{
	send(from, dest, LOWEST | LOGICAL | ASSERT | vector);
	take_all();
	return with_vector(IRR, vector);
}

/* SDM 3A 11.6.2.4 "Lowest Priority Delivery Mode" */
static void lowest_priority_goes_to_one(void **state)
{
	static const u8 tpr[NR] = { 0x30, 0x20, 0x40, 0x10 };
	(void)state;
	for (u32 i = 0; i < NR; i++) {
		lapic_write(i, TPR, tpr[i]);
	}
	assert_int_equal(lowest(0, ALL, 0x60), 8);
	assert_int_equal(lowest(0, 7, 0x68), 2);
	assert_int_equal(lowest(0, 0x10, 0x69), 0); /* nobody */
	assert_int_equal(lowest(3, ALL, 0x60), 8); /* the focus: requested already */
	assert_int_equal(lowest(3, ALL, 0x61), 1 << 0); /* core 3 and 1 have 0x60 in IRR: their APR is higher */
}

static void equal_cores_take_turns(void **state)
{
	u32 seen = 0;
	(void)state;
	for (u32 i = 0; i < NR; i++) {
		u32 set = lowest(0, ALL, 0x60);
		assert_int_equal(__builtin_popcount(set), 1);
		seen |= set;
		take_all();
		serve((u32)__builtin_ctz(set));
	}
	assert_int_equal(seen, ALL);
}

/* SDM 3A 11.4.7.2: software-disabled, it answers INIT, NMI and SIPI only. So it is no candidate. */
static void lowest_priority_avoids_an_apic_that_is_off(void **state)
{
	(void)state;
	lapic_write(1, SVR, 0xff);
	send(0, 3, INIT | ASSERT); /* and one that has it reset */
	core_take_mail(part->core[3]);
	for (u8 i = 0; i < 8; i++) {
		u32 set = lowest(0, 0xff, (u8)(0x60 + i));
		assert_true(set == 1 || set == 4);
	}
}

/* SDM 3A 11.6.1: the vector of an NMI is ignored; it waits in the CPU, not in the IRR */
static void nmi_goes_to_the_cpu(void **state)
{
	(void)state;
	send(1, 0, TO_OTHERS | NMI | ASSERT | 0x40);
	assert_int_equal(with_mail(), 0xd);
	take_all();
	for (u32 i = 0; i < NR; i++) {
		assert_int_equal(part->core[i]->v.nmi_pending, i != 1);
	}
	assert_int_equal(with_vector(IRR, 0x40), 0);
	rig_play(0, (struct exit){ .kind = EXIT_INTERRUPT });
	assert_int_equal(fake(0)->nr_injected, 1);
	assert_int_equal(fake(0)->injected[0].type, EVENT_NMI);
}

/* As an IRR merges: SDM 3A 11.8.4 "Interrupt Acceptance for Fixed Interrupts" */
static void mail_merges_pokes_once_and_is_taken_once(void **state)
{
	struct core *c = part->core[1];
	(void)state;
	for (u32 i = 0; i < 100; i++) {
		send(0, 1, ASSERT | (0x40 + i % 2 * 0x60));
	}
	core_post(c, MAIL_LOOK);
	core_post_vector(c, 0xf0, true);
	assert_int_equal(rig.pokes[1], 1);
	core_take_mail(c);
	assert_int_equal(with_mail(), 0);
	assert_int_equal(c->due_tsc, 0);
	assert_int_equal(with_vector(IRR, 0x40) & with_vector(IRR, 0xa0) & with_vector(IRR, 0xf0), 2);
	assert_int_equal(with_vector(TMR, 0xf0), 2);
	assert_int_equal(with_vector(TMR, 0x40), 0);
	serve(1);
	core_take_mail(c);
	assert_int_equal(with_vector(IRR, 0x40) | with_vector(IRR, 0xa0), 0);
	core_post_vector(c, 0xf0, false); /* the same vector may become an edge */
	core_take_mail(c);
	assert_int_equal(with_vector(TMR, 0xf0), 0);
	assert_int_equal(rig.pokes[1], 2);
	core_post(c, MAIL_FLUSH);
	core_take_mail(c);
	assert_int_equal(fake(1)->nr_flushes, 1);
}

static void ioapic_write(u32 pin, u32 dest, u32 low)
{
	const struct bus *b = &part->core[1]->mmio;
	bus_write(b, VIOAPIC_BASE, 4, 0x11 + 2 * pin);
	bus_write(b, VIOAPIC_BASE + 0x10, 4, dest << 24);
	bus_write(b, VIOAPIC_BASE, 4, 0x10 + 2 * pin);
	bus_write(b, VIOAPIC_BASE + 0x10, 4, low);
}

static u32 ioapic_read(u32 pin)
{
	bus_write(&part->core[1]->mmio, VIOAPIC_BASE, 4, 0x10 + 2 * pin);
	return (u32)bus_read(&part->core[1]->mmio, VIOAPIC_BASE + 0x10, 4);
}

/* 82093AA 3.2.4: remote IRR is set when a local APIC takes a level interrupt, and cleared by its EOI */
static void ioapic_lines_reach_several_cores(void **state)
{
	struct vioapic *io = &part->pc.ioapic;
	(void)state;
	ioapic_write(20, 0x6, LOGICAL | 0x51);
	vioapic_set_line(io, 20, true);
	assert_int_equal(with_mail(), 6);
	take_all();
	assert_int_equal(with_vector(IRR, 0x51), 6);
	ioapic_write(21, 0x9, LOGICAL | LEVEL | 0x71);
	vioapic_set_line(io, 21, true);
	take_all();
	assert_int_equal(with_vector(IRR, 0x71), 9);
	assert_int_equal(with_vector(TMR, 0x71), 9);
	assert_true(ioapic_read(21) & BIT(14));
	serve(0); /* the line is still high: once more to both */
	assert_true(ioapic_read(21) & BIT(14));
	assert_int_equal(with_mail(), 9);
	vioapic_set_line(io, 21, false);
	take_all();
	serve(0);
	serve(3);
	assert_false(ioapic_read(21) & BIT(14));
	take_all();
	assert_int_equal(with_vector(IRR, 0x71) | with_vector(ISR, 0x71), 0);
	ioapic_write(22, 2, NMI);
	vioapic_set_line(io, 22, true);
	take_all();
	assert_true(part->core[2]->v.nmi_pending);
	ioapic_write(23, 1, 0x700 | 0x33); /* ExtINT comes by LINT0 only */
	vioapic_set_line(io, 23, true);
	assert_int_equal(with_mail(), 0);
}

static void out(u32 n, u16 port, u32 value)
{
	part->core[n]->v.regs[GPR_RAX] = value;
	rig_play(n, (struct exit){ .kind = EXIT_PIO, .insn_len = 1, .pio = { .port = port, .width = 1 } });
}

/* 8259A data sheet, "Initialization Command Words": edge-triggered, vectors from 0x20, IRQ1 unmasked */
static void start_pic(void)
{
	static const u16 steps[][2] = { { 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 4 }, { 0x21, 1 }, { 0x21, 0xfd } };
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
		out(0, steps[i][0], steps[i][1]);
	}
}

/* MultiProcessor Specification 3.6.2.2 "Virtual Wire Mode", but to another core than the BSP */
static void the_8259_interrupts_whoever_takes_extint(void **state)
{
	(void)state;
	start_pic();
	lapic_write(0, LVT0, MASKED | 0x700);
	lapic_write(2, LVT0, 0x700);
	lapic_write(3, LVT0, 0x700);
	vpic_set_line(&part->pc.pic, 1, true);
	pc_touched(part->core[0]);
	assert_int_equal(with_mail(), 0xc);
	assert_int_equal(part->core[2]->mail.flags, MAIL_LOOK);
	take_all();
	assert_false(core_pending_irq(part->core[0]) >= 0);
	assert_false(core_pending_irq(part->core[1]) >= 0);
	assert_true(core_pending_irq(part->core[2]) >= 0);
	assert_true(core_pending_irq(part->core[3]) >= 0);
	u32 before = part->pc.lock.next;
	assert_int_equal(core_ack_irq(part->core[2], core_pending_irq(part->core[2])), 0x21);
	assert_int_equal(part->pc.lock.next, before + 1);
	assert_int_equal(part->pc.lock.owner, before + 1);
	assert_false(core_pending_irq(part->core[3]) >= 0); /* and if it had begun: the 8259's spurious vector */
	assert_int_equal(core_ack_irq(part->core[3], CORE_EXTINT), 0x27);
}

/*
 * The partition has halted for ever only if no core runs or has mail. A core that has taken its mail but
 * is not yet on its way runs: so it does not end when the sender halts in that moment.
 */
static void halted_cores_wake_each_other(void **state)
{
	struct core *c0 = part->core[0], *c1 = part->core[1];
	(void)state;
	core_post(c1, MAIL_SIPI);
	core_take_mail(c1);
	core_sleep(c0, CORE_DEAD);
	assert_false(part->end.is_set);
	core_sleep(c1, CORE_DEAD);
	assert_true(part->end.is_set);
	part->end.is_set = part->end.is_claimed = false;
	core_post(c1, MAIL_NMI);
	core_sleep(c0, CORE_DEAD);
	core_take_mail(c1);
	core_sleep(c0, CORE_DEAD);
	assert_false(part->end.is_set);
	core_post(c0, MAIL_NMI); /* and so the two go on */
	core_sleep(c1, CORE_DEAD);
	core_take_mail(c0);
	core_sleep(c1, CORE_DEAD);
	assert_false(part->end.is_set);
	core_post(c1, MAIL_FIXED); /* no way to wake a core whose interrupts are off */
	core_sleep(c0, CORE_DEAD);
	assert_false(part->end.is_set);
	core_take_mail(c1);
	assert_true(part->end.is_set);
}

/* HLT with IF=0: SDM 2A "HLT" wakes for NMI and INIT, and for interrupts only if they are enabled */
static void a_dead_core_is_woken_by_nmi_and_init_only(void **state)
{
	struct core *c = part->core[1];
	(void)state;
	rig_play(1, (struct exit){ .kind = EXIT_HLT, .insn_len = 1 });
	assert_int_equal(c->state, CORE_DEAD);
	assert_false(core_is_runnable(c));
	send(0, 1, ASSERT | 0x40);
	assert_false(core_is_runnable(c));
	assert_int_equal(c->state, CORE_DEAD);
	send(0, 1, NMI | ASSERT);
	assert_true(core_is_runnable(c));
	assert_int_equal(c->state, CORE_RUNNING);
	rig_play(1, (struct exit){ .kind = EXIT_HLT, .insn_len = 1 }); /* takes the NMI; then dies anew */
	assert_int_equal(fake(1)->injected[0].type, EVENT_NMI);
	assert_int_equal(c->state, CORE_DEAD);
	fake(1)->reg[VREG_NMI_BLOCKED] = 1; /* a HLT within the handler: another NMI waits for its end */
	send(0, 1, NMI | ASSERT);
	assert_false(core_is_runnable(c));
	assert_int_equal(c->state, CORE_DEAD);
	send(0, 1, INIT | ASSERT);
	assert_false(core_is_runnable(c));
	assert_int_equal(c->state, CORE_WAITING);
	assert_false(part->end.is_set);
}

static void halted_with_interrupts_on_any_message_wakes(void **state)
{
	struct core *c = part->core[1];
	(void)state;
	fake(1)->reg[VREG_RFLAGS] |= RFLAGS_IF;
	assert_true(rig_play(1, (struct exit){ .kind = EXIT_HLT, .insn_len = 1 }));
	assert_int_equal(c->state, CORE_RUNNING);
	assert_false(core_is_runnable(c));
	core_post(c, MAIL_LOOK); /* nothing to see */
	assert_false(core_is_runnable(c));
	send(3, 2, LOGICAL | ASSERT | 0x40);
	assert_true(core_is_runnable(c));
	c->is_parked = true;
	assert_false(core_is_runnable(c));
}

/* Nobody is left to send anything: not the APs that never started */
static void waiting_cores_keep_nobody_alive(void **state)
{
	(void)state;
	rig_play(0, (struct exit){ .kind = EXIT_HLT, .insn_len = 1 });
	assert_true(part->end.is_set);
	assert_string_equal(part->end.why, "halted");
	assert_non_null(strstr(rig.log, "halted with interrupts off for ever"));
}

/* 8254: counter 0, mode 2, low byte then high byte; 1.193 MHz */
static void start_pit(u32 n, u16 count)
{
	out(n, 0x43, 0x34);
	out(n, 0x40, (u8)count);
	out(n, 0x40, count >> 8);
}

static void core_0_hears_of_a_sooner_deadline(void **state)
{
	(void)state;
	pc_poll(part, partition_now_ns(part));
	u64 before = part->pc.deadline_ns;
	start_pit(1, 1193);
	assert_true(part->pc.deadline_ns < before && part->pc.deadline_ns <= 2 * NSEC_PER_MSEC);
	assert_int_equal(part->core[0]->mail.flags, MAIL_LOOK);
	assert_int_equal(with_mail(), 1);
	assert_int_equal(rig.pokes[0], 1);
	assert_int_equal(part->core[1]->due_tsc, 0);
	core_take_mail(part->core[0]);
	assert_int_equal(part->core[0]->due_tsc, 0);
	part->core[0]->due_tsc = part->core[1]->due_tsc = NEVER;
	out(1, 0x80, 0); /* moves nothing */
	out(1, 0x61, 0);
	assert_int_equal(with_mail(), 0);
	assert_int_equal(part->core[1]->due_tsc, NEVER);
	out(1, 0x43, 0x34); /* stops it: core 0 will find out when it polls */
	assert_int_equal(with_mail(), 0);
	start_pit(0, 100); /* its own doing: no mail */
	assert_int_equal(with_mail(), 0);
	assert_int_equal(part->core[0]->due_tsc, 0);
}

/* docs/locks.md: pc.deadline_ns is written under pc.lock, else an older minimum could win */
static void deadlines_move_under_the_lock(void **state)
{
	struct lock *l = &part->pc.lock;
	(void)state;
	pc_poll(part, partition_now_ns(part));
	u32 before = l->next;
	pc_touched(part->core[1]);
	assert_int_equal(l->next, before);
	part->pc.pit.deadline_ns = 1; /* as an access would leave it */
	pc_touched(part->core[1]);
	assert_int_equal(part->pc.deadline_ns, 1);
	assert_int_equal(l->next, before + 1);
	assert_int_equal(l->owner, l->next);
}

static void own_timer_is_nobody_elses_business(void **state)
{
	struct core *c = part->core[2];
	(void)state;
	pc_poll(part, partition_now_ns(part));
	lapic_write(2, 0x3e0, 0xb);
	lapic_write(2, LVT_TIMER, 0x45);
	lapic_write(2, TMICT, 1000);
	pc_touched(c);
	assert_int_equal(c->due_tsc, 0);
	assert_int_equal(with_mail(), 0);
}

static void shared_devices_are_locked_local_apics_are_not(void **state)
{
	struct lock *l = &part->pc.lock;
	const struct bus *mmio = &part->core[2]->mmio;
	(void)state;
	u32 n = l->next;
	lapic_read(2, TPR);
	lapic_write(2, TPR, 0x10);
	bus_read(&part->pc.ports, 0x5000, 1); /* no device */
	assert_int_equal(l->next, n);
	bus_read(mmio, VIOAPIC_BASE, 4);
	bus_write(mmio, VIOAPIC_BASE, 4, 1);
	bus_read(&part->pc.ports, 0x40, 1);
	bus_write(&part->pc.ports, 0x21, 1, 0xff);
	assert_int_equal(l->next, n + 4);
	pc_poll(part, partition_now_ns(part));
	assert_int_equal(l->next, n + 5);
	assert_int_equal(l->owner, l->next);
	rig_fini();
	assert_null(rig_build(&rig_config)); /* one core: no lock */
	part = rig.part;
	bus_read(&part->pc.ports, 0x40, 1);
	pc_poll(part, partition_now_ns(part));
	assert_int_equal(part->pc.lock.next, 0);
}

static void the_first_end_counts(void **state)
{
	(void)state;
	part->core[1]->v.regs[GPR_RAX] = 3;
	assert_true(rig_play(1, (struct exit){ .kind = EXIT_PIO, .insn_len = 1,
					       .pio = { .port = 0xf4, .width = 4 } }));
	assert_true(rig.kicks[0] > 0 && rig.kicks[1] > 0);
	assert_true(rig_play(2, (struct exit){ .kind = EXIT_TRIPLE_FAULT }));
	assert_true(partition_has_end(part));
	assert_false(health_is_ok(part->end.event));
	assert_string_equal(part->end.why, "exit");
	assert_int_equal(part->end.code, 3);
	assert_true(rig_play(3, (struct exit){ .kind = EXIT_CPUID, .insn_len = 2 })); /* nobody goes on */
}

static void vcpus_go_round_the_cpus(void **state)
{
	(void)state;
	assert_int_equal(part->nr_cores, NR);
	for (u32 i = 0; i < NR; i++) {
		assert_int_equal(part->core[i]->v.id, i);
		assert_int_equal(part->core[i]->v.cpu, i % 2);
		assert_int_equal(lapic_read(i, 0x20) >> 24, i);
		assert_int_equal(fake(i)->reg[VREG_TSC_OFFSET], 0 - (u64)RIG_BIRTH);
		assert_int_equal(part->core[i]->lapic.apic_base >> 8 & 1, i == 0); /* BSP */
	}
	assert_int_equal(rig.tags[0], 2); /* one for each vCPU of a CPU */
	assert_int_equal(rig.tags[1], 2);
}

/* At every moment one core runs or has mail, wherever it is when a sibling looks */
static void no_moment_looks_like_the_end(void **state)
{
	pthread_t thread[NR];
	(void)state;
	for (u32 i = 0; i < NR; i++) {
		part->core[i]->state = CORE_DEAD;
	}
	core_post(part->core[0], MAIL_NMI);
	started = time(NULL);
	for (u32 i = 0; i < NR; i++) {
		assert_int_equal(pthread_create(&thread[i], NULL, hand_on, part->core[i]), 0);
	}
	for (u32 i = 0; i < NR; i++) {
		pthread_join(thread[i], NULL);
	}
	assert_false(partition_has_end(part));
}

#define TEST(f)	   cmocka_unit_test_setup_teardown(f, setup, teardown)
#define RUNNING(f) cmocka_unit_test_setup_teardown(f, setup_running, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(application_cores_wait_for_startup),
		RUNNING(init_and_startup_start_a_core),
		RUNNING(init_keeps_the_cache_bits_of_cr0),
		RUNNING(init_and_startup_merge_in_their_order),
		RUNNING(init_of_a_running_core),
		RUNNING(fixed_messages_find_their_cores),
		RUNNING(x2apic_messages_find_their_cores),
		RUNNING(lowest_priority_goes_to_one),
		RUNNING(equal_cores_take_turns),
		RUNNING(lowest_priority_avoids_an_apic_that_is_off),
		RUNNING(nmi_goes_to_the_cpu),
		RUNNING(mail_merges_pokes_once_and_is_taken_once),
		RUNNING(ioapic_lines_reach_several_cores),
		RUNNING(the_8259_interrupts_whoever_takes_extint),
		TEST(halted_cores_wake_each_other),
		RUNNING(no_moment_looks_like_the_end),
		RUNNING(a_dead_core_is_woken_by_nmi_and_init_only),
		RUNNING(halted_with_interrupts_on_any_message_wakes),
		TEST(waiting_cores_keep_nobody_alive),
		RUNNING(core_0_hears_of_a_sooner_deadline),
		RUNNING(deadlines_move_under_the_lock),
		RUNNING(own_timer_is_nobody_elses_business),
		RUNNING(shared_devices_are_locked_local_apics_are_not),
		RUNNING(the_first_end_counts),
		TEST(vcpus_go_round_the_cpus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
