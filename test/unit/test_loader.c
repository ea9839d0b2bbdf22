// SPDX-License-Identifier: BSD-2-Clause
/* Loading a guest: its memory map, what is wrong with ELF files, flat images. Protocols: test_loader_protocols.c. */
#include "kernel/loader.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "loading.h"

/* ---- memory map ---- */

static void check_map(u64 low, u64 high, const struct e820_entry *want, u32 nr)
{
	struct e820_entry e[E820_MAX];
	struct gmem m = { { { GPA(0), HPA(0), low / 2 }, { GPA(low / 2), HPA(0), low - low / 2 } }, 2 };
	if (high) {
		m.ext[m.nr++] = (struct mem_extent){ GPA(4 * GIB), HPA(0), high / 4 };
		m.ext[m.nr++] = (struct mem_extent){ GPA(4 * GIB + high / 4), HPA(0), high - high / 4 };
	}
	assert_int_equal(guest_e820(&m, e), nr);
	for (u32 i = 0; i < nr; i++) {
		assert_int_equal(e[i].base, want[i].base);
		assert_int_equal(e[i].len, want[i].len);
		assert_int_equal(e[i].type, want[i].type);
	}
}

static void test_e820(void **state)
{
	struct e820_entry small[] = { { 0, 0x9fc00, 1 }, { 0x9fc00, 0x60400, 2 },
				      { 0xe0000000, MIB, 2 }, { 0xfec00000, 4096, 2 },
				      { 0xfee00000, 4096, 2 } };
	struct e820_entry big[] = { { 0, 0x9fc00, 1 }, { 0x9fc00, 0x60400, 2 }, { MIB, 3 * GIB - MIB, 1 },
				    { 0xe0000000, MIB, 2 }, { 0xfec00000, 4096, 2 },
				    { 0xfee00000, 4096, 2 }, { 4 * GIB, 5 * GIB, 1 } };
	(void)state;
	check_map(MIB, 0, small, 5);
	check_map(3 * GIB, 5 * GIB, big, 7);
}

/* ---- ELF ---- */

static void test_elf_faults(void **state)
{
	static const char where[] = "kernel's parts overlap or lie outside the partition's memory";
	static const struct {
		u64 at, value;
		u32 width;
		const char *why;
	} rows[] = {
		{ 0, 0, 4, "kernel is not an ELF file" },
		{ 4, 0, 1, "kernel is not an ELF file" },
		{ 4, 3, 1, "kernel is not an ELF file" },
		{ 5, 2, 1, "kernel is an ELF file for another CPU" },
		{ 18, 40, 2, "kernel is an ELF file for another CPU" },
		{ 42, 56, 2, "kernel has no program headers" },
		{ 44, 0, 2, "kernel has no program headers" },
		{ 28, 0x3fe1, 4, "kernel truncated" },
		{ 28, 0xffffffff, 4, "kernel truncated" },
		{ 44, 0xffff, 2, "kernel truncated" },
		{ 0x40, 2, 4, "kernel has nothing to load" },
		{ 0x44, 0x2001, 4, "kernel truncated" },
		{ 0x44, 0xfffff000, 4, "kernel truncated" },
		{ 0x50, 0x3001, 4, "kernel truncated" },
		{ 0x54, 0x1fff, 4, "kernel has a part larger in the file than in memory" },
		{ 0x4c, 0x7fe000, 4, where },
		{ 0x4c, 0xfffff000, 4, where },
		{ 0x4c, 0xde000, 4, where }, /* over the ACPI tables */
		{ 0x54, 0xffffffff, 4, where },
	};
	struct part many[2] = { one[0], one[0] };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make_multiboot();
		put(rows[i].at, rows[i].value, rows[i].width);
		assert_string_equal(load(), rows[i].why);
	}
	many[1].paddr += 0x2fff;
	make_elf(false, 0, many, 2);
	put_header(0x1004, 0);
	assert_string_equal(load(), where);
	many[1].paddr++;
	make_elf(false, 0, many, 2);
	put_header(0x1004, 0);
	assert_null(load());
}

/* ---- flat, and the door ---- */

static void make_flat(enum flat_mode mode, u64 at)
{
	cfg.boot = BOOT_FLAT;
	cfg.flat_mode = mode;
	cfg.load_address = at;
	pattern(0, 0x3000);
	image_len = 0x3000;
}

static void test_flat(void **state)
{
	(void)state;
	make_flat(FLAT_REAL, 0x7c05);
	assert_null(load());
	assert_int_equal(out.mode, ENTRY_REAL);
	assert_int_equal(out.cs, 0x7c0);
	assert_int_equal(out.rip, 5);
	assert_int_equal(out.ds, 0);
	check_bytes(0x7c05, image, 0x3000);
	make_flat(FLAT_REAL, 0); /* an image over the BIOS data area stays as it is */
	assert_null(load());
	check_bytes(0, image, 0x3000);
	make_flat(FLAT_REAL, 0xffff0);
	assert_null(load());
	assert_int_equal(out.cs, 0xffff);
	make_flat(FLAT_REAL, MIB);
	assert_string_equal(load(), "load-address is beyond real mode's first MiB");
	make_flat(FLAT_PROTECTED, 0x1000);
	assert_null(load());
	assert_int_equal(out.mode, ENTRY_PROTECTED);
	assert_int_equal(out.rip, 0x1000);
	check_gdt(0x10, false);
	check_bytes(0x1000, image, 0x3000);
	make_flat(FLAT_LONG, 0x2000);
	assert_null(load());
	assert_int_equal(out.rip, 0x2000);
	check_long();
	check_bytes(0x2000, image, 0x3000);
	make_flat((enum flat_mode)9, 0x2000);
	assert_string_equal(load(), "no such flat-mode");
	make_flat(FLAT_LONG, 0x7fd001);
	assert_string_equal(load(), "kernel's parts overlap or lie outside the partition's memory");
	make_flat(FLAT_LONG, 0xdd001);
	assert_string_equal(load(), "kernel's parts overlap or lie outside the partition's memory");
	in.rsdp = GPA(0); /* without ACPI tables that place is free */
	assert_null(load());
}

static void test_door(void **state)
{
	(void)state;
	cfg.boot = BOOT_NONE;
	assert_string_equal(load(), "no boot protocol");
	cfg.boot = (enum boot_protocol)17;
	assert_string_equal(load(), "no boot protocol");
	make_flat(FLAT_REAL, 0);
	mem.ext[0].len = 0xe8000;
	mem.nr = 1;
	assert_string_equal(load(), "no memory where the ACPI tables are");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_e820),
		TEST(test_elf_faults),
		TEST(test_flat),
		TEST(test_door),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
