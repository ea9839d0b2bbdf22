// SPDX-License-Identifier: BSD-2-Clause
/* The virtual MC146818 against the Motorola data sheet; dates against the C library. */
#include "devices/vrtc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>
#include "vdev.h"

enum { SEC, SEC_ALARM, MIN_, MIN_ALARM, HOUR, HOUR_ALARM, WDAY, DAY, MON, YEAR, A, B, C, D };
#define CENTURY 0x32
#define SEC_NS	NSEC_PER_SEC

/* 2024-02-28 23:59:50, a Wednesday */
#define START 1709164790ull

static struct bench bench;
static struct vclock clk = { .now_ns = bench_now, .ctx = &bench };
static struct vrtc r;

static int setup(void **state maybe_unused)
{
	bench = (struct bench){ 0 };
	vrtc_init(&r, &clk, bench_line(&bench), START);
	return 0;
}

static u8 get(u8 reg)
{
	wr(&vrtc_ops, &r, 0, reg);
	return rd(&vrtc_ops, &r, 1);
}

static void set(u8 reg, u8 v)
{
	wr(&vrtc_ops, &r, 0, reg);
	wr(&vrtc_ops, &r, 1, v);
}

static void expect_time(u32 hour, u32 min, u32 sec)
{
	assert_int_equal(get(HOUR), hour);
	assert_int_equal(get(MIN_), min);
	assert_int_equal(get(SEC), sec);
}

static void expect_date(u32 century, u32 year, u32 mon, u32 day, u32 wday)
{
	assert_int_equal(get(CENTURY), century);
	assert_int_equal(get(YEAR), year);
	assert_int_equal(get(MON), mon);
	assert_int_equal(get(DAY), day);
	assert_int_equal(get(WDAY), wday);
}

static void power_on(void **state maybe_unused)
{
	assert_int_equal(get(A), 0x26);
	assert_int_equal(get(B), 0x02);
	assert_int_equal(get(D), 0x80);
	expect_time(0x23, 0x59, 0x50);
	expect_date(0x20, 0x24, 0x02, 0x28, 4);
	bench.now_ns = 10 * SEC_NS;
	expect_time(0, 0, 0);
	expect_date(0x20, 0x24, 0x02, 0x29, 5);
	bench.now_ns += 86400 * SEC_NS;
	expect_date(0x20, 0x24, 0x03, 0x01, 6);
}

static void index_and_ram(void **state maybe_unused)
{
	wr(&vrtc_ops, &r, 0, 0x80 | 0x7f); /* the NMI mask is not part of the index */
	assert_int_equal(rd(&vrtc_ops, &r, 0), 0x7f);
	for (u8 i = 0x40; i < 0x80; i++) {
		set(i, (u8)(i * 7));
	}
	for (u8 i = 0x40; i < 0x80; i++) {
		assert_int_equal(get(0x80 | i), (u8)(i * 7));
	}
	set(C, 0xff);
	set(D, 0x00);
	assert_int_equal(get(D), 0x80);
	set(A, 0xff & ~0x70);
	assert_int_equal(get(A), 0x0f); /* UIP is read-only */
}

static void dates_like_gmtime(void **state maybe_unused)
{
	set(B, 0x06);
	for (u64 day = 0; day < 400 * 366; day += 13) {
		time_t t = (time_t)(day * 86400 + day % 86400);
		struct tm tm;
		gmtime_r(&t, &tm);
		r.base_seconds = t;
		u32 year = (u32)tm.tm_year + 1900;
		expect_date(year / 100, year % 100, (u32)tm.tm_mon + 1, (u32)tm.tm_mday, (u32)tm.tm_wday + 1);
		expect_time((u32)tm.tm_hour, (u32)tm.tm_min, (u32)tm.tm_sec);
		set(B, 0x86); /* through the registers, back to the same second */
		set(B, 0x06);
		assert_int_equal(r.base_seconds, t);
	}
}

static void leap_days(void **state maybe_unused)
{
	r.base_seconds = 951782399; /* 2000-02-28 23:59:59 */
	expect_date(0x20, 0x00, 0x02, 0x28, 2);
	bench.now_ns = SEC_NS;
	expect_date(0x20, 0x00, 0x02, 0x29, 3);
	bench.now_ns += 86400 * SEC_NS;
	expect_date(0x20, 0x00, 0x03, 0x01, 4);
	r.base_seconds = 4107542399; /* 2100-02-28 23:59:59: no leap year */
	bench.now_ns = SEC_NS;
	expect_date(0x21, 0x00, 0x03, 0x01, 2);
}

