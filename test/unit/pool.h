/* SPDX-License-Identifier: BSD-2-Clause */
/* Physical memory of a pretend machine, for what wants a page source: page n + 1 is pool[n]. */
#ifndef TEST_POOL_H
#define TEST_POOL_H

#include "vcpu.h"

#define POOL 512
extern u64 pool[POOL][512];
extern u32 pool_used, pool_limit; /* pages; no more than @pool_limit are given out */
extern struct page_source pool_pages;

/** pool_start() - all of it is clear and free. */
void pool_start(void);

#endif
