/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PVH kernel: what hvm_start_info says of memory, command line, modules and ACPI, and that the memory
 * it names is there. Arguments: mib=<n> of this partition, mods=<n> modules, whose strings end in
 * "sum=<n>" of their bytes.
 */
#include "lib/guest.h"

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp, memmap;
	uint32_t nr_memmap, reserved;
};

struct module {
	uint64_t addr, len, string, reserved;
};

struct range {
	uint64_t base, len;
	uint32_t type, reserved;
};

extern char bss_end[]; /* of the image */

static unsigned sum(uint64_t at, uint64_t len)
{
	unsigned s = 0;
	for (uint64_t i = 0; i < len; i++) {
		s += ((const uint8_t *)at)[i];
	}
	return s;
}

static void map(const struct start_info *info, uint64_t mib)
{
	const struct range *r = (const struct range *)info->memmap;
	uint64_t top = 0;
	for (unsigned i = 0; i < info->nr_memmap; i++) {
		CHECK(r[i].type == 1 || r[i].type == 2, "range %u type %u", i, r[i].type);
		CHECK(r[i].type == 2 || r[i].base >= top, "range %u at %lx", i, r[i].base);
		top = r[i].type == 1 ? r[i].base + r[i].len : top;
	}
	CHECK(top == mib << 20, "RAM ends at %lx", top);
	volatile uint64_t *last = (volatile uint64_t *)top - 1;
	*last = 0x123456789;
	CHECK(*last == 0x123456789 && last[1] == ~0ull, "end of RAM: %lx %lx", last[0], last[1]);
}

static void modules(const struct start_info *info, uint64_t n)
{
	const struct module *m = (const struct module *)info->modules;
	CHECK(info->nr_modules == n, "%u modules", info->nr_modules);
	for (unsigned i = 0; i < info->nr_modules; i++) {
		CHECK(m[i].addr % 4096 == 0 && m[i].addr >= (uint64_t)bss_end, "module at %lx", m[i].addr);
		CHECK(arg((const char *)m[i].string, "sum", 0) == sum(m[i].addr, m[i].len), "module %u \"%s\"", i,
		      (const char *)m[i].string);
	}
}

/* ACPI 5.2.5.3 "Root System Description Pointer (RSDP) Structure" */
static void rsdp(uint64_t at)
{
	CHECK(*(const uint64_t *)at == 0x2052545020445352, "RSDP at %lx", at); /* "RSD PTR " */
	CHECK((uint8_t)sum(at, 20) == 0 && (uint8_t)sum(at, 36) == 0, "checksums of the RSDP");
}

int main(const char *cmdline)
{
	const struct start_info *info = (const struct start_info *)boot_info;
	CHECK(info->magic == 0x336ec578 && info->version == 1, "magic %x version %u", info->magic, info->version);
	CHECK(info->flags == 0 && info->reserved == 0, "flags %x", info->flags);
	map(info, arg(cmdline, "mib", 4));
	modules(info, arg(cmdline, "mods", 0));
	rsdp(info->rsdp);
	return (int)failures;
}
