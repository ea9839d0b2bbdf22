/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XSETBV: takes what CPUID 0xd offers and refuses the rest with #GP; #UD while CR4.OSXSAVE is 0. XCR0 is
 * this guest's own: it reads back after exits.
 */
#include "lib/guest.h"

static int try_xsetbv(uint32_t index, uint64_t v)
{
	return TRY("xsetbv", : : "c"(index), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static uint64_t xgetbv(void)
{
	uint32_t lo, hi;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

static void set_cr4(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(v));
}

static void masks(void)
{
	uint32_t r[4], sizes[4];
	cpuid(0xd, 0, r);
	uint64_t all = (uint64_t)r[3] << 32 | r[0];
	CHECK(xgetbv() == 1, "XCR0 at birth %lx", xgetbv());
	CHECK(try_xsetbv(0, 0) == 13, "XCR0 without x87");
	CHECK(try_xsetbv(0, 2) == 13, "SSE without x87");
	CHECK(try_xsetbv(0, 1ull << 63 | 1) == 13, "bit 63");
	CHECK(try_xsetbv(1, 1) == 13, "XCR1");
	CHECK(try_xsetbv(0, 1ull << 62 | 3) == 13, "LWP");
	if (all & 4) {
		CHECK(try_xsetbv(0, 5) == 13, "AVX without SSE");
		CHECK(try_xsetbv(0, 7) == -1 && xgetbv() == 7, "AVX: %lx", xgetbv());
	}
	CHECK(try_xsetbv(0, 3) == -1 && xgetbv() == 3, "%lx", xgetbv());
	CHECK(try_xsetbv(0, all) == -1 && xgetbv() == all, "%lx, not %lx", xgetbv(), all);
	cpuid(0xd, 0, sizes);
	CHECK(sizes[1] == sizes[2] && sizes[1] >= 576, "XSAVE area %u of %u", sizes[1], sizes[2]);
	inb(0x1e0);
	CHECK(xgetbv() == all, "lost: %lx", xgetbv());
}

static void in_user(void)
{
	__asm__ volatile("xsetbv" : : "a"(1), "d"(0), "c"(0));
}

int main(const char *cmdline)
{
	uint64_t cr4;
	(void)cmdline;
	if (!cpu_has(1, 2, 26)) {
		skip("xsetbv", "this CPU has no XSAVE");
		return 0;
	}
	if (is_nested()) {
		skip("xsetbv", "QEMU does not exit for it, so KVM in between does not know of it");
		return 0;
	}
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	CHECK(try_xsetbv(0, 1) == 6, "CR4.OSXSAVE is 0");
	set_cr4(cr4 | 1 << 18);
	masks();
	CHECK(user_run(in_user) == 13, "in user mode");
	set_cr4(cr4);
	CHECK(try_xsetbv(0, 1) == 6, "CR4.OSXSAVE is 0 again");
	return (int)failures;
}
