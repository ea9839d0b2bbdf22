// SPDX-License-Identifier: BSD-2-Clause
/*
 * How fast the TSC runs, by three reference clocks; the CMOS clock; power-off. Knows what acpi.c
 * found, nothing of guests. A reference that does not tick costs time, but hangs nothing. Called by
 * the kernel: calibration at boot, the power switch at the end.
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

/*
 * 10 ms, or up to 40 until both readings are sharp to 0.1 % of it. Time is not known yet, so readings
 * are the bound; the empty loop makes them pass some time on emulators that count instructions.
 * Return: the TSC's rate, 0 if the clock is not there or stands still.
 */
static u64 measure(const struct reference *r, const struct acpi_info *acpi)
{
	u64 hz = r->start(acpi);
	struct sample from = hz ? take(r, acpi) : (struct sample){ 0 };

	for (u32 tries = 0; hz && tries < 200000; tries++) {
		for (u32 i = 0; i < 500; i++) {
			__asm__ volatile("");
		}
		struct sample to = take(r, acpi);
		u64 elapsed = (to.clock - from.clock) & r->mask, ticks = to.tsc - from.tsc;
		bool is_sharp = from.width + to.width < ticks / 1000;
		if (elapsed >= hz / 25 || (elapsed >= hz / 100 && is_sharp)) {
			return ticks * hz / elapsed;
		}
	}
	return 0;
}

static bool is_confirmed(const u64 hz[NR_REFERENCES], size_t i)
{
	for (size_t k = 0; k < NR_REFERENCES; k++) {
		if (hz[i] && k != i && MAX(hz[i], hz[k]) - MIN(hz[i], hz[k]) <= hz[i] / 200) {
			return true;
		}
	}
	return false;
}

static u64 known_hz; /* of the TSC, for machine_poweroff() */

/* One that was disturbed (SMI, a busy host) has no say; if none agree, the preferred one has. */
enum status clock_calibrate(const struct acpi_info *acpi, struct clock_calibration *out)
{
	u64 hz[NR_REFERENCES];
	size_t best = 0;

	for (size_t i = 0; i < NR_REFERENCES; i++) {
		hz[i] = measure(&references[i], acpi);
	}
	for (size_t i = NR_REFERENCES; i-- > 0;) {
		if (hz[i] && (is_confirmed(hz, i) || !is_confirmed(hz, best))) {
			best = i;
		}
	}
	known_hz = hz[best];
	*out = (struct clock_calibration){ known_hz, references[best].name };
	return known_hz ? STATUS_OK : STATUS_NOT_FOUND;
}

void clock_delay_us(u64 tsc_hz, u64 us)
{
	u64 start = rdtsc(), ticks = tsc_hz / 1000000 * us;

	while (rdtsc() - start < ticks) {
		cpu_pause();
	}
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
	clock_delay_us(known_hz, 3000); /* until a UART has sent the 17 bytes that it still holds */
	wbinvd();
	if (acpi->has_s5) {
		pm1_sleep(acpi->pm1a_cnt_port, acpi->s5_typ_a);
		pm1_sleep(acpi->pm1b_cnt_port, acpi->s5_typ_b);
		clock_delay_us(known_hz, 100000); /* until the plug is pulled */
	}
	cpu_stop();
}
