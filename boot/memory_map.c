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
	if (len && out->nr_mem == BOOT_MAX_MEM) {
		return STATUS_FULL;
	}
	if (len) {
		out->mem[out->nr_mem++] = (struct mem_range){ base, len, is_usable };
	}
	return STATUS_OK;
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

/* From edge to edge: between two, all memory lies in the same entries */
void memory_normalise(struct boot_info *out)
{
	struct mem_range raw[BOOT_MAX_MEM];
	u32 nr = out->nr_mem;
	bool has_room = true;

	memcpy(raw, out->mem, sizeof(raw));
	out->nr_mem = 0;
	for (u64 base = 0, end; has_room && base != UINT64_MAX; base = end) {
		bool is_covered = false, is_usable = true;
		end = UINT64_MAX;
		for (u32 i = 0; i < nr; i++) {
			u64 lo = raw[i].base, hi = lo + raw[i].len;
			if (base >= lo && base < hi) {
				is_covered = true;
				is_usable &= raw[i].is_usable;
			}
			end = base < hi ? MIN(end, base < lo ? lo : hi) : end;
		}
		has_room = !is_covered || append(out, base, end, is_usable);
	}
}

enum status module_add(struct boot_info *out, u64 start, u64 end, const char *name, size_t max)
{
	if (out->nr_modules == BOOT_MAX_MODULES || end < start) {
		return end < start ? STATUS_BAD_VALUE : STATUS_FULL;
	}
	struct boot_module *m = &out->modules[out->nr_modules++];
	*m = (struct boot_module){ .start = HPA(start), .len = end - start };
	format(m->name, sizeof(m->name), "%.*s", (int)max, name);
	return STATUS_OK;
}
