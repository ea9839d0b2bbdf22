/* SPDX-License-Identifier: BSD-2-Clause */
/* Channels as bare-metal guests see them: found by hypercall, rung by hypercall, heard by interrupt. */
#ifndef GUEST_CHANNEL_H
#define GUEST_CHANNEL_H

#include "abi/channel.h"
#include "abi/hypercall.h"
#include "guest.h"
#include "ring.h"

struct channel {
	struct bulkhead_channel info;
	uint32_t index;
	volatile uint32_t *reg; /* by CHANNEL_* */
	volatile uint32_t status, nr_interrupts; /* by channel_listen(): what has been rung, how often */
};
enum { CHANNEL_MASK, CHANNEL_STATUS, CHANNEL_POSITION, CHANNEL_DOORBELL };

/** channel_open() - this partition's first channel whose name begins with @name. Return: false if this partition has none. */
bool channel_open(struct channel *c, const char *name);

/** channel_listen() - doorbells of @c interrupt on @vector from now on, once RFLAGS.IF is 1 */
void channel_listen(struct channel *c, uint8_t vector);

/** channel_ring() - ring @vector (below 32) at @peer. Return: 0 or HC_E*. */
int64_t channel_ring(const struct channel *c, uint32_t peer, uint32_t vector);

/** ioapic_level() - @pin delivers @vector to this CPU, level-triggered */
void ioapic_level(uint32_t pin, uint8_t vector);

/**
 * struct pipe - a ring between two partitions that sleep while they have nothing to do
 *
 * The channels "data" and "back", one way each; or one channel "both", both ways.
 */
struct pipe {
	struct ring ring;
	struct channel forward, back;
	struct channel *bell; /* whose members are the two */
	uint32_t peer;	      /* the other side's position there */
};

/** pipe_open() - Return: false if there are no such channels. Interrupts by vectors 0x60 and 0x61. */
bool pipe_open(struct pipe *p, bool is_producer);

/** pipe_put(), pipe_get() - all of @len bytes. Return: false if the other side's position is impossible. */
bool pipe_put(struct pipe *p, const void *from, uint64_t len);
bool pipe_get(struct pipe *p, void *to, uint64_t len);

#endif
