/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APIC: the PIT at pin 2 by edges, the UART at pin 4 by level with remote IRR until EOI; what masks
 * lose and what they keep; delivery modes, destinations, EOI register, and the bits that registers have.
 * The 8259 is masked throughout.
 */
#include "lib/guest.h"

#define IOAPIC	  0xfec00000ull
#define PIT_VEC	  0x52
#define UART_VEC  0x53
#define MASKED	  0x10000u
#define LEVEL	  0x8000u
#define REMOTE_IRR 0x4000u
#define LINE_VEC  0x54
#define UART_PIN  4
#define UART_LOW  (0x10 + 2 * UART_PIN)

static volatile unsigned pit_hits, uart_hits, line_hits, nmi_hits;
static volatile bool is_withdrawn;

static void io_write(uint32_t reg, uint32_t v)
{
	*(volatile uint32_t *)IOAPIC = reg;
	*(volatile uint32_t *)(IOAPIC + 0x10) = v;
}

static uint32_t io_read(uint32_t reg)
{
	*(volatile uint32_t *)IOAPIC = reg;
	return *(volatile uint32_t *)(IOAPIC + 0x10);
}

static void route(unsigned pin, uint32_t low, uint8_t dest)
{
	io_write(0x11 + 2 * pin, (uint32_t)dest << 24);
	io_write(0x10 + 2 * pin, low);
}

static void on_pit(struct trap_frame *f)
{
	(void)f;
	pit_hits++;
	lapic_write(APIC_EOI, 0);
}

/* THRE stays asserted until IIR is read: level-triggered, it comes again after each EOI */
static void on_uart(struct trap_frame *f)
{
	(void)f;
	uart_hits++;
	CHECK(io_read(0x10 + 2 * 4) & REMOTE_IRR, "no remote IRR");
	if (uart_hits == 3) {
		inb(COM1 + 2);
		is_withdrawn = true;
	}
	lapic_write(APIC_EOI, 0);
}

static void run(unsigned us)
{
	sti();
	udelay(us);
	cli();
}

/* Half a second at most: a busy machine merges interrupts that it is late for */
static void run_for_pit(unsigned hits)
{
	pit_hits = 0;
	for (unsigned i = 0; i < 100 && pit_hits < hits; i++) {
		run(5000);
	}
}

static void pit(void)
{
	pit_periodic(1000);
	route(2, PIT_VEC, 0);
	run_for_pit(5);
	CHECK(pit_hits >= 5, "%u PIT interrupts", pit_hits);
	route(2, PIT_VEC | MASKED, 0);
	run(2000); /* one may wait in IRR */
	pit_hits = 0;
	run(5000);
	CHECK(pit_hits == 0, "masked, but %u", pit_hits);
	route(2, PIT_VEC, 7);
	run(5000);
	CHECK(pit_hits == 0, "for CPU 7, but %u", pit_hits);
	route(2, PIT_VEC, 0xff);
	run_for_pit(5);
	CHECK(pit_hits >= 5, "broadcast: %u", pit_hits);
	lapic_write(0xe0, 0xffffffff);
	lapic_write(0xd0, 0x04000000);
	route(2, PIT_VEC | 0x800, 0x04);
	run_for_pit(5);
	CHECK(pit_hits >= 5, "logical: %u", pit_hits);
	route(2, PIT_VEC | MASKED, 0);
}

static void uart(void)
{
	outb(COM1 + 4, 8);
	route(4, UART_VEC | LEVEL, 0);
	outb(COM1 + 1, 2);
	run(2000);
	CHECK(uart_hits == 3 && is_withdrawn, "%u UART interrupts", uart_hits);
	CHECK(!(io_read(0x10 + 2 * 4) & REMOTE_IRR), "remote IRR left");
	outb(COM1 + 1, 0);
	route(4, MASKED, 0);
}

/* The UART's line as a switch: no character waits to be sent, so the interrupt is there as soon as enabled */
static void line(bool level)
{
	outb(COM1 + 1, level ? 2 : 0);
}

static void on_line(struct trap_frame *f)
{
	(void)f;
	line_hits++;
	line(false);
	lapic_write(APIC_EOI, 0);
}

static void on_nmi(struct trap_frame *f)
{
	(void)f;
	nmi_hits++;
}

static void expect(unsigned hits, const char *what)
{
	sti();
	inb(0x61);
	cli();
	CHECK(line_hits == hits, "%s: %u, not %u", what, line_hits, hits);
	line_hits = 0;
}

static bool has_remote_irr(void)
{
	return io_read(UART_LOW) & REMOTE_IRR;
}

/* 82093AA 3.2.4 "Interrupt Mask": an edge on a masked pin is lost */
static void edges(void)
{
	route(UART_PIN, LINE_VEC | MASKED, 0);
	line(true);
	route(UART_PIN, LINE_VEC, 0);
	expect(0, "edge while masked");
	line(false);
	expect(0, "falling edge");
	line(true);
	CHECK(!has_remote_irr(), "an edge has remote IRR");
	CHECK(!(lapic_read(0x180 + 0x20) >> (LINE_VEC - 64) & 1), "TMR of an edge");
	expect(1, "edge");
	line(true);
	route(UART_PIN, LINE_VEC | MASKED, 0); /* accepted already */
	expect(1, "edge, masked afterwards");
	route(UART_PIN, LINE_VEC, 9);
	line(true);
	line(false);
	expect(0, "edge for somebody else");
	route(UART_PIN, MASKED, 0);
}

