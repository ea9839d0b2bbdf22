/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 8254 by channel 2, of which we hold the gate and see the output (port 0x61): the six modes,
 * latches and status, byte sequences, BCD, and what a new count does. No time is measured: where one
 * has to pass, we wait for OUT to change.
 */
#include "lib/guest.h"

static bool out(void)
{
	return inb(0x61) & 0x20;
}

static void gate(bool open)
{
	outb(0x61, (uint8_t)((inb(0x61) & ~3) | open));
}

static void program(uint8_t mode, unsigned count)
{
	outb(0x43, 0xb0 | (uint8_t)(mode << 1));
	outb(0x42, (uint8_t)count);
	outb(0x42, (uint8_t)(count >> 8));
}

static unsigned both(void)
{
	unsigned low = inb(0x42);
	return low | (unsigned)inb(0x42) << 8;
}

static unsigned count(void)
{
	outb(0x43, 0x80);
	return both();
}

static uint8_t status(void)
{
	outb(0x43, 0xe8);
	return inb(0x42);
}

/* False after far more looks than any count takes */
static bool wait_out(bool level)
{
	for (unsigned i = 0; i < 20000000; i++) {
		if (out() == level) {
			return true;
		}
	}
	return false;
}

static void latches(void)
{
	gate(true);
	program(2, 60000);
	udelay(0);
	program(2, 60000);
	outb(0x43, 0x80);
	unsigned first = inb(0x42);
	outb(0x43, 0x80); /* ignored: the first latch is not read yet */
	first |= (unsigned)inb(0x42) << 8;
	CHECK(first > 0 && first <= 60000, "%u", first);
	outb(0x43, 0xc8); /* status and count: status is read first */
	uint8_t s = inb(0x42);
	unsigned c = both();
	CHECK((s & 0x3f) == 0x34, "status %x", s);
	CHECK(c > 0 && c <= 60000, "count %u", c);
	gate(false);
	unsigned held = count();
	CHECK(held == count() && held == both(), "a closed gate stops the count: %u, %u", held, count());
	outb(0x43, 0xb4); /* no count yet */
	CHECK(status() & 0x40, "null count: %x", status());
	outb(0x42, 1);
	CHECK(status() & 0x40, "half a count is none: %x", status());
	outb(0x42, 1);
	gate(true);
	c = count();
	CHECK(c > 0 && c <= 257, "low byte first: %u", c);
	bool is_null = true;
	for (unsigned i = 0; i < 1000000 && is_null; i++) {
		is_null = status() & 0x40;
	}
	CHECK(!is_null, "never loaded");
}

static void byte_modes(void)
{
	gate(false);
	outb(0x43, 0x90); /* low byte only, mode 0 */
	outb(0x42, 0x80);
	udelay(0);
	gate(false);
	outb(0x43, 0x90);
	outb(0x42, 0x80);
	gate(true);
	gate(false);
	outb(0x43, 0x80);
	unsigned a = inb(0x42);
	CHECK(a <= 0x80 || a > 0x100 - 0x80, "low byte alone: %x", a);
	outb(0x43, 0xa0); /* high byte only */
	outb(0x42, 0x80);
	outb(0x43, 0x80);
	a = inb(0x42);
	CHECK(a == 0x80 || a == 0x7f, "high byte alone: %x", a);
	CHECK((status() & 0x3f) == 0x20, "status %x", status());
}

static void bcd(void)
{
	gate(true);
	outb(0x43, 0xb5); /* mode 2, BCD */
	outb(0x42, 0x00);
	outb(0x42, 0x50);
	for (unsigned i = 0; i < 200; i++) {
		unsigned c = count();
		bool is_decimal = true;
		for (unsigned k = 0; k < 16; k += 4) {
			is_decimal &= (c >> k & 15) < 10;
		}
		CHECK(is_decimal && c <= 0x5000 && c, "%x", c);
	}
	CHECK((status() & 0x3f) == 0x35, "status %x", status());
}

/* Low until the count has run down, then high; a count does not start it anew, a new one does */
static void mode_0(void)
{
	gate(false);
	program(0, 200);
	CHECK(!out() && !(status() & 0x80), "OUT falls with the control word");
	CHECK(!out(), "and stays low behind a closed gate");
	gate(true);
	CHECK(wait_out(true), "terminal count");
	CHECK(status() & 0x80, "status %x", status());
	outb(0x42, 0xff);
	CHECK(!out() || !is_hosted(), "the first byte of a new count stops it"); /* not so in QEMU */
	outb(0x42, 0x01);
	CHECK(wait_out(true), "terminal count again");
}

