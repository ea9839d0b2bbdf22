// SPDX-License-Identifier: BSD-2-Clause
/*
 * How fast the TSC runs, by three reference clocks in one common window of time; the CMOS clock;
 * power-off. Knows what acpi.c found, nothing of guests. A reference that does not tick costs time, but
 * hangs nothing. Called by the kernel: calibration at boot, while it does other things too; the power
 * switch at the end.
 */
#include "drivers/clock.h"
#include "x86/insn.h"

#define PM_TIMER_HZ 3579545 /* ACPI 6.5 4.8.2.1 "Power Management Timer" */
#define PIT_HZ	    1193182

/* HPET specification 1.0a 2.3 "Memory Mapped Registers" */
#define HPET_PERIOD 0x004 /* femtoseconds per tick: upper half of the capabilities */
#define HPET_CONFIG 0x010
#define HPET_COUNT  0x0f0
#define HPET_ENABLE BIT(0)

/* Intel 8254 data sheet, "Control Word Format"; port 61: bit 0 gate of channel 2, bit 1 speaker */
#define PIT_CHANNEL2  0x42
#define PIT_COMMAND   0x43
#define PIT_CH2_MODE0 0xb0
#define PIT_CH2_LATCH 0x80
#define PIT_GATE_PORT 0x61
#define PIT_GATE      BIT(0)
#define PIT_SPEAKER   BIT(1)

/*
 * struct reference - a clock of known rate: counts up, modulo mask + 1
 * @start: make it count for at least 10 ms from now. Return: its rate, 0 if it is not there.
 */
struct reference {
	const char *name;
	u32 mask;
	u64 (*start)(const struct acpi_info *acpi);
	u32 (*read)(const struct acpi_info *acpi);
};

static volatile u32 *hpet_reg(const struct acpi_info *acpi, u32 offset)
{
	return (volatile u32 *)(acpi->hpet_addr + offset);
}

static u64 hpet_start(const struct acpi_info *acpi)
{
	u32 period_fs = acpi->hpet_addr ? *hpet_reg(acpi, HPET_PERIOD) : 0;

	/* at most 100 ns by the specification 2.3.4; below 1 ns nobody counts */
	if (period_fs < 1000000 || period_fs > 100000000) {
		return 0;
	}
	*hpet_reg(acpi, HPET_CONFIG) |= HPET_ENABLE;
	return 1000000000000000ull / period_fs;
}

static u32 hpet_read(const struct acpi_info *acpi)
{
	return *hpet_reg(acpi, HPET_COUNT);
}

static u64 pmtimer_start(const struct acpi_info *acpi)
{
	return acpi->pm_timer_port ? PM_TIMER_HZ : 0;
}

static u32 pmtimer_read(const struct acpi_info *acpi)
{
	return inl(acpi->pm_timer_port);
}

/* Mode 0 counts down from ffff once, 55 ms; nobody else uses channel 2. */
static u64 pit_start(maybe_unused const struct acpi_info *acpi)
{
	outb(PIT_GATE_PORT, (u8)((inb(PIT_GATE_PORT) & ~PIT_SPEAKER) | PIT_GATE));
	outb(PIT_COMMAND, PIT_CH2_MODE0);
	outb(PIT_CHANNEL2, 0xff);
	outb(PIT_CHANNEL2, 0xff);
	return PIT_HZ;
}

static u32 pit_read(maybe_unused const struct acpi_info *acpi)
{
	outb(PIT_COMMAND, PIT_CH2_LATCH);
	u32 low = inb(PIT_CHANNEL2);
	return ~(low | (u32)inb(PIT_CHANNEL2) << 8);
}

/* In order of preference: resolution and cost of a read */
static const struct reference references[] = {
	{ "hpet", UINT32_MAX, hpet_start, hpet_read },
	{ "pmtimer", 0xffffff, pmtimer_start, pmtimer_read }, /* some implement only 24 bits */
	{ "pit", 0xffff, pit_start, pit_read },
};
#define NR_REFERENCES ARRAY_SIZE(references)

