/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls: this vendor's instruction works, the other's is #UD, unknown numbers say so, and
 * applications are refused. Ends by HC_EXIT: nothing after it may run.
 */
#include "abi/hypercall.h"
#include "lib/guest.h"

static int64_t call(uint64_t nr, uint64_t arg)
{
	return hypercall(nr, arg, 0);
}

static void partition_calls(void)
{
	CHECK(call(HC_PARTITION_INFO, HC_INFO_INDEX) >= 0, "index");
	CHECK(call(HC_PARTITION_INFO, HC_INFO_RESTARTS) == 0, "first life");
	CHECK(call(HC_PARTITION_INFO, HC_INFO_LAST) == 0, "nothing ended a life before");
	CHECK(call(HC_PARTITION_INFO, HC_INFO_VCPUS) == 1, "one CPU");
	CHECK(call(HC_PARTITION_INFO, HC_INFO_MEMORY) > 0, "memory");
	CHECK(call(HC_PARTITION_INFO, 5) == HC_EINVAL, "no such field");
	CHECK(call(HC_PARTITION_INFO, ~0ull) == HC_EINVAL, "no such field");
	CHECK(call(HC_WATCHDOG, 60000000) == 0 && call(HC_WATCHDOG, ~0ull) == 0, "armed");
	CHECK(call(HC_WATCHDOG, 0) == 0, "and off");
	CHECK(call(HC_HEALTH, 42) == 0, "a report is logged by default");
	for (const char *s = "by hypercall\n"; *s; s++) {
		CHECK(call(HC_CONSOLE, (uint8_t)*s) == 0, "console");
	}
}

static void in_user(void)
{
	if (is_intel()) {
		__asm__ volatile("vmcall" : : "a"(HC_VERSION));
	} else {
		__asm__ volatile("vmmcall" : : "a"(HC_VERSION));
	}
}

int main(const char *cmdline)
{
	(void)cmdline;
	if (!is_hosted()) {
		skip("hypercall", "no hypervisor");
		return 0;
	}
	CHECK(call(HC_VERSION, 0) == HC_ABI_VERSION, "version %lu", (uint64_t)call(HC_VERSION, 0));
	CHECK(call(HC_YIELD, 0) == 0, "yield");
	partition_calls();
	CHECK(call(3, 0) == HC_ENOSYS, "number 3: %lu", (uint64_t)call(3, 0));
	CHECK(call(~0ull, 0) == HC_ENOSYS, "number -1: %lu", (uint64_t)call(~0ull, 0));
	CHECK(call(1ull << 32, 0) == HC_ENOSYS, "RAX is 64 bits wide");
	if (is_nested()) {
		skip("VMCALL", "KVM in between answers the other vendor's instruction itself");
	} else {
		int vector = is_intel() ? TRY("vmmcall", : : "a"(0) : "memory") :
					  TRY("vmcall", : : "a"(0) : "memory");
		CHECK(vector == 6, "the other vendor's: %d", vector);
	}
	CHECK(user_run(in_user) == 6, "in user mode");
	print("verdict %s checks=%u failures=%u\n", failures ? "FAIL" : "OK", checks, failures);
	call(HC_EXIT, failures);
	print("FAIL alive after HC_EXIT\n");
	return 1;
}
