/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First C code: measure the image, copy the loader's facts into struct boot_info, go up to kmain.
 * Runs on the first CPU, on early page tables that map the low 4 GiB one to one. Nothing here or
 * before may write to .data: it would change the digest.
 */
#include "boot.h"
#include "lib/lib.h"
#include "log.h"
#include "x86/insn.h"

struct boot_stack boot_stacks[NR_BOOT_STACKS] page_aligned;
struct ap_start ap_start;
static struct boot_info boot_info;

static const void *low_memory(maybe_unused void *ctx, u64 addr, u64 len)
{
	return addr && addr + len <= 4 * GIB ? (const void *)(uintptr_t)addr : NULL;
}

void noreturn_fn boot_main(u32 magic, u32 addr);

void noreturn_fn boot_main(u32 magic, u32 addr)
{
	static const struct boot_window window = { .map = low_memory };

	boot_info.tsc = rdtsc();
	sha256(image_start, (size_t)(data_end - image_start), boot_info.sha256);
	boot_info.image_start = HPA((uintptr_t)image_start);
	boot_info.image_end = HPA((uintptr_t)image_end);
	boot_info.status = STATUS_UNSUPPORTED;
	if (magic == MULTIBOOT1_MAGIC) {
		boot_info.status = multiboot1_parse(&window, addr, &boot_info);
	} else if (magic == MULTIBOOT2_MAGIC) {
		const void *data = (const void *)(uintptr_t)addr;
		boot_info.status = multiboot2_parse(data, 4 * GIB - addr, &boot_info);
	}
	kmain(&boot_info);
}