struct sample {
	u32 clock;
	u64 tsc, width; /* the reading took so long: @tsc is the middle */
};

/* Clock and TSC at once: the narrowest of a few readings, so that an SMI or a busy host has no part */
static struct sample take(const struct reference *r, const struct acpi_info *acpi)
{
	struct sample best = { .width = NEVER };

	for (u32 i = 0; i < 8; i++) {
		u64 before = rdtsc_ordered();
		u32 clock = r->read(acpi);
		u64 width = rdtsc_ordered() - before;
		if (width < best.width) {
			best = (struct sample){ clock, before + width / 2, width };
		}
	}
	return best;
}

/* Of one reference. @tsc_hz: what came out, 0 = nothing yet */
struct window {
	u64 hz, tsc_hz;
	struct sample from;
	bool is_open;
};

static struct window windows[NR_REFERENCES];
static const struct acpi_info *clock_acpi;
static u64 known_hz; /* of the TSC, once it is */
static u64 wait_ticks;

void clock_begin(const struct acpi_info *acpi)
{
	clock_acpi = acpi;
	for (size_t i = 0; i < NR_REFERENCES; i++) {
		struct window *w = &windows[i];
		*w = (struct window){ .hz = references[i].start(acpi) };
		w->is_open = w->hz;
	}
	/* together, so that the windows are one: whoever waits for the last one waits for all */
	for (size_t i = 0; i < NR_REFERENCES; i++) {
		windows[i].from = windows[i].hz ? take(&references[i], acpi) : windows[i].from;
	}
}

static u64 elapsed(const struct window *w, const struct reference *r, u32 clock)
{
	return (clock - w->from.clock) & r->mask;
}

/* 10 ms, or up to 40 until both readings are sharp to 0.1 % of it */
static void close_if_over(struct window *w, const struct reference *r)
{
	if (!w->is_open || elapsed(w, r, r->read(clock_acpi)) < w->hz / 100) {
		return;
	}
	struct sample to = take(r, clock_acpi);
	u64 passed = elapsed(w, r, to.clock), ticks = to.tsc - w->from.tsc;
	bool is_sharp = w->from.width + to.width < ticks / 1000;
	if (passed >= w->hz / 25 || is_sharp) {
		w->tsc_hz = ticks * w->hz / passed;
		w->is_open = false;
	}
}

/* Which may be open and will not end: one that stands still is given up when by another one 60 ms are over */
bool clock_poll(void)
{
	bool has_open = false;
	u64 hz = 0, start = 0;

	for (size_t i = 0; i < NR_REFERENCES; i++) {
		close_if_over(&windows[i], &references[i]);
		has_open |= windows[i].is_open;
		hz = windows[i].tsc_hz ? windows[i].tsc_hz : hz;
		start = windows[i].tsc_hz ? windows[i].from.tsc : start;
	}
	return !has_open || (hz && rdtsc() - start > hz / 1000 * 60);
}

static bool is_confirmed(size_t i)
{
	u64 hz = windows[i].tsc_hz;

	for (size_t k = 0; k < NR_REFERENCES; k++) {
		u64 other = windows[k].tsc_hz;
		if (hz && k != i && MAX(hz, other) - MIN(hz, other) <= hz / 200) {
			return true;
		}
	}
	return false;
}

/*
 * Time is not known yet, so readings are the bound; the empty loop makes them pass some time on emulators
 * that count instructions. One reference that was disturbed (SMI, a busy host) has no say; if none agree,
 * the preferred one has.
 */
enum status clock_finish(struct clock_calibration *out)
{
	u64 start = rdtsc();
	size_t best = 0;

	for (u32 tries = 0; !clock_poll() && tries < 200000; tries++) {
		for (u32 i = 0; i < 500; i++) {
			__asm__ volatile("");
		}
	}
	for (size_t i = NR_REFERENCES; i-- > 0;) {
		if (windows[i].tsc_hz && (is_confirmed(i) || !is_confirmed(best))) {
			best = i;
		}
	}
	wait_ticks += rdtsc() - start;
	known_hz = windows[best].tsc_hz;
	*out = (struct clock_calibration){ known_hz, references[best].name, wait_ticks };
	return known_hz ? STATUS_OK : STATUS_NOT_FOUND;
}

