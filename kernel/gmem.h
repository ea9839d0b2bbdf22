/* SPDX-License-Identifier: BSD-2-Clause */
/* A partition's memory as the hypervisor reaches it: a few extents of guest-physical to host. Pure. */
#ifndef BULKHEAD_GMEM_H
#define BULKHEAD_GMEM_H

#include "types.h"

struct mem_extent {
	gpa base;
	hpa host;
	u64 len;
};

#define GMEM_MAX_EXTENTS 16
struct gmem {
	struct mem_extent ext[GMEM_MAX_EXTENTS]; /* sorted by base, no overlap */
	u32 nr;
};

/** phys_ptr() - host-physical memory is mapped one to one (in host tests an hpa is a pointer). */
static inline void *phys_ptr(hpa a)
{
	return (void *)(uintptr_t)a.v;
}

/** gmem_ptr() - [@addr, @addr+@len) as one run of host memory, or NULL if any byte is not RAM or it spans extents. */
void *gmem_ptr(const struct gmem *m, gpa addr, u64 len);

/** gmem_read(), gmem_write(), gmem_fill() - may span extents. Return: false (nothing done) if not all RAM. */
bool must_check gmem_read(const struct gmem *m, gpa addr, void *buf, u64 len);
bool must_check gmem_write(const struct gmem *m, gpa addr, const void *buf, u64 len);
bool must_check gmem_fill(const struct gmem *m, gpa addr, u8 byte, u64 len);

/** gmem_top_below() - end of RAM below @limit (exclusive), 0 if none. */
u64 gmem_top_below(const struct gmem *m, u64 limit);

#endif
