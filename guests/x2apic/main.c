/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC by MSRs: switching modes as SDM 3A 11.12.5 allows and what survives it, which registers
 * there are and which of their bits are reserved, 64-bit ICR, logical IDs, self-IPI register, errors.
 * Skipped on a bare CPU whose CPUID has no x2APIC; Bulkhead has one for everybody.
 */
#include "lib/guest.h"

#define X2(reg)	     (0x800 + (reg) / 16)
#define APIC_BASE    0x1b
#define EXTD	     0x400ull
#define EN	     0x800ull
#define VEC	     0x77
#define ICR	     0x830
#define SELF_IPI     0x83f
#define TSC_DEADLINE 0x6e0

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

/* SDM 3A table 11-6: r read, w write, one letter for each of 64 registers */
static void existence(void)
{
	static const char *const rows[4] = {
		"--rr----b-rw-r-b", /* ID version; TPR PPR EOI LDR SVR */
		"rrrrrrrrrrrrrrrr", /* ISR TMR */
		"rrrrrrrrb-------", /* IRR; ESR */
		"b-bbbbbbbr----bw", /* ICR, LVTs, counts; divide, self-IPI */
	};
	for (uint32_t n = 0; n < 0x100; n++) {
		char c = n < 0x40 ? rows[n / 16][n % 16] : '-';
		bool can_read = c == 'r' || c == 'b', can_write = c == 'w' || c == 'b';
		CHECK((try_rdmsr(0x800 + n) == -1) == can_read, "read of %x", 0x800 + n);
		if (!can_write) {
			CHECK(try_wrmsr(0x800 + n, 0) == 13, "write of %x", 0x800 + n);
		} else if (0x800 + n != ICR) {
			CHECK(try_wrmsr(0x800 + n, 1ull << 32) == 13, "bit 32 of %x", 0x800 + n);
		}
	}
}

/* 11.12.1.3: a reserved bit that is set raises #GP, and nothing changes */
static void reserved_bits(void)
{
	static const struct {
		uint32_t msr, valid;
	} t[] = {
		{ X2(APIC_TPR), 0xff },	      { X2(APIC_EOI), 0 },	    { X2(0x280), 0 },
		{ X2(APIC_TIMER), 0x700ff }, { X2(0x330), 0x107ff }, { X2(0x340), 0x107ff },
		{ X2(APIC_LINT0), 0x1e7ff }, { X2(0x370), 0x100ff }, { X2(APIC_DIVIDE), 0xb },
		{ SELF_IPI, 0xff },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		for (unsigned bit = 0; bit < 32; bit++) {
			if (!(t[i].valid >> bit & 1) && !(bit == 12 && t[i].msr >= 0x832)) {
				CHECK(try_wrmsr(t[i].msr, 1ull << bit) == 13, "bit %u of %x", bit, t[i].msr);
			}
		}
	}
	CHECK(try_wrmsr(X2(APIC_SVR), 0x11ff) == 13, "SVR bit 12: no suppression of EOIs");
	CHECK(try_wrmsr(ICR, 0x100077) == 13, "ICR bit 20");
}

static void send(uint64_t icr, unsigned expected, const char *what)
{
	hits = 0;
	wrmsr(ICR, icr | VEC);
	open_window();
	CHECK(hits == expected, "%s: %u", what, hits);
	CHECK(rdmsr(ICR) == (icr | VEC), "ICR %lx", rdmsr(ICR));
}

/* 11.12.9, 11.12.10: 32-bit IDs, logical ones made of them: CPU 0 is 1 of cluster 0 */
static void destinations(void)
{
	CHECK(rdmsr(X2(APIC_ID)) == 0, "ID %lx", rdmsr(X2(APIC_ID)));
	CHECK(rdmsr(X2(0xd0)) == 1, "LDR %lx", rdmsr(X2(0xd0)));
	send(0x0000000000000000, 1, "ID");
	send(0x0000010000000000, 0, "ID 256");
	send(0x000000ff00000000, 0, "ID 255 is no broadcast");
	send(0xffffffff00000000, 1, "broadcast");
	send(0xffffffff00000800, 1, "logical broadcast");
	send(0x0000000100000800, 1, "logical");
	send(0x0000ffff00000800, 1, "all of the cluster");
	send(0x0000fffe00000800, 0, "all others of the cluster");
	send(0x0001000100000800, 0, "cluster 1");
	send(0x0000000100000900, 1, "lowest priority");
	send(0x0000000000040000, 1, "self");
	send(0x0000000000080000, 1, "all");
	send(0x00000000000c0000, 0, "all others");
	send(0x0000000000040400, 0, "NMI to itself by shorthand: illegal");
	hits = 0;
	wrmsr(SELF_IPI, VEC);
	CHECK(rdmsr(X2(APIC_IRR + 0x30)) == 1 << (VEC - 96), "IRR %lx", rdmsr(X2(APIC_IRR + 0x30)));
	open_window();
	CHECK(hits == 1, "SELF IPI: %u", hits);
	wrmsr(X2(0x280), 0);
	wrmsr(SELF_IPI, 5);
	wrmsr(X2(0x280), 0);
	CHECK(rdmsr(X2(0x280)) == 0x20, "ESR %lx", rdmsr(X2(0x280)));
}

