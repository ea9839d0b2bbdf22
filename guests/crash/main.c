/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Has the hypervisor crash, by the way of kind=<HC_CRASH_*>. On the machine's next boot it will not do so
 * again, and says why; that is this guest's success.
 */
#include "abi/hypercall.h"
#include "lib/guest.h"

int main(const char *cmdline)
{
	uint64_t kind = arg(cmdline, "kind", 99);
	print("crash %lu\n", kind);
	int64_t answer = hypercall(HC_TEST_CRASH, kind, 0);
	CHECK(answer == HC_EAGAIN, "alive: %lx", (uint64_t)answer);
	print("there was one before this boot\n");
	return failures != 0;
}
