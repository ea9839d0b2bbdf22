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

/* What CPUID does not show and a control, a mode or the CPU's lack of it hides: #UD */
#define IS_UD_WITHOUT(leaf, reg, bit, insn)          \
	do {                                         \
		if (!cpu_has(leaf, reg, bit)) {      \
			IS_UD(insn);                 \
		}                                    \
	} while (0)

static void hidden(void)
{
	enum { EAX, EBX, ECX, EDX };
	IS_UD_WITHOUT(7, EBX, 2, ".byte 0x0f, 0x01, 0xcf");		/* ENCLS */
	IS_UD_WITHOUT(7, EDX, 18, ".byte 0x0f, 0x01, 0xc5");		/* PCONFIG */
	IS_UD_WITHOUT(1, ECX, 30, ".byte 0x48, 0x0f, 0xc7, 0xf0");	/* RDRAND RAX */
	IS_UD_WITHOUT(7, ECX, 22, ".byte 0xf3, 0x0f, 0xc7, 0xf8");	/* RDPID RAX */
	IS_UD_WITHOUT(7, EBX, 10, ".byte 0x66, 0x0f, 0x38, 0x82, 0x07"); /* INVPCID */
	IS_UD_WITHOUT(0x80000008, EBX, 4, ".byte 0x0f, 0x01, 0xfd");	/* RDPRU */
	IS_UD_WITHOUT(0x80000008, EBX, 8, ".byte 0xf3, 0x0f, 0x01, 0xfa"); /* MCOMMIT */
	IS_UD_WITHOUT(0x80000001, ECX, 29, ".byte 0x0f, 0x01, 0xfa");	/* MONITORX */
	IS_UD_WITHOUT(0x80000001, ECX, 29, ".byte 0x0f, 0x01, 0xfb");	/* MWAITX */
	IS_UD_WITHOUT(0x80000008, EBX, 3, ".byte 0x0f, 0x01, 0xfe");	/* INVLPGB */
	if (is_lax()) {
		skip("UMONITOR, RDSEED", "QEMU takes their bytes for MFENCE and RDRAND");
	} else {
		IS_UD_WITHOUT(7, ECX, 5, ".byte 0xf3, 0x0f, 0xae, 0xf0");
		IS_UD_WITHOUT(7, EBX, 18, ".byte 0x48, 0x0f, 0xc7, 0xf8");
	}
	uint64_t cr4;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	if (is_bochs_svm()) {
		skip("XSAVES", "AMD-V has no control for it");
	} else if (cpu_has(1, ECX, 26)) { /* XSAVES, with OSXSAVE on */
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 18));
		IS_UD(".byte 0x48, 0x0f, 0xc7, 0x2f");
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
	}
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
	hidden();
	return (int)failures;
}
