/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The neighbour of chan-hostile: takes doorbells all the time and goes on with its work. Each interrupt has
 * a reason, that is a status which is not 0; what it writes stays; and it sleeps when nobody rings.
 */
#include "lib/channel.h"

static struct channel both, to_hostile;
static unsigned nr_empty;

static void on_bell(struct channel *c)
{
	uint32_t status = c->reg[CHANNEL_STATUS];
	nr_empty += status == 0;
	c->status |= status;
	c->nr_interrupts++;
}

/* One of the two, or both */
static void on_interrupt_60(struct trap_frame *f)
{
	(void)f;
	on_bell(&both);
	lapic_write(APIC_EOI, 0);
}

static void on_interrupt_61(struct trap_frame *f)
{
	(void)f;
	on_bell(&to_hostile);
	lapic_write(APIC_EOI, 0);
}

int main(const char *cmdline)
{
	(void)cmdline;
	CHECK(channel_open(&both, "both") && channel_open(&to_hostile, "from-victim"), "no channels");
	volatile uint64_t *word = (volatile uint64_t *)(to_hostile.info.memory + 64);
	*word = 0x0123456789abcdef;
	channel_listen(&both, 0x60);
	channel_listen(&to_hostile, 0x61);
	on_interrupt(0x60, on_interrupt_60);
	on_interrupt(0x61, on_interrupt_61);
	((volatile uint32_t *)both.info.memory)[1] = 1; /* the hostile one may begin */
	while (*(volatile uint32_t *)both.info.memory != 0x600d) {
		sti_hlt_cli();
		CHECK(*word == 0x0123456789abcdef, "word %lx", *word);
	}
	sti(); /* what may still be waiting */
	cli();
	CHECK(nr_empty == 0, "%u interrupts without a reason", nr_empty);
	CHECK(both.nr_interrupts > 0 && to_hostile.nr_interrupts > 0, "%u %u", both.nr_interrupts,
	      to_hostile.nr_interrupts);
	return failures != 0;
}
