// SPDX-License-Identifier: BSD-2-Clause
/*
 * 8254 as in the Intel data sheet (order 231164), and the port that gates its channel 2 (ICH9
 * 13.7.1 "NMI_SC"). All is computed from the partition's clock when somebody looks; nothing ticks.
 * Of OUT of channel 0 only rising edges reach the line, which falls just before: no interrupt is
 * lost to a guest that looks late. Called through the bus, and by the kernel's poll.
 */
#include "vpit.h"

enum { CONTROL_PORT = 3, SELECT_BACK = 3 /* read-back command, in place of a channel number */ };
enum { BACK_NO_COUNT = 0x20, BACK_NO_STATUS = 0x10, STATUS_OUT = 0x80, STATUS_NULL_COUNT = 0x40 };
enum { RW_LATCH, RW_LOW, RW_HIGH, RW_BOTH };
enum { P61_GATE2 = 0x01, P61_WRITABLE = 0x0f, P61_REFRESH = 0x10, P61_OUT2 = 0x20 };

#define REFRESH_NS 15085 /* 18 pulses: channel 1's period on a PC */

static u64 ticks_ns(u64 ticks)
{
	return ticks_to_ns(ticks, PIT_HZ);
}

static u32 access_of(const struct vpit_channel *c)
{
	return c->control >> 4 & 3;
}

