// SPDX-License-Identifier: BSD-2-Clause
/*
 * The test device: latch and memory against plain bytes, what it asks of the platform; and the
 * platform's side: a page that was flushed is gone from tables and TLBs, and comes back when touched.
 */
#include "devices/vtestdev.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fake.h"
#include "kernel/exit.h"
#include "kernel/testdev.h"

static u8 ram[VTESTDEV_RAM_LEN];
static u64 flushed;
static u32 line, nr_calls;
static bool level;

static void on_flush(void *ctx, gpa page)
{
	assert_ptr_equal(ctx, &flushed);
	flushed = page.v;
	nr_calls++;
}

static void on_irq(void *ctx, u32 n, bool l)
{
	assert_ptr_equal(ctx, &flushed);
	line = n;
	level = l;
	nr_calls++;
}

static const struct vtestdev_ops ops = { on_flush, on_irq };

static struct vtestdev *device(void)
{
	static struct vtestdev d;
	d = (struct vtestdev){ .ops = &ops, .ctx = &flushed, .ram = ram };
	nr_calls = 0;
	return &d;
}

/* Both are memory to the guest: any width, any offset, the latch up to its end */
static void compare(const struct vdev_ops *o, u64 len, int rounds)
{
	static u8 oracle[VTESTDEV_RAM_LEN];
	struct vtestdev *d = device();
	memset(oracle, 0, sizeof(oracle));
	memset(ram, 0, sizeof(ram));
	for (int i = 0; i < rounds; i++) {
		u32 width = 1u << rand() % 3;
		u64 at = (u64)rand() % (len - width + 1), want = 0;
		u64 value = (u64)rand() * 2654435761u & width_mask(width);
		if (rand() % 2) {
			o->write(d, at, width, value);
			memcpy(oracle + at, &value, width);
		}
		memcpy(&want, oracle + at, width);
		assert_int_equal(o->read(d, at, width) & width_mask(width), want);
	}
	assert_int_equal(nr_calls, 0);
}

static void test_memory(void **state)
{
	(void)state;
	compare(&vtestdev_port_ops, 4, 2000);
	compare(&vtestdev_ram_ops, VTESTDEV_RAM_LEN, 20000);
}

static void test_latch_end(void **state)
{
	(void)state;
	struct vtestdev *d = device();
	vtestdev_port_ops.write(d, 2, 4, 0x44332211); /* two bytes fit; the others are no address */
	assert_int_equal(vtestdev_port_ops.read(d, 0, 4), ~0ull << 32 | 0x22110000);
	assert_int_equal(vtestdev_port_ops.read(d, 4, 4) & 0xffffffff, 0xffffffff);
	assert_int_equal(nr_calls, 0);
}

static void test_requests(void **state)
{
	(void)state;
	struct vtestdev *d = device();
	vtestdev_port_ops.write(d, 4, 4, 0x12345678);
	assert_int_equal(flushed, 0x12345000);
	vtestdev_port_ops.write(d, 5, 1, 1);
	assert_int_equal(nr_calls, 1);
	vtestdev_line_ops.write(d, 23, 4, 0x100);
	assert_true(line == 23 && level);
	vtestdev_line_ops.write(d, 0, 1, 0);
	assert_true(line == 0 && !level);
	assert_int_equal(vtestdev_line_ops.read(d, 3, 1) & 0xff, 0xff);
}

