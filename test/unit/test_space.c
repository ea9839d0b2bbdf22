/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ownership check: what is in order gives no leak, and each kind of leak, planted into extents or raw
 * entries, is found with the names and addresses that it has. Tables are built by mm/pt.c and spoilt by hand.
 */
#include "kernel/space.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "abi/hypercall.h"
#include "kernel/testdev.h"
#include "pool.h"

#define IMAGE	0x800000
#define RAM(n)	(SIZE_1G + (n) * 0x10000000ull) /* of partition n */
#define RAM_TOP 0x1000000000ull

static struct partition_config cfg[CONFIG_MAX_PARTITIONS];
static struct partition parts[CONFIG_MAX_PARTITIONS];
static struct partition *list[CONFIG_MAX_PARTITIONS];
static struct space_owned owned[] = {
	{ PAGE_SIZE, (POOL + 1) * PAGE_SIZE, "the hypervisor" },
	{ IMAGE, IMAGE + SIZE_2M, "the image" },
	{ RAM_TOP, BIT(52), "no usable memory" },
};
static struct space_shared shared[2];
static struct space_input in;
static struct space_range room[CONFIG_MAX_PARTITIONS * GMEM_MAX_EXTENTS + 64];
static struct space_work work = { .range = room, .max_ranges = ARRAY_SIZE(room) };
static struct space_report out;

static void map(u32 i, u64 va, u64 pa, u64 len)
{
	assert_int_equal(pt_map(&parts[i].space, va, HPA(pa), len, PT_R | PT_W | PT_X), STATUS_OK);
}

static void extent(u32 i, u64 base, u64 host, u64 len)
{
	struct gmem *m = &parts[i].mem;
	m->ext[m->nr++] = (struct mem_extent){ GPA(base), HPA(host), len };
}

static void add(u32 i, u64 base, u64 host, u64 len)
{
	extent(i, base, host, len);
	map(i, base, host, len);
}

static void partition(u32 i, const char *name, const struct pt_format *fmt)
{
	cfg[i] = (struct partition_config){ .name = name };
	parts[i] = (struct partition){ .cfg = &cfg[i] };
	list[i] = &parts[i];
	assert_int_equal(pt_init(&parts[i].space, fmt, &pool_pages, SIZE_1G), STATUS_OK);
}

/* Two of 4 MiB and a page, the second one in two extents */
static void start(const struct pt_format *fmt)
{
	pool_start();
	partition(0, "a", fmt);
	partition(1, "b", fmt);
	add(0, 0, RAM(0), 2 * SIZE_2M);
	add(0, 2 * SIZE_2M, RAM(0) + 2 * SIZE_2M, PAGE_SIZE);
	add(1, 0, RAM(1), 2 * SIZE_2M);
	add(1, 4 * GIB, RAM(1) + SIZE_2M * 8, PAGE_SIZE);
	in = (struct space_input){ .partition = list, .nr = 2, .owned = owned, .nr_owned = 3,
				   .owned_pages = 1, .shared = shared };
}

static u32 run(void)
{
	space_check(&work, &in, &out);
	return out.leaks;
}

/* Exactly this one leak, and it reads like that */
static void expect(enum space_fault fault, const char *text)
{
	char buf[160];
	assert_int_equal(run(), 1);
	assert_int_equal(out.leak[0].fault, fault);
	space_leak_text(&in, &out.leak[0], buf, sizeof(buf));
	assert_string_equal(buf, text);
}

static u64 *entry(u32 i, u64 va, u32 depth)
{
	u64 table = parts[i].space.root.v;
	for (u32 shift = 39;; shift -= 9) {
		u64 *e = &pool[table / PAGE_SIZE - 1][(va >> shift) & 511];
		if (!depth--) {
			return e;
		}
		table = *e & 0x000ffffffffff000ull;
	}
}

static const struct pt_format *const fmts[] = { &pt_ept, &pt_npt };

static void test_in_order(void **state)
{
	(void)state;
	for (u32 f = 0; f < 2; f++) {
		start(fmts[f]);
		assert_int_equal(run(), 0);
		assert_true(out.pages[0] == 2 && out.pages[1] == 4 && out.pages[2] == 0);
		assert_int_equal(out.tables, pool_used);
		/* the CPU notes accesses, in tables too */
		*entry(0, 0, 0) |= f ? 0x20 : 0x100;
		*entry(0, 0, 2) |= f ? 0x60 : 0x300;
		assert_int_equal(run(), 0);
	}
}

