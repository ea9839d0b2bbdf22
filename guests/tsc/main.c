/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time: the TSC starts near zero at birth and never goes back, not over exits either; WRMSR moves it;
 * PIT, PM timer, RTC, local APIC timer and CPUID's figure agree with it within 1 % (nested: 5 %).
 */
#include "lib/guest.h"

#define PM_TIMER 0x608

static uint64_t tsc_per_ms;

/* @clock times a span by itself, in TSC ticks and in what they should be; other work may delay it: five tries */
static void near(const char *what, void (*clock)(uint64_t *got, uint64_t *want))
{
	/* through KVM in between each look at a clock takes a good part of a millisecond */
	uint64_t got = 0, want = 0, permille = is_nested() ? 50 : 10;
	for (unsigned i = 0; i < 5; i++) {
		clock(&got, &want);
		if (got > want / 1000 * (1000 - permille) && got < want / 1000 * (1000 + permille)) {
			break;
		}
	}
	CHECK(got > want / 1000 * (1000 - permille) && got < want / 1000 * (1000 + permille), "%s: %lu, not %lu", what, got, want);
}

static void monotonic(void)
{
	uint64_t last = rdtsc();
	unsigned back = 0;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t now = i % 10 ? rdtsc() : (inb(0x1e0), rdtsc());
		back += now < last;
		last = now;
	}
	CHECK(back == 0, "%u steps back", back);
}

/* PIT channel 2 counts 50 ms; the outcome is the best of five: other work may delay the end */
static void measure(void)
{
	tsc_per_ms = ~0ull;
	for (unsigned i = 0; i < 5; i++) {
		uint64_t start = rdtsc();
		udelay(50000);
		uint64_t t = (rdtsc() - start) / 50;
		tsc_per_ms = t < tsc_per_ms ? t : tsc_per_ms;
	}
	print("TSC %lu kHz by the PIT\n", tsc_per_ms);
}

static void pit(uint64_t *got, uint64_t *want)
{
	uint64_t start = rdtsc();
	udelay(50000);
	*got = rdtsc() - start;
	*want = 50 * tsc_per_ms;
}

static void pm_timer(uint64_t *got, uint64_t *want)
{
	uint64_t start = rdtsc();
	uint32_t from = inl(PM_TIMER);
	while (((inl(PM_TIMER) - from) & 0xffffff) < 357954) {
	}
	*got = rdtsc() - start;
	*want = 100 * tsc_per_ms;
}

static uint64_t rtc_edge(void)
{
	outb(0x70, 0);
	uint8_t second = inb(0x71);
	while (inb(0x71) == second) {
	}
	return rdtsc();
}

static void rtc(uint64_t *got, uint64_t *want)
{
	uint64_t start = rtc_edge();
	*got = rtc_edge() - start;
	*want = 1000 * tsc_per_ms;
}

static void lapic(uint64_t *got, uint64_t *want)
{
	lapic_write(APIC_TIMER, 0x10000);
	lapic_write(APIC_DIVIDE, 0xb);
	lapic_write(APIC_INIT_COUNT, 0xffffffff);
	uint64_t start = rdtsc();
	udelay(50000);
	*got = 0xffffffff - lapic_read(APIC_COUNT);
	*want = (rdtsc() - start) * 1000000 / tsc_per_ms;
}

static void cpuid_khz(uint64_t *got, uint64_t *want)
{
	uint32_t r[4];
	cpuid(0x40000010, 0, r);
	*got = r[0];
	*want = tsc_per_ms;
}

int main(const char *cmdline)
{
	uint64_t birth = rdtsc();
	(void)cmdline;
	measure();
	monotonic();
	if (!is_hosted()) {
		return (int)failures;
	}
	/* before CPU 0 enters its first guest it writes its log, of which each byte is an exit to KVM in between */
	CHECK(birth < (is_nested() ? 10000 : 1000) * tsc_per_ms, "TSC %lu at birth", birth);
	near("kHz of CPUID", cpuid_khz);
	near("PM timer", pm_timer);
	near("RTC", rtc);
	near("local APIC timer", lapic);
	wrmsr(0x10, 1ull << 50);
	uint64_t start = rdtsc();
	CHECK(start - (1ull << 50) < 10 * tsc_per_ms, "TSC %lx after WRMSR", start);
	near("PIT on a moved TSC", pit);
	wrmsr(0x10, 0);
	CHECK(rdtsc() < 10 * tsc_per_ms, "TSC %lx after WRMSR", rdtsc());
	return (int)failures;
}
