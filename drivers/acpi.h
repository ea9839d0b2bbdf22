/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the firmware's ACPI tables say, as plain data: CPUs, I/O APICs, timers, how to power off.
 * Pure: memory is read through an injected window, every length is checked, nothing is trusted.
 * ACPI 6.5 chapters 5.2.5 to 5.2.12; HPET specification 1.0a 3.2.4.
 */
#ifndef BULKHEAD_ACPI_H
#define BULKHEAD_ACPI_H

#include "types.h"

#define ACPI_MAX_CPUS 64

/* @map: a pointer to [addr, addr+len), or NULL if that is not readable memory */
struct acpi_memory {
	const void *(*map)(void *ctx, u64 addr, u64 len);
	void *ctx;
};

struct acpi_info {
	u32 apic_id[ACPI_MAX_CPUS]; /* enabled CPUs, in MADT order */
	u32 nr_cpus;
	u64 lapic_addr;
	u16 pm_timer_port; /* 0 = none */
	u16 pm1a_cnt_port, pm1b_cnt_port;
	bool has_s5;
	u8 s5_typ_a, s5_typ_b;
	u16 reset_port; /* 0 = none */
	u8 reset_value;
	u64 hpet_addr; /* 0 = none */
};

/**
 * acpi_parse() - @rsdp: bytes of the RSDP (20 or 36), from the boot loader or acpi_find_rsdp()
 *
 * Return: STATUS_NOT_FOUND: no good RSDP, root table or MADT. What an optional table would have
 * said is left zero. S5 is read from the DSDT's \_S5 package by pattern.
 */
enum status must_check acpi_parse(const struct acpi_memory *mem, const u8 *rsdp, u32 rsdp_len,
				  struct acpi_info *out);

/** acpi_find_rsdp() - search the EBDA and 0xe0000..0xfffff. Return: its length (20 or 36), or 0. */
u32 acpi_find_rsdp(const struct acpi_memory *mem, u8 out[36]);

#endif
