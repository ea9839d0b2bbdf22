// SPDX-License-Identifier: BSD-2-Clause
/* KVM's clock against a reader of its own, written from the ABI's text, and against exact arithmetic. */
#include "kernel/kvmclock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fake.h"
#include "kernel/partition.h"

#define RAM_LEN (4 * PAGE_SIZE)
#define BIRTH	700000000000ull

static u8 ram[RAM_LEN] page_aligned;
static struct host host;
static struct partition part;
static struct vcpu v = { .ops = &fake_ops, .part = &part };
static struct kvmclock clk;

static int setup(void **state)
{
	(void)state;
	free(v.hw);
	v.hw = NULL;
	assert_int_equal(fake_ops.vcpu_init(&v, NULL), STATUS_OK);
	memset(ram, 0xa5, sizeof(ram));
	memset(&clk, 0, sizeof(clk));
	memset(&part, 0, sizeof(part));
	/* neighbouring pages of the guest are none on the host: 1, 0, 3, 2 */
	part.mem = (struct gmem){ .nr = 4 };
	for (u32 i = 0; i < 4; i++) {
		part.mem.ext[i] = (struct mem_extent){ GPA(i * PAGE_SIZE), HPA((uintptr_t)ram + (i ^ 1) * PAGE_SIZE),
						       PAGE_SIZE };
	}
	part.host = &host;
	part.birth_tsc = BIRTH;
	timebase_init(&host.time, 2300000000);
	fake_of(&v)->reg[VREG_TSC_OFFSET] = 0 - BIRTH;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(v.hw);
	v.hw = NULL;
	v.hw = NULL;
	return 0;
}

static u8 *at(u64 addr)
{
	return ram + (addr ^ PAGE_SIZE);
}

static u64 field(u64 addr, u32 offset, u32 len)
{
	u64 x = 0;
	memcpy(&x, at(addr) + offset, len);
	return x;
}

/* The reader, byte offsets and all: version 0, timestamp 8, system time 16, mul 24, shift 28, flags 29 */
static u64 read_ns(u64 addr, u64 guest_tsc)
{
	assert_int_equal(field(addr, 0, 4) % 2, 0);
	u64 delta = guest_tsc - field(addr, 8, 8);
	s8 shift = (s8)field(addr, 28, 1);
	delta = shift < 0 ? delta >> -shift : delta << shift;
	return field(addr, 16, 8) + (u64)((u128)delta * field(addr, 24, 4) >> 32);
}

static u64 guest_tsc(u64 host_tsc)
{
	return host_tsc + fake_of(&v)->reg[VREG_TSC_OFFSET];
}

static bool wr(u32 msr, u64 value)
{
	return kvmclock_write(&v, &clk, msr, value);
}

static void test_rates(void **state)
{
	(void)state;
	static const u64 rates[] = { 1000000, 10000000, 50000000, 999999999, 1000000000, 1000000001, 2000000000,
				     2299997700, 3500000000, 4294967296, 8000000000 };
	for (u32 i = 0; i < ARRAY_SIZE(rates); i++) {
		timebase_init(&host.time, rates[i]);
		assert_true(wr(MSR_KVM_SYSTEM_TIME, 0x1040 | 1));
		assert_true(field(0x1040, 24, 4) >> 31); /* all bits of the factor are used */
		for (u64 s = 1; s < 4000000; s *= 7) {
			u64 ticks = s * rates[i] + s % rates[i];
			u64 want = (u64)((u128)ticks * NSEC_PER_SEC / rates[i]);
			u64 got = read_ns(0x1040, guest_tsc(BIRTH + ticks));
			u64 ours = tsc_to_ns(&host.time, ticks);
			/* the time base itself is exact to 2^-32 ns a tick; what a slow TSC loses is 2^-31 */
			u64 coarse = (u64)((u128)ticks >> 32) + 1 + NSEC_PER_SEC / rates[i];
			assert_true(got <= want && want - got <= coarse + want / 2000000000);
			assert_true(got <= ours + 1 && ours - MIN(got, ours) <= 1 + NSEC_PER_SEC / rates[i] +
				    (rates[i] < NSEC_PER_SEC ? ours >> 31 : 0));
		}
	}
}

static void test_agrees_where_the_tsc_is_fast(void **state)
{
	(void)state;
	assert_true(wr(MSR_KVM_SYSTEM_TIME, 0x1000 | 1));
	u64 last = 0;
	for (u64 ticks = 0; ticks < 1ull << 60; ticks = ticks * 3 + 2) { /* even: shift is -1 */
		ticks &= ~1ull;
		u64 ns = read_ns(0x1000, guest_tsc(BIRTH + ticks));
		assert_int_equal(ns, tsc_to_ns(&host.time, ticks));
		assert_true(ns >= last);
		last = ns;
	}
}

