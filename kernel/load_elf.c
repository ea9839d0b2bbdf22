// SPDX-License-Identifier: BSD-2-Clause
/*
 * ELF files of x86, 32- and 64-bit: their program headers, and the segments into guest memory.
 * Knows no boot protocol. Called by the loaders of multiboot and PVH.
 * System V ABI, "Object Files": "ELF Header", "Program Header".
 */
#include "load.h"

#define ELF_MAGIC  0x464c457f
#define EM_386	   3
#define EM_X86_64  62
#define DATA_LSB   1

/* Where the fields are, for either class; @word is the size of an address */
static const struct elf_layout {
	u32 word, entry, phoff, phentsize, phnum;
	u32 ph_size, ph_offset, ph_vaddr, ph_paddr, ph_filesz, ph_memsz;
} layouts[] = {
	{ 4, 24, 28, 42, 44, 32, 4, 8, 12, 16, 20 },
	{ 8, 24, 32, 54, 56, 56, 8, 16, 24, 32, 40 },
};

const char *elf_open(const struct blob *file, struct elf *out)
{
	u64 class = blob_get(file, 4, 1), machine = blob_get(file, 18, 2);
	if (blob_get(file, 0, 4) != ELF_MAGIC || class < 1 || class > 2) {
		return "kernel is not an ELF file";
	}
	if (blob_get(file, 5, 1) != DATA_LSB || (machine != EM_386 && machine != EM_X86_64)) {
		return "kernel is an ELF file for another CPU";
	}
	const struct elf_layout *y = &layouts[class - 1];
	*out = (struct elf){ file, class == 2, blob_get(file, y->entry, y->word),
			     blob_get(file, y->phoff, y->word), (u32)blob_get(file, y->phnum, 2) };
	if (!out->phnum || blob_get(file, y->phentsize, 2) != y->ph_size) {
		return "kernel has no program headers";
	}
	if (!blob_holds(file, out->phoff, (u64)out->phnum * y->ph_size)) {
		return "kernel truncated";
	}
	return NULL;
}

struct elf_segment elf_segment_get(const struct elf *e, u32 i)
{
	const struct elf_layout *y = &layouts[e->is_64];
	u64 at = e->phoff + (u64)i * y->ph_size;
	return (struct elf_segment){
		.type = (u32)blob_get(e->file, at, 4),
		.offset = blob_get(e->file, at + y->ph_offset, y->word),
		.vaddr = blob_get(e->file, at + y->ph_vaddr, y->word),
		.paddr = blob_get(e->file, at + y->ph_paddr, y->word),
		.filesz = blob_get(e->file, at + y->ph_filesz, y->word),
		.memsz = blob_get(e->file, at + y->ph_memsz, y->word),
	};
}

const char *elf_load(struct loading *l, const struct elf *e)
{
	const char *why = NULL;
	for (u32 i = 0; i < e->phnum && !why; i++) {
		struct elf_segment s = elf_segment_get(e, i);
		if (s.type == PT_LOAD && s.memsz) {
			why = load_image(l, s.paddr, s.offset, s.filesz, s.memsz);
		}
	}
	return why ?: l->image_end ? NULL : "kernel has nothing to load";
}

/* Kernels linked high give a virtual entry point: it moves as its segment does. */
u64 elf_entry(const struct elf *e)
{
	for (u32 i = 0; i < e->phnum; i++) {
		struct elf_segment s = elf_segment_get(e, i);
		if (s.type == PT_LOAD && e->entry - s.vaddr < s.memsz) {
			return e->entry - s.vaddr + s.paddr;
		}
	}
	return e->entry;
}
