/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ownership check at run time: pages go and come back through the test device, large pages are split,
 * and HC_SPACE_CHECK finds no leak, while a neighbour on another CPU does the same. With plain=1 on the
 * command line there is no test device, and so no such hypercall. rounds=<n>.
 */
#include "abi/hypercall.h"
#include "lib/guest.h"

#define FLUSH_PORT 0xe4
#define PAGE	   4096
#define NR_PAGES   64

static volatile char area[NR_PAGES][PAGE] __attribute__((aligned(PAGE)));

static void flush(uint64_t page)
{
	outl(FLUSH_PORT, (uint32_t)(uintptr_t)area[page % NR_PAGES]);
}

static void rounds(uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		for (uint64_t k = 0; k < 8; k++) {
			flush(i * 8 + k);
		}
		int64_t leaks = hypercall(HC_SPACE_CHECK, 0, 0); /* with holes */
		CHECK(leaks == 0, "round %lu: leaks %lu", i, (uint64_t)leaks);
		for (uint64_t k = 0; k < 8; k++) {
			volatile char *byte = &area[(i * 8 + k) % NR_PAGES][k];
			*byte = (char)i;
			CHECK(*byte == (char)i, "page %lu", i * 8 + k);
		}
	}
	CHECK(hypercall(HC_SPACE_CHECK, 0, 0) == 0, "all pages are back");
}

int main(const char *cmdline)
{
	if (arg(cmdline, "plain", 0)) {
		CHECK(hypercall(HC_SPACE_CHECK, 0, 0) == HC_ENOSYS, "not for everybody");
	} else {
		rounds(arg(cmdline, "rounds", 32));
	}
	return failures;
}
