// SPDX-License-Identifier: BSD-2-Clause
/* The virtual I/O APIC against the 82093AA data sheet. */
#include "devices/vioapic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MASKED	 0x10000u
#define LEVEL	 0x8000u
#define REMOTE	 0x4000u
#define POLARITY 0x2000u

static struct vioapic a;
static struct vioapic_message last;
static u32 nr_sent;

static void sink(void *ctx, const struct vioapic_message *m)
{
	assert_ptr_equal(ctx, &nr_sent);
	last = *m;
	nr_sent++;
}

static int setup(void **state)
{
	(void)state;
	vioapic_init(&a, 5, sink, &nr_sent);
	nr_sent = 0;
	return 0;
}

static u32 reg(u8 n)
{
	vioapic_ops.write(&a, 0, 4, n);
	return (u32)vioapic_ops.read(&a, 0x10, 4);
}

static void set_reg(u8 n, u32 v)
{
	vioapic_ops.write(&a, 0, 4, n);
	vioapic_ops.write(&a, 0x10, 4, v);
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(reg(0), 0x05000000);
	assert_int_equal(reg(1), 0x00170020);
	assert_int_equal(reg(2), 0x05000000);
	set_reg(0, 0xffffffff);
	assert_int_equal(reg(0), 0x0f000000);
	set_reg(1, 0xffffffff);
	set_reg(2, 0);
	assert_int_equal(reg(1), 0x00170020);
	assert_int_equal(reg(2), 0x0f000000);
	for (u8 n = 0x10; n < 0x40; n++) {
		assert_int_equal(reg(n), n & 1 ? 0 : MASKED);
	}
	assert_int_equal(reg(0x0f), 0);
	assert_int_equal(reg(0x40), 0);
	set_reg(0x40, 0xffffffff);
	set_reg(0x10 + 2 * 3, 0xffffffff);
	set_reg(0x11 + 2 * 3, 0xffffffff);
	assert_int_equal(reg(0x10 + 2 * 3), 0x1afff); /* not delivery status, not remote IRR */
	assert_int_equal(reg(0x11 + 2 * 3), 0xff000000);
	assert_int_equal(nr_sent, 0);
}

static void test_odd_widths(void **state)
{
	(void)state;
	vioapic_ops.write(&a, 0, 1, 0x11);
	vioapic_ops.write(&a, 0x13, 1, 0x42); /* destination alone, one byte */
	assert_int_equal(vioapic_ops.read(&a, 0x10, 4), 0x42000000);
	assert_int_equal(vioapic_ops.read(&a, 0x13, 1) & 0xff, 0x42);
	assert_int_equal(vioapic_ops.read(&a, 0x12, 2) & 0xffff, 0x4200);
	vioapic_ops.write(&a, 0, 2, 0x10);
	vioapic_ops.write(&a, 0x10, 1, 0x30);
	assert_int_equal(vioapic_ops.read(&a, 0x10, 8), MASKED | 0x30);
	vioapic_ops.write(&a, 2, 1, 0xff); /* above the index byte: nothing there */
	assert_int_equal(vioapic_ops.read(&a, 0, 4), 0x10);
	vioapic_ops.write(&a, 4, 4, 0x12);
	vioapic_ops.write(&a, 0x20, 4, 0x12);
	vioapic_ops.write(&a, 0x41, 1, 0x12);
	assert_int_equal(vioapic_ops.read(&a, 0, 4), 0x10);
	assert_int_equal(vioapic_ops.read(&a, 4, 4), 0);
	assert_int_equal(vioapic_ops.read(&a, 0x40, 4), 0);
	assert_int_equal(vioapic_ops.read(&a, 0xff8, 8), 0);
}

static void test_edge(void **state)
{
	(void)state;
	vioapic_set_line(&a, 4, true); /* masked: the edge is lost */
	set_reg(0x11 + 8, 0x03000000);
	set_reg(0x10 + 8, 0x0934); /* logical, lowest priority */
	assert_int_equal(nr_sent, 0);
	vioapic_set_line(&a, 4, true);
	assert_int_equal(nr_sent, 0);
	vioapic_set_line(&a, 4, false);
	vioapic_set_line(&a, 4, true);
	assert_int_equal(nr_sent, 1);
	assert_int_equal(last.dest, 3);
	assert_int_equal(last.vector, 0x34);
	assert_int_equal(last.mode, 1);
	assert_true(last.is_logical);
	assert_false(last.is_level);
	assert_int_equal(reg(0x10 + 8), 0x0934); /* no remote IRR */
	vioapic_eoi(&a, 0x34);
	assert_int_equal(nr_sent, 1);
}

static void test_level(void **state)
{
	(void)state;
	set_reg(0x10, LEVEL | POLARITY | 0x31);
	vioapic_set_line(&a, 0, true);
	assert_int_equal(nr_sent, 1);
	assert_true(last.is_level);
	assert_int_equal(reg(0x10), LEVEL | POLARITY | REMOTE | 0x31);
	vioapic_set_line(&a, 0, false);
	vioapic_set_line(&a, 0, true);
	assert_int_equal(nr_sent, 1); /* not before the EOI */
	vioapic_eoi(&a, 0x32);
	assert_int_equal(nr_sent, 1);
	vioapic_eoi(&a, 0x31);
	assert_int_equal(nr_sent, 2);
	vioapic_set_line(&a, 0, false);
	vioapic_ops.write(&a, 0x40, 4, 0x31);
	assert_int_equal(nr_sent, 2);
	assert_int_equal(reg(0x10) & REMOTE, 0);
}

