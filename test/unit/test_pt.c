// SPDX-License-Identifier: BSD-2-Clause
/*
 * Page tables: the bits of each format as the manuals draw them, leaf sizes, splitting, and random
 * histories against an oracle that maps single pages. fuzz_pt has the same oracle with hostile input.
 */
#include "mm/pt.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pool.h"

static void start(struct pt *pt, const struct pt_format *fmt, u64 max_page)
{
	pool_start();
	assert_int_equal(pt_init(pt, fmt, &pool_pages, max_page), STATUS_OK);
}

/* The raw entry that a CPU's walk of @va ends at, found by hand */
static u64 raw(const struct pt *pt, u64 va, u32 depth)
{
	u64 table = pt->root.v;
	for (u32 shift = 39;; shift -= 9) {
		u64 e = pool[table / PAGE_SIZE - 1][(va >> shift) & 511];
		if (!depth--) {
			return e;
		}
		table = e & 0x000ffffffffff000ull;
	}
}

static void test_format_bits(void **state)
{
	(void)state;
	static const struct {
		const struct pt_format *fmt;
		u32 prot;
		u64 table, small, large;
	} row[] = {
		/* host: P R/W; NX bit 63; PS bit 7; PCD|PWT = 18 (SDM 3A tables 4-15 to 4-20) */
		{ &pt_host, PT_R | PT_W | PT_X, 0x3, 0x3, 0x83 },
		{ &pt_host, PT_R, 0x3, BIT(63) | 0x1, BIT(63) | 0x81 },
		{ &pt_host, PT_R | PT_W | PT_UC, 0x3, BIT(63) | 0x1b, BIT(63) | 0x9b },
		/* EPT: RWX; type 6 << 3 = 30 (SDM 3C tables 29-1 to 29-7) */
		{ &pt_ept, PT_R | PT_W | PT_X, 0x7, 0x37, 0xb7 },
		{ &pt_ept, PT_R | PT_X, 0x7, 0x35, 0xb5 },
		{ &pt_ept, PT_R | PT_W | PT_UC, 0x7, 0x3, 0x83 },
		{ &pt_ept, PT_R | PT_W | PT_WB, 0x7, 0x73, 0xf3 },
		/* NPT: as host with U (APM 2 15.25.5), A and D */
		{ &pt_npt, PT_R | PT_W | PT_X, 0x27, 0x67, 0xe7 },
		{ &pt_npt, PT_R, 0x27, BIT(63) | 0x65, BIT(63) | 0xe5 },
		{ &pt_npt, PT_R | PT_W | PT_X | PT_UC, 0x27, 0x7f, 0xff },
	};
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		struct pt pt;
		struct pt_leaf leaf;
		start(&pt, row[i].fmt, SIZE_1G);
		assert_int_equal(pt_map(&pt, 0x1000, HPA(0x8000), PAGE_SIZE, row[i].prot), STATUS_OK);
		assert_int_equal(pt_map(&pt, SIZE_2M, HPA(SIZE_1G), SIZE_2M, row[i].prot), STATUS_OK);
		assert_int_equal(raw(&pt, 0x1000, 0) & 0xfff, row[i].table);
		assert_int_equal(raw(&pt, 0x1000, 2) & 0xfff, row[i].table);
		assert_int_equal(raw(&pt, 0x1000, 3), row[i].small | 0x8000);
		assert_int_equal(raw(&pt, SIZE_2M, 2), row[i].large | SIZE_1G);
		assert_true(pt_lookup(&pt, SIZE_2M + 0x12345, &leaf));
		assert_int_equal(leaf.pa.v, SIZE_1G + 0x12345);
		assert_int_equal(leaf.size, SIZE_2M);
		assert_int_equal(leaf.prot, row[i].prot);
	}
}

static u64 leaf_size(const struct pt *pt, u64 va)
{
	struct pt_leaf leaf;
	return pt_lookup(pt, va, &leaf) ? leaf.size : 0;
}

