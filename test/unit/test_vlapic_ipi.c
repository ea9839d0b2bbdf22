// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtual local APIC among others, SDM 3A 11.4 to 11.6, 11.9: which IPIs leave, whom a destination
 * means, who takes a lowest-priority message; INIT, the LINT pins, the spurious vector.
 */
#include "devices/vlapic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>
#include "lapic.h"

/* Table 11-3: rows are shorthands, columns delivery modes. Trigger mode and level change nothing. */
static void test_ipi_combinations(void **state)
{
	static const char *const legal[4] = {
		/* fixed, lowest, SMI, -, NMI, INIT, start-up, - */
		"yyy-yyy-", /* no shorthand */
		"y-------", /* self */
		"y-------", /* all including self */
		"yyy-yyy-", /* all excluding self */
	};
	for (u32 icr = 0; icr < 1u << 10; icr++) {
		u32 shorthand = icr & 3, mode = icr >> 2 & 7, trigger = icr >> 5 & 3, x2 = icr >> 7 & 1;
		setup_on(state);
		u32 value = shorthand << 18 | trigger << 14 | mode << 8 | (icr >> 8 & 1) << 11 | 0x55;
		bool is_self = shorthand == 1;
		if (x2) {
			assert_true(wrmsr(MSR_APIC_BASE, BASE | EN | EXTD | BSP));
			assert_true(wrmsr(0x830, value | 0x0900000000ull));
		} else {
			wr(ICR2, 9u << 24);
			wr(ICR, value);
		}
		assert_int_equal(nr_ipis, legal[shorthand][mode] == 'y' && !is_self);
		assert_int_equal(vlapic_pending(&a), is_self && mode == 0 ? 0x55 : -1);
		assert_false(a.nmi_pending);
		if (nr_ipis) {
			assert_int_equal(ipi.mode, mode);
			assert_int_equal(ipi.shorthand, shorthand);
			assert_int_equal(ipi.vector, 0x55);
			assert_int_equal(ipi.dest, 9);
			assert_int_equal(ipi.is_logical, icr >> 8 & 1);
			assert_int_equal(ipi.is_x2apic, x2);
			/* level-triggered and not asserted: 0x8000 of 0xc000 */
			assert_int_equal(ipi.is_deassert, mode == 5 && trigger == 2);
		}
		assert_int_equal(a.esr_pending, 0);
	}
}

/* Vectors below 16 are illegal where vectors mean something, and only there */
static void test_send_illegal(void **state)
{
	(void)state;
	for (u32 mode = 0; mode < 7; mode++) {
		for (u32 vector = 0; vector < 18 && mode != 3; vector++) {
			bool is_illegal = mode < 2 && vector < 16;
			u32 before = nr_ipis;
			wr(ICR, mode << 8 | vector);
			assert_int_equal(nr_ipis - before, !is_illegal);
			assert_int_equal(esr(), is_illegal ? 0x20 : 0);
		}
	}
}

/* Section 11.6.2.2 as prose: is CPU @id of logical ID @ldr meant by @dest? */
static bool flat_oracle(u32 ldr, u32 dest)
{
	return dest == 0xff || (ldr & dest) != 0;
}

static bool cluster_oracle(u32 ldr, u32 dest)
{
	return dest == 0xff || (ldr / 16 == dest / 16 && (ldr % 16 & dest % 16));
}

static void test_matches_oracle(void **state)
{
	setup_on(state);
	for (u32 ldr = 0; ldr < 256; ldr++) {
		wr(LDR, ldr << 24);
		for (u32 dest = 0; dest < 256; dest++) {
			wr(DFR, 0xffffffff);
			assert_int_equal(vlapic_matches(&a, dest, true, false), flat_oracle(ldr, dest));
			wr(DFR, 0x0fffffff);
			assert_int_equal(vlapic_matches(&a, dest, true, false), cluster_oracle(ldr, dest));
			assert_int_equal(vlapic_matches(&a, dest, false, false), dest == 3 || dest == 255);
		}
	}
	for (u32 id = 0; id < 600; id += 7) {
		vlapic_init(&a, &env, id, false, true);
		assert_int_equal(rd(ID), id << 24); /* eight bits of it */
		assert_true(wrmsr(MSR_APIC_BASE, BASE | EN | EXTD));
		assert_int_equal(rdmsr(0x802), id);
		assert_int_equal(rdmsr(0x80d), id / 16 << 16 | 1u << id % 16); /* 11.12.10.2 */
		for (u32 other = 0; other < 600; other++) {
			u32 its_ldr = other / 16 << 16 | 1u << other % 16;
			assert_int_equal(vlapic_matches(&a, other, false, true), id == other);
			assert_int_equal(vlapic_matches(&a, its_ldr, true, true), id == other);
		}
		assert_true(vlapic_matches(&a, 0xffffffff, false, true));
		assert_true(vlapic_matches(&a, 0xffffffff, true, true));
		/* eight bits, from an I/O APIC: cluster 0 only */
		assert_int_equal(vlapic_matches(&a, 0x10, true, false), id == 4);
	}
}

