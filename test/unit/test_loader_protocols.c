// SPDX-License-Identifier: BSD-2-Clause
/* Boot protocols: what a Linux, a multiboot and a PVH kernel finds at its entry, and what is wrong with one. */
#include "kernel/loader.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "loading.h"

/* ---- Linux: Documentation/x86/boot.rst ---- */

static void make_bzimage(void)
{
	cfg.boot = BOOT_LINUX;
	put(0x1f1, 1, 1);	   /* setup_sects */
	put(0x1f4, 0xf00, 4);	   /* syssize */
	put(0x1fe, 0xaa55, 2);
	put(0x200, 0x6aeb, 2);	   /* jump: the header ends at 0x26c */
	memcpy(image + 0x202, "HdrS", 4);
	put(0x206, 0x20f, 2);
	put(0x211, 1, 1);	   /* loadflags: high */
	put(0x218, 0xdead, 8);	   /* ramdisk fields of the file do not count */
	put(0x22c, 0x7fffffff, 4); /* initrd_addr_max */
	put(0x230, 0x200000, 4);
	put(0x234, 1, 1);
	put(0x236, 0x3f, 2);	   /* xloadflags */
	put(0x238, 2047, 4);	   /* cmdline_size */
	put(0x258, 0x2f0000, 8);   /* pref_address: the image spans both extents */
	put(0x260, 0x20000, 4);	   /* init_size */
	pattern(0x400, 0xf000);
	image_len = 0xf400;
}

static void test_linux(void **state)
{
	u8 initrd[5000];
	(void)state;
	make_bzimage();
	memset(initrd, 0x5a, sizeof(initrd));
	in.initrd = (struct blob){ initrd, sizeof(initrd) };
	assert_null(load());
	check_long();
	assert_int_equal(out.rip, 0x2f0200);
	check_bytes(0x2f0000, image + 0x400, 0xf000);
	check_fill(0x2ff000, 0x11000, FILL); /* cleared before, so left alone */
	check_bios_data();
	u64 zp = out.gpr[GPR_RSI];
	assert_in_range(zp, 0x1000, 0x9ec00);
	check_bytes(zp + 0x1f1, image + 0x1f1, 0x210 - 0x1f1);
	check_bytes(zp + 0x22c, image + 0x22c, 0x26c - 0x22c);
	check_fill(zp + 0x26c, 0x2d0 - 0x26c, 0); /* nothing of the file beyond its header */
	check_fill(zp, 0x40, 0);		  /* screen_info */
	assert_int_equal(peek(zp + 0x1ef, 1), 0); /* sentinel */
	assert_int_equal(peek(zp + 0x210, 1), 0xff);
	assert_int_equal(peek(zp + 0x211, 1), 1);
	assert_int_equal(peek(zp + 0x214, 4), 0x2f0000);
	assert_int_equal(peek(zp + 0x70, 8), GUEST_ACPI_BASE);
	assert_string_equal(string_at(peek(zp + 0x228, 4)), "a=1 b");
	assert_int_equal(peek(zp + 0x218, 4), 0x7fe000); /* the last two pages of RAM */
	assert_int_equal(peek(zp + 0x21c, 4), 5000);
	check_bytes(0x7fe000, initrd, sizeof(initrd));
	assert_int_equal(peek(zp + 0x1e8, 1), 6);
	assert_int_equal(peek(zp + 0x2d0 + 2 * 20, 8), MIB);
	assert_int_equal(peek(zp + 0x2d0 + 2 * 20 + 8, 8), 7 * MIB);
	assert_int_equal(peek(zp + 0x2d0 + 2 * 20 + 16, 4), 1);
	assert_int_equal(peek(zp + 0x2d0 + 1 * 20 + 16, 4), 2);
}

