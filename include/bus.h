/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract between the kernel and virtual devices: a bus of sorted ranges, a device that sees
 * offset, width and value, and what a device may ask for (clock, interrupt line), all injected.
 * One bus per partition for ports, one per core for MMIO. Ranges are const once attached.
 */
#ifndef BULKHEAD_BUS_H
#define BULKHEAD_BUS_H

#include "lock.h"
#include "types.h"

/**
 * struct vdev_ops - a device behind a bus range
 * @read:  value of @width (1, 2, 4, 8) bytes at @offset from the range's base; upper bits ignored
 * @write: the reverse; @value is already cut to @width
 *
 * @is_byte_wide: an 8-bit ISA device, whose handlers see width 1 only
 * @is_unlocked: belongs to one CPU, which alone comes here: no lock
 *
 * Any offset within the range, any width, any value may come: guests are hostile. An access never
 * crosses the range's end: the bus splits it into bytes, as it does wider accesses to a byte-wide device.
 */
struct vdev_ops {
	u64 (*read)(void *self, u64 offset, u32 width);
	void (*write)(void *self, u64 offset, u32 width, u64 value);
	bool is_byte_wide, is_unlocked;
};

struct bus_range {
	u64 base, len;
	const char *name;
	const struct vdev_ops *ops;
	void *self;
	const u64 *deadline_ns; /* of what this range belongs to: an access may change it; NULL: time does not drive it */
};

/* Who is told of accesses whose first byte no device claims, with the bus's lock or without; they are answered as always */
struct bus_stray {
	void (*seen)(void *ctx, u64 addr, u32 width, bool is_write);
	void *ctx;
};

static inline void bus_tell(const struct bus_stray *s, u64 addr, u32 width, bool is_write)
{
	if (s) {
		s->seen(s->ctx, addr, width, is_write);
	}
}

#define BUS_MAX_RANGES 40
#define BUS_LOW	       0x10000 /* below it a lookup takes two loads */
#define BUS_MAX_PAGES  12

struct bus {
	struct bus_range range[BUS_MAX_RANGES]; /* sorted by base, no overlap */
	u32 nr;
	struct lock *lock; /* held around ops; NULL = only one CPU ever comes here */
	const struct bus_stray *stray; /* NULL = nobody asks */
	u8 page[BUS_LOW / 256];		  /* of low addresses, that is ports: a row below, or 0 */
	u8 low[BUS_MAX_PAGES + 1][256];	  /* range + 1, or 0; row 0 is all 0 */
	u32 nr_pages;
};

/** bus_attach() - add @r. Boot time only. Return: STATUS_OVERLAP or STATUS_FULL, else STATUS_OK. */
enum status must_check bus_attach(struct bus *b, const struct bus_range *r);

/**
 * bus_read() - a read as the guest sees it: where nothing answers, all ones (as a PC)
 *
 * The device that claims the first byte claims the access; bytes beyond its end go to their own devices.
 * Thus a dword written to 0xcf8 (PCI mechanism #1) never reaches the reset register at 0xcf9.
 */
u64 bus_read(const struct bus *b, u64 addr, u32 width);

/** bus_write() - a write; where nothing answers it is lost. */
void bus_write(const struct bus *b, u64 addr, u32 width, u64 value);

/** bus_low() - the range that holds the byte at @addr, below BUS_LOW; NULL: nothing answers there */
static inline const struct bus_range *bus_low(const struct bus *b, u64 addr)
{
	u32 n = b->low[b->page[addr / 256]][addr % 256];
	return n ? &b->range[n - 1] : NULL;
}

/** bus_is_whole() - does the device of the first byte take the access whole? */
static inline bool bus_is_whole(const struct bus_range *r, u64 addr, u32 width)
{
	return width == 1 || (!r->ops->is_byte_wide && width <= r->len - (addr - r->base));
}

/** bus_find() - the range holding all of [addr, addr + width), or NULL. */
const struct bus_range *bus_find(const struct bus *b, u64 addr, u32 width);

/* An interrupt line into whatever controllers the platform wires to it. */
struct irq_line {
	void (*set)(void *ctx, u32 line, bool level);
	void *ctx;
	u32 line;
};

static inline void irq_line_set(const struct irq_line *l, bool level)
{
	l->set(l->ctx, l->line, level);
}

/* Time: nanoseconds since the partition's birth. A device reads it only in access handlers. */
struct vclock {
	u64 (*now_ns)(void *ctx);
	void *ctx;
};

static inline u64 vclock_now(const struct vclock *c)
{
	return c->now_ns(c->ctx);
}

/** ns_to_ticks() - whole periods of a @hz clock (below 18 GHz) within @ns, without a 128-bit division. */
static inline u64 ns_to_ticks(u64 ns, u64 hz)
{
	return ns / NSEC_PER_SEC * hz + ns % NSEC_PER_SEC * hz / NSEC_PER_SEC;
}

/** ticks_to_ns() - the first nanosecond at which ns_to_ticks() gives @ticks. */
static inline u64 ticks_to_ns(u64 ticks, u64 hz)
{
	return ticks / hz * NSEC_PER_SEC + (ticks % hz * NSEC_PER_SEC + hz - 1) / hz;
}

#endif
