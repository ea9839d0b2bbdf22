/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions on memory that is none: local APIC and I/O APIC registers through MOV, ALU, MOVZX,
 * XCHG and strings, in 64-bit and compatibility mode; ones where nobody answers; flags as arithmetic leaves them.
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
				 : "+r"(reg1), "=&r"(f1) : "r"(&mem), "a"(5) : "memory", "cc"); \
		__asm__ volatile("clc; " insn "; pushfq; popq %1"                              \
				 : "+r"(reg2), "=&r"(f2) : "r"(COUNT), "a"(5) : "memory", "cc"); \
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

int main(const char *cmdline)
{
	(void)cmdline;
	registers();
	arithmetic();
	addressing();
	strings();
	if (is_hosted()) {
		nobody();
	}
	*(volatile uint32_t *)COUNT = 0x600d;
	CHECK(compat_mmio() == 0x600d, "compatibility mode");
	return (int)failures;
}