/* boot.rst, "32-bit boot protocol": entered at its first byte; EBP, EDI, EBX are 0 */
static void test_linux_32(void **state)
{
	(void)state;
	make_bzimage();
	put(0x236, 0x4, 2);
	assert_null(load());
	assert_int_equal(out.mode, ENTRY_PROTECTED);
	assert_int_equal(out.rip, 0x2f0000);
	check_gdt(0x10, false);
	assert_int_equal(out.gpr[GPR_RBP] | out.gpr[GPR_RDI] | out.gpr[GPR_RBX], 0);
	assert_int_equal(peek(out.gpr[GPR_RSI] + 0x202, 4), 0x53726448);
}

static void test_linux_initrd(void **state)
{
	static u8 initrd[5 * MIB];
	(void)state;
	make_bzimage();
	assert_null(load());
	assert_int_equal(peek(out.gpr[GPR_RSI] + 0x218, 8), 0); /* none given */
	put(0x22c, 0x6fffff, 4);
	in.initrd = (struct blob){ initrd, 1 };
	assert_null(load());
	assert_int_equal(peek(out.gpr[GPR_RSI] + 0x218, 4), 0x6ff000);
	in.initrd.len = sizeof(initrd); /* would meet the kernel */
	assert_string_equal(load(), "initrd does not fit into the partition's memory");
	in.initrd.len = 9 * MIB;	/* never read: refused before */
	assert_string_equal(load(), "initrd does not fit into the partition's memory");
	put(0x22c, 0xffff, 4);
	in.initrd.len = 1;
	assert_string_equal(load(), "initrd does not fit into the partition's memory");
}

static void test_linux_faults(void **state)
{
	static const char bz[] = "kernel is not a Linux bzImage",
			  where[] = "kernel's parts overlap or lie outside the partition's memory";
	static const struct {
		u64 at, value;
		u32 width;
		const char *why;
	} rows[] = {
		{ 0x1fe, 0, 2, bz },
		{ 0x202, 0, 4, bz },
		{ 0x206, 0x20b, 2, "kernel's boot protocol is older than 2.12" },
		{ 0x211, 0, 1, bz }, /* a zImage */
		{ 0x238, 4, 4, "cmdline is longer than the kernel takes" },
		{ 0x1f1, 0x79, 1, "kernel truncated" },
		{ 0x1f4, 0xf01, 4, "kernel truncated" },
		{ 0x1f4, 0xffffffff, 4, "kernel truncated" },
		{ 0x258, 8 * MIB, 8, where },
		{ 0x258, 0xfffffffffffff000, 8, where },
		{ 0x258, 0xd8000, 8, where }, /* over the ACPI tables */
		{ 0x260, 0xffffffff, 4, where },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make_bzimage();
		put(rows[i].at, rows[i].value, rows[i].width);
		assert_string_equal(load(), rows[i].why);
	}
	make_bzimage();
	image_len = 0x28f;
	assert_string_equal(load(), bz);
	make_bzimage();
	image_len -= 15; /* the size is in paragraphs */
	assert_null(load());
	image_len--;
	assert_string_equal(load(), "kernel truncated");
	make_bzimage();
	put(0x1f1, 0, 1); /* 0 sectors mean 4 */
	put(0x1f4, 0xea0, 4);
	assert_null(load());
	check_bytes(0x2f0000, image + 5 * 512, 0x100);
}

/* ---- multiboot ---- */

static const struct part high[] = { { 4, 0, 0, 0, 0, 0 },
				   { 1, 0x1000, 0xffffffff80200000, 0x200000, 0x2000, 0x3000 } };

static void check_multiboot(u64 rip)
{
	assert_int_equal(out.mode, ENTRY_PROTECTED);
	assert_int_equal(out.rip, rip);
	assert_int_equal(out.gpr[GPR_RAX], 0x2badb002);
	assert_in_range(out.gpr[GPR_RBX], 0x1000, 0x9fc00 - 88);
	check_gdt(0x10, false);
}