/* 11.6.2.4: the greatest of TPR, ISR and IRR by class; low bits only if TPR is it alone */
static void test_arbitration(void **state)
{
	for (u32 tpr = 0; tpr < 256; tpr += 5) {
		for (u32 v = 0; v < 256; v += 16) {
			for (u32 w = 0; w < 256; w += 16) {
				setup_on(state);
				if (v) {
					vlapic_accept(&a, (u8)(v + 3), false);
					assert_int_equal(vlapic_ack(&a), v + 3);
				}
				if (w) {
					vlapic_accept(&a, (u8)(w + 9), false);
				}
				wr(TPR, tpr);
				u32 greatest = MAX(tpr / 16, MAX(v / 16, w / 16));
				bool by_tpr = tpr / 16 >= w / 16 && tpr / 16 > v / 16;
				assert_int_equal(vlapic_arbitration_priority(&a),
						 by_tpr ? tpr : greatest * 16);
			}
		}
	}
}

static void test_focus(void **state)
{
	(void)state;
	assert_false(vlapic_is_focus(&a, 0x61));
	vlapic_accept(&a, 0x61, false);
	assert_true(vlapic_is_focus(&a, 0x61)); /* requested */
	assert_false(vlapic_is_focus(&a, 0x62));
	vlapic_ack(&a);
	assert_true(vlapic_is_focus(&a, 0x61)); /* in service */
	wr(SVR, 0x3ff);
	assert_false(vlapic_is_focus(&a, 0x61)); /* checking disabled */
	wr(SVR, 0x1ff);
	wr(EOI, 0);
	assert_false(vlapic_is_focus(&a, 0x61));
}

/* All that a guest can see of @a, by MMIO or MSRs */
static void snapshot(u64 out[64])
{
	static const u8 regs[] = { 0x02, 0x03, 0x08, 0x0a, 0x0d, 0x0f, 0x10, 0x12, 0x17, 0x1a, 0x22, 0x28,
				   0x30, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3e };
	memset(out, 0, 64 * sizeof(*out));
	for (u32 i = 0; i < ARRAY_SIZE(regs); i++) {
		bool is_x2 = rdmsr(MSR_APIC_BASE) & EXTD;
		out[regs[i]] = is_x2 ? rdmsr(0x800u + regs[i]) : rd(regs[i] * 16u);
	}
	out[0] = rdmsr(MSR_APIC_BASE);
	out[1] = rdmsr(MSR_TSC_DEADLINE);
	out[4] = (u64)vlapic_pending(&a) << 8 | a.nmi_pending;
}

static void make_dirty(void)
{
	vlapic_accept(&a, 0x40, true);
	vlapic_ack(&a);
	vlapic_accept(&a, 0xf0, false);
	vlapic_accept(&a, 2, false); /* an error */
	a.nmi_pending = true;
	for (u32 n = 0x80; n < 0x3f0; n += 0x10) {
		if (n != SVR && n != EOI) {
			wr(n, 0x00e1 ^ n << 20);
		}
	}
	wr(LVTT, PERIODIC | 0x44);
	wr(TMICT, 100000);
}

