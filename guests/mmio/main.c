/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions on memory that is none: local APIC and I/O APIC registers through MOV, ALU, shifts, MOVZX,
 * XCHG, PUSH and strings, in 64-bit and compatibility mode; ones where nobody answers; flags as arithmetic
 * leaves them. Then what a CPU checks on the way: pages, protection keys, alignment; operands that begin
 * in RAM; code and page tables that change from one execution to the next.
 */
#include "lib/guest.h"

#define NOBODY	0xfd000000ull
#define IOAPIC	0xfec00000ull
#define TPR	(LAPIC + APIC_TPR)
#define DIVIDE	(LAPIC + APIC_DIVIDE)
#define COUNT	(LAPIC + APIC_INIT_COUNT) /* 32 bits hold anything; the timer is masked */

extern uint32_t compat_mmio(void); /* compat.S */

static uint64_t load(uint64_t at, unsigned width)
{
	uint64_t v = 0x1122334455667788;
	switch (width) {
	case 1: __asm__ volatile("movb (%1), %b0" : "+r"(v) : "r"(at)); break;
	case 2: __asm__ volatile("movw (%1), %w0" : "+r"(v) : "r"(at)); break;
	case 4: __asm__ volatile("movl (%1), %k0" : "+r"(v) : "r"(at)); break;
	default: __asm__ volatile("movq (%1), %0" : "+r"(v) : "r"(at)); break;
	}
	return v;
}

static void nobody(void)
{
	uint64_t v = 0;
	CHECK(load(NOBODY, 1) == 0x11223344556677ff, "%lx", load(NOBODY, 1));
	CHECK(load(NOBODY, 2) == 0x112233445566ffff, "%lx", load(NOBODY, 2));
	CHECK(load(NOBODY, 4) == 0xffffffff, "%lx", load(NOBODY, 4));
	CHECK(load(NOBODY, 8) == ~0ull, "%lx", load(NOBODY, 8));
	*(volatile uint64_t *)NOBODY = 0;
	CHECK(load(NOBODY, 8) == ~0ull, "writes are dropped");
	__asm__ volatile("movzbl (%1), %k0" : "+r"(v) : "r"(NOBODY));
	CHECK(v == 0xff, "MOVZX %lx", v);
	__asm__ volatile("movsbq (%1), %0" : "+r"(v) : "r"(NOBODY));
	CHECK(v == ~0ull, "MOVSX %lx", v);
	__asm__ volatile("movslq (%1), %0" : "+r"(v) : "r"(NOBODY));
	CHECK(v == ~0ull, "MOVSXD %lx", v);
}

/* Registers with side effects besides those of memory */
static void registers(void)
{
	uint32_t version = lapic_read(APIC_VERSION);
	CHECK((version & 0xff) >= 0x10 && (version & 0xff) <= 0x15, "LAPIC version %x", version);
	CHECK(lapic_read(APIC_ID) == 0, "LAPIC ID %x", lapic_read(APIC_ID));
	*(volatile uint32_t *)IOAPIC = 1;
	uint32_t v = *(volatile uint32_t *)(IOAPIC + 0x10);
	CHECK((v & 0xff) == 0x20 && (v >> 16) == 23, "IOAPIC version %x", v);
	lapic_write(APIC_TIMER, 0x10000);
	lapic_write(APIC_TPR, 0x30);
	CHECK(lapic_read(APIC_TPR) == 0x30 && lapic_read(APIC_PPR) == 0x30, "TPR %x", lapic_read(APIC_TPR));
}

static uint64_t flags_of(uint64_t v)
{
	return v & 0x8d5; /* OF SF ZF AF PF CF */
}