static void test_two_partitions(void **state)
{
	(void)state;
	for (u32 f = 0; f < 2; f++) {
		start(fmts[f]);
		map(0, 0x40000000, RAM(1) + 0x3000, 3 * PAGE_SIZE); /* one leak, three pages */
		expect(SPACE_TWO, "[a] has memory of b gpa=0x40000000 host=0x50003000 len=0x3000");
		start(fmts[f]); /* a large page instead of its own */
		*entry(1, SIZE_2M, 2) += RAM(0) - RAM(1) - SIZE_2M;
		assert_int_equal(run(), 2);
		assert_true(out.leak[0].fault == SPACE_TWO && out.leak[0].host == RAM(0));
		assert_true(out.leak[1].fault == SPACE_MISSING && out.leak[1].len == SIZE_2M);
		start(fmts[f]); /* b's whole tree */
		*entry(0, 0, 0) = *entry(1, 0, 0);
		assert_int_not_equal(run(), 0);
		assert_int_equal(out.leak[0].fault, SPACE_TWO);
	}
	start(&pt_npt); /* the extents themselves: tables agree with them */
	partition(2, "c", &pt_npt);
	in.nr = 3;
	add(2, 0, RAM(1) + SIZE_2M + 0x5000, PAGE_SIZE);
	expect(SPACE_TWO, "[c] has memory of b gpa=0x0 host=0x50205000 len=0x1000");
}

static void test_hypervisor(void **state)
{
	(void)state;
	start(&pt_ept);
	map(1, 0x80000000, IMAGE + 0x1000, PAGE_SIZE);
	expect(SPACE_OWNED, "[b] has memory of the image gpa=0x80000000 host=0x801000 len=0x1000");
	start(&pt_ept); /* its own second-level table */
	map(0, 0x80000000, parts[0].space.root.v, PAGE_SIZE);
	assert_int_equal(run(), 1);
	assert_string_equal(out.leak[0].owner, "the hypervisor");
	start(&pt_ept); /* device registers, by a 1 GiB page */
	map(0, 0x80000000, RAM_TOP, SIZE_1G);
	assert_int_equal(run(), 1);
	assert_true(out.leak[0].fault == SPACE_OWNED && out.leak[0].len == SIZE_1G);
	assert_int_equal(out.pages[2], 1);
	start(&pt_ept); /* RAM that nobody has */
	map(0, 0x80000000, RAM(7), PAGE_SIZE);
	expect(SPACE_OWNED, "[a] has memory of nobody gpa=0x80000000 host=0xb0000000 len=0x1000");
	start(&pt_ept); /* an extent within the image */
	add(1, 8 * GIB, IMAGE, PAGE_SIZE);
	expect(SPACE_OWNED, "[b] has memory of the image gpa=0x0 host=0x800000 len=0x1000");
}

static void test_bits(void **state)
{
	(void)state;
	/* leaf: less rights, NX, uncached, write-through, ignored bits, a reserved address bit; then tables */
	static const u64 ept[] = { 2, 4, 6 << 3, 2 << 3, BIT(6), BIT(10), BIT(52), BIT(63), 0x1000 };
	static const u64 npt[] = { 2, 4, BIT(63), BIT(4), BIT(3), BIT(8), BIT(11), BIT(52), 0x1000 };
	for (u32 i = 0; i < ARRAY_SIZE(ept) * 2; i++) {
		start(fmts[i & 1]);
		*entry(0, SIZE_2M, 2) ^= (i & 1 ? npt : ept)[i / 2];
		assert_int_equal(run(), 1);
		assert_true(out.leak[0].fault == SPACE_BITS && out.leak[0].at == SIZE_2M);
	}
	start(&pt_npt); /* no user access at a table: all below it is lost */
	*entry(1, 0, 1) ^= 4;
	assert_int_equal(run(), 2);
	assert_true(out.leak[0].fault == SPACE_BITS && out.leak[1].fault == SPACE_MISSING);
	start(&pt_ept);
	*entry(0, 200 * GIB, 1) = BIT(60); /* not empty, not present */
	assert_int_equal(run(), 1);
	start(&pt_ept); /* a leaf where there can be none: 512 GiB */
	*entry(0, 1ull << 40, 0) = RAM(1) | 0xb7;
	assert_int_equal(run(), 1);
	assert_int_equal(out.leak[0].fault, SPACE_BITS);
}

