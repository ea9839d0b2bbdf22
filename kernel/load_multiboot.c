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
	u32 flags;
	u32 mem_lower, mem_upper;
	u32 boot_device;
	u32 cmdline;
	u32 mods_count, mods_addr;
	u32 syms[4];
	u32 mmap_length, mmap_addr;
	u32 drives[2];
	u32 config_table;
	u32 loader_name;
	u32 apm_table;
	u32 vbe[4];
};
static_assert(sizeof(struct multiboot_info) == 88, "Multiboot 0.6.96 3.3");
static_assert(offsetof(struct multiboot_info, loader_name) == 64, "Multiboot 0.6.96 3.3");

#define INFO_MEMORY	 BIT(0)
#define INFO_CMDLINE	 BIT(2)
#define INFO_MODS	 BIT(3)
#define INFO_MMAP	 BIT(6)
#define INFO_LOADER_NAME BIT(9)

struct multiboot_module {
	u32 start, end, string, reserved;
};

struct multiboot_mmap {
	u32 size; /* of what follows */
	u64 base, len;
	u32 type;
} __attribute__((packed));
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
	const char *why = elf_open(k, &elf);
	if (!why) {
		why = elf_load(l, &elf);
		*entry = elf_entry(&elf);
	}
	return why ? why : *entry >= 4 * GIB ? "kernel's entry point is beyond 4 GiB" : NULL;
}

static void tell_memory(struct loading *l, struct multiboot_info *info)
{
	struct e820_entry e[E820_MAX];
	struct multiboot_mmap map[E820_MAX];
	u32 nr = guest_e820(l->mem, e);
	for (u32 i = 0; i < nr; i++) {
		map[i] = (struct multiboot_mmap){ 20, e[i].base, e[i].len, e[i].type };
	}
	info->mem_lower = LOW_END / KIB;
	info->mem_upper = l->top > MIB ? (u32)((l->top - MIB) / KIB) : 0;
	info->mmap_length = (u32)(nr * sizeof(map[0]));
	info->mmap_addr = (u32)load_low(l, map, info->mmap_length, 8);
}

static const char *tell_modules(struct loading *l, struct multiboot_info *info)
{
	u64 addr[CONFIG_MAX_MODULES];
	struct multiboot_module mods[CONFIG_MAX_MODULES] = { 0 };
	const char *why = load_modules(l, addr);
	for (u32 i = 0; i < l->in->nr_modules && !why; i++) {
		mods[i].start = (u32)addr[i];
		mods[i].end = (u32)(addr[i] + l->in->modules[i].file.len);
		mods[i].string = (u32)load_string(l, l->in->modules[i].string);
	}
	info->mods_count = l->in->nr_modules;
	info->mods_addr = (u32)load_low(l, mods, MAX(1, l->in->nr_modules) * sizeof(mods[0]), 8);
	return why;
}

/* The kernel's file name, and what its author added */
static u64 tell_cmdline(struct loading *l)
{
	const char *name = l->in->cfg->kernel, *args = l->in->cfg->cmdline;
	u64 len = strlen(name), at = load_low(l, NULL, len + strlen(args) + 2, 1);
	if (at) {
		load_bytes(l, at, name, len);
		if (args[0]) {
			load_bytes(l, at + len, " ", 1);
			load_bytes(l, at + len + 1, args, strlen(args));
		}
	}
	return at;
}

const char *load_multiboot(struct loading *l)
{
	struct multiboot_info info = {
		.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODS | INFO_MMAP | INFO_LOADER_NAME,
	};
	u64 entry = 0;
	const char *why = load_kernel(l, &entry);
	if (!why) {
		why = tell_modules(l, &info);
	}
	if (why) {
		return why;
	}
	tell_memory(l, &info);
	info.cmdline = (u32)tell_cmdline(l);
	info.loader_name = (u32)load_string(l, "bulkhead");
	l->out->gpr[GPR_RAX] = BOOT_MAGIC;
	l->out->gpr[GPR_RBX] = load_low(l, &info, sizeof(info), 8);
	return load_enter_protected(l, entry);
}
