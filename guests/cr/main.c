/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control registers: what the hypervisor owns bits of reads back as written, illegal values are #GP
 * and change nothing, and CR8 is the local APIC's TPR: it holds interrupts back.
 */
#include "lib/guest.h"

#define GET(cr)                                            \
	({                                                 \
		uint64_t v_;                               \
		__asm__ volatile("mov %%" cr ", %0" : "=r"(v_)); \
		v_;                                        \
	})
#define SET(cr, v) TRY("mov %0, %%" cr, : : "r"((uint64_t)(v)) : "memory")
#define BIT(n)	   (1ull << (n))
#define DIRECT_READ "QEMU 10 ignores intercepts of MOV from CR4 and CR8"

static void takes(uint64_t got, uint64_t want, const char *what)
{
	CHECK(got == want, "%s: %lx, not %lx", what, got, want);
}

static void cr0(void)
{
	static const uint8_t toggle[] = { 1, 3, 5, 16, 18, 30 }; /* MP TS NE WP AM CD */
	uint64_t old = GET("cr0");
	CHECK(old & BIT(4), "ET");
	for (unsigned i = 0; i < sizeof(toggle); i++) {
		uint64_t v = old ^ BIT(toggle[i]);
		CHECK(SET("cr0", v) == -1, "bit %u", toggle[i]);
		takes(GET("cr0"), v, "CR0");
		SET("cr0", old);
	}
	CHECK(SET("cr0", old | BIT(29) | BIT(30)) == -1, "NW with CD");
	SET("cr0", old);
	if (is_lax()) {
		skip("illegal CR0", "QEMU takes it, and an SVM guest's CR0 does not exit");
		return;
	}
	CHECK(SET("cr0", (old | BIT(29)) & ~BIT(30)) == 13, "NW without CD");
	if (is_intel()) {
		CHECK(SET("cr0", old & ~BIT(0)) == 13, "PG without PE");
	} else {
		skip("PG without PE", "Bochs takes it from an SVM guest, and panics");
	}
	CHECK(SET("cr0", old & ~BIT(31)) == 13, "paging off in 64-bit mode");
	CHECK(SET("cr0", old | BIT(32)) == 13, "bit 32");
	takes(GET("cr0"), old, "CR0 after all");
}

/* CLTS, LMSW, SMSW; memory operands too */
static void msw(void)
{
	uint64_t old = GET("cr0"), v = 0;
	uint16_t word = 0;
	__asm__ volatile("lmsw %w0" : : "r"(old | 8));
	takes(GET("cr0"), old | 8, "LMSW sets TS");
	__asm__ volatile("smsw %0" : "=r"(v));
	takes(v & 0xffff, (old | 8) & 0xffff, "SMSW");
	__asm__ volatile("smsw %0" : "=m"(word));
	takes(word, (old | 8) & 0xffff, "SMSW to memory");
	__asm__ volatile("clts");
	takes(GET("cr0"), old & ~8ull, "CLTS");
	__asm__ volatile("lmsw %w0" : : "r"(0));
	takes(GET("cr0"), old & ~14ull, "LMSW leaves PE");
	word = (uint16_t)old;
	__asm__ volatile("lmsw %0" : : "m"(word));
	takes(GET("cr0"), old, "LMSW from memory");
}

static void cr4(void)
{
	uint64_t old = GET("cr4");
	CHECK(SET("cr4", old ^ BIT(7)) == -1, "PGE");
	takes(GET("cr4"), old ^ BIT(7), "CR4");
	CHECK(SET("cr4", old ^ BIT(4)) == -1, "PSE");
	takes(GET("cr4"), old ^ BIT(4), "CR4");
	CHECK(SET("cr4", old ^ BIT(2) ^ BIT(3) ^ BIT(6)) == -1, "TSD DE MCE");
	uint64_t got = GET("cr4");
	if (is_lax() && got == (old ^ BIT(2) ^ BIT(3))) {
		skip("CR4.MCE", DIRECT_READ);
	} else {
		takes(got, old ^ BIT(2) ^ BIT(3) ^ BIT(6), "CR4");
	}
	SET("cr4", old);
	if (is_hosted()) {
		CHECK(SET("cr4", old & ~BIT(5)) == 13, "PAE off in long mode");
		CHECK(SET("cr4", old | BIT(13)) == 13, "VMXE");
		CHECK(SET("cr4", old | BIT(12)) == 13, "LA57 while paging");
		CHECK(SET("cr4", old | BIT(15)) == 13, "bit 15");
		CHECK(SET("cr4", old | BIT(31)) == 13, "bit 31");
		CHECK(SET("cr4", old | BIT(63)) == 13, "bit 63");
		CHECK(cpu_has(1, 2, 17) || SET("cr4", old | BIT(17)) == 13, "PCIDE without PCID");
	}
	takes(GET("cr4"), old, "CR4 after all");
}

/* With OSXSAVE on, and with PCIDs if there are any */
static void cr3(void)
{
	uint64_t old = GET("cr3"), old4 = GET("cr4");
	CHECK(SET("cr3", old | 0x18) == -1, "PWT, PCD");
	takes(GET("cr3"), old | 0x18, "CR3");
	SET("cr3", old);
	if (cpu_has(1, 2, 17)) {
		SET("cr3", old | 8);
		CHECK(SET("cr4", old4 | BIT(17)) == 13, "PCIDE with bits 11:0 of CR3");
		SET("cr3", old);
		CHECK(SET("cr4", old4 | BIT(17)) == -1, "PCIDE");
		CHECK(SET("cr3", old | 5 | BIT(63)) == -1, "PCID 5, no flush");
		takes(GET("cr3"), old | 5, "CR3");
		SET("cr3", old);
		SET("cr4", old4);
	} else {
		skip("PCID", "not on this CPU");
	}
}

static volatile unsigned hits;

static void on_ipi(struct trap_frame *f)
{
	(void)f;
	hits++;
	lapic_write(APIC_EOI, 0);
}

/* Vector 0x51 is of class 5 */
static void cr8(void)
{
	on_interrupt(0x51, on_ipi);
	lapic_write(APIC_SVR, 0x1ff);
	CHECK(SET("cr8", 16) == 13 || !is_hosted(), "CR8 of 16");
	CHECK(SET("cr8", 5) == -1, "CR8 of 5");
	takes(GET("cr8"), 5, "CR8");
	takes(lapic_read(APIC_TPR), 0x50, "TPR");
	lapic_write(APIC_TPR, 0x6f);
	if (is_lax() && GET("cr8") == 5) {
		skip("CR8 by TPR", DIRECT_READ);
	} else {
		takes(GET("cr8"), 6, "CR8 by TPR");
	}
	lapic_write(APIC_ICR, 0x40051); /* to itself */
	for (unsigned i = 0; i < 100; i++) {
		sti();
		inb(0x61);
	}
	cli();
	CHECK(hits == 0, "not held back");
	SET("cr8", 5);
	sti();
	cli();
	CHECK(hits == 0, "class 5 is not above 5");
	SET("cr8", 4);
	sti();
	inb(0x61);
	cli();
	CHECK(hits == 1, "%u interrupts", hits);
	SET("cr8", 0);
}

static void in_user(void)
{
	SET("cr8", 0);
}

int main(const char *cmdline)
{
	(void)cmdline;
	cr0();
	msw();
	cr4();
	cr3();
	cr8();
	CHECK(user_run(in_user) == 13, "CR8 in user mode");
	return (int)failures;
}
