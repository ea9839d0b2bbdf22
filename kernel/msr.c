/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What RDMSR and WRMSR do. The policy's table says who has which MSR and of what kind it is; each kind
 * is carried out here. What the table does not name is #GP. Values are checked before anything
 * changes. SDM 4 chapter 2; APM 2 appendix A.
 */
#include "kernel/backend.h"
#include "kernel/msr.h"
#include "kernel/policy.h"
#include "x86/msr.h"
#include "x86/regs.h"

#define MTRR_VALID	   BIT(11) /* in PHYSMASK */
#define MTRR_FIX_ENABLE	   BIT(10) /* in MTRR_DEF_TYPE */
#define MTRR_ENABLE	   BIT(11)
#define PHYS_BITS_MAX	   BITS(51, 12)
#define CHIPSET_BASE	   0xfe000000
#define CHIPSET_MASK	   BITS(51, 25)
#define MEM_UC		   0
#define MEM_WB		   6
#define ALL_BYTES(type)	   ((type) * 0x0101010101010101ull)

#define MISC_FAST_STRINGS BIT(0)
#define MISC_NO_BTS_PEBS  (BIT(11) | BIT(12))
#define MCG_STATUS_BITS	  BITS(2, 0)

/*
 * Memory types as firmware leaves them, or Linux would run without PAT: write-back, but for the VGA
 * window and the chipset's last 32 MiB below 4 GiB. They have no effect: the second level decides.
 */
void msr_state_init(struct msr_state *s)
{
	*s = (struct msr_state){
		.mtrr = { CHIPSET_BASE | MEM_UC, CHIPSET_MASK | MTRR_VALID,
			  [MTRR_FIX64K ... MTRR_FIX16K] = ALL_BYTES(MEM_WB),
			  [MTRR_FIX16K + 1] = ALL_BYTES(MEM_UC), /* A0000 to BFFFF */
			  [MTRR_FIX4K ... MTRR_DEF_TYPE - 1] = ALL_BYTES(MEM_WB),
			  [MTRR_DEF_TYPE] = MTRR_ENABLE | MTRR_FIX_ENABLE | MEM_WB },
		.misc_enable = MISC_FAST_STRINGS | MISC_NO_BTS_PEBS,
	};
}

static u64 tsc_now(const struct msr_env *env)
{
	return env->tsc() + backend_get(env->v, VREG_TSC_OFFSET);
}

/* TSC and TSC_ADJUST move together (SDM 3B 18.17.3 "Time-Stamp Counter Adjustment") */
static bool tsc_move(const struct msr_env *env, u64 delta)
{
	struct vcpu *v = env->v;
	backend_set(v, VREG_TSC_OFFSET, backend_get(v, VREG_TSC_OFFSET) + delta);
	env->state->tsc_adjust += delta;
	vlapic_catch_up(env->apic); /* an armed TSC deadline has moved */
	kvmclock_publish(v, &env->state->clock);
	return true;
}

/* Stores @value if it differs from what is there in bits of @writable only */
static bool write_bits(u64 *cell, u64 writable, u64 value)
{
	if ((*cell ^ value) & ~writable) {
		return false;
	}
	*cell = value;
	return true;
}

/* All eight bytes are memory types among those of @allowed, a set of bits */
static bool are_types(u64 value, u32 allowed)
{
	for (u32 i = 0; i < 64; i += 8) {
		u64 type = value >> i & 0xff;
		if (type > 7 || !(allowed >> type & 1)) {
			return false;
		}
	}
	return true;
}

#define MTRR_TYPES 0x73 /* UC WC WT WP WB: SDM 3A 12.11, table 12-8 */
#define PAT_TYPES  0xf3 /* and UC-: SDM 3A 12.12.2, table 12-10 */

/* Bits of @cell that can be set at all; base and mask reach as far as physical addresses do */
static u64 mtrr_bits(const struct msr_env *env, u64 cell)
{
	u32 r[4];
	if (cell >= MTRR_FIX64K) {
		return cell == MTRR_DEF_TYPE ? MTRR_ENABLE | MTRR_FIX_ENABLE | 0xff : ~0ull;
	}
	cpuid_emulate(env->cpuid, 0x80000008, 0, r);
	u32 phys_bits = r[0] & 0xff ? MIN(r[0] & 0xff, 52u) : 36;
	return (PHYS_BITS_MAX & (BIT(phys_bits) - 1)) | (cell & 1 ? MTRR_VALID : 0xff);
}

static bool mtrr_write(const struct msr_env *env, u64 cell, u64 value)
{
	bool is_mask = cell < MTRR_FIX64K && cell & 1, is_fixed = cell >= MTRR_FIX64K && cell < MTRR_DEF_TYPE;
	u64 types = is_mask ? MEM_UC : is_fixed ? value : value & 0xff;
	if ((value & ~mtrr_bits(env, cell)) || !are_types(types, MTRR_TYPES)) {
		return false;
	}
	env->state->mtrr[cell] = value;
	return true;
}