/* @insn on MMIO at COUNT, and on memory: the same value, the same flags */
#define SAME(insn, start, operand)                                                              \
	do {                                                                                    \
		uint32_t mem = (start), reg1 = (operand), reg2 = (operand);                     \
		uint64_t f1, f2;                                                                \
		*(volatile uint32_t *)COUNT = (start);                                          \
		__asm__ volatile("clc; " insn "; pushfq; popq %1"                              \
				 : "+r"(reg1), "=&r"(f1) : "r"(&mem), "a"(5) : "memory", "cc", "rcx"); \
		__asm__ volatile("clc; " insn "; pushfq; popq %1"                              \
				 : "+r"(reg2), "=&r"(f2) : "r"(COUNT), "a"(5) : "memory", "cc", "rcx"); \
		CHECK(*(volatile uint32_t *)COUNT == mem && reg1 == reg2, "%s: %x, not %x; %x, not %x", \
		      insn, *(volatile uint32_t *)COUNT, mem, reg2, reg1);                            \
		CHECK(flags_of(f1) == flags_of(f2), "%s: flags %lx, not %lx", insn, f2, f1);       \
	} while (0)

static void arithmetic(void)
{
	SAME("addl %0, (%2)", 0x7fffffff, 1);
	SAME("addl (%2), %0", 0xffffffff, 1);
	SAME("subl %0, (%2)", 0, 1);
	SAME("subl (%2), %0", 0x80000000, 1);
	SAME("stc; adcl %0, (%2)", 0xffffffff, 0);
	SAME("stc; sbbl (%2), %0", 0, 0);
	SAME("andl %0, (%2)", 0xf0f0f0f0, 0xff00ff00);
	SAME("orl (%2), %0", 0xf0f0f0f0, 0xff00ff00);
	SAME("xorl %0, (%2)", 0x12345678, 0x12345678);
	SAME("cmpl %0, (%2)", 5, 6);
	SAME("cmpl (%2), %0", 5, 6);
	SAME("testl %0, (%2)", 0x80000000, 0x80000000);
	SAME("andl $-16, (%2)", 0xffff, 0);
	SAME("cmpl $0x12345678, (%2)", 0x12345678, 0);
	SAME("testl $0x1000, (%2)", 0x1000, 0);
	SAME("incl (%2)", 0x7fffffff, 0);
	SAME("decl (%2)", 0, 0);
	SAME("notl (%2)", 0x0f0f0f0f, 0);
	SAME("negl (%2)", 1, 0);
	SAME("xchgl %0, (%2)", 1, 2);
	SAME("xaddl %0, (%2)", 0xffffffff, 2);
	SAME("cmpxchgl %0, (%2)", 5, 9);
	SAME("cmpxchgl %0, (%2); movl %%eax, %0; movl $5, %%eax", 6, 9);
	SAME("lock btsl $3, (%2)", 0, 0);
	SAME("btrl $3, (%2)", 0xff, 0);
	SAME("btcl $3, (%2)", 0xff, 0);
	SAME("btl $3, (%2)", 0xff, 0);
	SAME("movl $0x12345678, (%2)", 0, 0);
	SAME("lock orl %0, (%2)", 1, 2);
	SAME("shll $3, (%2)", 0x30000001, 0);
	SAME("sarl $1, (%2)", 0x80000001, 0);
	SAME("movl %0, %%ecx; shrl %%cl, (%2)", 0x80000001, 5);
	SAME("stc; rcll $1, (%2)", 0x80000000, 0);
	SAME("stc; rcrl $1, (%2)", 2, 0);
	SAME("roll $8, (%2)", 0x12345678, 0);
	SAME("rorl $1, (%2)", 1, 0);
	SAME("movntil %0, (%2)", 0, 0x600d);
	if (cpu_has(1, 2, 22)) {
		SAME("movbel (%2), %0", 0x12345678, 0);
		SAME("movbel %0, (%2)", 0, 0x12345678);
	} else {
		skip("MOVBE", "not on this CPU");
	}
}

/* Addressing: base, index, scale, displacement, RIP-relative none, FS base, absolute through EAX */
static void addressing(void)
{
	uint32_t v;
	*(volatile uint32_t *)COUNT = 0x600d;
	__asm__ volatile("movl 0x80(%1,%2,4), %0" : "=r"(v) : "r"(LAPIC), "r"(0xc0ull));
	CHECK(v == 0x600d, "SIB: %x", v);
	wrmsr(0xc0000100, LAPIC);
	__asm__ volatile("movl %%fs:0x380, %0" : "=r"(v));
	CHECK(v == 0x600d, "FS: %x", v);
	__asm__ volatile("movabsl 0xfee00380, %%eax; movl %%eax, %0" : "=r"(v) : : "eax");
	CHECK(v == 0x600d, "absolute: %x", v);
	__asm__ volatile("movl 0x380(%k1), %0" : "=r"(v) : "r"(0xdead00000000 | LAPIC));
	CHECK(v == 0x600d, "32-bit address: %x", v);
	uint64_t r15 = LAPIC, r12 = 0x380;
	__asm__ volatile("movq %1, %%r15; movq %2, %%r12; movl (%%r15,%%r12), %%r14d; movl %%r14d, %0"
			 : "=r"(v) : "r"(r15), "r"(r12) : "r12", "r14", "r15");
	CHECK(v == 0x600d, "REX: %x", v);
}

