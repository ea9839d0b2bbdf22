/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CMOS clock: formats, carry into the next century, alarms, the flags in register C, SET, UIP and
 * the divider's reset. It waits for flags, not for time.
 */
#include "lib/guest.h"

enum { SEC, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, WDAY, DAY, MON, YEAR, A, B, C, D, CENTURY = 0x32 };

static uint8_t get(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void set(uint8_t reg, uint8_t v)
{
	outb(0x70, reg);
	outb(0x71, v);
}

static void on_tick(struct trap_frame *f)
{
	(void)f;
}

/* A few milliseconds of HLT: an emulator has less to do than for a loop */
static void rest(void)
{
	sti_hlt_cli();
}

static void set_date(uint8_t century, uint8_t year, uint8_t mon, uint8_t day, uint8_t wday)
{
	set(CENTURY, century);
	set(YEAR, year);
	set(MON, mon);
	set(DAY, day);
	set(WDAY, wday);
}

/* Out of the divider's reset, so that the next second is half a one away */
static void set_time(uint8_t format, uint8_t hour, uint8_t min, uint8_t sec)
{
	set(A, 0x70);
	set(B, 0x80 | format);
	set(HOUR, hour);
	set(MIN, min);
	set(SEC, sec);
	set(B, format);
	set(A, 0x20);
	get(C);
}

/* Until one of @flags comes. Return: all that came; 0 = nothing for seconds. */
static uint8_t wait_flags(uint8_t flags)
{
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t c = get(C);
		if (c & flags) {
			return c;
		}
		rest();
	}
	return 0;
}

static void registers(void)
{
	CHECK(get(D) == 0x80, "D %x", get(D));
	for (uint8_t i = 0x40; i < 0x4c; i++) {
		uint8_t old = get(i);
		set(i, (uint8_t)(i * 37));
		CHECK(get(i) == (uint8_t)(i * 37), "RAM %x: %x", i, get(i));
		set(i, old);
	}
	set(A, 0xa0);
	CHECK((get(A) & 0x7f) == 0x20, "UIP is read-only: %x", get(A));
	set(D, 0);
	set(C, 0xff);
	CHECK(get(D) == 0x80, "D %x", get(D));
	set(B, 0x92);
	CHECK(get(B) == 0x82, "SET clears UIE: %x", get(B));
}

/* Midnight in each format: 12 or 24 hours, BCD or binary */
static void formats(void)
{
	static const uint8_t row[][5] = {
		/* format, 23:59:59, 00:00:0x */
		{ 0x02, 0x23, 0x59, 0x59, 0x00 }, { 0x06, 23, 59, 59, 0 },
		{ 0x00, 0x91, 0x59, 0x59, 0x12 }, { 0x04, 0x8b, 59, 59, 12 },
	};
	for (unsigned i = 0; i < 4; i++) {
		bool is_binary = row[i][0] & 0x04;
		set(B, 0x80 | row[i][0]);
		set_date(is_binary ? 20 : 0x20, is_binary ? 11 : 0x11, 5, 5, 5); /* "all ten bytes" */
		set_time(row[i][0], row[i][1], row[i][2], row[i][3]);
		CHECK(wait_flags(0x10), "format %x: no update", row[i][0]);
		CHECK(get(HOUR) == row[i][4] && get(MIN) == 0 && get(SEC) < 3, "format %x: %x:%x:%x", row[i][0],
		      get(HOUR), get(MIN), get(SEC));
	}
}

static void new_year(void)
{
	set(B, 0x82);
	set_date(0x19, 0x99, 0x12, 0x31, 6);
	CHECK(get(SEC) == get(SEC) && get(YEAR) == 0x99, "SET holds the time");
	set_time(0x02, 0x23, 0x59, 0x59);
	CHECK(wait_flags(0x10), "no update");
	CHECK(get(YEAR) == 0 && get(MON) == 1 && get(DAY) == 1, "%x-%x-%x", get(YEAR), get(MON), get(DAY));
	CHECK(get(WDAY) == 7, "weekday %x", get(WDAY));
	CHECK(get(CENTURY) == 0x20, "century %x", get(CENTURY));
	set(B, 0x82);
	set(MON, 2); /* 2000 was a leap year */
	set(DAY, 0x28);
	set_time(0x02, 0x23, 0x59, 0x59);
	CHECK(wait_flags(0x10), "no update");
	CHECK(get(MON) == 2 && get(DAY) == 0x29, "%x-%x", get(MON), get(DAY));
}

