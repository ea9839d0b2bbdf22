/* SPDX-License-Identifier: BSD-2-Clause */
/* The crash record as bytes; see record.h. crash.c writes and reads it. Pure. */
#include "kernel/record.h"
#include "lib/lib.h"

#define MAGIC 0x31646d6352486b42ull /* any 64 bits */

/* FNV-1a: not against malice, only against what else memory may hold */
static u64 sum_of(const struct record *r)
{
	u64 sum = 0xcbf29ce484222325ull ^ r->len;
	for (u32 i = 0; i < r->len; i++) {
		sum = (sum ^ (u8)r->text[i]) * 0x100000001b3ull;
	}
	return sum;
}

static bool is_free(const struct boot_info *info, u64 at)
{
	bool is_usable = false;
	for (u32 i = 0; i < info->nr_mem; i++) {
		const struct mem_range *m = &info->mem[i];
		bool overlaps = m->base < at + RECORD_LEN && at < m->base + m->len;
		if (overlaps && !m->is_usable) {
			return false;
		}
		is_usable |= m->is_usable && m->base <= at && at + RECORD_LEN <= m->base + m->len;
	}
	return is_usable;
}

u64 record_place(const struct boot_info *info)
{
	u64 end = info->image_end.v;
	for (u32 i = 0; i < info->nr_modules; i++) {
		const struct boot_module *m = &info->modules[i];
		end = m->start.v < 4 * GIB ? MAX(end, m->start.v + m->len) : end;
	}
	/* some room, for what a loader keeps right behind its last module */
	for (u64 at = ALIGN_UP(end + MIB, RECORD_LEN); at < 4 * GIB; at += RECORD_LEN) {
		if (is_free(info, at)) {
			return at;
		}
	}
	return 0;
}

void record_begin(struct record *r)
{
	r->magic = r->sum = r->len = 0;
}

void record_add(struct record *r, const char *line, size_t len)
{
	if (len + 1 <= sizeof(r->text) - r->len) {
		memcpy(r->text + r->len, line, len);
		r->len += (u32)len;
		r->text[r->len++] = '\n';
	}
}

void record_seal(struct record *r)
{
	r->sum = sum_of(r);
	r->magic = MAGIC;
}

bool record_find(const struct record *r)
{
	return r->magic == MAGIC && r->len <= sizeof(r->text) && r->sum == sum_of(r);
}
