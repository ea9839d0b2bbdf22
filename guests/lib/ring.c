/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring of ring.h. */
#include "ring.h"

static void copy(void *to, const void *from, uint64_t len)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
}

void ring_init(struct ring *r, void *forward, uint64_t size, void *back, bool is_producer)
{
	*r = (struct ring){ .mine = is_producer ? forward : back,
			    .other = is_producer ? back : forward,
			    .data = (uint8_t *)forward + RING_HEADER,
			    .len = size - RING_HEADER,
			    .is_producer = is_producer };
}

int64_t ring_ready(const struct ring *r)
{
	uint64_t other = __atomic_load_n(&r->other->position, __ATOMIC_ACQUIRE);
	uint64_t used = r->is_producer ? r->position - other : other - r->position;
	if (used > r->len) {
		return -1;
	}
	return (int64_t)(r->is_producer ? r->len - used : used);
}

/* Both directions: in two pieces where the ring's end is between. Data before position, or the reverse. */
static int64_t move(struct ring *r, uint8_t *at, uint64_t len)
{
	int64_t ready = ring_ready(r);
	uint64_t nr = ready > 0 && (uint64_t)ready > len ? len : (uint64_t)ready;
	if (ready <= 0) {
		return ready;
	}
	for (uint64_t done = 0, run; done < nr; done += run) {
		uint64_t offset = (r->position + done) % r->len;
		run = r->len - offset < nr - done ? r->len - offset : nr - done;
		if (r->is_producer) {
			copy(r->data + offset, at + done, run);
		} else {
			copy(at + done, r->data + offset, run);
		}
	}
	r->position += nr;
	__atomic_store_n(&r->mine->position, r->position, __ATOMIC_RELEASE);
	return (int64_t)nr;
}

int64_t ring_put(struct ring *r, const void *from, uint64_t len)
{
	return move(r, (uint8_t *)from, len);
}

int64_t ring_get(struct ring *r, void *to, uint64_t len)
{
	return move(r, to, len);
}

void ring_wait(struct ring *r, bool is_waiting)
{
	__atomic_store_n(&r->mine->is_waiting, is_waiting, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool ring_has_sleeper(const struct ring *r)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&r->other->is_waiting, __ATOMIC_RELAXED);
}
