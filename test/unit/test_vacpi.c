// SPDX-License-Identifier: BSD-2-Clause
/* ACPI fixed hardware and the ways to reset a PC: ACPI 6.5 4.8.3, ICH9, and what drivers probe. */
#include "devices/vacpi.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "vdev.h"

static struct bench bench;
static struct vclock clk = { .now_ns = bench_now, .ctx = &bench };
static struct vacpi a;
static struct bus ports;
static const char *how;
static enum vacpi_event event;
static u32 nr_events;

static void notify(void *ctx, enum vacpi_event e, const char *text)
{
	assert_ptr_equal(ctx, &nr_events);
	event = e;
	how = text;
	nr_events++;
}

static void attach(u64 base, u64 len, const struct vdev_ops *ops)
{
	struct bus_range r = { .base = base, .len = len, .ops = ops, .self = &a };

	assert_int_equal(bus_attach(&ports, &r), STATUS_OK);
}

static int setup(void **state maybe_unused)
{
	bench = (struct bench){ 0 };
	nr_events = 0;
	ports.nr = 0;
	a.notify = notify;
	a.ctx = &nr_events;
	vacpi_init(&a, &clk, bench_line(&bench));
	attach(VACPI_PM1_EVT, VACPI_BLOCK_LEN, &vacpi_pm_ops);
	attach(0xcf9, 1, &vacpi_cf9_ops);
	attach(0x60, 1, &vacpi_kbc_data_ops);
	attach(0x64, 1, &vacpi_kbc_ops);
	attach(0x92, 1, &vacpi_port92_ops);
	return 0;
}

static u64 in(u64 port, u32 width)
{
	return bus_read(&ports, port, width);
}

static void out(u64 port, u32 width, u64 v)
{
	bus_write(&ports, port, width, v);
}

static void expect_event(enum vacpi_event e, const char *text)
{
	assert_int_equal(nr_events, 1);
	assert_int_equal(event, e);
	assert_string_equal(how, text);
	nr_events = 0;
}

static void pm_timer(void **state maybe_unused)
{
	for (u64 t = 0; t < 3ull << 24; t += 0x12345) {
		bench.now_ns = ticks_to_ns(t, PM_TIMER_HZ);
		assert_int_equal(in(VACPI_PM_TMR, 4), t & 0xffffff);
		assert_int_equal(in(VACPI_PM_TMR, 2), t & 0xffff);
		assert_int_equal(in(VACPI_PM_TMR + 1, 2), t >> 8 & 0xffff);
		assert_int_equal(in(VACPI_PM_TMR + 2, 1), t >> 16 & 0xff);
	}
	bench.now_ns = NSEC_PER_SEC;
	assert_int_equal(in(VACPI_PM_TMR, 4), PM_TIMER_HZ);
	assert_int_equal(in(VACPI_PM1_CNT, 8) >> 32, PM_TIMER_HZ);
}

static void control(void **state maybe_unused)
{
	assert_int_equal(in(VACPI_PM1_CNT, 2), 1); /* SCI_EN from the start */
	out(VACPI_PM1_CNT, 2, 0x1c06 & ~1);
	assert_int_equal(in(VACPI_PM1_CNT, 2), 0x1c03); /* GBL_RLS reads 0, SCI_EN stays */
	out(VACPI_PM1_CNT, 2, 0x2000 | 3 << 10);
	out(VACPI_PM1_CNT, 2, 5 << 10);
	assert_int_equal(nr_events, 0); /* S3, or no SLP_EN: nothing */
	out(VACPI_PM1_CNT, 2, 0x2000 | 5 << 10);
	expect_event(VACPI_POWEROFF, "acpi-s5");
	assert_int_equal(in(VACPI_PM1_CNT, 2), 1 | 5 << 10);
	out(VACPI_PM1_CNT, 1, 0x02);
	assert_int_equal(nr_events, 0);
	out(VACPI_PM1_CNT + 1, 1, 0x20 | 5 << 2); /* by bytes */
	expect_event(VACPI_POWEROFF, "acpi-s5");
	out(VACPI_PM1_CNT, 4, 0x2000 | 5 << 10);
	expect_event(VACPI_POWEROFF, "acpi-s5");
}

