// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ACPI tables are read back as an operating system would: found by scanning for the RSDP,
 * followed by address, summed, and taken apart at the byte offsets of ACPI 6.5 chapter 5, not
 * through our structs.
 */
#define _GNU_SOURCE /* memmem */
#include "kernel/loader.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "devices/vacpi.h"
#include "devices/vpci.h"

static u8 *ram;
static struct gmem mem;

static u64 le(u64 at, u32 width)
{
	u64 v = 0;
	memcpy(&v, ram + at, width);
	return v;
}

static u8 sum(u64 at, u64 len)
{
	u8 s = 0;
	while (len--) {
		s = (u8)(s + ram[at++]);
	}
	return s;
}

/* As firmware-less systems do it: ACPI 6.5 5.2.5.1 */
static u64 scan_rsdp(void)
{
	for (u64 at = 0xe0000; at < 0x100000; at += 16) {
		if (!memcmp(ram + at, "RSD PTR ", 8)) {
			return at;
		}
	}
	return 0;
}

static u64 find_table(const char *signature)
{
	u64 xsdt = le(scan_rsdp() + 24, 8);
	for (u64 i = 36; i < le(xsdt + 4, 4); i += 8) {
		u64 at = le(xsdt + i, 8);
		if (!memcmp(ram + at, signature, 4)) {
			return at;
		}
	}
	return 0;
}

static void check_table(u64 at, const char *signature)
{
	assert_in_range(at, GUEST_ACPI_BASE, GUEST_ACPI_BASE + GUEST_ACPI_LEN - 36);
	assert_memory_equal(ram + at, signature, 4);
	assert_in_range(le(at + 4, 4), 36, GUEST_ACPI_BASE + GUEST_ACPI_LEN - at);
	assert_int_equal(sum(at, le(at + 4, 4)), 0);
}

static int setup(void **state)
{
	(void)state;
	ram = malloc(MIB);
	mem = (struct gmem){ { { GPA(0), HPA((uintptr_t)ram), MIB } }, 1 };
	memset(ram, 0xaa, MIB);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(ram);
	return 0;
}

static void test_roots(void **state)
{
	(void)state;
	u64 rsdp = guest_acpi_build(&mem, 1).v;
	assert_int_equal(rsdp, scan_rsdp());
	assert_int_equal(ram[rsdp + 15], 2);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(le(rsdp + 20, 4), 36);
	assert_int_equal(sum(rsdp, 36), 0);
	check_table(le(rsdp + 24, 8), "XSDT");
	assert_int_equal(le(le(rsdp + 24, 8) + 4, 4), 36 + 3 * 8);
	check_table(find_table("FACP"), "FACP");
	check_table(find_table("APIC"), "APIC");
	check_table(find_table("MCFG"), "MCFG");
	u64 rsdt = le(rsdp + 16, 4);
	check_table(rsdt, "RSDT"); /* the same tables, by 32-bit addresses */
	assert_int_equal(le(rsdt + 4, 4), 36 + 3 * 4);
	assert_int_equal(le(rsdt + 36, 4), find_table("FACP"));
	assert_int_equal(le(rsdt + 40, 4), find_table("APIC"));
	assert_int_equal(le(rsdt + 44, 4), find_table("MCFG"));
	assert_int_equal(ram[GUEST_ACPI_BASE - 1], 0xaa); /* nothing outside the window */
	assert_int_equal(ram[GUEST_ACPI_BASE + GUEST_ACPI_LEN], 0xaa);
}

static void check_gas(u64 at, u8 bits, u64 port)
{
	assert_int_equal(ram[at], 1);
	assert_int_equal(ram[at + 1], bits);
	assert_int_equal(ram[at + 2], 0);
	assert_int_equal(le(at + 4, 8), port);
}

static void test_fadt(void **state)
{
	(void)state;
	guest_acpi_build(&mem, 1);
	u64 f = find_table("FACP"), facs = le(f + 36, 4), dsdt = le(f + 40, 4);
	assert_int_equal(ram[f + 8], 6);
	assert_int_equal(le(f + 4, 4), 276);
	assert_memory_equal(ram + facs, "FACS", 4);
	assert_int_equal(le(facs + 4, 4), 64);
	assert_int_equal(facs % 64, 0);
	assert_int_equal(le(f + 132, 8), 0); /* FIRMWARE_CTRL and X_FIRMWARE_CTRL exclude each other */
	check_table(dsdt, "DSDT");
	assert_int_equal(le(f + 140, 8), dsdt);
	assert_int_equal(le(f + 46, 2), 9);  /* SCI */
	assert_int_equal(le(f + 48, 4), 0);  /* SMI_CMD */
	assert_int_equal(le(f + 56, 4), 0x600);
	assert_int_equal(le(f + 64, 4), 0x604);
	assert_int_equal(le(f + 76, 4), 0x608);
	assert_int_equal(ram[f + 88], 4);
	assert_int_equal(ram[f + 89], 2);
	assert_int_equal(ram[f + 91], 4);
	assert_true(le(f + 96, 2) > 100 && le(f + 98, 2) > 1000);
	assert_int_equal(le(f + 109, 2), 0x7);		/* legacy devices, 8042, no VGA; CMOS is there */
	assert_int_equal(le(f + 112, 4) & 0x100, 0);	/* 24-bit PM timer */
	assert_int_equal(le(f + 112, 4) & 0x431, 0x431); /* reset register, no buttons, WBINVD */
	assert_int_equal(le(f + 112, 4) & (1 << 20), 0); /* not hardware-reduced */
	check_gas(f + 116, 8, 0xcf9);
	assert_int_equal(ram[f + 128], 6);
	check_gas(f + 148, 32, 0x600);
	check_gas(f + 172, 16, 0x604);
	check_gas(f + 208, 32, 0x608);
}

