/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID: the signature, what must not be seen (VMX, SVM), leaves beyond the last, the timing leaf; and the instruction
 * under prefixes and in a row, for whoever finds out its length.
 */
#include "abi/hypercall.h"
#include "lib/guest.h"

enum { EAX, EBX, ECX, EDX };

static void check_features(void)
{
	CHECK(!cpu_has(1, ECX, 5), "VMX is visible");
	CHECK(!cpu_has(0x80000001, ECX, 2), "SVM is visible");
	CHECK(!cpu_has(1, ECX, 3), "MONITOR is visible");
	CHECK(cpu_has(1, ECX, 31), "no hypervisor bit");
	CHECK(cpu_has(1, EDX, 5) && cpu_has(1, EDX, 9), "MSR, APIC missing");
	CHECK(cpu_has(0x80000001, EDX, 29), "long mode missing");
}

static void check_signature(void)
{
	uint32_t r[4];
	cpuid(BULKHEAD_CPUID_BASE, 0, r);
	CHECK(is_hosted(), "signature %x %x %x", r[EBX], r[ECX], r[EDX]);
	CHECK(r[EAX] == 0x40000010, "last leaf %x", r[EAX]);
	cpuid(0x40000010, 0, r); /* r[EAX], TSC kHz: see guest tsc */
	CHECK(r[EBX] == 1000000, "APIC timer kHz %u", r[EBX]);
}

/* Leaf 1 says OSXSAVE just when CR4 does */
static void check_osxsave(void)
{
	uint64_t cr4;
	if (!cpu_has(1, ECX, 26)) {
		skip("OSXSAVE", "no XSAVE");
		return;
	}
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	CHECK(!cpu_has(1, ECX, 27), "OSXSAVE without CR4");
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 18));
	CHECK(cpu_has(1, ECX, 27), "OSXSAVE not seen");
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
}

/* The APIC's bit goes with APIC_BASE.EN, and comes again */
static void check_apic(void)
{
	uint64_t base = rdmsr(0x1b);
	CHECK(cpu_has(1, EDX, 9), "no APIC");
	wrmsr(0x1b, base & ~0x800ull);
	CHECK(!cpu_has(1, EDX, 9) && rdmsr(0x1b) == (base & ~0x800ull), "off: APIC_BASE %lx", rdmsr(0x1b));
	CHECK(is_intel() || !cpu_has(0x80000001, EDX, 9), "off, but AMD's bit is on");
	wrmsr(0x1b, base);
	CHECK(cpu_has(1, EDX, 9) && lapic_read(APIC_VERSION) != ~0u, "APIC does not come back");
}

#define PREFIXED(prefix)                                                                       \
	do {                                                                                   \
		uint32_t a = 0, b, c = 0, d, mark = 0;                                         \
		__asm__ volatile(prefix ".byte 0x0f, 0xa2\n\tmovl $0x600d, %4"                 \
				 : "+a"(a), "=b"(b), "+c"(c), "=d"(d), "+r"(mark));            \
		CHECK(a == plain[EAX] && b == plain[EBX] && mark == 0x600d, "under " prefix); \
	} while (0)

static void check_lengths(void)
{
	uint32_t plain[4];
	cpuid(0, 0, plain);
	PREFIXED(".byte 0x66\n\t");
	PREFIXED(".byte 0x67\n\t");
	PREFIXED(".byte 0xf2\n\t");
	PREFIXED(".byte 0xf3\n\t");
	PREFIXED(".byte 0x2e\n\t");
	PREFIXED(".byte 0x64, 0x65\n\t");
	PREFIXED(".byte 0x48\n\t");
	PREFIXED(".byte 0x66, 0xf3, 0x41\n\t");
	PREFIXED(".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66\n\t");
	int vector = TRY(".skip 14, 0x66\n\t.byte 0x0f, 0xa2", : : "a"(0), "c"(0) : "ebx", "edx");
	CHECK(vector == 13, "16 bytes: %d", vector);
	if (is_lax() && !is_hosted()) {
		skip("LOCK CPUID", "QEMU runs it");
		return;
	}
	vector = TRY(".byte 0xf0, 0x0f, 0xa2", : : "a"(0), "c"(0) : "ebx", "edx");
	CHECK(vector == 6, "LOCK CPUID: %d", vector);
}

/* CPUID writes all of four registers: upper halves are zero after it */
static void check_upper_halves(void)
{
	uint64_t a = ~0ull << 32, b = ~0ull, c = ~0ull << 32, d = ~0ull;
	__asm__ volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
	CHECK(!((a | b | c | d) >> 32), "%lx %lx %lx %lx", a, b, c, d);
}

static void from_user(void)
{
	uint32_t r[4];
	cpuid(0, 0, r);
	__asm__ volatile("int $0x80");
}

int main(const char *cmdline)
{
	uint32_t r[4];
	(void)cmdline;
	check_lengths();
	check_upper_halves();
	check_osxsave();
	CHECK(user_run(from_user) == USER_RETURN, "CPUID in user mode");
	if (is_hosted()) {
		check_features();
		check_signature();
		check_apic();
		cpuid(0x8fffffff, 0, r);
		CHECK(!(r[0] | r[1] | r[2] | r[3]), "leaf beyond the last");
	}
	return (int)failures;
}
