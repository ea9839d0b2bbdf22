/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TSC, local APIC timer, PM timer, PIT and the CMOS clock tell the same time over s=N
 * seconds of the CMOS clock, within ppm=N. In between the CPU halts; the CMOS clock's periodic interrupt
 * wakes it 128 times a second, so that no counter wraps unseen. Of real hardware the rates of
 * TSC and local APIC are not known: they are taken from the first second.
 */
#include "lib/guest.h"

#define PM_TIMER 0x608
#define PIT_HZ	 1193182
#define PM_HZ	 3579545
#define RTC_IRQ	 8

enum { TSC, LAPIC_TIMER, PM, PIT, NR_CLOCKS };
static const char *const names[] = { "TSC", "local APIC timer", "PM timer", "PIT" };
static const uint64_t masks[] = { ~0ull, 0xffffffff, 0xffffff, 0xffff };
static uint64_t last[NR_CLOCKS], total[NR_CLOCKS], hz[NR_CLOCKS];
static volatile uint32_t seconds, ticks;

static uint64_t read_clock(unsigned i)
{
	if (i == TSC) {
		return rdtsc();
	}
	if (i == LAPIC_TIMER) {
		return 0u - lapic_read(APIC_COUNT);
	}
	if (i == PM) {
		return inl(PM_TIMER);
	}
	outb(0x43, 0x00); /* latch channel 0, which counts down */
	uint32_t low = inb(0x40);
	return 0u - (low | (uint32_t)inb(0x40) << 8);
}

static void sample(void)
{
	for (unsigned i = 0; i < NR_CLOCKS; i++) {
		uint64_t now = read_clock(i);
		total[i] += (now - last[i]) & masks[i];
		last[i] = now;
	}
}

static uint8_t cmos(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void cmos_set(uint8_t reg, uint8_t v)
{
	outb(0x70, reg);
	outb(0x71, v);
}

static void on_rtc(struct trap_frame *f)
{
	(void)f;
	uint8_t cause = cmos(0x0c);
	ticks += cause >> 6 & 1;
	seconds += cause >> 4 & 1;
	sample();
}

/* To the next update of the CMOS clock, HLT in between; Return: a moment just after it */
static void next_second(void)
{
	uint32_t now = seconds;
	while (seconds == now) {
		sti_hlt_cli();
	}
}

static void start(void)
{
	pic_init();
	on_interrupt(PIC_VECTOR(RTC_IRQ), on_rtc);
	outb(0x43, 0x34); /* channel 0: mode 2, 65536 */
	outb(0x40, 0);
	outb(0x40, 0);
	lapic_write(APIC_SVR, 0x1ff);
	lapic_write(APIC_TIMER, 0x10000);
	lapic_write(APIC_DIVIDE, 0xa); /* by 128: 32 bits last 9 minutes at 1 GHz */
	lapic_write(APIC_INIT_COUNT, 0xffffffff);
	cmos_set(0x0a, 0x29); /* 128 Hz */
	cmos_set(0x0b, 0x52); /* periodic and update-ended interrupts, 24 hours, BCD */
	cmos(0x0c);
	pic_unmask(RTC_IRQ);
}

static void set_rates(void)
{
	uint32_t r[4];
	hz[PM] = PM_HZ;
	hz[PIT] = PIT_HZ;
	if (is_hosted()) {
		cpuid(0x40000010, 0, r);
		hz[TSC] = r[0] * 1000ull;
		hz[LAPIC_TIMER] = r[1] * 1000ull / 128;
		return;
	}
	next_second();
	uint64_t tsc = total[TSC], lapic = total[LAPIC_TIMER];
	next_second();
	hz[TSC] = total[TSC] - tsc;
	hz[LAPIC_TIMER] = total[LAPIC_TIMER] - lapic;
}

int main(const char *cmdline)
{
	uint64_t s = arg(cmdline, "s", 5), ppm = arg(cmdline, "ppm", 1000), before[NR_CLOCKS];
	start();
	set_rates();
	next_second();
	uint32_t from = ticks;
	for (unsigned i = 0; i < NR_CLOCKS; i++) {
		before[i] = total[i];
	}
	uint8_t first = cmos(0);
	for (uint64_t i = 0; i < s; i++) {
		next_second();
	}
	from = ticks - from;
	for (unsigned i = 0; i < NR_CLOCKS; i++) {
		uint64_t got = total[i] - before[i], want = hz[i] * s;
		uint64_t off = got > want ? got - want : want - got;
		CHECK(off < want / 1000 * ppm / 1000, "%s: %lu ticks in %lu s, not %lu", names[i], got, s, want);
	}
	uint32_t now = cmos(0), sec = (now >> 4) * 10 + (now & 15), was = (first >> 4) * 10u + (first & 15);
	CHECK((sec + 60 - was) % 60 == s % 60, "CMOS seconds: %u, then %u", was, sec);
	if (is_hosted()) { /* QEMU drops some */
		CHECK(from + 2 > 128 * s && from < 128 * s + 2, "%u periodic interrupts in %lu s", from, s);
	}
	print("%lu seconds, all agree within %lu ppm\n", s, ppm);
	return (int)failures;
}