static void timer(void)
{
	hits = 0;
	wrmsr(X2(APIC_DIVIDE), 0xb);
	wrmsr(X2(APIC_TIMER), VEC);
	wrmsr(X2(APIC_INIT_COUNT), 100000);
	sti();
	for (unsigned i = 0; i < 400 && hits < 1; i++) {
		udelay(500);
	}
	CHECK(hits == 1, "one-shot: %u", hits);
	if (cpu_has(1, 2, 24)) {
		wrmsr(X2(APIC_TIMER), 0x40000 | VEC);
		wrmsr(TSC_DEADLINE, rdtsc() + 10000);
		for (unsigned i = 0; i < 400 && hits < 2; i++) {
			udelay(500);
		}
		CHECK(hits == 2 && rdmsr(TSC_DEADLINE) == 0, "TSC deadline: %u", hits);
	}
	cli();
	wrmsr(X2(APIC_TIMER), 0x10000);
}

/* What survives the way in, and that there is no way back but by off */
static void transitions(uint64_t base)
{
	CHECK(try_rdmsr(X2(APIC_ID)) == 13, "registers in xAPIC mode");
	CHECK(try_wrmsr(APIC_BASE, (base & ~EN) | EXTD) == 13, "EXTD without EN");
	lapic_write(APIC_SVR, 0x1ff);
	lapic_write(APIC_TPR, 0x20);
	lapic_write(0x330, 0x10055);
	lapic_write(APIC_ICR, 0x40000 | VEC); /* requested by xAPIC, taken by x2APIC */
	CHECK(try_wrmsr(APIC_BASE, base | EXTD) == -1, "EXTD");
	CHECK(rdmsr(X2(APIC_TPR)) == 0x20 && rdmsr(X2(APIC_SVR)) == 0x1ff && rdmsr(X2(0x330)) == 0x10055,
	      "lost: TPR %lx, SVR %lx, LVT %lx", rdmsr(X2(APIC_TPR)), rdmsr(X2(APIC_SVR)), rdmsr(X2(0x330)));
	CHECK(lapic_read(APIC_VERSION) == 0xffffffff, "MMIO in x2APIC mode");
	lapic_write(APIC_TPR, 0xf0);
	open_window();
	CHECK(hits == 1, "requested before: %u", hits);
	wrmsr(X2(APIC_TPR), 0);
	CHECK(try_wrmsr(APIC_BASE, base) == 13, "straight back to xAPIC");
	CHECK(try_wrmsr(APIC_BASE, (base & ~EN) | EXTD) == 13, "EXTD without EN");
	CHECK(try_wrmsr(APIC_BASE, base | EXTD | 1) == 13, "bit 0 of APIC_BASE");
	CHECK(try_wrmsr(APIC_BASE, base | EXTD) == -1, "the same again");
}

static void off_and_on(uint64_t base)
{
	CHECK(try_wrmsr(APIC_BASE, base & ~EN) == -1, "off");
	CHECK(!cpu_has(1, 3, 9), "CPUID.APIC while off");
	CHECK(try_rdmsr(X2(APIC_ID)) == 13, "registers while off");
	CHECK(lapic_read(APIC_VERSION) == 0xffffffff, "MMIO while off");
	CHECK(try_wrmsr(APIC_BASE, base | EXTD) == 13, "from off to x2APIC");
	CHECK(try_wrmsr(APIC_BASE, base) == -1 && cpu_has(1, 3, 9), "on again");
	CHECK(lapic_read(APIC_SVR) == 0xff && lapic_read(0x330) == 0x10000, "after reset: SVR %x, LVT %x",
	      lapic_read(APIC_SVR), lapic_read(0x330));
}

int main(const char *cmdline)
{
	(void)cmdline;
	uint64_t base = rdmsr(APIC_BASE);
	if (!cpu_has(1, 2, 21)) {
		CHECK(try_rdmsr(0x802) == 13 || is_lax(), "x2APIC registers without x2APIC");
		CHECK(!is_hosted() || try_wrmsr(APIC_BASE, base | EXTD) == 13, "EXTD without x2APIC");
		skip("x2apic", "not on this CPU");
		return (int)failures;
	}
	pic_init();
	on_interrupt(VEC, on_ipi);
	transitions(base);
	existence();
	reserved_bits();
	destinations();
	timer();
	off_and_on(base);
	return (int)failures;
}
