/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 16550A in loopback, statement by statement of its data sheet: registers, FIFOs and their
 * triggers, timeout, priorities of interrupts, overrun, modem lines. It is our console too, so nothing
 * is printed in between but faults.
 */
#include "lib/guest.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };
enum { LOOP = 0x10, FIFO = 0x01, RESET_RX = 0x02, RESET_TX = 0x04 };

static uint8_t in(unsigned reg)
{
	return inb((uint16_t)(COM1 + reg));
}

static void out(unsigned reg, uint8_t v)
{
	outb((uint16_t)(COM1 + reg), v);
}

/* In loopback nobody would hear of a fault: they are told at the end */
static struct {
	unsigned line, is, wanted;
} fault[32];

static void expect(unsigned line, unsigned is, unsigned wanted)
{
	checks++;
	if (is != wanted) {
		fault[failures % 32].line = line;
		fault[failures % 32].is = is;
		fault[failures++ % 32].wanted = wanted;
	}
}
#define EXPECT(is, wanted) expect(__LINE__, is, wanted)

static void drain(void)
{
	while (!(in(LSR) & 0x40)) {
		__asm__ volatile("pause");
	}
	for (unsigned i = 0; i < 100 && (in(LSR) & 1); i++) {
		in(DATA);
	}
	in(MSR);
}

static void begin(uint8_t fcr)
{
	out(IER, 0);
	out(MCR, LOOP);
	out(FCR, 0);
	out(FCR, fcr);
	drain();
	in(IIR);
}

/* Errors that LSR told while we waited, since reading clears them */
static uint8_t errors;

static void send(uint8_t byte)
{
	uint8_t lsr;
	out(DATA, byte);
	do {
		lsr = in(LSR);
		errors |= lsr & 0x1e;
	} while (!(lsr & 0x40));
}

static void registers(void)
{
	begin(0);
	for (unsigned i = 0; i < 256; i += 51) {
		out(SCR, (uint8_t)i);
		EXPECT(in(SCR), i);
	}
	out(IER, 0xf0);
	EXPECT(in(IER), 0);
	out(MCR, 0xf0);
	EXPECT(in(MCR), LOOP);
	EXPECT(in(LSR), 0x60);
	uint8_t lcr = in(LCR);
	out(LCR, 0x80 | lcr);
	out(DATA, 0x34);
	out(IER, 0x12);
	EXPECT(in(DATA), 0x34);
	EXPECT(in(IER), 0x12);
	out(DATA, 1); /* 115200: the timeout comes soon */
	out(IER, 0);
	out(LCR, 0x03);
	EXPECT(in(IER), 0);
	EXPECT(in(LSR), 0x60); /* nothing was sent */
}

static void fifo_switch(void)
{
	begin(0);
	EXPECT(in(IIR), 0x01);
	out(FCR, 0xc0); /* without FCR0 nothing counts */
	EXPECT(in(IIR), 0x01);
	out(FCR, FIFO);
	EXPECT(in(IIR) & 0xf0, 0xc0);
	send('a');
	EXPECT(in(LSR), 0x61);
	out(FCR, FIFO | RESET_RX);
	EXPECT(in(LSR), 0x60);
	send('b');
	out(FCR, 0); /* a change empties both */
	EXPECT(in(LSR), 0x60);
	EXPECT(in(IIR), 0x01);
}

static void overrun(void)
{
	begin(0);
	errors = 0;
	send('a');
	EXPECT(errors, 0);
	send('b');
	EXPECT(errors, 0x02);
	EXPECT(in(LSR), 0x61); /* reading has cleared it */
	EXPECT(in(DATA), 'b'); /* one byte of room, and it is overwritten */
	EXPECT(in(LSR), 0x60);
	begin(FIFO);
	errors = 0;
	for (unsigned i = 0; i < 16; i++) {
		send((uint8_t)i);
	}
	EXPECT(errors, 0);
	send(99);
	EXPECT(errors, 0x02);
	for (unsigned i = 0; i < 16; i++) {
		EXPECT(in(DATA), i); /* the FIFO keeps what it has */
	}
	EXPECT(in(LSR), 0x60);
}

