// SPDX-License-Identifier: BSD-2-Clause
/*
 * MC146818 as in the Motorola data sheet (ADI-856), with the century byte and RAM of a PC.
 * The divider chain is the partition's clock, shifted when the guest resets it; wall time is the
 * chain plus an offset. Registers, flags and deadlines are computed from it when somebody looks.
 * Called through the bus, and by the kernel's poll.
 */
#include "vrtc.h"

enum { SECONDS, SEC_ALARM, MINUTES, MIN_ALARM, HOURS, HOUR_ALARM, WEEKDAY, DAY, MONTH, YEAR,
       REG_A, REG_B, REG_C, REG_D };

enum { A_UIP = 0x80, A_DV_RESET = 0x60 /* codes 11x hold the divider chain */, A_RS = 0x0f };
enum { B_SET = 0x80, B_UIE = 0x10, B_BINARY = 0x04, B_24H = 0x02 };
/* PF, AF, UF stand where register B has their enables */
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10, C_FLAGS = C_PF | C_AF | C_UF };
enum { D_VRT = 0x80, HOUR_PM = 0x80, ALARM_ANY = 0xc0 /* "don't care": both top bits */ };

#define CHAIN_HZ    32768
#define UPDATE_NS   (2228 * NSEC_PER_USEC) /* UIP: 244 us ahead of an update that takes 1984 us */
#define DAY_SECONDS 86400

/* Gregorian days are counted from 1 March of the year -400, so that nothing is negative */
#define DAYS_400_YEARS 146097
#define DAYS_TO_1970   (719468 + DAYS_400_YEARS)

static bool is_chain_held(const struct vrtc *r)
{
	return (r->ram[REG_A] & A_DV_RESET) == A_DV_RESET;
}

static bool is_held(const struct vrtc *r)
{
	return (r->ram[REG_B] & B_SET) || is_chain_held(r);
}

static u8 encode(const struct vrtc *r, u32 v)
{
	return (u8)((r->ram[REG_B] & B_BINARY) ? v : v / 10 << 4 | v % 10);
}

static u32 decode(const struct vrtc *r, u8 v)
{
	return (r->ram[REG_B] & B_BINARY) ? v : (v >> 4) * 10u + (v & 15);
}

static u8 encode_hour(const struct vrtc *r, u32 hour)
{
	if (r->ram[REG_B] & B_24H) {
		return encode(r, hour);
	}
	return (u8)(encode(r, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0));
}

