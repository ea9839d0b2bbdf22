// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two 8259A as in the Intel data sheet (order 231468), wired as in a PC: the slave's INT is the
 * master's IR2, ELCR chooses edge or level by line (ICH9 13.4.2 "ICW1": LTIM "replaced by ELCR").
 * ICW3 names that wiring and is taken as read. 8080 mode is unknown here: vectors are always 8086.
 * Lines come from the platform, INTA from the kernel, registers through the bus.
 */
#include "vpic.h"

enum { MASTER, SLAVE };
enum { CASCADE = 2, SPURIOUS = 7, NO_LEVEL = 8 };
enum { ICW1 = 0x10, ICW1_SNGL = 0x02, ICW1_IC4 = 0x01, ICW4_AEOI = 0x02, ICW4_SFNM = 0x10 };
enum { OCW2_EOI = 0x20, OCW2_SL = 0x40, OCW2_R = 0x80 };
enum { OCW3 = 0x08, OCW3_RIS = 0x01, OCW3_RR = 0x02, OCW3_POLL = 0x04 };
enum { OCW3_SMM = 0x20, OCW3_ESMM = 0x40 };

static u8 bit(u32 level)
{
	return (u8)(1u << (level & 7));
}

/* The bit of @set with the highest priority, or NO_LEVEL: they run up from after the lowest */
static u32 highest(const struct vpic_chip *c, u8 set)
{
	for (u32 i = 1; i <= 8; i++) {
		u32 level = (c->priority + i) & 7;

		if (set & bit(level)) {
			return level;
		}
	}
	return NO_LEVEL;
}

static u8 requests(const struct vpic_chip *c)
{
	return (c->irr & (u8)~c->elcr) | (c->lines & c->elcr);
}

/* The level that drives INT now, or NO_LEVEL. Between ICW1 and the last ICW there is none. */
static u32 pending_level(const struct vpic *p, u32 n)
{
	const struct vpic_chip *c = &p->chip[n];
	u8 blocking = c->isr, wanted = requests(c) & (u8)~c->imr;

	if (c->icw_step) {
		return NO_LEVEL;
	}
	if (c->special_mask) {
		blocking &= (u8)~c->imr;
	}
	/* Whichever comes first decides: a level in service blocks itself and those below it */
	u32 level = highest(c, wanted | blocking);
	if (level == NO_LEVEL || !(blocking & bit(level))) {
		return level;
	}
	/* Special fully nested: the slave may ask again while it is in service */
	bool may_nest = n == MASTER && level == CASCADE && (c->icw4 & ICW4_SFNM);
	return may_nest && (wanted & bit(level)) ? level : NO_LEVEL;
}

static void set_input(struct vpic_chip *c, u32 level, bool is_high)
{
	u8 b = bit(level), rising = b & (u8)~c->lines;

	/* The request must last until INTA, else it was spurious */
	c->irr = (u8)(is_high ? c->irr | rising : c->irr & ~b);
	c->lines = (u8)(is_high ? c->lines | b : c->lines & ~b);
}

/* After whatever may have changed them: the slave's INT, then the master's */
static void update_outputs(struct vpic *p)
{
	set_input(&p->chip[MASTER], CASCADE, pending_level(p, SLAVE) != NO_LEVEL);
	p->is_pending = pending_level(p, MASTER) != NO_LEVEL;
}

static void end_of_interrupt(struct vpic_chip *c, u32 level, bool is_rotating)
{
	if (level != NO_LEVEL) {
		c->isr &= (u8)~bit(level);
		if (is_rotating) {
			c->priority = (u8)level;
		}
	}
}

/* One chip's part of an INTA cycle or of a poll. Return: the level acknowledged, or NO_LEVEL */
static u32 chip_ack(struct vpic *p, u32 n)
{
	struct vpic_chip *c = &p->chip[n];
	u32 level = pending_level(p, n);

	if (level == NO_LEVEL) {
		return NO_LEVEL;
	}
	c->irr &= (u8)~bit(level);
	c->isr |= bit(level);
	if (c->icw4 & ICW4_AEOI) {
		end_of_interrupt(c, level, c->auto_rotate);
	}
	if (n == SLAVE) {
		/* INT falls with INTA, whatever is asked next: the master needs an edge */
		set_input(&p->chip[MASTER], CASCADE, false);
	}
	return level;
}

static void write_ocw2(struct vpic_chip *c, u8 value)
{
	bool is_rotating = value & OCW2_R, is_specific = value & OCW2_SL;
	/* In special mask mode a non-specific EOI passes over levels that are masked */
	u8 in_service = c->special_mask ? c->isr & (u8)~c->imr : c->isr;
	u32 level = is_specific ? value & 7 : highest(c, in_service);

	if (value & OCW2_EOI) {
		end_of_interrupt(c, level, is_rotating);
	} else if (!is_specific) {
		c->auto_rotate = is_rotating;
	} else if (is_rotating) {
		c->priority = (u8)level;
	}
}

