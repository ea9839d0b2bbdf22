/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports, MSRs, interrupts for others, instructions that are not for guests: each is answered, or refused with
 * the exception that the manuals name.
 */
#include "probe.h"

/* Left alone, since they end this guest as they should: debug exit, reset, power, its own console */
static bool is_taboo(unsigned port, unsigned width)
{
	static const struct {
		unsigned first, last;
	} taboo[] = { { 0xf4, 0xf7 }, { 0x60, 0x64 }, { 0x92, 0x92 }, { 0x3f8, 0x3ff }, { 0x600, 0x60f },
		      { 0xcf8, 0xcff } };
	for (unsigned i = 0; i < sizeof(taboo) / sizeof(taboo[0]); i++) {
		if (port + width > taboo[i].first && port <= taboo[i].last) {
			return true;
		}
	}
	return false;
}

static void one_port(unsigned port)
{
	inb((uint16_t)port);
	inw((uint16_t)port);
	inl((uint16_t)port);
	if (!is_taboo(port, 1)) {
		outb((uint16_t)port, (uint8_t)port);
	}
	if (!is_taboo(port, 2)) {
		outw((uint16_t)port, 0xffff);
	}
	if (!is_taboo(port, 4)) {
		outl((uint16_t)port, 0x55aa55aa);
	}
}

/* @step thins out what lies above the PC's own ports */
void probe_ports(uint64_t step)
{
	for (unsigned port = 0; port < 0x10000; port += port < 0x1000 ? 1 : (unsigned)step) {
		one_port(port);
	}
}

static int try_rdmsr(uint32_t msr, uint64_t *v)
{
	uint32_t lo = 0, hi = 0;
	int vector = TRY("rdmsr", : "+a"(lo), "+d"(hi) : "c"(msr) : "memory");
	*v = (uint64_t)hi << 32 | lo;
	return vector;
}

static int try_wrmsr(uint32_t msr, uint64_t v)
{
	return TRY("wrmsr", : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

/* What takes a wrong value gets its own back */
static void one_msr(uint32_t msr)
{
	static const uint64_t wrong[] = { ~0ull, 0x5555555555555555ull, 1ull << 63 };
	uint64_t old, now;
	int can_read = try_rdmsr(msr, &old);
	CHECK(can_read == -1 || can_read == 13, "RDMSR %x: %d", msr, can_read);
	for (unsigned i = 0; i < 3; i++) {
		int vector = try_wrmsr(msr, wrong[i]);
		CHECK(vector == -1 || vector == 13, "WRMSR %x: %d", msr, vector);
		CHECK(try_rdmsr(msr, &now) == can_read, "RDMSR %x differs after a write", msr);
		if (can_read == -1 && vector == -1) {
			try_wrmsr(msr, old);
		}
	}
}

void probe_msrs(uint64_t step)
{
	static const struct {
		uint32_t first, last;
	} known[] = { { 0x10, 0x1b }, { 0x3a, 0x3b }, { 0x48, 0x49 }, { 0x174, 0x17a }, { 0x200, 0x20f },
		      { 0x277, 0x277 }, { 0x400, 0x407 }, { 0x480, 0x493 }, { 0x6e0, 0x6e0 }, { 0x800, 0x83f },
		      { 0xc0000080, 0xc0000084 }, { 0xc0000100, 0xc0000103 }, { 0xc0010010, 0xc0010015 },
		      { 0xc0010111, 0xc001011f } };
	static const struct {
		uint32_t first, last;
	} ranges[] = { { 0, 0x1fff }, { 0xc0000000, 0xc0001fff }, { 0xc0010000, 0xc0011fff },
		       { 0x40000000, 0x400000ff }, { 0x4b564cf0, 0x4b564d0f }, { 0xfffffff0, 0xffffffff } };
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		for (uint32_t msr = known[i].first; msr <= known[i].last; msr++) {
			one_msr(msr);
		}
	}
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		for (uint64_t msr = ranges[i].first; msr <= ranges[i].last; msr += step) {
			one_msr((uint32_t)msr);
		}
	}
}

static void send(uint32_t dest, uint32_t low)
{
	lapic_write(APIC_ICR_HIGH, dest << 24);
	lapic_write(APIC_ICR, low);
}

#define LOGICAL	      (1 << 11)
#define ASSERT_LEVEL  (1 << 14)
#define ALL_OTHERS    (3 << 18)

/* Own CPU, APIC ID 0, takes fixed interrupts only, and has them off: they stay in its IRR */
void probe_interrupts(uint64_t step)
{
	for (uint32_t dest = 0; dest < 256; dest += (uint32_t)step) {
		for (uint32_t vector = 0; vector < 256; vector++) {
			send(dest, vector);
			if (vector % 16 == 0) {
				send(dest, LOGICAL | 1 << 8 | vector); /* lowest priority */
			}
		}
	}
	for (uint32_t dest = 1; dest < 255; dest++) {
		for (uint32_t mode = 2; mode < 8; mode++) { /* SMI, reserved, NMI, INIT, startup, ExtINT */
			send(dest, mode << 8 | ASSERT_LEVEL | 0x10);
		}
	}
	for (uint32_t mode = 0; mode < 8; mode++) {
		send(0, ALL_OTHERS | mode << 8 | ASSERT_LEVEL | 0x10);
	}
}