static void strings(void)
{
	static uint32_t mem[4] = { 1, 2, 3, 4 };
	uint64_t rdi = COUNT, rsi = (uint64_t)&mem[2], rcx = 1;
	__asm__ volatile("rep movsl" : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
	CHECK(*(volatile uint32_t *)COUNT == 3 && rcx == 0 && rdi == COUNT + 4, "MOVS to: %lx", rdi);
	rsi = COUNT, rdi = (uint64_t)&mem[0], rcx = 1;
	__asm__ volatile("rep movsl" : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
	CHECK(mem[0] == 3 && rsi == COUNT + 4, "MOVS from: %x", mem[0]);
	rdi = COUNT;
	__asm__ volatile("stosl" : "+D"(rdi) : "a"(0x99) : "memory");
	CHECK(*(volatile uint32_t *)COUNT == 0x99, "STOS: %x", *(volatile uint32_t *)COUNT);
	uint64_t rax = ~0ull;
	rsi = COUNT;
	__asm__ volatile("lodsl" : "+S"(rsi), "+a"(rax) : : "memory");
	CHECK(rax == 0x99, "LODS: %lx", rax);
	rdi = NOBODY, rcx = 5000;
	__asm__ volatile("rep stosb" : "+D"(rdi), "+c"(rcx) : "a"(0) : "memory");
	CHECK(rdi == NOBODY + 5000 && rcx == 0, "REP STOS: rdi %lx rcx %lx", rdi, rcx);
}

/* A stack in memory, and operands that are 2 and 8 bytes wide, which not every local APIC takes */
static void stack(void)
{
	uint64_t v = 0, sp1, sp2;
	*(volatile uint32_t *)COUNT = 0x1600d;
	__asm__ volatile("mov %%rsp, %1; pushw (%3); mov %%rsp, %2; popw %w0"
			 : "+r"(v), "=&r"(sp1), "=&r"(sp2) : "r"(COUNT) : "memory");
	CHECK(v == 0x600d && sp2 == sp1 - 2, "PUSH: %lx, stack moved by %lu", v, sp1 - sp2);
	__asm__ volatile("mov %%rsp, %0; pushq $0x1234; popq (%2); mov %%rsp, %1"
			 : "=&r"(sp1), "=&r"(sp2) : "r"(NOBODY) : "memory");
	CHECK(sp1 == sp2, "POP moved the stack by %lu", sp2 - sp1);
}

/* A window of 4 KiB pages at WINDOW, whose 2 MiB are otherwise nobody's */
#define WINDOW	 0xfd200000ull
#define PKU_KEY1 (1ull << 59)
static uint64_t window[512] __attribute__((aligned(4096)));
static uint8_t ram[2][4096] __attribute__((aligned(4096)));

static void map(unsigned page, uint64_t entry)
{
	window[page] = entry;
	__asm__ volatile("invlpg (%0)" : : "r"(WINDOW + page * 4096) : "memory");
}

/* RAM, then the local APIC, whose first registers are reserved: they read 0, writes are lost */
static void straddle(void)
{
	volatile uint64_t *half = (volatile uint64_t *)(WINDOW + 4096 - 4);
	map(0, (uint64_t)ram[0] | 7);
	map(1, LAPIC | 7);
	memcpy(&ram[0][4092], "\x11\x22\x33\x44", 4);
	CHECK(*half == 0x44332211, "RAM and MMIO: %lx", *half);
	*half = 0x8877665555667788;
	CHECK(*half == 0x55667788, "RAM and MMIO: %lx", *half);
	__asm__ volatile("addq %1, %0" : "+m"(*half) : "r"(0x1000000000000001ull));
	CHECK(*half == 0x55667789, "RAM and MMIO: %lx", *half);
	map(1, 0);
	int vector = TRY("movq %%rax, (%0)", : : "r"(half), "a"(0ull) : "memory");
	CHECK(vector == 14 && try_frame.error == 2 && ram[0][4092] == 0x89, "absent half: %d %lx", vector,
	      try_frame.error);
}

/* MOVS from MMIO to a page that may not be written: read-only, then by its protection key */
static void rights(void)
{
	uint64_t rsi = COUNT, rdi = WINDOW;
	map(0, (uint64_t)ram[0] | 5);
	int vector = TRY("movsl", : "+S"(rsi), "+D"(rdi) : : "memory");
	CHECK(vector == 14 && try_frame.error == 3 && rsi == COUNT, "read-only: %d %lx", vector, try_frame.error);
	if (!cpu_has(7, 2, 3)) {
		skip("protection keys", "not on this CPU");
		return;
	}
	uint64_t cr4;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 22));
	map(0, (uint64_t)ram[0] | 7 | PKU_KEY1);
	__asm__ volatile("wrpkru" : : "a"(1 << 3), "c"(0), "d"(0)); /* key 1: no writes */
	vector = TRY("movsl", : "+S"(rsi), "+D"(rdi) : : "memory");
	CHECK(vector == 14 && try_frame.error == 0x23 && rsi == COUNT, "key: %d %lx", vector, try_frame.error);
	__asm__ volatile("wrpkru" : : "a"(0), "c"(0), "d"(0));
	vector = TRY("movsl", : "+S"(rsi), "+D"(rdi) : : "memory");
	CHECK(vector == -1 && rsi == COUNT + 4, "key: %d", vector);
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
}

