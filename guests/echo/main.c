/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Says every input line again: "echo <line>", after "ready". Input comes by the receive interrupt, HLT in
 * between. The line "quit" ends it, as does argument lines=<n> after so many.
 */
#include "lib/guest.h"

static volatile char ring[256];
static volatile uint8_t head;

static void on_uart(struct trap_frame *f)
{
	(void)f;
	while (inb(COM1 + 5) & 1) {
		ring[head++] = (char)inb(COM1);
	}
	inb(COM1 + 2);
}

static char get(void)
{
	static uint8_t tail;
	cli();
	while (tail == head) {
		sti_hlt_cli();
	}
	return ring[tail++];
}

static unsigned get_line(char *line, unsigned max)
{
	unsigned n = 0;
	for (;;) {
		char c = get();
		if (c == '\r' || c == '\n') {
			break;
		}
		if (n < max - 1) {
			line[n++] = c;
		}
	}
	line[n] = 0;
	return n;
}

int main(const char *cmdline)
{
	uint64_t lines = arg(cmdline, "lines", 0);
	char line[128];
	on_interrupt(PIC_VECTOR(4), on_uart);
	pic_init();
	outb(COM1 + 2, 7);
	outb(COM1 + 4, 0xb);
	outb(COM1 + 1, 1);
	pic_unmask(4);
	print("ready\n");
	for (uint64_t i = 1; !lines || i <= lines; i++) {
		unsigned n = get_line(line, sizeof(line));
		print("echo %s\n", line);
		if (n == 4 && line[0] == 'q' && line[1] == 'u' && line[2] == 'i' && line[3] == 't') {
			break;
		}
	}
	return 0;
}