static void status_and_enable(void **state maybe_unused)
{
	out(VACPI_PM1_EVT + 2, 2, 0x0120);
	assert_int_equal(in(VACPI_PM1_EVT, 4), 0x01200000);
	out(VACPI_PM1_EVT + 3, 1, 0x04);
	assert_int_equal(in(VACPI_PM1_EVT + 2, 2), 0x0420);
	assert_int_equal(in(VACPI_PM1_CNT, 2), 1);
	out(VACPI_PM1_EVT + 2, 2, 0xffff);
	assert_int_equal(in(VACPI_PM1_EVT + 2, 2), 0x4721);
	out(VACPI_PM1_EVT, 2, 0xffff);
	assert_int_equal(in(VACPI_PM1_EVT, 2), 0); /* writing never sets */
	assert_int_equal(in(VACPI_PM1_EVT + 12, 4), 0);
	out(VACPI_PM1_EVT + 2, 4, 0x04000120); /* both registers at once */
	assert_int_equal(in(VACPI_PM1_EVT, 8), 0x040101200000);
	out(VACPI_PM_TMR, 8, ~0ull); /* read-only */
	assert_int_equal(in(VACPI_PM1_EVT, 8), 0x040101200000);
	assert_int_equal(nr_events, 0);
}

/* 4.8.3.3: set at each change of bit 23, cleared by writing 1, an SCI while TMR_EN is 1 */
static void timer_status(void **state maybe_unused)
{
	u64 half = ticks_to_ns(1 << 23, PM_TIMER_HZ);

	assert_int_equal(vacpi_poll(&a, 0), NEVER);
	bench.now_ns = half - 1;
	assert_int_equal(in(VACPI_PM1_EVT, 2), 0);
	bench.now_ns = half;
	assert_int_equal(in(VACPI_PM1_EVT, 2), 1);
	assert_int_equal(in(VACPI_PM_TMR, 4), 1 << 23);
	assert_false(bench.level);
	out(VACPI_PM1_EVT + 2, 2, 1);
	assert_true(bench.level);
	assert_int_equal(a.deadline_ns, NEVER); /* set already: nothing to wait for */
	out(VACPI_PM1_EVT + 1, 1, 0xff); /* the other byte */
	out(VACPI_PM1_EVT, 2, 0xfffe);	 /* the other bits */
	out(VACPI_PM1_CNT, 2, 3);
	assert_true(bench.level);
	out(VACPI_PM1_EVT, 1, 1);
	assert_false(bench.level);
	assert_int_equal(in(VACPI_PM1_EVT, 4), 0x00010000);
	u64 next = a.deadline_ns;
	assert_int_equal(next, ticks_to_ns(2 << 23, PM_TIMER_HZ));
	assert_int_equal(vacpi_poll(&a, next - 1), next);
	assert_false(bench.level);
	assert_int_equal(vacpi_poll(&a, next), NEVER);
	assert_true(bench.level);
	bench.now_ns = next;
	out(VACPI_PM1_EVT, 4, 0x00010001); /* both registers at once */
	assert_false(bench.level);
	assert_int_equal(a.deadline_ns, ticks_to_ns(3 << 23, PM_TIMER_HZ));
	bench.now_ns = a.deadline_ns;
	out(VACPI_PM1_EVT + 2, 2, 0); /* status comes, but no interrupt */
	assert_int_equal(in(VACPI_PM1_EVT, 4), 1);
	assert_false(bench.level);
	assert_int_equal(a.deadline_ns, NEVER);
	bench.now_ns += 100 * NSEC_PER_SEC;
	out(VACPI_PM1_EVT, 2, 1); /* what was due before the write is cleared with it */
	assert_int_equal(in(VACPI_PM1_EVT, 2), 0);
}

static void reset_control(void **state maybe_unused)
{
	out(0xcf9, 1, 0x02);
	assert_int_equal(nr_events, 0);
	assert_int_equal(in(0xcf9, 1), 0x02);
	out(0xcf9, 1, 0x06);
	expect_event(VACPI_RESET, "0xcf9");
	assert_int_equal(in(0xcf9, 1), 0x02);
	out(0xcf9, 1, 0xff & ~4);
	assert_int_equal(in(0xcf9, 1), 0x0a);
	out(0xcf9, 1, 0x04);
	expect_event(VACPI_RESET, "0xcf9");
}

static void port_92(void **state maybe_unused)
{
	assert_int_equal(in(0x92, 1), 0x02);
	out(0x92, 1, 0x00);
	assert_int_equal(in(0x92, 1), 0x00); /* A20 reads back, ... */
	out(0x92, 1, 0xfe);
	assert_int_equal(in(0x92, 1), 0x02); /* ... what is reserved does not */
	assert_int_equal(nr_events, 0);
	out(0x92, 1, 0x03);
	expect_event(VACPI_RESET, "port 0x92");
	assert_int_equal(in(0x92, 1), 0x02);
}