static void misaligned(void)
{
	__asm__ volatile("pushfq; orl $0x40000, (%%rsp); popfq; movl (%0), %%eax" : : "r"(COUNT + 1) : "eax", "cc");
}

static void alignment(void)
{
	uint64_t cr0;
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 | 1 << 18));
	int vector = user_run(misaligned);
	CHECK(vector == 17 || !is_hosted(), "alignment check: %d", vector);
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0));
}

/* Two instructions at one address: by writing to it, and by another page */
static void changing_code(void)
{
	uint64_t (*code)(uint64_t at) = (uint64_t (*)(uint64_t))WINDOW;
	const uint8_t load[] = { 0x31, 0xc0, 0x8b, 0x07, 0xc3 }; /* xor eax, eax; mov eax, [rdi]; ret */
	const uint8_t negate[] = { 0x31, 0xc0, 0x2b, 0x07, 0xc3 }; /* the same with sub */
	*(volatile uint32_t *)COUNT = 0x12345678;
	memcpy(ram[0], load, sizeof(load));
	memcpy(ram[1], negate, sizeof(negate));
	map(0, (uint64_t)ram[0] | 7);
	for (unsigned i = 0; i < 4; i++) {
		map(0, (uint64_t)ram[i & 1] | 7);
		CHECK(code(COUNT) == (i & 1 ? 0xedcba988 : 0x12345678), "page %u: %lx", i & 1, code(COUNT));
	}
	map(0, (uint64_t)ram[0] | 7);
	for (unsigned i = 0; i < 4; i++) {
		ram[0][2] = i & 1 ? 0x2b : 0x8b;
		CHECK(code(COUNT) == (i & 1 ? 0xedcba988 : 0x12345678), "write %u: %lx", i & 1, code(COUNT));
	}
}

int main(const char *cmdline)
{
	(void)cmdline;
	registers();
	arithmetic();
	addressing();
	strings();
	if (is_hosted()) {
		stack();
	}
	pd[WINDOW >> 21] = (uint64_t)window | 7;
	straddle();
	rights();
	changing_code();
	if (is_hosted()) {
		nobody();
	}
	*(volatile uint32_t *)COUNT = 0x600d;
	CHECK(compat_mmio() == 0x600d, "compatibility mode");
	alignment(); /* the way to user mode and back clears DS */
	return (int)failures;
}
