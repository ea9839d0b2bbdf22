// SPDX-License-Identifier: BSD-2-Clause
/* The virtual 8259A pair against the Intel data sheet. */
#include "devices/vpic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "vdev.h"

static struct vpic p;

static void out(u16 port, u8 v)
{
	if (port >= 0x4d0) {
		wr(&vpic_elcr_ops, &p, port & 1, v);
	} else {
		wr(port < 0xa0 ? &vpic_master_ops : &vpic_slave_ops, &p, port & 1, v);
	}
}

static u8 in(u16 port)
{
	if (port >= 0x4d0) {
		return rd(&vpic_elcr_ops, &p, port & 1);
	}
	return rd(port < 0xa0 ? &vpic_master_ops : &vpic_slave_ops, &p, port & 1);
}

/* As Linux does: vectors 0x30 and 0x38, nothing masked */
static void program(u8 master_icw4, u8 slave_icw4)
{
	out(0x20, 0x11);
	out(0x21, 0x30);
	out(0x21, 0x04);
	out(0x21, master_icw4);
	out(0xa0, 0x11);
	out(0xa1, 0x38);
	out(0xa1, 0x02);
	out(0xa1, slave_icw4);
}

static int setup(void **state maybe_unused)
{
	vpic_init(&p);
	program(0x01, 0x01);
	return 0;
}

static void line(u32 irq, bool level)
{
	vpic_set_line(&p, irq, level);
}

static void pulse(u32 irq)
{
	line(irq, false);
	line(irq, true);
}

static u8 isr(u16 port)
{
	out(port, 0x0b);
	return in(port);
}

static u8 irr(u16 port)
{
	out(port, 0x0a);
	return in(port);
}

static void expect_vector(u8 vector)
{
	assert_true(vpic_is_pending(&p));
	assert_int_equal(vpic_ack(&p), vector);
}

static void before_initialisation(void **state maybe_unused)
{
	vpic_init(&p);
	for (u32 i = 0; i < 16; i++) {
		line(i, true);
	}
	line(99, true);
	assert_false(vpic_is_pending(&p)); /* all masked */
	out(0xa1, 0xff);
	out(0x21, 0xfb); /* how Linux looks for a PIC */
	assert_int_equal(in(0x21), 0xfb);
	assert_int_equal(in(0xa1), 0xff);
	out(0x21, 0xfe);
	pulse(7);
	expect_vector(0x08); /* as firmware leaves it, 0 before 7 */
	out(0x20, 0x20);
	out(0x21, 0xfb);
	out(0xa1, 0x7e);
	expect_vector(0x70);
}

static void every_line_has_its_vector(void **state maybe_unused)
{
	for (u32 i = 0; i < 16; i++) {
		if (i == 2) {
			continue;
		}
		pulse(i);
		expect_vector((u8)(0x30 + i));
		assert_int_equal(isr(0x20), i < 8 ? 1u << i : 0x04);
		assert_int_equal(isr(0xa0), i < 8 ? 0 : 1u << (i - 8));
		if (i >= 8) {
			out(0xa0, 0x20);
		}
		out(0x20, 0x20);
		assert_int_equal(isr(0x20) | isr(0xa0), 0);
		assert_false(vpic_is_pending(&p)); /* the line is still high: edges only */
	}
}

static void icw1_forgets_edges(void **state maybe_unused)
{
	pulse(3);
	program(1, 1);
	assert_false(vpic_is_pending(&p));
	assert_int_equal(in(0x21), 0); /* IMR cleared */
	line(3, true);
	assert_false(vpic_is_pending(&p)); /* no transition */
	pulse(3);
	expect_vector(0x33);
	program(1, 1);
	assert_int_equal(isr(0x20), 0);
}

static void no_interrupt_within_the_sequence(void **state maybe_unused)
{
	out(0x20, 0x11);
	pulse(1);
	assert_false(vpic_is_pending(&p));
	out(0x21, 0x50);
	out(0x21, 0x04);
	assert_false(vpic_is_pending(&p));
	out(0x21, 0x01);
	expect_vector(0x51);
}