static void formats(void **state maybe_unused)
{
	static const u8 bcd12[] = { 0x12, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x10, 0x11 };

	for (u32 h = 0; h < 24; h++) {
		u8 pm = h < 12 ? 0 : 0x80;
		r.base_seconds = (s64)(START / 86400 * 86400 + h * 3600 + 59 * 60 + 58);
		set(B, 0x00);
		expect_time(bcd12[h % 12] | pm, 0x59, 0x58);
		set(B, 0x80);
		set(B, 0x00);
		expect_time(bcd12[h % 12] | pm, 0x59, 0x58);
		set(B, 0x04);
		expect_time(((h + 11) % 12 + 1) | pm, 59, 58);
		set(B, 0x84);
		set(B, 0x04);
		expect_time(((h + 11) % 12 + 1) | pm, 59, 58);
		set(B, 0x02);
		expect_time(h / 10 << 4 | h % 10, 0x59, 0x58);
	}
}

static void set_bit_stops_the_clock(void **state maybe_unused)
{
	set(B, 0x82);
	bench.now_ns = 100 * SEC_NS;
	expect_time(0x23, 0x59, 0x50);
	assert_int_equal(get(C) & 0x10, 0); /* no update */
	static const u8 value[][2] = { { SEC, 0x30 }, { MIN_, 0x15 }, { HOUR, 0x07 }, { DAY, 0x31 },
				       { MON, 0x12 }, { YEAR, 0x99 }, { CENTURY, 0x19 }, { WDAY, 0x06 } };
	for (u32 i = 0; i < ARRAY_SIZE(value); i++) {
		set(value[i][0], value[i][1]);
	}
	bench.now_ns += 50 * SEC_NS;
	assert_int_equal(get(SEC), 0x30);
	set(B, 0x02);
	expect_time(0x07, 0x15, 0x30);
	expect_date(0x19, 0x99, 0x12, 0x31, 6);
	bench.now_ns += 17 * 3600 * SEC_NS;
	expect_time(0x00, 0x15, 0x30);
	expect_date(0x20, 0x00, 0x01, 0x01, 7);
}

/* A counter of its own, from 1 to 7, whatever the date */
static void weekday_counts_by_itself(void **state maybe_unused)
{
	set(WDAY, 1);
	expect_date(0x20, 0x24, 0x02, 0x28, 1);
	expect_time(0x23, 0x59, 0x50);
	set(DAY, 0x27); /* a new date does not touch it */
	expect_date(0x20, 0x24, 0x02, 0x27, 1);
	bench.now_ns = 10 * SEC_NS;
	expect_date(0x20, 0x24, 0x02, 0x28, 2);
	bench.now_ns += 6 * 86400 * SEC_NS;
	assert_int_equal(get(WDAY), 1);
}

/* "Divider Control": 11x holds the chain and with it time and periodic edges; then half a second */
static void divider_reset(void **state maybe_unused)
{
	for (u8 dv = 0x60; dv <= 0x70; dv += 0x10) {
		setup(NULL);
		bench.now_ns = SEC_NS * 9 / 10;
		set(B, 0x52);
		set(A, dv | 6);
		assert_int_equal(r.deadline_ns, NEVER);
		get(C);
		bench.now_ns = 10 * SEC_NS + 123456789;
		assert_int_equal(get(A), dv | 6);
		expect_time(0x23, 0x59, 0x50);
		assert_int_equal(get(C), 0);
		set(SEC, 0x20);
		set(A, 0x26);
		u64 start = bench.now_ns;
		assert_in_range(r.deadline_ns, start + 1, start + SEC_NS / 1024 + 1);
		bench.now_ns = start + SEC_NS / 2 - 2228001;
		assert_int_equal(get(A) & 0x80, 0);
		bench.now_ns += 1;
		assert_int_equal(get(A) & 0x80, 0x80);
		bench.now_ns = start + SEC_NS / 2 - 1;
		expect_time(0x23, 0x59, 0x20);
		assert_int_equal(get(C) & 0x10, 0);
		bench.now_ns = start + SEC_NS / 2;
		expect_time(0x23, 0x59, 0x21);
		assert_int_equal(get(C) & 0x90, 0x90);
		set(B, 0x12);
		assert_int_equal(r.deadline_ns, start + SEC_NS * 3 / 2);
	}
}

/* What an access leaves in deadline_ns is what the next poll says, and before it a poll does nothing */
static void deadline_is_published(void **state maybe_unused)
{
	assert_int_equal(r.deadline_ns, NEVER);
	set(B, 0x42);
	assert_int_equal(r.deadline_ns, (SEC_NS + 1023) / 1024);
	assert_int_equal(vrtc_poll(&r, r.deadline_ns - 1), r.deadline_ns);
	bench.now_ns = r.deadline_ns;
	get(SEC); /* any access does what was due */
	assert_true(bench.level);
	assert_int_equal(r.deadline_ns, NEVER);
	get(C);
	assert_int_equal(r.deadline_ns, (2 * SEC_NS + 1023) / 1024);
	set(A, 0x20);
	assert_int_equal(r.deadline_ns, NEVER);
	set(B, 0x22);
	assert_int_equal(r.deadline_ns, SEC_NS);
	set(B, 0xa2); /* SET stops updates, and so alarms */
	assert_int_equal(r.deadline_ns, NEVER);
}

