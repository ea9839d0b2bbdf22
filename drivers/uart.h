/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's own 16550 UARTs, polled. Knows ports, not who writes. */
#ifndef BULKHEAD_UART_H
#define BULKHEAD_UART_H

#include "types.h"

#define UART_COM1 0x3f8
#define UART_COM2 0x2f8

/** uart_init() - 115200 8N1, FIFOs on, interrupts off. Return: false if none answers at @port. */
bool uart_init(u16 port);

/** uart_write() - what the transmitter takes right now, without waiting. Return: how many bytes. */
size_t uart_write(u16 port, const char *s, size_t len);

/** uart_getc() - a received byte, or -1. */
int uart_getc(u16 port);

#endif
