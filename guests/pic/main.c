/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 8259 pair, statement by statement of its data sheet, with IF=0: the poll command stands for INTA.
 * UART (IRQ 4) and CMOS clock (IRQ 8) are the lines that we can raise and lower as we like.
 */
#include "lib/guest.h"

enum { NONE = 0, EOI = 0x20, ROTATE_EOI = 0xa0, SPECIFIC_EOI = 0x60, SET_PRIORITY = 0xc0 };

static uint8_t rtc(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void lower4(void)
{
	outb(COM1 + 1, 0);
	inb(COM1 + 2);
}

/* THRE interrupts as soon as it is enabled: an edge, then a level until IIR is read or IER cleared */
static void raise4(void)
{
	lower4();
	outb(COM1 + 1, 2);
}

static void lower8(void)
{
	rtc(0x0b);
	outb(0x71, 0x02);
	rtc(0x0c);
}

static uint8_t irr(uint16_t port)
{
	outb(port, 0x0a);
	return inb(port);
}

/* The periodic interrupt comes within a millisecond, and the line stays up until register C is read */
static void raise8(void)
{
	lower8();
	rtc(0x0b);
	outb(0x71, 0x42);
	while (!(irr(0xa0) & 1)) {
		__asm__ volatile("pause");
	}
}

static uint8_t poll(uint16_t port)
{
	outb(port, 0x0c);
	uint8_t v = inb(port);
	return v & 0x80 ? v : NONE;
}

static uint8_t isr(uint16_t port)
{
	outb(port, 0x0b);
	return inb(port);
}

static void init(uint8_t master_icw4, uint8_t master_mask)
{
	lower4();
	lower8();
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 0x04);
	outb(0x21, master_icw4);
	outb(0xa0, 0x11);
	outb(0xa1, 0x28);
	outb(0xa1, 0x02);
	outb(0xa1, 0x01);
	CHECK(inb(0x21) == 0 && inb(0xa1) == 0, "ICW1 clears the mask: %x %x", inb(0x21), inb(0xa1));
	CHECK(inb(0x20) == irr(0x20), "ICW1 selects IRR");
	outb(0x21, master_mask);
	outb(0xa1, 0xfe);
}

#define EXPECT(what, is)                                       \
	do {                                                   \
		unsigned value_ = (what);                      \
		CHECK(value_ == (unsigned)(is), "%x", value_); \
	} while (0)

static void edges(void)
{
	init(0x01, 0xef);
	EXPECT(poll(0x20), NONE);
	raise4();
	EXPECT(irr(0x20) & 0x10, 0x10);
	EXPECT(isr(0x20), 0);
	EXPECT(poll(0x20), 0x84);
	EXPECT(isr(0x20), 0x10);
	EXPECT(irr(0x20) & 0x10, 0); /* latched edges go with the acknowledge, though the line is high */
	raise4();
	EXPECT(irr(0x20) & 0x10, 0x10);
	EXPECT(poll(0x20), NONE); /* itself in service */
	outb(0x20, EOI);
	EXPECT(isr(0x20), 0);
	EXPECT(poll(0x20), 0x84);
	outb(0x20, SPECIFIC_EOI | 3); /* another level's */
	EXPECT(isr(0x20), 0x10);
	outb(0x20, SPECIFIC_EOI | 4);
	EXPECT(isr(0x20), 0);
	outb(0x21, 0xff);
	raise4();
	EXPECT(poll(0x20), NONE); /* masked, but remembered */
	outb(0x21, 0xef);
	EXPECT(poll(0x20), 0x84);
	outb(0x20, EOI);
	if (is_hosted()) {
		raise4();
		lower4(); /* "IR must remain high until INTA" */
		EXPECT(irr(0x20) & 0x10, 0);
		EXPECT(poll(0x20), NONE);
	}
}

