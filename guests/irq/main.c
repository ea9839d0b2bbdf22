/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 8259 pair: edges of the PIT, of the RTC on the slave, the UART's THRE; priorities by in-service
 * bits, masks, specific end of interrupt, polling, and IRQ 7 that turns out spurious.
 */
#include "lib/guest.h"

static volatile unsigned count[16], order[8], nr_order;
static volatile bool nests;

static void log_irq(unsigned irq)
{
	count[irq]++;
	if (nr_order < 8) {
		order[nr_order++] = irq;
	}
}

static void on_pit(struct trap_frame *f)
{
	(void)f;
	log_irq(0);
}

static void on_uart(struct trap_frame *f)
{
	(void)f;
	log_irq(4);
	CHECK((inb(COM1 + 2) & 0xf) == 2, "not THRE");
}

static void on_rtc(struct trap_frame *f)
{
	(void)f;
	log_irq(8);
	outb(0x70, 0x0c);
	CHECK(inb(0x71) & 0x40, "no periodic flag");
}

static void on_irq7(struct trap_frame *f)
{
	(void)f;
	outb(0x20, 0x0b);
	CHECK(!(inb(0x20) & 0x80), "in service, so not spurious");
	log_irq(7);
}

/* Up to 100 ms for @irq to come @n times */
static void wait_for(unsigned irq, unsigned n)
{
	count[irq] = 0;
	sti();
	for (unsigned i = 0; i < 200 && count[irq] < n; i++) {
		udelay(500);
	}
	cli();
	CHECK(count[irq] >= n, "IRQ %u came %u times, not %u", irq, count[irq], n);
}

static void each_one(void)
{
	pit_periodic(1000);
	pic_unmask(0);
	wait_for(0, 5);
	outb(0x21, 0xfb);
	count[0] = 0;
	sti();
	udelay(5000);
	cli();
	CHECK(count[0] == 0, "masked");
	outb(0x70, 0x0a);
	outb(0x71, 0x26);
	outb(0x70, 0x0b);
	outb(0x71, 0x42); /* periodic interrupt, 1024 Hz */
	outb(0x70, 0x0c);
	inb(0x71);
	pic_unmask(8);
	wait_for(8, 5);
	outb(0x70, 0x0b);
	outb(0x71, 0x02);
	outb(0xa1, 0xff);
	outb(COM1 + 4, 0x08); /* OUT2: the interrupt line */
	pic_unmask(4);
	outb(COM1 + 1, 2); /* THRE is empty: at once */
	wait_for(4, 1);
	outb(COM1 + 1, 0);
	outb(0x21, 0xfb);
}

/* Channel 0 in mode 0: one edge, 1 ms from now */
static void pit_once(void)
{
	outb(0x43, 0x30);
	outb(0x40, 0xa9);
	outb(0x40, 0x04);
	udelay(3000);
}

/* Waiting with IF=0: PIT (IRQ 0) before UART (IRQ 4), whichever came first */
static void priorities(void)
{
	nr_order = 0;
	outb(COM1 + 1, 2);
	pit_once();
	outb(0x20, 0x0a);
	CHECK((inb(0x20) & 0x11) == 0x11, "IRR %x", inb(0x20));
	outb(0x21, (uint8_t)~0x15);
	sti();
	udelay(200);
	cli();
	CHECK(nr_order >= 2 && order[0] == 0 && order[1] == 4, "%u: %u, %u", nr_order, order[0], order[1]);
	outb(COM1 + 1, 0);
	outb(0x21, 0xfb);
}

/* Level-triggered by ELCR, a request that is withdrawn before its acknowledge is spurious */
static void polled(void)
{
	pit_once();
	outb(0x21, 0xfe);
	outb(0x20, 0x0c);
	uint8_t poll = inb(0x20);
	CHECK(poll == 0x80, "poll: %x", poll);
	outb(0x20, 0x0b);
	CHECK(inb(0x20) == 1, "ISR %x", inb(0x20));
	outb(0x20, 0x60); /* specific EOI of IRQ 0 */
	CHECK(inb(0x20) == 0, "ISR %x", inb(0x20));
	outb(0x21, 0xfb);
}

/*
 * UART as IRQ 4 made level-triggered; its request goes away by reading IIR with IF=0: nothing is left.
 * Then AEOI off, vectors moved: ICW2 counts.
 */
static void withdrawn(void)
{
	outb(0x4d0, 0x10);
	CHECK(inb(0x4d0) == 0x10, "ELCR %x", inb(0x4d0));
	nr_order = 0;
	pic_unmask(4);
	outb(COM1 + 1, 2);
	inb(COM1 + 2); /* acknowledges THRE */
	sti();
	udelay(200);
	cli();
	CHECK(nr_order == 0 || order[0] == 7, "IRQ %u", order[0]);
	outb(COM1 + 1, 0);
	outb(0x4d0, 0);
	outb(0x21, 0xfb);
}

int main(const char *cmdline)
{
	(void)cmdline;
	on_interrupt(PIC_VECTOR(0), on_pit);
	on_interrupt(PIC_VECTOR(4), on_uart);
	on_interrupt(PIC_VECTOR(7), on_irq7);
	on_interrupt(PIC_VECTOR(8), on_rtc);
	pic_init();
	each_one();
	priorities();
	polled();
	withdrawn();
	return (int)failures;
}
