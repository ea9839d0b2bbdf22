// SPDX-License-Identifier: BSD-2-Clause
/* The timer of the virtual local APIC against SDM 3A 11.5.4 "APIC Timer". */
#include "devices/vlapic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "lapic.h"

static void test_one_shot(void **state)
{
	(void)state;
	wr(LVTT, 0x50);
	wr(TDCR, 0xb); /* divide by 1 */
	wr(TMICT, 500);
	assert_int_equal(vlapic_poll(&a, now_ns), 1500);
	now_ns += 200;
	assert_int_equal(rd(TMCCT), 300);
	assert_int_equal(rd(TMICT), 500);
	now_ns += 299;
	assert_int_equal(vlapic_poll(&a, now_ns), 1500);
	assert_int_equal(rd(TMCCT), 1);
	assert_int_equal(vlapic_pending(&a), -1);
	now_ns++;
	assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
	assert_int_equal(vlapic_pending(&a), 0x50);
	assert_int_equal(rd(TMCCT), 0);
	wr(TMICT, 500);
	wr(TMICT, 0);
	assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
}

static void test_divide(void **state)
{
	static const u32 code[8] = { 0xb, 0, 1, 2, 3, 8, 9, 0xa };
	wr(LVTT, 0x50);
	for (u32 shift = 0; shift < 8; shift++) {
		setup_on(state);
		wr(LVTT, 0x50);
		wr(TDCR, code[shift]);
		assert_int_equal(rd(TDCR), code[shift]);
		wr(TMICT, 0xffffffff);
		assert_int_equal(vlapic_poll(&a, now_ns), now_ns + (0xffffffffull << shift));
		now_ns += 100ull << shift;
		assert_int_equal(rd(TMCCT), 0xffffffff - 100);
	}
	/* while running: 1000 left at /128 are 1000 left at /2 */
	setup_on(state);
	wr(LVTT, 0x50);
	wr(TDCR, 0xa);
	wr(TMICT, 2000);
	now_ns += 128 * 1000;
	wr(TDCR, 0);
	assert_int_equal(rd(TMCCT), 1000);
	assert_int_equal(vlapic_poll(&a, now_ns), now_ns + 2000);
	now_ns += 2000;
	vlapic_poll(&a, now_ns);
	wr(TDCR, 0xb); /* a stopped timer stays stopped */
	assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
}

static void test_periodic(void **state)
{
	(void)state;
	wr(LVTT, PERIODIC | 0x50);
	wr(TDCR, 0xb);
	wr(TMICT, 100000);
	now_ns += 100000;
	assert_int_equal(vlapic_poll(&a, now_ns), now_ns + 100000);
	assert_int_equal(vlapic_pending(&a), 0x50);
	vlapic_ack(&a);
	wr(EOI, 0);
	now_ns += 350000; /* three periods late: one interrupt, in phase */
	assert_int_equal(rd(TMCCT), 50000);
	assert_int_equal(vlapic_pending(&a), 0x50);
	assert_int_equal(vlapic_poll(&a, now_ns), now_ns + 50000);
	wr(LVTT, MASKED | PERIODIC | 0x50); /* masked it counts on, but nobody need wake up */
	assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
	now_ns += 60000;
	assert_int_equal(rd(TMCCT), 90000);
	vlapic_ack(&a);
	now_ns += 1000000;
	wr(LVTT, PERIODIC | 0x50); /* periods that ended while masked are gone */
	assert_int_equal(vlapic_pending(&a), -1);
	assert_int_equal(vlapic_poll(&a, now_ns), now_ns + 90000);
}

/* A period of 1 ns must not ask for a wake-up every nanosecond */
static void test_tiny_period(void **state)
{
	(void)state;
	wr(LVTT, PERIODIC | 0x50);
	wr(TDCR, 0xb);
	wr(TMICT, 1);
	now_ns += 10;
	assert_true(vlapic_poll(&a, now_ns) >= now_ns + 5000);
	assert_int_equal(vlapic_pending(&a), 0x50);
	assert_int_equal(rd(TMCCT), 1);
}

