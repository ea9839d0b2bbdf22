/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What SMP guests share: which CPUs there are, starting them, giving them work, IPIs in xAPIC and
 * x2APIC mode, locks, barriers, and counts of what each CPU took. APs sleep in HLT between calls.
 */
#ifndef GUEST_SMP_H
#define GUEST_SMP_H

#include "guest.h"

#define SMP_MAX	    16
#define AP_PAGE	    0x70000 /* start-up code: free in every memory map we meet */
#define VECTOR_WAKE 0xf0    /* the library's own: an AP has work */
#define VECTOR_SPURIOUS 0xff

struct cpu {
	struct cpu *self; /* at %gs:0 */
	uint32_t index, apic_id;
	void (*volatile work)(void *arg);
	void *arg;
	volatile uint32_t starts;     /* how often it came out of a startup IPI */
	uint32_t cr0, edx, cs;	      /* as that left them */
	volatile uint32_t taken[256]; /* by count_irq() and count_nmi() */
};
extern struct cpu cpus[SMP_MAX];
extern unsigned nr_cpus;
extern bool smp_is_madt, smp_is_x2apic; /* the MADT named the CPUs; all APICs are in x2APIC mode */

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;
	__asm__ volatile("movq %%gs:0, %0" : "=r"(c));
	return c;
}

static inline void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/** WAIT() - up to @ms milliseconds for @cond; CPU 0 only (PIT). Return: did it come true? */
#define WAIT(cond, ms)                                                      \
	({                                                                  \
		bool come = (cond);                                         \
		for (unsigned t = 0; !come && t < 10u * (ms); t++) {        \
			udelay(100);                                        \
			come = (cond);                                      \
		}                                                           \
		come;                                                       \
	})

/**
 * smp_start() - find all CPUs (MADT, else CPUID) and bring them up. Return: are all there?
 *
 * CPU 0 is the caller. Its APIC is switched on and interrupts may come; @x2apic: in x2APIC mode, if
 * CPUID has that. All 8259 inputs are masked.
 */
bool smp_start(bool x2apic);

/** smp_boot() - INIT and startup IPI to @c alone. Return: did it come within a second? */
bool smp_boot(struct cpu *c);

/** smp_call() - @c runs @fn(@arg), interrupts on. smp_wait(): has it ended, within @ms? */
void smp_call(struct cpu *c, void (*fn)(void *), void *arg);
bool smp_wait(struct cpu *c, unsigned ms);

/** smp_all() - all CPUs run @fn(@arg), the caller too. Return: did all end within @ms after it? */
bool smp_all(void (*fn)(void *), void *arg, unsigned ms);

/* ICR: delivery modes, flags and shorthands (SDM 3A 11.6.1 "Interrupt Command Register (ICR)") */
enum {
	IPI_FIXED = 0x000, IPI_LOWEST = 0x100, IPI_NMI = 0x400, IPI_INIT = 0x500, IPI_SIPI = 0x600,
	IPI_LOGICAL = 0x800, IPI_SELF = 0x40000, IPI_ALL = 0x80000, IPI_OTHERS = 0xc0000
};
enum { APIC_LDR = 0xd0, APIC_DFR = 0xe0, APIC_ESR = 0x280 };

uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t v);
void apic_enable(void); /* software enable, spurious vector 0xff */
void ipi_send(uint32_t dest, uint32_t icr);

/* handlers for on_interrupt(): count in this_cpu()->taken[], end of interrupt */
void count_irq(struct trap_frame *f);
void count_nmi(struct trap_frame *f);

/** taken() - how often vector @v came, on all CPUs. taken_clear(): forget all counts. */
unsigned taken(uint8_t v);
void taken_clear(void);

struct spinlock {
	volatile uint32_t next, serving; /* ticket lock: first come, first served */
};
void lock(struct spinlock *l);
void unlock(struct spinlock *l);

/** barrier() - wait until @nr CPUs are here; @b may be used again at once. */
struct barrier {
	volatile uint32_t here, round;
};
void barrier(struct barrier *b, unsigned nr);

#endif
