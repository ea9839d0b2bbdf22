/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who lives beside a hostile guest: fills its memory with a pattern, and at each beat of its PIT sees whether
 * any byte has changed, whether any interrupt has come that is not its own, and whether the second-level
 * tables of all partitions are still in order (HC_SPACE_CHECK, so it needs test-device). Never ends.
 * Command line: period=<ms> (default 500).
 */
#include "abi/hypercall.h"
#include "lib/guest.h"

#define HZ     100
#define NR_ALL 256
#define LEN    (1 << 20)

static uint64_t area[LEN / 8];
static volatile uint64_t ticks, strays;

static void tick(struct trap_frame *f)
{
	(void)f;
	ticks++;
}

static void stray(struct trap_frame *f)
{
	(void)f;
	strays++;
}

static uint64_t pattern(uint64_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static uint64_t changed(void)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i < LEN / 8; i++) {
		n += area[i] != pattern(i);
	}
	return n;
}

int main(const char *cmdline)
{
	uint64_t per_beat = arg(cmdline, "period", 500) * HZ / 1000;
	for (uint64_t i = 0; i < LEN / 8; i++) {
		area[i] = pattern(i);
	}
	on_interrupt(2, stray); /* NMI */
	for (unsigned v = 0x20; v < NR_ALL; v++) {
		on_interrupt((uint8_t)v, stray);
	}
	on_interrupt(PIC_VECTOR(0), tick);
	pic_init();
	pit_periodic(HZ);
	pic_unmask(0);
	for (uint64_t beat = 1;; beat++) {
		while (ticks < beat * per_beat) {
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		}
		print("beat %lu changed=%lu strays=%lu leaks=%lu\n", beat, changed(), strays, (uint64_t)hypercall(HC_SPACE_CHECK, 0, 0));
	}
}
