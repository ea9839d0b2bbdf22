// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who answers an address: sorted ranges, found by bisection, or for ports by a table. Knows no device and no address kind;
 * ports and MMIO behave alike. Filled at boot by the platform, asked by the exit handler.
 */
#include "bus.h"
#include "lib/lib.h"

/* How many ranges begin at or below @addr; the last of them is the only one that can hold it. */
static u32 ranges_up_to(const struct bus *b, u64 addr)
{
	u32 lo = 0, hi = b->nr;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (b->range[mid].base <= addr) {
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	return lo;
}

/* The range that holds the byte at @addr, or NULL */
static inline const struct bus_range *range_at(const struct bus *b, u64 addr)
{
	if (addr < BUS_LOW) {
		return bus_low(b, addr);
	}
	u32 n = ranges_up_to(b, addr);
	const struct bus_range *r = n ? &b->range[n - 1] : NULL;

	/* Offsets are compared, not ends: an end at 2^64 would wrap to 0 */
	return r && addr - r->base < r->len ? r : NULL;
}

static inline bool holds(const struct bus_range *r, u64 addr, u32 width)
{
	return width <= r->len - (addr - r->base);
}

const struct bus_range *bus_find(const struct bus *b, u64 addr, u32 width)
{
	const struct bus_range *r = range_at(b, addr);

	return r && holds(r, addr, width) ? r : NULL;
}

/* The table of low addresses anew. Return: false if the ranges lie in too many pages of 256. */
static bool index_low(struct bus *b)
{
	memset(b->page, 0, sizeof(b->page));
	memset(b->low, 0, sizeof(b->low));
	b->nr_pages = 0;
	for (u32 i = 0; i < b->nr; i++) {
		const struct bus_range *r = &b->range[i];

		for (u64 a = r->base; a < BUS_LOW && a - r->base < r->len; a++) {
			u8 *row = &b->page[a / 256];

			if (!*row && b->nr_pages == BUS_MAX_PAGES) {
				return false;
			}
			*row = *row ? *row : (u8)++b->nr_pages;
			b->low[*row][a % 256] = (u8)(i + 1);
		}
	}
	return true;
}

enum status bus_attach(struct bus *b, const struct bus_range *r)
{
	u32 at = ranges_up_to(b, r->base);

	if (!r->len || r->base + (r->len - 1) < r->base) {
		return STATUS_BAD_VALUE;
	}
	if ((at && r->base - b->range[at - 1].base < b->range[at - 1].len) ||
	    (at < b->nr && b->range[at].base - r->base < r->len)) {
		return STATUS_OVERLAP;
	}
	if (b->nr == BUS_MAX_RANGES) {
		return STATUS_FULL;
	}
	for (u32 i = b->nr++; i > at; i--) {
		b->range[i] = b->range[i - 1];
	}
	b->range[at] = *r;
	return index_low(b) ? STATUS_OK : STATUS_FULL;
}

static struct lock *lock_of(const struct bus *b, const struct bus_range *r)
{
	return r->ops->is_unlocked ? NULL : b->lock;
}

static noinline u64 read_locked(struct lock *l, const struct bus_range *r, u64 addr, u32 width)
{
	lock_take(l);
	u64 value = r->ops->read(r->self, addr - r->base, width);
	lock_drop(l);
	return value & width_mask(width);
}

static inline u64 read_from(const struct bus *b, const struct bus_range *r, u64 addr, u32 width)
{
	struct lock *l = lock_of(b, r);

	if (l) {
		return read_locked(l, r, addr, width);
	}
	return r->ops->read(r->self, addr - r->base, width) & width_mask(width);
}

static noinline void write_locked(struct lock *l, const struct bus_range *r, u64 addr, u32 width, u64 value)
{
	lock_take(l);
	r->ops->write(r->self, addr - r->base, width, value);
	lock_drop(l);
}

static inline void write_to(const struct bus *b, const struct bus_range *r, u64 addr, u32 width, u64 value)
{
	struct lock *l = lock_of(b, r);

	if (l) {
		write_locked(l, r, addr, width, value & width_mask(width));
	} else {
		r->ops->write(r->self, addr - r->base, width, value & width_mask(width));
	}
}

static cold u64 read_bytes(const struct bus *b, u64 addr, u32 width)
{
	u64 value = 0;

	for (u32 i = 0; i < width; i++) {
		const struct bus_range *r = range_at(b, addr + i);
		value |= (r ? read_from(b, r, addr + i, 1) : 0xff) << (8 * i);
	}
	return value;
}

u64 bus_read(const struct bus *b, u64 addr, u32 width)
{
	const struct bus_range *r = range_at(b, addr);

	if (!r) {
		bus_tell(b->stray, addr, width, false);
		return width_mask(width);
	}
	return bus_is_whole(r, addr, width) ? read_from(b, r, addr, width) : read_bytes(b, addr, width);
}

static cold void write_bytes(const struct bus *b, u64 addr, u32 width, u64 value)
{
	for (u32 i = 0; i < width; i++) {
		const struct bus_range *r = range_at(b, addr + i);
		if (r) {
			write_to(b, r, addr + i, 1, value >> (8 * i));
		}
	}
}

void bus_write(const struct bus *b, u64 addr, u32 width, u64 value)
{
	const struct bus_range *r = range_at(b, addr);

	if (r && bus_is_whole(r, addr, width)) {
		write_to(b, r, addr, width, value);
	} else if (r) {
		write_bytes(b, addr, width, value);
	} else {
		bus_tell(b->stray, addr, width, true);
	}
}