#define POOL 24
static u8 pool[POOL][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u32 pool_used, nr_pokes;

static hpa pool_alloc(struct page_source *self, u32 nr)
{
	(void)self;
	if (pool_used + nr > POOL) {
		return HPA(0);
	}
	pool_used += nr;
	return HPA((uintptr_t)pool[pool_used - nr]);
}

static void *pool_ptr(struct page_source *self, hpa page)
{
	(void)self;
	return (void *)(uintptr_t)page.v;
}

static void on_poke(const struct vcpu *v)
{
	(void)v;
	nr_pokes++;
}

static struct page_source pages = { pool_alloc, pool_ptr };
static const struct host host = { .poke = on_poke, .notify = on_poke };
static struct partition_config cfg;
static struct partition part;
static struct core cores[2];

/* Two cores, 4 MiB at an address that only large pages fit */
static void start(void)
{
	memset(pool, 0, sizeof(pool));
	pool_used = nr_pokes = 0;
	cfg = (struct partition_config){ .name = "t", .has_test_device = true };
	part = (struct partition){ .cfg = &cfg, .host = &host, .nr_cores = 2,
				   .core = { &cores[0], &cores[1] } };
	part.mem = (struct gmem){ { { GPA(0), HPA(SIZE_1G), 2 * SIZE_2M } }, 1 };
	for (u32 i = 0; i < 2; i++) {
		cores[i] = (struct core){ .v = { .part = &part, .ops = &fake_ops } };
	}
	assert_int_equal(pt_init(&part.space, &pt_npt, &pages, SIZE_2M), STATUS_OK);
	assert_int_equal(pt_map(&part.space, 0, HPA(SIZE_1G), 2 * SIZE_2M, PT_R | PT_W | PT_X), STATUS_OK);
}

static void test_page_goes_and_comes(void **state)
{
	(void)state;
	struct pt_leaf leaf;
	const struct event page_fault = { .type = EVENT_EXCEPTION, .vector = 14, .has_error = true };
	const struct exit e = { .kind = EXIT_MMIO, .mmio = { .addr = GPA(0x201008), .is_walk = true },
				.vectoring = page_fault };
	start();
	testdev_flush_page(&part.pc, GPA(0x201000));
	assert_false(pt_lookup(&part.space, 0x201fff, &leaf));
	assert_true(pt_lookup(&part.space, 0x202000, &leaf));
	assert_true(cores[0].mail.flags == MAIL_FLUSH && cores[1].mail.flags == MAIL_FLUSH);
	assert_int_equal(nr_pokes, 2);
	/* the exit may say what it likes of fetches, walks and events: RAM is RAM */
	assert_int_equal(exit_handle(&cores[1].v, &e).kind, V_RESUME);
	assert_true(pt_lookup(&part.space, 0x201008, &leaf));
	assert_int_equal(leaf.pa.v, SIZE_1G + 0x201008);
	assert_int_equal(leaf.prot, PT_R | PT_W | PT_X);
	assert_true(testdev_remap(&part, GPA(0x201008))); /* a sibling comes a moment later */
}

static void test_refusals(void **state)
{
	(void)state;
	struct pt_leaf leaf;
	start();
	testdev_flush_page(&part.pc, GPA(2 * SIZE_2M)); /* not RAM */
	assert_int_equal(nr_pokes, 0);
	assert_false(testdev_remap(&part, GPA(2 * SIZE_2M)));
	pool_used = POOL; /* nothing to split with */
	testdev_flush_page(&part.pc, GPA(0x1000));
	assert_true(pt_lookup(&part.space, 0x1000, &leaf) && nr_pokes == 0);
	assert_int_equal(testdev_attach(&part, &ops), STATUS_NO_MEMORY);
	cfg.has_test_device = false;
	assert_false(testdev_remap(&part, GPA(0x1000)));
}

static void test_attach(void **state)
{
	(void)state;
	start();
	assert_int_equal(testdev_attach(&part, &ops), STATUS_OK);
	bus_write(&part.pc.ports, VTESTDEV_PORTS + 1, 2, 0xbeef);
	assert_int_equal(bus_read(&part.pc.ports, VTESTDEV_PORTS, 4), 0xbeef00);
	assert_non_null(bus_find(&part.pc.ports, VTESTDEV_LINES + 23, 1));
	assert_null(bus_find(&part.pc.ports, VTESTDEV_LINES + 24, 1));
	part.pc.testdev.ram = NULL;
	assert_int_equal(testdev_attach(&part, &ops), STATUS_NO_MEMORY);
	pool_used = 0;
	assert_int_equal(testdev_attach(&part, &ops), STATUS_OVERLAP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),		   cmocka_unit_test(test_latch_end),
		cmocka_unit_test(test_requests),	   cmocka_unit_test(test_page_goes_and_comes),
		cmocka_unit_test(test_refusals),	   cmocka_unit_test(test_attach),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