/* A rising gate triggers, the count waits for it */
static void triggered(uint8_t mode)
{
	gate(false);
	program(mode, 30000);
	CHECK(out(), "mode %u: high before the trigger", mode);
	CHECK(status() & 0x40 || !is_hosted(), "mode %u: not loaded: %x", mode, status());
	gate(true);
	if (mode == 1) {
		CHECK(wait_out(false), "one-shot");
		gate(false); /* the level does nothing */
		CHECK(wait_out(true), "end of the one-shot");
	} else {
		CHECK(out(), "mode 5: high until the strobe");
		unsigned c = count();
		for (int i = 0; i < 4 && c > 30000 && c <= 60000; i++) { /* a machine that stood still for 30 ms? */
			gate(false);
			program(mode, 30000);
			gate(true);
			c = count();
		}
		CHECK(c <= 30000 || c > 60000, "counts: %u", c);
	}
}

static void mode_2_and_3(void)
{
	for (uint8_t mode = 2; mode <= 3; mode++) {
		gate(true);
		program(mode, 1000);
		for (unsigned i = 0; i < 200; i++) {
			unsigned c = count();
			CHECK(c > 0 && c <= 1000 && (mode == 2 || c % 2 == 0), "mode %u: %u", mode, c);
		}
		if (mode == 3) {
			CHECK(wait_out(false) && wait_out(true) && wait_out(false), "square wave");
		}
		gate(false);
		CHECK(out(), "mode %u: a closed gate makes OUT high", mode);
		program(mode, 60000);
		gate(true);
		outb(0x42, 100);
		outb(0x42, 0); /* takes over at the end of the period, half a lifetime away */
		if (is_hosted()) {
			CHECK(count() > 100 || !(status() & 0x40), "mode %u: the new count came at once", mode);
		}
		gate(false);
		gate(true); /* a trigger takes it now */
		unsigned c = count();
		CHECK(c > 0 && c <= 100, "mode %u: %u after a trigger", mode, c);
	}
}

static void mode_4(void)
{
	gate(false);
	program(4, 40000);
	CHECK(out(), "mode 4 begins high");
	gate(true);
	gate(false);
	unsigned held = count();
	CHECK(held == count(), "mode 4: a closed gate stops the count");
	CHECK(out(), "no strobe yet");
}

static void port_61(void)
{
	uint8_t old = inb(0x61);
	unsigned changes = 0;
	for (unsigned i = 0; i < 20000000 && changes < 4; i++) {
		uint8_t now = inb(0x61);
		changes += (now ^ old) >> 4 & 1;
		old = now;
	}
	CHECK(changes == 4, "refresh toggles: %u", changes);
	for (unsigned i = 0; i < 4; i++) {
		outb(0x61, (uint8_t)i);
		CHECK((inb(0x61) & 0xc3) == i, "%x, not %x", inb(0x61), i);
	}
	outb(0x61, 0);
}

static volatile unsigned ticks;

static void on_tick(struct trap_frame *f)
{
	(void)f;
	ticks++;
}

/* Channel 0: once in mode 0, again and again in mode 2 */
static void interrupts(void)
{
	on_interrupt(PIC_VECTOR(0), on_tick);
	outb(0x43, 0x30);
	pic_init();
	pic_unmask(0);
	outb(0x40, 0xe8);
	outb(0x40, 0x03);
	while (!ticks) {
		sti_hlt_cli();
	}
	sti();
	udelay(10000);
	cli();
	CHECK(ticks == 1, "mode 0 ticked %u times", ticks);
	pit_periodic(1000);
	while (ticks < 6) {
		sti_hlt_cli();
	}
	outb(0x43, 0x30);
	outb(0x21, 0xff);
}

int main(const char *cmdline)
{
	(void)cmdline;
	latches();
	byte_modes();
	bcd();
	mode_0();
	triggered(1);
	triggered(5);
	mode_2_and_3();
	mode_4();
	port_61();
	interrupts();
	return (int)failures;
}