static void test_leaf_sizes(void **state)
{
	(void)state;
	struct pt pt;
	start(&pt, &pt_ept, SIZE_1G);
	/* 4 KiB up to 2 MiB, 2 MiB up to 1 GiB, one 1 GiB leaf, then the reverse */
	u64 va = SIZE_1G - SIZE_2M - PAGE_SIZE, len = SIZE_1G + 2 * (SIZE_2M + PAGE_SIZE);
	assert_int_equal(pt_map(&pt, va, HPA(va), len, PT_R | PT_W), STATUS_OK);
	assert_int_equal(leaf_size(&pt, va - 1), 0);
	assert_int_equal(leaf_size(&pt, va), PAGE_SIZE);
	assert_int_equal(leaf_size(&pt, va + PAGE_SIZE), SIZE_2M);
	assert_int_equal(leaf_size(&pt, SIZE_1G), SIZE_1G);
	assert_int_equal(leaf_size(&pt, 2 * SIZE_1G), SIZE_2M);
	assert_int_equal(leaf_size(&pt, va + len - 1), PAGE_SIZE);
	assert_int_equal(leaf_size(&pt, va + len), 0);

	start(&pt, &pt_ept, SIZE_2M);
	assert_int_equal(pt_map(&pt, 0, HPA(0), SIZE_1G, PT_R), STATUS_OK);
	assert_int_equal(leaf_size(&pt, 0), SIZE_2M);
	/* an address that is not congruent gets small leaves */
	assert_int_equal(pt_map(&pt, SIZE_1G, HPA(0x1000), SIZE_2M, PT_R), STATUS_OK);
	assert_int_equal(leaf_size(&pt, SIZE_1G), PAGE_SIZE);
}

static void test_refusals(void **state)
{
	(void)state;
	struct pt pt;
	start(&pt, &pt_npt, SIZE_1G);
	assert_int_equal(pt_map(&pt, 1, HPA(0), PAGE_SIZE, PT_R), STATUS_BAD_VALUE);
	assert_int_equal(pt_map(&pt, 0, HPA(1), PAGE_SIZE, PT_R), STATUS_BAD_VALUE);
	assert_int_equal(pt_map(&pt, 0, HPA(0), 1, PT_R), STATUS_BAD_VALUE);
	assert_int_equal(pt_map(&pt, 0, HPA(0), PAGE_SIZE, PT_W), STATUS_BAD_VALUE);
	assert_int_equal(pt_map(&pt, BIT(48), HPA(0), PAGE_SIZE, PT_R), STATUS_BAD_VALUE);
	assert_int_equal(pt_map(&pt, PAGE_SIZE, HPA(0), BIT(48), PT_R), STATUS_BAD_VALUE);
	assert_int_equal(pt_map(&pt, 0, HPA(BIT(52)), PAGE_SIZE, PT_R), STATUS_BAD_VALUE);
	assert_int_equal(pt_map(&pt, 0, HPA(BIT(52) - PAGE_SIZE), 2 * PAGE_SIZE, PT_R),
			 STATUS_BAD_VALUE);
	assert_int_equal(pt_unmap(&pt, 0, 0x10), STATUS_BAD_VALUE);
	assert_int_equal(pool_used, 1);
	assert_int_equal(pt_map(&pt, BIT(48) - PAGE_SIZE, HPA(BIT(52) - PAGE_SIZE), PAGE_SIZE, PT_R),
			 STATUS_OK);
	struct pt_leaf leaf;
	assert_true(pt_lookup(&pt, BIT(48) - 1, &leaf));
	assert_int_equal(leaf.pa.v, BIT(52) - 1);
	assert_false(pt_lookup(&pt, BIT(48), &leaf));
}

static void test_overlap_changes_nothing(void **state)
{
	(void)state;
	struct pt pt;
	start(&pt, &pt_ept, SIZE_1G);
	assert_int_equal(pt_map(&pt, SIZE_2M, HPA(0), PAGE_SIZE, PT_R), STATUS_OK);
	assert_int_equal(pt_map(&pt, 0, HPA(0), 2 * SIZE_2M, PT_R | PT_W), STATUS_OVERLAP);
	assert_int_equal(leaf_size(&pt, 0), 0);
	assert_int_equal(leaf_size(&pt, SIZE_2M), PAGE_SIZE);
	/* an emptied table is used again, with its small leaves */
	assert_int_equal(pt_unmap(&pt, SIZE_2M, PAGE_SIZE), STATUS_OK);
	assert_int_equal(pt_map(&pt, 0, HPA(0), 2 * SIZE_2M, PT_R), STATUS_OK);
	assert_int_equal(leaf_size(&pt, 0), SIZE_2M);
	assert_int_equal(leaf_size(&pt, SIZE_2M), PAGE_SIZE);
}

