/* SPDX-License-Identifier: BSD-2-Clause */
/* The 6300ESB's watchdog as its datasheet (order 300641) has it, and as Linux's i6300esb drives it. */
#include "devices/vwatchdog.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "vdev.h"

#define BASE	 0xc0008000ull
#define TICK_NS	 (30ull << 15)
#define CONFIG(reg) (VPCI_ECAM_BASE + (2ull << 15) + (reg))

static struct vwatchdog w;
static struct vpci p;
static struct bus mmio;
static struct bench b;
static struct vclock clock_;
static u32 nr_expired;

static void on_expire(void *ctx)
{
	assert_ptr_equal(ctx, &b);
	nr_expired++;
}

static void power_on(bool expired)
{
	b = (struct bench){ 0 };
	clock_ = (struct vclock){ .now_ns = bench_now, .ctx = &b };
	nr_expired = 0;
	vwatchdog_init(&w, &clock_, 2 << 3, BASE, expired, on_expire, &b);
	vpci_init(&p, NULL, NULL);
	assert_int_equal(vpci_add(&p, &w.pci), STATUS_OK);
	mmio.nr = 0;
	struct bus_range r = { VPCI_MMIO_BASE, VPCI_MMIO_LEN, "", &vpci_mmio_ops, &p, NULL };
	assert_int_equal(bus_attach(&mmio, &r), STATUS_OK);
	r = (struct bus_range){ VPCI_ECAM_BASE, VPCI_ECAM_LEN, "", &vpci_ecam_ops, &p, NULL };
	assert_int_equal(bus_attach(&mmio, &r), STATUS_OK);
}

static int setup(void **state maybe_unused)
{
	power_on(false);
	return 0;
}

static u64 get(u64 addr, u32 width)
{
	return bus_read(&mmio, addr, width);
}

static void set(u64 addr, u32 width, u64 v)
{
	bus_write(&mmio, addr, width, v);
}

static void set_unlocked(u32 reg, u32 width, u64 v)
{
	set(BASE + VWATCHDOG_RELOAD, 2, 0x80);
	set(BASE + VWATCHDOG_RELOAD, 2, 0x86);
	set(BASE + reg, width, v);
}

/* Linux: both stages have half the time each */
static void start(u32 ticks)
{
	set(CONFIG(VWATCHDOG_CONFIG), 2, 0x0003);
	set_unlocked(VWATCHDOG_PRELOAD1, 4, ticks);
	set_unlocked(VWATCHDOG_PRELOAD2, 4, ticks);
	set_unlocked(VWATCHDOG_RELOAD, 2, 0x100);
	set(CONFIG(VWATCHDOG_LOCK), 1, 2);
}

static void at(u64 ns)
{
	b.now_ns = ns;
	vwatchdog_poll(&w, ns);
}

static void identity(void **state maybe_unused)
{
	assert_int_equal(get(CONFIG(0), 4), 0x25ab8086);
	assert_int_equal(get(CONFIG(VPCI_CLASS), 4) >> 8, 0x088000);
	assert_int_equal(get(CONFIG(VPCI_BAR0), 4), BASE);
	set(CONFIG(VPCI_BAR0), 4, ~0u);
	assert_int_equal(get(CONFIG(VPCI_BAR0), 4), 0xfffffff0);
	assert_int_equal(get(BASE + VWATCHDOG_RELOAD, 2), 0xffff); /* it is elsewhere now */
}

static void two_stages(void **state maybe_unused)
{
	start(100);
	assert_int_equal(w.deadline_ns, 100 * TICK_NS);
	at(100 * TICK_NS - 1);
	assert_int_equal(w.stage, 1);
	at(100 * TICK_NS);
	assert_int_equal(w.stage, 2);
	at(200 * TICK_NS - 1);
	assert_int_equal(nr_expired, 0);
	at(200 * TICK_NS);
	assert_int_equal(nr_expired, 1);
	assert_true(vwatchdog_poll(&w, 300 * TICK_NS) == NEVER); /* once */
	assert_int_equal(get(BASE + VWATCHDOG_RELOAD, 2), 0x200);
	set_unlocked(VWATCHDOG_RELOAD, 2, 0x200);
	assert_int_equal(get(BASE + VWATCHDOG_RELOAD, 2), 0);
}