/* 11.4.7.3: as after reset, but for ID and, by 11.12.5.1, the mode */
static void test_init(void **state)
{
	static const u64 modes[] = { 0, EN, EN | EXTD };
	u64 fresh[64], now[64];
	for (u32 m = 0; m < 3; m++) {
		setup(state);
		assert_true(wrmsr(MSR_APIC_BASE, BASE | BSP | modes[m]));
		snapshot(fresh);
		setup_on(state);
		make_dirty();
		if (m == 2) {
			assert_true(wrmsr(MSR_APIC_BASE, BASE | BSP | EN | EXTD));
		}
		vlapic_reset_by_init(&a);
		if (m == 0) {
			assert_true(wrmsr(MSR_APIC_BASE, BASE | BSP));
			vlapic_reset_by_init(&a);
		}
		snapshot(now);
		assert_memory_equal(fresh, now, sizeof(now));
		now_ns += 10000000;
		assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
		assert_int_equal(a.deadline_ns, NEVER);
		assert_int_equal(vlapic_pending(&a), -1);
		assert_false(vlapic_has_request(&a));
		assert_false(vlapic_is_focus(&a, 0xf0));
		assert_int_equal(a.esr_pending, 0);
	}
}

static bool is_over;

/* Return: how often a message for ID 3, which is this APIC's and stays so, would have missed it */
static void *ask(void *ctx)
{
	u64 *misses = ctx;
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		*misses += !vlapic_matches(&a, 3, false, false) || vlapic_matches(&a, 0, false, false);
		(void)vlapic_arbitration_priority(&a);
	}
	return NULL;
}

