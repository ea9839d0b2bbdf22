/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A storm: every CPU sends fixed IPIs to CPUs picked at random (itself too) and lives with its own
 * one-shot timer at random intervals. Each interrupt is accounted for by both ends: none is lost, none
 * comes twice, none is spurious. n=N: IPIs in all; x2apic=1. With burst=1 each CPU sends to all at once,
 * itself too, and on many vectors, so that most of them wait in an IRR behind others.
 */
#include "lib/smp.h"

#define BURST	       8 /* vectors of one sender */
#define VECTOR(sender) (0x40 + BURST * (sender))
#define TIMER	       0xe8
#define PATIENCE       20000000u /* looks at a memory word before an IPI counts as lost */

static volatile uint32_t sent[SMP_MAX][SMP_MAX], got[SMP_MAX][SMP_MAX]; /* by sender and receiver */
static volatile uint32_t armed[SMP_MAX], fired[SMP_MAX];
static volatile uint32_t taken_by[256][SMP_MAX]; /* in bursts: by vector and receiver */
static volatile bool is_calm, is_lost;
static bool is_burst;
static uint32_t per_cpu;

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 16;
}

static void on_ipi(struct trap_frame *f)
{
	uint32_t self = this_cpu()->index;
	taken_by[f->vector][self]++;
	got[(f->vector - VECTOR(0)) / BURST][self]++;
	apic_write(APIC_EOI, 0);
}

/* 2 to 12 ms where the timer runs at 1 GHz */
static void arm(uint32_t cpu)
{
	armed[cpu]++;
	apic_write(APIC_INIT_COUNT, 2000000 + 160 * (armed[cpu] * 40503u & 0xffff));
}

static void on_timer(struct trap_frame *f)
{
	(void)f;
	uint32_t cpu = this_cpu()->index;
	fired[cpu]++;
	if (!is_calm) {
		arm(cpu);
	}
	apic_write(APIC_EOI, 0);
}

/* One vector holds one request: the next one goes out when the last has been taken */
static bool is_taken(uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; sent[from][to] != got[from][to]; i++) {
		if (i == PATIENCE || is_lost) {
			return false;
		}
		pause();
	}
	return true;
}

static bool is_taken_by_all(uint32_t vector, uint32_t times)
{
	for (uint32_t to = 0, i = 0; to < nr_cpus; to += taken_by[vector][to] == times, i++) {
		if (i == PATIENCE || is_lost) {
			return false;
		}
		pause();
	}
	return true;
}

static void bursts(uint32_t self)
{
	for (uint32_t i = 0; i < per_cpu / nr_cpus; i++) {
		uint32_t vector = VECTOR(self) + i % BURST;
		if (!is_taken_by_all(vector, i / BURST)) {
			is_lost = true;
			break;
		}
		for (uint32_t to = 0; to < nr_cpus; to++) {
			sent[self][to]++;
		}
		ipi_send(0, IPI_ALL | vector);
	}
}

static void singles(uint32_t self)
{
	uint32_t seed = self + 1;
	for (uint32_t i = 0; i < per_cpu; i++) {
		uint32_t to = next_random(&seed) % nr_cpus;
		if (!is_taken(self, to)) {
			is_lost = true;
			break;
		}
		sent[self][to]++;
		ipi_send(cpus[to].apic_id, VECTOR(self));
	}
}

static void storm(void *arg)
{
	(void)arg;
	uint32_t self = this_cpu()->index;
	apic_write(APIC_DIVIDE, 0xb);
	apic_write(APIC_TIMER, TIMER);
	cli();
	arm(self);
	sti();
	(is_burst ? bursts : singles)(self);
	for (uint32_t to = 0; to < nr_cpus; to++) {
		CHECK(is_taken(self, to), "%u to %u: sent %u, taken %u", self, to, sent[self][to], got[self][to]);
	}
}

static void settle(void *arg)
{
	(void)arg;
	uint32_t self = this_cpu()->index;
	for (uint32_t i = 0; armed[self] != fired[self] && i < PATIENCE; i++) {
		pause();
	}
	CHECK(armed[self] == fired[self], "CPU %u: timer armed %u times, fired %u", self, armed[self], fired[self]);
	CHECK(fired[self] > 0, "CPU %u: no timer", self);
}

int main(const char *cmdline)
{
	for (uint32_t i = VECTOR(0); i < VECTOR(SMP_MAX); i++) {
		on_interrupt((uint8_t)i, on_ipi);
	}
	on_interrupt(TIMER, on_timer);
	if (!smp_start(arg(cmdline, "x2apic", 0))) {
		CHECK(false, "not all CPUs came");
		return (int)failures;
	}
	is_burst = arg(cmdline, "burst", 0);
	per_cpu = (uint32_t)arg(cmdline, "n", 20000) / nr_cpus / nr_cpus * nr_cpus;
	CHECK(smp_all(storm, NULL, 60000), "not all ended");
	is_calm = true;
	CHECK(smp_all(settle, NULL, 60000), "not all ended");
	uint64_t ipis = 0;
	for (unsigned i = 0; i < nr_cpus * nr_cpus; i++) {
		CHECK(sent[i / nr_cpus][i % nr_cpus] == got[i / nr_cpus][i % nr_cpus], "pair %u", i);
		ipis += got[i / nr_cpus][i % nr_cpus];
	}
	CHECK(ipis == (uint64_t)per_cpu * nr_cpus, "%lu IPIs", ipis);
	CHECK(taken(VECTOR_SPURIOUS) == 0, "%u spurious interrupts", taken(VECTOR_SPURIOUS));
	print("%u CPUs, %lu IPIs, none lost\n", nr_cpus, ipis);
	return (int)failures;
}
