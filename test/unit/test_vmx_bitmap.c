/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMX bitmaps against what the CPU looks up in them (SDM 3C 25.6.9, 26.1.3), the preemption timer
 * against its promise never to be late, and segments against the checks of VM entry.
 */
#include "vmx/vmx_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static u8 bitmap[2 * PAGE_SIZE];

/* SDM 3C 26.1.3, "RDMSR" and "WRMSR": does it exit? */
static bool msr_exits(u32 msr, bool is_write)
{
	u32 base = is_write ? 2048 : 0;
	if (msr <= 0x1fff) {
		return bitmap[base + msr / 8] >> msr % 8 & 1;
	}
	if (msr >= 0xc0000000 && msr <= 0xc0001fff) {
		msr &= 0x1fff;
		return bitmap[base + 1024 + msr / 8] >> msr % 8 & 1;
	}
	return true;
}

static bool expect_exit(const struct msr_range *r, u32 nr, u32 msr, bool is_write)
{
	for (u32 i = 0; i < nr; i++) {
		if (msr >= r[i].first && msr <= r[i].last &&
		    (r[i].pass & (is_write ? MSR_PASS_WRITE : MSR_PASS_READ))) {
			return false;
		}
	}
	return true;
}

static void test_msrs(void **state)
{
	static const struct msr_range pass[] = {
		{ 0, 0, MSR_PASS_READ },
		{ 0x174, 0x176, MSR_PASS_READ | MSR_PASS_WRITE },
		{ 0x1fff, 0x2001, MSR_PASS_WRITE }, /* the second half has no bitmap */
		{ 0x40000000, 0x40000010, MSR_PASS_READ },
		{ 0xc0000000, 0xc0000000, MSR_PASS_WRITE },
		{ 0xc0000100, 0xc0000103, MSR_PASS_READ | MSR_PASS_WRITE },
		{ 0xc0001ffe, 0xc0002005, MSR_PASS_READ },
		{ 0xfffffffe, 0xffffffff, MSR_PASS_READ },
	};
	(void)state;
	vmx_msr_bitmap_build(bitmap, pass, ARRAY_SIZE(pass));
	for (u32 w = 0; w < 2; w++) {
		for (u32 msr = 0; msr < 0x2000; msr++) {
			assert_int_equal(msr_exits(msr, w), expect_exit(pass, 8, msr, w));
			u32 high = 0xc0000000 + msr;
			assert_int_equal(msr_exits(high, w), expect_exit(pass, 8, high, w));
		}
	}
}

/* Which of 0x800 to 0x8ff pass, by what the CPU has; SDM 3C 30.5, and the x2APIC's map in 3A 11.12.1.2 */
static bool passes(u32 r, bool is_write, u32 ctl2)
{
	bool has_regs = ctl2 & BIT(8), has_vid = ctl2 & BIT(9);
	bool is_plain = r == 2 || r == 3 || r == 0xd || r == 0xf || (r >= 0x10 && r <= 0x28) ||
			(r >= 0x32 && r <= 0x38) || r == 0x3e;
	if (!(ctl2 & BIT(4))) {
		return false;
	}
	if (is_write) {
		return r == 8 || (has_vid && (r == 0xb || r == 0x3f));
	}
	return r == 8 || (has_regs && is_plain) || (has_regs && has_vid && r == 0xa);
}

static void test_x2apic(void **state)
{
	static const struct msr_range pass[] = { { 0x7ff, 0x7ff, MSR_PASS_READ | MSR_PASS_WRITE },
						 { 0x900, 0x900, MSR_PASS_READ | MSR_PASS_WRITE } };
	(void)state;
	vmx_msr_bitmap_build(bitmap, pass, ARRAY_SIZE(pass));
	/* each after another: nothing is left over */
	static const u32 ctl2[] = { 0x310, 0, 0x110, 0x210, 0x300, 0x10, 0x310, 0 };
	for (u32 i = 0; i < ARRAY_SIZE(ctl2); i++) {
		vmx_x2apic_pass(bitmap, ctl2[i]);
		for (u32 w = 0; w < 2; w++) {
			for (u32 r = 0; r < 0x100; r++) {
				assert_int_equal(msr_exits(0x800 + r, w), !passes(r, w, ctl2[i]));
			}
			assert_false(msr_exits(0x7ff, w) || msr_exits(0x900, w));
			assert_true(msr_exits(0x7fe, w) && msr_exits(0x901, w));
		}
	}
}