static void test_tables(void **state)
{
	(void)state;
	start(&pt_ept); /* a table in a partition's own memory: not followed */
	*entry(0, 600 * GIB, 0) = RAM(0) | 7;
	expect(SPACE_TABLE, "[a] has a table page of a gpa=0x8000000000 host=0x40000000 len=0x1000");
	start(&pt_npt);
	*entry(1, 600 * GIB, 0) = IMAGE | 7;
	expect(SPACE_TABLE, "[b] has a table page of the image gpa=0x8000000000 host=0x800000 len=0x1000");
	start(&pt_npt);
	parts[1].space.root = HPA(RAM(0));
	assert_int_equal(run(), 2);
	assert_true(out.leak[0].fault == SPACE_TABLE && out.leak[1].fault == SPACE_MISSING);
}

static void test_own_memory(void **state)
{
	(void)state;
	start(&pt_npt); /* twice */
	map(0, 0x40000000, RAM(0), PAGE_SIZE);
	expect(SPACE_ELSEWHERE,
	       "[a] has its memory where it does not belong: gpa=0x40000000 host=0x40000000 len=0x1000");
	start(&pt_npt);
	assert_int_equal(pt_unmap(&parts[1].space, 4 * GIB, PAGE_SIZE), STATUS_OK);
	expect(SPACE_MISSING, "[b] lacks memory: gpa=0x0 host=0x0 len=0x1000");
	in.is_running = true;
	assert_int_equal(run(), 1);
	cfg[1].has_test_device = true; /* it may take pages away, but put no others there */
	assert_int_equal(run(), 0);
	map(1, 4 * GIB, RAM(0), PAGE_SIZE);
	assert_int_equal(run(), 1);
	static const struct mem_extent bad[] = {
		{ GPA(8 * GIB), HPA(RAM(3)), 0 }, { GPA(8 * GIB), HPA(RAM(3)), 0x800 },
		{ GPA(0x1000), HPA(RAM(3)), 0x1000 }, { GPA(8 * GIB), HPA(RAM(3)), BIT(63) },
		{ GPA(BIT(48)), HPA(RAM(3)), 0x1000 },
	};
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		start(&pt_ept);
		extent(0, bad[i].base.v, bad[i].host.v, bad[i].len);
		assert_int_not_equal(run(), 0);
		assert_int_equal(out.leak[0].fault, SPACE_EXTENT);
	}
}

static void map_region(u32 i, u64 va, u64 pa, u64 len, u32 prot)
{
	assert_int_equal(pt_map(&parts[i].space, va, HPA(pa), len, prot | PT_WB), STATUS_OK);
}

static void test_shared_regions(void **state)
{
	(void)state;
	start(&pt_ept);
	partition(2, "c", &pt_ept);
	add(2, 0, RAM(2), SIZE_2M);
	in.nr = 3;
	in.nr_shared = 1;
	shared[0] = (struct space_shared){ HPA(RAM(6)), 2 * PAGE_SIZE, 3, 1 };
	map_region(0, 0x40000000, RAM(6), 2 * PAGE_SIZE, PT_R | PT_W);
	map_region(1, 0x50000000, RAM(6), PAGE_SIZE, PT_R);
	assert_int_equal(run(), 0);
	shared[0].writers = 2; /* the rights the other way round */
	assert_int_equal(run(), 2);
	assert_int_equal(out.leak[0].fault, SPACE_BITS);
	shared[0].writers = 1;
	map_region(1, 0x60000000, RAM(6), PAGE_SIZE, PT_R | PT_X); /* code, in a channel */
	assert_int_equal(run(), 1);
	assert_int_equal(pt_unmap(&parts[1].space, 0x60000000, PAGE_SIZE), STATUS_OK);
	map_region(2, 0x40000000, RAM(6), PAGE_SIZE, PT_R); /* c is not in it */
	assert_int_not_equal(run(), 0);
	assert_true(out.leak[out.leaks - 1].fault == SPACE_OWNED && out.leak[0].part == 2);
	start(&pt_ept); /* a page too many */
	in.nr_shared = 1;
	map_region(0, 0x40000000, RAM(6), 3 * PAGE_SIZE, PT_R | PT_W);
	assert_int_not_equal(run(), 0);
	assert_int_equal(out.leak[0].host, RAM(6) + 2 * PAGE_SIZE);
	start(&pt_npt); /* as extents of both it would be RAM, with all rights */
	in.nr_shared = 1;
	add(0, 8 * GIB, RAM(6), 2 * PAGE_SIZE);
	add(1, 9 * GIB, RAM(6), 2 * PAGE_SIZE);
	assert_int_not_equal(run(), 0);
	start(&pt_npt); /* a declaration excuses nothing of the hypervisor's */
	in.nr_shared = 1;
	shared[0] = (struct space_shared){ HPA(IMAGE), PAGE_SIZE, 3, 3 };
	map_region(0, 0x40000000, IMAGE, PAGE_SIZE, PT_R | PT_W);
	expect(SPACE_REGION, "[] shared region meets the image gpa=0x0 host=0x800000 len=0x1000");
}