static void cascade(void)
{
	init(0x01, 0xeb);
	raise8();
	EXPECT(irr(0xa0) & 1, 1);
	EXPECT(irr(0x20) & 4, 4);
	raise4();
	EXPECT(poll(0x20), 0x82); /* before 4 */
	EXPECT(poll(0xa0), 0x80);
	EXPECT(isr(0x20), 0x04);
	EXPECT(isr(0xa0), 0x01);
	EXPECT(poll(0x20), NONE); /* 4 is below 2 */
	outb(0xa0, EOI);
	outb(0x20, EOI);
	EXPECT(poll(0x20), 0x84);
	raise8();
	EXPECT(poll(0x20), 0x82); /* nests above 4 */
	EXPECT(poll(0xa0), 0x80);
	EXPECT(isr(0x20), 0x14);
	outb(0xa0, EOI);
	outb(0x20, EOI); /* non-specific: the highest in service */
	EXPECT(isr(0x20), 0x10);
}

static void rotation(void)
{
	init(0x01, 0xeb);
	raise4();
	EXPECT(poll(0x20), 0x84);
	outb(0x20, ROTATE_EOI); /* 4 is the lowest now, 5 the highest */
	raise4();
	raise8();
	EXPECT(poll(0x20), 0x82);
	poll(0xa0);
	outb(0xa0, EOI);
	outb(0x20, 0xe0 | 2); /* rotate on specific EOI of 2: 3 is the highest */
	raise8();
	EXPECT(poll(0x20), 0x84);
	outb(0x20, EOI);
	EXPECT(poll(0x20), 0x82);
	poll(0xa0);
	outb(0xa0, EOI);
	outb(0x20, EOI);
	outb(0x20, SET_PRIORITY | 3); /* 4 is the highest */
	raise8();
	EXPECT(poll(0x20), 0x82);
	poll(0xa0);
	raise4();
	EXPECT(poll(0x20), 0x84);
	EXPECT(isr(0x20), 0x14);
	outb(0x20, SET_PRIORITY | 7); /* back: 0 is */
	outb(0x20, EOI);
	EXPECT(isr(0x20), 0x10);
}

/* A level in service that is masked stands in nobody's way */
static void special_mask(void)
{
	init(0x01, 0xeb);
	outb(0x20, SET_PRIORITY | 3);
	raise4();
	EXPECT(poll(0x20), 0x84);
	raise8();
	EXPECT(poll(0x20), NONE);
	outb(0x20, 0x68);
	EXPECT(poll(0x20), NONE); /* 4 is not masked yet */
	outb(0x21, 0xfb);
	EXPECT(poll(0x20), 0x82);
	poll(0xa0);
	outb(0x20, 0x08); /* ESMM is 0: no change */
	EXPECT(isr(0x20), 0x14);
	outb(0x20, SPECIFIC_EOI | 4);
	outb(0x20, 0x48);
	outb(0x20, SPECIFIC_EOI | 2);
	EXPECT(isr(0x20), 0);
}

static void automatic_eoi(void)
{
	init(0x03, 0xef);
	raise4();
	EXPECT(poll(0x20), 0x84);
	EXPECT(isr(0x20), 0);
	EXPECT(poll(0x20), NONE);
	raise4();
	EXPECT(poll(0x20), 0x84);
}

static void levels(void)
{
	init(0x01, 0xef);
	outb(0x4d0, 0xff);
	outb(0x4d1, 0xff);
	EXPECT(inb(0x4d0), 0xf8); /* timer, keyboard, cascade, clock and FPU are always edges */
	EXPECT(inb(0x4d1), 0xde);
	outb(0x4d1, 0);
	raise4();
	EXPECT(poll(0x20), 0x84);
	EXPECT(irr(0x20) & 0x10, 0x10); /* follows the line */
	outb(0x20, EOI);
	EXPECT(poll(0x20), 0x84); /* again, while it is high */
	lower4();
	EXPECT(irr(0x20) & 0x10, 0);
	outb(0x20, EOI);
	EXPECT(poll(0x20), NONE);
	outb(0x4d0, 0);
}

int main(const char *cmdline)
{
	(void)cmdline;
	outb(COM1 + 4, 0x08); /* OUT2: the interrupt line */
	rtc(0x0a);
	outb(0x71, 0x26);
	edges();
	cascade();
	rotation();
	special_mask();
	automatic_eoi();
	levels();
	lower4();
	lower8();
	return (int)failures;
}
