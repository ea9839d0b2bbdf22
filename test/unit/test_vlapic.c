// SPDX-License-Identifier: BSD-2-Clause
/* The virtual local APIC against SDM 3A chapter 11: registers, modes, priorities, errors. */
#include "devices/vlapic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "lapic.h"

/* 11.4.7.1 */
static void test_reset(void **state)
{
	(void)state;
	assert_int_equal(rdmsr(MSR_APIC_BASE), BASE | EN | BSP);
	assert_int_equal(rd(ID), 3u << 24);
	assert_int_equal(rd(VER), 0x00050014);
	assert_int_equal(rd(SVR), 0xff);
	assert_int_equal(rd(DFR), 0xffffffff);
	for (u32 r = LVTT; r <= LVTERR; r += 0x10) {
		assert_int_equal(rd(r), MASKED);
	}
	static const u32 zero[] = { TPR, PPR, EOI, LDR, ISR, TMR, IRR, ESR, ICR, ICR2, TMICT, TMCCT, TDCR };
	for (u32 i = 0; i < ARRAY_SIZE(zero); i++) {
		assert_int_equal(rd(zero[i]), 0);
	}
	assert_int_equal(vlapic_pending(&a), -1);
	assert_false(vlapic_takes_extint(&a));
	assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
	vlapic_init(&a, &env, 0, false, false);
	assert_int_equal(rdmsr(MSR_APIC_BASE), BASE | EN);
}

static void test_write_masks(void **state)
{
	(void)state;
	static const struct {
		u32 reg, mask, fixed;
	} t[] = {
		{ ID, 0, 3u << 24 },	  { VER, 0, 0x00050014 },  { TPR, 0xff, 0 },
		{ LDR, 0xff000000, 0 },	  { DFR, 0xf0000000, 0x0fffffff },
		{ SVR, 0x3ff, 0 },	  { ICR2, 0xff000000, 0 }, { LVTT, 0x700ff, 0 },
		{ LVTTHMR, 0x107ff, 0 },  { LVTPC, 0x107ff, 0 },   { LVT0, 0x1a7ff, 0 },
		{ LVT1, 0x1a7ff, 0 },	  { LVTERR, 0x100ff, 0 },  { TDCR, 0xb, 0 },
		{ ISR + 0x10, 0, 0 },	  { TMR + 0x70, 0, 0 },	   { IRR + 0x20, 0, 0 },
		{ PPR, 0, 0xff },
	};
	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		wr(t[i].reg, 0xffffffff);
		if (t[i].reg != PPR) {
			assert_int_equal(rd(t[i].reg), t[i].mask | t[i].fixed);
		}
	}
	assert_int_equal(rd(PPR), 0xff); /* of TPR */
	wr(ICR, 0xffffffff & ~0x700u);
	assert_int_equal(rd(ICR), 0xccfff & ~0x700u);
}

static void test_odd_accesses(void **state)
{
	(void)state;
	wr(TPR, 0x42);
	assert_int_equal(vlapic_mmio_ops.read(&a, TPR, 1), 0x42);
	assert_int_equal(vlapic_mmio_ops.read(&a, TPR, 8), 0x42);
	assert_int_equal(vlapic_mmio_ops.read(&a, VER + 2, 2), 5);
	assert_int_equal(vlapic_mmio_ops.read(&a, VER + 4, 4), 0);
	vlapic_mmio_ops.write(&a, TPR, 1, 1);
	vlapic_mmio_ops.write(&a, TPR, 8, 1);
	vlapic_mmio_ops.write(&a, TPR + 4, 4, 1);
	vlapic_mmio_ops.write(&a, TPR + 1, 4, 1);
	assert_int_equal(rd(TPR), 0x42);
	assert_int_equal(esr(), 0);
}