static void test_deadline(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_TSC_DEADLINE, 5000)); /* not in that mode: ignored */
	assert_int_equal(rdmsr(MSR_TSC_DEADLINE), 0);
	wr(LVTT, DEADLINE | 0x50);
	wr(TMICT, 77);
	assert_int_equal(rd(TMICT), 0);
	assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
	assert_true(wrmsr(MSR_TSC_DEADLINE, 5000));
	assert_int_equal(rdmsr(MSR_TSC_DEADLINE), 5000);
	assert_int_equal(rd(TMCCT), 0);
	assert_int_equal(vlapic_poll(&a, now_ns), 2500);
	tsc_offset = 1000; /* the guest sets its TSC forward: the deadline comes sooner */
	assert_int_equal(vlapic_poll(&a, now_ns), 2000);
	now_ns = 1999;
	vlapic_poll(&a, now_ns);
	assert_int_equal(vlapic_pending(&a), -1);
	now_ns = 2000;
	assert_int_equal(rdmsr(MSR_TSC_DEADLINE), 0); /* fired, so it reads 0 */
	assert_int_equal(vlapic_pending(&a), 0x50);
	assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
	vlapic_ack(&a);
	wr(EOI, 0);
	assert_true(wrmsr(MSR_TSC_DEADLINE, 1)); /* in the past: at once */
	assert_int_equal(vlapic_pending(&a), 0x50);
	vlapic_ack(&a);
	assert_true(wrmsr(MSR_TSC_DEADLINE, 9000));
	assert_true(wrmsr(MSR_TSC_DEADLINE, 0)); /* disarm */
	assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
	assert_true(wrmsr(MSR_TSC_DEADLINE, 9000));
	wr(LVTT, 0x50); /* leaving the mode disarms */
	wr(LVTT, DEADLINE | 0x50);
	assert_int_equal(rdmsr(MSR_TSC_DEADLINE), 0);
	wr(LVTT, 0x50);
	wr(TMICT, 100);
	wr(LVTT, DEADLINE | 0x50); /* so does entering it */
	assert_int_equal(rd(TMICT), 0);
	now_ns += 1000;
	vlapic_poll(&a, now_ns);
	assert_int_equal(rd(IRR + 0x20), 0);
}

/* tsc_to_ns rounds down: a poll at that very nanosecond may find the TSC one tick short */
static void test_deadline_rounding(void **state)
{
	(void)state;
	wr(LVTT, DEADLINE | 0x50);
	assert_true(wrmsr(MSR_TSC_DEADLINE, 5001));
	now_ns = vlapic_poll(&a, now_ns);
	assert_int_equal(vlapic_poll(&a, now_ns), now_ns + 1);
	assert_int_equal(vlapic_pending(&a), -1);
	now_ns++;
	assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
	assert_int_equal(vlapic_pending(&a), 0x50);
}

static void test_deadline_masked(void **state)
{
	(void)state;
	wr(LVTT, MASKED | DEADLINE | 0x50);
	assert_true(wrmsr(MSR_TSC_DEADLINE, 5000));
	assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
	now_ns = 3000;
	wr(LVTT, DEADLINE | 0x50);
	assert_int_equal(vlapic_pending(&a), -1);
	assert_int_equal(rdmsr(MSR_TSC_DEADLINE), 0);
}

/* A deadline that lies centuries ahead, or behind a TSC that the guest set beyond it */
static void test_deadline_extremes(void **state)
{
	(void)state;
	wr(LVTT, DEADLINE | 0x50);
	assert_true(wrmsr(MSR_TSC_DEADLINE, ~0ull));
	assert_int_equal(a.deadline_ns, NEVER);
	assert_int_equal(rdmsr(MSR_TSC_DEADLINE), ~0ull);
	assert_int_equal(vlapic_pending(&a), -1);
	assert_true(wrmsr(MSR_TSC_DEADLINE, 9000));
	assert_int_equal(a.deadline_ns, 4500);
	tsc_offset = 0 - 1000ull; /* the guest sets its TSC back */
	assert_int_equal(vlapic_poll(&a, now_ns), 5000);
	tsc_offset = 9000;
	assert_int_equal(vlapic_poll(&a, now_ns), NEVER);
	assert_int_equal(rdmsr(MSR_TSC_DEADLINE), 0);
	assert_int_equal(vlapic_pending(&a), 0x50);
}

/* 11.5.4: a counter behind a divider, clocked tick by tick, as hardware has it */
static struct {
	u32 init, count, shift, phase, fired, lvt;
} sim;

static void sim_tick(void)
{
	if (sim.count == 0 || ++sim.phase < 1u << sim.shift) {
		return;
	}
	sim.phase = 0;
	if (--sim.count == 0) {
		sim.fired += !(sim.lvt & MASKED);
		sim.count = sim.lvt & PERIODIC ? sim.init : 0;
	}
}

