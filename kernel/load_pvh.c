// SPDX-License-Identifier: BSD-2-Clause
/*
 * PVH: an ELF kernel whose Xen note names a 32-bit entry point, and hvm_start_info version 1.
 * Layout: Xen's public/arch-x86/hvm/start_info.h and docs/misc/pvh.pandoc. Called by load_guest().
 */
#include "load.h"

#define NOTE_PHYS32_ENTRY 18
#define START_INFO_MAGIC  0x336ec578

struct start_info {
	u32 magic, version, flags, nr_modules;
	u64 modlist, cmdline, rsdp, memmap;
	u32 memmap_entries, reserved;
};
static_assert(sizeof(struct start_info) == 56, "start_info.h, version 1");

struct start_module {
	u64 addr, len, cmdline, reserved;
};

struct start_memmap {
	u64 addr, len;
	u32 type, reserved;
};
static_assert(sizeof(struct start_memmap) == 24, "start_info.h");

/* Notes: sizes of name and description, type; both padded to 4 bytes. Steps are 12 or more. */
static bool find_in_notes(const struct blob *notes, u64 *entry)
{
	u64 at = 0;
	while (blob_holds(notes, at, 12)) {
		u64 name_len = blob_get(notes, at, 4), desc_len = blob_get(notes, at + 4, 4);
		u64 name = at + 12, desc = name + ALIGN_UP(name_len, 4);
		if (blob_get(notes, at + 8, 4) == NOTE_PHYS32_ENTRY && name_len == 4 &&
		    blob_get(notes, name, 4) == 0x6e6558 /* "Xen" */ && desc_len >= 4 &&
		    blob_holds(notes, desc, desc_len)) {
			*entry = blob_get(notes, desc, 4);
			return true;
		}
		at = desc + ALIGN_UP(desc_len, 4);
	}
	return false;
}

static bool find_entry(const struct elf *e, u64 *entry)
{
	for (u32 i = 0; i < e->phnum; i++) {
		struct elf_segment s = elf_segment_get(e, i);
		if (s.type == PT_NOTE && blob_holds(e->file, s.offset, s.filesz)) {
			struct blob notes = { (const u8 *)e->file->data + s.offset, s.filesz };
			if (find_in_notes(&notes, entry)) {
				return true;
			}
		}
	}
	return false;
}

static void tell_memory(struct loading *l, struct start_info *info)
{
	struct e820_entry e[E820_MAX];
	struct start_memmap map[E820_MAX];
	info->memmap_entries = guest_e820(l->mem, e);
	for (u32 i = 0; i < info->memmap_entries; i++) {
		map[i] = (struct start_memmap){ e[i].base, e[i].len, e[i].type, 0 };
	}
	info->memmap = load_low(l, map, info->memmap_entries * sizeof(map[0]), 8);
}

static const char *tell_modules(struct loading *l, struct start_info *info)
{
	u64 addr[CONFIG_MAX_MODULES];
	struct start_module mods[CONFIG_MAX_MODULES] = { 0 };
	const char *why = load_modules(l, addr);
	for (u32 i = 0; i < l->in->nr_modules && !why; i++) {
		mods[i].addr = addr[i];
		mods[i].len = l->in->modules[i].file.len;
		mods[i].cmdline = load_string(l, l->in->modules[i].string);
	}
	info->nr_modules = l->in->nr_modules;
	if (info->nr_modules) {
		info->modlist = load_low(l, mods, info->nr_modules * sizeof(mods[0]), 8);
	}
	return why;
}

const char *load_pvh(struct loading *l)
{
	struct start_info info = { START_INFO_MAGIC, .version = 1, .rsdp = l->in->rsdp.v };
	struct elf elf;
	u64 entry = 0;
	const char *why = elf_open(&l->in->kernel, &elf);
	if (!why && !find_entry(&elf, &entry)) {
		why = "kernel has no PVH entry note";
	}
	if (!why) {
		why = elf_load(l, &elf);
	}
	if (!why) {
		why = tell_modules(l, &info);
	}
	if (why) {
		return why;
	}
	tell_memory(l, &info);
	info.cmdline = load_string(l, l->in->cfg->cmdline);
	l->out->gpr[GPR_RBX] = load_low(l, &info, sizeof(info), 8);
	return load_enter_protected(l, entry);
}