static void test_multiboot(void **state)
{
	(void)state;
	make_multiboot();
	add_module("m1 x y", "first", 5);
	add_module("m2", "second", 6);
	assert_null(load());
	check_multiboot(0x200010);
	check_bytes(0x200000, image + 0x1000, 0x2000);
	check_fill(0x202000, 0x1000, FILL); /* cleared before, so left alone */
	check_fill(0x203005, 0xffb, FILL); /* between the modules */
	check_bios_data();
	u64 info = out.gpr[GPR_RBX];
	assert_int_equal(peek(info, 4), 0x24d); /* bits 0, 2, 3, 6, 9 */
	assert_int_equal(peek(info + 4, 4), 639);
	assert_int_equal(peek(info + 8, 4), 7 * 1024);
	assert_string_equal(string_at(peek(info + 16, 4)), "k.elf a=1 b");
	assert_string_equal(string_at(peek(info + 64, 4)), "bulkhead");
	assert_int_equal(peek(info + 20, 4), 2);
	u64 mods = peek(info + 24, 4);
	assert_in_range(mods, 0x1000, 0x9fbe0);
	assert_int_equal(peek(mods, 4), 0x203000); /* first page behind the image */
	assert_int_equal(peek(mods + 4, 4), 0x203005);
	assert_string_equal(string_at(peek(mods + 8, 4)), "m1 x y");
	assert_int_equal(peek(mods + 16, 4), 0x204000);
	assert_int_equal(peek(mods + 20, 4), 0x204006);
	assert_string_equal(string_at(peek(mods + 24, 4)), "m2");
	check_bytes(0x203000, "first", 5);
	check_bytes(0x204000, "second", 6);
	u64 mmap = peek(info + 48, 4);
	assert_int_equal(peek(info + 44, 4), 6 * 24);
	assert_in_range(mmap, 0x1000, 0x9fc00 - 6 * 24);
	assert_int_equal(peek(mmap, 4), 20);
	assert_int_equal(peek(mmap + 4, 8), 0);
	assert_int_equal(peek(mmap + 12, 8), 0x9fc00);
	assert_int_equal(peek(mmap + 20, 4), 1);
	assert_int_equal(peek(mmap + 2 * 24 + 4, 8), MIB);
	assert_int_equal(peek(mmap + 2 * 24 + 12, 8), 7 * MIB);
}

static void test_multiboot_bare(void **state)
{
	(void)state;
	make_multiboot();
	cfg.cmdline = "";
	assert_null(load());
	u64 info = out.gpr[GPR_RBX];
	assert_string_equal(string_at(peek(info + 16, 4)), "k.elf");
	assert_int_equal(peek(info + 20, 4), 0);
	assert_in_range(peek(info + 24, 4), 0x1000, 0x9fbf0);
}

/* An image of several parts in low memory: what it is told lies between them, never on them. */
static void test_multiboot_low_image(void **state)
{
	static const struct part low[] = { { 1, 0x1000, 0x1000, 0x1000, 0x1800, 0x8123 },
					  { 1, 0x1000, 0x9200, 0x9200, 0x100, 0x90000 },
					  { 1, 0x1000, 0x100000, 0x100000, 0x10, 0x10 } };
	(void)state;
	cfg.boot = BOOT_MULTIBOOT;
	make_elf(true, 0x1000, low, 3);
	put_header(0x1000, 0);
	add_module("m", "M", 1);
	assert_null(load());
	check_multiboot(0x1000);
	assert_int_equal(peek(peek(out.gpr[GPR_RBX] + 24, 4), 4), 0x101000);
	check_bytes(0x1000, image + 0x1000, 0x1800);
	check_fill(0x2800, 0x6923, FILL); /* cleared before, so left alone */
	check_bytes(0x9200, image + 0x1000, 0x100);
	check_fill(0x9300, 0x8ff00, FILL); /* cleared before, so left alone */
	check_fill(0x9fc02, 0x403fe, FILL);
	/* and with hardly anything left below 640 KiB */
	in.nr_modules = 0;
	put(0x40 + 56 + 40, 0x96a00, 8);
	assert_string_equal(load(), "no room below 640 KiB for what the guest is told");
}