/* A level lasts: masked it waits, and one message is all until the EOI */
static void levels(void)
{
	route(UART_PIN, LINE_VEC | LEVEL | MASKED, 0);
	line(true);
	expect(0, "masked");
	CHECK(!has_remote_irr(), "remote IRR while masked");
	route(UART_PIN, LINE_VEC | LEVEL, 0);
	CHECK(has_remote_irr(), "no remote IRR");
	CHECK(lapic_read(0x180 + 0x20) >> (LINE_VEC - 64) & 1, "TMR of a level");
	route(UART_PIN, LINE_VEC | LEVEL | MASKED, 0);
	CHECK(has_remote_irr(), "remote IRR does not survive a mask");
	expect(1, "masked after it was accepted");
	CHECK(!has_remote_irr(), "remote IRR after EOI");
	route(UART_PIN, LINE_VEC | LEVEL, 0);
	line(true);
	line(false); /* withdrawn too late */
	expect(1, "withdrawn");
	line(true);
	route(UART_PIN, LINE_VEC | MASKED, 0); /* drivers end a stuck level so: edge, then level again */
	CHECK(!has_remote_irr(), "remote IRR of an edge");
	route(UART_PIN, LINE_VEC | LEVEL, 0);
	CHECK(has_remote_irr(), "no remote IRR after edge and level");
	expect(1, "again");
	line(true);
	line(false);
	*(volatile uint32_t *)(IOAPIC + 0x40) = LINE_VEC + 1;
	CHECK(has_remote_irr(), "EOI of another vector");
	*(volatile uint32_t *)(IOAPIC + 0x40) = LINE_VEC;
	CHECK(!has_remote_irr(), "remote IRR after EOI register");
	expect(1, "EOI register");
	route(UART_PIN, MASKED, 0);
}

static void pulse(uint32_t low, uint8_t dest)
{
	route(UART_PIN, low, dest);
	line(true);
	line(false);
}

static void delivery_modes(void)
{
	nmi_hits = 0;
	pulse(0x400, 0);
	udelay(100); /* QEMU's own takes its time */
	CHECK(nmi_hits == 1, "NMI: %u", nmi_hits);
	lapic_write(0xd0, 0x04000000);
	pulse(LINE_VEC | 0x900, 0x0c);
	expect(1, "lowest priority");
	pulse(LINE_VEC | 0x800, 0xfb);
	expect(0, "logical, others");
	if (!is_hosted()) {
		return;
	}
	pulse(LEVEL | 0x400, 0);
	inb(0x61);
	CHECK(nmi_hits == 2 && !has_remote_irr(), "NMI by level: %u", nmi_hits);
	pulse(LINE_VEC | 0x2000, 0); /* polarity: whatever asserts the line */
	expect(1, "active low");
	pulse(LINE_VEC | 0x300, 0);
	pulse(LINE_VEC | 0x600, 0);
	expect(0, "reserved modes");
	pulse(5, 0);
	lapic_write(0x280, 0);
	CHECK(lapic_read(0x280) == 0x40, "ESR of vector 5: %x", lapic_read(0x280));
	lapic_write(APIC_SVR, 0xff);
	pulse(LINE_VEC, 0);
	lapic_write(APIC_SVR, 0x1ff);
	expect(0, "local APIC disabled");
	route(UART_PIN, MASKED, 0);
}

/* 82093AA 3.1, 3.2 */
static void registers(void)
{
	uint32_t id = io_read(0);
	CHECK((io_read(1) & 0xff) == 0x20 && io_read(1) >> 16 == 23, "version %x", io_read(1));
	CHECK(io_read(0x10 + 2 * 5) & MASKED, "pin 5 not masked at birth");
	io_write(0, 0x0a000000);
	CHECK(io_read(0) == 0x0a000000 && io_read(2) == 0x0a000000, "ID %x, %x", io_read(0), io_read(2));
	io_write(0, id);
	io_write(1, 0);
	CHECK(io_read(1) >> 16 == 23, "version is read-only");
	if (is_hosted()) {
		route(23, 0xffffffff, 0xff);
		CHECK(io_read(0x10 + 2 * 23) == 0x1afff, "low %x", io_read(0x10 + 2 * 23));
		CHECK(io_read(0x11 + 2 * 23) == 0xff000000, "high %x", io_read(0x11 + 2 * 23));
		route(23, MASKED, 0);
	}
}

int main(const char *cmdline)
{
	(void)cmdline;
	on_interrupt(PIT_VEC, on_pit);
	on_interrupt(UART_VEC, on_uart);
	pic_init();
	outb(0x21, 0xff);
	lapic_write(APIC_SVR, 0x1ff);
	on_interrupt(LINE_VEC, on_line);
	on_interrupt(2, on_nmi);
	registers();
	pit();
	uart();
	edges();
	levels();
	delivery_modes();
	return (int)failures;
}
