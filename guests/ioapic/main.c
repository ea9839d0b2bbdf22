/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APIC: the PIT at pin 2 by edges, the UART at pin 4 by level with remote IRR until EOI, masks,
 * destinations that are somebody else. The 8259 is masked throughout.
 */
#include "lib/guest.h"

#define IOAPIC	  0xfec00000ull
#define PIT_VEC	  0x52
#define UART_VEC  0x53
#define MASKED	  0x10000u
#define LEVEL	  0x8000u
#define REMOTE_IRR 0x4000u

static volatile unsigned pit_hits, uart_hits;
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

static void pit(void)
{
	pit_periodic(1000);
	route(2, PIT_VEC, 0);
	run(20000);
	CHECK(pit_hits >= 5, "%u PIT interrupts in 20 ms", pit_hits);
	route(2, PIT_VEC | MASKED, 0);
	run(2000); /* one may wait in IRR */
	pit_hits = 0;
	run(5000);
	CHECK(pit_hits == 0, "masked, but %u", pit_hits);
	route(2, PIT_VEC, 7);
	run(5000);
	CHECK(pit_hits == 0, "for CPU 7, but %u", pit_hits);
	route(2, PIT_VEC, 0xff);
	run(20000);
	CHECK(pit_hits >= 5, "broadcast: %u", pit_hits);
	lapic_write(0xe0, 0xffffffff);
	lapic_write(0xd0, 0x04000000);
	pit_hits = 0;
	route(2, PIT_VEC | 0x800, 0x04);
	run(20000);
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

int main(const char *cmdline)
{
	(void)cmdline;
	on_interrupt(PIT_VEC, on_pit);
	on_interrupt(UART_VEC, on_uart);
	pic_init();
	outb(0x21, 0xff);
	lapic_write(APIC_SVR, 0x1ff);
	CHECK((io_read(1) & 0xff) == 0x20 && io_read(1) >> 16 == 23, "version %x", io_read(1));
	CHECK(io_read(0x10 + 2 * 5) & MASKED, "pin 5 not masked at birth");
	pit();
	uart();
	return (int)failures;
}
