// SPDX-License-Identifier: BSD-2-Clause
/*
 * MC146818 as in the Motorola data sheet (ADI-856), with the century byte and RAM of a PC.
 * Wall time is the partition's clock plus an offset; registers, flags and deadlines are computed
 * from it when somebody looks. Called through the bus, and by the kernel's poll.
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

struct date {
	u32 year, month, day;
};

static struct date date_of(u64 days)
{
	u32 era = (u32)(days / DAYS_400_YEARS), d = (u32)(days % DAYS_400_YEARS);
	/* A leap day is the last of its 4- or 400-year cycle: but for it, a year has 365 days */
	u32 y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
	u32 day_of_year = d - (365 * y + y / 4 - y / 100);
	u32 m = (5 * day_of_year + 2) / 153; /* five months from March have 153 days */

	return (struct date){
		.year = 400 * era + y + (m >= 10) - 400,
		.month = m < 10 ? m + 3 : m - 9,
		.day = day_of_year - (153 * m + 2) / 5 + 1,
	};
}

static u64 days_of(struct date d)
{
	u64 y = d.year + 400 - (d.month < 3);
	u64 m = d.month < 3 ? d.month + 9 : d.month - 3;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + d.day - 1;
}

static bool is_chain_held(const struct vrtc *r)
{
	return (r->ram[REG_A] & A_DV_RESET) == A_DV_RESET;
}

static bool is_time_held(const struct vrtc *r)
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

static u64 chain_ns(const struct vrtc *r, u64 now_ns)
{
	return now_ns + r->phase_ns;
}

/* Wall time in the seconds of days_of() */
static u64 wall_seconds(const struct vrtc *r, u64 chain)
{
	return (u64)(r->base_seconds + DAYS_TO_1970 * (s64)DAY_SECONDS) + chain / NSEC_PER_SEC;
}

static void show_time(struct vrtc *r, u64 chain)
{
	u64 seconds = wall_seconds(r, chain), days = seconds / DAY_SECONDS;
	u32 s = (u32)(seconds % DAY_SECONDS);
	struct date d = date_of(days);

	r->ram[SECONDS] = encode(r, s % 60);
	r->ram[MINUTES] = encode(r, s / 60 % 60);
	r->ram[HOURS] = encode_hour(r, s / 3600);
	r->ram[WEEKDAY] = encode(r, (u32)((days + 3 + r->weekday_shift) % 7 + 1)); /* Sunday = 1 */
	r->ram[DAY] = encode(r, d.day);
	r->ram[MONTH] = encode(r, d.month);
	r->ram[YEAR] = encode(r, d.year % 100);
	r->ram[VRTC_CENTURY] = encode(r, d.year / 100 % 100);
}

/* The reverse: what the guest wrote is the time now. Impossible dates become real ones. */
static void take_time(struct vrtc *r, u64 chain)
{
	u32 month = decode(r, r->ram[MONTH]);
	struct date d = {
		.year = decode(r, r->ram[VRTC_CENTURY]) * 100 + decode(r, r->ram[YEAR]),
		.month = MIN(MAX(month, 1u), 12u),
		.day = decode(r, r->ram[DAY]),
	};
	u64 days = days_of(d), s = decode_hour(r, r->ram[HOURS]) * 3600 +
				   decode(r, r->ram[MINUTES]) * 60 + decode(r, r->ram[SECONDS]);

	r->base_seconds = (s64)((days - DAYS_TO_1970) * DAY_SECONDS + s - chain / NSEC_PER_SEC);
	r->weekday_shift = (u8)((decode(r, r->ram[WEEKDAY]) + 7 * 2 - 1 - (days + 3) % 7) % 7);
}

/* log2 of the chain's pulses in a period. RS codes 1 and 2 repeat 8 and 9, 0 is none. */
static u32 periodic_shift(const struct vrtc *r)
{
	u32 rs = r->ram[REG_A] & A_RS;

	return rs < 3 ? rs + 6 : rs - 1;
}

static u64 periodic_edges(const struct vrtc *r, u64 chain)
{
	return ns_to_ticks(chain, CHAIN_HZ) >> periodic_shift(r);
}

