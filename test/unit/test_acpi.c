// SPDX-License-Identifier: BSD-2-Clause
/* ACPI tables built by hand from the specification's field tables, whole and damaged. */
#include "drivers/acpi.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BASE 0xe0000u
static u8 bios[0x20000], low[0xa0000];
static struct acpi_info info;

static const void *map(void *ctx, u64 addr, u64 len)
{
	(void)ctx;
	if (addr >= BASE && addr - BASE <= sizeof(bios) && len <= sizeof(bios) - (addr - BASE)) {
		return bios + (addr - BASE);
	}
	return addr < sizeof(low) && len <= sizeof(low) - addr ? low + addr : NULL;
}
static const struct acpi_memory mem = { map, NULL };

static void put(u32 addr, u32 bytes, u64 value)
{
	memcpy(bios + (addr - BASE), &value, bytes); /* the host is little-endian too */
}

static void fix_sum(u32 addr, u32 len, u32 at)
{
	u8 sum = 0;
	bios[addr - BASE + at] = 0;
	for (u32 i = 0; i < len; i++) {
		sum = (u8)(sum + bios[addr - BASE + i]);
	}
	bios[addr - BASE + at] = (u8)-sum;
}

static void table(u32 addr, const char *name, u32 len)
{
	memcpy(bios + (addr - BASE), name, 4);
	put(addr + 4, 4, len);
	fix_sum(addr, len, 9);
}

enum {
	RSDP = BASE + 0x40, ROOT = BASE + 0x100, MADT = BASE + 0x200, FADT = BASE + 0x400,
	DSDT = BASE + 0x600, HPET = BASE + 0x800, MADT_LEN = 44 + 8 * 4 + 16 * 2 + 12, DSDT_LEN = 100
};

static void make_madt(void)
{
	u32 at = MADT + 44;
	static const u8 local[4][2] = { { 0, 1 }, { 2, 1 }, { 4, 0 }, { 0xff, 1 } }; /* id, enabled */
	put(MADT + 36, 4, 0xfee00000);
	for (u32 i = 0; i < 4; i++, at += 8) {
		put(at, 2, 8 << 8);
		put(at + 3, 1, local[i][0]);
		put(at + 4, 4, local[i][1]);
	}
	put(at, 2, 16 << 8 | 9); /* x2APIC, enabled */
	put(at + 4, 4, 0x1234);
	put(at + 8, 4, 1);
	put(at + 16, 2, 16 << 8 | 9); /* the same CPU as the second above */
	put(at + 20, 4, 2);
	put(at + 24, 4, 1);
	put(at + 32, 2, 12 << 8 | 5); /* address override */
	put(at + 36, 8, 0x1fee00000);
	table(MADT, "APIC", MADT_LEN);
}

static void make_fadt(u32 len)
{
	put(FADT + 40, 4, DSDT);
	put(FADT + 64, 4, 0xb004);
	put(FADT + 68, 4, 0x1b004); /* no port */
	put(FADT + 76, 4, 0xb008);
	put(FADT + 91, 1, 4);
	table(FADT, "FACP", len);
}

static void make_dsdt(const char *aml, u32 len)
{
	memset(bios + (DSDT - BASE), 0, DSDT_LEN);
	memcpy(bios + (DSDT - BASE) + DSDT_LEN - len, aml, len); /* at the very end */
	table(DSDT, "DSDT", DSDT_LEN);
}

static void make_rsdp(u8 revision)
{
	memcpy(bios + (RSDP - BASE), "RSD PTR ", 8);
	put(RSDP + 15, 1, revision);
	put(RSDP + 16, 4, ROOT);
	fix_sum(RSDP, 20, 8);
	if (revision >= 2) {
		put(RSDP + 20, 4, 36);
		put(RSDP + 24, 8, ROOT);
		fix_sum(RSDP, 36, 32);
	}
}

static const char s5[] = "\x08_S5_\x12\x06\x04\x0a\x05\x01\x00\x00";

/* A machine of ACPI 1.0 style (RSDT, FADT of 116 bytes) or of today's */
static int start_as(bool is_new)
{
	const u32 entry[] = { 0, BASE + 0x1fff0, HPET, MADT, FADT };
	u32 width = is_new ? 8 : 4;
	memset(bios, 0, sizeof(bios));
	memset(low, 0, sizeof(low));
	make_rsdp(is_new ? 2 : 0);
	make_madt();
	make_fadt(is_new ? 268 : 116);
	make_dsdt(s5, sizeof(s5) - 1);
	put(HPET + 40, 1, 0);
	put(HPET + 44, 8, 0xfed00000);
	table(HPET, "HPET", 56);
	for (u32 i = 0; i < ARRAY_SIZE(entry); i++) {
		put(ROOT + 36 + i * width, width, entry[i]);
	}
	table(ROOT, is_new ? "XSDT" : "RSDT", 36 + (u32)ARRAY_SIZE(entry) * width);
	return 0;
}

