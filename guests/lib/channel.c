/* SPDX-License-Identifier: BSD-2-Clause */
/* See channel.h. Addresses are used as they are: the library maps the low 4 GiB one to one. */
#include "channel.h"

#define IOAPIC	      0xfec00000ull
#define IOAPIC_LEVEL  0x8000u
#define MAX_CHANNELS  8
#define FIRST_VECTOR  0x60

static bool begins_with(const char *name, const char *start)
{
	while (*start && *name == *start) {
		name++;
		start++;
	}
	return !*start;
}

bool channel_open(struct channel *c, const char *name)
{
	memset(c, 0, sizeof(*c));
	while (hypercall(HC_CHANNEL_INFO, c->index, (uint64_t)&c->info) == 0) {
		if (begins_with(c->info.name, name)) {
			c->reg = (volatile uint32_t *)c->info.registers;
			return true;
		}
		c->index++;
	}
	return false;
}

static void ioapic_write(uint8_t reg, uint32_t v)
{
	*(volatile uint32_t *)IOAPIC = reg;
	*(volatile uint32_t *)(IOAPIC + 0x10) = v;
}

void ioapic_level(uint32_t pin, uint8_t vector)
{
	ioapic_write((uint8_t)(0x11 + 2 * pin), lapic_read(APIC_ID) & 0xff000000);
	ioapic_write((uint8_t)(0x10 + 2 * pin), IOAPIC_LEVEL | vector);
}

static struct channel *listeners[256];

/* Reading the status takes all that has been rung, and ends the interrupt; then the end of interrupt */
static void on_doorbell(struct trap_frame *f)
{
	struct channel *c = listeners[f->vector];
	c->status |= c->reg[CHANNEL_STATUS];
	c->nr_interrupts++;
	lapic_write(APIC_EOI, 0);
}

void channel_listen(struct channel *c, uint8_t vector)
{
	listeners[vector] = c;
	on_interrupt(vector, on_doorbell);
	lapic_write(APIC_SVR, 0x1ff);
	ioapic_level(c->info.pin, vector);
	c->reg[CHANNEL_MASK] = ~0u;
}

int64_t channel_ring(const struct channel *c, uint32_t peer, uint32_t vector)
{
	return hypercall(HC_DOORBELL, c->index, (uint64_t)peer << 16 | vector);
}

/* One channel: the consumer's header is its last 64 bytes */
static bool open_both(struct pipe *p, bool is_producer)
{
	if (!channel_open(&p->forward, "both")) {
		return false;
	}
	uint8_t *memory = (uint8_t *)p->forward.info.memory;
	uint64_t size = p->forward.info.size - RING_HEADER;
	ring_init(&p->ring, memory, size, memory + size, is_producer);
	return true;
}

static bool open_one_way(struct pipe *p, bool is_producer)
{
	if (!channel_open(&p->forward, "data") || !channel_open(&p->back, "back")) {
		return false;
	}
	ring_init(&p->ring, (void *)p->forward.info.memory, p->forward.info.size,
		  (void *)p->back.info.memory, is_producer);
	return true;
}

bool pipe_open(struct pipe *p, bool is_producer)
{
	memset(p, 0, sizeof(*p));
	if (!open_one_way(p, is_producer) && !open_both(p, is_producer)) {
		return false;
	}
	p->bell = &p->forward;
	p->peer = 1 - p->bell->info.position;
	channel_listen(p->bell, FIRST_VECTOR);
	return true;
}

/* With interrupts off between the look and HLT, a doorbell in between ends the HLT at once */
static void sleep_until_ready(struct pipe *p)
{
	cli();
	ring_wait(&p->ring, true);
	while (ring_ready(&p->ring) == 0) {
		sti_hlt_cli();
	}
	ring_wait(&p->ring, false);
}

static bool moved(struct pipe *p, int64_t n)
{
	if (n > 0 && ring_has_sleeper(&p->ring)) {
		channel_ring(p->bell, p->peer, 0);
	} else if (n == 0) {
		sleep_until_ready(p);
	}
	return n >= 0;
}

bool pipe_put(struct pipe *p, const void *from, uint64_t len)
{
	const uint8_t *at = from;
	for (int64_t n; len; at += n, len -= (uint64_t)n) {
		n = ring_put(&p->ring, at, len);
		if (!moved(p, n)) {
			return false;
		}
	}
	return true;
}

bool pipe_get(struct pipe *p, void *to, uint64_t len)
{
	uint8_t *at = to;
	for (int64_t n; len; at += n, len -= (uint64_t)n) {
		n = ring_get(&p->ring, at, len);
		if (!moved(p, n)) {
			return false;
		}
	}
	return true;
}
