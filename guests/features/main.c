/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID shows works: SMEP, SMAP, UMIP, protection keys, FS/GS base instructions, PCIDs and INVPCID,
 * RDTSCP, RDPID, RDRAND, RDSEED; and a bit of CR4 cannot be set where CPUID does not show its feature.
 */
#include "lib/guest.h"

enum { EAX, EBX, ECX, EDX };

#define BIT(n) (1ull << (n))
#define ALIAS  0x40000000ull /* low memory once more, for user mode */
#define PF_P   1
#define PF_I   0x10
#define PF_PK  0x20

static uint64_t cr4(void)
{
	uint64_t v;
	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

static int set_cr4(uint64_t v)
{
	return TRY("mov %0, %%cr4", : : "r"(v) : "memory");
}

static void flush_tlb(void)
{
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
}

/* All of memory for the supervisor only, but for the alias */
static void hide_from_user(bool is_hidden)
{
	for (unsigned i = 0; i < 2048; i++) {
		pd[i] = is_hidden ? pd[i] & ~4ull : pd[i] | 4;
	}
	pd[ALIAS >> 21] = 0x87;
	flush_tlb();
}

static bool offered(const char *name, uint32_t leaf, unsigned reg, unsigned bit, unsigned in_cr4)
{
	bool has = cpu_has(leaf, reg, bit);
	if (!has) {
		CHECK(!is_hosted() || set_cr4(cr4() | BIT(in_cr4)) == 13, "%s: CR4 takes it", name);
		skip(name, "not on this CPU");
	}
	return has;
}

static volatile uint32_t word = 0x600d;
void returns(void);
__asm__(".text\n\t.globl returns\nreturns:\tret\n");

static void smep(void)
{
	if (!offered("SMEP", 7, EBX, 7, 20)) {
		return;
	}
	uint64_t to = ALIAS + (uint64_t)returns;
	hide_from_user(true);
	CHECK(TRY("call *%0", : : "r"(to) : "memory") == -1, "user code without SMEP");
	CHECK(set_cr4(cr4() | BIT(20)) == -1, "SMEP");
	CHECK(TRY("call *%0", : : "r"(to) : "memory") == 14 && try_frame.error == (PF_P | PF_I), "user code: %d, %lx",
	      try_vector, try_frame.error);
	__asm__ volatile("add $8, %%rsp" : : : "memory"); /* what CALL pushed */
	set_cr4(cr4() & ~BIT(20));
	hide_from_user(false);
}

static void smap(void)
{
	uint32_t v = 0;
	if (!offered("SMAP", 7, EBX, 20, 21)) {
		return;
	}
	volatile uint32_t *from = (volatile uint32_t *)(ALIAS + (uint64_t)&word);
	hide_from_user(true);
	CHECK(set_cr4(cr4() | BIT(21)) == -1, "SMAP");
	CHECK(TRY("movl (%1), %0", : "+r"(v) : "r"(from) : "memory") == 14 && try_frame.error == PF_P, "user data: %d, %lx",
	      try_vector, try_frame.error);
	CHECK(TRY("stac; movl (%1), %0; clac", : "+r"(v) : "r"(from) : "memory") == -1 && v == 0x600d, "with AC: %x", v);
	set_cr4(cr4() & ~BIT(21));
	hide_from_user(false);
}

static uint8_t table[16];

static void read_gdtr(void)
{
	__asm__ volatile("sgdt table; int $0x80" : : : "memory");
}

static void umip(void)
{
	CHECK(user_run(read_gdtr) == USER_RETURN, "SGDT in user mode");
	if (!offered("UMIP", 7, ECX, 2, 11)) {
		return;
	}
	CHECK(set_cr4(cr4() | BIT(11)) == -1, "UMIP");
	CHECK(user_run(read_gdtr) == 13, "SGDT in user mode with UMIP");
	CHECK(TRY("sgdt %0", : "=m"(table)) == -1, "SGDT");
	set_cr4(cr4() & ~BIT(11));
}

/* All pages are of key 0 */
static void keys(void)
{
	uint32_t v = 0;
	if (!offered("PKU", 7, ECX, 3, 22)) {
		return;
	}
	CHECK(set_cr4(cr4() | BIT(22)) == -1 && cpu_has(7, ECX, 4), "PKE and OSPKE");
	hide_from_user(true);
	__asm__ volatile("wrpkru" : : "a"(1), "c"(0), "d"(0));
	int vector = TRY("movl (%1), %0", : "+r"(v) : "r"(ALIAS + (uint64_t)&word) : "memory");
	uint64_t error = try_frame.error;
	__asm__ volatile("wrpkru" : : "a"(0), "c"(0), "d"(0));
	CHECK(vector == 14 && error == (PF_P | PF_PK), "user data with a key: %d, %lx", vector, error);
	hide_from_user(false);
	set_cr4(cr4() & ~BIT(22));
}

static void bases(void)
{
	uint64_t v = 0;
	if (!offered("FSGSBASE", 7, EBX, 0, 16)) {
		return;
	}
	CHECK(TRY("rdfsbase %0", : "=r"(v)) == 6, "RDFSBASE without CR4");
	CHECK(set_cr4(cr4() | BIT(16)) == -1, "FSGSBASE");
	__asm__ volatile("wrfsbase %0; wrgsbase %1" : : "r"(0x123456789000ull), "r"(0xffff800000001000ull));
	inb(0x1e0);
	__asm__ volatile("rdfsbase %0" : "=r"(v));
	CHECK(v == 0x123456789000 && rdmsr(0xc0000100) == v, "FS base %lx", v);
	__asm__ volatile("rdgsbase %0" : "=r"(v));
	CHECK(v == 0xffff800000001000 && rdmsr(0xc0000101) == v, "GS base %lx", v);
	if (!is_lax()) {
		CHECK(TRY("wrfsbase %0", : : "r"(1ull << 47)) == 13, "a base that is not canonical");
	}
	set_cr4(cr4() & ~BIT(16));
}

static void pcid(void)
{
	uint64_t d[2] = { 0, 0 };
	bool has_invpcid = cpu_has(7, EBX, 10);
	int vector = TRY("invpcid (%0), %1", : : "r"(d), "r"(2ull) : "memory");
	CHECK(vector == (has_invpcid ? -1 : 6), "INVPCID: %d", vector);
	if (has_invpcid) {
		CHECK(TRY("invpcid (%0), %1", : : "r"(d), "r"(4ull) : "memory") == 13, "INVPCID of type 4");
	}
	offered("PCID", 1, ECX, 17, 17);
}

static void numbers(void)
{
	uint32_t lo, hi, aux = 0;
	uint64_t v = 0;
	if (cpu_has(0x80000001, EDX, 27)) {
		wrmsr(0xc0000103, 0x1234567);
		uint64_t before = rdtsc();
		__asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
		CHECK(aux == 0x1234567 && ((uint64_t)hi << 32 | lo) >= before, "RDTSCP: %x", aux);
	}
	if (cpu_has(7, ECX, 22)) {
		__asm__ volatile("rdpid %0" : "=r"(v));
		CHECK(v == 0x1234567, "RDPID %lx", v);
	}
	if (cpu_has(1, ECX, 30)) {
		CHECK(TRY("rdrand %0", : "=r"(v) : : "cc") == -1, "RDRAND: %d", try_vector);
	}
	if (cpu_has(7, EBX, 18)) {
		CHECK(TRY("rdseed %0", : "=r"(v) : : "cc") == -1, "RDSEED: %d", try_vector);
	}
}

int main(const char *cmdline)
{
	(void)cmdline;
	smep();
	smap();
	umip();
	keys();
	bases();
	pcid();
	numbers();
	return (int)failures;
}