static int start(void **state)
{
	(void)state;
	return start_as(true);
}

static enum status parse(void)
{
	return acpi_parse(&mem, bios + (RSDP - BASE), 36, &info);
}

static void check_common(void)
{
	assert_int_equal(parse(), STATUS_OK);
	assert_int_equal(info.nr_cpus, 3);
	assert_int_equal(info.apic_id[0], 0);
	assert_int_equal(info.apic_id[1], 2);
	assert_int_equal(info.apic_id[2], 0x1234);
	assert_int_equal(info.lapic_addr, 0x1fee00000);
	assert_int_equal(info.pm_timer_port, 0xb008);
	assert_int_equal(info.pm1a_cnt_port, 0xb004);
	assert_int_equal(info.pm1b_cnt_port, 0);
	assert_true(info.has_s5);
	assert_int_equal(info.s5_typ_a, 5);
	assert_int_equal(info.s5_typ_b, 1);
	assert_int_equal(info.hpet_addr, 0xfed00000);
}

static void test_both_generations(void **state)
{
	(void)state;
	start_as(false);
	check_common();
	start_as(true);
	check_common();
}

static void test_fadt_64_bit_fields(void **state)
{
	(void)state;
	put(FADT + 172, 1, 1); /* X_PM1a: another port */
	put(FADT + 176, 8, 0x604);
	put(FADT + 208, 1, 0); /* X_PM_TMR: in memory, which is no port */
	put(FADT + 212, 8, 0x1000);
	put(FADT + 140, 8, BASE + 0x1ffff); /* X_DSDT: not there */
	table(FADT, "FACP", 268);
	assert_int_equal(parse(), STATUS_OK);
	assert_int_equal(info.pm1a_cnt_port, 0x604);
	assert_int_equal(info.pm_timer_port, 0);
	assert_false(info.has_s5);
}

static void test_s5_forms(void **state)
{
	(void)state;
	static const struct {
		const char *aml;
		u32 len;
		int a, b; /* -1: none found */
	} row[] = {
#define ROW(s, a, b) { s, sizeof(s) - 1, a, b }
		ROW("\x08_S5_\x12\x06\x04\x00\x00\x00\x00", 0, 0),
		ROW("\x08\\_S5_\x12\x06\x02\x01\x0a\x07", 1, 7),
		ROW("\x08_S5_\x12\x4a\x00\x04\x0b\x06\x00\x0c\x02\x00\x00\x00", 6, 2),
		ROW("\x08_S5_\x12\x04\x01\x0a\x03", 3, 3),    /* one element: used for both */
		ROW("\x08_S5_\x12\x06\x04\x0a\x08\x00", -1, 0), /* three bits only */
		ROW("\x08_S5_\x12\x06\x00\x0a\x05\x00", -1, 0), /* no elements */
		ROW("\x08_S5_\x11\x06\x04\x0a\x05\x00", -1, 0), /* a buffer */
		ROW("\x10_S5_\x12\x06\x04\x0a\x05\x00", -1, 0), /* no NameOp */
		ROW("\x08_S5_\x12\x06\x04\x0d\x05\x00", -1, 0), /* a string */
		ROW("\x08_S5_\x12\x06\x04\x0c\x05\x00", -1, 0), /* cut in the integer */
		ROW("\x08_S5_\x12\xc6", -1, 0),
		ROW("\x08_S5_", -1, 0),
		/* the first one is no package; the real one follows */
		ROW("_S5_\x08_S5_\x12\x06\x04\x0a\x05\x0a\x04", 5, 4),
	};
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		make_dsdt(row[i].aml, row[i].len);
		assert_int_equal(parse(), STATUS_OK);
		assert_int_equal(info.has_s5, row[i].a >= 0);
		if (info.has_s5) {
			assert_int_equal(info.s5_typ_a, row[i].a);
			assert_int_equal(info.s5_typ_b, row[i].b);
		}
	}
}

