/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both boot information parsers on the same bytes: multiboot2 as a block, multiboot1 as low memory with
 * its structure at 0. Whatever comes, the promises of boot_info.h hold.
 */
#include "boot/boot.h"
#include <stdlib.h>
#include <string.h>

struct memory {
	const u8 *data;
	size_t size;
};

static const void *map(void *ctx, u64 addr, u64 len)
{
	const struct memory *m = ctx;
	return addr <= m->size && len <= m->size - addr ? m->data + addr : NULL;
}

static void need(bool cond)
{
	if (!cond) {
		abort();
	}
}

static void check(const struct boot_info *info, enum status s)
{
	u64 end = 0;

	need(info->nr_mem <= BOOT_MAX_MEM && info->nr_modules <= BOOT_MAX_MODULES);
	need(memchr(info->cmdline, 0, sizeof(info->cmdline)));
	need(info->rsdp_len <= sizeof(info->rsdp));
	for (u32 i = 0; s == STATUS_OK && i < info->nr_mem; i++) {
		const struct mem_range *r = &info->mem[i];
		need(r->len && r->base >= end && r->base + r->len > r->base);
		end = r->base + r->len;
	}
	for (u32 i = 0; i < info->nr_modules; i++) {
		need(memchr(info->modules[i].name, 0, BOOT_NAME_MAX));
		need(info->modules[i].start.v + info->modules[i].len <= UINT32_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot_info info;
	struct memory m = { data, size };
	struct boot_window w = { map, &m };

	memset(&info, 0, sizeof(info));
	check(&info, multiboot2_parse(data, size, &info));
	memset(&info, 0, sizeof(info));
	check(&info, multiboot1_parse(&w, 0, &info));
	return 0;
}
