/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A spinning guest beside others on its CPU: by gaps in the TSC it counts how often it was away, for how long,
 * and what share of the CPU it had. Arguments: ms=<n> to run, share=<n> per cent expected (+-10; not on QEMU), 0: any.
 */
#include "lib/guest.h"

/* The shortest of some measurements: in a longer one others had the CPU, for seconds where that is slow */
static uint64_t ticks_per_ms(void)
{
	uint64_t shortest = ~0ULL;
	for (int i = 0; i < 8; i++) {
		uint64_t start = rdtsc();
		udelay(5000);
		uint64_t d = rdtsc() - start;
		shortest = d < shortest ? d : shortest;
	}
	return shortest / 5;
}

int main(const char *cmdline)
{
	uint64_t ms = arg(cmdline, "ms", 500), share = arg(cmdline, "share", 0);
	pic_init(); /* all masked; IF=1, or Bochs as an SVM host takes no interrupt of its own */
	sti();
	uint64_t per_ms = ticks_per_ms(), gap = per_ms / 5, start;
	uint64_t end = rdtsc() + ms * per_ms, last = rdtsc(), away = 0, n_away = 0, longest = 0, spins = 0;
	start = last;
	while (last < end) {
		uint64_t now = rdtsc(), d = now - last;
		spins++;
		last = now;
		if (d > gap) {
			n_away++;
			away += d;
			longest = d > longest ? d : longest;
		}
	}
	uint64_t had = 100 - away * 100 / (last - start);
	print("slices away=%lu longest=%lu us share=%lu %% spins=%lu\n", n_away, longest * 1000 / per_ms, had, spins);
	CHECK(spins > 1000, "no progress");
	bool is_exact = share && !is_lax();
	if (share && !is_exact) {
		skip("share", "QEMU's CPU itself is away whenever its host has other work");
	}
	CHECK(!is_exact || (had + 10 >= share && had <= share + 10), "%lu %%, not %lu %%", had, share);
	CHECK(!share || share > 90 || n_away > 10, "away %lu times", n_away);
	return (int)failures;
}