static void test_no_msrs(void **state)
{
	(void)state;
	bitmap[PAGE_SIZE] = 0x5a;
	vmx_msr_bitmap_build(bitmap, NULL, 0);
	for (u32 i = 0; i < PAGE_SIZE; i++) {
		assert_int_equal(bitmap[i], 0xff);
	}
	assert_int_equal(bitmap[PAGE_SIZE], 0x5a);
}

static void test_ports(void **state)
{
	static const u16 pass[] = { 0, 0x80, 0xed, 0x7fff, 0x8000, 0xffff };
	u32 next = 0;
	(void)state;
	vmx_io_bitmap_build(bitmap, pass, ARRAY_SIZE(pass));
	for (u32 port = 0; port < 0x10000; port++) {
		bool passes = next < ARRAY_SIZE(pass) && pass[next] == port;
		next += passes;
		/* bitmap A holds ports 0 to 7fff, B the rest */
		const u8 *half = bitmap + (port >= 0x8000 ? 4096 : 0);
		assert_int_equal(half[(port & 0x7fff) / 8] >> port % 8 & 1, !passes);
	}
}

static void test_timer(void **state)
{
	(void)state;
	assert_int_equal(vmx_timer_ticks(1000, 1000, 0), 0);
	assert_int_equal(vmx_timer_ticks(0, UINT64_MAX, 5), 0);
	assert_int_equal(vmx_timer_ticks(1100, 1000, 0), 100);
	assert_int_equal(vmx_timer_ticks(1100, 1000, 5), 3);
	/* far or never: armed all the same, at most 2^30 TSC ticks away */
	for (u32 rate = 0; rate < 32; rate++) {
		assert_int_equal(vmx_timer_ticks(NEVER, 7, rate), BIT(30) >> rate);
		for (u64 left = 1; left < BIT(40); left = left * 5 + 3) {
			u64 ticks = vmx_timer_ticks(500 + left, 500, rate);
			assert_true(ticks << rate <= left && ticks << rate <= BIT(30));
		}
	}
}

/* SDM 3C 27.3.1.2, the two rules on G */
static void check_segment(u32 limit, u32 attr)
{
	const struct segment in = { .base = 5, .limit = limit, .attr = attr, .sel = 8 };
	struct segment s = vmx_segment_fix(&in);
	if ((s.limit & 0xfff) != 0xfff) {
		assert_false(s.attr & BIT(15));
	}
	if (s.limit & 0xfff00000) {
		assert_true(s.attr & BIT(15));
	}
	assert_true(s.limit >= limit && s.limit - limit < 4096);
	assert_int_equal(s.attr & ~BIT(15), attr & ~BIT(15));
	assert_int_equal(s.base, 5);
	assert_int_equal(s.sel, 8);
}

static void test_segments(void **state)
{
	static const u32 limits[] = { 0,	0x67,	  0xfff,      0x1000,	  0xffff,
				      0xfffff, 0x100000, 0xabcde123, 0xfffff000, 0xffffffff };
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(limits); i++) {
		check_segment(limits[i], 0x93);
		check_segment(limits[i], 0xc093);
		check_segment(limits[i], 0x10000);
	}
	const struct segment flat = { .limit = 0xfff, .attr = 0x8093 };
	assert_int_equal(vmx_segment_fix(&flat).attr, 0x8093);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msrs),  cmocka_unit_test(test_no_msrs),
		cmocka_unit_test(test_ports), cmocka_unit_test(test_timer),
		cmocka_unit_test(test_segments), cmocka_unit_test(test_x2apic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
