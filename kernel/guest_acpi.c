// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ACPI tables a guest finds. They describe the virtual PC of devices/ and nothing of the host;
 * iasl made them of the files in acpi, checksums and each other's addresses included. What depends
 * on the partition is added here: its local APICs. Called before a partition's kernel is loaded.
 */
#include "config.h"
#include "lib/lib.h"
#include "loader.h"
#include "log.h"
#include "acpi_tables.h"

/* Where those files expect each other, behind GUEST_ACPI_BASE */
enum { RSDP = 0, RSDT = 0x40, XSDT = 0x80, FACS = 0xc0, FADT = 0x100, MADT = 0x240, MCFG = 0x3c0,
       DSDT = 0x400 };

#define TABLE(offset, bytes) { offset, sizeof(bytes), bytes }
static const struct {
	u32 offset, len;
	const u8 *bytes;
} tables[] = {
	TABLE(RSDP, acpi_rsdp), TABLE(RSDT, acpi_rsdt), TABLE(XSDT, acpi_xsdt),
	TABLE(FACS, acpi_facs), TABLE(FADT, acpi_fadt), TABLE(MCFG, acpi_mcfg),
	TABLE(DSDT, acpi_dsdt),
};

/* Offsets in the MADT (ACPI 6.5 5.2.12) and in its I/O APIC entry, the first */
enum { LEN = 4, CHECKSUM = 9, IOAPIC_ID = 44 + 2, LAPIC_LEN = 8 };
#define MADT_MAX (sizeof(acpi_madt) + CONFIG_MAX_VCPUS * LAPIC_LEN)
static_assert(MADT_MAX < 256 && MADT + MADT_MAX <= MCFG, "one byte of length, and room");

/* One enabled local APIC per CPU, IDs from 0; the I/O APIC's follows. Return: the table's length */
static u32 madt_build(u8 madt[MADT_MAX], u32 nr_vcpus)
{
	u32 len = sizeof(acpi_madt);
	memcpy(madt, acpi_madt, len);
	for (u32 i = 0; i < nr_vcpus; i++, len += LAPIC_LEN) {
		memcpy(madt + len, (u8[LAPIC_LEN]){ 0, LAPIC_LEN, (u8)i, (u8)i, 1 }, LAPIC_LEN);
	}
	madt[IOAPIC_ID] = (u8)nr_vcpus;
	madt[LEN] = (u8)len;
	madt[CHECKSUM] = 0;
	u8 sum = 0;
	for (u32 i = 0; i < len; i++) {
		sum = (u8)(sum + madt[i]);
	}
	madt[CHECKSUM] = (u8)-sum;
	return len;
}

gpa guest_acpi_build(const struct gmem *mem, u32 nr_vcpus)
{
	u8 madt[MADT_MAX];
	if (nr_vcpus > CONFIG_MAX_VCPUS ||
	    !gmem_fill(mem, GPA(GUEST_ACPI_BASE), 0, GUEST_ACPI_LEN)) {
		return GPA(0);
	}
	for (u32 i = 0; i < ARRAY_SIZE(tables); i++) {
		BUG_ON(!gmem_write(mem, GPA(GUEST_ACPI_BASE + tables[i].offset), tables[i].bytes,
				   tables[i].len));
	}
	BUG_ON(!gmem_write(mem, GPA(GUEST_ACPI_BASE + MADT), madt, madt_build(madt, nr_vcpus)));
	return GPA(GUEST_ACPI_BASE + RSDP);
}
