/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NMI: an IPI in NMI mode arrives whatever IF says, another one waits for the IRET of the first, a third collapses into
 * the second.
 */
#include "lib/guest.h"

#define NMI_SELF 0x00000400 /* to APIC ID 0; no shorthand, as NMI to self by one is not allowed */

static volatile unsigned hits, depth, max_depth, left;

static void send(void)
{
	lapic_write(APIC_ICR_HIGH, 0);
	lapic_write(APIC_ICR, NMI_SELF);
}

static void on_nmi(struct trap_frame *f)
{
	(void)f;
	hits++;
	depth++;
	if (depth > max_depth) {
		max_depth = depth;
	}
	if (left) {
		left--;
		send();
		send(); /* the second is lost: one NMI is held */
		inb(0x61);
	}
	depth--;
}

/* A fault's IRET inside of the handler ends the blocking early: known of the architecture */
static void blocked(void)
{
	hits = max_depth = 0;
	left = 3;
	send();
	for (unsigned i = 0; i < 100; i++) {
		inb(0x61);
	}
	CHECK(hits == 4, "%u NMIs, not 4", hits);
	CHECK(max_depth == 1, "NMI in an NMI");
}

int main(const char *cmdline)
{
	(void)cmdline;
	on_interrupt(2, on_nmi);
	pic_init();
	lapic_write(APIC_SVR, 0x1ff);
	cli();
	for (unsigned i = 1; i <= 100; i++) {
		send();
		inb(0x61);
		CHECK(hits == i, "%u NMIs, not %u", hits, i);
	}
	blocked();
	hits = 0;
	sti();
	send();
	inb(0x61);
	cli();
	CHECK(hits == 1, "with IF=1: %u", hits);
	return (int)failures;
}
