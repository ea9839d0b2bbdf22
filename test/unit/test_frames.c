// SPDX-License-Identifier: BSD-2-Clause
/* Frames against a bitmap that marks each page of a small memory as free or taken. */
#include "mm/frames.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define PAGES 4096
static bool is_free[PAGES]; /* page n of the oracle lies at n * 4 KiB */

static u64 oracle_free_pages(void)
{
	u64 n = 0;
	for (u32 i = 0; i < PAGES; i++) {
		n += is_free[i];
	}
	return n;
}

static void oracle_take(u64 base, u64 len)
{
	for (u64 p = base / PAGE_SIZE; len && p < PAGES && p * PAGE_SIZE < base + len; p++) {
		is_free[p] = false;
	}
}

static void check_invariants(const struct frames *f)
{
	assert_int_equal(frames_free_bytes(f), oracle_free_pages() * PAGE_SIZE);
	for (u32 i = 0; i < f->nr; i++) {
		assert_int_equal((f->free[i].base | f->free[i].len) % PAGE_SIZE, 0);
		for (u64 p = 0; p < f->free[i].len / PAGE_SIZE; p++) {
			assert_true(is_free[f->free[i].base / PAGE_SIZE + p]);
		}
		if (i) {
			assert_true(f->free[i - 1].base + f->free[i - 1].len < f->free[i].base);
		}
	}
}

static void start(struct frames *f)
{
	/* two usable entries meet inside a page; a hole; a tail that ends off a page */
	static const struct mem_range mem[] = {
		{ 0, 0x9fc00, true },
		{ 0x9fc00, 0x60400, false },
		{ MIB, 0x200800, true },
		{ MIB + 0x200800, 0x1ff800, true },
		{ 6 * MIB, MIB, false },
		{ 7 * MIB, 8 * MIB + 0x123, true },
	};
	frames_init(f, mem, ARRAY_SIZE(mem));
	assert_int_equal(f->free[0].base, 0);
	assert_int_equal(f->free[0].len, 0x9f000);
	assert_int_equal(frames_reserve(f, 0, MIB), STATUS_OK);
	for (u32 i = 0; i < PAGES; i++) {
		u64 a = i * PAGE_SIZE;
		is_free[i] = (a >= MIB && a < 5 * MIB) || (a >= 7 * MIB && a < 15 * MIB);
	}
	check_invariants(f);
}

static void test_init(void **state)
{
	(void)state;
	struct frames f;
	start(&f);
	assert_int_equal(f.nr, 2);
	assert_int_equal(frames_largest(&f, SIZE_2M), 6 * MIB); /* 8..14 */
	assert_int_equal(frames_largest(&f, PAGE_SIZE), 8 * MIB);
	assert_int_equal(frames_largest(&f, SIZE_1G), 0);
}

static void test_alloc_leaves_large_runs(void **state)
{
	(void)state;
	struct frames f;
	start(&f);
	hpa a = frames_alloc(&f, PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(a.v, 5 * MIB - PAGE_SIZE); /* smallest range, its top */
	assert_int_equal(frames_largest(&f, PAGE_SIZE), 8 * MIB);
	assert_int_equal(frames_alloc(&f, 6 * MIB, SIZE_2M).v, 8 * MIB);
	assert_int_equal(frames_alloc(&f, 6 * MIB, SIZE_2M).v, 0);
	assert_int_equal(frames_alloc(&f, 0, PAGE_SIZE).v, 0);
}

static void test_bad_ranges(void **state)
{
	(void)state;
	struct frames f;
	start(&f);
	assert_int_equal(frames_reserve(&f, ~0ull - 4096, 8192), STATUS_BAD_VALUE);
	assert_int_equal(frames_reserve(&f, ~0ull - 4096, 4096), STATUS_BAD_VALUE);
	assert_int_equal(frames_reserve(&f, 4 * GIB, GIB), STATUS_OK); /* nothing there */
	assert_int_equal(frames_reserve(&f, 2 * MIB, 0), STATUS_OK);
	check_invariants(&f);
	assert_int_equal(frames_reserve(&f, 0, 16 * MIB), STATUS_OK);
	assert_int_equal(f.nr, 0);
	assert_int_equal(frames_alloc(&f, PAGE_SIZE, PAGE_SIZE).v, 0);
}

static void test_full_table(void **state)
{
	(void)state;
	struct frames f;
	start(&f);
	for (u64 i = 0; f.nr < FRAMES_MAX_RANGES; i++) {
		assert_int_equal(frames_reserve(&f, MIB + PAGE_SIZE * (2 * i + 1), 1), STATUS_OK);
	}
	u64 before = frames_free_bytes(&f);
	assert_int_equal(frames_reserve(&f, 12 * MIB, 1), STATUS_FULL);
	assert_int_equal(frames_free_bytes(&f), before);
	/* the top of a range needs no new entry */
	assert_int_equal(frames_alloc(&f, 3 * MIB, PAGE_SIZE).v, 12 * MIB);
}

static void test_random_against_oracle(void **state)
{
	(void)state;
	struct frames f;
	srand(1);
	for (int round = 0; round < 60; round++) {
		start(&f);
		for (int i = 0; i < 60; i++) {
			u64 len = (u64)(rand() % 100 + 1) * PAGE_SIZE;
			if (rand() % 2) {
				u64 base = (u64)rand() % (16 * MIB), odd = len - (u64)rand() % 4096;
				assert_int_equal(frames_reserve(&f, base, odd), STATUS_OK);
				oracle_take(base, odd);
			} else {
				u64 align = PAGE_SIZE << rand() % 8;
				bool fits = frames_largest(&f, PAGE_SIZE) >= len + align;
				u64 at = frames_alloc(&f, len, align).v;
				assert_true(at || !fits);
				assert_int_equal(at % align, 0);
				for (u64 p = at; at && p < at + len; p += PAGE_SIZE) {
					assert_true(is_free[p / PAGE_SIZE]);
				}
				oracle_take(at, at ? len : 0);
			}
			check_invariants(&f);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_alloc_leaves_large_runs),
		cmocka_unit_test(test_bad_ranges),
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_random_against_oracle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
