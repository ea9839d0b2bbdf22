/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * More virtual CPUs than real ones: a ticket lock, whose next owner may well be off the CPU, and
 * barriers, which wait for the slowest; both wait with PAUSE, and all get through. n=N: turns each.
 */
#include "lib/smp.h"

static struct spinlock door;
static struct barrier all;
static volatile uint32_t count, turns[SMP_MAX]; /* by @door */
static uint32_t n;

static void work(void *arg)
{
	(void)arg;
	uint32_t self = this_cpu()->index;
	barrier(&all, nr_cpus);
	for (uint32_t i = 0; i < n; i++) {
		lock(&door);
		count = count + 1;
		turns[self] = turns[self] + 1;
		unlock(&door);
	}
	barrier(&all, nr_cpus);
	CHECK(count == n * nr_cpus, "CPU %u is through its barrier at %u", self, count);
}

int main(const char *cmdline)
{
	n = (uint32_t)arg(cmdline, "n", 100);
	uint32_t want = (uint32_t)arg(cmdline, "cpus", 0);
	CHECK(smp_start(false), "not all CPUs came");
	CHECK(!want || nr_cpus == want, "%u CPUs, not %u", nr_cpus, want);
	if (!failures) {
		CHECK(smp_all(work, NULL, 60000), "not all ended");
	}
	for (unsigned i = 0; i < nr_cpus; i++) {
		CHECK(turns[i] == n, "CPU %u: %u turns", i, turns[i]);
	}
	print("%u CPUs, %u turns each\n", nr_cpus, n);
	return (int)failures;
}
