/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the firmware's memory map as it comes (any order, overlaps, nonsense) to the one promised in
 * boot_info.h; and the list of modules. Pure; the two multiboot parsers call it.
 */
#include "boot.h"
#include "lib/lib.h"

enum status memory_add(struct boot_info *out, u64 base, u64 len, bool is_usable)
{
	len = MIN(len, UINT64_MAX - base);
	if (len == 0) {
		return STATUS_OK;
	}
	if (out->nr_mem == BOOT_MAX_MEM) {
		return STATUS_FULL;
	}
	out->mem[out->nr_mem++] = (struct mem_range){ base, len, is_usable };
	return STATUS_OK;
}

static void sort(u64 *v, u32 nr)
{
	for (u32 i = 1; i < nr; i++) {
		u64 key = v[i];
		u32 at = i;
		for (; at > 0 && v[at - 1] > key; at--) {
			v[at] = v[at - 1];
		}
		v[at] = key;
	}
}

enum cover { COVER_NONE, COVER_USABLE, COVER_RESERVED };

/* what the raw map says of a stretch that lies wholly in or out of each of its entries */
static enum cover cover_of(const struct mem_range *raw, u32 nr, u64 base)
{
	enum cover c = COVER_NONE;

	for (u32 i = 0; i < nr; i++) {
		if (base >= raw[i].base && base - raw[i].base < raw[i].len) {
			c = MAX(c, raw[i].is_usable ? COVER_USABLE : COVER_RESERVED);
		}
	}
	return c;
}

/* Return: false when the table is full: what is then left out is not used as memory */
static bool append(struct boot_info *out, u64 base, u64 end, bool is_usable)
{
	struct mem_range *last = out->nr_mem ? &out->mem[out->nr_mem - 1] : NULL;

	if (last && last->is_usable == is_usable && last->base + last->len == base) {
		last->len = end - last->base;
		return true;
	}
	return memory_add(out, base, end - base, is_usable) == STATUS_OK;
}

void memory_normalise(struct boot_info *out)
{
	struct mem_range raw[BOOT_MAX_MEM];
	u64 edge[2 * BOOT_MAX_MEM];
	u32 nr = out->nr_mem;
	bool has_room = true;

	memcpy(raw, out->mem, sizeof(raw));
	for (u32 i = 0; i < nr; i++) {
		edge[2 * i] = raw[i].base;
		edge[2 * i + 1] = raw[i].base + raw[i].len;
	}
	sort(edge, 2 * nr);
	out->nr_mem = 0;
	for (u32 i = 0; has_room && i + 1 < 2 * nr; i++) {
		enum cover c = cover_of(raw, nr, edge[i]);
		if (c != COVER_NONE && edge[i] < edge[i + 1]) {
			has_room = append(out, edge[i], edge[i + 1], c == COVER_USABLE);
		}
	}
}

enum status module_add(struct boot_info *out, u64 start, u64 end, const char *name)
{
	if (out->nr_modules == BOOT_MAX_MODULES) {
		return STATUS_FULL;
	}
	if (end < start) {
		return STATUS_BAD_VALUE;
	}
	struct boot_module *m = &out->modules[out->nr_modules++];
	m->start = HPA(start);
	m->len = end - start;
	format(m->name, sizeof(m->name), "%s", name);
	return STATUS_OK;
}
