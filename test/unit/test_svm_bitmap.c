/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SVM permission maps: every MSR and every port is asked the way the CPU asks (APM 2 15.10.1,
 * 15.11), and answered by a plain search of the table that the map was made from.
 */
#include "svm/svm_vcpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static u8 map[SVM_IOPM_SIZE];

static u32 table_pass(const struct msr_range *t, u32 nr, u32 msr)
{
	u32 pass = 0;
	for (u32 i = 0; i < nr; i++) {
		if (msr >= t[i].first && msr <= t[i].last) {
			pass |= t[i].pass;
		}
	}
	return pass;
}

/* Byte 0 holds MSRs 0..3; at 800h and 1000h start those of c000_0000 and c001_0000. */
static u32 map_pass(u32 msr)
{
	u32 byte = msr >= 0xc0010000 ? 0x1000 : msr >= 0xc0000000 ? 0x800 : 0;
	u32 low = msr & 0xffff;
	u32 pair = map[byte + low / 4] >> (2 * (low % 4)) & 3;
	return ~pair & 3;
}

static void test_msrs(void **state)
{
	static const struct msr_range t[] = {
		{ 0x10, 0x10, MSR_PASS_READ },
		{ 0x174, 0x176, MSR_PASS_READ | MSR_PASS_WRITE },
		{ 0x1ffe, 0x2005, MSR_PASS_WRITE },
		{ 0xbfffffff, 0xc0000000, MSR_PASS_READ },
		{ 0xc0000081, 0xc0000084, MSR_PASS_READ | MSR_PASS_WRITE },
		{ 0xc0000100, 0xc0000102, MSR_PASS_READ | MSR_PASS_WRITE },
		{ 0xc0011fff, 0xc0012000, MSR_PASS_WRITE },
		{ 0xffffffff, 0xffffffff, MSR_PASS_READ },
	};
	static const u32 part[] = { 0, 0xc0000000, 0xc0010000 };
	(void)state;
	memset(map, 0x5a, sizeof(map));
	svm_msrpm_build(map, t, ARRAY_SIZE(t));
	for (u32 p = 0; p < ARRAY_SIZE(part); p++) {
		for (u32 i = 0; i < 0x2000; i++) {
			u32 msr = part[p] + i;
			assert_int_equal(map_pass(msr), table_pass(t, ARRAY_SIZE(t), msr));
		}
	}
	for (u32 i = 0x1800; i < SVM_MSRPM_SIZE; i++) {
		assert_int_equal(map[i], 0xff);
	}
	assert_int_equal(map[SVM_MSRPM_SIZE], 0x5a);
}

static bool listed(const u16 *t, u32 nr, u32 port)
{
	for (u32 i = 0; i < nr; i++) {
		if (t[i] == port) {
			return true;
		}
	}
	return false;
}

static void test_ports(void **state)
{
	static const u16 t[] = { 0, 7, 8, 0x80, 0x3f8, 0xfffe, 0xffff };
	(void)state;
	svm_iopm_build(map, t, ARRAY_SIZE(t));
	for (u32 port = 0; port < 0x10003; port++) {
		bool exits = map[port / 8] >> (port % 8) & 1;
		assert_int_equal(exits, port > 0xffff || !listed(t, ARRAY_SIZE(t), port));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msrs),
		cmocka_unit_test(test_ports),
	};
	return cmocka_run_group_tests_name("svm bitmap", tests, NULL, NULL);
}
