/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot protocols: from files to guest memory and the vCPU's first state. Files may be hostile or cut
 * short: every offset is checked. Pure.
 */
#ifndef BULKHEAD_LOADER_H
#define BULKHEAD_LOADER_H

#include "config.h"
#include "gmem.h"
#include "vcpu.h"

struct blob {
	const void *data;
	u64 len;
};

struct load_module {
	struct blob file;
	const char *string; /* "file args" as configured */
};

/* Bulk that is still to be copied, from a file to claimed guest memory */
struct load_copy {
	u64 addr, len;
	const void *data;
};
#define LOAD_MAX_COPIES 32

struct load_plan {
	struct load_copy copy[LOAD_MAX_COPIES];
	u32 nr;
};

/* @plan: what is large goes there for the caller to copy; NULL, or full: all is copied at once */
struct load_input {
	const struct partition_config *cfg;
	struct blob kernel, initrd; /* initrd.len 0 = none */
	struct load_module modules[CONFIG_MAX_MODULES];
	u32 nr_modules;
	gpa rsdp; /* 0 = no ACPI */
	struct load_plan *plan;
};

enum entry_mode { ENTRY_REAL, ENTRY_PROTECTED, ENTRY_LONG };

/* The first vCPU's state. Protected and long: flat segments, @gdt where the protocol wants one. */
struct guest_entry {
	enum entry_mode mode;
	u64 rip, rsp, cr3;
	u64 gpr[NR_GPRS];
	u16 cs, ds;   /* selectors; real mode: cs base = cs << 4 */
	gpa gdt;
	u16 gdt_limit;
};

/** load_guest() - by cfg->boot, into cleared memory. Return: NULL, or why not (a named fault: "kernel truncated", ...). */
const char *must_check load_guest(const struct load_input *in, const struct gmem *mem,
				  struct guest_entry *out);

/** The guest's memory map, as protocols have it: 20 bytes, or 24 with 4 reserved ones. */
struct e820_entry {
	u64 base, len;
	u64 type; /* 32 bits: 1 RAM, 2 reserved, 3 ACPI */
};
#define E820_LEN 20
#define E820_MAX 16
u32 guest_e820(const struct gmem *mem, struct e820_entry out[E820_MAX]);

/** guest_acpi_build() - RSDP, RSDT, XSDT, FACS, FADT, MADT, MCFG, DSDT into the partition's memory at
 * GUEST_ACPI_BASE. Return: where the RSDP is, 0 if there is no room. */
#define GUEST_ACPI_BASE 0xe0000
#define GUEST_ACPI_LEN	0x10000
gpa guest_acpi_build(const struct gmem *mem, u32 nr_vcpus);

#endif
