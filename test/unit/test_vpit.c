// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtual 8254 against an oracle that steps: one clock pulse at a time, a counting element, OUT
 * and the gate as the data sheet's mode definitions word them. And channel 0's interrupts.
 */
#include "devices/vpit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "vdev.h"

static struct bench bench;
static struct vclock clock = { .now_ns = bench_now, .ctx = &bench };
static struct vpit p;
static u64 base_ns; /* pulses are counted from here */

static void at_pulse(u64 t)
{
	bench.now_ns = base_ns + ticks_to_ns(t, PIT_HZ);
}

static int setup(void **state maybe_unused)
{
	bench = (struct bench){ .now_ns = 12345 };
	base_ns = bench.now_ns;
	vpit_init(&p, &clock, bench_line(&bench));
	return 0;
}

static void out(u16 port, u8 v)
{
	if (port == 0x61) {
		wr(&vpit_port61_ops, &p, 0, v);
	} else {
		wr(&vpit_ops, &p, port & 3, v);
	}
}

static u8 in(u16 port)
{
	return port == 0x61 ? rd(&vpit_port61_ops, &p, 0) : rd(&vpit_ops, &p, port & 3);
}

static void out16(u16 port, u32 v)
{
	out(port, (u8)v);
	out(port, (u8)(v >> 8));
}

static u32 in16(u16 port)
{
	u32 low = in(port);

	return low | (u32)in(port) << 8;
}

static bool out2(void)
{
	return in(0x61) & 0x20;
}

/* One channel, pulse by pulse. ce counts in binary, modulo m. */
struct oracle {
	u32 mode, m, cr, ce;
	bool is_odd; /* the count in ce, not that in cr */
	bool gate, out, has_cr, is_null, is_counting, is_strobe, trigger;
};

static void oracle_program(struct oracle *o, u32 mode, u32 m, bool gate)
{
	*o = (struct oracle){ .mode = mode, .m = m, .gate = gate, .out = mode != 0, .is_null = true };
}

static void oracle_write(struct oracle *o, u32 n)
{
	o->cr = n ? n : o->m;
	o->has_cr = o->is_null = true;
	if (o->mode == 0) {
		o->out = false;
	}
}

static void oracle_gate(struct oracle *o, bool gate)
{
	if (gate && !o->gate && o->mode != 0 && o->mode != 4) {
		o->trigger = true;
	}
	if (!gate && (o->mode == 2 || o->mode == 3)) {
		o->out = true;
	}
	o->gate = gate;
}

static void oracle_load(struct oracle *o)
{
	o->ce = o->mode == 3 ? o->cr & ~1u : o->cr;
	o->is_odd = o->cr % 2;
	o->is_null = false;
	o->is_counting = true;
}

static void oracle_count_square(struct oracle *o)
{
	/* An odd count: OUT falls one pulse after the count expired, and rises as it would reach 0 */
	u32 last = o->is_odd && o->out ? 0 : 2;

	if (o->ce == last) {
		o->out = !o->out;
		oracle_load(o);
	} else {
		o->ce -= 2;
	}
}

static void oracle_pulse(struct oracle *o)
{
	bool is_soft = o->mode == 0 || o->mode == 4, is_rate = o->mode == 2 || o->mode == 3;
	bool is_first = is_rate && o->has_cr && !o->is_counting;

	if ((is_soft && o->has_cr && o->is_null) || is_first || (o->trigger && o->has_cr)) {
		oracle_load(o);
		o->trigger = false;
		o->is_strobe = o->mode >= 4;
		o->out = !(o->mode == 0 || o->mode == 1);
		return;
	}
	if (!o->is_counting || (!o->gate && (is_soft || is_rate))) {
		return;
	}
	if (o->mode == 3) {
		oracle_count_square(o);
		return;
	}
	if (o->mode == 2) {
		if (o->ce == 1) {
			oracle_load(o);
		} else {
			o->ce--;
		}
		o->out = o->ce != 1;
		return;
	}
	o->ce = (o->ce + o->m - 1) % o->m;
	if (o->mode < 2) {
		o->out |= o->ce == 0;
	} else {
		o->out = !(o->is_strobe && o->ce == 0);
		o->is_strobe &= o->ce != 0;
	}
}

static u32 bcd(u32 v)
{
	return v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12;
}

static void compare(struct oracle *o)
{
	bool is_bcd = o->m == 10000;

	assert_int_equal(out2(), o->out);
	out(0x43, 0xc8); /* read back both */
	u32 status = in(0x42), count = in16(0x42);
	assert_int_equal(status, o->out << 7 | o->is_null << 6 | 0x30 | o->mode << 1 | is_bcd);
	if (o->is_counting && !o->is_null) {
		assert_int_equal(count, is_bcd ? bcd(o->ce % 10000) : o->ce % 65536);
	}
}