static u32 decode_hour(const struct vrtc *r, u8 v)
{
	if (r->ram[REG_B] & B_24H) {
		return decode(r, v);
	}
	return decode(r, v & (u8)~HOUR_PM) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* Wall time in seconds since that 1 March */
static u64 wall_seconds(const struct vrtc *r, u64 chain_ns)
{
	return (u64)(r->base_seconds + DAYS_TO_1970 * (s64)DAY_SECONDS) + chain_ns / NSEC_PER_SEC;
}

static void show_time(struct vrtc *r, u64 chain_ns)
{
	u64 seconds = wall_seconds(r, chain_ns), days = seconds / DAY_SECONDS;
	u32 s = (u32)(seconds % DAY_SECONDS), d = (u32)(days % DAYS_400_YEARS);
	/* A leap day is the last of its 4- or 400-year cycle: but for it, a year has 365 days */
	u32 y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
	u32 day_of_year = d - (365 * y + y / 4 - y / 100);
	u32 m = (5 * day_of_year + 2) / 153; /* five months from March have 153 days */
	u32 year = 400 * (u32)(days / DAYS_400_YEARS) + y + (m >= 10) - 400;

	r->ram[SECONDS] = encode(r, s % 60);
	r->ram[MINUTES] = encode(r, s / 60 % 60);
	r->ram[HOURS] = encode_hour(r, s / 3600);
	r->ram[WEEKDAY] = encode(r, (u32)((days + 3 + r->weekday_shift) % 7 + 1)); /* Sunday = 1 */
	r->ram[DAY] = encode(r, day_of_year - (153 * m + 2) / 5 + 1);
	r->ram[MONTH] = encode(r, m < 10 ? m + 3 : m - 9);
	r->ram[YEAR] = encode(r, year % 100);
	r->ram[VRTC_CENTURY] = encode(r, year / 100 % 100);
}

/* The reverse: what the guest wrote is the time now. Impossible dates become real ones. */
static void take_time(struct vrtc *r, u64 chain_ns)
{
	u32 month = MIN(MAX(decode(r, r->ram[MONTH]), 1u), 12u), m = (month + 9) % 12;
	u64 y = decode(r, r->ram[VRTC_CENTURY]) * 100 + decode(r, r->ram[YEAR]) + 400 - (month < 3);
	u64 days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 +
		   decode(r, r->ram[DAY]) - 1;
	u64 s = decode_hour(r, r->ram[HOURS]) * 3600 + decode(r, r->ram[MINUTES]) * 60 +
		decode(r, r->ram[SECONDS]);

	r->base_seconds = (s64)((days - DAYS_TO_1970) * DAY_SECONDS + s - chain_ns / NSEC_PER_SEC);
	r->weekday_shift = (u8)((decode(r, r->ram[WEEKDAY]) + 2 * 7 - 1 - (days + 3) % 7) % 7);
}

/* log2 of 32768 Hz pulses in a period; RS codes 1 and 2 repeat 8 and 9 */
static u32 periodic_shift(const struct vrtc *r)
{
	u32 rs = r->ram[REG_A] & A_RS;

	return rs < 3 ? rs + 6 : rs - 1;
}

static u64 periodic_edges(const struct vrtc *r, u64 chain_ns)
{
	bool is_on = (r->ram[REG_A] & A_RS) && !is_chain_held(r);

	return is_on ? ns_to_ticks(chain_ns, CHAIN_HZ) >> periodic_shift(r) : 0;
}

static bool alarm_rings_at(const struct vrtc *r, u64 seconds)
{
	u32 s = (u32)(seconds % DAY_SECONDS);
	const u8 time[] = { encode(r, s % 60), encode(r, s / 60 % 60), encode_hour(r, s / 3600) };
	bool is_match = true;

	for (u32 i = 0; i < 3; i++) {
		u8 alarm = r->ram[SEC_ALARM + 2 * i];

		is_match &= (alarm & ALARM_ANY) == ALARM_ANY || alarm == time[i];
	}
	return is_match;
}

/* For an alarm, too, we look every second: few guests set one */
static u64 next_event(const struct vrtc *r, u64 chain_ns)
{
	u8 enabled = r->ram[REG_B];
	u64 next = NEVER;

	if (r->ram[REG_C] & C_IRQF) {
		return NEVER; /* the line is up until register C is read */
	}
	if ((enabled & C_PF) && (r->ram[REG_A] & A_RS) && !is_chain_held(r)) {
		u64 edge = periodic_edges(r, chain_ns) + 1;

		next = ticks_to_ns(edge << periodic_shift(r), CHAIN_HZ);
	}
	if ((enabled & (C_UF | C_AF)) && !is_held(r)) {
		next = MIN(next, (chain_ns / NSEC_PER_SEC + 1) * NSEC_PER_SEC);
	}
	return next;
}

/* Set the flags of all that happened since the last time, enabled or not, and drive IRQ */
static void sync(struct vrtc *r, u64 chain_ns)
{
	u64 last = wall_seconds(r, r->synced_ns), now = wall_seconds(r, chain_ns);
	u8 flags = r->ram[REG_C] & (u8)~C_IRQF;

	if (periodic_edges(r, chain_ns) != periodic_edges(r, r->synced_ns)) {
		flags |= C_PF;
	}
	if (!is_held(r) && now != last) {
		flags |= C_UF;
		for (u64 t = MAX(last + 1, now - DAY_SECONDS); t <= now && !(flags & C_AF); t++) {
			flags |= alarm_rings_at(r, t) ? C_AF : 0;
		}
	}
	r->synced_ns = chain_ns;
	r->ram[REG_C] = (flags & r->ram[REG_B]) ? flags | C_IRQF : flags;
	irq_line_set(&r->irq, flags & r->ram[REG_B]);
	u64 next = next_event(r, chain_ns);
	r->deadline_ns = next == NEVER ? NEVER : next - r->phase_ns;
}

u64 vrtc_poll(struct vrtc *r, u64 now_ns)
{
	if (now_ns >= r->deadline_ns) {
		sync(r, now_ns + r->phase_ns);
	}
	return r->deadline_ns;
}

/* What is due before the access must have happened, and be in the registers. Return: the chain */
static u64 catch_up(struct vrtc *r)
{
	u64 chain_ns = vclock_now(r->clock) + r->phase_ns;

	sync(r, chain_ns);
	if (!is_held(r)) {
		show_time(r, chain_ns);
	}
	return chain_ns;
}

static u64 vrtc_read(void *self, u64 offset, u32 width maybe_unused)
{
	struct vrtc *r = self;

	if (!(offset & 1)) {
		return r->index;
	}
	u64 chain_ns = catch_up(r);
	u8 value = r->ram[r->index];
	bool is_updating = chain_ns % NSEC_PER_SEC >= NSEC_PER_SEC - UPDATE_NS;
	if (r->index == REG_A && !is_held(r) && is_updating) {
		value |= A_UIP;
	} else if (r->index == REG_C) {
		r->ram[REG_C] = 0;
		sync(r, chain_ns);
	}
	return value;
}

static void vrtc_write(void *self, u64 offset, u32 width maybe_unused, u64 value)
{
	struct vrtc *r = self;

	if (!(offset & 1)) {
		r->index = value & (VRTC_RAM - 1); /* bit 7 masks NMI, and there is none to mask */
		return;
	}
	u64 chain_ns = catch_up(r);
	bool was_held = is_held(r), was_chain_held = is_chain_held(r);
	switch (r->index) {
	case REG_A: r->ram[REG_A] = value & (u8)~A_UIP; break;
	case REG_B: r->ram[REG_B] = (u8)((value & B_SET) ? value & ~(u64)B_UIE : value); break;
	case REG_C:
	case REG_D: break;
	default: r->ram[r->index] = (u8)value; break;
	}
	if (was_chain_held && !is_chain_held(r)) {
		/* "Divider Control": out of reset, the first update comes half a second later */
		u64 shift = (NSEC_PER_SEC * 3 / 2 - chain_ns % NSEC_PER_SEC) % NSEC_PER_SEC;
		r->phase_ns += shift;
		r->synced_ns = chain_ns += shift;
	}
	/* A running clock follows its registers, but not into the format that B has just chosen */
	if (was_held || r->index != REG_B) {
		take_time(r, chain_ns);
	}
	sync(r, chain_ns);
}

const struct vdev_ops vrtc_ops = { .read = vrtc_read, .write = vrtc_write, .is_byte_wide = true };

void vrtc_init(struct vrtc *r, const struct vclock *clock, struct irq_line irq, u64 utc)
{
	*r = (struct vrtc){
		.clock = clock,
		.irq = irq,
		.base_seconds = (s64)utc,
		.deadline_ns = NEVER,
		/* 0x14: equipment, an FPU */
		.ram = { [REG_A] = 0x26, [REG_B] = B_24H, [REG_D] = D_VRT, [0x14] = 0x02 },
	};
}

static void put16(struct vrtc *r, u32 at, u64 value)
{
	r->ram[at] = (u8)value;
	r->ram[at + 1] = (u8)(value >> 8);
}

/* Sizes saturate */
void vrtc_set_memory(struct vrtc *r, u64 below_4g, u64 above_4g)
{
	u64 above_1m = below_4g > MIB ? below_4g - MIB : 0;
	u64 above_16m = below_4g > 16 * MIB ? below_4g - 16 * MIB : 0;

	put16(r, 0x15, MIN(below_4g / KIB, 640ull));
	put16(r, 0x17, MIN(above_1m / KIB, 0xffffull));
	put16(r, 0x30, MIN(above_1m / KIB, 0xffffull));
	put16(r, 0x34, MIN(above_16m / (64 * KIB), 0xffffull));
	put16(r, 0x5b, above_4g / (64 * KIB));
	r->ram[0x5d] = (u8)(above_4g / (64 * KIB) >> 16);
}
