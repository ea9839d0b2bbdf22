/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What RDMSR and WRMSR do: the policy's table, default deny (#GP). Pure: registers by vcpu->ops,
 * APIC by vlapic.
 */
#ifndef BULKHEAD_MSR_H
#define BULKHEAD_MSR_H

#include "cpuid.h"
#include "devices/vlapic.h"
#include "kvmclock.h"
#include "policy.h"
#include "vcpu.h"
#include "x86/msr.h"

/* MSR contents that live nowhere else; one per vCPU. @found: rows of the policy's table, lately */
#define NR_MSR_ROWS 16
struct msr_state {
	u64 tsc_adjust, misc_enable, mcg_status;
	u64 mtrr[NR_MTRR_CELLS];
	struct kvmclock clock;
	struct {
		u32 msr;
		const struct msr_row *row;
	} found[NR_MSR_ROWS];
};

struct msr_env {
	struct vcpu *v;
	struct msr_state *state;
	struct vlapic *apic;
	const struct cpuid_env *cpuid;
	u64 (*tsc)(void);
};

void msr_state_init(struct msr_state *s);

/** msr_is_x2apic() - is it of the local APIC in x2APIC mode? vlapic_rdmsr() and vlapic_wrmsr() know which there are. */
static inline bool msr_is_x2apic(u32 msr)
{
	return msr - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST;
}

/** msr_read(), msr_write() - Return: false = #GP(0). */
bool must_check msr_read(const struct msr_env *env, u32 msr, u64 *value);
bool must_check msr_write(const struct msr_env *env, u32 msr, u64 value);

#endif
