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

static_assert(sizeof(struct loaded_module) == 32, "struct hvm_modlist_entry as it is");
static_assert(sizeof(struct e820_entry) == 24, "struct hvm_memmap_table_entry as it is");

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

static const char *find_entry(const struct elf *e, u64 *entry)
{
	for (u32 i = 0; i < e->phnum; i++) {
		struct elf_segment s = elf_segment_get(e, i);
		if (s.type == PT_NOTE && blob_holds(e->file, s.offset, s.filesz)) {
			struct blob notes = { (const u8 *)e->file->data + s.offset, s.filesz };
			if (find_in_notes(&notes, entry)) {
				return NULL;
			}
		}
	}
	return "kernel has no PVH entry note";
}

const char *load_pvh(struct loading *l)
{
	struct start_info info = { START_INFO_MAGIC, .version = 1, .rsdp = l->in->rsdp.v };
	struct loaded_module mods[CONFIG_MAX_MODULES];
	struct e820_entry map[E820_MAX];
	struct elf elf;
	u64 entry;
	const char *why = elf_open(&l->in->kernel, &elf) ?: find_entry(&elf, &entry) ?:
			  elf_load(l, &elf) ?: load_modules(l, mods);
	if (why) {
		return why;
	}
	info.nr_modules = l->in->nr_modules;
	if (info.nr_modules) {
		info.modlist = load_low(l, mods, info.nr_modules * sizeof(mods[0]), 8);
	}
	info.memmap_entries = guest_e820(l->mem, map);
	info.memmap = load_low(l, map, info.memmap_entries * sizeof(map[0]), 8);
	info.cmdline = load_string(l, l->in->cfg->cmdline);
	l->out->gpr[GPR_RBX] = load_low(l, &info, sizeof(info), 8);
	return load_enter_protected(l, entry);
}
