/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual 16550A (National Semiconductor PC16550D data sheet): FIFOs, interrupts, loopback, modem
 * status. Knows bytes and lines; where bytes go is injected. Pure.
 */
#ifndef BULKHEAD_VUART_H
#define BULKHEAD_VUART_H

#include "bus.h"

/* Backend: tx_room says how many bytes it takes now; tx takes one. Without room THRE stays 0. */
struct vuart_backend {
	size_t (*tx_room)(void *ctx);
	void (*tx)(void *ctx, u8 byte);
	void *ctx;
};

#define VUART_FIFO 16
struct vuart {
	const struct vuart_backend *be;
	const struct vclock *clock;
	struct irq_line irq;
	u64 deadline_ns;   /* no vuart_poll() needed before; NEVER = none */
	u64 rx_timeout_ns; /* the character timeout of what is in the receive FIFO */
	u8 ier, iir, fcr, lcr, mcr, lsr, msr, scr, dll, dlm;
	u8 rx[VUART_FIFO];
	u32 rx_head, rx_count;
	bool thr_empty_pending; /* THRE interrupt not yet acknowledged */
	u8 tx[VUART_FIFO]; /* bytes that the backend had no room for yet */
	u32 tx_head, tx_count;
	bool has_tx_held; /* tx_count is not 0: vuart_poll() has work */
};
extern const struct vdev_ops vuart_ops; /* 8 ports, self = struct vuart */

void vuart_init(struct vuart *u, const struct vuart_backend *be, const struct vclock *clock,
		struct irq_line irq);

/** vuart_rx_room() - how many bytes the receive FIFO (or RBR) can take. */
size_t vuart_rx_room(const struct vuart *u);

/** vuart_rx() - a byte from outside; the caller checked the room (else it overruns). */
void vuart_rx(struct vuart *u, u8 byte);

/**
 * vuart_poll() - the backend may have room again: push held bytes, raise THRE; character timeout
 *
 * Return: the next deadline, or NEVER.
 */
u64 vuart_poll(struct vuart *u, u64 now_ns);

#endif