static void test_multiboot_elf64(void **state)
{
	(void)state;
	cfg.boot = BOOT_MULTIBOOT;
	make_elf(true, 0xffffffff80200010, high, 2);
	put_header(0x1ff4, 0);
	assert_null(load());
	check_multiboot(0x200010); /* moved as its segment is */
	make_elf(true, 0x200123, high, 2);
	put_header(0x1ff4, 0);
	assert_null(load());
	check_multiboot(0x200123);
	make_elf(true, 0x100000000, high, 2);
	put_header(0x1ff4, 0);
	assert_string_equal(load(), "kernel's entry point is beyond 4 GiB");
}

static void make_kludge(u32 load_end, u32 bss_end)
{
	cfg.boot = BOOT_MULTIBOOT;
	memset(image, 0, 0x4000);
	pattern(0, 0x4000);
	put_header(0x20, 0x10003);
	put(0x2c, 0x300020 - 0x10, 4); /* header_addr: loading starts at file offset 0x10 */
	put(0x30, 0x300000 - 0x0, 4);
	put(0x34, load_end, 4);
	put(0x38, bss_end, 4);
	put(0x3c, 0x300444, 4);
	image_len = 0x4000;
}

static void test_multiboot_kludge(void **state)
{
	(void)state;
	make_kludge(0x301000, 0x302000);
	assert_null(load());
	check_multiboot(0x300444);
	check_bytes(0x300000, image + 0x10, 0x1000);
	check_fill(0x301000, 0x1000, FILL); /* cleared before, so left alone */
	check_fill(0x302000, 0x100, FILL);
	make_kludge(0, 0); /* all of the file, no bss */
	assert_null(load());
	check_bytes(0x300000, image + 0x10, 0x3ff0);
	check_fill(0x303ff0, 0x10, FILL);
	make_kludge(0x304000, 0);
	assert_string_equal(load(), "kernel truncated");
	make_kludge(0x2fffff, 0);
	assert_string_equal(load(), "kernel truncated");
	make_kludge(0x301000, 0x300fff);
	assert_string_equal(load(), "kernel has a part larger in the file than in memory");
	make_kludge(0, 0);
	put(0x2c, 0x2fffff, 4);
	assert_string_equal(load(), "kernel's multiboot header gives wrong addresses");
	make_kludge(0, 0);
	put(0x2c, 0x300021, 4);
	assert_string_equal(load(), "kernel's multiboot header gives wrong addresses");
	make_kludge(0, 0);
	image_len = 0x3f;
	assert_string_equal(load(), "kernel's multiboot header gives wrong addresses");
}

static void test_multiboot_faults(void **state)
{
	static const char none[] = "kernel has no multiboot header";
	(void)state;
	make_multiboot();
	put(0x1004, 0, 4);
	assert_string_equal(load(), none);
	make_multiboot();
	put(0x100c, 0, 4); /* checksum */
	assert_string_equal(load(), none);
	make_multiboot();
	put(0x1004, 0, 4);
	put_header(8190, 3); /* across the end of the search */
	assert_string_equal(load(), none);
	make_multiboot();
	image_len = 0x100f;
	assert_string_equal(load(), none);
	make_multiboot();
	put_header(0x1004, 0x8);
	assert_string_equal(load(), "kernel demands a multiboot feature that is not known");
	make_multiboot();
	put_header(0x1004, 0x4); /* a video mode is a wish */
	assert_null(load());
	make_multiboot();
	add_module("m", "M", 9 * MIB); /* never read: refused before */
	assert_string_equal(load(), "modules do not fit into the partition's memory");
}

/* ---- PVH ---- */

static const struct part pvh[] = { { 1, 0x1000, 0xc0200000, 0x200000, 0x2000, 0x3000 },
				  { 4, 0x3900, 0, 0, 0, 0 }, { 4, 0x3000, 0, 0, 0x60, 0x60 } };