static u32 random_u32(void)
{
	static u64 seed = 0x2545f4914f6cdd1dull;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)(seed >> 20);
}

static void random_write(void)
{
	static const u32 code[8] = { 0xb, 0, 1, 2, 3, 8, 9, 0xa };
	u32 r = random_u32(), old = sim.lvt;
	switch (r & 7) {
	case 0:
	case 1:
		sim.lvt = 0x50 | (r >> 8 & 3) << 17 | (r >> 10 & 1) << 16;
		sim.lvt &= ~((sim.lvt & DEADLINE) >> 1); /* both: reserved */
		if ((sim.lvt ^ old) & DEADLINE) {
			sim.init = sim.count = 0;
		}
		wr(LVTT, sim.lvt);
		break;
	case 2:
		sim.shift = r >> 8 & 7;
		sim.phase = 0;
		wr(TDCR, code[sim.shift]);
		break;
	case 3:
	case 4:
		wr(TMICT, r >> 8 & 0x3f);
		if (!(sim.lvt & DEADLINE)) {
			sim.init = sim.count = r >> 8 & 0x3f;
			sim.phase = 0;
		}
		break;
	default: break;
	}
}

static void test_timer_oracle(void **state)
{
	u32 total = 0;
	setup_on(state);
	wr(LVTT, 0x50);
	sim.lvt = 0x50;
	sim.shift = 1;
	for (u32 i = 0; i < 20000; i++) {
		random_write();
		for (u32 n = random_u32() % 400; n > 0; n--) {
			now_ns++;
			sim_tick();
		}
		if (i % 3 == 0) {
			vlapic_poll(&a, now_ns);
		} else {
			assert_int_equal(rd(TMCCT), sim.count);
		}
		assert_int_equal(rd(TMICT), sim.init);
		assert_int_equal(vlapic_pending(&a), sim.fired ? 0x50 : -1);
		if (sim.fired) {
			assert_int_equal(vlapic_ack(&a), 0x50);
			wr(EOI, 0);
			total++;
		}
		sim.fired = 0;
	}
	assert_in_range(total, 1000, 20000);
}

/* deadline_ns is true after each access: nothing comes before it, and it comes then */
static void test_published_deadline(void **state)
{
	for (u32 i = 0; i < 3000; i++) {
		setup_on(state);
		u32 r = random_u32(), kind = r % 3, shift = r >> 4 & 1;
		u64 start = now_ns += r >> 16, len = 10000 + (r >> 8 & 0xffff);
		wr(LVTT, 0x50 | kind << 17);
		wr(TDCR, shift ? 0 : 0xb);
		if (kind == 2) {
			assert_true(wrmsr(MSR_TSC_DEADLINE, 2 * (now_ns + len)));
		} else {
			wr(TMICT, (u32)len);
			len <<= shift;
		}
		assert_int_equal(a.deadline_ns, start + len);
		now_ns += len / 3;
		wr(TPR, 0);
		wr(EOI, 0);
		rd(TMCCT);
		assert_int_equal(a.deadline_ns, start + len);
		wr(LVTT, MASKED | 0x50 | kind << 17);
		assert_int_equal(a.deadline_ns, NEVER);
		wr(LVTT, 0x50 | kind << 17);
		assert_int_equal(a.deadline_ns, start + len);
		now_ns = start + len - 1;
		vlapic_poll(&a, now_ns);
		assert_int_equal(vlapic_pending(&a), -1);
		now_ns++;
		assert_int_equal(vlapic_poll(&a, now_ns), kind == 1 ? start + 2 * len : NEVER);
		assert_int_equal(vlapic_pending(&a), 0x50);
		wr(SVR, 0xff); /* disabled by software: masked */
		assert_int_equal(a.deadline_ns, NEVER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_one_shot, setup_on),
		cmocka_unit_test_setup(test_divide, setup_on),
		cmocka_unit_test_setup(test_periodic, setup_on),
		cmocka_unit_test_setup(test_tiny_period, setup_on),
		cmocka_unit_test_setup(test_deadline, setup_on),
		cmocka_unit_test_setup(test_deadline_rounding, setup_on),
		cmocka_unit_test_setup(test_deadline_masked, setup_on),
		cmocka_unit_test_setup(test_deadline_extremes, setup_on),
		cmocka_unit_test(test_timer_oracle),
		cmocka_unit_test(test_published_deadline),
	};
	return cmocka_run_group_tests_name("vlapic_timer", tests, NULL, NULL);
}
