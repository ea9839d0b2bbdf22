// SPDX-License-Identifier: BSD-2-Clause
/*
 * How fast the TSC runs, by three reference clocks; the CMOS clock; power-off and reset. Knows what
 * acpi.c found, nothing of guests. A reference that does not tick costs time, but hangs nothing.
 * Called by the kernel: calibration at boot, the power switch at the end.
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
#define PIT_CHANNEL2	 0x42
#define PIT_COMMAND	 0x43
#define PIT_CH2_MODE0	 0xb0
#define PIT_CH2_LATCH	 0x80
#define PIT_GATE_PORT	 0x61
#define PIT_GATE	 BIT(0)
#define PIT_SPEAKER	 BIT(1)

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
static u64 pit_start(const struct acpi_info *acpi)
{
	(void)acpi;
	outb(PIT_GATE_PORT, (u8)((inb(PIT_GATE_PORT) & ~PIT_SPEAKER) | PIT_GATE));
	outb(PIT_COMMAND, PIT_CH2_MODE0);
	outb(PIT_CHANNEL2, 0xff);
	outb(PIT_CHANNEL2, 0xff);
	return PIT_HZ;
}

static u32 pit_read(const struct acpi_info *acpi)
{
	(void)acpi;
	outb(PIT_COMMAND, PIT_CH2_LATCH);
	u32 low = inb(PIT_CHANNEL2);
	return 0xffff - (low | (u32)inb(PIT_CHANNEL2) << 8);
}

/* In order of preference: resolution and cost of a read */
static const struct reference references[] = {
	{ "hpet", UINT32_MAX, hpet_start, hpet_read },
	{ "pmtimer", 0xffffff, pmtimer_start, pmtimer_read }, /* some implement only 24 bits */
	{ "pit", 0xffff, pit_start, pit_read },
};
#define NR_REFERENCES ARRAY_SIZE(references)

/*
 * Time is not known yet, so reads are the bound. A read takes about 1 us on a machine, but only some
 * instructions of virtual time on an emulator that counts those; a thousand in between make it similar.
 */
#define READS_MAX     1000000
#define READS_NO_TICK 10000

static u32 read_slowly(const struct reference *r, const struct acpi_info *acpi)
{
	for (u32 i = 0; i < 500; i++) {
		__asm__ volatile("");
	}
	return r->read(acpi);
}

/* Return: the TSC's rate by @r over 10 ms, 0 if @r is absent or stands still. */
static u64 measure(const struct reference *r, const struct acpi_info *acpi)
{
	u64 hz = r->start(acpi);

	if (!hz) {
		return 0;
	}
	/* from tick to tick: the first, partial one does not count */
	u32 first = r->read(acpi), begin = first, elapsed = 0;
	for (u32 reads = 0; begin == first; reads++) {
		if (reads == READS_NO_TICK) {
			return 0;
		}
		begin = read_slowly(r, acpi);
	}
	u64 tsc = rdtsc_ordered();
	for (u32 reads = 0; elapsed < hz / 100; reads++) {
		if (reads == READS_MAX) {
			return 0;
		}
		elapsed = (read_slowly(r, acpi) - begin) & r->mask;
	}
	return (rdtsc_ordered() - tsc) * hz / elapsed;
}

static u64 known_hz; /* of the TSC, for settle() */

/*
 * Of the two that agree best, within 0.5 %, the preferred one; where none agree, the most preferred
 * one that ticks. A third that was disturbed (SMI, a busy host) has no say.
 */
static size_t choose(const u64 hz[NR_REFERENCES])
{
	size_t best = NR_REFERENCES;
	u64 least = NEVER;

	for (size_t i = 0; i < NR_REFERENCES; i++) {
		best = hz[i] && best == NR_REFERENCES ? i : best;
	}
	for (size_t i = 0; i < NR_REFERENCES; i++) {
		for (size_t k = i + 1; hz[i] && k < NR_REFERENCES; k++) {
			u64 apart = MAX(hz[i], hz[k]) - MIN(hz[i], hz[k]);
			if (apart <= hz[i] / 200 && apart < least) {
				least = apart;
				best = i;
			}
		}
	}
	return best;
}

enum status clock_calibrate(const struct acpi_info *acpi, struct clock_calibration *out)
{
	u64 hz[NR_REFERENCES];

	for (size_t i = 0; i < NR_REFERENCES; i++) {
		hz[i] = measure(&references[i], acpi);
	}
	size_t best = choose(hz);
	if (best == NR_REFERENCES) {
		return STATUS_NOT_FOUND;
	}
	*out = (struct clock_calibration){ hz[best], references[best].name };
	known_hz = hz[best];
	return STATUS_OK;
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
#define CMOS_HOUR_PM	0x80

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
	bool is_same = false;

