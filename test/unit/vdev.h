/* SPDX-License-Identifier: BSD-2-Clause */
/* A bench for one virtual device: a clock set by hand, a line that counts its edges, byte accesses. */
#ifndef BULKHEAD_TEST_VDEV_H
#define BULKHEAD_TEST_VDEV_H

#include "bus.h"

struct bench {
	u64 now_ns;
	bool level;
	u32 rises;
};

static inline u64 bench_now(void *ctx)
{
	return ((struct bench *)ctx)->now_ns;
}

static inline void bench_set(void *ctx, u32 line maybe_unused, bool level)
{
	struct bench *b = ctx;

	b->rises += level && !b->level;
	b->level = level;
}

static inline struct irq_line bench_line(struct bench *b)
{
	return (struct irq_line){ .set = bench_set, .ctx = b };
}

static inline u8 rd(const struct vdev_ops *ops, void *self, u64 offset)
{
	return (u8)ops->read(self, offset, 1);
}

static inline void wr(const struct vdev_ops *ops, void *self, u64 offset, u8 value)
{
	ops->write(self, offset, 1, value);
}

#endif
