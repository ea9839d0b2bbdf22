// SPDX-License-Identifier: BSD-2-Clause
/*
 * The boot-time page allocator: a sorted table of free ranges, carved and never given back.
 * Knows ranges only, not what they are for; never touches the memory itself. Called by the kernel
 * while one CPU runs.
 */
#include "mm/frames.h"
#include "lib/lib.h"
#include "log.h"

static u64 range_end(const struct mem_range *r)
{
	return r->base + r->len;
}

static void add_whole_pages(struct frames *f, u64 base, u64 end)
{
	base = ALIGN_UP(base, PAGE_SIZE);
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
		if (mem[i].is_usable && mem[i].base != end) {
			add_whole_pages(f, base, end);
			base = mem[i].base;
		}
		end = mem[i].is_usable ? range_end(&mem[i]) : end;
	}
	add_whole_pages(f, base, end);
}

/* What remains of each free range takes its place: one piece, none, or two if cut in half. */
enum status frames_reserve(struct frames *f, u64 base, u64 len)
{
	u64 end = base + len;

	if (end < base || end > ~0ull - PAGE_SIZE) {
		return STATUS_BAD_VALUE;
	}
	base = ALIGN_DOWN(base, PAGE_SIZE);
	end = ALIGN_UP(end, PAGE_SIZE);
	for (u32 i = 0, n; len && i < f->nr; i += n) {
		struct mem_range *r = &f->free[i], piece[2];
		u64 lo = r->base, hi = range_end(r), right = MAX(lo, end);

		n = 0;
		if (lo < base) {
			piece[n++] = (struct mem_range){ lo, MIN(hi, base) - lo, true };
		}
		if (right < hi) {
			piece[n++] = (struct mem_range){ right, hi - right, true };
		}
		if (f->nr - 1 + n > FRAMES_MAX_RANGES) {
			return STATUS_FULL;
		}
		memmove(r + n, r + 1, (f->nr - i - 1) * sizeof(*r));
		memcpy(r, piece, n * sizeof(*r));
		f->nr += n - 1;
	}
	return STATUS_OK;
}

/* Return: where @len bytes end up at the top of @r, or 0 if they do not fit. */
static u64 fit_top(const struct mem_range *r, u64 len, u64 align)
{
	u64 at = r->len < len ? 0 : ALIGN_DOWN(range_end(r) - len, align);
	return at >= r->base ? at : 0;
}

hpa frames_alloc(struct frames *f, u64 len, u64 align)
{
	u64 best = 0, best_len = UINT64_MAX;

	BUG_ON(len % PAGE_SIZE || align < PAGE_SIZE || (align & (align - 1)));
	for (u32 i = 0; len && i < f->nr; i++) {
		u64 at = fit_top(&f->free[i], len, align);
		if (at && f->free[i].len < best_len) {
			best = at;
			best_len = f->free[i].len;
		}
	}
	return best && frames_reserve(f, best, len) == STATUS_OK ? HPA(best) : HPA(0);
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