/* 64 partitions of 16 extents each; and one page too far in the last one */
static void test_many(void **state)
{
	(void)state;
	start(&pt_npt);
	pool_start();
	for (u32 i = 0; i < CONFIG_MAX_PARTITIONS; i++) {
		partition(i, "p", &pt_npt);
		for (u32 k = 0; k < GMEM_MAX_EXTENTS; k++) {
			/* interleaved, so that neighbours are always others */
			add(i, k * SIZE_2M, RAM(1) + (k * CONFIG_MAX_PARTITIONS + i) * SIZE_2M, SIZE_2M);
		}
	}
	in.nr = CONFIG_MAX_PARTITIONS;
	assert_int_equal(run(), 0);
	assert_int_equal(out.pages[1], 1024);
	parts[63].mem.ext[15].host.v += PAGE_SIZE;
	assert_int_not_equal(run(), 0);
	start(&pt_npt); /* more leaks than are kept */
	for (u32 i = 0; i < 40; i++) {
		map(0, 0x40000000 + i * PAGE_SIZE, RAM(1) + (i ^ 1) * PAGE_SIZE, PAGE_SIZE);
	}
	assert_int_equal(run(), 40);
}

/* Where the CPU serves the local APIC: a page of the hypervisor's there, in that space, without code */
static void test_apic_page(void **state)
{
	(void)state;
	for (u32 f = 0; f < 2; f++) {
		for (u32 spoil = 0; spoil < 4; spoil++) {
			const u32 prot = PT_R | PT_W | (spoil == 1 ? PT_X : 0);
			start(fmts[f]);
			struct partition *p = &parts[0];
			assert_int_equal(pt_init(&p->space_apic, fmts[f], &pool_pages, SIZE_1G), STATUS_OK);
			p->apic_access = pool_pages.alloc(&pool_pages, 1);
			for (u32 i = 0; i < p->mem.nr; i++) {
				assert_int_equal(pt_map(&p->space_apic, p->mem.ext[i].base.v, p->mem.ext[i].host,
							p->mem.ext[i].len, PT_R | PT_W | PT_X), STATUS_OK);
			}
			assert_int_equal(pt_map(&p->space_apic, VLAPIC_BASE + (spoil == 2 ? PAGE_SIZE : 0),
						p->apic_access, PAGE_SIZE, prot), STATUS_OK);
			if (spoil == 3) {
				assert_int_equal(pt_map(&p->space, VLAPIC_BASE, p->apic_access, PAGE_SIZE, prot),
						 STATUS_OK);
			}
			assert_int_equal(run() != 0, spoil != 0);
		}
	}
}

static s64 answer(void)
{
	return 3;
}

static void test_hypercall(void **state)
{
	(void)state;
	const struct host host = { .space_check = answer };
	struct vcpu v = { .part = &parts[0] };
	start(&pt_npt);
	parts[0].host = &host;
	assert_int_equal(hc_space_check(&v), HC_ENOSYS);
	cfg[0].has_test_device = true;
	assert_int_equal(hc_space_check(&v), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),   cmocka_unit_test(test_two_partitions),
		cmocka_unit_test(test_hypervisor), cmocka_unit_test(test_bits),
		cmocka_unit_test(test_tables),	   cmocka_unit_test(test_own_memory),
		cmocka_unit_test(test_shared_regions), cmocka_unit_test(test_many),
		cmocka_unit_test(test_apic_page),  cmocka_unit_test(test_hypercall),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