/* By the first reference that there is. A loop's turn lasts a microsecond at least: a read of a device's register */
static void wait_by_reference(u64 us)
{
	size_t i = 0;

	while (i + 1 < NR_REFERENCES && !windows[i].hz) {
		i++;
	}
	const struct reference *r = &references[i];
	u32 last = r->read(clock_acpi);
	u64 passed = 0, wanted = windows[i].hz * us / 1000000 + 1;
	for (u64 turns = 0; passed < wanted && turns < us * 100; turns++) {
		u32 now = r->read(clock_acpi);
		passed += (now - last) & r->mask;
		last = now;
		(void)clock_poll();
		cpu_pause();
	}
}

void clock_wait_us(u64 us)
{
	u64 start = rdtsc(), ticks = known_hz / 1000000 * us;

	if (!known_hz) {
		wait_by_reference(us);
	}
	while (rdtsc() - start < ticks) {
		cpu_pause();
	}
	wait_ticks += rdtsc() - start;
}

/* MC146818A data sheet, "Address Map" and "Registers" A and B */
#define CMOS_A		0x0a
#define CMOS_A_UPDATING BIT(7)
#define CMOS_B		0x0b
#define CMOS_B_24H	BIT(1)
#define CMOS_B_BINARY	BIT(2)

enum { SEC, MIN, HOUR, DAY, MONTH, YEAR, NR_TIME_FIELDS };

static u8 cmos_read(u8 reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

/* Two equal readings in a row, none begun in an update; false if there is no such clock. */
static bool cmos_read_time(u8 t[NR_TIME_FIELDS])
{
	static const u8 reg[NR_TIME_FIELDS] = { 0, 2, 4, 7, 8, 9 };
	u32 nr_same = 0;

	for (u32 tries = 0; tries < 1000000 && nr_same < NR_TIME_FIELDS; tries++) {
		bool is_updating = cmos_read(CMOS_A) & CMOS_A_UPDATING;
		nr_same = 0;
		for (u32 i = 0; i < NR_TIME_FIELDS && !is_updating; i++) {
			u8 v = cmos_read(reg[i]);
			nr_same += t[i] == v;
			t[i] = v;
		}
	}
	return nr_same == NR_TIME_FIELDS;
}

/* The day count of the Gregorian calendar, with years that begin in March */
u64 clock_wall_time(void)
{
	u8 t[NR_TIME_FIELDS] = { 0xff }, mode = cmos_read(CMOS_B);

	if (!(mode & CMOS_B_24H) || !cmos_read_time(t)) {
		return 0;
	}
	for (u32 i = 0; i < NR_TIME_FIELDS && !(mode & CMOS_B_BINARY); i++) {
		t[i] = (u8)((t[i] >> 4) * 10 + (t[i] & 15));
	}
	u64 year = 2000ull + t[YEAR] - (t[MONTH] < 3), month = (t[MONTH] + 9) % 12;
	u64 days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 +
		   t[DAY] - 719469; /* 1970 begins there */
	return days * 86400 + t[HOUR] * 3600ull + t[MIN] * 60ull + t[SEC];
}

/* PM1 control: SLP_TYP in bits 12:10, SLP_EN bit 13. ACPI 6.5 4.8.3.2.1 */
static void pm1_sleep(u16 port, u8 type)
{
	if (port) {
		outw(port, (u16)(field_set(BITS(12, 10), inw(port), type) | BIT(13)));
	}
}

void machine_poweroff(const struct acpi_info *acpi)
{
	clock_wait_us(3000); /* until a UART has sent the 17 bytes that it still holds */
	wbinvd();
	if (acpi->has_s5) {
		pm1_sleep(acpi->pm1a_cnt_port, acpi->s5_typ_a);
		pm1_sleep(acpi->pm1b_cnt_port, acpi->s5_typ_b);
		clock_wait_us(100000); /* until the plug is pulled */
	}
	cpu_stop();
}
