// SPDX-License-Identifier: BSD-2-Clause
/* Lookup against a linear search; splitting as ISA does; refusals of bus_attach(). */
#include "bus.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A device that answers with what it was asked: 0x40 + offset in each byte, and logs writes */
struct echo {
	u32 nr_writes;
	u64 offset[8], value[8];
	u32 width[8];
};

static u64 echo_read(void *self maybe_unused, u64 offset, u32 width)
{
	u64 v = 0;

	for (u32 i = 0; i < width; i++) {
		v |= (0x40 + offset + i) << (8 * i);
	}
	return v | (width == 8 ? 0 : 0xeeull << (8 * width)); /* upper bits are to be ignored */
}

static void echo_write(void *self, u64 offset, u32 width, u64 value)
{
	struct echo *e = self;
	u32 i = e->nr_writes++ % 8;

	e->offset[i] = offset;
	e->width[i] = width;
	e->value[i] = value;
}

static const struct vdev_ops wide_ops = { .read = echo_read, .write = echo_write };
static const struct vdev_ops byte_ops = { .read = echo_read, .write = echo_write, .is_byte_wide = true };

static void attach(struct bus *b, u64 base, u64 len, const struct vdev_ops *ops, void *self)
{
	struct bus_range r = { .base = base, .len = len, .name = "t", .ops = ops, .self = self };

	assert_int_equal(bus_attach(b, &r), STATUS_OK);
}

static void finds_like_linear_search(void **state maybe_unused)
{
	static const u64 base[] = { 0x60, 0x20, 0xa0, 0x64, 0x3f8, 0x70, 0x40, 0xcf9, 0xfee00000 };
	static const u64 len[] = { 1, 2, 2, 1, 8, 2, 4, 1, 4096 };
	struct bus b = { 0 };

	for (u32 i = 0; i < ARRAY_SIZE(base); i++) {
		attach(&b, base[i], len[i], &wide_ops, NULL);
	}
	for (u32 i = 1; i < b.nr; i++) {
		assert_true(b.range[i - 1].base < b.range[i].base);
	}
	for (u64 addr = 0; addr < 0x1000; addr++) {
		for (u32 width = 1; width <= 8; width *= 2) {
			bool expect = false;
			for (u32 i = 0; i < ARRAY_SIZE(base); i++) {
				expect |= addr >= base[i] && addr + width <= base[i] + len[i];
			}
			const struct bus_range *r = bus_find(&b, addr, width);
			assert_int_equal(r != NULL, expect);
			assert_true(!r || (addr >= r->base && addr + width <= r->base + r->len));
		}
	}
	assert_non_null(bus_find(&b, 0xfee00ffc, 4));
	assert_null(bus_find(&b, 0xfee00ffd, 4));
	assert_null(bus_find(&b, ~0ull, 4));
}

static void last_byte_of_the_address_space(void **state maybe_unused)
{
	struct bus b = { 0 };

	attach(&b, ~0ull - 3, 4, &wide_ops, NULL);
	assert_int_equal(bus_read(&b, ~0ull, 1), 0x43);
	assert_int_equal(bus_read(&b, ~0ull - 1, 4), 0xffff4342);
}

static void refuses_overlap_nonsense_and_excess(void **state maybe_unused)
{
	struct bus b = { 0 };
	struct bus_range r = { .ops = &wide_ops };

	attach(&b, 0x100, 0x10, &wide_ops, NULL);
	static const u64 bad[][2] = { { 0x100, 1 }, { 0x10f, 1 }, { 0xff, 2 }, { 0, 0x1000 }, { 0x105, 2 } };
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		r.base = bad[i][0];
		r.len = bad[i][1];
		assert_int_equal(bus_attach(&b, &r), STATUS_OVERLAP);
	}
	r.len = 0;
	assert_int_equal(bus_attach(&b, &r), STATUS_BAD_VALUE);
	r.base = ~0ull;
	r.len = 2;
	assert_int_equal(bus_attach(&b, &r), STATUS_BAD_VALUE);
	attach(&b, 0x110, 1, &wide_ops, NULL);
	attach(&b, 0xff, 1, &wide_ops, NULL);
	for (u64 i = b.nr; i < BUS_MAX_RANGES; i++) {
		attach(&b, 0x1000 + i, 1, &wide_ops, NULL);
	}
	r = (struct bus_range){ .base = 0x9000, .len = 1, .ops = &wide_ops };
	assert_int_equal(bus_attach(&b, &r), STATUS_FULL);
	assert_int_equal(b.nr, BUS_MAX_RANGES);
}