static bool alarm_matches(const struct vrtc *r, u32 reg, u8 value)
{
	return (r->ram[reg] & ALARM_ANY) == ALARM_ANY || r->ram[reg] == value;
}

/*
 * The first second after @seconds that the alarm registers fit, or NEVER. 262 steps find any: the
 * rest of this minute and hour, 24 hours, 60 minutes, 60 seconds. Nonsense in them ends there, too.
 */
static u64 next_alarm(const struct vrtc *r, u64 seconds)
{
	u64 t = seconds + 1;

	for (u32 i = 0; i < 262; i++) {
		if (!alarm_matches(r, HOUR_ALARM, encode_hour(r, (u32)(t / 3600 % 24)))) {
			t = (t / 3600 + 1) * 3600;
		} else if (!alarm_matches(r, MIN_ALARM, encode(r, (u32)(t / 60 % 60)))) {
			t = (t / 60 + 1) * 60;
		} else if (!alarm_matches(r, SEC_ALARM, encode(r, (u32)(t % 60)))) {
			t++;
		} else {
			return t;
		}
	}
	return NEVER;
}

/* Set the flags of all that happened since the last time, enabled or not, and drive IRQ */
static void sync(struct vrtc *r, u64 now_ns)
{
	u64 chain = chain_ns(r, now_ns), last = r->synced_ns;
	u8 flags = r->ram[REG_C] & (u8)~C_IRQF;

	r->synced_ns = chain;
	if (!is_chain_held(r) && (r->ram[REG_A] & A_RS) &&
	    periodic_edges(r, chain) != periodic_edges(r, last)) {
		flags |= C_PF;
	}
	if (!is_time_held(r) && chain / NSEC_PER_SEC != last / NSEC_PER_SEC) {
		flags |= C_UF;
		if (next_alarm(r, wall_seconds(r, last)) <= wall_seconds(r, chain)) {
			flags |= C_AF;
		}
	}
	if (flags & r->ram[REG_B]) {
		flags |= C_IRQF;
	}
	r->ram[REG_C] = flags;
	irq_line_set(&r->irq, flags & C_IRQF);
}

u64 vrtc_poll(struct vrtc *r, u64 now_ns)
{
	u8 enabled = r->ram[REG_B];
	u64 chain = chain_ns(r, now_ns), next = NEVER, second = chain / NSEC_PER_SEC;

	if (!(enabled & C_FLAGS)) {
		return NEVER;
	}
	sync(r, now_ns);
	if (r->ram[REG_C] & C_IRQF) {
		return NEVER; /* the line is up until register C is read */
	}
	if ((enabled & C_PF) && (r->ram[REG_A] & A_RS) && !is_chain_held(r)) {
		u64 edge = periodic_edges(r, chain) + 1;

		next = ticks_to_ns(edge << periodic_shift(r), CHAIN_HZ);
	}
	if ((enabled & C_UF) && !is_time_held(r)) {
		next = MIN(next, (second + 1) * NSEC_PER_SEC);
	}
	if ((enabled & C_AF) && !is_time_held(r)) {
		u64 now_seconds = wall_seconds(r, chain), alarm = next_alarm(r, now_seconds);

		if (alarm != NEVER) {
			next = MIN(next, (second + alarm - now_seconds) * NSEC_PER_SEC);
		}
	}
	return next == NEVER ? NEVER : next - r->phase_ns;
}

static bool is_time_reg(u32 reg)
{
	return reg == SECONDS || reg == MINUTES || reg == HOURS || reg == VRTC_CENTURY ||
	       (reg >= WEEKDAY && reg <= YEAR);
}

static u8 read_reg(struct vrtc *r, u32 reg, u64 chain)
{
	u8 value = r->ram[reg];

	if (reg == REG_A && !is_time_held(r) && chain % NSEC_PER_SEC >= NSEC_PER_SEC - UPDATE_NS) {
		value |= A_UIP;
	} else if (reg == REG_C) {
		r->ram[REG_C] = 0;
		irq_line_set(&r->irq, false);
	}
	return value;
}

