/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLB shootdown on page tables that all CPUs share: whoever moves a page to another frame invalidates
 * its own entry, asks the others by IPI to do so, and poisons the old frame once all have answered.
 * Nobody may ever read poison. n=N: moves of each CPU.
 */
#include "lib/smp.h"

#define VECTOR	   0x51
#define WINDOW	   0x40000000ull /* where the moving pages appear: 1 GiB, beyond our RAM */
#define PAGES	   8
#define POISON	   0xdeadu
#define PATIENCE   20000000u

static uint64_t window[512] __attribute__((aligned(4096)));
static volatile uint32_t frames[2 * PAGES][1024] __attribute__((aligned(4096)));
static struct spinlock mover; /* window[], frames[], moved, generation */
static uint8_t moved[PAGES];
static volatile uint32_t generation, answered[SMP_MAX], stale;
static uint32_t moves;

static void forget(unsigned page)
{
	__asm__ volatile("invlpg (%0)" : : "r"(WINDOW + 4096 * page) : "memory");
}

static void on_shootdown(struct trap_frame *f)
{
	(void)f;
	uint32_t asked = generation;
	for (unsigned i = 0; i < PAGES; i++) {
		forget(i);
	}
	answered[this_cpu()->index] = asked;
	apic_write(APIC_EOI, 0);
}

static bool has_answered(uint32_t cpu)
{
	for (uint32_t i = 0; answered[cpu] != generation; i++) {
		if (i == PATIENCE) {
			return false;
		}
		pause();
	}
	return true;
}

static void look(void)
{
	for (unsigned i = 0; i < PAGES; i++) {
		if (*(volatile uint32_t *)(WINDOW + 4096 * i) == POISON) {
			stale++;
		}
	}
}

static void fill(unsigned frame, uint32_t v)
{
	frames[frame][0] = v;
}

static void move(unsigned page)
{
	uint32_t self = this_cpu()->index;
	lock(&mover);
	unsigned old = 2 * page + moved[page], new = old ^ 1;
	fill(new, page);
	__atomic_store_n(&window[page], (uint64_t)frames[new] | 3, __ATOMIC_RELEASE);
	forget(page);
	generation++;
	ipi_send(0, IPI_OTHERS | VECTOR);
	for (uint32_t i = 0; i < nr_cpus; i++) {
		if (i != self) {
			CHECK(has_answered(i), "CPU %u does not answer CPU %u", i, self);
		}
	}
	fill(old, POISON);
	moved[page] ^= 1;
	unlock(&mover);
}

static void work(void *arg)
{
	(void)arg;
	uint32_t seed = this_cpu()->index;
	for (uint32_t i = 0; i < moves && !failures; i++) {
		look();
		move((seed + i) % PAGES);
		look();
	}
}

int main(const char *cmdline)
{
	for (unsigned i = 0; i < PAGES; i++) {
		fill(2 * i, i);
		window[i] = (uint64_t)frames[2 * i] | 3;
	}
	pd[WINDOW >> 21] = (uint64_t)window | 3;
	for (unsigned i = 0; i < PAGES; i++) {
		forget(i);
	}
	on_interrupt(VECTOR, on_shootdown);
	moves = (uint32_t)arg(cmdline, "n", 500);
	CHECK(smp_start(false), "not all CPUs came");
	if (!failures) {
		CHECK(smp_all(work, NULL, 60000), "not all ended");
	}
	CHECK(stale == 0, "%u reads of a page that had moved away", stale);
	CHECK(generation == moves * nr_cpus, "%u moves", generation);
	print("%u CPUs, %u shootdowns\n", nr_cpus, generation);
	return (int)failures;
}
