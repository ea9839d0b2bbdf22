/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joins three that do not know each other: boot's copy of the RSDP, the ACPI parser, and the
 * hypervisor's page tables. kmain calls it.
 */
#include "acpi_host.h"
#include "cpu.h"
#include "gmem.h"

#define HPET_LEN 0x400

static const void *window_map(maybe_unused void *ctx, u64 addr, u64 len)
{
	return host_is_mapped(addr, len) ? phys_ptr(HPA(addr)) : NULL;
}

bool acpi_start(const struct boot_info *info, struct acpi_info *out)
{
	static const struct acpi_memory window = { .map = window_map };
	u8 found[36];
	bool is_told = info->rsdp_len; /* multiboot1 does not tell */
	u32 len = is_told ? info->rsdp_len : acpi_find_rsdp(&window, found);

	if (acpi_parse(&window, is_told ? info->rsdp : found, len, out) != STATUS_OK) {
		return false;
	}
	mmio_map(out->lapic_addr, PAGE_SIZE);
	if (out->hpet_addr) {
		mmio_map(out->hpet_addr, HPET_LEN);
	}
	return true;
}
