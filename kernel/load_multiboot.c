// SPDX-License-Identifier: BSD-2-Clause
/*
 * Multiboot 1: a kernel as ELF file (32- or 64-bit) or with load addresses in its header, modules,
 * and the information structure. All that a kernel is told lies below 640 KiB, outside page 0 and
 * its own segments; modules lie above it. Multiboot Specification 0.6.96. Called by load_guest().
 */
#include "load.h"

#define HEADER_MAGIC  0x1badb002
#define HEADER_SEARCH 8192
#define BOOT_MAGIC    0x2badb002

/* Header flags: 0 modules on page boundaries (always), 1 memory (always), 2 a video mode (a wish
 * that stays one); any other of the low 16 demands what we do not know. */
#define HDR_UNKNOWN   0xfff8
#define HDR_ADDRESSES BIT(16)

/* Header fields in order, 4 bytes each */
enum {
	HDR_MAGIC, HDR_FLAGS, HDR_CHECKSUM,
	HDR_HEADER, HDR_LOAD, HDR_LOAD_END, HDR_BSS_END, HDR_ENTRY
};

struct multiboot_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr, drives[2], config_table, loader_name, apm_table, vbe[4];
};
static_assert(sizeof(struct multiboot_info) == 88, "Multiboot 0.6.96 3.3");
static_assert(offsetof(struct multiboot_info, loader_name) == 64, "Multiboot 0.6.96 3.3");

/* Flags of what is given: memory, command line, modules, map, loader's name */
#define INFO_GIVEN (BIT(0) | BIT(2) | BIT(3) | BIT(6) | BIT(9))

struct multiboot_module {
	u32 start, end, string, reserved;
};

struct multiboot_mmap {
	u32 size; /* of what follows */
	u8 entry[E820_LEN];
};
static_assert(sizeof(struct multiboot_mmap) == 24, "Multiboot 0.6.96 3.3");

static u64 field(const struct blob *k, u64 header, u32 i)
{
	return blob_get(k, header + 4 * i, 4);
}

static bool find_header(const struct blob *k, u64 *at)
{
	u64 end = MIN(k->len, HEADER_SEARCH);
	for (u64 off = 0; off + 12 <= end; off += 4) {
		u64 sum = field(k, off, HDR_MAGIC) + field(k, off, HDR_FLAGS) +
			  field(k, off, HDR_CHECKSUM);
		if (field(k, off, HDR_MAGIC) == HEADER_MAGIC && !(u32)sum) {
			*at = off;
			return true;
		}
	}
	return false;
}

/* Addresses in the header: 3.1.3 "The address fields of Multiboot header" */
static const char *load_by_header(struct loading *l, u64 header)
{
	const struct blob *k = &l->in->kernel;
	u64 load = field(k, header, HDR_LOAD), load_end = field(k, header, HDR_LOAD_END);
	u64 bss_end = field(k, header, HDR_BSS_END), before = field(k, header, HDR_HEADER) - load;
	if (!blob_holds(k, header, 4 * (HDR_ENTRY + 1)) || before > header) {
		return "kernel's multiboot header gives wrong addresses";
	}
	u64 off = header - before;
	u64 filesz = load_end ? load_end - load : k->len - off;
	return load_image(l, load, off, filesz, bss_end ? bss_end - load : filesz);
}

static const char *load_kernel(struct loading *l, u64 *entry)
{
	const struct blob *k = &l->in->kernel;
	struct elf elf;
	u64 header;
	if (!find_header(k, &header)) {
		return "kernel has no multiboot header";
	}
	if (field(k, header, HDR_FLAGS) & HDR_UNKNOWN) {
		return "kernel demands a multiboot feature that is not known";
	}
	if (field(k, header, HDR_FLAGS) & HDR_ADDRESSES) {
		*entry = field(k, header, HDR_ENTRY);
		return load_by_header(l, header);
	}
	const char *why = elf_open(k, &elf) ?: elf_load(l, &elf);
	*entry = why ? 0 : elf_entry(&elf);
	return why ?: *entry >= 4 * GIB ? "kernel's entry point is beyond 4 GiB" : NULL;
}

static void tell_memory(struct loading *l, struct multiboot_info *info)
{
	struct e820_entry e[E820_MAX];
	struct multiboot_mmap map[E820_MAX];
	u32 nr = guest_e820(l->mem, e);
	for (u32 i = 0; i < nr; i++) {
		map[i].size = E820_LEN;
		memcpy(map[i].entry, &e[i], E820_LEN);
	}
	info->mem_lower = LOW_END / KIB;
	info->mem_upper = l->top > MIB ? (u32)((l->top - MIB) / KIB) : 0;
	info->mmap_length = (u32)(nr * sizeof(map[0]));
	info->mmap_addr = (u32)load_low(l, map, info->mmap_length, 8);
}

static const char *tell_modules(struct loading *l, struct multiboot_info *info)
{
	struct loaded_module m[CONFIG_MAX_MODULES];
	struct multiboot_module mods[CONFIG_MAX_MODULES];
	const char *why = load_modules(l, m);
	for (u32 i = 0; i < l->in->nr_modules && !why; i++) {
		u32 start = (u32)m[i].addr, end = (u32)(start + m[i].len);
		mods[i] = (struct multiboot_module){ start, end, (u32)m[i].string, 0 };
	}
	info->mods_count = l->in->nr_modules;
	info->mods_addr = why ? 0 : (u32)load_low(l, mods, info->mods_count * sizeof(mods[0]), 8);
	return why;
}

const char *load_multiboot(struct loading *l)
{
	struct multiboot_info info = { .flags = INFO_GIVEN };
	const struct partition_config *cfg = l->in->cfg;
	char cmdline[CONFIG_FILE_MAX + 1 + CONFIG_CMDLINE_MAX + 1];
	u64 entry = 0;
	const char *why = load_kernel(l, &entry) ?: tell_modules(l, &info);
	if (why) {
		return why;
	}
	tell_memory(l, &info);
	format(cmdline, sizeof(cmdline), "%s%s%s", cfg->kernel, cfg->cmdline[0] ? " " : "",
	       cfg->cmdline);
	info.cmdline = (u32)load_string(l, cmdline);
	info.loader_name = (u32)load_string(l, "bulkhead");
	l->out->gpr[GPR_RAX] = BOOT_MAGIC;
	l->out->gpr[GPR_RBX] = load_low(l, &info, sizeof(info), 8);
	return load_enter_protected(l, entry);
}
