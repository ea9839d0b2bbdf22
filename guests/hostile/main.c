/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A neighbour that tries to keep the CPU beyond its window, frames=N of them long. how=0: sleeps; 1: spins
 * with interrupts off; 2: exits as often as it can; 3: fills memory with one instruction after the other
 * that takes long (REP STOSB), and the same to where each element exits; 4: sends itself interrupts;
 * 5: all of these in turn; 6: runs, and that is all.
 */
#include "lib/hypercall.h"

#define VECTOR 0x60
#define FILL_AT	 0x200000ull /* above the image */
#define FILL_LEN 0x180000ull
#define BURST 200

static volatile uint32_t taken;

static void on_vector(struct trap_frame *f)
{
	(void)f;
	taken = taken + 1;
	lapic_write(APIC_EOI, 0);
}

static void sleep(uint64_t end)
{
	(void)end;
	lapic_write(APIC_INIT_COUNT, 100000);
	sti_hlt_cli();
}

static void spin(uint64_t end)
{
	(void)end;
	cli();
	for (volatile uint32_t i = 0; i < 10000; i++) {
	}
}

static void run(uint64_t end)
{
	spin(end);
	sti();
}

static void exits(uint64_t end)
{
	(void)end;
	for (int i = 0; i < BURST; i++) {
		uint32_t out[4];
		cpuid(0, 0, out);
		outb(0x80, 0);
		hypercall(HC_YIELD, 0, 0);
		__asm__ volatile("pause");
	}
}

static void fill(uint64_t end)
{
	(void)end;
	uint64_t to = FILL_AT, len = FILL_LEN;
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(len) : "a"(0) : "memory");
	to = LAPIC + APIC_TPR;
	len = 4096;
	__asm__ volatile("std; rep stosl; cld" : "+D"(to), "+c"(len) : "a"(0) : "memory");
}

static void interrupts(uint64_t end)
{
	(void)end;
	for (int i = 0; i < BURST; i++) {
		lapic_write(APIC_ICR, 0x40000 | VECTOR);
	}
	sti();
	cli();
}

int main(const char *cmdline)
{
	static void (*const ways[])(uint64_t) = { sleep, spin, exits, fill, interrupts, NULL, run };
	uint64_t how = arg(cmdline, "how", 0), frames = arg(cmdline, "frames", 50), n = 0;
	struct window w;
	CHECK(how <= 6, "how=%lu", how);
	pic_init();
	on_interrupt(VECTOR, on_vector);
	lapic_write(APIC_SVR, 0x1ff);
	lapic_write(APIC_TIMER, VECTOR);
	lapic_write(APIC_DIVIDE, 0xb);
	CHECK(hypercall_schedule(0, &w) > 0, "no window");
	uint64_t end = rdtsc() + frames * w.frame;
	while (!failures && rdtsc() < end) {
		ways[how == 5 ? 1 + n % 4 : how](end);
		n++;
	}
	CHECK(n > 0 || failures, "nothing done");
	sti();
	return (int)failures;
}