static void test_split(void **state)
{
	(void)state;
	struct pt pt;
	struct pt_leaf leaf;
	start(&pt, &pt_ept, SIZE_1G);
	assert_int_equal(pt_map(&pt, 0, HPA(SIZE_1G), SIZE_1G, PT_R | PT_X), STATUS_OK);
	u64 hole = 5 * SIZE_2M + 7 * PAGE_SIZE;
	assert_int_equal(pt_unmap(&pt, hole, PAGE_SIZE), STATUS_OK);
	assert_int_equal(leaf_size(&pt, hole), 0);
	assert_int_equal(leaf_size(&pt, hole - 1), PAGE_SIZE);
	assert_int_equal(leaf_size(&pt, SIZE_1G - 1), SIZE_2M);
	assert_true(pt_lookup(&pt, hole + PAGE_SIZE + 5, &leaf));
	assert_int_equal(leaf.pa.v, SIZE_1G + hole + PAGE_SIZE + 5);
	assert_int_equal(leaf.prot, PT_R | PT_X);
	/* bit 7 is gone at the lowest level: there it would be PAT in the other formats */
	assert_int_equal(raw(&pt, hole + PAGE_SIZE, 3) & 0xfff, 0x35);
}

static void test_no_memory(void **state)
{
	(void)state;
	struct pt pt;
	start(&pt, &pt_host, SIZE_1G);
	assert_int_equal(pt_map(&pt, 0, HPA(0), SIZE_1G, PT_R), STATUS_OK);
	pool_limit = pool_used;
	assert_int_equal(pt_unmap(&pt, PAGE_SIZE, PAGE_SIZE), STATUS_NO_MEMORY);
	assert_int_equal(leaf_size(&pt, PAGE_SIZE), SIZE_1G);
	assert_int_equal(pt_map(&pt, SIZE_1G, HPA(0), PAGE_SIZE, PT_R), STATUS_NO_MEMORY);
	assert_int_equal(leaf_size(&pt, SIZE_1G), 0);
	assert_int_equal(pt_init(&pt, &pt_host, &pool_pages, SIZE_1G), STATUS_NO_MEMORY);
}

#define WINDOW 2048 /* pages: four 2 MiB leaves, across a 1 GiB border */
static void test_random_against_oracle(void **state)
{
	(void)state;
	static u64 oracle[WINDOW]; /* physical address | 1, or 0 */
	const u64 base = SIZE_1G - 2 * SIZE_2M;
	struct pt pt;
	start(&pt, &pt_npt, SIZE_1G);
	memset(oracle, 0, sizeof(oracle));
	srand(2);
	for (int i = 0; i < 3000; i++) {
		u64 first = (u64)rand() % WINDOW, n = (u64)rand() % (WINDOW - first) / (u64)(1 + rand() % 32);
		if (rand() % 4 == 0) {
			first = ALIGN_DOWN(first, 512);
			n = 512;
		}
		u64 va = base + first * PAGE_SIZE, pa = va + (u64)(rand() % 2) * 0x1234000;
		bool is_mapped = false;
		for (u64 p = first; p < first + n; p++) {
			is_mapped = is_mapped || oracle[p];
		}
		bool is_map = rand() % 2;
		enum status st = is_map ? pt_map(&pt, va, HPA(pa), n * PAGE_SIZE, PT_R) :
					  pt_unmap(&pt, va, n * PAGE_SIZE);
		assert_int_equal(st, is_map && is_mapped ? STATUS_OVERLAP : STATUS_OK);
		for (u64 p = 0; st == STATUS_OK && p < n; p++) {
			oracle[first + p] = is_map ? (pa + p * PAGE_SIZE) | 1 : 0;
		}
		for (u64 p = 0; p < WINDOW; p += 1 + (u64)rand() % 8) {
			struct pt_leaf leaf = { 0 };
			bool is_there = pt_lookup(&pt, base + p * PAGE_SIZE, &leaf);
			assert_int_equal(is_there ? leaf.pa.v | 1 : 0, oracle[p]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format_bits),
		cmocka_unit_test(test_leaf_sizes),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_overlap_changes_nothing),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_random_against_oracle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
