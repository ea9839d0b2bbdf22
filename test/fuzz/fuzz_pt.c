// SPDX-License-Identifier: BSD-2-Clause
/* Page tables against a map oracle: the input is a script of map, unmap and lookup. */
#include "mm/pt.h"
#include "log.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define POOL   64
#define WINDOW 1536
#define BASE   (SIZE_1G - SIZE_2M)
static u64 pool[POOL][512];
static u32 pool_used;
static u64 oracle[WINDOW];

static hpa pool_alloc(struct page_source *self, u32 nr)
{
	(void)self;
	BUG_ON(nr != 1);
	return pool_used < POOL ? HPA(++pool_used * PAGE_SIZE) : HPA(0);
}

static void *pool_ptr(struct page_source *self, hpa page)
{
	(void)self;
	BUG_ON(page.v == 0 || page.v > pool_used * PAGE_SIZE);
	return pool[page.v / PAGE_SIZE - 1];
}

static void check(const struct pt *pt, u64 page)
{
	struct pt_leaf leaf;
	bool is_there = pt_lookup(pt, BASE + page * PAGE_SIZE, &leaf);
	u64 want = oracle[page];
	BUG_ON(is_there != (want != 0));
	BUG_ON(is_there && (leaf.pa.v | leaf.prot) != want);
}

/* One step of 5 bytes: what and rights, first page (2), pages, physical page */
static void step(struct pt *pt, const uint8_t *d)
{
	u64 first = (u64)(d[1] | d[2] << 8) % WINDOW, n = MIN(d[3] % 64u, WINDOW - first);
	if ((d[0] & 0x82) == 0x82) {
		first = ALIGN_DOWN(first, 512);
		n = 512;
	}
	u64 va = BASE + first * PAGE_SIZE, pa = (u64)d[4] * SIZE_2M + ((d[0] & 4) ? PAGE_SIZE : 0);
	u32 prot = PT_R | (d[0] >> 3 & (PT_W | PT_X | PT_UC));
	bool is_mapped = false;
	for (u64 p = first; p < first + n; p++) {
		is_mapped = is_mapped || oracle[p];
	}
	bool is_map = d[0] & 1;
	enum status st = is_map ? pt_map(pt, va, HPA(pa), n * PAGE_SIZE, prot) :
				  pt_unmap(pt, va, n * PAGE_SIZE);
	BUG_ON(st != (is_map && is_mapped ? STATUS_OVERLAP : STATUS_OK));
	for (u64 p = 0; st == STATUS_OK && p < n; p++) {
		oracle[first + p] = is_map ? (pa + p * PAGE_SIZE) | prot : 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pt_format *const formats[] = { &pt_host, &pt_ept, &pt_npt };
	struct page_source source = { pool_alloc, pool_ptr };
	struct pt pt;

	if (!size) {
		return 0;
	}
	memset(pool, 0, pool_used * PAGE_SIZE);
	memset(oracle, 0, sizeof(oracle));
	pool_used = 0;
	BUG_ON(pt_init(&pt, formats[data[0] % 3], &source, SIZE_1G) != STATUS_OK);
	for (size_t i = 1; i + 5 <= size; i += 5) {
		step(&pt, data + i);
		check(&pt, (u64)(data[i + 1] | data[i + 2] << 8) % WINDOW);
	}
	for (u64 p = 0; p < WINDOW; p += 3) {
		check(&pt, p);
	}
	return 0;
}
