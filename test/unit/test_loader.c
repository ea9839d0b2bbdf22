// SPDX-License-Identifier: BSD-2-Clause
/*
 * Boot protocols on synthetic images. The guest's memory is 8 MiB in two extents whose host order
 * is reversed, filled with 0xcc; what a loader left there is read back by the protocols' own offsets.
 */
#include "kernel/loader.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define RAM   (8 * MIB)
#define SPLIT (3 * MIB - 4096)
#define FILL  0xcc

static u8 *ram, *image;
static u64 image_len;
static struct gmem mem;
static struct partition_config cfg;
static struct load_input in;
static struct guest_entry out;

static int setup(void **state)
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

static int teardown(void **state)
{
	(void)state;
	free(ram);
	free(image);
	return 0;
}

static u64 peek(u64 at, u32 width)
{
	u64 v = 0;
	assert_true(gmem_read(&mem, GPA(at), &v, width));
	return v;
}

static const char *string_at(u64 at)
{
	static char text[256];
	assert_in_range(at, 0x1000, 0x9fbff);
	assert_true(gmem_read(&mem, GPA(at), text, sizeof(text)));
	assert_non_null(memchr(text, 0, sizeof(text)));
	return text;
}

static void check_fill(u64 at, u64 len, u8 byte)
{
	for (u64 i = 0; i < len; i++) {
		assert_int_equal(peek(at + i, 1), byte);
	}
}

static void check_bytes(u64 at, const void *data, u64 len)
{
	for (u64 i = 0; i < len; i++) {
		assert_int_equal(peek(at + i, 1), ((const u8 *)data)[i]);
	}
}

static void put(u64 at, u64 value, u32 width)
{
	memcpy(image + at, &value, width);
}

static void pattern(u64 at, u64 len)
{
	for (u64 i = 0; i < len; i++) {
		image[at + i] = (u8)(i * 7 + at / 256);
	}
}

static const char *load(void)
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
static void check_gdt(u16 cs, bool is_long)
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
static u64 translate(u64 va)
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

static void check_long(void)
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
static void check_bios_data(void)
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

/* ---- ELF, multiboot, PVH ---- */

struct part {
	u32 type;
	u64 off, vaddr, paddr, filesz, memsz;
};

static void make_elf(bool is_64, u64 entry, const struct part *s, u32 nr)
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

static void put_header(u64 at, u32 flags)
{
	put(at, 0x1badb002, 4);
	put(at + 4, flags, 4);
	put(at + 8, 0u - (0x1badb002u + flags), 4);
}

static const struct part one[] = { { 1, 0x1000, 0x200000, 0x200000, 0x2000, 0x3000 } };
static const struct part high[] = { { 4, 0, 0, 0, 0, 0 },
				   { 1, 0x1000, 0xffffffff80200000, 0x200000, 0x2000, 0x3000 } };

static void make_multiboot(void)
{
	cfg.boot = BOOT_MULTIBOOT;
	make_elf(false, 0x200010, one, 1);
	put_header(0x1004, 3);
}

static void add_module(const char *string, const void *data, u64 len)
{
	in.modules[in.nr_modules++] = (struct load_module){ { data, len }, string };
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_e820),	   TEST(test_linux),	      TEST(test_linux_initrd),
		TEST(test_linux_32),
		TEST(test_linux_faults),   TEST(test_multiboot),      TEST(test_multiboot_bare),
		TEST(test_multiboot_low_image), TEST(test_multiboot_elf64), TEST(test_multiboot_kludge),
		TEST(test_multiboot_faults), TEST(test_elf_faults),   TEST(test_pvh),
		TEST(test_pvh_faults),	   TEST(test_flat),	      TEST(test_door),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
