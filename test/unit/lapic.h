/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bench for the virtual local APIC: registers by name, a clock set by hand, the platform's part of
 * IPIs and EOIs as counters. Include after cmocka.h; what a test does not use is no error.
 */
#ifndef BULKHEAD_TEST_LAPIC_H
#define BULKHEAD_TEST_LAPIC_H

#include "devices/vlapic.h"
#include "x86/msr.h"

#define MASKED	 0x10000u
#define PERIODIC 0x20000u
#define DEADLINE 0x40000u
#define BASE	 0xfee00000ull
#define EN	 0x800ull
#define EXTD	 0x400ull
#define BSP	 0x100ull

enum { ID = 0x20, VER = 0x30, TPR = 0x80, APR = 0x90, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0,
       SVR = 0xf0, ISR = 0x100, TMR = 0x180, IRR = 0x200, ESR = 0x280, CMCI = 0x2f0, ICR = 0x300,
       ICR2 = 0x310, LVTT = 0x320, LVTTHMR = 0x330, LVTPC = 0x340, LVT0 = 0x350, LVT1 = 0x360,
       LVTERR = 0x370, TMICT = 0x380, TMCCT = 0x390, TDCR = 0x3e0, SELF = 0x3f0 };

static struct vlapic a;
static struct vlapic_ipi ipi;
static u32 nr_ipis, nr_eois;
static u8 eoi_vector;
static u64 now_ns, tsc_offset; /* the guest's TSC runs at 2 GHz */

static maybe_unused u64 env_now(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static maybe_unused u64 env_tsc(void *ctx)
{
	(void)ctx;
	return 2 * now_ns + tsc_offset;
}

static maybe_unused u64 env_tsc_to_ns(void *ctx, u64 tsc)
{
	(void)ctx;
	return (tsc - tsc_offset) / 2;
}

/* The platform's part: what is for the sender itself comes back */
static maybe_unused void env_ipi(void *ctx, const struct vlapic_ipi *i)
{
	(void)ctx;
	if (i->shorthand == 1) {
		vlapic_accept(&a, i->vector, false);
	} else {
		ipi = *i;
		nr_ipis++;
	}
}

static maybe_unused void env_eoi(void *ctx, u8 vector)
{
	(void)ctx;
	eoi_vector = vector;
	nr_eois++;
}

static const struct vlapic_env env = { .now_ns = env_now,
				       .tsc_to_ns = env_tsc_to_ns,
				       .guest_tsc = env_tsc,
				       .send_ipi = env_ipi,
				       .eoi_broadcast = env_eoi };

static maybe_unused u32 rd(u32 offset)
{
	return (u32)vlapic_mmio_ops.read(&a, offset, 4);
}

static maybe_unused void wr(u32 offset, u32 v)
{
	vlapic_mmio_ops.write(&a, offset, 4, v);
}

static maybe_unused u32 esr(void)
{
	wr(ESR, 0);
	return rd(ESR);
}

static maybe_unused int setup(void **state)
{
	(void)state;
	memset(&a, 0x5a, sizeof(a));
	vlapic_init(&a, &env, 3, true, true);
	nr_ipis = nr_eois = 0;
	now_ns = 1000;
	tsc_offset = 0;
	return 0;
}

static maybe_unused int setup_on(void **state)
{
	setup(state);
	wr(SVR, 0x1ff);
	return 0;
}

static maybe_unused u64 rdmsr(u32 msr)
{
	u64 v = 0xdead;
	assert_true(vlapic_rdmsr(&a, msr, &v));
	return v;
}

static maybe_unused bool wrmsr(u32 msr, u64 v)
{
	return vlapic_wrmsr(&a, msr, v);
}

static maybe_unused bool can_rdmsr(u32 msr)
{
	u64 v;
	return vlapic_rdmsr(&a, msr, &v);
}

static maybe_unused int setup_x2(void **state)
{
	setup_on(state);
	assert_true(wrmsr(MSR_APIC_BASE, BASE | EN | EXTD | BSP));
	return 0;
}

#endif