static void served(void **state maybe_unused)
{
	start(100);
	for (u64 t = 1; t < 50; t++) {
		at(150 * TICK_NS * t);
		set_unlocked(VWATCHDOG_RELOAD, 2, 0x100);
		assert_int_equal(w.stage, 1);
	}
	assert_int_equal(nr_expired, 0);
	set(CONFIG(VWATCHDOG_LOCK), 1, 0);
	assert_true(vwatchdog_poll(&w, ~0ull - 1) == NEVER);
}

static void without_the_key_nothing_happens(void **state maybe_unused)
{
	start(100);
	at(50 * TICK_NS);
	set(BASE + VWATCHDOG_RELOAD, 2, 0x100);
	set(BASE + VWATCHDOG_PRELOAD1, 4, 5);
	set(BASE + VWATCHDOG_RELOAD, 2, 0x86); /* the wrong way round */
	set(BASE + VWATCHDOG_RELOAD, 2, 0x80);
	set(BASE + VWATCHDOG_RELOAD, 2, 0x100);
	set(BASE + VWATCHDOG_RELOAD, 2, 0x80);
	set(BASE + VWATCHDOG_PRELOAD1, 4, 0x86); /* not there */
	set(BASE + VWATCHDOG_RELOAD, 2, 0x100);
	set_unlocked(VWATCHDOG_INTERRUPT, 4, 1);
	set(BASE + VWATCHDOG_RELOAD, 2, 0x100); /* the key opens once */
	assert_int_equal(w.deadline_ns, 100 * TICK_NS);
	assert_int_equal(w.preload[0], 100);
}

static void lock_holds_until_reset(void **state maybe_unused)
{
	start(100);
	set(CONFIG(VWATCHDOG_LOCK), 1, 3);
	set(CONFIG(VWATCHDOG_LOCK), 1, 0);
	assert_int_equal(get(CONFIG(VWATCHDOG_LOCK), 1), 3);
	assert_int_equal(w.stage, 1);
	power_on(true);
	assert_int_equal(get(CONFIG(VWATCHDOG_LOCK), 1), 0);
	assert_int_equal(get(BASE + VWATCHDOG_RELOAD, 2), 0x200); /* why the guest is new */
	assert_true(w.deadline_ns == NEVER);
}

static void other_modes(void **state maybe_unused)
{
	start(100);
	set(CONFIG(VWATCHDOG_CONFIG), 2, 0x0004); /* 1 MHz */
	set_unlocked(VWATCHDOG_RELOAD, 2, 0x100);
	assert_int_equal(w.deadline_ns, 100 * (30 << 5));
	set(CONFIG(VWATCHDOG_CONFIG), 2, 0x0020); /* no output */
	at(300 * TICK_NS);
	at(900 * TICK_NS);
	assert_int_equal(nr_expired, 0);
	assert_true(w.expired);
	power_on(false);
	start(100);
	set(CONFIG(VWATCHDOG_LOCK), 1, 6); /* free running */
	for (u64 t = 1; t < 20; t++) {
		at(200 * TICK_NS * t);
	}
	assert_int_equal(nr_expired, 0);
	assert_int_not_equal(w.stage, 0);
	assert_int_equal(get(BASE + VWATCHDOG_RELOAD, 2), 0);
}

static void any_access(void **state maybe_unused)
{
	static const u32 widths[] = { 1, 2, 4, 8 };
	start(0xfffff);
	for (u32 i = 0; i < 4; i++) {
		for (u32 at = 0; at + widths[i] <= VWATCHDOG_BAR0_LEN; at++) {
			assert_int_equal(get(BASE + at, widths[i]), 0);
			set(BASE + at, widths[i], ~0ull);
		}
	}
	w.expired = true;
	assert_int_equal(get(BASE + 8, 8), 0x200ull << 32);
	set_unlocked(VWATCHDOG_PRELOAD1, 4, ~0u);
	assert_int_equal(w.preload[0], 0xfffff);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(identity), TEST(two_stages), TEST(served), TEST(without_the_key_nothing_happens),
		TEST(lock_holds_until_reset), TEST(other_modes), TEST(any_access),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
