/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INS and OUTS: REP, both directions, segment override, 32-bit addresses, across pages, more than any
 * batch, and a page fault in the midst that leaves registers where the CPU would.
 */
#include "lib/guest.h"

#define SCRATCH (COM1 + 7)
#define NOBODY	0x1e0

static uint8_t buf[3 * 4096] __attribute__((aligned(4096)));

struct rep {
	uint64_t rsi, rdi, rcx;
};

#define STRING(insn, r, port)                                                            \
	__asm__ volatile(insn : "+S"((r).rsi), "+D"((r).rdi), "+c"((r).rcx) : "d"((uint16_t)(port)) \
			 : "memory", "cc")

static void single(void)
{
	buf[5] = 0x3c;
	struct rep r = { (uint64_t)&buf[5], 0, 7 };
	STRING("outsb", r, SCRATCH);
	CHECK(inb(SCRATCH) == 0x3c && r.rsi == (uint64_t)&buf[6] && r.rcx == 7, "OUTSB");
	r = (struct rep){ 0, (uint64_t)&buf[9], 7 };
	STRING("insb", r, SCRATCH);
	CHECK(buf[9] == 0x3c && r.rdi == (uint64_t)&buf[10] && r.rcx == 7, "INSB");
	r = (struct rep){ 0, (uint64_t)&buf[9], 0 };
	STRING("rep insb", r, NOBODY);
	CHECK(buf[9] == 0x3c && r.rdi == (uint64_t)&buf[9], "REP with a count of 0");
	r = (struct rep){ 0, (uint64_t)&buf[9], 2 };
	STRING("std; rep insb; cld", r, SCRATCH);
	CHECK(buf[8] == 0x3c && r.rdi == (uint64_t)&buf[7] && r.rcx == 0, "backwards");
}

static void widths(void)
{
	struct rep r = { 0, (uint64_t)buf, 3 };
	memset(buf, 0, 16);
	STRING("rep insw", r, NOBODY);
	CHECK(buf[5] == 0xff && buf[6] == 0 && r.rdi == (uint64_t)&buf[6], "REP INSW");
	r = (struct rep){ 0, (uint64_t)buf, 3 };
	STRING("rep insl", r, NOBODY);
	CHECK(buf[11] == 0xff && buf[12] == 0 && r.rdi == (uint64_t)&buf[12], "REP INSL");
	r = (struct rep){ (uint64_t)buf, 0, 1 };
	buf[0] = 0, buf[1] = 0x66;
	STRING("rep outsw", r, SCRATCH - 1);
	CHECK(inb(SCRATCH) == 0x66, "REP OUTSW");
}

/* The segment of OUTS can be overridden; a 32-bit address leaves the upper halves behind */
static void addressing(void)
{
	wrmsr(0xc0000100, (uint64_t)buf);
	buf[0x21] = 0x42;
	struct rep r = { 0x21, 0, 1 };
	STRING("rep outsb %%fs:(%%rsi), %%dx", r, SCRATCH);
	CHECK(inb(SCRATCH) == 0x42 && r.rsi == 0x22, "FS override: %x", inb(SCRATCH));
	buf[0x30] = 0x43;
	r = (struct rep){ (uint64_t)&buf[0x30] | 0xabcd00000000, 0, 0x500000001 };
	STRING("rep outsb (%%esi), %%dx", r, SCRATCH);
	CHECK(inb(SCRATCH) == 0x43 && r.rsi == (uint64_t)&buf[0x31] && r.rcx == 0, "rsi %lx rcx %lx",
	      r.rsi, r.rcx);
	r = (struct rep){ 0, (uint64_t)&buf[0x40] | 0xabcd00000000, 2 };
	STRING("rep insb %%dx, (%%edi)", r, SCRATCH);
	CHECK(buf[0x41] == 0x43 && r.rdi == (uint64_t)&buf[0x42], "rdi %lx", r.rdi);
}

/* Longer than a batch, and elements that straddle pages */
static void long_ones(void)
{
	memset(buf, 0, sizeof(buf));
	struct rep r = { 0, (uint64_t)&buf[4095], 1024 };
	STRING("rep insl", r, NOBODY);
	CHECK(buf[4094] == 0 && buf[4095] == 0xff && buf[4096] == 0xff && buf[8190] == 0xff && buf[8191] == 0,
	      "across pages");
	CHECK(r.rcx == 0 && r.rdi == (uint64_t)&buf[8191], "rdi %lx rcx %lx", r.rdi, r.rcx);
	r = (struct rep){ (uint64_t)buf, 0, sizeof(buf) };
	buf[sizeof(buf) - 1] = 0x99;
	STRING("rep outsb", r, SCRATCH);
	CHECK(inb(SCRATCH) == 0x99 && r.rcx == 0, "REP OUTSB of %lu bytes", sizeof(buf));
}

/* 4 KiB pages for buf's 2 MiB, its last one absent: #PF with RCX, RDI where it happened */
static void fault(void)
{
	static uint64_t pt[512] __attribute__((aligned(4096)));
	uint64_t base = (uint64_t)buf & ~0x1fffffull, old = pd[base >> 21], hole = (uint64_t)buf + 8192;
	for (unsigned i = 0; i < 512; i++) {
		pt[i] = (base + i * 4096) | 7;
	}
	pt[(hole - base) >> 12] = 0;
	pd[base >> 21] = (uint64_t)pt | 7;
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
	struct rep r = { 0, hole - 6, 100 };
	int vector = TRY("rep insb", : "+D"(r.rdi), "+c"(r.rcx) : "d"(SCRATCH) : "memory");
	uint64_t cr2;
	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	CHECK(vector == 14 && try_frame.error == 2, "vector %d error %lx", vector, try_frame.error);
	if (is_bochs_svm()) {
		skip("CR2", "Bochs does not load it from the VMCB");
	} else {
		CHECK(cr2 == hole, "CR2 %lx", cr2);
	}
	CHECK(r.rdi == hole && r.rcx == 94, "rdi %lx rcx %lu", r.rdi, r.rcx);
	r = (struct rep){ hole - 1, 0, 1 };
	vector = TRY("rep outsw", : "+S"(r.rsi), "+c"(r.rcx) : "d"(NOBODY) : "memory");
	CHECK(vector == 14 && try_frame.error == 0 && r.rsi == hole - 1 && r.rcx == 1, "OUTSW: %d %lx", vector,
	      try_frame.error);
	pd[base >> 21] = old;
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
}

int main(const char *cmdline)
{
	(void)cmdline;
	single();
	widths();
	addressing();
	long_ones();
	fault();
	return (int)failures;
}