/* _S5 as a bootloader-sized OS finds it: the name, then PackageOp with two byte constants */
static void test_s5(void **state)
{
	(void)state;
	guest_acpi_build(&mem, 1);
	u64 dsdt = le(find_table("FACP") + 40, 4);
	const u8 *s5 = memmem(ram + dsdt, le(dsdt + 4, 4), "_S5_\x12", 5);
	assert_non_null(s5);
	assert_int_equal(s5[6], 4); /* elements */
	assert_int_equal(s5[7], 0x0a);
	assert_int_equal(s5[8], VACPI_S5_TYP);
	assert_int_equal(s5[9], 0x0a);
	assert_int_equal(s5[10], VACPI_S5_TYP);
}

static void test_madt(void **state)
{
	u32 seen[5] = { 0 }, nr_iso = 0;
	(void)state;
	guest_acpi_build(&mem, 3);
	u64 m = find_table("APIC"), end = m + le(m + 4, 4), at;
	assert_int_equal(le(m + 36, 4), 0xfee00000);
	assert_int_equal(le(m + 40, 4), 1);
	for (at = m + 44; at < end; at += ram[at + 1]) {
		assert_true(ram[at] < 5 && ram[at + 1] >= 6);
		switch (ram[at]) {
		case 0:
			assert_int_equal(ram[at + 3], seen[0]);
			assert_int_equal(le(at + 4, 4), 1);
			break;
		case 1:
			assert_int_equal(ram[at + 2], 3); /* behind the local APICs' IDs */
			assert_int_equal(le(at + 4, 4), 0xfec00000);
			assert_int_equal(le(at + 8, 4), 0);
			break;
		case 2:
			assert_int_equal(ram[at + 3], nr_iso ? 9 : 0);
			assert_int_equal(le(at + 4, 4), nr_iso ? 9 : 2);
			assert_int_equal(le(at + 8, 2), nr_iso ? 0xd : 0);
			nr_iso++;
			break;
		default:
			assert_int_equal(ram[at + 2], 0xff);
			assert_int_equal(ram[at + 5], 1);
		}
		seen[ram[at]]++;
	}
	assert_int_equal(at, end);
	assert_int_equal(seen[0], 3);
	assert_int_equal(seen[1], 1);
	assert_int_equal(seen[2], 2);
	assert_int_equal(seen[4], 1);
}

/* PCI Firmware 3.2, table 4-2: one allocation, segment 0, bus 0 alone */
static void test_mcfg(void **state)
{
	(void)state;
	guest_acpi_build(&mem, 1);
	u64 m = find_table("MCFG");
	assert_int_equal(le(m + 4, 4), 44 + 16);
	assert_int_equal(le(m + 44, 8), VPCI_ECAM_BASE);
	assert_int_equal(le(m + 52, 8), 0);
	assert_int_equal(VPCI_ECAM_LEN, 32 * 8 * 4096); /* what one bus takes */
}

/* The DSDT must name the bridge, its window and the ECAM as vpci.h has them (ACPI 6.5 6.4.3) */
static void test_pci_root(void **state)
{
	struct {
		u8 tag;
		u16 len;
		u8 type, flags, specific;
		u32 granularity, min, max, offset, size;
	} __attribute__((packed)) window = { 0x87, 0x17, 0, 0x0c, 1, 0, VPCI_MMIO_BASE,
					     VPCI_MMIO_BASE + VPCI_MMIO_LEN - 1, 0, VPCI_MMIO_LEN };
	static const u8 ports[] = { 0x47, 1, 0xf8, 0x0c, 0xf8, 0x0c, 1, 8 };
	static const u8 ecam[] = { 0x86, 9, 0, 1, 0, 0, 0, 0xe0, 0, 0, 0x10, 0 };
	(void)state;
	guest_acpi_build(&mem, 1);
	u64 dsdt = le(find_table("FACP") + 40, 4), len = le(dsdt + 4, 4);
	assert_non_null(memmem(ram + dsdt, len, "PCI0", 4));
	assert_non_null(memmem(ram + dsdt, len, "_PRT", 4));
	assert_non_null(memmem(ram + dsdt, len, "\x41\xd0\x0a\x03", 4)); /* PNP0A03 */
	assert_non_null(memmem(ram + dsdt, len, &window, sizeof(window)));
	assert_non_null(memmem(ram + dsdt, len, ports, sizeof(ports)));
	assert_non_null(memmem(ram + dsdt, len, ecam, sizeof(ecam)));
}

static void test_limits(void **state)
{
	struct gmem small = mem;
	(void)state;
	small.ext[0].len = GUEST_ACPI_BASE + GUEST_ACPI_LEN - 1;
	assert_int_equal(guest_acpi_build(&small, 1).v, 0);
	assert_int_equal(ram[GUEST_ACPI_BASE], 0xaa);
	assert_int_equal(guest_acpi_build(&mem, CONFIG_MAX_VCPUS + 1).v, 0);
	assert_int_not_equal(guest_acpi_build(&mem, CONFIG_MAX_VCPUS).v, 0);
	check_table(find_table("APIC"), "APIC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_roots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fadt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_s5, setup, teardown),
		cmocka_unit_test_setup_teardown(test_madt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mcfg, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pci_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
