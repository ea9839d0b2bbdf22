/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one set of tables that all partitions have: as much of the host as needs no state of its own, and
 * what kernels for PCs expect to find. Only tables. SDM 2A 3.3 "CPUID", SDM 4 chapter 2; APM 3
 * appendix E, APM 2 appendix A.
 */
#include "kernel/policy.h"
#include "kernel/cpuid.h"
#include "kernel/kvmclock.h"
#include "abi/hypercall.h"
#include "x86/msr.h"

/*
 * Bits that pass. Denied are VMX, SVM and all that needs MSRs or state that no guest is given.
 * LEAF1_ECX: SSE3 PCLMUL, SSSE3, FMA CX16, PCID, SSE4.1 4.2, MOVBE POPCNT, AES XSAVE, AVX F16C
 *            RDRAND
 * LEAF1_EDX: FPU VME DE PSE TSC MSR PAE MCE CX8, SEP to PSE36, CLFSH, MMX FXSR SSE SSE2 SS
 * LEAF7_EBX: all but SGX, HLE, RTM, PQM, MPX, PQE, PCOMMIT, PT
 * LEAF7_ECX: PREFETCHWT1 VBMI UMIP PKU, VBMI2, GFNI VAES VPCLMUL VNNI BITALG, VPOPCNTDQ, RDPID,
 *            CLDEMOTE, MOVDIRI MOVDIR64B
 * LEAF7_EDX: 4VNNIW 4FMAPS FSRM, VP2INTERSECT, MD_CLEAR, SERIALIZE, AVX512_FP16
 * EXT1_ECX:  LAHF, ABM SSE4A MISALIGNSSE PREFETCHW, XOP, FMA4, TBM
 * EXT1_EDX:  as LEAF1_EDX; SYSCALL, NX, MMXEXT, FFXSR, 1 GiB pages, RDTSCP, LM, 3DNow!
 */
#define LEAF1_ECX (BITS(1, 0) | BIT(9) | BITS(13, 12) | BIT(17) | BITS(20, 19) | BITS(23, 22) | \
		   BITS(26, 25) | BITS(30, 28))
#define LEAF1_EDX (BITS(8, 0) | BITS(17, 11) | BIT(19) | BITS(27, 23))
#define LEAF7_EBX (BITS(1, 0) | BIT(3) | BITS(10, 5) | BIT(13) | BITS(21, 16) | BITS(24, 23) | \
		   BITS(31, 26))
#define LEAF7_ECX (BITS(3, 0) | BIT(6) | BITS(12, 8) | BIT(14) | BIT(22) | BIT(25) | BITS(28, 27))
#define LEAF7_EDX (BITS(4, 2) | BIT(8) | BIT(10) | BIT(14) | BIT(23))
#define EXT1_ECX  (BIT(0) | BITS(8, 5) | BIT(11) | BIT(16) | BIT(21))
#define EXT1_EDX  (BITS(9, 0) | BITS(17, 11) | BIT(20) | BITS(27, 22) | BITS(31, 29))

#define ALL 0xffffffff
static const struct cpuid_row leaves[] = {
	{ 0x0, 0x0, { 0, ALL, ALL, ALL } },
	{ 0x1, 0x1, { ALL, 0xffff, LEAF1_ECX, LEAF1_EDX } },
	{ 0x4, 0x4, { 0x3fff, ALL, ALL, ALL } },
	{ 0x6, 0x6, { 0, 0, 0, 0 } }, /* ARAT only */
	{ 0x7, 0x7, { 0, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX } },
	{ 0xb, 0xb, { 0, 0, 0, 0 } }, /* topology: the virtual CPU's own */
	{ 0xd, 0xd, { ALL, ALL, ALL, ALL } },
	{ 0x1f, 0x1f, { 0, 0, 0, 0 } },
	{ BULKHEAD_CPUID_BASE, BULKHEAD_CPUID_BASE, { 0, 0, 0, 0 } },
	{ CPUID_LEAF_TIMING, CPUID_LEAF_TIMING, { 0, 0, 0, 0 } },
	{ KVM_CPUID_BASE, KVM_CPUID_FEATURES, { 0, 0, 0, 0 } },
	{ 0x80000000, 0x80000000, { 0, ALL, ALL, ALL } },
	{ 0x80000001, 0x80000001, { ALL, ALL, EXT1_ECX, EXT1_EDX } },
	{ 0x80000002, 0x80000006, { ALL, ALL, ALL, ALL } },    /* brand string, AMD's caches */
	{ 0x80000007, 0x80000007, { 0, 0, 0, BIT(8) } },	       /* invariant TSC */
	{ 0x80000008, 0x80000008, { 0xffff, BIT(0) | BIT(2), 0, 0 } }, /* CLZERO, RstrFpErrPtrs */
};

#define RW (MSR_PASS_READ | MSR_PASS_WRITE)

/* The CPU itself refuses non-canonical bases here, and TSC_AUX where there is no RDTSCP */
static const struct msr_range pass[] = {
	{ MSR_SYSENTER_CS, MSR_SYSENTER_EIP, RW },
	{ MSR_STAR, MSR_SFMASK, RW },
	{ MSR_FS_BASE, MSR_TSC_AUX, RW },
};

#define MTRRCAP_VALUE  (MTRR_NR_VARIABLE | BIT(8) /* fixed ranges */ | BIT(10) /* WC */)
#define MTRR_PHYS_LAST (MSR_MTRR_PHYSBASE0 + 2 * MTRR_NR_VARIABLE - 1)

