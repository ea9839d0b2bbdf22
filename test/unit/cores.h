/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bench for cores: one partition of four on two CPUs, each taking its mail when the test lets it; local
 * APICs by register, IPIs, and who has mail or a vector. Include after string.h and cmocka.h; what a test does
 * not use is no error.
 */
#ifndef BULKHEAD_TEST_CORES_H
#define BULKHEAD_TEST_CORES_H

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

static maybe_unused struct fake *fake(u32 n)
{
	return fake_of(&part->core[n]->v);
}

static maybe_unused u32 lapic_read(u32 n, u32 reg)
{
	return (u32)bus_read(&part->core[n]->mmio, VLAPIC_BASE + reg, 4);
}

static maybe_unused void lapic_write(u32 n, u32 reg, u32 value)
{
	bus_write(&part->core[n]->mmio, VLAPIC_BASE + reg, 4, value);
}

static maybe_unused void send(u32 from, u32 dest, u32 icr)
{
	lapic_write(from, ICR2, dest << 24);
	lapic_write(from, ICR, icr);
}

/* Which cores have mail? */
static maybe_unused u32 with_mail(void)
{
	u32 set = 0;
	for (u32 i = 0; i < part->nr_cores; i++) {
		set |= core_has_mail(part->core[i]) ? 1u << i : 0;
	}
	return set;
}

static maybe_unused void take_all(void)
{
	for (u32 i = 0; i < part->nr_cores; i++) {
		core_take_mail(part->core[i], MAIL_ALL);
	}
}

/* Which cores have @vector in @bank (ISR, TMR, IRR)? */
static maybe_unused u32 with_vector(u32 bank, u8 vector)
{
	u32 set = 0;
	for (u32 i = 0; i < part->nr_cores; i++) {
		set |= (lapic_read(i, bank + vector / 32 * 16) >> vector % 32 & 1) << i;
	}
	return set;
}

/* Service and end all that is requested of @n */
static maybe_unused void serve(u32 n)
{
	struct core *c = part->core[n];
	while (vlapic_pending(&c->lapic) >= 0) {
		vlapic_ack(&c->lapic);
		lapic_write(n, EOI, 0);
	}
}

static maybe_unused int setup(void **state)
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
static maybe_unused int setup_running(void **state)
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

static maybe_unused int teardown(void **state)
{
	(void)state;
	rig_fini();
	return 0;
}

static maybe_unused void out(u32 n, u16 port, u32 value)
{
	part->core[n]->v.regs[GPR_RAX] = value;
	rig_play(n, (struct exit){ .kind = EXIT_PIO, .insn_len = 1, .pio = { .port = port, .width = 1 } });
}

#define TEST(f)	   cmocka_unit_test_setup_teardown(f, setup, teardown)
#define RUNNING(f) cmocka_unit_test_setup_teardown(f, setup_running, teardown)

#endif