static uint8_t mem[4096] __attribute__((aligned(4096)));

#define IS_UD(insn)                                                                                      \
	do {                                                                                             \
		int v_ = TRY(insn, : : "a"(mem), "b"(mem), "c"(0), "d"(0), "D"(mem) : "memory", "cc");  \
		CHECK(v_ == 6, "%s: %d", insn, v_);                                                      \
	} while (0)

static void undefined(void)
{
	IS_UD("vmxon (%%rdi)");
	IS_UD("vmxoff");
	IS_UD("vmlaunch");
	IS_UD("vmresume");
	IS_UD("vmclear (%%rdi)");
	IS_UD("vmptrld (%%rdi)");
	IS_UD("vmread %%rax, %%rcx");
	IS_UD("vmwrite %%rax, %%rcx");
	IS_UD("invept (%%rdi), %%rax");
	IS_UD("invvpid (%%rdi), %%rax");
	IS_UD("vmfunc");
	IS_UD("vmrun");
	IS_UD("vmload");
	IS_UD("vmsave");
	IS_UD("stgi");
	IS_UD("clgi");
	IS_UD("skinit");
	IS_UD("monitor");
	IS_UD("mwait");
}

static void xcr0(void)
{
	static const uint64_t masks[] = { 0, 2, 4, 5, 1ull << 63 | 1, ~0ull, 1ull << 8 | 1, 0x21 };
	uint64_t cr4;
	if (!cpu_has(1, 2, 26)) {
		skip("XSETBV", "no XSAVE");
		return;
	}
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 18));
	for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]) && !is_lax(); i++) {
		int vector = TRY("xsetbv", : : "a"((uint32_t)masks[i]), "d"((uint32_t)(masks[i] >> 32)), "c"(0)
				 : "memory");
		CHECK(vector == 13, "XCR0 = %lx: %d", masks[i], vector);
	}
	for (uint32_t index = 1; index < 32; index++) {
		int vector = TRY("xsetbv", : : "a"(1), "d"(0), "c"(index) : "memory");
		CHECK(vector == 13, "XCR%u: %d", index, vector);
	}
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
}

void probe_instructions(uint64_t flood)
{
	undefined();
	xcr0();
	for (uint64_t i = 0; i < flood; i++) {
		__asm__ volatile("wbinvd; invd" : : : "memory");
	}
}

#define SETDR(n, v) TRY("mov %%rax, %%dr" #n, : : "a"((uint64_t)(v)) : "memory")

/* What TCG does not check, no exit lets us add */
static void is_fault(int vector, int want, const char *what)
{
	CHECK(vector == want || (vector == -1 && is_lax()), "%s: %d", what, vector);
}

static void breakpoints(void)
{
	CHECK(SETDR(7, 0xeeee07ff) == -1, "I/O breakpoints");
	inb(0x80);
	CHECK(SETDR(7, 0xffff07ff) == -1, "data breakpoints");
	is_fault(TRY("movb $0, (%%rdi)", : : "D"(mem) : "memory"), 1, "data breakpoint");
	if (is_bochs_svm()) {
		skip("DR7.GD", "Bochs leaves it set where #DB is intercepted (SVM)");
	} else {
		CHECK(SETDR(7, 0x2400) == -1, "DR7.GD");
		is_fault(SETDR(0, 0), 1, "general detect");
	}
}

/* Reserved bits, aliases that CR4.DE takes away, breakpoints on all that there is, general detect */
void probe_debug(uint64_t unused)
{
	uint64_t cr4;
	(void)unused;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	CHECK(SETDR(0, ~0ull) == -1 && SETDR(1, 1ull << 63) == -1, "DR0, DR1");
	CHECK(SETDR(2, LAPIC) == -1 && SETDR(3, mem) == -1, "DR2, DR3");
	is_fault(SETDR(6, 1ull << 32), 13, "DR6");
	is_fault(SETDR(7, 1ull << 63), 13, "DR7");
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 3));
	is_fault(SETDR(4, 0), 6, "DR4 with CR4.DE");
	is_fault(SETDR(5, 0), 6, "DR5 with CR4.DE");
	if (is_lax()) {
		/* VMRUN and #VMEXIT load DR7 past QEMU's own list of breakpoints, which then frees one twice */
		skip("breakpoints", "QEMU 7.2 does not always survive them");
	} else {
		breakpoints();
	}
	CHECK(SETDR(7, 0x400) == -1 && SETDR(6, 0xffff0ff0) == -1, "DR6, DR7");
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
}