/* Pulses of one run, and what is done at which */
struct plan {
	u32 count, recount_at, recount, close_at, open_at, pulses;
};

static void run(u32 mode, u32 m, const struct plan *plan)
{
	struct oracle o;

	base_ns = bench.now_ns = bench.now_ns + 777;
	out(0x61, 0);
	out(0x61, mode == 1 || mode == 5 ? 0 : 1);
	out(0x43, (u8)(0xb0 | mode << 1 | (m == 10000)));
	oracle_program(&o, mode, m, mode != 1 && mode != 5);
	compare(&o);
	out16(0x42, m == 10000 ? bcd(plan->count) : plan->count);
	oracle_write(&o, plan->count);
	for (u32 t = 0; t <= plan->pulses; t++) {
		/* The device's clock starts when it is written to, so act just after a pulse of ours */
		at_pulse(t);
		if (t) {
			oracle_pulse(&o);
		}
		bench.now_ns += 4;
		if (t && t == plan->recount_at) {
			out16(0x42, m == 10000 ? bcd(plan->recount) : plan->recount);
			oracle_write(&o, plan->recount);
		}
		bench.now_ns += 16;
		if (t && (t == plan->close_at || t == plan->open_at)) {
			out(0x61, t == plan->open_at);
			oracle_gate(&o, t == plan->open_at);
		}
		bench.now_ns += 400;
		/* Not shown: behind a closed gate we load a pulse early; what a trigger is about to load */
		if (!o.trigger && (o.gate || t != plan->recount_at)) {
			compare(&o);
		}
	}
}

static const struct plan plans[] = {
	{ .count = 10, .pulses = 50, .open_at = 3 },
	{ .count = 9, .pulses = 50, .open_at = 3 },
	{ .count = 9876, .recount_at = 30, .recount = 4321, .open_at = 3, .pulses = 12000 },
	{ .count = 3, .pulses = 20, .open_at = 1 },
	{ .count = 20, .close_at = 8, .open_at = 12, .pulses = 90 },
	{ .count = 21, .close_at = 17, .open_at = 18, .pulses = 90 },
	{ .count = 12, .recount_at = 4, .recount = 7, .open_at = 2, .pulses = 60 },
	{ .count = 7, .recount_at = 5, .recount = 12, .open_at = 2, .pulses = 60 },
	{ .count = 11, .recount_at = 14, .recount = 8, .open_at = 2, .pulses = 60 },
	{ .count = 12, .recount_at = 20, .recount = 5, .open_at = 30, .pulses = 60 },
	{ .count = 12, .close_at = 20, .recount_at = 25, .recount = 5, .open_at = 30, .pulses = 60 },
	{ .count = 12, .recount_at = 8, .recount = 5, .close_at = 9, .open_at = 11, .pulses = 60 },
};

static void modes_agree_with_the_oracle(void **state maybe_unused)
{
	for (u32 mode = 0; mode < 6; mode++) {
		for (u32 i = 0; i < ARRAY_SIZE(plans); i++) {
			run(mode, 65536, &plans[i]);
			run(mode, 10000, &plans[i]);
		}
	}
}

static void full_count(void **state maybe_unused)
{
	static const u32 m[] = { 65536, 10000 };

	for (u32 i = 0; i < 2; i++) {
		out(0x61, 1);
		out(0x43, (u8)(0xb4 | i));
		base_ns = bench.now_ns;
		out16(0x42, 0);
		at_pulse(1);
		assert_int_equal(in16(0x42), 0);
		at_pulse(2);
		assert_int_equal(in16(0x42), i ? 0x9999 : 0xffff);
		at_pulse(m[i]);
		assert_int_equal(in16(0x42), 1);
		assert_false(out2());
		at_pulse(m[i] + 1);
		assert_int_equal(in16(0x42), 0);
		assert_true(out2());
	}
}

static void counts_below_zero(void **state maybe_unused)
{
	out(0x61, 1);
	for (u32 i = 0; i < 2; i++) {
		out(0x43, (u8)(0xb0 | i));
		base_ns = bench.now_ns;
		out16(0x42, 5);
		at_pulse(6);
		assert_int_equal(in16(0x42), 0);
		at_pulse(7);
		assert_int_equal(in16(0x42), i ? 0x9999 : 0xffff);
		at_pulse(6 + 3 * 65536);
		assert_int_equal(in16(0x42), i ? bcd(10000 - 3 * 65536 % 10000) : 0);
	}
}