/* A startup IPI may come while its target still carries out the INIT: other CPUs must find it throughout */
static void test_init_is_seen_from_elsewhere(void **state)
{
	(void)state;
	pthread_t thread;
	u64 misses = 0;
	is_over = false;
	assert_int_equal(pthread_create(&thread, NULL, ask, &misses), 0);
	for (u32 i = 0; i < 200000; i++) {
		vlapic_accept(&a, 0x40, false);
		vlapic_reset_by_init(&a);
		vlapic_mmio_ops.write(&a, SVR, 4, 0x1ff);
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(misses, 0);
}

static void test_lint_edge(void **state)
{
	(void)state;
	for (u32 pin = 0; pin < 2; pin++) {
		setup_on(state);
		u32 lvt = LVT0 + 16 * pin;
		vlapic_set_lint(&a, pin, true); /* masked: lost */
		wr(lvt, 0x61);
		vlapic_set_lint(&a, pin, true);
		assert_int_equal(vlapic_pending(&a), -1);
		vlapic_set_lint(&a, pin, false);
		assert_int_equal(vlapic_pending(&a), -1);
		vlapic_set_lint(&a, pin, true);
		assert_int_equal(vlapic_pending(&a), 0x61);
		assert_int_equal(rd(TMR + 0x30), 0);
		assert_int_equal(rd(lvt), 0x61);
		vlapic_ack(&a);
		wr(EOI, 0);
		assert_int_equal(vlapic_pending(&a), -1);
		vlapic_set_lint(&a, pin, false);
		wr(lvt, 5); /* an illegal vector of the table's own */
		vlapic_set_lint(&a, pin, true);
		assert_int_equal(esr(), 0x40);
	}
}

#define LEVEL  0x8000u
#define REMOTE 0x4000u

static void test_lint0_level(void **state)
{
	(void)state;
	vlapic_set_lint(&a, 0, true);
	wr(LVT0, LEVEL | MASKED | 0x61);
	assert_int_equal(vlapic_pending(&a), -1);
	wr(LVT0, LEVEL | 0x61); /* a level is there when it is unmasked */
	assert_int_equal(vlapic_pending(&a), 0x61);
	assert_int_equal(rd(LVT0), LEVEL | REMOTE | 0x61);
	assert_int_equal(rd(TMR + 0x30), 1u << 1);
	vlapic_ack(&a);
	vlapic_set_lint(&a, 0, false);
	vlapic_set_lint(&a, 0, true);
	assert_int_equal(rd(IRR + 0x30), 0); /* not before the EOI */
	wr(EOI, 0);
	assert_int_equal(nr_eois, 1);
	assert_int_equal(vlapic_pending(&a), 0x61); /* again */
	vlapic_set_lint(&a, 0, false);
	vlapic_ack(&a);
	vlapic_accept(&a, 0x82, true); /* some other level: its EOI is not ours */
	vlapic_ack(&a);
	wr(EOI, 0);
	assert_int_equal(rd(LVT0), LEVEL | REMOTE | 0x61);
	wr(EOI, 0);
	assert_int_equal(rd(LVT0), LEVEL | 0x61);
	assert_int_equal(vlapic_pending(&a), -1);
	vlapic_set_lint(&a, 0, true);
	wr(LVT0, 0x61); /* an edge has no remote IRR */
	assert_int_equal(rd(LVT0), 0x61);
	wr(SVR, 0xff);
	vlapic_set_lint(&a, 0, false);
	vlapic_set_lint(&a, 0, true);
	assert_int_equal(rd(ISR + 0x30) | nr_ipis, 0);
}

/* 11.5.1 "Trigger Mode": LINT1 has no level, whatever its bit 15 says */
static void test_lint1_level(void **state)
{
	(void)state;
	vlapic_set_lint(&a, 1, true);
	wr(LVT1, LEVEL | 0x61);
	assert_int_equal(vlapic_pending(&a), -1);
	vlapic_set_lint(&a, 1, false);
	vlapic_set_lint(&a, 1, true);
	assert_int_equal(vlapic_pending(&a), 0x61);
	assert_int_equal(rd(LVT1), LEVEL | 0x61);
	assert_int_equal(rd(TMR + 0x30), 0);
}

static void test_lint_modes(void **state)
{
	for (u32 mode = 0; mode < 8; mode++) {
		for (u32 pin = 0; pin < 2; pin++) {
			setup_on(state);
			wr(LVT0 + 16 * pin, mode << 8 | LEVEL | 0x61);
			vlapic_set_lint(&a, pin, true);
			assert_int_equal(vlapic_pending(&a), mode == 0 ? 0x61 : -1);
			assert_int_equal(a.nmi_pending, mode == 4);
			assert_int_equal(vlapic_takes_extint(&a), pin == 0 && mode == 7);
			a.nmi_pending = false;
			vlapic_set_lint(&a, pin, true); /* no edge */
			assert_false(a.nmi_pending);
		}
	}
	setup(state); /* software-disabled: masked */
	wr(LVT1, 0x400);
	vlapic_set_lint(&a, 1, true);
	assert_false(a.nmi_pending);
	setup(state); /* globally disabled: INTR and NMI, 11.4.3 */
	assert_true(wrmsr(MSR_APIC_BASE, BASE));
	vlapic_set_lint(&a, 0, true);
	assert_false(a.nmi_pending);
	assert_true(vlapic_takes_extint(&a));
	vlapic_set_lint(&a, 1, true);
	assert_true(a.nmi_pending);
	/* the pin is still high when the APIC comes back */
	assert_true(wrmsr(MSR_APIC_BASE, BASE | EN));
	wr(SVR, 0x1ff);
	wr(LVT0, LEVEL | 0x61);
	assert_int_equal(vlapic_pending(&a), 0x61);
	vlapic_reset_by_init(&a); /* and after INIT */
	wr(SVR, 0x1ff);
	wr(LVT0, LEVEL | 0x61);
	assert_int_equal(vlapic_pending(&a), 0x61);
}

/* 11.9: masked between request and acknowledge; ISR stays as it is */
static void test_spurious(void **state)
{
	(void)state;
	wr(SVR, 0x1e7);
	vlapic_accept(&a, 0x61, false);
	assert_int_equal(vlapic_pending(&a), 0x61);
	wr(TPR, 0x60);
	assert_int_equal(vlapic_ack(&a), 0xe7);
	assert_int_equal(rd(ISR + 0x30) | rd(ISR + 0x70), 0);
	wr(TPR, 0x5f);
	assert_int_equal(vlapic_ack(&a), 0x61); /* it had only waited */
	assert_int_equal(vlapic_ack(&a), 0xe7); /* nothing requested any more */
	vlapic_accept(&a, 0x71, false);
	vlapic_reset_by_init(&a);
	assert_int_equal(vlapic_ack(&a), 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipi_combinations),
		cmocka_unit_test_setup(test_send_illegal, setup_on),
		cmocka_unit_test(test_matches_oracle),
		cmocka_unit_test(test_arbitration),
		cmocka_unit_test_setup(test_focus, setup_on),
		cmocka_unit_test(test_init),
		cmocka_unit_test_setup(test_init_is_seen_from_elsewhere, setup_on),
		cmocka_unit_test(test_lint_edge),
		cmocka_unit_test_setup(test_lint0_level, setup_on),
		cmocka_unit_test_setup(test_lint1_level, setup_on),
		cmocka_unit_test(test_lint_modes),
		cmocka_unit_test_setup(test_spurious, setup_on),
	};
	return cmocka_run_group_tests_name("vlapic_ipi", tests, NULL, NULL);
}