	for (u32 tries = 0; tries < 1000000 && !is_same; tries++) {
		if (cmos_read(CMOS_A) & CMOS_A_UPDATING) {
			continue;
		}
		is_same = true;
		for (u32 i = 0; i < NR_TIME_FIELDS; i++) {
			u8 v = cmos_read(reg[i]);
			is_same = is_same && t[i] == v;
			t[i] = v;
		}
	}
	return is_same;
}

/* BCD and 12-hour readings to plain numbers. Return: false if that is no time. */
static bool cmos_normalise(u8 t[NR_TIME_FIELDS], u8 mode)
{
	bool is_pm = !(mode & CMOS_B_24H) && t[HOUR] & CMOS_HOUR_PM;

	t[HOUR] &= (u8)~(is_pm ? CMOS_HOUR_PM : 0);
	for (u32 i = 0; i < NR_TIME_FIELDS && !(mode & CMOS_B_BINARY); i++) {
		t[i] = (u8)((t[i] >> 4) * 10 + (t[i] & 15));
	}
	if (!(mode & CMOS_B_24H)) {
		t[HOUR] = (u8)(t[HOUR] % 12 + (is_pm ? 12 : 0));
	}
	return t[SEC] < 60 && t[MIN] < 60 && t[HOUR] < 24 && t[DAY] - 1u < 31 &&
	       t[MONTH] - 1u < 12 && t[YEAR] < 100;
}

/* Years are 2000..2099, where every fourth is a leap year. */
static u64 days_since_1970(const u8 t[NR_TIME_FIELDS])
{
	static const u16 before_month[] = { 0,	 31,  59,  90,	120, 151,
					    181, 212, 243, 273, 304, 334 };
	bool is_past_leap_day = t[YEAR] % 4 == 0 && t[MONTH] > 2;

	return 10957ull + t[YEAR] * 365ull + (t[YEAR] + 3) / 4 + before_month[t[MONTH] - 1] +
	       is_past_leap_day + t[DAY] - 1;
}

u64 clock_wall_time(void)
{
	u8 t[NR_TIME_FIELDS] = { 0xff };

	if (!cmos_read_time(t) || !cmos_normalise(t, cmos_read(CMOS_B))) {
		return 0;
	}
	return days_since_1970(t) * 86400 + t[HOUR] * 3600ull + t[MIN] * 60ull + t[SEC];
}

/* Before calibration by bus cycles to port 80, of about 1 us each */
static void settle(u64 us)
{
	for (u64 i = 0; i < us && !known_hz; i++) {
		inb(0x80);
	}
	clock_delay_us(known_hz, us);
}

#define UART_US	  3000	 /* until a UART has sent the 17 bytes that it still holds */
#define CHIPSET_US 100000 /* until the plug is pulled */

/* PM1 control: SLP_TYP in bits 12:10, SLP_EN bit 13. ACPI 6.5 4.8.3.2.1 */
static void pm1_sleep(u16 port, u8 type)
{
	if (port) {
		u64 v = field_set(BITS(12, 10), inw(port), type);
		outw(port, (u16)(v | BIT(13)));
	}
}

void machine_poweroff(const struct acpi_info *acpi)
{
	settle(UART_US);
	wbinvd();
	if (acpi->has_s5) {
		pm1_sleep(acpi->pm1a_cnt_port, acpi->s5_typ_a);
		pm1_sleep(acpi->pm1b_cnt_port, acpi->s5_typ_b);
		settle(CHIPSET_US);
	}
	outw(0x604, 0x2000);
	outw(0xb004, 0x2000);
	for (const char *s = "Shutdown"; *s; s++) {
		outb(0x8900, (u8)*s);
	}
	cpu_stop();
}

static void reset_register(const struct acpi_info *acpi)
{
	if (acpi->has_reset && acpi->reset_space == 1) {
		outb((u16)acpi->reset_addr, acpi->reset_value);
	} else if (acpi->has_reset) {
		*(volatile u8 *)acpi->reset_addr = acpi->reset_value;
	}
}

void machine_reset(const struct acpi_info *acpi)
{
	/* with nothing mapped, neither the next instruction nor any fault handler can be fetched */
	static const page_aligned u64 empty_table[512];

	settle(UART_US);
	reset_register(acpi);
	settle(CHIPSET_US);
	outb(0xcf9, 0x02); /* reset control: hard reset, then the 0-to-1 edge of RST_CPU */
	outb(0xcf9, 0x06);
	settle(CHIPSET_US);
	outb(0x64, 0xfe); /* keyboard controller: pulse the reset line */
	settle(CHIPSET_US);
	write_cr3((u64)empty_table);
	cpu_stop();
}