/* By a rising gate only; the gate's level does nothing */
static bool is_triggered(const struct vpit_channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

static bool is_periodic(const struct vpit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

/* Mode 3: an odd count is high for one pulse longer */
static u32 high_half(u32 reload)
{
	return (reload + 1) / 2;
}

/* Counts are binary or, by bit 0 of the control word, four decimal digits */
static u32 modulus(const struct vpit_channel *c)
{
	return (c->control & 1) ? 10000 : 65536;
}

static u16 to_bcd(u32 v)
{
	return (u16)(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12);
}

static u32 from_bcd(u32 v)
{
	return (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 + (v >> 12) * 1000;
}

/* Clock pulses since the count was written or triggered; start_ns may lie before 0, wrapped */
static u64 pulses(const struct vpit_channel *c, u64 now_ns)
{
	bool is_held = !c->gate && !is_triggered(c);

	return is_held ? c->held_pulses : ns_to_ticks(now_ns - c->start_ns, PIT_HZ);
}

/* Pulses since the counting element was loaded, which took one */
static u64 counted(const struct vpit_channel *c, u64 now_ns)
{
	u64 t = pulses(c, now_ns);

	return t ? t - 1 : 0;
}

/* Data sheet, "Mode Definitions": OUT as a function of pulses counted */
static bool channel_out(const struct vpit_channel *c, u64 now_ns)
{
	u64 x = counted(c, now_ns);

	if (!c->is_loaded) {
		return c->mode != 0;
	}
	switch (c->mode) {
	case 0:
	case 1: return x >= c->reload;
	case 2: return !c->gate || x % c->reload != c->reload - 1;
	case 3: return !c->gate || x % c->reload < high_half(c->reload);
	default: return x != c->reload; /* strobe: low for one pulse */
	}
}

/* The counting element as a read sees it */
static u16 channel_count(const struct vpit_channel *c, u64 now_ns)
{
	u64 x = counted(c, now_ns);
	u32 m = modulus(c), left;

	if (!c->is_loaded) {
		return 0;
	}
	if (c->mode == 2) {
		left = c->reload - (u32)(x % c->reload);
	} else if (c->mode == 3) {
		/* By twos, through each half anew; an odd count loses its odd one */
		left = (c->reload & ~1u) - 2 * (u32)(x % c->reload % high_half(c->reload));
	} else {
		left = c->reload + m - (u32)(x % m); /* goes on below zero */
	}
	return (c->control & 1) ? to_bcd(left % m) : (u16)left;
}

/* The written count goes into the counting element, which the first pulse after @start_ns loads */
static void channel_start(struct vpit_channel *c, u64 start_ns)
{
	c->start_ns = start_ns;
	c->held_pulses = 1; /* a closed gate stops counting, not loading */
	c->reload = c->next_reload ? c->next_reload : c->reload;
	c->next_reload = 0;
	c->is_loaded = c->reload != 0;
}

/* "Mode 2", "Mode 3": a new count waits for the end of the period, or of the half period */
static void plan_switch(struct vpit_channel *c, u64 now_ns)
{
	u64 x = counted(c, now_ns), phase = x % c->reload;

	c->is_switch_low = c->mode == 3 && phase < high_half(c->reload);
	u64 end = x - phase + (c->is_switch_low ? high_half(c->reload) : c->reload);
	c->switch_ns = c->start_ns + ticks_ns(1 + end);
}

/* If that end has come, the new count began then: in mode 3 with the half that was next */
static void channel_sync(struct vpit_channel *c, u64 now_ns)
{
	if (c->next_reload && now_ns >= c->switch_ns) {
		u32 skipped = c->is_switch_low ? high_half(c->next_reload) : 0;

		channel_start(c, c->switch_ns - ticks_ns(1 + skipped));
	}
}

static void channel_write(struct vpit_channel *c, u8 value, u64 now_ns)
{
	bool is_first = access_of(c) == RW_BOTH && !c->is_write_high;

	c->is_write_high = is_first;
	if (is_first) {
		/* "Mode 0": writing the first byte disables counting, OUT goes low */
		c->is_loaded &= c->mode != 0;
		c->write_latch = value;
		return;
	}
	u32 count = access_of(c) == RW_LOW ? value : (u32)value << 8 | c->write_latch;
	count = (c->control & 1) ? from_bcd(count) : count;
	c->next_reload = count ? count : modulus(c);
	c->switch_ns = NEVER; /* unless planned: the gate must rise first */
	if (is_periodic(c) && c->is_loaded && c->gate) {
		plan_switch(c, now_ns);
	} else if (!is_triggered(c) && !(is_periodic(c) && c->is_loaded)) {
		channel_start(c, now_ns);
	}
}

static void channel_program(struct vpit_channel *c, u8 control)
{
	*c = (struct vpit_channel){ .gate = c->gate, .control = control & 0x3f,
				    .mode = control >> 1 & ((control & 4) ? 3 : 7) };
}

/* A second latch command before the read is ignored */
static void channel_latch(struct vpit_channel *c, u8 command, u64 now_ns)
{
	if (!(command & BACK_NO_COUNT) && !c->latched_bytes) {
		c->latched_count = channel_count(c, now_ns);
		c->latched_bytes = access_of(c) == RW_BOTH ? 2 : 1;
		c->is_read_high = false;
	}
	if (!(command & BACK_NO_STATUS) && !c->has_latched_status) {
		bool is_null = !c->is_loaded || c->next_reload || !pulses(c, now_ns);

		c->has_latched_status = true;
		c->latched_status = (u8)((channel_out(c, now_ns) ? STATUS_OUT : 0) |
					 (is_null ? STATUS_NULL_COUNT : 0) | c->control);
	}
}

static u8 channel_read(struct vpit_channel *c, u64 now_ns)
{
	if (c->has_latched_status) {
		c->has_latched_status = false;
		return c->latched_status;
	}
	u16 count = channel_count(c, now_ns);
	if (c->latched_bytes) {
		c->latched_bytes--;
		count = c->latched_count;
	}
	bool is_high = access_of(c) == RW_HIGH || (access_of(c) == RW_BOTH && c->is_read_high);
	c->is_read_high = !is_high;
	return (u8)(is_high ? count >> 8 : count);
}

/* The gate of modes 0 and 4 suspends, that of 2 and 3 restarts, that of 1 and 5 triggers */
static void channel_gate(struct vpit_channel *c, bool gate, u64 now_ns)
{
	if (gate == c->gate) {
		return;
	}
	if (!gate) {
		c->held_pulses = pulses(c, now_ns);
		c->switch_ns = NEVER;
	} else if (c->mode == 0 || c->mode == 4) {
		c->start_ns = now_ns - ticks_ns(c->held_pulses);
	} else {
		channel_start(c, now_ns);
	}
	c->gate = gate;
}

/* When OUT rises next; channel 0's gate is always open */
static u64 next_edge(const struct vpit_channel *c, u64 now_ns)
{
	u64 x = counted(c, now_ns), edge = c->reload + (c->mode == 4); /* a strobe lasts one pulse */

	if (!c->is_loaded || is_triggered(c)) {
		return NEVER;
	}
	if (c->next_reload) {
		return c->switch_ns + ticks_ns(c->is_switch_low ? c->next_reload / 2 : 0);
	}
	if (is_periodic(c)) {
		edge = (x / c->reload + 1) * c->reload;
	}
	return x < edge ? c->start_ns + ticks_ns(1 + edge) : NEVER;
}

u64 vpit_poll(struct vpit *p, u64 now_ns)
{
	if (now_ns >= p->deadline_ns) {
		irq_line_set(&p->irq, false);
		irq_line_set(&p->irq, true);
		channel_sync(&p->ch[0], now_ns);
		p->deadline_ns = next_edge(&p->ch[0], now_ns);
	}
	return p->deadline_ns;
}

/* What is due before an access has happened. Return: now */
static u64 catch_up(struct vpit *p)
{
	u64 now_ns = vclock_now(p->clock);

	vpit_poll(p, now_ns);
	for (u32 i = 0; i < 3; i++) {
		channel_sync(&p->ch[i], now_ns);
	}
	return now_ns;
}

static void write_control(struct vpit *p, u8 value, u64 now_ns)
{
	bool is_back = value >> 6 == SELECT_BACK, is_latch = (value >> 4 & 3) == RW_LATCH;
	u32 channels = is_back ? value >> 1 & 7 : 1u << (value >> 6);

	for (u32 i = 0; i < 3; i++) {
		if (!(channels >> i & 1)) {
			continue;
		}
		if (is_back || is_latch) {
			channel_latch(&p->ch[i], is_back ? value : BACK_NO_STATUS, now_ns);
		} else {
			channel_program(&p->ch[i], value);
		}
	}
}

static u64 vpit_read(void *self, u64 offset, u32 width maybe_unused)
{
	struct vpit *p = self;
	u64 now_ns = catch_up(p);

	return (offset & 3) == CONTROL_PORT ? 0xff : channel_read(&p->ch[offset & 3], now_ns);
}

/* After a write the line follows channel 0's OUT, but for the low phases of modes 2 to 4 */
static void vpit_write(void *self, u64 offset, u32 width maybe_unused, u64 value)
{
	struct vpit *p = self;
	u64 now_ns = catch_up(p);

	if ((offset & 3) == CONTROL_PORT) {
		write_control(p, (u8)value, now_ns);
	} else {
		channel_write(&p->ch[offset & 3], (u8)value, now_ns);
	}
	irq_line_set(&p->irq, p->ch[0].mode != 0 || channel_out(&p->ch[0], now_ns));
	p->deadline_ns = next_edge(&p->ch[0], now_ns);
}

static u64 port61_read(void *self, u64 offset maybe_unused, u32 width maybe_unused)
{
	struct vpit *p = self;
	u64 now_ns = catch_up(p);

	return p->port61 | (now_ns / REFRESH_NS % 2 ? P61_REFRESH : 0) |
	       (channel_out(&p->ch[2], now_ns) ? P61_OUT2 : 0);
}

static void port61_write(void *self, u64 offset maybe_unused, u32 width maybe_unused, u64 value)
{
	struct vpit *p = self;
	u64 now_ns = catch_up(p);

	p->port61 = (u8)value & P61_WRITABLE;
	channel_gate(&p->ch[2], value & P61_GATE2, now_ns);
}

const struct vdev_ops vpit_ops = { .read = vpit_read, .write = vpit_write, .is_byte_wide = true };
const struct vdev_ops vpit_port61_ops = {
	.read = port61_read, .write = port61_write, .is_byte_wide = true,
};

/* Unprogrammed channels stand still: no guest pays for ticks that it did not ask for */
void vpit_init(struct vpit *p, const struct vclock *clock, struct irq_line irq)
{
	*p = (struct vpit){ .clock = clock, .irq = irq, .deadline_ns = NEVER };
	for (u32 i = 0; i < 3; i++) {
		p->ch[i].control = RW_BOTH << 4;
		p->ch[i].gate = i != 2;
	}
}