static void running_clock_takes_writes(void **state maybe_unused)
{
	set(SEC, 0x05);
	set(HOUR, 0x11);
	expect_time(0x11, 0x59, 0x05);
	bench.now_ns = SEC_NS;
	expect_time(0x11, 0x59, 0x06);
	set(MON, 0x99); /* nonsense becomes some real date */
	assert_in_range(get(MON), 0x01, 0x12);
	set(MON, 0x00);
	set(DAY, 0x00);
	set(WDAY, 0xff);
	assert_in_range(get(DAY), 0x01, 0x31);
	assert_in_range(get(WDAY), 1, 7);
	set(CENTURY, 0xff);
	set(YEAR, 0xff);
	assert_in_range(get(MON), 0x01, 0x12);
	set(CENTURY, 0x00);
	set(YEAR, 0x00);
	expect_date(0, 0, get(MON), get(DAY), get(WDAY));
}

static void update_in_progress(void **state maybe_unused)
{
	u64 second = 5 * SEC_NS, uip = 2228 * NSEC_PER_USEC;

	bench.now_ns = second - uip - 1;
	assert_int_equal(get(A), 0x26);
	bench.now_ns = second - uip;
	assert_int_equal(get(A), 0xa6);
	assert_int_equal(get(SEC), 0x54);
	bench.now_ns = second - 1;
	assert_int_equal(get(A), 0xa6);
	set(B, 0x82);
	assert_int_equal(get(A), 0x26);
	set(B, 0x02);
	bench.now_ns = second;
	assert_int_equal(get(A), 0x26);
	assert_int_equal(get(SEC), 0x55);
}

static void periodic_rates(void **state maybe_unused)
{
	static const u32 hz[] = { 0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2 };

	for (u8 rs = 0; rs < 16; rs++) {
		setup(NULL);
		set(A, 0x20 | rs);
		set(B, 0x42);
		u64 next = vrtc_poll(&r, 0);
		if (!rs) {
			assert_int_equal(next, NEVER);
			continue;
		}
		for (u64 k = 1; k < 20; k++) {
			assert_int_equal(next, (k * SEC_NS + hz[rs] - 1) / hz[rs]);
			assert_int_equal(vrtc_poll(&r, next - 1), next);
			assert_false(bench.level);
			assert_int_equal(vrtc_poll(&r, next), NEVER); /* until acknowledged */
			assert_true(bench.level);
			bench.now_ns = next;
			assert_int_equal(get(C) & 0xc0, 0xc0);
			assert_false(bench.level);
			assert_int_equal(get(C), 0);
			next = vrtc_poll(&r, next);
		}
	}
}

static void update_ended(void **state maybe_unused)
{
	set(B, 0x12);
	assert_int_equal(vrtc_poll(&r, SEC_NS / 4), SEC_NS);
	vrtc_poll(&r, SEC_NS);
	assert_true(bench.level);
	bench.now_ns = SEC_NS;
	assert_int_equal(get(C) & 0x90, 0x90);
	assert_int_equal(vrtc_poll(&r, SEC_NS), 2 * SEC_NS);
	set(B, 0x92); /* SET clears UIE */
	assert_int_equal(get(B), 0x82);
	assert_int_equal(vrtc_poll(&r, 3 * SEC_NS), NEVER);
}

static void alarm_at(u8 hour, u8 min, u8 sec)
{
	set(HOUR_ALARM, hour);
	set(MIN_ALARM, min);
	set(SEC_ALARM, sec);
}

static void flags_without_enables(void **state maybe_unused)
{
	bench.now_ns = SEC_NS;
	assert_int_equal(vrtc_poll(&r, SEC_NS), NEVER);
	assert_int_equal(get(C), 0x50); /* PF and UF tell, IRQF does not */
	assert_false(bench.level);
	assert_int_equal(get(C), 0);
	alarm_at(0xff, 0xff, 0xff);
	get(C);
	bench.now_ns = 2 * SEC_NS;
	assert_int_equal(get(C), 0x70);
	bench.now_ns = 3 * SEC_NS;
	set(B, 0x42); /* enabling what is already flagged interrupts at once */
	assert_true(bench.level);
	set(B, 0x02);
	assert_false(bench.level);
	assert_int_equal(get(C), 0x70);
}

