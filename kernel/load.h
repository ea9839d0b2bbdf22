/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the boot protocols share, and nobody else sees: a ledger of the guest memory already used,
 * and the parts that several build (modules, tables of descriptors and pages, ELF segments).
 */
#ifndef BULKHEAD_LOAD_H
#define BULKHEAD_LOAD_H

#include "lib/lib.h"
#include "loader.h"

#define LOW_START 0x1000  /* page 0 stays the guest's: real-mode vectors, BIOS data */
#define LOW_END	  0x9fc00 /* where a PC's extended BIOS data begins */
#define HOLE_BASE (3 * GIB)

#define LOAD_MAX_TAKEN 96

/**
 * struct loading - one load_guest()
 * @top:       RAM is all of [0, top), and ends below the hole for devices
 * @image_end: end of the highest part of the image
 * @taken:     what is in use
 * @is_low_full: load_low() found no room once
 */
struct loading {
	const struct load_input *in;
	const struct gmem *mem;
	struct guest_entry *out;
	u64 top, image_end;
	struct {
		u64 start, end;
	} taken[LOAD_MAX_TAKEN];
	u32 nr_taken;
	bool is_low_full;
};

/** blob_holds() - are @len bytes at @off within @b? */
static inline bool blob_holds(const struct blob *b, u64 off, u64 len)
{
	return off <= b->len && len <= b->len - off;
}

/** blob_get() - the little-endian number of @width (1 to 8) bytes at @off; 0 beyond the end. */
static inline u64 blob_get(const struct blob *b, u64 off, u32 width)
{
	u64 value = 0;
	if (blob_holds(b, off, width)) {
		memcpy(&value, (const u8 *)b->data + off, width);
	}
	return value;
}

/** load_claim() - take [@start, @start + @len). Return: false if it is not all free RAM. */
bool must_check load_claim(struct loading *l, u64 start, u64 len);

/** load_place() - take the lowest free @len bytes in [@lo, @hi), aligned. Return: where, or 0. */
u64 load_place(struct loading *l, u64 len, u64 align, u64 lo, u64 hi);

/** load_poke() - write the low @width bytes of @value to memory that was claimed. */
void load_poke(struct loading *l, u64 addr, u64 value, u32 width);

/** load_bytes() - write to memory that was claimed; what is large only by and by, so do not read it back. */
void load_bytes(struct loading *l, u64 addr, const void *data, u64 len);

/** load_low() - a copy of @len bytes (zeroes if @data is NULL) below 640 KiB. Return: where;
 * 0 and @l->is_low_full if there is no room. */
u64 load_low(struct loading *l, const void *data, u64 len, u64 align);

/** load_string() - the same for a string with its NUL. */
u64 load_string(struct loading *l, const char *s);

/** load_image() - @filesz bytes of the kernel at @off go to @addr, zeroes up to @memsz.
 * Return: NULL or why not. */
const char *load_image(struct loading *l, u64 addr, u64 off, u64 filesz, u64 memsz);

/* Where a module and its string are */
struct loaded_module {
	u64 addr, len, string, reserved;
};

/** load_modules() - all modules into free pages above image and 1 MiB. Return: NULL or why not. */
const char *load_modules(struct loading *l, struct loaded_module out[CONFIG_MAX_MODULES]);

/** load_enter_protected(), load_enter_long() - the entry state, with a GDT (and page tables that
 * map the first 4 GiB one to one) in low memory. Return: NULL or why not. */
const char *load_enter_protected(struct loading *l, u64 rip);
const char *load_enter_long(struct loading *l, u64 rip);

/* An ELF file, 32- or 64-bit, whose program headers are known to be within it */
struct elf {
	const struct blob *file;
	bool is_64;
	u64 entry, phoff;
	u32 phnum;
};

struct elf_segment {
	u32 type;
	u64 offset, vaddr, paddr, filesz, memsz;
};
#define PT_LOAD 1
#define PT_NOTE 4

/** elf_open() - Return: NULL or why @file is not a loadable x86 ELF file. */
const char *elf_open(const struct blob *file, struct elf *out);

/** elf_segment_get() - program header @i (below phnum) */
struct elf_segment elf_segment_get(const struct elf *e, u32 i);

/** elf_load() - all PT_LOAD segments to their physical addresses. Return: NULL or why not. */
const char *elf_load(struct loading *l, const struct elf *e);

/** elf_entry() - the entry point, as a physical address. */
u64 elf_entry(const struct elf *e);

const char *load_linux(struct loading *l);
const char *load_multiboot(struct loading *l);
const char *load_pvh(struct loading *l);
const char *load_flat(struct loading *l);

#endif