static void short_sequences(void **state maybe_unused)
{
	out(0x20, 0x10); /* no ICW4 */
	out(0x21, 0x67); /* the low three bits are not part of the base */
	out(0x21, 0x04);
	out(0x21, 0xfe);
	assert_int_equal(in(0x21), 0xfe);
	pulse(0);
	expect_vector(0x60);
	out(0x20, 0x12); /* single, no ICW4 */
	out(0x21, 0x70);
	out(0x21, 0xfb);
	assert_int_equal(in(0x21), 0xfb);
	pulse(8);
	expect_vector(0x72); /* IR2 is a plain input then */
	out(0x20, 0x13); /* single, ICW4 */
	out(0x21, 0x70);
	out(0x21, 0x03);
	out(0x21, 0x00);
	pulse(4);
	expect_vector(0x74);
	assert_int_equal(isr(0x20), 0); /* AEOI was set */
}

static void masks(void **state maybe_unused)
{
	out(0x21, 0xff);
	pulse(5);
	pulse(9);
	assert_false(vpic_is_pending(&p));
	assert_int_equal(irr(0x20), 0x24);
	assert_int_equal(irr(0xa0), 0x02);
	out(0x21, 0xdf);
	expect_vector(0x35);
	out(0x20, 0x20);
	out(0xa1, 0xff);
	out(0x21, 0x00);
	assert_false(vpic_is_pending(&p)); /* the slave's mask holds back IR2 */
	out(0xa1, 0x00);
	expect_vector(0x39);
}

static void fully_nested(void **state maybe_unused)
{
	pulse(0);
	pulse(7);
	pulse(4);
	line(2, true); /* no such input */
	expect_vector(0x30);
	out(0x20, 0x20);
	expect_vector(0x34);
	line(7, false);
	pulse(5);
	pulse(4);
	assert_false(vpic_is_pending(&p)); /* lower, and itself */
	pulse(3);
	expect_vector(0x33);
	assert_int_equal(isr(0x20), 0x18);
	out(0x20, 0x20); /* non-specific: the highest in service */
	assert_int_equal(isr(0x20), 0x10);
	out(0x20, 0x64); /* specific */
	assert_int_equal(isr(0x20), 0);
	out(0x20, 0x08); /* no RR: ISR stays selected */
	assert_int_equal(in(0x20), 0);
	expect_vector(0x34);
	out(0x20, 0x20);
	expect_vector(0x35);
}

static void slave_counts_as_level_2(void **state maybe_unused)
{
	pulse(3);
	pulse(15);
	expect_vector(0x3f);
	assert_false(vpic_is_pending(&p));
	pulse(8); /* higher within the slave, but the master's IR2 is in service */
	assert_false(vpic_is_pending(&p));
	pulse(1);
	expect_vector(0x31);
	out(0x20, 0x20);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	expect_vector(0x38);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	expect_vector(0x33);
}

static void special_fully_nested(void **state maybe_unused)
{
	program(0x11, 0x01);
	pulse(12);
	expect_vector(0x3c);
	pulse(14);
	assert_false(vpic_is_pending(&p));
	pulse(5); /* below IR2 in the master */
	assert_false(vpic_is_pending(&p));
	pulse(9);
	expect_vector(0x39);
	assert_int_equal(isr(0xa0), 0x12);
	assert_int_equal(isr(0x20), 0x04);
}

static void special_mask(void **state maybe_unused)
{
	pulse(4);
	expect_vector(0x34);
	out(0x20, 0x68);
	pulse(6);
	assert_false(vpic_is_pending(&p)); /* 4 is not masked, so it blocks */
	out(0x21, 0x10);
	expect_vector(0x36);
	out(0x20, 0x20); /* passes over the masked level 4 */
	assert_int_equal(isr(0x20), 0x10);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0x10);
	out(0x20, 0x08); /* ESMM = 0: no change */
	pulse(7);
	assert_true(vpic_is_pending(&p));
	out(0x20, 0x48);
	assert_false(vpic_is_pending(&p));
	out(0x20, 0x64);
	expect_vector(0x37);
}

static void rotation(void **state maybe_unused)
{
	pulse(3);
	expect_vector(0x33);
	out(0x20, 0xa0); /* rotate on non-specific EOI: 3 is lowest, 4 highest */
	pulse(0);
	pulse(3);
	pulse(4);
	expect_vector(0x34);
	out(0x20, 0xe4); /* rotate on specific EOI of 4: 5 highest */
	pulse(5);
	pulse(4);
	expect_vector(0x35);
	out(0x20, 0x20);
	expect_vector(0x30); /* and 4 the lowest */
	line(4, false);
	out(0x20, 0xc2); /* set priority: 3 highest */
	expect_vector(0x33); /* nests above 0 */
	assert_int_equal(isr(0x20), 0x09);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0x01);
	out(0x20, 0x40); /* no operation */
	assert_int_equal(isr(0x20), 0x01);
}

