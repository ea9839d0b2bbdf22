/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debug registers: DR0 to DR3, DR6, DR7 survive exits and time slices; breakpoints on code, data
 * and behind an instruction that the hypervisor performs hit. Two instances on one CPU: argument seed=<n>.
 */
#include "lib/guest.h"

#define SETDR(n, v) __asm__ volatile("mov %0, %%dr" #n : : "r"((uint64_t)(v)))
#define GETDR(n)                                               \
	({                                                     \
		uint64_t v_;                                   \
		__asm__ volatile("mov %%dr" #n ", %0" : "=r"(v_)); \
		v_;                                            \
	})

static volatile unsigned hits;
static volatile uint64_t hit_rip, hit_dr6;
static volatile uint32_t watched;

static void on_db(struct trap_frame *f)
{
	hits++;
	hit_rip = f->rip;
	hit_dr6 = GETDR(6);
	SETDR(6, 0xffff0ff0);
	f->rflags |= 1 << 16; /* RF: go on behind a code breakpoint */
}

extern char stop_here[], behind[];

extern char behind_mmio[], behind_out[], at_rep[], behind_rep[];

#define HIT(n, at)                                                                                         \
	CHECK(hits == (n) && hit_rip == (uint64_t)(at) && ((hit_dr6 & 0xf) == 2 || has_no_dr6),                \
	      "%u hits, at %lx, not %lx, DR6 %lx", hits, hit_rip, (uint64_t)(at), hit_dr6)

/* On what the hypervisor performs: MMIO, a port, and each iteration of a REP */
static void device_breakpoints(bool has_no_dr6)
{
	uint64_t cr4;
	static uint8_t buf[3];
	hits = 0;
	SETDR(1, LAPIC + APIC_TPR);
	SETDR(7, 0xd00408); /* G1, write, 4 bytes */
	__asm__ volatile("movl $0, (%0)\nbehind_mmio:\tnop" : : "r"(LAPIC + APIC_TPR) : "memory");
	HIT(1, behind_mmio);
	lapic_read(APIC_TPR);
	lapic_write(APIC_SVR, lapic_read(APIC_SVR));
	CHECK(hits == 1, "elsewhere: %u hits", hits);
	__asm__ volatile("mov %%cr4, %0; or $8, %0; mov %0, %%cr4" : "=r"(cr4));
	SETDR(1, 0x1e1);
	SETDR(7, 0x200408); /* G1, I/O, 1 byte */
	__asm__ volatile("outw %%ax, %%dx\nbehind_out:\tnop" : : "a"(0), "d"(0x1e0));
	HIT(2, behind_out);
	outb(0x1e0, 0);
	CHECK(hits == 2, "another port: %u hits", hits);
	hits = 0;
	void *to = buf;
	uint64_t n = 3;
	__asm__ volatile("at_rep:\trep insb\nbehind_rep:\tnop" : "+D"(to), "+c"(n) : "d"(0x1e1) : "memory");
	HIT(3, behind_rep);
	hits = 0;
	SETDR(1, buf + 1);
	SETDR(7, 0x100408); /* G1, write, 1 byte */
	to = buf;
	n = 3;
	__asm__ volatile("rep insb" : "+D"(to), "+c"(n) : "d"(0x1e1) : "memory");
	HIT(1, at_rep + (hit_rip - (uint64_t)at_rep));
	SETDR(7, 0x400);
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 & ~8ull));
}

static void breakpoints(void)
{
	/* Bochs exits for an intercepted #DB before it updates DR6, and forgets the update */
	bool has_no_dr6 = is_bochs_svm();
	if (has_no_dr6) {
		skip("DR6", "Bochs loses it where #DB is intercepted (SVM)");
	}
	on_interrupt(1, on_db);
	SETDR(0, stop_here);
	SETDR(7, 0x402); /* G0, execute */
	__asm__ volatile("xorl %%eax, %%eax\n\txorl %%ecx, %%ecx\nstop_here:\n\tcpuid\nbehind:\n\tnop"
			 : : : "rax", "rbx", "rcx", "rdx");
	CHECK(hits == 1 && hit_rip == (uint64_t)stop_here, "code: %u hits, at %lx", hits, hit_rip);
	CHECK((hit_dr6 & 0xf) == 1 || has_no_dr6, "code: DR6 %lx", hit_dr6);
	SETDR(0, &watched);
	SETDR(7, 0xd0402); /* G0, write, 4 bytes */
	watched = 1;
	CHECK(hits == 2 && ((hit_dr6 & 0xf) == 1 || has_no_dr6), "data: %u hits, DR6 %lx", hits, hit_dr6);
	watched;
	CHECK(hits == 2, "a read is no write");
	device_breakpoints(has_no_dr6);
	SETDR(7, 0x400);
	on_interrupt(1, NULL);
}

int main(const char *cmdline)
{
	uint64_t seed = arg(cmdline, "seed", 1), rounds = arg(cmdline, "rounds", 50);
	uint32_t r[4];
	CHECK(GETDR(6) == 0xffff0ff0 && GETDR(7) == 0x400, "at birth DR6 %lx DR7 %lx", GETDR(6), GETDR(7));
	if (is_lax()) {
		/* VMRUN and #VMEXIT load DR7 past QEMU's own list of breakpoints, which then frees one twice */
		skip("breakpoints", "QEMU 7.2 itself crashes, in 3 of 20 runs");
	} else {
		breakpoints();
	}
	pic_init();
	sti(); /* Bochs as an SVM host is deaf while its guest's IF is 0 */
	for (uint64_t i = 0; i < rounds; i++) {
		SETDR(0, seed << 20 | i);
		SETDR(1, seed << 21 | i);
		SETDR(2, seed << 22 | i);
		SETDR(3, seed << 23 | i);
		SETDR(7, 0x400 | seed % 8 << 16);
		cpuid(0, 0, r);
		udelay(500);
		CHECK(GETDR(0) == (seed << 20 | i) && GETDR(1) == (seed << 21 | i) &&
		      GETDR(2) == (seed << 22 | i) && GETDR(3) == (seed << 23 | i), "round %lu: %lx %lx %lx %lx", i,
		      GETDR(0), GETDR(1), GETDR(2), GETDR(3));
		CHECK(GETDR(7) == (0x400 | seed % 8 << 16), "DR7 %lx", GETDR(7));
	}
	SETDR(7, 0x400);
	return (int)failures;
}