/* A controller command: status is ready before, and afterwards there is a byte, or none (-1) */
static int command(u8 cmd)
{
	assert_int_equal(in(0x64, 1) & 0x03, 0);
	out(0x64, 1, cmd);
	assert_int_equal(in(0x64, 1) & 0x0a, 0x08);
	if (!(in(0x64, 1) & 1)) {
		return -1;
	}
	u8 v = (u8)in(0x60, 1);
	assert_int_equal(in(0x64, 1) & 1, 0);
	return v;
}

static void keyboard_controller(void **state maybe_unused)
{
	assert_int_equal(in(0x64, 1), 0x14);
	assert_int_equal(command(0xaa), 0x55);
	assert_int_equal(command(0xab), 0x00);
	assert_int_equal(command(0xd0), 0xcf);
	assert_int_equal(command(0xc0), 0x80);
	out(0x64, 1, 0x20); /* a command does not drop the byte that waits */
	out(0x64, 1, 0xae);
	assert_int_equal(in(0x60, 1), 0x24);
	assert_int_equal(command(0x20), 0x24);
	assert_int_equal(command(0x60), -1);
	out(0x60, 1, 0x61);
	assert_int_equal(in(0x64, 1), 0x10); /* SYS follows the command byte, the last write was data */
	assert_int_equal(command(0x20), 0x61);
	static const struct {
		u8 cmd, ctr;
	} row[] = { { 0xa8, 0x41 }, { 0xad, 0x51 }, { 0xa7, 0x71 }, { 0xae, 0x61 } };
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		assert_int_equal(command(row[i].cmd), -1);
		assert_int_equal(command(0x20), row[i].ctr);
	}
	assert_int_equal(command(0x99), -1);
	assert_int_equal(nr_events, 0);
}

/* A20 by the output port, and by the commands that some controllers have for it */
static void output_port(void **state maybe_unused)
{
	command(0xd1);
	out(0x60, 1, 0xcd);
	assert_int_equal(command(0xd0), 0xcd);
	assert_int_equal(command(0xdf), -1);
	assert_int_equal(command(0xd0), 0xcf);
	assert_int_equal(command(0xdd), -1);
	assert_int_equal(command(0xd0), 0xcd);
	command(0xd1);
	out(0x60, 1, 0xdf);
	assert_int_equal(command(0xd0), 0xdf);
	assert_int_equal(in(0x92, 1), 0x02); /* its own bit */
	assert_int_equal(nr_events, 0);
}

static void keyboard_resets(void **state maybe_unused)
{
	command(0xfe);
	expect_event(VACPI_RESET, "keyboard controller");
	command(0xff); /* pulses nothing */
	command(0xf1);
	assert_int_equal(nr_events, 0);
	command(0xf0);
	expect_event(VACPI_RESET, "keyboard controller");
	command(0xd1);
	out(0x60, 1, 0xdf); /* A20 on, reset high */
	assert_int_equal(nr_events, 0);
	command(0xd1);
	out(0x60, 1, 0xfe);
	expect_event(VACPI_RESET, "keyboard controller");
}

static void nothing_is_plugged_in(void **state maybe_unused)
{
	out(0x60, 1, 0xf2); /* identify: nobody takes it, timeout */
	assert_int_equal(in(0x64, 1) & 0x49, 0x41);
	assert_int_equal(in(0x60, 1), 0xfe);
	assert_int_equal(in(0x64, 1) & 0x41, 0);
	assert_int_not_equal(command(0xa9), 0); /* mouse test fails: Linux looks no further */
	assert_int_equal(command(0xd3), -1);
	out(0x60, 1, 0x5a);
	assert_int_equal(in(0x64, 1) & 0x61, 0x01); /* not marked as the mouse's */
	assert_int_equal(in(0x60, 1), 0x5a);
	assert_int_equal(command(0xd2), -1);
	out(0x60, 1, 0xa5);
	assert_int_equal(in(0x64, 1) & 0x61, 0x01);
	assert_int_equal(in(0x60, 1), 0xa5);
	assert_int_equal(command(0xd4), -1);
	out(0x60, 1, 0xf4);
	assert_int_equal(in(0x64, 1) & 0x41, 0x41);
	assert_int_equal(in(0x60, 1), 0xfe);
	command(0x60); /* a second command drops the first one's parameter */
	command(0xa7);
	out(0x60, 1, 0x00);
	in(0x60, 1);
	assert_int_equal(command(0x20), 0x24);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(pm_timer), T(control), T(status_and_enable), T(timer_status), T(reset_control),
		T(port_92), T(keyboard_controller), T(output_port), T(keyboard_resets),
		 T(nothing_is_plugged_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