static void latches(void **state maybe_unused)
{
	out(0x43, 0x34);
	base_ns = bench.now_ns;
	out16(0x40, 0x1234);
	at_pulse(1);
	out(0x43, 0x00); /* counter latch */
	at_pulse(5);
	out(0x43, 0x00); /* ignored: the first is not read yet */
	assert_int_equal(in(0x40), 0x34);
	at_pulse(9);
	assert_int_equal(in(0x40), 0x12);
	assert_int_equal(in16(0x40), 0x1234 - 8); /* live again */
	out(0x43, 0xc2);			   /* status and count of channel 0 */
	at_pulse(20);
	out(0x43, 0xe2); /* status again: ignored */
	assert_int_equal(in(0x40), 0xb4);
	assert_int_equal(in16(0x40), 0x1234 - 8);
	assert_int_equal(in16(0x40), 0x1234 - 19);
	out(0x43, 0x00);
	out(0x43, 0x34); /* programming drops the latch */
	assert_int_equal(in16(0x40), 0);
	assert_int_equal(in(0x43), 0xff);
}

static void access_modes(void **state maybe_unused)
{
	out(0x61, 1);
	out(0x43, 0x94); /* low byte only */
	base_ns = bench.now_ns;
	out(0x42, 0x80);
	at_pulse(1);
	assert_int_equal(in(0x42), 0x80);
	assert_int_equal(in(0x42), 0x80);
	out(0x43, 0x80);
	at_pulse(3);
	assert_int_equal(in(0x42), 0x80);
	assert_int_equal(in(0x42), 0x7e);
	out(0x43, 0xa4); /* high byte only */
	base_ns = bench.now_ns;
	out(0x42, 0x80);
	at_pulse(2);
	assert_int_equal(in(0x42), 0x7f);
	out(0x43, 0xe8); /* modes 6 and 7 are 2 and 3, but status gives back what was written */
	out(0x43, 0xbe);
	out(0x43, 0xe8);
	assert_int_equal(in(0x42), 0xfe);
}

static void reads_back_many(void **state maybe_unused)
{
	out(0x43, 0x36);
	out16(0x40, 100);
	out(0x43, 0x74);
	out16(0x41, 200);
	out(0x43, 0xb0);
	bench.now_ns += 10000;
	out(0x43, 0xe4); /* status of channel 1: no other */
	assert_int_equal(in(0x41) & 0x7f, 0x34);
	assert_int_equal(in16(0x40) & 1, 0);
	out(0x43, 0xee); /* status of all */
	assert_int_equal(in(0x40) & 0x7f, 0x36);
	assert_int_equal(in(0x41), 0xb4);
	assert_int_equal(in(0x42), 0x70); /* no count yet: null, OUT low */
}

static void periodic_edges(void **state maybe_unused)
{
	static const u8 control[] = { 0x34, 0x36 };

	for (u32 i = 0; i < 2; i++) {
		setup(NULL);
		out(0x43, control[i]);
		out16(0x40, 11932);
		u32 rises = bench.rises;
		u64 next = vpit_poll(&p, bench.now_ns);
		for (u64 k = 1; k < 1000; k++) {
			assert_int_equal(next, base_ns + ticks_to_ns(1 + k * 11932, PIT_HZ));
			assert_int_equal(vpit_poll(&p, next - 1), next);
			assert_int_equal(bench.rises, rises + k - 1);
			next = vpit_poll(&p, next);
			assert_int_equal(bench.rises, rises + k);
			assert_true(bench.level);
		}
		next = vpit_poll(&p, next + 7 * NSEC_PER_SEC); /* missed ones are not bunched */
		assert_int_equal(bench.rises, rises + 1000);
		assert_true(next > base_ns + 7 * NSEC_PER_SEC);
	}
}

