/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An interrupt that waits while IF=0 arrives at the first instruction boundary that allows it: behind
 * the one after STI, behind POPF and IRET at once, and not within a MOV SS shadow.
 * QEMU forgets the shadow of STI when an exit for something else falls into it: rarely it is early there.
 */
#include "lib/guest.h"

#define VECTOR 0x71

static volatile unsigned hits;
static volatile uint64_t at;
extern char sti_0[], sti_1[], popf_0[], iret_0[], ss_1[];

static void on_ipi(struct trap_frame *f)
{
	hits++;
	at = f->rip;
	lapic_write(APIC_EOI, 0);
}

static void pend(void)
{
	hits = 0;
	lapic_write(APIC_ICR, 0x40000 | VECTOR);
	inb(0x61);
	CHECK(hits == 0, "delivered with IF=0");
}

static void arrived(const char *where, const char *label)
{
	CHECK(hits == 1 && at == (uint64_t)label, "%s: %u, at %lx, not %lx", where, hits, at, (uint64_t)label);
}

int main(const char *cmdline)
{
	(void)cmdline;
	on_interrupt(VECTOR, on_ipi);
	pic_init();
	lapic_write(APIC_SVR, 0x1ff);
	for (unsigned i = 0; i < 50; i++) {
		pend();
		__asm__ volatile("sti\nsti_0:\tnop\nsti_1:\tnop\n\tnop\n\tcli" : : : "memory");
		if (!is_lax() || at != (uint64_t)sti_0) {
			arrived("STI", sti_1);
		}
		pend();
		__asm__ volatile("pushfq\n\torq $0x200, (%%rsp)\n\tpopfq\npopf_0:\tnop\n\tnop\n\tcli" : : : "memory", "cc");
		arrived("POPF", popf_0);
		pend();
		__asm__ volatile("movq %%rsp, %%rax\n\tpushq $0x10\n\tpushq %%rax\n\tpushq $0x202\n\tpushq $0x08\n\t"
				 "pushq $iret_0\n\tiretq\niret_0:\tnop\n\tnop\n\tcli" : : : "rax", "memory", "cc");
		arrived("IRET", iret_0);
		pend();
		__asm__ volatile("movw %%ss, %%ax\n\t"
				 "sti\n\tmovw %%ax, %%ss\n\tnop\nss_1:\tnop\n\tcli"
				 : : : "rax", "rcx", "memory", "cc");
		CHECK(hits == 1, "STI; MOV SS");
		pend();
		__asm__ volatile("sti\n\tcli\n\tnop" : : : "memory");
		CHECK(hits == 0 || is_lax(), "between STI and CLI");
		sti();
		cli();
		CHECK(hits == 1, "lost");
	}
	return (int)failures;
}