static void test_published_once(void **state)
{
	(void)state;
	u8 before[RAM_LEN];
	memcpy(before, ram, sizeof(ram));
	assert_true(wr(MSR_KVM_SYSTEM_TIME, 0x2020 | 1));
	assert_int_equal(field(0x2020, 0, 4), 0xa5a5a5a6); /* was odd: the next even one */
	assert_int_equal(field(0x2020, 8, 8), 0);
	assert_int_equal(field(0x2020, 29, 1), 1);
	memcpy(before + (at(0x2020) - ram), at(0x2020), 32);
	assert_memory_equal(before, ram, sizeof(ram)); /* and not a byte beside it */
	assert_true(wr(MSR_KVM_SYSTEM_TIME, 0x2020 | 1));
	assert_int_equal(field(0x2020, 0, 4), 0xa5a5a5a8);
}

static void test_moved_tsc(void **state)
{
	(void)state;
	kvmclock_publish(&v, &clk); /* nothing asked for: nothing happens */
	assert_int_equal(field(0, 0, 4), 0xa5a5a5a5);
	assert_true(wr(MSR_KVM_SYSTEM_TIME, 0x2020 | 1));
	u64 now = BIRTH + 123456788;
	u64 ns = read_ns(0x2020, guest_tsc(now));
	for (u32 i = 0; i < 3; i++) {
		static const u64 moves[] = { 1, 1ull << 50, 0 - (1ull << 51) };
		fake_of(&v)->reg[VREG_TSC_OFFSET] += moves[i];
		kvmclock_publish(&v, &clk);
		assert_int_equal(read_ns(0x2020, guest_tsc(now)), ns);
		assert_int_equal(field(0x2020, 29, 1), 0);
	}
	fake_of(&v)->reg[VREG_TSC_OFFSET] = 0 - BIRTH;
	kvmclock_publish(&v, &clk);
	assert_int_equal(field(0x2020, 29, 1), 1);
	assert_true(wr(MSR_KVM_SYSTEM_TIME, 0x2020)); /* off */
	u64 version = field(0x2020, 0, 4);
	kvmclock_publish(&v, &clk);
	assert_int_equal(field(0x2020, 0, 4), version);
}

static void test_wall(void **state)
{
	(void)state;
	host.wall_seconds = 1700000000;
	host.wall_tsc = BIRTH - 2300000000ull * 5 / 2;
	assert_true(wr(MSR_KVM_WALL_CLOCK, 0x1ff4));
	assert_int_equal(field(0x1ff4, 0, 4), 0xa5a5a5a6);
	assert_int_equal(field(0x1ff4, 4, 4), 1700000002);
	assert_in_range(field(0x1ff4, 8, 4), 499999990, 500000000);
	assert_true(wr(MSR_KVM_WALL_CLOCK, 0));
	assert_int_equal(clk.msr[0], 0);
	assert_int_equal(field(0, 0, 4), 0xa5a5a5a5);
}

static void test_bad_addresses(void **state)
{
	(void)state;
	u8 before[RAM_LEN];
	memcpy(before, ram, sizeof(ram));
	static const u64 bad[] = { RAM_LEN, RAM_LEN - 8, 0x1ff0, 0x1ffc, 0x1002, 1ull << 40, 0xfee00000,
				   ~0ull & ~3ull, 1ull << 63 };
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(wr(MSR_KVM_SYSTEM_TIME, bad[i] | 1));
		assert_true(wr(MSR_KVM_SYSTEM_TIME, bad[i] & ~1ull)); /* not enabled: any value */
		if (bad[i] != 0x1ff0) {
			assert_false(wr(MSR_KVM_WALL_CLOCK, bad[i]));
		}
	}
	assert_false(wr(MSR_KVM_WALL_CLOCK, 0x1001));
	assert_false(wr(MSR_KVM_SYSTEM_TIME, 0x1003));
	assert_int_equal(clk.msr[0], 0);
	assert_int_equal(clk.msr[1], 1ull << 63);
	assert_memory_equal(before, ram, sizeof(ram));
	assert_true(wr(MSR_KVM_SYSTEM_TIME, (RAM_LEN - 32) | 1));
	assert_true(wr(MSR_KVM_SYSTEM_TIME, 0x1004 | 1)); /* aligned to 4 only */
	assert_true(wr(MSR_KVM_WALL_CLOCK, RAM_LEN - 12));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_agrees_where_the_tsc_is_fast, setup, teardown),
		cmocka_unit_test_setup_teardown(test_published_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved_tsc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wall, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_addresses, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