/* 11.5.3: bit 7 for registers that do not exist; writing makes errors visible and clears the rest */
static void test_illegal_register(void **state)
{
	(void)state;
	static const u32 bad[] = { 0, 0x10, 0x40, APR, 0xc0, 0x290, CMCI, 0x3a0, SELF, 0x400, 0xff0 };
	wr(LVTERR, 0xfe);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(rd(bad[i]), 0);
		assert_int_equal(rd(ESR), 0);
		assert_int_equal(esr(), 0x80);
		assert_int_equal(esr(), 0);
		wr(bad[i], 1);
		assert_int_equal(esr(), 0x80);
		esr();
	}
	assert_int_equal(vlapic_pending(&a), 0xfe);
	assert_int_equal(vlapic_ack(&a), 0xfe);
	wr(EOI, 0);
	rd(0); /* one interrupt until ESR is written */
	assert_int_equal(vlapic_pending(&a), 0xfe);
	assert_int_equal(vlapic_ack(&a), 0xfe);
	rd(0);
	wr(ICR, 0x0000f); /* not even for another error */
	assert_int_equal(rd(IRR + 0x70), 0);
	assert_int_equal(esr(), 0xa0);
	wr(LVTERR, MASKED | 0xfe); /* a masked error has told nobody */
	rd(0);
	wr(LVTERR, 0xfe);
	rd(0);
	assert_int_equal(rd(IRR + 0x70), 0x40000000);
	esr();
	wr(LVTERR, 0x0e); /* an illegal vector in the error LVT itself */
	rd(0);
	assert_int_equal(esr(), 0xc0);
	wr(LVTERR, MASKED | 0xfe);
	rd(0);
	assert_int_equal(esr(), 0x80);
}

/* 11.8.3, 11.8.4 */
static void test_priority(void **state)
{
	(void)state;
	vlapic_accept(&a, 0x31, false);
	vlapic_accept(&a, 0x52, true);
	vlapic_accept(&a, 0x52, true);
	assert_int_equal(rd(IRR + 0x10), 1u << 0x11);
	assert_int_equal(rd(IRR + 0x20), 1u << 0x12);
	assert_int_equal(rd(TMR + 0x20), 1u << 0x12);
	wr(TPR, 0x53);
	assert_int_equal(vlapic_pending(&a), -1);
	assert_int_equal(vlapic_cr8(&a), 5);
	vlapic_set_cr8(&a, 4);
	assert_int_equal(rd(TPR), 0x40);
	assert_int_equal(vlapic_pending(&a), 0x52);
	vlapic_ack(&a);
	assert_int_equal(rd(ISR + 0x20), 1u << 0x12);
	assert_int_equal(rd(IRR + 0x20), 0);
	assert_int_equal(rd(PPR), 0x50);
	wr(TPR, 0x57);
	assert_int_equal(rd(PPR), 0x57);
	wr(TPR, 0);
	vlapic_accept(&a, 0x5f, false); /* same class: waits */
	assert_int_equal(vlapic_pending(&a), -1);
	vlapic_accept(&a, 0x60, false);
	assert_int_equal(vlapic_pending(&a), 0x60);
	vlapic_ack(&a);
	wr(EOI, 0);
	assert_int_equal(nr_eois, 0); /* edge */
	assert_int_equal(rd(PPR), 0x50);
	wr(EOI, 0x1234);
	assert_int_equal(nr_eois, 1);
	assert_int_equal(eoi_vector, 0x52);
	assert_int_equal(vlapic_pending(&a), 0x5f);
	wr(EOI, 0); /* nothing in service */
	assert_int_equal(nr_eois, 1);
	vlapic_accept(&a, 0x52, false);
	assert_int_equal(rd(TMR + 0x20), 0);
	vlapic_set_cr8(&a, 0xfff5);
	assert_int_equal(rd(TPR), 0x50);
}

/* Every pair of a vector in service and a pending one, against the rule said plainly */
static void test_priority_oracle(void **state)
{
	for (u32 tpr = 0; tpr < 256; tpr += 7) {
		for (u32 v = 16; v < 256; v += 5) {
			for (u32 w = 16; w < 256; w += 9) {
				setup_on(state);
				vlapic_accept(&a, (u8)v, false);
				vlapic_ack(&a);
				vlapic_accept(&a, (u8)w, false);
				wr(TPR, tpr);
				bool wins = w / 16 > v / 16 && w / 16 > tpr / 16;
				assert_int_equal(vlapic_pending(&a), wins ? (int)w : -1);
			}
		}
	}
}

