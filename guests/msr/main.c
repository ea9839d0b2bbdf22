/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RDMSR, WRMSR: known ones hold what was written, illegal values and unknown numbers are #GP, and
 * those that never exit (FS, GS, STAR ..) survive exits. Bare QEMU is lax here: only checked under Bulkhead.
 */
#include "lib/guest.h"

static uint64_t value;

static int try_rdmsr(uint32_t msr)
{
	uint32_t lo = 0, hi = 0;
	int vector = TRY("rdmsr", : "+a"(lo), "+d"(hi) : "c"(msr) : "memory");
	value = (uint64_t)hi << 32 | lo;
	return vector;
}

static int try_wrmsr(uint32_t msr, uint64_t v)
{
	return TRY("wrmsr", : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static void refused(uint32_t msr, uint64_t v)
{
	int before = try_rdmsr(msr);
	uint64_t old = value;
	CHECK(try_wrmsr(msr, v) == 13, "MSR %x takes %lx", msr, v);
	CHECK(try_frame.error == 0, "error code %lx", try_frame.error);
	CHECK(try_rdmsr(msr) == before && value == old, "MSR %x changed to %lx", msr, value);
}

static void holds(uint32_t msr, uint64_t v)
{
	CHECK(try_rdmsr(msr) == -1, "no MSR %x", msr);
	uint64_t old = value;
	CHECK(try_wrmsr(msr, v) == -1, "MSR %x refuses %lx", msr, v);
	CHECK(try_rdmsr(msr) == -1 && value == v, "MSR %x: %lx, not %lx", msr, value, v);
	try_wrmsr(msr, old);
}

static void unknown(void)
{
	static const uint32_t none[] = { 0x2, 0x1234, 0x3a + 0x1000, 0x40000000, 0xc0001234, 0xc0010117,
					 0xc0011fff, 0xffffffff, 0x480, 0xc0000083 + 0x100 };
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		CHECK(try_rdmsr(none[i]) == 13, "MSR %x is there: %lx", none[i], value);
		CHECK(try_wrmsr(none[i], 0) == 13, "MSR %x can be written", none[i]);
	}
}

/* RDMSR and WRMSR look at ECX only, and RDMSR clears the upper halves */
static void registers(void)
{
	uint64_t a = ~0ull, d = ~0ull, c = 0xffffffff00000000ull | 0x277;
	if (is_lax()) {
		skip("upper half of RCX", "QEMU 7.2 indexes SVM's permission map by all of it");
		c = 0x277;
	}
	__asm__ volatile("rdmsr" : "+a"(a), "+d"(d) : "c"(c));
	uint64_t again = rdmsr(0x277);
	CHECK(!(a >> 32) && !(d >> 32) && (d << 32 | a) == again, "%lx %lx, then %lx", a, d, again);
}

static void efer(void)
{
	uint64_t old = rdmsr(0xc0000080);
	CHECK((old & 0x1500) == 0x500, "EFER %lx: LME LMA, no SVME", old);
	refused(0xc0000080, old | 1 << 1);
	refused(0xc0000080, old | 1 << 12); /* SVME: no SVM for this guest */
	refused(0xc0000080, old | 1ull << 63);
	refused(0xc0000080, old & ~0x100ull); /* LME while paging */
	holds(0xc0000080, old | 1);
	holds(0xc0000080, old | 1 << 11);
}

static void memory_types(void)
{
	holds(0x277, 0x0007040600070406);
	holds(0x277, 0x0001040506070006);
	refused(0x277, 0x02);
	refused(0x277, 0x03ull << 56);
	refused(0x277, 0x08ull << 32);
	CHECK(try_rdmsr(0xfe) == -1 && (value & 0xff) == 8, "MTRRCAP %lx", value);
	refused(0xfe, 0);
	holds(0x2ff, 0xc00);
	holds(0x2ff, 0x806);
	refused(0x2ff, 0x802);
	refused(0x2ff, 0x1000);
	holds(0x200, 0x80000006);
	holds(0x201, 0xf80000800);
	refused(0x200, 0x80000002);
	holds(0x250, 0x0606060606060606);
	refused(0x26f, 0x0606060606060602);
}

/* Of the segment and SYSCALL MSRs the CPU itself takes care; an exit must not lose them */
static void pass_through(void)
{
	static const uint32_t msr[] = { 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100,
					0xc0000101, 0xc0000102, 0x174, 0x175, 0x176 };
	uint32_t r[4];
	for (unsigned i = 0; i < sizeof(msr) / sizeof(msr[0]); i++) {
		wrmsr(msr[i], 0x1000 + i * 0x10);
	}
	for (unsigned n = 0; n < 100; n++) {
		cpuid(0, 0, r);
		inb(0x1e0);
	}
	for (unsigned i = 0; i < sizeof(msr) / sizeof(msr[0]); i++) {
		CHECK(rdmsr(msr[i]) == 0x1000 + i * 0x10, "MSR %x: %lx", msr[i], rdmsr(msr[i]));
	}
}

static void ignores(uint32_t first, uint32_t last)
{
	for (uint32_t msr = first; msr <= last; msr++) {
		CHECK(try_wrmsr(msr, 0x1234) == -1, "MSR %x cannot be written", msr);
		CHECK(try_rdmsr(msr) == -1 && value == 0, "MSR %x: %lx", msr, value);
	}
}

/* Counters that count nothing; no machine check banks, so no MSRs of one */
static void counters_and_checks(void)
{
	if (is_intel()) {
		ignores(0xc1, 0xc2);
		ignores(0x186, 0x187);
	} else {
		ignores(0xc0010000, 0xc0010007);
		ignores(0xc0010200, 0xc001020b);
	}
	CHECK(try_rdmsr(0x179) == -1 && value == 0, "MCG_CAP %lx", value);
	holds(0x17a, 4);
	refused(0x17a, 8);
	for (uint32_t msr = 0x400; msr < 0x404; msr++) {
		CHECK(try_rdmsr(msr) == 13 && try_wrmsr(msr, 0) == 13, "MSR %x is there", msr);
	}
}

static void tsc(void)
{
	wrmsr(0x10, 1ull << 40);
	uint64_t now = rdtsc();
	CHECK(now >= 1ull << 40 && now < 3ull << 39, "TSC %lx", now);
	uint64_t read = rdmsr(0x10);
	CHECK(read >= now && read - now < 1ull << 36, "MSR %lx after RDTSC %lx", read, now);
}

static void in_user(void)
{
	rdmsr(0x277);
}

int main(const char *cmdline)
{
	(void)cmdline;
	registers();
	pass_through();
	CHECK(user_run(in_user) == 13, "RDMSR in user mode");
	CHECK(rdmsr(0x1b) >> 12 == 0xfee00 && (rdmsr(0x1b) & 0x900) == 0x900, "APIC_BASE %lx", rdmsr(0x1b));
	if (is_hosted()) {
		tsc();
		unknown();
		efer();
		memory_types();
		counters_and_checks();
		refused(0x1b, 0xfed00900);
		if (!is_lax()) {
			refused(0xc0000102, 0x8000000000000000);
		} else {
			skip("non-canonical KERNEL_GS_BASE", "does not exit, and QEMU itself takes it");
		}
	}
	return (int)failures;
}
