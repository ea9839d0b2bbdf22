/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * WBINVD and INVD: both go on behind themselves and lose nothing that was written, INVD included, as
 * guest memory belongs to a machine that others use too. In user mode #GP.
 */
#include "lib/guest.h"

static volatile uint32_t mem[1024];

static void wbinvd(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}

static void invd(void)
{
	__asm__ volatile("invd" : : : "memory");
}

int main(const char *cmdline)
{
	(void)cmdline;
	for (unsigned i = 0; i < 1024; i++) {
		mem[i] = i * 3;
	}
	if (is_hosted()) {
		invd();
	}
	wbinvd();
	for (unsigned i = 0; i < 1024; i++) {
		CHECK(mem[i] == i * 3, "%u: %x", i, mem[i]);
	}
	CHECK(user_run(wbinvd) == 13 && user_run(invd) == 13, "in user mode");
	__asm__ volatile("clflush (%0); mfence" : : "r"(mem) : "memory");
	CHECK(mem[0] == 0, "CLFLUSH");
	return (int)failures;
}