static void alarms(void **state maybe_unused)
{
	/* From 23:59:50: when they ring, in seconds from birth; NEVER for impossible times */
	static const struct {
		u8 hour, min, sec;
		u64 after[2];
	} row[] = {
		{ 0x00, 0x00, 0x00, { 10, 86410 } },
		{ 0x23, 0x59, 0x50, { 86400, 172800 } },
		{ 0x23, 0x59, 0x51, { 1, 86401 } },
		{ 0x23, 0x59, 0x49, { 86399, 172799 } },
		{ 0x22, 0x58, 0x49, { 82739, 169139 } },
		{ 0xff, 0xc0, 0x55, { 5, 65 } },
		{ 0xff, 0x30, 0x00, { 1810, 5410 } },
		{ 0xc5, 0xd5, 0xe5, { 1, 2 } },
		{ 0x12, 0xff, 0x00, { 43210, 43270 } },
		{ 0x24, 0xff, 0xff, { NEVER, NEVER } },
		{ 0xff, 0x60, 0xff, { NEVER, NEVER } },
		{ 0xff, 0xff, 0x7f, { NEVER, NEVER } },
	};

	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		setup(NULL);
		alarm_at(row[i].hour, row[i].min, row[i].sec);
		set(B, 0x22);
		assert_int_equal(vrtc_poll(&r, 0), SEC_NS); /* it looks every second */
		for (u32 k = 0; k < 2; k++) {
			bool is_never = row[i].after[k] == NEVER;
			u64 at = is_never ? 200000 * SEC_NS : row[i].after[k] * SEC_NS;
			vrtc_poll(&r, at - 1);
			assert_false(bench.level);
			vrtc_poll(&r, at);
			assert_int_equal(bench.level, !is_never);
			bench.now_ns = at;
			assert_int_equal(get(C) & 0xa0, is_never ? 0 : 0xa0);
		}
	}
	setup(NULL); /* nobody looked for years */
	alarm_at(0x12, 0x34, 0x56);
	bench.now_ns = 1000 * 86400 * SEC_NS;
	assert_int_equal(get(C) & 0x20, 0x20);
}

static void rings_after(u64 seconds)
{
	vrtc_poll(&r, bench.now_ns + seconds * SEC_NS - 1);
	assert_false(bench.level);
	vrtc_poll(&r, bench.now_ns + seconds * SEC_NS);
	assert_true(bench.level);
	bench.now_ns += seconds * SEC_NS;
	get(C);
}

static void alarm_in_12_hours(void **state maybe_unused)
{
	set(B, 0x20);
	alarm_at(0x81, 0x00, 0x00); /* 1 pm */
	rings_after(10 + 13 * 3600);
	alarm_at(0x12, 0x00, 0x00); /* midnight */
	rings_after(11 * 3600);
}

static void deadline_is_the_nearest(void **state maybe_unused)
{
	alarm_at(0xff, 0xff, 0xff);
	set(A, 0x2f);
	set(B, 0x72);
	assert_int_equal(vrtc_poll(&r, 0), SEC_NS / 2);
	set(B, 0x32);
	assert_int_equal(vrtc_poll(&r, 0), SEC_NS);
}

static void memory_bytes(void **state maybe_unused)
{
	vrtc_set_memory(&r, 512 * MIB, 0);
	assert_int_equal(get(0x15) | get(0x16) << 8, 640);
	assert_int_equal(get(0x17) | get(0x18) << 8, 0xffff);
	assert_int_equal(get(0x30) | get(0x31) << 8, 0xffff);
	assert_int_equal(get(0x34) | get(0x35) << 8, (512 - 16) * 16);
	vrtc_set_memory(&r, 3 * GIB, 100 * GIB);
	assert_int_equal(get(0x34) | get(0x35) << 8, (3072 - 16) * 16);
	assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 100 * 1024 * 16);
	vrtc_set_memory(&r, 8 * MIB, 0);
	assert_int_equal(get(0x17) | get(0x18) << 8, 7 * 1024);
	assert_int_equal(get(0x34) | get(0x35) << 8, 0);
	vrtc_set_memory(&r, 512 * KIB, 0);
	assert_int_equal(get(0x15) | get(0x16) << 8, 512);
	assert_int_equal(get(0x17) | get(0x18) << 8, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(power_on), T(index_and_ram), T(dates_like_gmtime), T(leap_days), T(formats),
		T(set_bit_stops_the_clock), T(weekday_counts_by_itself),
		T(divider_reset), T(deadline_is_published), T(running_clock_takes_writes),
		T(update_in_progress), T(periodic_rates), T(update_ended),
		T(flags_without_enables), T(alarms), T(alarm_in_12_hours), T(deadline_is_the_nearest),
		T(memory_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
