/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot information built tag by tag as the specifications say; broken lengths; the map byte by byte. */
#include "boot/boot.h"
#include "lib/lib.h"
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

static struct boot_info info;

/* A multiboot2 information block under construction */
static struct {
	u8 *data;
	u32 len;
} mb2;

static void mb2_begin(void)
{
	free(mb2.data);
	mb2.data = calloc(1, 8192);
	mb2.len = 8;
	memset(&info, 0, sizeof(info));
}

static void mb2_tag(u32 type, const void *body, u32 len)
{
	u32 head[2] = { type, len + 8 };
	memcpy(mb2.data + mb2.len, head, 8);
	if (len) {
		memcpy(mb2.data + mb2.len + 8, body, len);
	}
	mb2.len = ALIGN_UP(mb2.len + 8 + len, 8);
}

/* From a buffer of exactly @len bytes, so that ASan sees a read past it */
static enum status mb2_parse(u32 total, u32 len)
{
	u8 *exact = malloc(len ? len : 1);
	memcpy(mb2.data, &total, sizeof(total));
	memcpy(exact, mb2.data, len);
	enum status s = multiboot2_parse(exact, len, &info);
	free(exact);
	return s;
}

static enum status mb2_end(void)
{
	mb2_tag(0, NULL, 0);
	return mb2_parse(mb2.len, mb2.len);
}

struct mb2_mmap {
	u32 entry_size, version;
	u64 entry[2][3];
};
static const struct mb2_mmap one_mib = { 24, 0, { { MIB, MIB, 1 }, { 2 * MIB, MIB, 20 } } };

static void mb2_module(u32 start, u32 end, const char *name, u32 name_len)
{
	u8 body[256];
	memcpy(body, &start, 4);
	memcpy(body + 4, &end, 4);
	memcpy(body + 8, name, name_len);
	mb2_tag(3, body, 8 + name_len);
}

static void test_mb2_all_tags(void **state)
{
	(void)state;
	mb2_begin();
	mb2_tag(1, "console=com2", 13);
	mb2_tag(2, "GRUB 2.06", 10);
	mb2_module(0x6000, 0x6123, "demo.dtb", 9);
	mb2_module(0x200000, 0x200000, "", 1);
	mb2_tag(6, &one_mib, sizeof(one_mib));
	mb2_tag(14, "RSD PTR old         ", 20);
	mb2_tag(15, "RSD PTR new                         ", 36);
	assert_int_equal(mb2_end(), STATUS_OK);
	assert_string_equal(info.cmdline, "console=com2");
	assert_int_equal(info.nr_modules, 2);
	assert_int_equal(info.modules[0].start.v, 0x6000);
	assert_int_equal(info.modules[0].len, 0x123);
	assert_string_equal(info.modules[0].name, "demo.dtb");
	assert_int_equal(info.modules[1].len, 0);
	assert_int_equal(info.nr_mem, 2);
	assert_true(info.mem[0].is_usable);
	assert_false(info.mem[1].is_usable); /* type 20 is nobody's: reserved */
	assert_int_equal(info.rsdp_len, 36);
	assert_memory_equal(info.rsdp, "RSD PTR new", 11);
}

static void test_mb2_new_rsdp_wins_in_any_order(void **state)
{
	(void)state;
	mb2_begin();
	mb2_tag(15, "RSD PTR new                         and more", 44);
	mb2_tag(14, "RSD PTR old         ", 20);
	mb2_tag(6, &one_mib, sizeof(one_mib));
	assert_int_equal(mb2_end(), STATUS_OK);
	assert_int_equal(info.rsdp_len, 36);
	assert_memory_equal(info.rsdp, "RSD PTR new", 11);

	mb2_begin();
	mb2_tag(14, "RSD PTR old         ", 20);
	mb2_tag(6, &one_mib, sizeof(one_mib));
	assert_int_equal(mb2_end(), STATUS_OK);
	assert_int_equal(info.rsdp_len, 20);
}

static void test_mb2_strings(void **state)
{
	char text[2000];

	(void)state;
	memset(text, 'n', sizeof(text));
	mb2_begin();
	mb2_tag(1, text, sizeof(text)); /* too long, and without its NUL */
	mb2_module(0, 1, text, 200);
	mb2_module(0, 1, "ab", 2);
	mb2_tag(6, &one_mib, sizeof(one_mib));
	assert_int_equal(mb2_end(), STATUS_OK);
	assert_int_equal(strlen(info.cmdline), BOOT_CMDLINE_MAX - 1);
	assert_int_equal(strlen(info.modules[0].name), BOOT_NAME_MAX - 1);
	assert_string_equal(info.modules[1].name, "ab");
}

static void test_mb2_larger_entries(void **state)
{
	static const u64 body[] = { 32, MIB, MIB, 1, 99, 4 * MIB, MIB, 1, 99 };

	(void)state;
	mb2_begin();
	mb2_tag(6, body, sizeof(body));
	assert_int_equal(mb2_end(), STATUS_OK);
	assert_int_equal(info.nr_mem, 2);
	assert_int_equal(info.mem[1].base, 4 * MIB);
}