static void open_bus(void **state maybe_unused)
{
	struct bus b = { 0 };
	struct echo e = { 0 };

	assert_int_equal(bus_read(&b, 0x80, 1), 0xff);
	assert_int_equal(bus_read(&b, 0x80, 4), 0xffffffff);
	assert_true(bus_read(&b, 0x80, 8) == ~0ull);
	attach(&b, 0xcf9, 1, &byte_ops, &e);
	/* Nobody claims its first byte: a dword does not reach the device in its middle */
	bus_write(&b, 0xcf8, 4, 0x80000e00);
	assert_int_equal(e.nr_writes, 0);
	assert_int_equal(bus_read(&b, 0xcf8, 4), 0xffffffff);
	assert_int_equal(bus_read(&b, 0xcf9, 1), 0x40);
}

static void widths(void **state maybe_unused)
{
	struct bus b = { 0 };
	struct echo wide = { 0 }, narrow = { 0 };

	attach(&b, 0x10, 4, &wide_ops, &wide);
	attach(&b, 0x14, 4, &byte_ops, &narrow);
	assert_int_equal(bus_read(&b, 0x10, 4), 0x43424140);
	bus_write(&b, 0x10, 2, 0x123456);
	assert_int_equal(wide.nr_writes, 1);
	assert_int_equal(wide.width[0], 2);
	assert_int_equal(wide.value[0], 0x3456);

	assert_int_equal(bus_read(&b, 0x14, 2), 0x4140);
	bus_write(&b, 0x15, 2, 0xbbaa);
	assert_int_equal(narrow.nr_writes, 2);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(narrow.width[i], 1);
		assert_int_equal(narrow.offset[i], 1 + i);
	}
	assert_int_equal(narrow.value[0], 0xaa);
	assert_int_equal(narrow.value[1], 0xbb);

	/* across the seam, and over the end */
	assert_int_equal(bus_read(&b, 0x12, 4), 0x41404342);
	assert_int_equal(bus_read(&b, 0x16, 4), 0xffff4342);
	narrow.nr_writes = 0;
	bus_write(&b, 0x17, 4, 0x11223344);
	assert_int_equal(narrow.nr_writes, 1);
	assert_int_equal(narrow.value[0], 0x44);
}

struct seen {
	u32 nr, width, nr_writes;
	u64 addr;
};

static void seen(void *ctx, u64 addr, u32 width, bool is_write)
{
	struct seen *s = ctx;

	s->nr++;
	s->nr_writes += is_write;
	s->addr = addr;
	s->width = width;
}

/* Told of an access whose first byte nobody has, and of nothing else; answered as without */
static void strays(void **state maybe_unused)
{
	struct seen s = { 0 };
	struct bus_stray stray = { seen, &s };
	struct bus b = { .stray = &stray };
	struct echo dev = { 0 };

	attach(&b, 0x70, 2, &byte_ops, &dev);
	attach(&b, 0xfee00000, 4096, &wide_ops, &dev);
	assert_int_equal(bus_read(&b, 0x71, 4), 0xffffff41);
	bus_write(&b, 0x70, 4, 0);
	bus_read(&b, 0xfee00ffc, 8);
	bus_write(&b, 0xfee00fff, 2, 0);
	assert_int_equal(s.nr, 0);
	assert_int_equal(bus_read(&b, 0x6f, 2), 0xffff);
	assert_true(s.nr == 1 && s.nr_writes == 0 && s.addr == 0x6f && s.width == 2);
	bus_write(&b, 0xfee01000, 8, 0);
	assert_true(s.nr == 2 && s.nr_writes == 1 && s.addr == 0xfee01000 && s.width == 8);
	assert_int_equal(bus_read(&b, ~0ull, 1), 0xff);
	assert_int_equal(s.nr, 3);
}

static void ticks_and_ns_are_inverse(void **state maybe_unused)
{
	static const u64 hz[] = { 1193182, 3579545, 32768 };

	for (u32 i = 0; i < ARRAY_SIZE(hz); i++) {
		for (u64 t = 0; t < 4ull << 40; t = t * 3 + 1) {
			u64 ns = ticks_to_ns(t, hz[i]);
			assert_int_equal(ns_to_ticks(ns, hz[i]), t);
			assert_true(!t || ns_to_ticks(ns - 1, hz[i]) == t - 1);
			assert_int_equal(ns, (u64)(((u128)t * NSEC_PER_SEC + hz[i] - 1) / hz[i]));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_like_linear_search),
		cmocka_unit_test(last_byte_of_the_address_space),
		cmocka_unit_test(refuses_overlap_nonsense_and_excess),
		cmocka_unit_test(open_bus),
		cmocka_unit_test(widths),
		cmocka_unit_test(strays),
		cmocka_unit_test(ticks_and_ns_are_inverse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