/* "Initialization Command Words": what ICW1 resets. Lines stay: each must rise anew to be seen. */
static void write_icw1(struct vpic_chip *c, u8 value)
{
	*c = (struct vpic_chip){ .lines = c->lines, .elcr = c->elcr, .vector_base = c->vector_base,
				 .priority = 7, .icw_step = 2, .needs_icw4 = value & ICW1_IC4,
				 .is_single = value & ICW1_SNGL };
}

static void write_odd(struct vpic_chip *c, u8 value)
{
	u8 step = c->icw_step;

	switch (step) {
	case 2: c->vector_base = value & 0xf8; break;
	case 3: break;
	case 4: c->icw4 = value; break;
	default: c->imr = value; return;
	}
	bool has_icw3 = step == 2 && !c->is_single, has_icw4 = step < 4 && c->needs_icw4;
	c->icw_step = has_icw3 ? 3 : has_icw4 ? 4 : 0;
}

static void chip_write(struct vpic *p, u32 n, u64 offset, u8 value)
{
	struct vpic_chip *c = &p->chip[n];

	if (offset & 1) {
		write_odd(c, value);
	} else if (value & ICW1) {
		write_icw1(c, value);
	} else if (!(value & OCW3)) {
		write_ocw2(c, value);
	} else {
		c->special_mask = (value & OCW3_ESMM) ? value & OCW3_SMM : c->special_mask;
		c->reads_isr = (value & OCW3_RR) ? value & OCW3_RIS : c->reads_isr;
		c->poll = value & OCW3_POLL;
	}
	update_outputs(p);
}

static u8 chip_read(struct vpic *p, u32 n, u64 offset)
{
	struct vpic_chip *c = &p->chip[n];

	if (c->poll) {
		/* "Poll Command": the next read, of either port, is the INTA */
		u32 level = chip_ack(p, n);

		c->poll = false;
		update_outputs(p);
		return level == NO_LEVEL ? 0 : (u8)(0x80 | level);
	}
	if (offset & 1) {
		return c->imr;
	}
	return c->reads_isr ? c->isr : requests(c);
}

static u64 master_read(void *self, u64 offset, u32 width maybe_unused)
{
	return chip_read(self, MASTER, offset);
}

static void master_write(void *self, u64 offset, u32 width maybe_unused, u64 value)
{
	chip_write(self, MASTER, offset, (u8)value);
}

static u64 slave_read(void *self, u64 offset, u32 width maybe_unused)
{
	return chip_read(self, SLAVE, offset);
}

static void slave_write(void *self, u64 offset, u32 width maybe_unused, u64 value)
{
	chip_write(self, SLAVE, offset, (u8)value);
}

static u64 elcr_read(void *self, u64 offset, u32 width maybe_unused)
{
	struct vpic *p = self;

	return p->chip[offset & 1].elcr;
}

static void elcr_write(void *self, u64 offset, u32 width maybe_unused, u64 value)
{
	/* ICH9 13.4.10, 13.4.11: timer, keyboard, cascade, RTC and FERR# are always edge */
	static const u8 may_be_level[] = { 0xf8, 0xde };
	struct vpic *p = self;

	p->chip[offset & 1].elcr = (u8)value & may_be_level[offset & 1];
	update_outputs(p);
}

const struct vdev_ops vpic_master_ops = {
	.read = master_read, .write = master_write, .is_byte_wide = true,
};
const struct vdev_ops vpic_slave_ops = {
	.read = slave_read, .write = slave_write, .is_byte_wide = true,
};
const struct vdev_ops vpic_elcr_ops = {
	.read = elcr_read, .write = elcr_write, .is_byte_wide = true,
};

/* As a PC's firmware leaves them: vectors 0x08 and 0x70, but all masked */
void vpic_init(struct vpic *p)
{
	*p = (struct vpic){ .chip = {
		{ .vector_base = 0x08, .imr = 0xff, .priority = 7 },
		{ .vector_base = 0x70, .imr = 0xff, .priority = 7 },
	} };
}

void vpic_set_line(struct vpic *p, u32 irq, bool level)
{
	if (irq > 15 || irq == CASCADE) { /* IRQ2 is the cascade; a PC has no such input */
		return;
	}
	set_input(&p->chip[irq / 8], irq, level);
	update_outputs(p);
}

u8 vpic_ack(struct vpic *p)
{
	u32 n = MASTER, level = chip_ack(p, MASTER);

	if (level == CASCADE && !p->chip[MASTER].is_single) {
		n = SLAVE;
		level = chip_ack(p, SLAVE);
	}
	update_outputs(p);
	if (level == NO_LEVEL) {
		level = SPURIOUS; /* "IR7 default": no ISR bit */
	}
	return (u8)(p->chip[n].vector_base | level);
}