static void automatic_eoi(void **state maybe_unused)
{
	program(0x03, 0x03);
	pulse(4);
	pulse(12);
	pulse(13);
	expect_vector(0x3c);
	expect_vector(0x3d); /* the slave's INT fell in between, and rose again */
	expect_vector(0x34);
	assert_int_equal(isr(0x20) | isr(0xa0), 0);
	assert_false(vpic_is_pending(&p));
	pulse(6);
	expect_vector(0x36);
	out(0x20, 0x66); /* a specific EOI turns no rotation on */
	pulse(5);
	expect_vector(0x35);
	pulse(1);
	pulse(6);
	expect_vector(0x31);
	expect_vector(0x36);
	out(0x20, 0x80); /* rotate in automatic EOI */
	pulse(0);
	expect_vector(0x30);
	pulse(0);
	pulse(7);
	expect_vector(0x37); /* 0 is the lowest now */
	expect_vector(0x30);
	out(0x20, 0x00); /* off: priorities stay as they are */
	pulse(1);
	expect_vector(0x31);
	pulse(1);
	pulse(3);
	expect_vector(0x31);
}

static void poll_command(void **state maybe_unused)
{
	out(0x21, 0x01);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20) & 0x80, 0);
	assert_int_equal(in(0x21), 1); /* the poll was for one read */
	pulse(6);
	pulse(11);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0x82);
	out(0xa0, 0x0c);
	assert_int_equal(in(0xa1), 0x83); /* either port */
	assert_int_equal(isr(0x20), 0x04);
	assert_int_equal(isr(0xa0), 0x08);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	expect_vector(0x36);
}

static void spurious(void **state maybe_unused)
{
	pulse(4);
	assert_true(vpic_is_pending(&p));
	line(4, false);
	assert_false(vpic_is_pending(&p));
	assert_int_equal(vpic_ack(&p), 0x37);
	assert_int_equal(isr(0x20), 0); /* no EOI is due */
}

static void level_triggered(void **state maybe_unused)
{
	out(0x4d0, 0xff);
	out(0x4d1, 0xff);
	assert_int_equal(in(0x4d0), 0xf8); /* 0-2, 8, 13 stay edges */
	assert_int_equal(in(0x4d1), 0xde);
	line(5, true);
	expect_vector(0x35);
	assert_int_equal(irr(0x20), 0x20); /* follows the line */
	out(0x20, 0x20);
	expect_vector(0x35); /* again, while it is high */
	line(5, false);
	out(0x20, 0x20);
	assert_false(vpic_is_pending(&p));
	line(10, true);
	expect_vector(0x3a);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	expect_vector(0x3a);
	line(10, false);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_false(vpic_is_pending(&p));
	line(9, true);
	out(0x4d1, 0x00);
	line(11, true);
	program(1, 1);
	out(0x4d1, 0x02);
	expect_vector(0x39); /* a level needs no transition after ICW1, line 11's edge is gone */
	line(9, false);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_false(vpic_is_pending(&p));
}

static void byte_ports_through_the_bus(void **state maybe_unused)
{
	struct bus b = { 0 };
	struct bus_range r = { .base = 0x20, .len = 2, .ops = &vpic_master_ops, .self = &p };

	assert_int_equal(bus_attach(&b, &r), STATUS_OK);
	bus_write(&b, 0x20, 2, 0x5a0b); /* OCW3, then OCW1 */
	pulse(0);
	expect_vector(0x30);
	assert_int_equal(bus_read(&b, 0x20, 2), 0x5a01);
	assert_true(vpic_slave_ops.is_byte_wide && vpic_elcr_ops.is_byte_wide);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(before_initialisation), T(every_line_has_its_vector), T(icw1_forgets_edges),
		T(no_interrupt_within_the_sequence), T(short_sequences), T(masks), T(fully_nested),
		T(slave_counts_as_level_2), T(special_fully_nested), T(special_mask), T(rotation),
		T(automatic_eoi), T(poll_command), T(spurious), T(level_triggered),
		T(byte_ports_through_the_bus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
