/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest: everything that it can reach it touches, with values that make no sense, and what it may not
 * have it asks for. Nothing of it may end this partition, show a byte of anybody else's, or reach a
 * neighbour, which judges for itself. Beyond its memory each read is all ones; a refused MSR is #GP.
 * Command line: memory=<MiB>, port-step=<n>, ipi-step=<n> (1: each of them).
 */
#include "probe.h"

uint64_t leaks, own_len;

static void stage(const char *name, void (*fn)(void))
{
	unsigned before = failures;
	fn();
	print("probe %s done leaks=%lu failures=%u\n", name, leaks, failures - before);
}

static uint64_t port_step, ipi_step;

static void ports(void)
{
	probe_ports(port_step);
}

static void interrupts(void)
{
	probe_interrupts(ipi_step);
}

int main(const char *cmdline)
{
	own_len = arg(cmdline, "memory", 4) << 20;
	port_step = arg(cmdline, "port-step", 1);
	ipi_step = arg(cmdline, "ipi-step", 1);
	cli();
	stage("memory", probe_memory);
	stage("mmio", probe_mmio);
	stage("instructions", probe_instructions);
	stage("msrs", probe_msrs);
	stage("ports", ports);
	stage("interrupts", interrupts);
	CHECK(leaks == 0, "%lu", leaks);
	return failures != 0;
}
