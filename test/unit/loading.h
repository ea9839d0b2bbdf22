/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bench for boot protocols: synthetic images, ELF files among them. The guest's memory is 8 MiB in two
 * extents whose host order is reversed, filled with 0xcc; what a loader left there is read back by the
 * protocols' own offsets. Include after string.h and cmocka.h; what a test does not use is no error.
 */
#ifndef BULKHEAD_TEST_LOADING_H
#define BULKHEAD_TEST_LOADING_H

#include <stdlib.h>

#include "kernel/loader.h"

#define RAM   (8 * MIB)
#define SPLIT (3 * MIB - 4096)
#define FILL  0xcc

static u8 *ram, *image;
static u64 image_len;
static struct gmem mem;
static struct partition_config cfg;
static struct load_input in;
static struct guest_entry out;

static maybe_unused int setup(void **state)
{
	(void)state;
	ram = malloc(RAM);
	memset(ram, FILL, RAM);
	image = calloc(1, 0x10000);
	image_len = 0x10000;
	mem = (struct gmem){ { { GPA(0), HPA((uintptr_t)ram + RAM - SPLIT), SPLIT },
			       { GPA(SPLIT), HPA((uintptr_t)ram), RAM - SPLIT } }, 2 };
	cfg = (struct partition_config){ .name = "t", .kernel = "k.elf", .cmdline = "a=1 b" };
	in = (struct load_input){ .cfg = &cfg, .rsdp = GPA(GUEST_ACPI_BASE) };
	return 0;
}

static maybe_unused int teardown(void **state)
{
	(void)state;
	free(ram);
	free(image);
	return 0;
}

static maybe_unused u64 peek(u64 at, u32 width)
{
	u64 v = 0;
	assert_true(gmem_read(&mem, GPA(at), &v, width));
	return v;
}

static maybe_unused const char *string_at(u64 at)
{
	static char text[256];
	assert_in_range(at, 0x1000, 0x9fbff);
	assert_true(gmem_read(&mem, GPA(at), text, sizeof(text)));
	assert_non_null(memchr(text, 0, sizeof(text)));
	return text;
}

static maybe_unused void check_fill(u64 at, u64 len, u8 byte)
{
	for (u64 i = 0; i < len; i++) {
		assert_int_equal(peek(at + i, 1), byte);
	}
}

static maybe_unused void check_bytes(u64 at, const void *data, u64 len)
{
	for (u64 i = 0; i < len; i++) {
		assert_int_equal(peek(at + i, 1), ((const u8 *)data)[i]);
	}
}

static maybe_unused void put(u64 at, u64 value, u32 width)
{
	memcpy(image + at, &value, width);
}

static maybe_unused void pattern(u64 at, u64 len)
{
	for (u64 i = 0; i < len; i++) {
		image[at + i] = (u8)(i * 7 + at / 256);
	}
}

static maybe_unused const char *load(void)
{
	/* exactly as long as the file says, so that ASan sees the first byte too many */
	u8 *exact = malloc(image_len ? image_len : 1);
	memcpy(exact, image, image_len);
	in.kernel = (struct blob){ exact, image_len };
	const char *why = load_guest(&in, &mem, &out);
	free(exact);
	return why;
}

/* SDM 3A 3.4.5: type and S of a present flat descriptor, and the mode bits */
static maybe_unused void check_gdt(u16 cs, bool is_long)
{
	u64 gdt = out.gdt.v;
	assert_in_range(gdt, 0x1000, 0x9fc00 - out.gdt_limit - 1);
	assert_int_equal(out.cs, cs);
	assert_int_equal(out.ds, cs + 8);
	assert_true(out.ds + 7 <= out.gdt_limit);
	assert_int_equal(peek(gdt, 8), 0);
	assert_int_equal(peek(gdt + cs + 5, 1), 0x9b);
	assert_int_equal(peek(gdt + cs + 6, 1), is_long ? 0xaf : 0xcf);
	assert_int_equal(peek(gdt + cs + 8 + 5, 1), 0x93);
	assert_int_equal(peek(gdt + cs + 8 + 6, 1), 0xcf);
	for (u16 sel = cs; sel <= cs + 8; sel = (u16)(sel + 8)) {
		assert_int_equal(peek(gdt + sel, 2), 0xffff);
		assert_int_equal(peek(gdt + sel + 2, 3), 0);
		assert_int_equal(peek(gdt + sel + 7, 1), 0);
	}
}