static void test_bad_root(void **state)
{
	(void)state;
	assert_int_equal(acpi_parse(&mem, bios, 36, &info), STATUS_NOT_FOUND);
	assert_int_equal(acpi_parse(&mem, bios + (RSDP - BASE), 19, &info), STATUS_NOT_FOUND);
	/* a revision 2 RSDP of which the loader gave the first part: the RSDT, which is absent here */
	u8 *cut = malloc(20);
	put(RSDP + 16, 4, 0);
	make_rsdp(2);
	memcpy(cut, bios + (RSDP - BASE), 20);
	assert_int_equal(acpi_parse(&mem, cut, 20, &info), STATUS_OK);
	free(cut);
	bios[RSDP - BASE + 35] ^= 1;
	assert_int_equal(parse(), STATUS_NOT_FOUND);
	bios[RSDP - BASE + 16] ^= 1;
	assert_int_equal(parse(), STATUS_NOT_FOUND);
	start_as(true);
	bios[ROOT - BASE + 12] ^= 1;
	assert_int_equal(parse(), STATUS_NOT_FOUND);
	put(ROOT + 4, 4, 0xffffffff);
	assert_int_equal(parse(), STATUS_NOT_FOUND);
	put(ROOT + 4, 4, 35);
	assert_int_equal(parse(), STATUS_NOT_FOUND);
	assert_int_equal(info.nr_cpus, 0);
}

static void test_bad_tables(void **state)
{
	(void)state;
	bios[HPET - BASE + 12] ^= 1; /* optional: as if absent */
	bios[FADT - BASE + 12] ^= 1;
	assert_int_equal(parse(), STATUS_OK);
	assert_int_equal(info.hpet_addr, 0);
	assert_int_equal(info.pm_timer_port, 0);
	bios[MADT - BASE + 12] ^= 1;
	assert_int_equal(parse(), STATUS_NOT_FOUND);
	start_as(true);
	put(MADT + 45, 1, 0); /* an entry of length 0 ends the list */
	table(MADT, "APIC", MADT_LEN);
	assert_int_equal(parse(), STATUS_NOT_FOUND);
	start_as(true);
	table(MADT, "APIC", 44 + 12); /* the second entry is cut before its flags */
	assert_int_equal(parse(), STATUS_OK);
	assert_int_equal(info.nr_cpus, 1);
	start_as(true);
	memcpy(bios + (MADT - BASE), "XXXX", 4);
	fix_sum(MADT, MADT_LEN, 9);
	assert_int_equal(parse(), STATUS_NOT_FOUND);
}

static void test_more_cpus_than_places(void **state)
{
	(void)state;
	for (u32 i = 0; i < 80; i++) {
		put(MADT + 44 + 8 * i, 2, 8 << 8);
		put(MADT + 47 + 8 * i, 1, i);
		put(MADT + 48 + 8 * i, 4, 1);
	}
	put(ROOT + 36 + 8 * 4, 8, 0); /* its place is taken */
	table(ROOT, "XSDT", 36 + 8 * 5);
	table(MADT, "APIC", 44 + 8 * 80);
	assert_int_equal(parse(), STATUS_OK);
	assert_int_equal(info.nr_cpus, ACPI_MAX_CPUS);
	assert_int_equal(info.apic_id[ACPI_MAX_CPUS - 1], ACPI_MAX_CPUS - 1);
}

static void test_find_rsdp(void **state)
{
	(void)state;
	u8 found[36];
	assert_int_equal(acpi_find_rsdp(&mem, found), 36);
	assert_memory_equal(found, bios + (RSDP - BASE), 36);
	bios[RSDP - BASE + 30] ^= 1; /* the extended part is damaged */
	assert_int_equal(acpi_find_rsdp(&mem, found), 0);
	bios[RSDP - BASE + 30] ^= 1;
	bios[RSDP - BASE + 16] ^= 1;
	assert_int_equal(acpi_find_rsdp(&mem, found), 0);
	/* the EBDA comes first; its last 20 bytes are enough for a revision 0 RSDP */
	start_as(false);
	low[0x40f] = 0x9f;
	memcpy(low + 0x9f000 + 1024 - 32, bios + (RSDP - BASE), 20);
	memset(bios + (RSDP - BASE), 0, 20);
	assert_int_equal(acpi_find_rsdp(&mem, found), 20);
	low[0x40f] = 0xff; /* no EBDA there */
	assert_int_equal(acpi_find_rsdp(&mem, found), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_both_generations, start),
		cmocka_unit_test_setup(test_fadt_64_bit_fields, start),
		cmocka_unit_test_setup(test_s5_forms, start),
		cmocka_unit_test_setup(test_bad_root, start),
		cmocka_unit_test_setup(test_bad_tables, start),
		cmocka_unit_test_setup(test_more_cpus_than_places, start),
		cmocka_unit_test_setup(test_find_rsdp, start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