static bool pat_write(struct vcpu *v, u64 value)
{
	if (!are_types(value, PAT_TYPES)) {
		return false;
	}
	backend_set(v, VREG_PAT, value);
	return true;
}

/* SDM 3A 2.2.1, 4.1.2: LME is fixed while paging; LMA is the CPU's own, a write leaves it */
static bool efer_write(const struct msr_env *env, u64 value)
{
	struct vcpu *v = env->v;
	u64 old = backend_get(v, VREG_EFER);
	bool is_paging = backend_get(v, VREG_CR0) & CR0_PG;
	if ((value & ~cpuid_guest_efer_mask(env->cpuid)) ||
	    (is_paging && ((value ^ old) & EFER_LME))) {
		return false;
	}
	backend_set(v, VREG_EFER, (value & ~EFER_LMA) | (old & EFER_LMA));
	return true;
}

static bool has(const struct msr_env *env, enum msr_owner owner)
{
	switch (owner) {
	case MSR_OF_INTEL: return cpuid_guest_is_intel(env->cpuid);
	case MSR_OF_AMD: return !cpuid_guest_is_intel(env->cpuid);
	case MSR_IF_TSC_ADJUST: return cpuid_guest_has(env->cpuid, 7, 1, 1);
	case MSR_IF_DEADLINE: return env->cpuid->has_tsc_deadline;
	default: return true;
	}
}

static cold const struct msr_row *search(const struct msr_env *env, u32 msr)
{
	const struct policy *p = env->cpuid->policy;
	for (u32 i = 0; i < p->nr_msrs; i++) {
		const struct msr_row *r = &p->msr[i];
		if (msr >= r->first && msr <= r->last && has(env, r->owner)) {
			return r;
		}
	}
	return NULL;
}

/* Who has which MSR never changes */
static inline const struct msr_row *find(const struct msr_env *env, u32 msr)
{
	u32 i = (msr ^ msr >> 4) % NR_MSR_ROWS;
	if (env->state->found[i].msr != msr || !env->state->found[i].row) {
		env->state->found[i].msr = msr;
		env->state->found[i].row = search(env, msr);
	}
	return env->state->found[i].row;
}

/* In x2APIC mode the most used; which of them there are is the local APIC's to know */
static const struct msr_row x2apic_row = { MSR_X2APIC_FIRST, MSR_X2APIC_LAST, MSR_ANY, MSR_IS_APIC, 0 };

bool msr_read(const struct msr_env *env, u32 msr, u64 *value)
{
	const struct msr_row *r = msr_is_x2apic(msr) ? &x2apic_row : find(env, msr);
	struct vcpu *v = env->v;
	*value = r ? r->value : 0;
	if (!r) {
		return false;
	}
	if (r->kind == MSR_IS_APIC) {
		return vlapic_rdmsr(env->apic, msr, value);
	}
	u64 cell = r->value + msr - r->first;
	switch (r->kind) {
	case MSR_IS_APIC:
	case MSR_IS_CONSTANT:
	case MSR_IS_IGNORE: break;
	case MSR_IS_TSC: *value = tsc_now(env); break;
	case MSR_IS_TSC_ADJUST: *value = env->state->tsc_adjust; break;
	case MSR_IS_MISC: *value = env->state->misc_enable; break;
	case MSR_IS_MCG: *value = env->state->mcg_status; break;
	case MSR_IS_MTRR: *value = env->state->mtrr[cell] & mtrr_bits(env, cell); break;
	case MSR_IS_PAT: *value = backend_get(v, VREG_PAT); break;
	case MSR_IS_EFER: *value = backend_get(v, VREG_EFER); break;
	case MSR_IS_KVMCLOCK: *value = env->state->clock.msr[cell]; break;
	}
	return true;
}

bool msr_write(const struct msr_env *env, u32 msr, u64 value)
{
	const struct msr_row *r = msr_is_x2apic(msr) ? &x2apic_row : find(env, msr);
	struct msr_state *s = env->state;
	if (!r) {
		return false;
	}
	if (r->kind == MSR_IS_APIC) {
		return vlapic_wrmsr(env->apic, msr, value);
	}
	switch (r->kind) {
	case MSR_IS_APIC:
	case MSR_IS_CONSTANT: return false;
	case MSR_IS_IGNORE: return true;
	case MSR_IS_TSC: return tsc_move(env, value - tsc_now(env));
	case MSR_IS_TSC_ADJUST: return tsc_move(env, value - s->tsc_adjust);
	case MSR_IS_MISC: return write_bits(&s->misc_enable, MISC_FAST_STRINGS, value);
	case MSR_IS_MCG: return write_bits(&s->mcg_status, MCG_STATUS_BITS, value);
	case MSR_IS_MTRR: return mtrr_write(env, r->value + msr - r->first, value);
	case MSR_IS_PAT: return pat_write(env->v, value);
	case MSR_IS_EFER: return efer_write(env, value);
	case MSR_IS_KVMCLOCK: return kvmclock_write(env->v, &s->clock, msr, value);
	}
	return false;
}