static void test_software_disable(void **state)
{
	(void)state;
	wr(LVT0, 0x700);
	wr(LVTT, 0x40);
	vlapic_accept(&a, 0x40, false);
	wr(SVR, 0xff);
	assert_int_equal(rd(LVT0), MASKED | 0x700);
	assert_int_equal(rd(LVTT), MASKED | 0x40);
	wr(LVT0, 0x700);
	assert_int_equal(rd(LVT0), MASKED | 0x700);
	assert_false(vlapic_takes_extint(&a));
	assert_int_equal(vlapic_pending(&a), 0x40); /* what was pending stays */
	vlapic_accept(&a, 0x41, false);
	assert_int_equal(rd(IRR + 0x20), 1);
	wr(SVR, 0x1ff);
	assert_int_equal(rd(LVT0), MASKED | 0x700); /* enabling unmasks nothing */
	wr(LVT0, 0x700);
	assert_true(vlapic_takes_extint(&a));
	wr(LVT0, 0x10);
	assert_false(vlapic_takes_extint(&a));
}

static void test_receive_illegal(void **state)
{
	(void)state;
	vlapic_accept(&a, 15, false);
	assert_int_equal(esr(), 0x40);
	assert_int_equal(rd(IRR), 0);
	vlapic_accept(&a, 16, false); /* the first legal one */
	assert_int_equal(rd(IRR), 1 << 16);
	assert_int_equal(vlapic_pending(&a), 16);
	vlapic_ack(&a);
	wr(ICR, 0x40010);
	assert_int_equal(rd(IRR), 1 << 16);
	vlapic_ack(&a);
	assert_int_equal(esr(), 0);
	wr(LVTERR, 0x10);
	vlapic_accept(&a, 3, false);
	assert_int_equal(rd(IRR), 1 << 16);
	assert_int_equal(esr(), 0x40);
}

static void test_ipi(void **state)
{
	(void)state;
	wr(ICR2, 0x07000000);
	wr(ICR, 0x4831);
	assert_int_equal(nr_ipis, 1);
	assert_int_equal(ipi.dest, 7);
	assert_int_equal(ipi.vector, 0x31);
	assert_int_equal(ipi.mode, 0);
	assert_int_equal(ipi.shorthand, 0);
	assert_true(ipi.is_logical);
	assert_false(ipi.is_x2apic);
	wr(ICR, 0xc0500); /* INIT to all others */
	assert_int_equal(nr_ipis, 2);
	assert_int_equal(ipi.mode, 5);
	assert_int_equal(ipi.shorthand, 3);
	wr(ICR, 0x40032); /* self */
	assert_int_equal(nr_ipis, 2);
	assert_int_equal(vlapic_pending(&a), 0x32);
	wr(ICR, 0x4000f);
	assert_int_equal(esr(), 0x20);
	wr(ICR, 0x0010f);
	assert_int_equal(esr(), 0x20);
	assert_int_equal(nr_ipis, 2);
	wr(ICR, 0x602); /* a start-up's vector may be low */
	assert_int_equal(nr_ipis, 3);
}

static void test_matches(void **state)
{
	(void)state;
	assert_true(vlapic_matches(&a, 3, false, false));
	assert_true(vlapic_matches(&a, 0xff, false, false));
	assert_true(vlapic_matches(&a, 0xffffffff, false, true));
	assert_false(vlapic_matches(&a, 0xff, false, true));
	assert_false(vlapic_matches(&a, 2, false, false));
	assert_false(vlapic_matches(&a, 8, true, false)); /* no logical ID yet */
	wr(LDR, 0x28000000);
	assert_true(vlapic_matches(&a, 0x08, true, false)); /* flat */
	assert_true(vlapic_matches(&a, 0xff, true, false));
	assert_false(vlapic_matches(&a, 0x10, true, false));
	wr(LDR, 0x01000000);
	assert_true(vlapic_matches(&a, 0x81, true, false));
	wr(LDR, 0x28000000);
	wr(DFR, 0x0fffffff);
	assert_true(vlapic_matches(&a, 0x29, true, false)); /* cluster 2, CPU 3 */
	assert_false(vlapic_matches(&a, 0x27, true, false));
	assert_false(vlapic_matches(&a, 0x18, true, false));
	assert_true(vlapic_matches(&a, 0xff, true, false));
	assert_true(wrmsr(MSR_APIC_BASE, BASE));
	assert_false(vlapic_matches(&a, 3, false, false));
}

