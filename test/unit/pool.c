/* SPDX-License-Identifier: BSD-2-Clause */
/* See pool.h. */
#include "pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

u64 pool[POOL][512] __attribute__((aligned(PAGE_SIZE)));
u32 pool_used, pool_limit = POOL;

static hpa pool_alloc(struct page_source *self, u32 nr)
{
	(void)self;
	if (pool_used + nr > pool_limit) {
		return HPA(0);
	}
	pool_used += nr;
	return HPA((pool_used - nr + 1) * PAGE_SIZE);
}

static void *pool_ptr(struct page_source *self, hpa at)
{
	(void)self;
	assert_in_range(at.v / PAGE_SIZE, 1, pool_used);
	return (u8 *)pool[at.v / PAGE_SIZE - 1] + at.v % PAGE_SIZE;
}

struct page_source pool_pages = { pool_alloc, pool_ptr };

void pool_start(void)
{
	memset(pool, 0, sizeof(pool));
	pool_used = 0;
	pool_limit = POOL;
}
