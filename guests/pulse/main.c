/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 1 kHz heartbeat that misses nothing: a periodic interrupt of the local APIC's timer, and at each one
 * the TSC since the last. A beat is missed if two periods pass without one. Memory holds a checksum that
 * nobody may change meanwhile. For a CPU of its own.
 * Command line: beats=<n>.
 */
#include "lib/guest.h"

#define LVT_TIMER     0x320
#define TIMER_INITIAL 0x380
#define TIMER_DIVIDE  0x3e0
#define VECTOR	      0x40
#define PERIOD_NS     1000000 /* the timer's clock is 1 GHz on Bulkhead (docs/guest-abi.md) */
#define NR_WORDS      0x20000 /* 1 MiB */

static volatile uint64_t beats, last, longest, first;
static uint64_t memory[NR_WORDS];

static void beat(struct trap_frame *f)
{
	uint64_t now = rdtsc(), gap = now - last;
	(void)f;
	if (beats++) {
		longest = gap > longest ? gap : longest;
	} else {
		first = now;
	}
	last = now;
	lapic_write(0xb0, 0);
}

static uint64_t checksum(void)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < NR_WORDS; i++) {
		sum = sum * 31 + memory[i];
	}
	return sum;
}

int main(const char *cmdline)
{
	uint64_t wanted = arg(cmdline, "beats", 1000);
	for (uint32_t i = 0; i < NR_WORDS; i++) {
		memory[i] = i * 0x9e3779b97f4a7c15ull;
	}
	uint64_t sum = checksum();
	on_interrupt(VECTOR, beat);
	lapic_write(0xf0, 0x1ff);
	lapic_write(TIMER_DIVIDE, 0xb); /* by 1 */
	lapic_write(LVT_TIMER, 0x20000 | VECTOR);
	lapic_write(TIMER_INITIAL, PERIOD_NS);
	while (beats < wanted) {
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	}
	lapic_write(LVT_TIMER, 0x10000);
	uint64_t period = (last - first) / (wanted - 1); /* as the TSC has it */
	uint64_t missed = longest / period - 1;
	print("PULSE beats=%lu period=%lu longest=%lu missed=%lu\n", wanted, period, longest, missed);
	CHECK(missed == 0, "%lu beats in a row", missed);
	CHECK(checksum() == sum, "memory has changed");
	return failures != 0;
}
