/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has which page of host memory: a boot-time allocator of contiguous, aligned runs, carved out
 * of the usable ranges. Nothing is given back. Context: boot, one CPU; pure.
 */
#ifndef BULKHEAD_FRAMES_H
#define BULKHEAD_FRAMES_H

#include "boot_info.h"

#define FRAMES_MAX_RANGES 256
struct frames {
	struct mem_range free[FRAMES_MAX_RANGES]; /* page aligned, sorted */
	u32 nr;
};

/** frames_init() - all usable memory of @mem, whole pages only. Page 0 is never allocated. */
void frames_init(struct frames *f, const struct mem_range *mem, u32 nr);

/** frames_reserve() - [base, base+len) is taken (rounded outward to pages). */
enum status frames_reserve(struct frames *f, u64 base, u64 len);

/**
 * frames_alloc() - @len bytes (whole pages) at a multiple of @align (power of two, >= 4 KiB)
 *
 * Takes from the top of the smallest free range that fits, so that large aligned runs survive.
 * Contents are not cleared. Return: 0 address if nothing fits.
 */
hpa frames_alloc(struct frames *f, u64 len, u64 align);

/** frames_largest() - size of the largest run at alignment @align, a multiple of @align. */
u64 frames_largest(const struct frames *f, u64 align);

/** frames_free_bytes() - sum of all free ranges. */
u64 frames_free_bytes(const struct frames *f);

#endif