/* 11.12.5, figure 11-27: every transition between the four settings of EN and EXTD */
static void test_transitions(void **state)
{
	static const u64 mode[] = { 0, EXTD, EN, EN | EXTD };
	static const bool legal[4][4] = {
		{ true, false, true, false },  /* disabled */
		{ false, false, false, false }, /* cannot be reached */
		{ true, false, true, true },   /* xAPIC */
		{ true, false, false, true },  /* x2APIC */
	};
	for (u32 from = 0; from < 4; from++) {
		for (u32 to = 0; to < 4 && from != 1; to++) {
			setup(state);
			if (mode[from] != EN) {
				assert_true(wrmsr(MSR_APIC_BASE, BASE | BSP | mode[from]));
			}
			assert_int_equal(wrmsr(MSR_APIC_BASE, BASE | BSP | mode[to]), legal[from][to]);
			u64 now = legal[from][to] ? mode[to] : mode[from];
			assert_int_equal(rdmsr(MSR_APIC_BASE), BASE | BSP | now);
		}
	}
	setup(state);
	assert_false(wrmsr(MSR_APIC_BASE, BASE | EN | 1));
	assert_false(wrmsr(MSR_APIC_BASE, BASE | EN | 1ull << 52));
	assert_false(wrmsr(MSR_APIC_BASE, 0xfed00000 | EN));
	a.has_x2apic = false;
	assert_false(wrmsr(MSR_APIC_BASE, BASE | EN | EXTD));
}

static void test_global_disable(void **state)
{
	(void)state;
	wr(LVT1, 0x400);
	vlapic_accept(&a, 0x80, false);
	vlapic_ack(&a);
	vlapic_accept(&a, 0x90, false);
	assert_true(wrmsr(MSR_APIC_BASE, BASE | BSP));
	assert_int_equal(rd(VER), 0xffffffff);
	wr(SVR, 0x1ff);
	assert_true(vlapic_takes_extint(&a));
	assert_int_equal(vlapic_pending(&a), -1);
	vlapic_accept(&a, 0x91, false);
	a.nmi_pending = true;
	assert_false(can_rdmsr(MSR_X2APIC_ID));
	assert_true(wrmsr(MSR_APIC_BASE, BASE | BSP | EN));
	assert_true(a.nmi_pending); /* the CPU's latch, not the APIC's */
	assert_int_equal(rd(VER), 0x50014);
	assert_int_equal(rd(SVR), 0xff);
	assert_int_equal(rd(LVT1), MASKED);
	assert_int_equal(rd(ISR + 0x40), 0);
	assert_int_equal(vlapic_pending(&a), -1);
}

static void test_x2apic_registers(void **state)
{
	(void)state;
	assert_int_equal(rd(VER), 0xffffffff); /* no MMIO any more */
	wr(TPR, 0x70);
	assert_int_equal(rdmsr(0x802), 3);
	assert_int_equal(rdmsr(0x803), 0x50014);
	assert_int_equal(rdmsr(0x808), 0);
	assert_int_equal(rdmsr(0x80d), 0x8);
	assert_int_equal(rdmsr(0x80f), 0x1ff); /* survives the transition */
	vlapic_init(&a, &env, 0x123, true, true);
	wr(SVR, 0x1ff);
	assert_true(wrmsr(MSR_APIC_BASE, BASE | EN | EXTD | BSP));
	assert_int_equal(rdmsr(0x802), 0x123);
	assert_int_equal(rdmsr(0x80d), 0x120008);
	assert_true(wrmsr(0x808, 0xff));
	assert_int_equal(rdmsr(0x80a), 0xff);
	for (u32 msr = 0x800; msr <= 0x8ff; msr++) {
		u32 r = msr - 0x800;
		bool is_vector = r >= 0x10 && r <= 0x27, is_lvt = r >= 0x32 && r <= 0x37;
		bool ro = r == 2 || r == 3 || r == 0xa || r == 0xd || is_vector || r == 0x39;
		bool wo = r == 0xb || r == 0x3f;
		bool rw = r == 8 || r == 0xf || r == 0x28 || r == 0x30 || is_lvt || r == 0x38 || r == 0x3e;
		assert_int_equal(can_rdmsr(msr), ro || rw);
		assert_int_equal(wrmsr(msr, 0), wo || rw);
		if (r != 0x30) {
			assert_false(wrmsr(msr, 1ull << 32));
		}
	}
}

