/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest: everything that it can reach it touches, with values that make no sense, and what it may not
 * have it asks for. Nothing of it may end this partition, show a byte of anybody else's, or reach a
 * neighbour, which judges for itself. Beyond its memory each read is all ones; a refused MSR is #GP.
 * Command line: memory=<MiB>, page-step=<n>, msr-step=<n>, port-step=<n>, ipi-step=<n> (1: each of them; else
 * each n-th where space is large and even, borders always), flood=<n>, of WBINVD and INVD.
 */
#include "probe.h"

uint64_t leaks, own_len;

/* In this order with the number that the argument gives */
static const struct {
	const char *name, *arg;
	uint64_t fallback;
	void (*fn)(uint64_t step);
} stages[] = {
	{ "memory", "page-step", 1, probe_memory },
	{ "mmio", "none", 0, probe_mmio },
	{ "instructions", "flood", 10000, probe_instructions },
	{ "debug", "none", 0, probe_debug },
	{ "msrs", "msr-step", 1, probe_msrs },
	{ "ports", "port-step", 1, probe_ports },
	{ "interrupts", "ipi-step", 1, probe_interrupts },
};

int main(const char *cmdline)
{
	own_len = arg(cmdline, "memory", 4) << 20;
	cli();
	for (unsigned i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		unsigned before = failures;
		stages[i].fn(arg(cmdline, stages[i].arg, stages[i].fallback));
		print("probe %s done leaks=%lu failures=%u\n", stages[i].name, leaks, failures - before);
	}
	CHECK(leaks == 0, "%lu", leaks);
	return failures != 0;
}
