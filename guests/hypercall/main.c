/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls: this vendor's instruction works, the other's is #UD, unknown numbers say so, and
 * applications are refused. Ends by HC_EXIT: nothing after it may run.
 */
#include "abi/hypercall.h"
#include "lib/guest.h"

static int64_t hypercall(uint64_t nr, uint64_t arg1)
{
	uint64_t result = nr;
	if (is_intel()) {
		__asm__ volatile("vmcall" : "+a"(result) : "b"(arg1), "c"(0), "d"(0) : "memory");
	} else {
		__asm__ volatile("vmmcall" : "+a"(result) : "b"(arg1), "c"(0), "d"(0) : "memory");
	}
	return (int64_t)result;
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
	CHECK(hypercall(HC_VERSION, 0) == HC_ABI_VERSION, "version %lu", (uint64_t)hypercall(HC_VERSION, 0));
	CHECK(hypercall(HC_YIELD, 0) == 0, "yield");
	CHECK(hypercall(3, 0) == HC_ENOSYS, "number 3: %lu", (uint64_t)hypercall(3, 0));
	CHECK(hypercall(~0ull, 0) == HC_ENOSYS, "number -1: %lu", (uint64_t)hypercall(~0ull, 0));
	CHECK(hypercall(1ull << 32, 0) == HC_ENOSYS, "RAX is 64 bits wide");
	if (is_nested()) {
		skip("VMCALL", "KVM in between answers the other vendor's instruction itself");
	} else {
		int vector = is_intel() ? TRY("vmmcall", : : "a"(0) : "memory") :
					  TRY("vmcall", : : "a"(0) : "memory");
		CHECK(vector == 6, "the other vendor's: %d", vector);
	}
	CHECK(user_run(in_user) == 6, "in user mode");
	print("verdict %s checks=%u failures=%u\n", failures ? "FAIL" : "OK", checks, failures);
	hypercall(HC_EXIT, failures);
	print("FAIL alive after HC_EXIT\n");
	return 1;
}