static void write_control(struct vrtc *r, u32 reg, u8 value, u64 now_ns)
{
	bool was_held = is_time_held(r), was_chain_held = is_chain_held(r);

	if (reg == REG_A) {
		r->ram[REG_A] = value & (u8)~A_UIP;
	} else {
		r->ram[REG_B] = (value & B_SET) ? value & (u8)~B_UIE : value; /* SET clears UIE */
	}
	if (was_chain_held && !is_chain_held(r)) {
		/* "Divider Control": out of reset, the first update comes half a second later */
		r->phase_ns = (NSEC_PER_SEC * 3 / 2 - now_ns % NSEC_PER_SEC) % NSEC_PER_SEC;
		r->synced_ns = chain_ns(r, now_ns);
	}
	if (was_held) {
		take_time(r, chain_ns(r, now_ns));
	}
	sync(r, now_ns);
}

/* What is due before the access must have happened, and be in the registers */
static u64 catch_up(struct vrtc *r)
{
	u64 now_ns = vclock_now(r->clock);

	sync(r, now_ns);
	if (!is_time_held(r)) {
		show_time(r, chain_ns(r, now_ns));
	}
	return now_ns;
}

static u64 vrtc_read(void *self, u64 offset, u32 width maybe_unused)
{
	struct vrtc *r = self;

	return (offset & 1) ? read_reg(r, r->index, chain_ns(r, catch_up(r))) : r->index;
}

static void vrtc_write(void *self, u64 offset, u32 width maybe_unused, u64 value)
{
	struct vrtc *r = self;

	if (!(offset & 1)) {
		r->index = value & (VRTC_RAM - 1); /* bit 7 masks NMI, and there is none to mask */
		return;
	}
	u64 now_ns = catch_up(r);
	switch (r->index) {
	case REG_A:
	case REG_B: write_control(r, r->index, (u8)value, now_ns); break;
	case REG_C:
	case REG_D: break;
	default: r->ram[r->index] = (u8)value; break;
	}
	if (is_time_reg(r->index) && !is_time_held(r)) {
		take_time(r, chain_ns(r, now_ns));
	}
}

const struct vdev_ops vrtc_ops = {
	.read = vrtc_read, .write = vrtc_write, .is_byte_wide = true,
};

void vrtc_init(struct vrtc *r, const struct vclock *clock, struct irq_line irq, u64 utc)
{
	*r = (struct vrtc){
		.clock = clock,
		.irq = irq,
		.base_seconds = (s64)utc,
		/* 0x14: equipment, an FPU */
		.ram = { [REG_A] = 0x26, [REG_B] = B_24H, [REG_D] = D_VRT, [0x14] = 0x02 },
	};
}

static void put16(struct vrtc *r, u32 at, u64 value)
{
	r->ram[at] = (u8)value;
	r->ram[at + 1] = (u8)(value >> 8);
}

/* Sizes saturate; 0x2e is the sum that AT firmware keeps over 0x10 to 0x2d, high byte first */
void vrtc_set_memory(struct vrtc *r, u64 below_4g, u64 above_4g)
{
	u64 above_1m = below_4g > MIB ? below_4g - MIB : 0;
	u64 above_16m = below_4g > 16 * MIB ? below_4g - 16 * MIB : 0;
	u32 sum = 0;

	put16(r, 0x15, MIN(below_4g / KIB, 640ull));
	put16(r, 0x17, MIN(above_1m / KIB, 0xffffull));
	put16(r, 0x30, MIN(above_1m / KIB, 0xffffull));
	put16(r, 0x34, MIN(above_16m / (64 * KIB), 0xffffull));
	put16(r, 0x5b, above_4g / (64 * KIB));
	r->ram[0x5d] = (u8)(above_4g / (64 * KIB) >> 16);
	for (u32 i = 0x10; i <= 0x2d; i++) {
		sum += r->ram[i];
	}
	r->ram[0x2e] = (u8)(sum >> 8);
	r->ram[0x2f] = (u8)sum;
}
