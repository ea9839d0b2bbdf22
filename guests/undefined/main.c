/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions of both vendors that this guest is not offered: #UD as on a CPU without them (#GP for RDPMC, which has no
 * counters), and the guest goes on.
 */
#include "abi/hypercall.h"
#include "lib/guest.h"

static uint8_t mem[4096] __attribute__((aligned(4096)));

#define IS_UD(insn)                                                                            \
	do {                                                                                   \
		uint32_t a_ = (uint32_t)(uint64_t)mem, c_ = 0, d_ = 0;                         \
		int v_ = TRY(insn, : "+a"(a_), "+c"(c_), "+d"(d_) : "D"(mem) : "memory", "cc"); \
		CHECK(v_ == 6, "%s: %d", insn, v_);                                            \
	} while (0)

static void vmx(void)
{
	uint64_t cr4;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	CHECK(TRY("mov %0, %%cr4", : : "r"(cr4 | 1 << 13) : "memory") == 13, "CR4.VMXE can be set");
	IS_UD("vmxon (%%rdi)");
	IS_UD("vmxoff");
	IS_UD("vmlaunch");
	IS_UD("vmresume");
	IS_UD("vmclear (%%rdi)");
	IS_UD("vmptrld (%%rdi)");
	IS_UD("vmptrst (%%rdi)");
	IS_UD("vmread %%rax, %%rcx");
	IS_UD("vmwrite %%rax, %%rcx");
	IS_UD("invept (%%rdi), %%rax");
	IS_UD("invvpid (%%rdi), %%rax");
	IS_UD("vmfunc");
}

static void svm(void)
{
	IS_UD("vmrun");
	IS_UD("vmload");
	IS_UD("vmsave");
	IS_UD("stgi");
	IS_UD("clgi");
	IS_UD("skinit");
	IS_UD("invlpga %%rax, %%ecx");
}

static void others(void)
{
	uint32_t lo, hi;
	IS_UD("monitor");
	IS_UD("mwait");
	IS_UD(".byte 0x0f, 0x37"); /* GETSEC */
	IS_UD("ud2");
	IS_UD(".byte 0x0f, 0xb9, 0xc0"); /* UD1 */
	int vector = TRY("rdpmc", : "=a"(lo), "=d"(hi) : "c"(0) : "memory");
	CHECK(vector == 13 && try_frame.error == 0, "RDPMC: %d", vector);
	vector = TRY("rdpmc", : "=a"(lo), "=d"(hi) : "c"(0x40000000) : "memory");
	CHECK(vector == 13, "RDPMC of a fixed counter: %d", vector);
}

int main(const char *cmdline)
{
	(void)cmdline;
	if (!is_hosted()) {
		skip("undefined", "a bare CPU has them");
		return 0;
	}
	vmx();
	svm();
	others();
	return (int)failures;
}
