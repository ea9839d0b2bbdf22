// SPDX-License-Identifier: BSD-2-Clause
/*
 * The boot-time page allocator: a sorted table of free ranges, carved and never given back.
 * Knows ranges only, not what they are for; never touches the memory itself. Called by the kernel
 * while one CPU runs.
 */
#include "mm/frames.h"
#include "log.h"

static u64 range_end(const struct mem_range *r)
{
	return r->base + r->len;
}

static void add_whole_pages(struct frames *f, u64 base, u64 end)
{
	base = ALIGN_UP(MAX(base, MIB), PAGE_SIZE);
	end = ALIGN_DOWN(end, PAGE_SIZE);
	if (base < end && f->nr < FRAMES_MAX_RANGES) {
		f->free[f->nr++] = (struct mem_range){ base, end - base, true };
	}
}

/* Neighbours are joined before rounding, so that a page across two usable entries counts. */
void frames_init(struct frames *f, const struct mem_range *mem, u32 nr)
{
	u64 base = 0, end = 0;

	f->nr = 0;
	for (u32 i = 0; i < nr; i++) {
		if (!mem[i].is_usable) {
			continue;
		}
		if (mem[i].base != end) {
			add_whole_pages(f, base, end);
			base = mem[i].base;
		}
		end = range_end(&mem[i]);
	}
	add_whole_pages(f, base, end);
}

static void remove_range(struct frames *f, u32 i)
{
	f->nr--;
	for (; i < f->nr; i++) {
		f->free[i] = f->free[i + 1];
	}
}

static void insert_range(struct frames *f, u32 i, u64 base, u64 end)
{
	for (u32 k = f->nr++; k > i; k--) {
		f->free[k] = f->free[k - 1];
	}
	f->free[i] = (struct mem_range){ base, end - base, true };
}

enum status frames_reserve(struct frames *f, u64 base, u64 len)
{
	u64 end = base + len;

	if (end < base || end > ~0ull - PAGE_SIZE) {
		return STATUS_BAD_VALUE;
	}
	base = ALIGN_DOWN(base, PAGE_SIZE);
	end = ALIGN_UP(end, PAGE_SIZE);
	for (u32 i = 0; len && i < f->nr;) {
		struct mem_range *r = &f->free[i];
		u64 lo = r->base, hi = range_end(r);

		if (end <= lo || hi <= base) {
			i++;
		} else if (lo < base && end < hi) { /* the only range that it meets */
			if (f->nr == FRAMES_MAX_RANGES) {
				return STATUS_FULL;
			}
			r->len = base - lo;
			insert_range(f, i + 1, end, hi);
			return STATUS_OK;
		} else if (base <= lo && hi <= end) {
			remove_range(f, i);
		} else if (lo < base) {
			r->len = base - lo;
		} else {
			*r = (struct mem_range){ end, hi - end, true };
		}
	}
	return STATUS_OK;
}

/* Return: where @len bytes end up at the top of @r, or 0 if they do not fit. */
static u64 fit_top(const struct mem_range *r, u64 len, u64 align)
{
	if (r->len < len) {
		return 0;
	}
	u64 at = ALIGN_DOWN(range_end(r) - len, align);
	return at >= r->base ? at : 0;
}

hpa frames_alloc(struct frames *f, u64 len, u64 align)
{
	const struct mem_range *best = NULL;

	BUG_ON(len % PAGE_SIZE || align < PAGE_SIZE || (align & (align - 1)));
	for (u32 i = 0; len && i < f->nr; i++) {
		const struct mem_range *r = &f->free[i];
		if (fit_top(r, len, align) && (!best || r->len < best->len)) {
			best = r;
		}
	}
	if (!best) {
		return HPA(0);
	}
	u64 at = fit_top(best, len, align);
	return frames_reserve(f, at, len) == STATUS_OK ? HPA(at) : HPA(0);
}

u64 frames_largest(const struct frames *f, u64 align)
{
	u64 largest = 0;

	for (u32 i = 0; i < f->nr; i++) {
		u64 base = ALIGN_UP(f->free[i].base, align);
		u64 end = ALIGN_DOWN(range_end(&f->free[i]), align);
		if (base < end) {
			largest = MAX(largest, end - base);
		}
	}
	return largest;
}

u64 frames_free_bytes(const struct frames *f)
{
	u64 sum = 0;

	for (u32 i = 0; i < f->nr; i++) {
		sum += f->free[i].len;
	}
	return sum;
}