/* Below the trigger the interrupt waits for the timeout, which comes by itself */
static void triggers(void)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };
	for (unsigned t = 0; t < 4; t++) {
		begin((uint8_t)(FIFO | t << 6));
		out(IER, 1);
		for (unsigned i = 1; i <= 15; i++) {
			send((uint8_t)i);
			uint8_t id = in(IIR);
			EXPECT(id == 0xcc ? 0 : id, id == 0xcc ? 0 : i >= level[t] ? 0xc4 : 0xc1);
		}
		out(FCR, (uint8_t)(FIFO | RESET_RX | t << 6));
		EXPECT(in(IIR), 0xc1);
	}
	begin(FIFO | 0xc0);
	out(IER, 1);
	send('x');
	unsigned waits = 0;
	while (in(IIR) != 0xcc && waits < 1000) {
		udelay(1000);
		waits++;
	}
	EXPECT(in(IIR), 0xcc);
	EXPECT(in(DATA), 'x');
	EXPECT(in(IIR), 0xc1);
}

/* QEMU's own has none in loopback */
static bool has_deltas(void)
{
	return is_hosted() || !is_lax();
}

/* Line status, data, transmitter, modem: the higher hides the lower, and each is cleared its own way */
static void priorities(void)
{
	begin(0);
	out(MCR, LOOP | 1); /* DTR to DSR: a delta */
	send('a');
	out(DATA, 'b'); /* overrun, and no look at LSR */
	udelay(2000);
	in(IIR);
	out(IER, 0x0f);
	EXPECT(in(IIR), 0x06);
	in(LSR);
	EXPECT(in(IIR), 0x04);
	in(DATA);
	EXPECT(in(IIR), 0x02); /* which the read acknowledges */
	if (has_deltas()) {
		EXPECT(in(IIR), 0x00);
		EXPECT(in(MSR), 0x22);
	}
	EXPECT(in(IIR), 0x01);
	out(IER, 0x00);
	out(IER, 0x02); /* enabled anew while empty: asks again */
	EXPECT(in(IIR), 0x02);
	EXPECT(in(IIR), 0x01);
	send('c'); /* emptied again */
	EXPECT(in(IIR), 0x02);
	out(IER, 0);
}

static void modem(void)
{
	uint8_t mask = has_deltas() ? 0xff : 0xf0;
	static const uint8_t pair[][2] = { { 1, 0x20 }, { 2, 0x10 }, { 4, 0x40 }, { 8, 0x80 } };
	for (unsigned i = 0; i < 4; i++) {
		begin(0);
		out(MCR, LOOP | pair[i][0]);
		uint8_t delta = pair[i][0] == 4 ? 0 : pair[i][1] >> 4; /* RI: the trailing edge alone */
		EXPECT(in(MSR), pair[i][1] | (delta & mask));
		EXPECT(in(MSR), pair[i][1]);
		out(MCR, LOOP);
		EXPECT(in(MSR), pair[i][1] >> 4 & mask);
	}
}

static volatile unsigned interrupts;

static void on_uart(struct trap_frame *f)
{
	(void)f;
	interrupts++;
	in(IIR);
}

/* OUT2 lets it through to the line; loopback keeps that pin off */
static void line(void)
{
	begin(0);
	on_interrupt(PIC_VECTOR(4), on_uart);
	pic_init();
	pic_unmask(4);
	out(MCR, 0);
	out(IER, 2);
	sti();
	udelay(2000);
	cli();
	EXPECT(interrupts && is_hosted(), 0); /* QEMU has no such gate */
	out(IER, 0);
	out(MCR, 8);
	out(IER, 2);
	sti();
	udelay(2000);
	cli();
	EXPECT(interrupts != 0, 1);
	out(IER, 0);
	outb(0x21, 0xff);
}

int main(const char *cmdline)
{
	(void)cmdline;
	registers();
	fifo_switch();
	overrun();
	triggers();
	priorities();
	modem();
	line();
	out(FCR, 0);
	out(MCR, 3);
	for (unsigned i = 0; i < failures && i < 32; i++) {
		print("FAIL guests/uart/main.c:%u %x, not %x\n", fault[i].line, fault[i].is, fault[i].wanted);
	}
	return (int)failures;
}
