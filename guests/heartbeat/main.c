/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The demo's real-time guest: one line a beat, driven by the PIT through the 8259, HLT in between.
 * Command line: period=<ms> (default 1000), beats=<n> (default 0: for ever).
 */
#include "lib/guest.h"

#define HZ 100

static volatile uint64_t ticks;

static void tick(struct trap_frame *f)
{
	(void)f;
	ticks++;
}

int main(const char *cmdline)
{
	uint64_t per_beat = arg(cmdline, "period", 1000) * HZ / 1000;
	uint64_t beats = arg(cmdline, "beats", 0);
	on_interrupt(PIC_VECTOR(0), tick);
	pic_init();
	pit_periodic(HZ);
	pic_unmask(0);
	print("heartbeat: every %lu ms\n", per_beat * 1000 / HZ);
	for (uint64_t beat = 1; !beats || beat <= beats; beat++) {
		while (ticks < beat * per_beat) {
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		}
		print("beat %lu tsc=%lu\n", beat, rdtsc());
	}
	return 0;
}