static void make_pvh(bool is_64)
{
	cfg.boot = BOOT_PVH;
	make_elf(is_64, 0xc0200000, pvh, 3);
	memset(image + 0x3000, 0, 0x100);
	put(0x3000, 5, 4); /* another owner's note of the same type */
	put(0x3004, 6, 4);
	put(0x3008, 18, 4);
	memcpy(image + 0x300c, "XenX\0\0\0\1\2\3\4\5\6\0\0", 16);
	put(0x301c, 4, 4); /* Xen's, of another type */
	put(0x3020, 4, 4);
	put(0x3024, 6, 4);
	memcpy(image + 0x3028, "Xen\0guess", 8);
	put(0x3030, 4, 4);
	put(0x3034, is_64 ? 8 : 4, 4);
	put(0x3038, 18, 4);
	memcpy(image + 0x303c, "Xen", 4);
	put(0x3040, 0x201234, 8);
}

static void test_pvh(void **state)
{
	(void)state;
	for (int is_64 = 0; is_64 < 2; is_64++) {
		make_pvh(is_64);
		in.nr_modules = 0;
		add_module("ramdisk arg", "data", 4);
		assert_null(load());
		assert_int_equal(out.mode, ENTRY_PROTECTED);
		assert_int_equal(out.rip, 0x201234);
		assert_int_equal(out.gpr[GPR_RAX], 0);
		check_gdt(0x10, false);
		check_bytes(0x200000, image + 0x1000, 0x2000);
		u64 info = out.gpr[GPR_RBX];
		assert_in_range(info, 0x1000, 0x9fbc8);
		assert_int_equal(peek(info, 4), 0x336ec578);
		assert_int_equal(peek(info + 4, 4), 1);
		assert_int_equal(peek(info + 8, 4), 0);
		assert_int_equal(peek(info + 12, 4), 1);
		u64 mod = peek(info + 16, 8);
		assert_int_equal(peek(mod, 8), 0x203000);
		assert_int_equal(peek(mod + 8, 8), 4);
		assert_string_equal(string_at(peek(mod + 16, 8)), "ramdisk arg");
		check_bytes(0x203000, "data", 4);
		assert_string_equal(string_at(peek(info + 24, 8)), "a=1 b");
		assert_int_equal(peek(info + 32, 8), GUEST_ACPI_BASE);
		assert_int_equal(peek(info + 48, 4), 6);
		u64 map = peek(info + 40, 8);
		assert_int_equal(peek(map + 48, 8), MIB);
		assert_int_equal(peek(map + 56, 8), 7 * MIB);
		assert_int_equal(peek(map + 64, 4), 1);
	}
	in.nr_modules = 0;
	assert_null(load());
	assert_int_equal(peek(out.gpr[GPR_RBX] + 12, 4), 0);
	assert_int_equal(peek(out.gpr[GPR_RBX] + 16, 8), 0);
}

static void test_pvh_faults(void **state)
{
	static const char none[] = "kernel has no PVH entry note";
	static const struct {
		u64 at, value;
		u32 width;
	} rows[] = {
		{ 0x3038, 17, 4 },	  { 0x3030, 3, 4 }, { 0x303c, 0x6f6558, 4 },
		{ 0x3034, 3, 4 },	  { 0x3034, 0x21, 4 }, { 0x3000, 0xffffffff, 4 },
		{ 0x3004, 0xffffffff, 4 }, { 0x40 + 64 + 4, 0x3fff, 4 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make_pvh(false);
		put(rows[i].at, rows[i].value, rows[i].width);
		assert_string_equal(load(), none);
	}
	make_pvh(false);
	add_module("m", "M", 9 * MIB); /* never read: refused before */
	assert_string_equal(load(), "modules do not fit into the partition's memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_linux),
		TEST(test_linux_initrd),
		TEST(test_linux_32),
		TEST(test_linux_faults),
		TEST(test_multiboot),
		TEST(test_multiboot_bare),
		TEST(test_multiboot_low_image),
		TEST(test_multiboot_elf64),
		TEST(test_multiboot_kludge),
		TEST(test_multiboot_faults),
		TEST(test_pvh),
		TEST(test_pvh_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
