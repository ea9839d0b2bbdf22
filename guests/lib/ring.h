/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A byte ring from one producer to one consumer through memory that two partitions share. Each side
 * writes to one region only: data and head go forward, the tail comes back. So with one channel each
 * way, either side has the other's region read-only. Neither trusts the other: what it reads is checked,
 * and how long the ring is comes from the configuration. Knows no doorbell and no hypervisor; also for
 * programs (guests/linux).
 *
 *	forward   head 8 | is_waiting 4 | ...64 | data ...
 *	back      tail 8 | is_waiting 4 | ...64
 *
 * Positions count bytes since the start and never wrap. Before a side sleeps it says so, and looks again;
 * the other one looks for sleepers after it has moved its position. Between store and load both have a
 * full fence, so one of the two sees the other's store.
 */
#ifndef GUEST_RING_H
#define GUEST_RING_H

#include <stdbool.h>
#include <stdint.h>

#define RING_HEADER 64

struct ring_side {
	uint64_t position;
	uint32_t is_waiting;
};

struct ring {
	volatile struct ring_side *mine, *other;
	uint8_t *data;
	uint64_t len, position; /* of the data; our own position, as nobody else can change it */
	bool is_producer;
};

/**
 * ring_init() - one side of a ring
 * @forward: region of @size bytes that the producer writes
 * @back:    at least RING_HEADER bytes that the consumer writes
 *
 * Both regions are zero when the first side comes, as channels are at boot.
 */
void ring_init(struct ring *r, void *forward, uint64_t size, void *back, bool is_producer);

/** ring_ready() - bytes that can be put or got now; -1: the other side's position is impossible. */
int64_t ring_ready(const struct ring *r);

/** ring_put(), ring_get() - up to @len bytes. Return: how many, 0 if full or empty, -1 as ring_ready(). */
int64_t ring_put(struct ring *r, const void *from, uint64_t len);
int64_t ring_get(struct ring *r, void *to, uint64_t len);

/** ring_wait() - say that this side is going to sleep, or not any more; look at ring_ready() in between. */
void ring_wait(struct ring *r, bool is_waiting);

/** ring_has_sleeper() - after a put or get: does the other side want its doorbell rung? */
bool ring_has_sleeper(const struct ring *r);

#endif
