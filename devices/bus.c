// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who answers an address: sorted ranges, found by bisection. Knows no device and no address kind;
 * ports and MMIO behave alike. Filled at boot by the platform, asked by the exit handler.
 */
#include "bus.h"

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

const struct bus_range *bus_find(const struct bus *b, u64 addr, u32 width)
{
	u32 n = ranges_up_to(b, addr);
	const struct bus_range *r = n ? &b->range[n - 1] : NULL;

	/* Offsets are compared, not ends: an end at 2^64 would wrap to 0 */
	if (!r || addr - r->base >= r->len || width > r->len - (addr - r->base)) {
		return NULL;
	}
	return r;
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
	return STATUS_OK;
}

static struct lock *lock_of(const struct bus *b, const struct bus_range *r)
{
	return r->ops->is_unlocked ? NULL : b->lock;
}

static void enter(struct lock *l)
{
	if (l) {
		lock_take(l);
	}
}

static void leave(struct lock *l)
{
	if (l) {
		lock_drop(l);
	}
}

static u64 read_piece(const struct bus *b, const struct bus_range *r, u64 addr, u32 width)
{
	u64 value = ~0ull;

	if (r) {
		enter(lock_of(b, r));
		value = r->ops->read(r->self, addr - r->base, width);
		leave(lock_of(b, r));
	}
	return value & width_mask(width);
}

static void write_piece(const struct bus *b, const struct bus_range *r, u64 addr, u32 width,
			u64 value)
{
	if (r) {
		enter(lock_of(b, r));
		r->ops->write(r->self, addr - r->base, width, value & width_mask(width));
		leave(lock_of(b, r));
	}
}

/* @r, the device of the first byte, does not take the access whole */
static bool is_split(const struct bus_range *r, u64 addr, u32 width)
{
	return r && width > 1 && (r->ops->is_byte_wide || width > r->len - (addr - r->base));
}

u64 bus_read(const struct bus *b, u64 addr, u32 width)
{
	const struct bus_range *r = bus_find(b, addr, 1);
	u64 value = 0;

	if (!is_split(r, addr, width)) {
		return read_piece(b, r, addr, width);
	}
	for (u32 i = 0; i < width; i++) {
		value |= read_piece(b, bus_find(b, addr + i, 1), addr + i, 1) << (8 * i);
	}
	return value;
}

void bus_write(const struct bus *b, u64 addr, u32 width, u64 value)
{
	const struct bus_range *r = bus_find(b, addr, 1);

	if (!is_split(r, addr, width)) {
		write_piece(b, r, addr, width, value);
		return;
	}
	for (u32 i = 0; i < width; i++) {
		write_piece(b, bus_find(b, addr + i, 1), addr + i, 1, value >> (8 * i));
	}
}
