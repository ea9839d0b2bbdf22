/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC by MSRs: switching modes as SDM 3A 11.12.5 allows, #GP on what is reserved, self-IPI
 * register. Skipped where CPUID has no x2APIC.
 */
#include "lib/guest.h"

#define X2(reg) (0x800 + (reg) / 16)

static volatile unsigned hits;

static void on_ipi(struct trap_frame *f)
{
	(void)f;
	hits++;
	wrmsr(X2(APIC_EOI), 0);
}

static int try_wrmsr(uint32_t msr, uint64_t v)
{
	return TRY("wrmsr", : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static int try_rdmsr(uint32_t msr)
{
	uint32_t lo, hi;
	return TRY("rdmsr", : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
}

static void open_window(void)
{
	sti();
	inb(0x61);
	cli();
}

int main(const char *cmdline)
{
	(void)cmdline;
	uint64_t base = rdmsr(0x1b);
	if (!cpu_has(1, 2, 21)) {
		CHECK(try_rdmsr(0x802) == 13 || is_lax(), "x2APIC registers without x2APIC");
		CHECK(!is_hosted() || try_wrmsr(0x1b, base | 0x400) == 13, "EXTD without x2APIC");
		skip("x2apic", "not on this CPU");
		return (int)failures;
	}
	CHECK(try_rdmsr(X2(APIC_ID)) == 13, "registers in xAPIC mode");
	lapic_write(APIC_TPR, 0x20);
	CHECK(try_wrmsr(0x1b, base | 0x400) == -1, "EXTD");
	CHECK(rdmsr(X2(APIC_ID)) == 0 && (rdmsr(X2(APIC_VERSION)) & 0xf0) == 0x10, "ID, version");
	CHECK(rdmsr(X2(0xd0)) == 1, "LDR %lx", rdmsr(X2(0xd0)));
	on_interrupt(0x77, on_ipi);
	wrmsr(X2(APIC_TPR), 0);
	wrmsr(X2(APIC_SVR), 0x1ff);
	wrmsr(0x83f, 0x77);
	open_window();
	CHECK(hits == 1, "SELF IPI: %u", hits);
	wrmsr(0x830, 0x40077);
	open_window();
	CHECK(hits == 2, "shorthand: %u", hits);
	wrmsr(0x830, 0xffffffff00000077);
	open_window();
	CHECK(hits == 3, "broadcast: %u", hits);
	wrmsr(0x830, 0x0001000100000877); /* logical: cluster 1 is somebody else */
	open_window();
	CHECK(hits == 3, "logical to nobody: %u", hits);
	wrmsr(0x830, 0x0000000100000877); /* logical: CPU 0 of cluster 0 */
	open_window();
	CHECK(hits == 4, "logical: %u", hits);
	CHECK(try_wrmsr(X2(APIC_TPR), 0x100) == 13, "TPR bit 8");
	CHECK(try_wrmsr(X2(APIC_EOI), 1) == 13, "EOI of 1");
	CHECK(try_wrmsr(X2(APIC_ID), 0) == 13, "ID is read-only");
	CHECK(try_rdmsr(X2(APIC_EOI)) == 13, "EOI is write-only");
	CHECK(try_rdmsr(X2(0xe0)) == 13 && try_rdmsr(0x831) == 13, "DFR, ICR high: not there");
	CHECK(try_wrmsr(0x1b, base) == 13, "straight back to xAPIC");
	CHECK(try_wrmsr(0x1b, base & ~0x800ull) == -1, "off");
	CHECK(!cpu_has(1, 3, 9), "CPUID.APIC while off");
	CHECK(try_wrmsr(0x1b, base | 0x400) == 13, "from off to x2APIC");
	CHECK(try_wrmsr(0x1b, base) == -1 && cpu_has(1, 3, 9), "on again");
	CHECK(lapic_read(APIC_SVR) == 0xff, "SVR after reset %x", lapic_read(APIC_SVR));
	return (int)failures;
}
