/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables that change while they are walked: one CPU maps an address now to RAM, now to where nobody is, now
 * to nothing, as fast as it can; the other one reads, writes and copies there, so that the hypervisor walks these
 * tables for it in between. Each access gives what one of the three gives: the RAM's value, all ones, or #PF.
 * Command line: rounds=<n>.
 */
#include "lib/smp.h"

#define FLIP	0x40000000ull /* a 2 MiB page of its own, entry 512 of pd[] */
#define RAM	0x200000ull   /* behind image and stacks */
#define NOBODY	0xd0000000ull
#define MAPPED	0x83 /* P, W, PS */
#define PATTERN 0x5aa5c33c0ff06996ull

static volatile bool is_over;
static volatile uint64_t *const entry = &pd[FLIP >> 21];

static void flip(void *unused)
{
	static const uint64_t targets[] = { RAM | MAPPED, NOBODY | MAPPED, 0, NOBODY | MAPPED };
	(void)unused;
	for (unsigned i = 0; !is_over; i++) {
		*entry = targets[i % 4];
	}
}

static uint64_t nr_ram, nr_nobody, nr_faults;

static void judge(int vector, uint64_t value)
{
	CHECK(vector == -1 || vector == 14, "exception %d", vector);
	CHECK(vector == 14 || value == PATTERN || value == ~0ull, "%lx", value);
	nr_faults += vector == 14;
	nr_ram += vector == -1 && value == PATTERN;
	nr_nobody += vector == -1 && value == ~0ull;
}

static bool seen_all(void)
{
	return nr_ram > 20 && nr_nobody > 20 && nr_faults > 20;
}

static void invlpg(void)
{
	__asm__ volatile("invlpg (%0)" : : "r"(FLIP) : "memory");
}

static void one_round(void)
{
	uint64_t value = 0, from = FLIP, to = FLIP + 0x10000;
	invlpg();
	int vector = TRY("movq (%%rdi), %%rax", : "=a"(value) : "D"(FLIP) : "memory");
	judge(vector, value);
	invlpg();
	vector = TRY("movq %%rax, (%%rdi)", : : "a"(PATTERN), "D"(FLIP) : "memory");
	judge(vector, PATTERN);
	invlpg();
	vector = TRY("movsq", : "+S"(from), "+D"(to) : : "memory");
	CHECK(vector == -1 || vector == 14, "movs: exception %d", vector);
}

int main(const char *cmdline)
{
	uint64_t rounds = arg(cmdline, "rounds", 3000);
	volatile uint64_t *ram = (volatile uint64_t *)RAM;
	CHECK(smp_start(false) && nr_cpus == 2, "two CPUs");
	for (uint64_t i = 0; i < 0x20000 / 8; i++) {
		ram[i] = PATTERN;
	}
	*entry = 0;
	smp_call(&cpus[1], flip, NULL);
	/* an emulator may run the two CPUs by turns: until each of the three has been seen often enough */
	for (uint64_t i = 0; i < 10000000 && failures < 10 && (i < rounds || !seen_all()); i++) {
		one_round();
		ram[0] = PATTERN;
	}
	is_over = true;
	CHECK(smp_wait(&cpus[1], 10000), "the other CPU does not end");
	CHECK(seen_all(), "ram=%lu nobody=%lu faults=%lu", nr_ram, nr_nobody, nr_faults);
	return failures != 0;
}
