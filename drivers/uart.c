// SPDX-License-Identifier: BSD-2-Clause
/*
 * The machine's own 16550 UARTs, polled: init, fill the transmit FIFO, take a received byte. Keeps no
 * state; who may call when is the console's business. Registers: TI PC16550D data sheet, section 8.
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

#define FCR_ENABLE_CLEAR 0x07 /* FIFOs on, both emptied */
#define LCR_8N1		 0x03
#define LCR_DLAB	 0x80
#define MCR_DTR_RTS	 0x03
#define LSR_DATA	 BIT(0)
#define LSR_THRE	 BIT(5) /* with FIFOs: the transmit FIFO is empty */
#define FIFO_BYTES	 16

bool uart_init(u16 port)
{
	static const struct {
		u8 reg, value;
	} setup[] = {
		{ UART_IER, 0 },
		{ UART_LCR, LCR_DLAB },
		{ UART_THR, 1 }, /* 1.8432 MHz / 16 / 1 = 115200 */
		{ UART_IER, 0 },
		{ UART_LCR, LCR_8N1 },
		{ UART_FCR, FCR_ENABLE_CLEAR },
		{ UART_MCR, MCR_DTR_RTS },
	};

	/* Two patterns in the scratch register: a floating bus keeps neither for sure. */
	for (u8 pattern = 0x55; pattern; pattern = pattern == 0x55 ? 0xaa : 0) {
		outb((u16)(port + UART_SCR), pattern);
		if (inb((u16)(port + UART_SCR)) != pattern) {
			return false;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(setup); i++) {
		outb((u16)(port + setup[i].reg), setup[i].value);
	}
	return true;
}

/* THRE says that all 16 places of the FIFO are free: one status read for 16 bytes. */
size_t uart_write(u16 port, const char *s, size_t len)
{
	if (!len || !(inb((u16)(port + UART_LSR)) & LSR_THRE)) {
		return 0;
	}
	len = MIN(len, (size_t)FIFO_BYTES);
	for (size_t i = 0; i < len; i++) {
		outb((u16)(port + UART_THR), (u8)s[i]);
	}
	return len;
}

int uart_getc(u16 port)
{
	u8 status = inb((u16)(port + UART_LSR));

	/* all ones: nothing behind the port any more */
	if (status == 0xff || !(status & LSR_DATA)) {
		return -1;
	}
	return inb((u16)(port + UART_THR));
}