/* 07:08:59, alarm at 07:09:01: the flag comes with that second and not before */
static void alarms(void)
{
	set(A, 0x20); /* no periodic rate */
	set(HOUR_ALARM, 0x07);
	set(MIN_ALARM, 0x09);
	set(SEC_ALARM, 0x01);
	set_time(0x02, 0x07, 0x08, 0x59);
	bool is_set = false;
	for (unsigned i = 0; i < 1000 && !is_set; i++) {
		uint8_t before = get(SEC), c = get(C), after = get(SEC);
		is_set = c & 0x20;
		CHECK(!is_set || (after >= 1 && after < 0x59), "alarm at second %x", after);
		CHECK(is_set || before < 2 || before >= 0x59, "no alarm at second %x", before);
		CHECK(!(c & 0xc0), "only what happens, and nothing enabled: %x", c);
		rest();
	}
	CHECK(is_set, "no alarm");
	set(HOUR_ALARM, 0xff); /* don't care: any hour, minute and second */
	set(MIN_ALARM, 0xc0);
	set(SEC_ALARM, 0xfe);
	get(C);
	uint8_t c = wait_flags(0x20);
	CHECK((c & 0x30) == 0x30, "every second: %x", c);
	set(HOUR_ALARM, 0x24); /* no such hour */
	get(C);
	CHECK(!(wait_flags(0x10) & 0x20), "impossible alarm");
}

static volatile unsigned count;
static volatile uint8_t flags;

static void on_rtc(struct trap_frame *f)
{
	(void)f;
	flags |= get(C);
	count++;
}

static void interrupts(void)
{
	static const uint8_t enable[] = { 0x40, 0x20, 0x10 };
	on_interrupt(PIC_VECTOR(8), on_rtc);
	pic_unmask(8);
	set(A, 0x26);
	set(HOUR_ALARM, 0xff);
	set(MIN_ALARM, 0xff);
	set(SEC_ALARM, 0xff);
	for (unsigned i = 0; i < 3; i++) {
		get(C);
		count = flags = 0;
		set(B, 0x02 | enable[i]);
		while (!count) {
			sti_hlt_cli();
		}
		set(B, 0x02);
		CHECK((flags & 0x80) && (flags & enable[i]), "enabled %x, came %x", enable[i], flags);
	}
	get(C);
	CHECK(!(get(C) & 0xb0), "register C reads once");
	outb(0xa1, 0xff);
	set(B, 0x52); /* masked there: IRQF and PF stand until read */
	CHECK((wait_flags(0x40) & 0xc0) == 0xc0, "no periodic flag");
	set(B, 0x02);
}

/* UIP, and when it falls the update has ended */
static void in_progress(void)
{
	set_time(0x02, 0x10, 0x10, 0x10);
	for (unsigned i = 0; i < 3000000; i++) {
		if (get(A) & 0x80) {
			while (get(A) & 0x80) {
				__asm__ volatile("pause");
			}
			CHECK(get(C) & 0x10, "UIP fell without an update");
			return;
		}
	}
	CHECK(false, "never updating");
}

/* More than a second without an update. QEMU's own clock goes on telling flags. */
static void stands_still(const char *why, uint8_t wrong_flags)
{
	get(C);
	uint8_t s = get(SEC);
	for (unsigned i = 0; i < 240; i++) {
		rest();
	}
	CHECK(get(SEC) == s, "%s does not hold the time", why);
	CHECK(!(get(C) & wrong_flags) || !is_hosted(), "%s: flags", why);
	CHECK(!(get(A) & 0x80), "%s: updating", why);
}

static void held(void)
{
	set(B, 0x82);
	stands_still("SET", 0x30);
	set(B, 0x02);
	set(A, 0x66); /* divider chain in reset */
	stands_still("divider reset", 0x70);
	set(A, 0x26);
	CHECK(wait_flags(0x10), "no update after the divider's reset");
}

int main(const char *cmdline)
{
	(void)cmdline;
	on_interrupt(PIC_VECTOR(0), on_tick);
	pic_init();
	pit_periodic(200);
	pic_unmask(0);
	registers();
	formats();
	new_year();
	alarms();
	interrupts();
	in_progress();
	held();
	return (int)failures;
}
