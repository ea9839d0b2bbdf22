// SPDX-License-Identifier: BSD-2-Clause
/*
 * PID 1 for tools/bench_boot.py: says how many ticks of the TSC lie between the kernel's entry, whose TSC is
 * tsc0= on the kernel's command line, and its own first line; then turns the machine off.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <x86intrin.h>

int main(void)
{
	unsigned long long now = __rdtsc();
	const char *tsc0 = getenv("tsc0");
	printf("boot ticks=%llu\n", now - (tsc0 ? strtoull(tsc0, NULL, 16) : 0));
	fflush(stdout);
	reboot(RB_POWER_OFF);
	return 1;
}