static void test_unmask_level(void **state)
{
	(void)state;
	set_reg(0x10, MASKED | LEVEL | 0x31);
	vioapic_set_line(&a, 0, true);
	assert_int_equal(nr_sent, 0);
	set_reg(0x10, LEVEL | 0x31);
	assert_int_equal(nr_sent, 1);
	set_reg(0x10, MASKED | LEVEL | 0x31); /* masking keeps remote IRR, so unmasking sends nothing */
	assert_int_equal(reg(0x10) & REMOTE, REMOTE);
	set_reg(0x10, LEVEL | 0x31);
	assert_int_equal(nr_sent, 1);
	set_reg(0x10, MASKED | LEVEL | 0x31);
	vioapic_eoi(&a, 0x31); /* masked: the EOI ends it, nothing comes again */
	assert_int_equal(nr_sent, 1);
	set_reg(0x10, LEVEL | 0x31);
	assert_int_equal(nr_sent, 2);
	set_reg(0x10, MASKED | 0x31); /* how Linux clears remote IRR without an EOI */
	assert_int_equal(reg(0x10) & REMOTE, 0);
	set_reg(0x10, LEVEL | 0x31);
	assert_int_equal(nr_sent, 3);
}

static void test_nmi_is_edge(void **state)
{
	(void)state;
	set_reg(0x10 + 2, LEVEL | 0x400);
	vioapic_set_line(&a, 1, true);
	vioapic_set_line(&a, 1, true);
	assert_int_equal(nr_sent, 1);
	assert_int_equal(last.mode, 4);
	assert_false(last.is_level);
	assert_int_equal(reg(0x12) & REMOTE, 0);
}

/* 3.2.4 "Delivery Mode": 3 and 6 are reserved; what is not fixed or lowest priority is an edge */
static void test_modes(void **state)
{
	for (u32 mode = 0; mode < 8; mode++) {
		for (u32 level = 0; level < 2; level++) {
			setup(state);
			bool is_level = level && mode < 2;
			set_reg(0x11 + 2 * 5, 0x5a000000);
			set_reg(0x10 + 2 * 5, (level ? LEVEL : 0) | POLARITY | 0x800 | mode << 8 | 0x71);
			vioapic_set_line(&a, 5, true);
			assert_int_equal(nr_sent, mode != 3 && mode != 6);
			if (nr_sent) {
				assert_int_equal(last.mode, mode);
				assert_int_equal(last.vector, 0x71);
				assert_int_equal(last.dest, 0x5a);
				assert_true(last.is_logical);
				assert_int_equal(last.is_level, is_level);
			}
			assert_int_equal(!!(reg(0x10 + 2 * 5) & REMOTE), is_level);
		}
	}
}

/* Two pins on one vector: one EOI ends both, and the one that is still asserted comes again */
static void test_shared_vector(void **state)
{
	(void)state;
	set_reg(0x10 + 2 * 20, LEVEL | 0x41);
	set_reg(0x10 + 2 * 21, LEVEL | 0x41);
	vioapic_set_line(&a, 20, true);
	vioapic_set_line(&a, 21, true);
	assert_int_equal(nr_sent, 2);
	vioapic_set_line(&a, 20, false);
	vioapic_eoi(&a, 0x41);
	assert_int_equal(nr_sent, 3);
	assert_int_equal(reg(0x10 + 2 * 20) & REMOTE, 0);
	assert_int_equal(reg(0x10 + 2 * 21) & REMOTE, REMOTE);
}

static u32 random_u32(void)
{
	static u64 seed = 0x2545f4914f6cdd1dull;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)(seed >> 20);
}

/*
 * One pin against the data sheet's sentences, each event judged by itself: an edge counts when it comes and
 * the pin is not masked; a level counts as long as it lasts, but once for each EOI.
 */
static void test_pin_oracle(void **state)
{
	bool line = false, waits_for_eoi = false;
	u32 entry = MASKED, sent = 0;
	setup(state);
	for (u32 i = 0; i < 200000; i++) {
		u32 r = random_u32();
		bool is_edge = false;
		switch (r % 4) {
		case 0:
			is_edge = !line && (r & 16);
			line = r & 16;
			vioapic_set_line(&a, 9, line);
			break;
		case 1:
			entry = (r >> 8 & (MASKED | LEVEL | POLARITY | 0x100)) | 0x33 | (r >> 24 & 1);
			set_reg(0x10 + 2 * 9, entry | REMOTE | 0x1000); /* both read-only */
			break;
		case 2:
			waits_for_eoi &= (entry & 0xff) != 0x33;
			vioapic_eoi(&a, 0x33);
			break;
		default:
			waits_for_eoi &= (entry & 0xff) != (r >> 8 & 0xff);
			vioapic_ops.write(&a, 0x40, 4, r >> 8 & 0xff);
		}
		bool is_on = !(entry & MASKED);
		if (entry & LEVEL) {
			sent += is_on && line && !waits_for_eoi;
			waits_for_eoi |= is_on && line;
		} else {
			sent += is_on && is_edge;
			waits_for_eoi = false;
		}
		assert_int_equal(nr_sent, sent);
		assert_int_equal(reg(0x10 + 2 * 9), entry | (waits_for_eoi ? REMOTE : 0));
	}
	assert_in_range(sent, 10000, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_registers, setup),
		cmocka_unit_test_setup(test_odd_widths, setup),
		cmocka_unit_test_setup(test_edge, setup),
		cmocka_unit_test_setup(test_level, setup),
		cmocka_unit_test_setup(test_unmask_level, setup),
		cmocka_unit_test_setup(test_nmi_is_edge, setup),
		cmocka_unit_test(test_modes),
		cmocka_unit_test_setup(test_shared_vector, setup),
		cmocka_unit_test(test_pin_oracle),
	};
	return cmocka_run_group_tests_name("vioapic", tests, NULL, NULL);
}