static void test_mb2_broken(void **state)
{
	static const u32 bad_entry_size[] = { 8, 0, 1, 2, 3, 4 };
	u32 tag_at;

	(void)state;
	mb2_begin();
	assert_int_equal(mb2_parse(8, 0), STATUS_TRUNCATED);
	assert_int_equal(mb2_parse(8, 8), STATUS_TRUNCATED); /* not even an end tag */
	assert_int_equal(mb2_end(), STATUS_NOT_FOUND);	     /* no memory map */

	mb2_begin();
	mb2_tag(6, bad_entry_size, sizeof(bad_entry_size));
	assert_int_equal(mb2_end(), STATUS_TRUNCATED);
	mb2_begin();
	mb2_tag(6, bad_entry_size, 4);
	assert_int_equal(mb2_end(), STATUS_TRUNCATED);
	mb2_begin();
	mb2_tag(3, "1234567", 7);
	assert_int_equal(mb2_end(), STATUS_TRUNCATED);
	mb2_begin();
	mb2_module(2, 1, "ends before it starts", 22);
	assert_int_equal(mb2_end(), STATUS_BAD_VALUE);

	/* every cut of a good block, and a tag that claims too much or too little */
	mb2_begin();
	mb2_tag(1, "x", 2);
	tag_at = mb2.len;
	mb2_tag(6, &one_mib, sizeof(one_mib));
	assert_int_equal(mb2_end(), STATUS_OK);
	for (u32 len = 0; len < mb2.len; len++) {
		memset(&info, 0, sizeof(info));
		assert_int_equal(mb2_parse(mb2.len, len), STATUS_TRUNCATED);
		assert_int_equal(mb2_parse(len, mb2.len), STATUS_TRUNCATED);
	}
	for (u32 size = 0; size < 8; size++) {
		memcpy(mb2.data + tag_at + 4, &size, 4);
		assert_int_equal(mb2_parse(mb2.len, mb2.len), STATUS_TRUNCATED);
	}
	memset(mb2.data + tag_at + 4, 0xff, 4);
	assert_int_equal(mb2_parse(mb2.len, mb2.len), STATUS_TRUNCATED);
}

static void test_mb2_too_many(void **state)
{
	u8 body[8 + 24 * (BOOT_MAX_MEM + 1)] = { 24 };

	(void)state;
	for (u32 i = 0; i <= BOOT_MAX_MEM; i++) {
		u64 e[3] = { i * 2 * MIB, MIB, 1 };
		memcpy(body + 8 + 24 * i, e, 24);
	}
	mb2_begin();
	mb2_tag(6, body, 8 + 24 * BOOT_MAX_MEM);
	assert_int_equal(mb2_end(), STATUS_OK);
	assert_int_equal(info.nr_mem, BOOT_MAX_MEM);
	mb2_begin();
	mb2_tag(6, body, sizeof(body));
	assert_int_equal(mb2_end(), STATUS_FULL); /* the one left out may be a reserved one */

	mb2_begin();
	for (u32 i = 0; i <= BOOT_MAX_MODULES; i++) {
		mb2_module(i, i + 1, "m", 2);
	}
	assert_int_equal(mb2_end(), STATUS_FULL);
	assert_int_equal(info.nr_modules, BOOT_MAX_MODULES);
}

/* Physical memory of a multiboot1 loader: addresses are offsets; the end is the end of the window */
static u8 low[4096];

static const void *low_map(void *ctx, u64 addr, u64 len)
{
	(void)ctx;
	return addr <= sizeof(low) && len <= sizeof(low) - addr ? low + addr : NULL;
}
static const struct boot_window window = { .map = low_map };

static void put(u32 at, const void *bytes, u32 len)
{
	memcpy(low + at, bytes, len);
}

/* info at 0x100, modules at 0x200, map at 0x300, strings from 0x400 */
static void mb1_begin(void)
{
	static const u32 head[] = { BIT(2) | BIT(3) | BIT(6), 0, 0, 0, 0x400, 1, 0x200, 0, 0, 0, 0, 48, 0x300 };
	static const u32 module[] = { 0x111000, 0x111010, 0x440, 0 };
	static const u32 map[] = { 20, 0, 0, 0x9fc00, 0, 1, 20, 0, 1, 0, 1, 2 };

	memset(low, 0xff, sizeof(low));
	memset(&info, 0, sizeof(info));
	put(0x100, head, sizeof(head));
	put(0x200, module, sizeof(module));
	put(0x300, map, sizeof(map));
	put(0x400, "k.elf32 console=com1 x", 23);
	put(0x440, "/home/me/a.dtb config b", 24);
}

static enum status mb1_parse(void)
{
	return multiboot1_parse(&window, 0x100, &info);
}