static void one_shot_edges(void **state maybe_unused)
{
	out(0x43, 0x34);
	assert_true(bench.level);
	out(0x43, 0x30);
	assert_false(bench.level); /* mode 0: OUT falls with the control word */
	out(0x40, 100);
	assert_int_equal(vpit_poll(&p, bench.now_ns), NEVER);
	out(0x40, 0);
	u64 next = vpit_poll(&p, bench.now_ns);
	assert_int_equal(next, base_ns + ticks_to_ns(101, PIT_HZ));
	assert_int_equal(vpit_poll(&p, next), NEVER);
	assert_true(bench.level);
	bench.now_ns = base_ns = next;
	out(0x40, 50); /* the first byte already stops it */
	assert_false(bench.level);
	out(0x40, 0);
	assert_int_equal(vpit_poll(&p, bench.now_ns), base_ns + ticks_to_ns(51, PIT_HZ));
	out(0x43, 0x38); /* mode 4: a pulse of one tick */
	assert_true(bench.level);
	out16(0x40, 50);
	u32 rises = bench.rises;
	next = vpit_poll(&p, bench.now_ns);
	assert_int_equal(next, base_ns + ticks_to_ns(52, PIT_HZ));
	bench.now_ns = next;
	vpit_poll(&p, next);
	assert_int_equal(bench.rises, rises + 1);
	assert_int_equal(vpit_poll(&p, next), NEVER);
	out(0x43, 0x32); /* mode 1: channel 0 has no gate to trigger it */
	out16(0x40, 50);
	assert_int_equal(vpit_poll(&p, bench.now_ns + NSEC_PER_SEC), NEVER);
}

/* A new count takes over at the end of the period (mode 2) or of its half (mode 3) */
static void edges_around_a_new_count(void **state maybe_unused)
{
	static const struct {
		u8 control;
		u64 write_at, edge[3];
	} row[] = {
		{ 0x34, 500, { 1001, 1001 + 600, 1001 + 1200 } },
		{ 0x36, 300, { 501 + 300, 501 + 900, 501 + 1500 } },
		{ 0x36, 700, { 1001, 1001 + 600, 1001 + 1200 } },
	};

	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		setup(NULL);
		out(0x43, row[i].control);
		out16(0x40, 1000);
		at_pulse(row[i].write_at);
		out16(0x40, 600);
		u64 next = vpit_poll(&p, bench.now_ns);
		for (u32 k = 0; k < 3; k++) {
			u64 expect = base_ns + ticks_to_ns(row[i].edge[k], PIT_HZ);
			assert_in_range(next, expect - 2, expect + 2);
			next = vpit_poll(&p, next);
		}
	}
	bench.now_ns += NSEC_PER_SEC;
	u32 rises = bench.rises;
	out(0x43, 0x30); /* a write catches up first: the edge that was due came */
	assert_int_equal(bench.rises, rises + 1);
	assert_false(bench.level);
}

/* Before every poll: what an access or a poll left in deadline_ns is what the poll says */
static void deadline_is_published(void **state maybe_unused)
{
	assert_int_equal(p.deadline_ns, NEVER);
	out(0x43, 0x34);
	assert_int_equal(p.deadline_ns, NEVER);
	out16(0x40, 1000);
	assert_int_equal(p.deadline_ns, base_ns + ticks_to_ns(1001, PIT_HZ));
	at_pulse(1500);
	in(0x40); /* a read does what was due, too */
	assert_int_equal(bench.rises, 2);
	assert_int_equal(p.deadline_ns, base_ns + ticks_to_ns(2001, PIT_HZ));
	at_pulse(2100);
	in(0x61);
	assert_int_equal(p.deadline_ns, base_ns + ticks_to_ns(3001, PIT_HZ));
	assert_int_equal(vpit_poll(&p, bench.now_ns), p.deadline_ns);
	out(0x43, 0x30);
	assert_int_equal(p.deadline_ns, NEVER);
}

static void port_61(void **state maybe_unused)
{
	assert_int_equal(in(0x61) & 0xc0, 0);
	out(0x61, 0xff);
	assert_int_equal(in(0x61) & 0xcf, 0x0f);
	u32 changes = 0;
	bool old = in(0x61) & 0x10;
	for (u32 us = 0; us < 15085; us++) {
		bench.now_ns += NSEC_PER_USEC;
		bool now = in(0x61) & 0x10;
		changes += now != old;
		old = now;
	}
	assert_in_range(changes, 999, 1001);
}

/* How Linux and memtest86+ measure the TSC: mode 0 on channel 2, 50 ms, watch OUT2 */
static void calibration(void **state maybe_unused)
{
	u32 latch = (u32)(PIT_HZ / 20);

	out(0x61, (in(0x61) & ~0x02) | 0x01);
	out(0x43, 0xb0);
	out16(0x42, latch);
	u64 start = bench.now_ns;
	while (!out2()) {
		bench.now_ns += 500;
	}
	assert_in_range(bench.now_ns - start, 49999000, 50002000);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(modes_agree_with_the_oracle), T(full_count), T(counts_below_zero), T(latches),
		T(access_modes), T(reads_back_many), T(periodic_edges), T(one_shot_edges),
		T(edges_around_a_new_count), T(deadline_is_published), T(port_61), T(calibration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
