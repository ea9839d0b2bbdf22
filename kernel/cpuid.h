/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID says to a guest: the host's leaves through a table that defaults to deny. Pure. */
#ifndef BULKHEAD_CPUID_H
#define BULKHEAD_CPUID_H

#include "types.h"

struct policy;

#define CPUID_LEAF_TIMING 0x40000010
#define CPUID_NR_BASIC	  0x20 /* leaves that there can be, and with the extended ones */
#define CPUID_NR_ROWS	  (CPUID_NR_BASIC + 9)
#define CPUID_NR_KEPT	  4 /* leaves with subleaves */
#define CPUID_NR_SUBLEAVES 10

struct cpuid_env {
	const struct policy *policy;
	void (*host)(u32 leaf, u32 subleaf, u32 out[4]);
	u32 max_basic, max_extended; /* the host's highest leaves; 0 = ask */
	u32 apic_id, nr_vcpus;
	u64 cr4, xcr0;
	u64 tsc_hz;
	bool has_x2apic;       /* offered to the guest */
	bool has_tsc_deadline; /* offered to the guest */
	u64 apic_base;	       /* CPUID.1:EDX.APIC follows the enable bit */
	u64 xcr0_mask, is_fixed; /* by cpuid_prepare(), as are the next: rows that no state changes; subleaf 0 */
	u32 row[CPUID_NR_ROWS][4];
	u32 subleaf[CPUID_NR_KEPT][CPUID_NR_SUBLEAVES][4];
	u64 kept_xcr0; /* leaf 0xd is of */
};

/** cpuid_prepare() - work out once what hardly changes. All but cr4, xcr0 and apic_base are set, and will stay. */
void cpuid_prepare(struct cpuid_env *env);

/** cpuid_answer() - as cpuid_emulate(), mostly by what cpuid_prepare() knows. @env: cr4, xcr0, apic_base as they are. */
void cpuid_answer(struct cpuid_env *env, u32 leaf, u32 subleaf, u32 out[4]);

/** cpuid_fixed() - the answer to @leaf, if that never changes; else NULL: cpuid_answer() knows. */
static inline const u32 *cpuid_fixed(const struct cpuid_env *env, u32 leaf)
{
	u32 row = leaf < CPUID_NR_BASIC ? leaf : leaf - 0x80000000 + CPUID_NR_BASIC;
	bool has_row = leaf < CPUID_NR_BASIC || leaf - 0x80000000 < CPUID_NR_ROWS - CPUID_NR_BASIC;
	return has_row && env->is_fixed >> row & 1 ? env->row[row] : NULL;
}

/** cpuid_emulate() - @out is EAX, EBX, ECX, EDX. */
void cpuid_emulate(const struct cpuid_env *env, u32 leaf, u32 subleaf, u32 out[4]);

/** cpuid_guest_has() - does @leaf (subleaf 0) show @bit of register @reg (0 = EAX .. 3 = EDX)? */
bool cpuid_guest_has(const struct cpuid_env *env, u32 leaf, u32 reg, u32 bit);

/** cpuid_guest_is_intel() - the vendor, host's and guest's; else it is AMD or a clone. */
bool cpuid_guest_is_intel(const struct cpuid_env *env);

/** cpuid_guest_cr4_mask() - CR4 bits that a guest with this CPUID may set. */
u64 cpuid_guest_cr4_mask(const struct cpuid_env *env);

/** cpuid_guest_xcr0_mask() - XCR0 bits likewise. */
u64 cpuid_guest_xcr0_mask(const struct cpuid_env *env);

/** cpuid_guest_efer_mask() - EFER bits likewise (SCE, LME, LMA, NXE, FFXSR as offered). */
u64 cpuid_guest_efer_mask(const struct cpuid_env *env);

#endif
