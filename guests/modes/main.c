/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Through all of the CPU's modes and back, with exits in each: long, compatibility, protected without
 * paging, PAE paging, 32-bit paging, real mode, and long again. modes.S walks, and notes what it saw.
 */
#include "lib/guest.h"

/* What modes.S notes, in order; each step reads CPUID's vendor, a port and guest memory */
struct notes {
	uint32_t vendor[6]; /* EBX of CPUID 0 */
	uint32_t port[6];   /* IN from nobody: ones */
	uint32_t cr0[6];
	uint32_t mem[6]; /* a word read through the mode's own addressing */
	uint32_t efer[6];
};

extern volatile struct notes notes;
extern volatile uint32_t word, unreal_apic; /* the latter: the APIC's version, read in real mode */
extern uint64_t pae_pdpt[4];
extern uint32_t legacy_pd[1024];
void walk_modes(void);

static const char *const names[6] = { "compatibility", "protected", "PAE", "32-bit paging", "real", "protected again" };

static void build_tables(void)
{
	for (unsigned i = 0; i < 4; i++) {
		pae_pdpt[i] = (uint64_t)&pd[512 * i] | 1;
	}
	for (unsigned i = 0; i < 1024; i++) {
		legacy_pd[i] = i << 22 | 0x83;
	}
}

static void walk(void)
{
	uint32_t r[4];
	build_tables(); /* each time: QEMU sets reserved bits (A) in PDPTEs */
	cpuid(0, 0, r);
	walk_modes();
	for (unsigned i = 0; i < 6; i++) {
		CHECK(notes.vendor[i] == r[1], "%s: CPUID %x", names[i], notes.vendor[i]);
		CHECK(notes.port[i] == 0xffffffff, "%s: IN %x", names[i], notes.port[i]);
		CHECK(notes.mem[i] == word, "%s: memory %x", names[i], notes.mem[i]);
		bool has_pg = i == 0 || i == 2 || i == 3, has_pe = i != 4;
		CHECK((notes.cr0[i] >> 31) == has_pg && (notes.cr0[i] & 1) == has_pe, "%s: CR0 %x", names[i],
		      notes.cr0[i]);
		CHECK((notes.efer[i] & 0x400) == (i == 0 ? 0x400 : 0), "%s: EFER %x", names[i], notes.efer[i]);
	}
	CHECK(unreal_apic == lapic_read(APIC_VERSION), "real mode beyond 64 KiB: %x", unreal_apic);
	CHECK(rdmsr(0xc0000080) & 0x400, "long mode again");
}

int main(const char *cmdline)
{
	(void)cmdline;
	word = 0x600dbeef;
	walk();
	word = 0xfeedf00d;
	walk();
	return (int)failures;
}