/* SDM 3A 4.5: walk it as the CPU would */
static maybe_unused u64 translate(u64 va)
{
	u64 table = out.cr3;
	for (int shift = 39; shift >= 21; shift -= 9) {
		u64 entry = peek((table & ~0xfffull) + 8 * (va >> shift & 511), 8);
		assert_int_equal(entry & 3, 3);
		if (entry & 0x80) {
			assert_int_equal(shift, 21);
			return (entry & ~0x1fffffull) + (va & 0x1fffff);
		}
		table = entry;
	}
	fail();
	return 0;
}

static maybe_unused void check_long(void)
{
	static const u64 at[] = { 0, 0x1fffff, 0x200000, 0x3fffffff, 0x40000000, 0xfee00000, 0xffffffff };
	assert_int_equal(out.mode, ENTRY_LONG);
	assert_in_range(out.cr3, 0x1000, 0x9fc00 - 6 * 4096);
	check_gdt(0x10, true);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		assert_int_equal(translate(at[i]), at[i]);
	}
}

/* Page 0 is untouched but for what kernels look for in a PC's BIOS data area */
static maybe_unused void check_bios_data(void)
{
	check_fill(0, 0x400, FILL);
	assert_int_equal(peek(0x400, 2), 0x3f8);
	check_fill(0x402, 0xc, FILL);
	assert_int_equal(peek(0x40e, 2) * 16, 0x9fc00);
	assert_int_equal(peek(0x410, 2), 0x0202);
	assert_int_equal(peek(0x413, 2) * 1024, 0x9fc00);
	check_fill(0x415, 0x1000 - 0x415, FILL);
	assert_int_equal(peek(0x9fc00, 2), 1);
}

struct part {
	u32 type;
	u64 off, vaddr, paddr, filesz, memsz;
};

static maybe_unused void make_elf(bool is_64, u64 entry, const struct part *s, u32 nr)
{
	memset(image, 0, 0x400);
	memcpy(image, "\x7f" "ELF", 4);
	put(4, is_64 ? 2 : 1, 1);
	put(5, 1, 1);
	put(18, is_64 ? 62 : 3, 2);
	put(24, entry, is_64 ? 8 : 4);
	put(is_64 ? 32 : 28, 0x40, 4);
	put(is_64 ? 54 : 42, is_64 ? 56 : 32, 2);
	put(is_64 ? 56 : 44, nr, 2);
	for (u32 i = 0; i < nr; i++, s++) {
		u64 at = 0x40 + i * (is_64 ? 56 : 32);
		u32 w = is_64 ? 8 : 4;
		u64 f = at + w; /* the fields behind type (and flags, in 64-bit files) */
		put(at, s->type, 4);
		put(f, s->off, w);
		put(f + w, s->vaddr, w);
		put(f + 2 * w, s->paddr, w);
		put(f + 3 * w, s->filesz, w);
		put(f + 4 * w, s->memsz, w);
	}
	pattern(0x1000, 0x3000);
	image_len = 0x4000;
}

static maybe_unused void put_header(u64 at, u32 flags)
{
	put(at, 0x1badb002, 4);
	put(at + 4, flags, 4);
	put(at + 8, 0u - (0x1badb002u + flags), 4);
}

static const struct part one[] = { { 1, 0x1000, 0x200000, 0x200000, 0x2000, 0x3000 } };

static maybe_unused void make_multiboot(void)
{
	cfg.boot = BOOT_MULTIBOOT;
	make_elf(false, 0x200010, one, 1);
	put_header(0x1004, 3);
}

static maybe_unused void add_module(const char *string, const void *data, u64 len)
{
	in.modules[in.nr_modules++] = (struct load_module){ { data, len }, string };
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
