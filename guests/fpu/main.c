/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x87, SSE and AVX registers, XCR0 and MXCSR are this guest's own: they survive exits and time slices.
 * Run two on one CPU with seeds of their own. Arguments: seed=<n>, rounds=<n>.
 */
#include "lib/guest.h"

#define AVX_STATE 4

static uint8_t want[512] __attribute__((aligned(64))), got[512] __attribute__((aligned(64)));
static uint64_t xcr0;

static void set_xcr0(uint64_t v)
{
	__asm__ volatile("xsetbv" : : "a"((uint32_t)v), "d"((uint32_t)(v >> 32)), "c"(0));
}

static uint64_t get_xcr0(void)
{
	uint32_t lo, hi;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

static void enable(uint64_t seed)
{
	uint64_t cr4;
	if (!cpu_has(1, 2, 26)) {
		return;
	}
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 18));
	/* instances differ in XCR0 too */
	xcr0 = seed % 2 && cpu_has(1, 2, 28) ? 7 : 3;
	set_xcr0(xcr0);
}

#define REGISTERS(insn)                                                                       \
	insn(0) insn(1) insn(2) insn(3) insn(4) insn(5) insn(6) insn(7)                       \
	insn(8) insn(9) insn(10) insn(11) insn(12) insn(13) insn(14) insn(15)
#define SSE_LOAD(n)  __asm__ volatile("movdqu (%0), %%xmm" #n : : "r"(from + 16 * n));
#define SSE_STORE(n) __asm__ volatile("movdqu %%xmm" #n ", (%0)" : : "r"(to + 16 * n) : "memory");
#define AVX_LOAD(n)  __asm__ volatile("vmovdqu (%0), %%ymm" #n : : "r"(from + 32 * n));
#define AVX_STORE(n) __asm__ volatile("vmovdqu %%ymm" #n ", (%0)" : : "r"(to + 32 * n) : "memory");

static void load(const uint8_t *from)
{
	if (xcr0 & AVX_STATE) {
		REGISTERS(AVX_LOAD)
	} else {
		REGISTERS(SSE_LOAD)
	}
}

static void store(uint8_t *to)
{
	if (xcr0 & AVX_STATE) {
		REGISTERS(AVX_STORE)
	} else {
		REGISTERS(SSE_STORE)
	}
}

/* 64 bits as an integer on the x87 stack come back exactly */
static void x87_push(uint64_t v)
{
	__asm__ volatile("fninit; fildq %0; fildq %0" : : "m"(v));
}

static uint64_t x87_pop(void)
{
	uint64_t a, b;
	__asm__ volatile("fistpq %0; fistpq %1" : "=m"(a), "=m"(b));
	return a == b ? a : ~0ull;
}

static void one_round(uint64_t seed)
{
	uint32_t r[4], mxcsr = 0x1f80 | (uint32_t)(seed & 3) << 13;
	unsigned len = xcr0 & AVX_STATE ? 512 : 256;
	for (unsigned i = 0; i < len; i++) {
		want[i] = (uint8_t)(seed * 37 + i);
	}
	load(want);
	x87_push(seed << 32 | 0x5a5a);
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	cpuid(0, 0, r);
	inb(0x1e0);
	udelay(2000); /* a few time slices */
	store(got);
	for (unsigned i = 0; i < len; i++) {
		if (got[i] != want[i]) {
			CHECK(got[i] == want[i], "byte %u of the vector registers: %x, not %x", i, got[i], want[i]);
			break;
		}
	}
	uint64_t x87 = x87_pop();
	CHECK(x87 == (seed << 32 | 0x5a5a), "x87: %lx", x87);
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	CHECK(mxcsr == (0x1f80 | (seed & 3) << 13), "MXCSR %x", mxcsr);
	CHECK(!xcr0 || get_xcr0() == xcr0, "XCR0 %lx, not %lx", get_xcr0(), xcr0);
}

int main(const char *cmdline)
{
	uint64_t seed = arg(cmdline, "seed", 1), rounds = arg(cmdline, "rounds", 20);
	enable(seed);
	pic_init();
	sti(); /* Bochs as an SVM host is deaf while its guest's IF is 0 */
	for (uint64_t i = 0; i < rounds; i++) {
		one_round(seed + 2 * i);
	}
	return (int)failures;
}