/* Searched from the top, once for each. The MSRs of x2APIC mode are not here: msr_read() */
static const struct msr_row rows[] = {
	{ MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, MSR_IF_DEADLINE, MSR_IS_APIC, 0 },
	{ MSR_APIC_BASE, MSR_APIC_BASE, MSR_ANY, MSR_IS_APIC, 0 },
	{ MSR_P5_MC_ADDR, MSR_P5_MC_TYPE, MSR_ANY, MSR_IS_IGNORE, 0 },
	{ MSR_TSC, MSR_TSC, MSR_ANY, MSR_IS_TSC, 0 },
	{ MSR_PLATFORM_ID, MSR_PLATFORM_ID, MSR_ANY, MSR_IS_CONSTANT, 0 },
	{ MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, MSR_OF_INTEL, MSR_IS_CONSTANT, BIT(0) }, /* locked, no VMX */
	{ MSR_TSC_ADJUST, MSR_TSC_ADJUST, MSR_IF_TSC_ADJUST, MSR_IS_TSC_ADJUST, 0 },
	/* microcode revision: Intel has it in the upper half; drivers write 0 before they read */
	{ MSR_BIOS_SIGN_ID, MSR_BIOS_SIGN_ID, MSR_OF_INTEL, MSR_IS_IGNORE, BIT(32) },
	{ MSR_BIOS_SIGN_ID, MSR_BIOS_SIGN_ID, MSR_OF_AMD, MSR_IS_IGNORE, 0x01000065 },
	{ 0xc1, 0xc2, MSR_OF_INTEL, MSR_IS_IGNORE, 0 },   /* PERFCTR0, 1: no counters, but no #GP */
	{ 0xcd, 0xce, MSR_OF_INTEL, MSR_IS_CONSTANT, 0 }, /* FSB_FREQ, PLATFORM_INFO: no rate told */
	{ MSR_MTRRCAP, MSR_MTRRCAP, MSR_ANY, MSR_IS_CONSTANT, MTRRCAP_VALUE },
	{ MSR_MCG_CAP, MSR_MCG_CAP, MSR_ANY, MSR_IS_CONSTANT, 0 }, /* no banks */
	{ MSR_MCG_STATUS, MSR_MCG_STATUS, MSR_ANY, MSR_IS_MCG, 0 },
	{ 0x186, 0x187, MSR_OF_INTEL, MSR_IS_IGNORE, 0 },   /* EVNTSEL0, 1 */
	{ 0x198, 0x198, MSR_OF_INTEL, MSR_IS_CONSTANT, 0 }, /* PERF_STATUS: kernels for Atom ask for the rate */
	{ MSR_MISC_ENABLE, MSR_MISC_ENABLE, MSR_OF_INTEL, MSR_IS_MISC, 0 },
	{ MSR_DEBUGCTL, MSR_DEBUGCTL, MSR_ANY, MSR_IS_IGNORE, 0 },
	{ MSR_MTRR_PHYSBASE0, MTRR_PHYS_LAST, MSR_ANY, MSR_IS_MTRR, MTRR_VARIABLE },
	{ MSR_MTRR_FIX64K_00000, MSR_MTRR_FIX64K_00000, MSR_ANY, MSR_IS_MTRR, MTRR_FIX64K },
	{ MSR_MTRR_FIX16K_80000, MSR_MTRR_FIX16K_A0000, MSR_ANY, MSR_IS_MTRR, MTRR_FIX16K },
	{ MSR_MTRR_FIX4K_C0000, MSR_MTRR_FIX4K_F8000, MSR_ANY, MSR_IS_MTRR, MTRR_FIX4K },
	{ MSR_PAT, MSR_PAT, MSR_ANY, MSR_IS_PAT, 0 },
	{ MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, MSR_ANY, MSR_IS_MTRR, MTRR_DEF_TYPE },
	{ MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, MSR_ANY, MSR_IS_KVMCLOCK, 0 },
	{ MSR_EFER, MSR_EFER, MSR_ANY, MSR_IS_EFER, 0 },
	{ 0xc0010000, 0xc0010007, MSR_OF_AMD, MSR_IS_IGNORE, 0 }, /* PERFEVTSEL, PERFCTR 0 to 3 */
	{ MSR_AMD_SYSCFG, MSR_AMD_SYSCFG, MSR_OF_AMD, MSR_IS_IGNORE, 0 },
	/* TscFreqSel: the TSC counts at the P0 rate; without it Linux complains of the firmware */
	{ MSR_AMD_HWCR, MSR_AMD_HWCR, MSR_OF_AMD, MSR_IS_IGNORE, BIT(24) },
	{ MSR_AMD_NB_CFG, 0xc0010020, MSR_OF_AMD, MSR_IS_IGNORE, 0 }, /* and PATCH_LOADER: no microcode */
	{ 0xc0010055, 0xc0010055, MSR_OF_AMD, MSR_IS_IGNORE, 0 }, /* INT_PENDING: no C1E */
	{ 0xc0010058, 0xc0010058, MSR_OF_AMD, MSR_IS_IGNORE, 0 }, /* MMIO_CONF_BASE: off */
	{ MSR_AMD_VM_CR, MSR_AMD_VM_CR, MSR_OF_AMD, MSR_IS_CONSTANT, BIT(3) | BIT(4) }, /* SVM off, locked */
	{ 0xc0010200, 0xc001020b, MSR_OF_AMD, MSR_IS_IGNORE, 0 }, /* PERF_CTL, PERF_CTR 0 to 5 */
	{ MSR_AMD_DE_CFG, MSR_AMD_DE_CFG, MSR_OF_AMD, MSR_IS_IGNORE, BIT(1) },	  /* LFENCE serializes */
};

const struct policy policy_default = {
	.leaf = leaves, .nr_leaves = ARRAY_SIZE(leaves),
	.msr = rows,	.nr_msrs = ARRAY_SIZE(rows),
	.pass = pass,	.nr_pass = ARRAY_SIZE(pass),
};
