/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz input as an access script for one device on a bus: each step is an op byte and its operands.
 * Time goes on by steps from nanoseconds to weeks. The line is kept as the device last set it.
 */
#ifndef BULKHEAD_FUZZ_SCRIPT_H
#define BULKHEAD_FUZZ_SCRIPT_H

#include <stdlib.h>
#include "bus.h"

#define CHECK(cond)              \
	do {                     \
		if (!(cond)) {   \
			abort(); \
		}                \
	} while (0)

struct script {
	const u8 *at, *end;
	u64 now_ns;
	bool level;
	struct bus bus;
};

static inline u64 script_now(void *ctx)
{
	return ((struct script *)ctx)->now_ns;
}

static inline void script_line(void *ctx, u32 line maybe_unused, bool level)
{
	((struct script *)ctx)->level = level;
}

static inline struct irq_line script_irq(struct script *s)
{
	return (struct irq_line){ .set = script_line, .ctx = s };
}

static inline u8 script_byte(struct script *s)
{
	return s->at < s->end ? *s->at++ : 0;
}

static inline void script_attach(struct script *s, u64 base, u64 len, const struct vdev_ops *ops,
				 void *self)
{
	struct bus_range r = { .base = base, .len = len, .ops = ops, .self = self };

	CHECK(bus_attach(&s->bus, &r) == STATUS_OK);
}

/* Advance by 0 to 255 units of 1 ns to about 70 s; never past the year 300 */
static inline void script_wait(struct script *s)
{
	u64 step = (u64)script_byte(s) << (script_byte(s) % 36);

	s->now_ns = MIN(s->now_ns + step, 1ull << 63);
}

/* One access at @base + 0 to @span - 1, of 1, 2 or 4 bytes (4 may reach beyond the device) */
static inline void script_access(struct script *s, u8 op, u64 base, u32 span)
{
	u64 addr = base + (op >> 3) % span;
	u32 width = 1u << (op >> 1 & 3) % 3;

	if (op & 1) {
		u64 value = 0;

		for (u32 i = 0; i < width; i++) {
			value |= (u64)script_byte(s) << (8 * i);
		}
		bus_write(&s->bus, addr, width, value);
	} else {
		CHECK(!(bus_read(&s->bus, addr, width) & ~width_mask(width)));
	}
}

#endif
