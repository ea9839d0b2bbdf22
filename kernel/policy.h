/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a partition's CPUs offer, as const tables: CPUID bits that pass, MSRs that exit and what kind each
 * is of, MSRs that do not exit. What a table does not name reads zero, or is #GP. cpuid.c and msr.c read
 * them; a partition points to its set.
 */
#ifndef BULKHEAD_POLICY_H
#define BULKHEAD_POLICY_H

#include "vcpu.h"

struct cpuid_row {
	u32 first, last;
	u32 mask[4]; /* bits of the host's EAX, EBX, ECX, EDX that pass; cpuid.c may add to them */
};

/* Who has this MSR */
enum msr_owner { MSR_ANY, MSR_OF_INTEL, MSR_OF_AMD, MSR_IF_TSC_ADJUST, MSR_IF_DEADLINE };

/* CONSTANT refuses writes, IGNORE drops them; the others have a case each in msr.c */
enum msr_kind {
	MSR_IS_CONSTANT, MSR_IS_IGNORE, MSR_IS_TSC, MSR_IS_TSC_ADJUST, MSR_IS_APIC, MSR_IS_MISC,
	MSR_IS_MCG, MSR_IS_MTRR, MSR_IS_PAT, MSR_IS_EFER, MSR_IS_KVMCLOCK
};

struct msr_row {
	u32 first, last;
	enum msr_owner owner;
	enum msr_kind kind;
	u64 value; /* CONSTANT, IGNORE; MTRR: the cell of the first */
};

/* Cells of msr_state.mtrr */
#define MTRR_NR_VARIABLE 8
enum {
	MTRR_VARIABLE, MTRR_FIX64K = 2 * MTRR_NR_VARIABLE, MTRR_FIX16K, MTRR_FIX4K = MTRR_FIX16K + 2,
	MTRR_DEF_TYPE = MTRR_FIX4K + 8, NR_MTRR_CELLS
};

struct policy {
	const struct cpuid_row *leaf;
	const struct msr_row *msr;
	const struct msr_range *pass; /* sorted: MSRs that never exit */
	u32 nr_leaves, nr_msrs, nr_pass;
};

extern const struct policy policy_default;

#endif
