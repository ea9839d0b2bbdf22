/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HLT: sleeps until the PIT's interrupt, goes on behind itself, and STI lets no interrupt in before
 * the instruction that follows: STI; HLT cannot lose its wake-up.
 */
#include "lib/guest.h"

static volatile uint64_t ticks, at_rip;
extern char after_hlt[], after_sti[];

static void tick(struct trap_frame *f)
{
	ticks++;
	at_rip = f->rip;
}

/* An interrupt that waits is delivered behind HLT, never between STI and HLT */
static void shadow(void)
{
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = ticks;
		cli();
		while (!(outb(0x20, 0x0a), inb(0x20) & 1)) {
			__asm__ volatile("pause");
		}
		__asm__ volatile("sti\n\t.globl after_sti\nafter_sti:\n\thlt\n\t.globl after_hlt\nafter_hlt:\n\tcli"
				 : : : "memory");
		CHECK(ticks > before, "not woken");
		CHECK(at_rip == (uint64_t)after_hlt, "interrupted at %lx, not %lx", at_rip, (uint64_t)after_hlt);
	}
}

int main(const char *cmdline)
{
	(void)cmdline;
	on_interrupt(PIC_VECTOR(0), tick);
	pic_init();
	pit_periodic(200);
	pic_unmask(0);
	uint64_t start = rdtsc();
	udelay(50000);
	uint64_t per_tick = (rdtsc() - start) / 10;
	uint64_t n = ticks;
	start = rdtsc();
	for (unsigned i = 0; i < 40; i++) {
		sti_hlt_cli();
	}
	uint64_t took = (rdtsc() - start) / 40;
	CHECK(ticks - n >= 40, "%lu ticks for 40 HLTs", ticks - n);
	CHECK(took > per_tick / 2 && took < per_tick * 2, "a HLT took %lu, a tick is %lu", took, per_tick);
	shadow();
	return (int)failures;
}
