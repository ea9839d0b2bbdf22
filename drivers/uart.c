// SPDX-License-Identifier: BSD-2-Clause
/*
 * The machine's own 16550 UARTs, polled: init, fill the transmit FIFO, take a received byte. Keeps
 * no state; who may call when is the console's business. TI PC16550D data sheet, section 8.
 */
#include "drivers/uart.h"
#include "x86/insn.h"

#define UART_THR 0 /* write; read: RBR; with DLAB: divisor low */
#define UART_IER 1 /* with DLAB: divisor high */
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCR 7

#define LCR_DLAB   0x80
#define LSR_DATA   BIT(0)
#define LSR_THRE   BIT(5) /* with FIFOs: the transmit FIFO is empty */
#define FIFO_BYTES 16

/* First two patterns in the scratch register: a floating bus does not keep both. */
bool uart_init(u16 port)
{
	static const struct {
		u8 reg, value;
	} setup[] = {
		{ UART_SCR, 0x55 }, { UART_SCR, 0xaa }, { UART_IER, 0 },
		{ UART_LCR, LCR_DLAB }, { UART_THR, 1 }, { UART_IER, 0 }, /* 1.8432 MHz / 16 */
		{ UART_LCR, 3 }, { UART_FCR, 7 }, { UART_MCR, 3 }, /* 8N1; FIFOs on; DTR RTS */
	};

	for (size_t i = 0; i < ARRAY_SIZE(setup); i++) {
		u16 reg = (u16)(port + setup[i].reg);
		outb(reg, setup[i].value);
		if (setup[i].reg == UART_SCR && inb(reg) != setup[i].value) {
			return false;
		}
	}
	return true;
}

/* THRE says that all 16 places of the FIFO are free: one status read for 16 bytes. */
size_t uart_write(u16 port, const char *s, size_t len)
{
	bool is_ready = len && inb((u16)(port + UART_LSR)) & LSR_THRE;

	len = is_ready ? MIN(len, (size_t)FIFO_BYTES) : 0;
	for (size_t i = 0; i < len; i++) {
		outb((u16)(port + UART_THR), (u8)s[i]);
	}
	return len;
}

/* A status of all ones: nothing is behind the port any more */
int uart_getc(u16 port)
{
	u8 status = inb((u16)(port + UART_LSR));

	return status == 0xff || !(status & LSR_DATA) ? -1 : inb((u16)(port + UART_THR));
}