static void test_mb1(void **state)
{
	(void)state;
	mb1_begin();
	assert_int_equal(mb1_parse(), STATUS_OK);
	assert_string_equal(info.cmdline, "console=com1 x");
	assert_int_equal(info.nr_modules, 1);
	assert_int_equal(info.modules[0].start.v, 0x111000);
	assert_int_equal(info.modules[0].len, 16);
	assert_string_equal(info.modules[0].name, "config b");
	assert_int_equal(info.nr_mem, 2);
	assert_int_equal(info.mem[0].len, 0x9fc00);
	assert_int_equal(info.mem[1].base, 4 * GIB);
	assert_int_equal(info.mem[1].len, 4 * GIB);
	assert_false(info.mem[1].is_usable);
	assert_int_equal(info.rsdp_len, 0);

	mb1_begin();
	put(0x400, "k.elf32", 8); /* no arguments */
	put(0x440, "a ", 3);
	assert_int_equal(mb1_parse(), STATUS_OK);
	assert_string_equal(info.cmdline, "");
	assert_string_equal(info.modules[0].name, "");
}

static void test_mb1_broken(void **state)
{
	static const u32 none = 0, far = 0xfffffff0, many = 0xffffffff, fields[] = { 16, 24, 48 };

	(void)state;
	assert_int_equal(multiboot1_parse(&window, sizeof(low) - 8, &info), STATUS_TRUNCATED);
	for (u32 i = 0; i < ARRAY_SIZE(fields); i++) { /* cmdline, modules, map out of the window */
		mb1_begin();
		put(0x100 + fields[i], &far, 4);
		assert_int_equal(mb1_parse(), STATUS_TRUNCATED);
	}
	mb1_begin();
	put(0x100 + 20, &many, 4); /* mods_count: garbage after the first */
	assert_int_not_equal(mb1_parse(), STATUS_OK);
	mb1_begin();
	put(0x208, &far, 4); /* module's string */
	assert_int_equal(mb1_parse(), STATUS_TRUNCATED);
	mb1_begin();
	put(0x100, &none, 4); /* flags: nothing is there */
	assert_int_equal(mb1_parse(), STATUS_NOT_FOUND);
	assert_string_equal(info.cmdline, "");
	/* entries that claim no size: each step still moves on, and the end comes */
	mb1_begin();
	memset(low + 0x300, 0, 48);
	assert_int_equal(mb1_parse(), STATUS_NOT_FOUND);
}

/* Random small maps: each byte of the result against each entry of the input */
static void test_normalise(void **state)
{
	u32 r = 7;

	(void)state;
	for (u32 run = 0; run < 5000; run++) {
		u8 want[64] = { 0 }, got[64] = { 0 };
		u64 end = 0;
		memset(&info, 0, sizeof(info));
		for (u32 i = 0; i < 6; i++) {
			r = r * 1664525 + 1013904223;
			u32 base = r >> 26, len = (r >> 20) % (65 - base), usable = r >> 19 & 1;
			assert_int_equal(memory_add(&info, base, len, usable), STATUS_OK);
			for (u32 k = base; k < base + len; k++) {
				want[k] = (u8)MAX(want[k], usable ? 1 : 2);
			}
		}
		memory_normalise(&info);
		for (u32 i = 0; i < info.nr_mem; i++) {
			const struct mem_range *m = &info.mem[i];
			assert_true(m->len > 0);
			assert_true(i == 0 || m->base >= end);
			assert_false(i && m->base == end && m->is_usable == m[-1].is_usable);
			end = m->base + m->len;
			memset(got + m->base, m->is_usable ? 1 : 2, m->len);
		}
		assert_memory_equal(got, want, sizeof(want));
	}
}

static void test_normalise_edges(void **state)
{
	(void)state;
	memset(&info, 0, sizeof(info));
	assert_int_equal(memory_add(&info, ~0ull - 10, ~0ull, false), STATUS_OK); /* wraps */
	assert_int_equal(memory_add(&info, 0, ~0ull, true), STATUS_OK);
	assert_int_equal(memory_add(&info, ~0ull, 1, true), STATUS_OK); /* nothing is left of it */
	assert_int_equal(info.nr_mem, 2);
	memory_normalise(&info);
	assert_int_equal(info.nr_mem, 2);
	assert_int_equal(info.mem[0].len, ~0ull - 10);
	assert_false(info.mem[1].is_usable);

	/* 64 holes in a large range make 129 pieces: the last one is left out, none is made up */
	memset(&info, 0, sizeof(info));
	assert_int_equal(memory_add(&info, 0, 1000, true), STATUS_OK);
	for (u32 i = 0; i < 64; i++) {
		assert_int_equal(memory_add(&info, 1 + 2 * i, 1, false), STATUS_OK);
	}
	memory_normalise(&info);
	assert_int_equal(info.nr_mem, BOOT_MAX_MEM);
	assert_false(info.mem[BOOT_MAX_MEM - 1].is_usable);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mb2_all_tags),
		cmocka_unit_test(test_mb2_new_rsdp_wins_in_any_order),
		cmocka_unit_test(test_mb2_strings),
		cmocka_unit_test(test_mb2_larger_entries),
		cmocka_unit_test(test_mb2_broken),
		cmocka_unit_test(test_mb2_too_many),
		cmocka_unit_test(test_mb1),
		cmocka_unit_test(test_mb1_broken),
		cmocka_unit_test(test_normalise),
		cmocka_unit_test(test_normalise_edges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