static void test_x2apic_reserved(void **state)
{
	(void)state;
	static const struct {
		u32 msr, valid;
	} t[] = {
		{ 0x808, 0xff },    { 0x80b, 0 },	{ 0x80f, 0x3ff },   { 0x828, 0 },
		{ 0x830, 0xcdfff }, { 0x832, 0x710ff }, { 0x833, 0x117ff }, { 0x834, 0x117ff },
		{ 0x835, 0x1f7ff }, { 0x836, 0x1f7ff }, { 0x837, 0x110ff }, { 0x838, 0xffffffff },
		{ 0x83e, 0xb },	    { 0x83f, 0xff },
	};
	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		for (u32 bit = 0; bit < 32; bit++) {
			assert_int_equal(wrmsr(t[i].msr, 1ull << bit), t[i].valid >> bit & 1);
		}
	}
}

static void test_x2apic_ipi(void **state)
{
	(void)state;
	assert_true(wrmsr(0x830, 0x12345678000048f0ull));
	assert_int_equal(nr_ipis, 1);
	assert_int_equal(ipi.dest, 0x12345678);
	assert_int_equal(ipi.vector, 0xf0);
	assert_true(ipi.is_x2apic);
	assert_true(rdmsr(0x830) == 0x12345678000048f0ull);
	assert_true(wrmsr(0x83f, 0x77));
	assert_int_equal(vlapic_pending(&a), 0x77);
	assert_true(wrmsr(0x83f, 0x10));
	assert_int_equal(rdmsr(0x820), 1 << 16);
	assert_true(wrmsr(0x83f, 0x07));
	assert_true(wrmsr(0x828, 0));
	assert_int_equal(rdmsr(0x828), 0x20);
	assert_int_equal(rdmsr(0x823), 1u << 0x17);
	vlapic_ack(&a);
	assert_true(wrmsr(0x80b, 0));
	assert_int_equal(rdmsr(0x813), 0);
	assert_true(vlapic_matches(&a, 0xffffffff, true, true));
	assert_true(vlapic_matches(&a, 0x00000009, true, true));
	assert_true(vlapic_matches(&a, 0x0000ffff, true, true));
	assert_false(vlapic_matches(&a, 0x00010008, true, true));
	assert_false(vlapic_matches(&a, 0x00000004, true, true));
	a.id = 0x20;
	assert_true(vlapic_matches(&a, 0x00020001, true, true));
	a.id = 3;
	assert_true(vlapic_matches(&a, 3, false, true));
	assert_true(vlapic_matches(&a, 0xff, false, false)); /* an I/O APIC's broadcast */
}

static void test_virtual_wire(void **state)
{
	(void)state;
	vlapic_set_virtual_wire(&a);
	assert_int_equal(rd(SVR), 0x10f);
	assert_int_equal(rd(LVT0), 0x700);
	assert_int_equal(rd(LVT1), 0x400);
	assert_true(vlapic_takes_extint(&a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_reset, setup),
		cmocka_unit_test_setup(test_write_masks, setup_on),
		cmocka_unit_test_setup(test_odd_accesses, setup_on),
		cmocka_unit_test_setup(test_illegal_register, setup_on),
		cmocka_unit_test_setup(test_priority, setup_on),
		cmocka_unit_test_setup(test_priority_oracle, setup_on),
		cmocka_unit_test_setup(test_software_disable, setup_on),
		cmocka_unit_test_setup(test_receive_illegal, setup_on),
		cmocka_unit_test_setup(test_ipi, setup_on),
		cmocka_unit_test_setup(test_matches, setup_on),
		cmocka_unit_test_setup(test_transitions, setup),
		cmocka_unit_test_setup(test_global_disable, setup_on),
		cmocka_unit_test_setup(test_x2apic_registers, setup_x2),
		cmocka_unit_test_setup(test_x2apic_reserved, setup_x2),
		cmocka_unit_test_setup(test_x2apic_ipi, setup_x2),
		cmocka_unit_test_setup(test_virtual_wire, setup),
	};
	return cmocka_run_group_tests_name("vlapic", tests, NULL, NULL);
}
