/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What RDMSR and WRMSR do. Two tables, each sorted: MSRs that never exit, because entry, exit or
 * vcpu_ops.load switch them; and MSRs that do, with what they hold. What neither names is #GP.
 * Values are checked before anything changes. SDM 4 chapter 2; APM 2 appendix A.
 */
#include "kernel/msr.h"
#include "x86/msr.h"
#include "x86/regs.h"

#define RW (MSR_PASS_READ | MSR_PASS_WRITE)

/* The CPU itself refuses non-canonical bases here, and TSC_AUX where there is no RDTSCP */
static const struct msr_range pass[] = {
	{ MSR_SYSENTER_CS, MSR_SYSENTER_EIP, RW },
	{ MSR_STAR, MSR_SFMASK, RW },
	{ MSR_FS_BASE, MSR_TSC_AUX, RW },
};

const struct msr_range *msr_pass_table(u32 *nr)
{
	*nr = ARRAY_SIZE(pass);
	return pass;
}

#define NR_VARIABLE	   8
#define MTRRCAP_VALUE	   (NR_VARIABLE | BIT(8) /* fixed ranges */ | BIT(10) /* WC */)
#define MTRR_PHYS_LAST	   (MSR_MTRR_PHYSBASE0 + 2 * NR_VARIABLE - 1)
#define MTRR_VALID	   BIT(11) /* in PHYSMASK */
#define MTRR_FIX_ENABLE	   BIT(10) /* in DEF_TYPE */
#define MTRR_ENABLE	   BIT(11)
#define PHYS_BITS_MAX	   BITS(51, 12)
#define CHIPSET_BASE	   0xfe000000
#define CHIPSET_MASK	   BITS(51, 25)
#define MEM_UC		   0
#define MEM_WB		   6
#define ALL_BYTES(type)	   ((type) * 0x0101010101010101ull)

/* Where msr_state.mtrr has them */
enum { VARIABLE = 0, FIX64K = 2 * NR_VARIABLE, FIX16K, FIX4K = FIX16K + 2, DEF_TYPE = FIX4K + 8 };

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
			  [FIX64K ... FIX16K] = ALL_BYTES(MEM_WB),
			  [FIX16K + 1] = ALL_BYTES(MEM_UC), /* A0000 to BFFFF */
			  [FIX4K ... DEF_TYPE - 1] = ALL_BYTES(MEM_WB),
			  [DEF_TYPE] = MTRR_ENABLE | MTRR_FIX_ENABLE | MEM_WB },
		.misc_enable = MISC_FAST_STRINGS | MISC_NO_BTS_PEBS,
	};
}

static u64 tsc_now(const struct msr_env *env)
{
	return env->host_tsc + env->v->ops->get(env->v, VREG_TSC_OFFSET);
}

/* TSC and TSC_ADJUST move together (SDM 3B 18.17.3 "Time-Stamp Counter Adjustment") */
static bool tsc_move(const struct msr_env *env, u64 delta)
{
	struct vcpu *v = env->v;
	v->ops->set(v, VREG_TSC_OFFSET, v->ops->get(v, VREG_TSC_OFFSET) + delta);
	env->state->tsc_adjust += delta;
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
	if (cell >= FIX64K) {
		return cell == DEF_TYPE ? MTRR_ENABLE | MTRR_FIX_ENABLE | 0xff : ~0ull;
	}
	cpuid_emulate(env->cpuid, 0x80000008, 0, r);
	u32 phys_bits = r[0] & 0xff ? MIN(r[0] & 0xff, 52u) : 36;
	return (PHYS_BITS_MAX & (BIT(phys_bits) - 1)) | (cell & 1 ? MTRR_VALID : 0xff);
}

static bool mtrr_write(const struct msr_env *env, u64 cell, u64 value)
{
	bool is_mask = cell < FIX64K && cell & 1, is_fixed = cell >= FIX64K && cell < DEF_TYPE;
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
	v->ops->set(v, VREG_PAT, value);
	return true;
}

/* SDM 3A 2.2.1, 4.1.2: LME is fixed while paging; LMA is the CPU's own, a write leaves it */
static bool efer_write(const struct msr_env *env, u64 value)
{
	struct vcpu *v = env->v;
	u64 old = v->ops->get(v, VREG_EFER);
	bool is_paging = v->ops->get(v, VREG_CR0) & CR0_PG;
	if ((value & ~cpuid_guest_efer_mask(env->cpuid)) ||
	    (is_paging && ((value ^ old) & EFER_LME))) {
		return false;
	}
	v->ops->set(v, VREG_EFER, (value & ~EFER_LMA) | (old & EFER_LMA));
	return true;
}

/* Who has this MSR */
enum owner { ANY, INTEL, AMD, IF_TSC_ADJUST, IF_DEADLINE };

/* CONSTANT refuses writes, IGNORE drops them; the others have a case each in read and write */
enum kind { CONSTANT, IGNORE, TSC, TSC_ADJUST, APIC, MISC, MCG, MTRR, PAT, EFER, KVMCLOCK };

static const struct row {
	u32 first, last;
	enum owner owner;
	enum kind kind;
	u64 value; /* CONSTANT, IGNORE; MTRR: where the first is */
} rows[] = {
	{ MSR_P5_MC_ADDR, MSR_P5_MC_TYPE, ANY, IGNORE, 0 },
	{ MSR_TSC, MSR_TSC, ANY, TSC, 0 },
	{ MSR_PLATFORM_ID, MSR_PLATFORM_ID, ANY, CONSTANT, 0 },
	{ MSR_APIC_BASE, MSR_APIC_BASE, ANY, APIC, 0 },
	{ MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, INTEL, CONSTANT, BIT(0) }, /* locked, no VMX */
	{ MSR_TSC_ADJUST, MSR_TSC_ADJUST, IF_TSC_ADJUST, TSC_ADJUST, 0 },
	/* microcode revision: Intel has it in the upper half; drivers write 0 before they read */
	{ MSR_BIOS_SIGN_ID, MSR_BIOS_SIGN_ID, INTEL, IGNORE, BIT(32) },
	{ MSR_BIOS_SIGN_ID, MSR_BIOS_SIGN_ID, AMD, IGNORE, 0x01000065 },
	{ 0xc1, 0xc2, INTEL, IGNORE, 0 },   /* PERFCTR0, 1: no counters, but no #GP */
	{ 0xcd, 0xce, INTEL, CONSTANT, 0 }, /* FSB_FREQ, PLATFORM_INFO: no rate told */
	{ MSR_MTRRCAP, MSR_MTRRCAP, ANY, CONSTANT, MTRRCAP_VALUE },
	{ MSR_MCG_CAP, MSR_MCG_CAP, ANY, CONSTANT, 0 }, /* no banks */
	{ MSR_MCG_STATUS, MSR_MCG_STATUS, ANY, MCG, 0 },
	{ 0x186, 0x187, INTEL, IGNORE, 0 },   /* EVNTSEL0, 1 */
	{ 0x198, 0x198, INTEL, CONSTANT, 0 }, /* PERF_STATUS: kernels for Atom ask for the rate */
	{ MSR_MISC_ENABLE, MSR_MISC_ENABLE, INTEL, MISC, 0 },
	{ MSR_DEBUGCTL, MSR_DEBUGCTL, ANY, IGNORE, 0 },
	{ MSR_MTRR_PHYSBASE0, MTRR_PHYS_LAST, ANY, MTRR, VARIABLE },
	{ MSR_MTRR_FIX64K_00000, MSR_MTRR_FIX64K_00000, ANY, MTRR, FIX64K },
	{ MSR_MTRR_FIX16K_80000, MSR_MTRR_FIX16K_A0000, ANY, MTRR, FIX16K },
	{ MSR_MTRR_FIX4K_C0000, MSR_MTRR_FIX4K_F8000, ANY, MTRR, FIX4K },
	{ MSR_PAT, MSR_PAT, ANY, PAT, 0 },
	{ MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, ANY, MTRR, DEF_TYPE },
	{ MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, IF_DEADLINE, APIC, 0 },
	{ MSR_X2APIC_FIRST, MSR_X2APIC_LAST, ANY, APIC, 0 },
	{ MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, ANY, KVMCLOCK, 0 },
	{ MSR_EFER, MSR_EFER, ANY, EFER, 0 },
	{ 0xc0010000, 0xc0010007, AMD, IGNORE, 0 }, /* PERFEVTSEL, PERFCTR 0 to 3 */
	{ MSR_AMD_SYSCFG, MSR_AMD_SYSCFG, AMD, IGNORE, 0 },
	/* TscFreqSel: the TSC counts at the P0 rate; without it Linux complains of the firmware */
	{ MSR_AMD_HWCR, MSR_AMD_HWCR, AMD, IGNORE, BIT(24) },
	{ MSR_AMD_NB_CFG, 0xc0010020, AMD, IGNORE, 0 }, /* and PATCH_LOADER: no microcode */
	{ 0xc0010055, 0xc0010055, AMD, IGNORE, 0 }, /* INT_PENDING: no C1E */
	{ 0xc0010058, 0xc0010058, AMD, IGNORE, 0 }, /* MMIO_CONF_BASE: off */
	{ MSR_AMD_VM_CR, MSR_AMD_VM_CR, AMD, CONSTANT, BIT(3) | BIT(4) }, /* SVM off, locked */
	{ MSR_AMD_DE_CFG, MSR_AMD_DE_CFG, AMD, IGNORE, BIT(1) },	  /* LFENCE serializes */
};

static bool has(const struct msr_env *env, enum owner owner)
{
	switch (owner) {
	case INTEL: return cpuid_guest_is_intel(env->cpuid);
	case AMD: return !cpuid_guest_is_intel(env->cpuid);
	case IF_TSC_ADJUST: return cpuid_guest_has(env->cpuid, 7, 1, 1);
	case IF_DEADLINE: return env->cpuid->has_tsc_deadline;
	default: return true;
	}
}

static const struct row *find(const struct msr_env *env, u32 msr)
{
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		if (msr >= rows[i].first && msr <= rows[i].last && has(env, rows[i].owner)) {
			return &rows[i];
		}
	}
	return NULL;
}

bool msr_read(const struct msr_env *env, u32 msr, u64 *value)
{
	const struct row *r = find(env, msr);
	struct vcpu *v = env->v;
	*value = r ? r->value : 0;
	if (!r) {
		return false;
	}
	u64 cell = r->value + msr - r->first;
	switch (r->kind) {
	case CONSTANT:
	case IGNORE: break;
	case TSC: *value = tsc_now(env); break;
	case TSC_ADJUST: *value = env->state->tsc_adjust; break;
	case APIC: return vlapic_rdmsr(env->apic, msr, value);
	case MISC: *value = env->state->misc_enable; break;
	case MCG: *value = env->state->mcg_status; break;
	case MTRR: *value = env->state->mtrr[cell] & mtrr_bits(env, cell); break;
	case PAT: *value = v->ops->get(v, VREG_PAT); break;
	case EFER: *value = v->ops->get(v, VREG_EFER); break;
	case KVMCLOCK: *value = env->state->clock.msr[cell]; break;
	}
	return true;
}

bool msr_write(const struct msr_env *env, u32 msr, u64 value)
{
	const struct row *r = find(env, msr);
	struct msr_state *s = env->state;
	if (!r) {
		return false;
	}
	switch (r->kind) {
	case CONSTANT: return false;
	case IGNORE: return true;
	case TSC: return tsc_move(env, value - tsc_now(env));
	case TSC_ADJUST: return tsc_move(env, value - s->tsc_adjust);
	case APIC: return vlapic_wrmsr(env->apic, msr, value);
	case MISC: return write_bits(&s->misc_enable, MISC_FAST_STRINGS, value);
	case MCG: return write_bits(&s->mcg_status, MCG_STATUS_BITS, value);
	case MTRR: return mtrr_write(env, r->value + msr - r->first, value);
	case PAT: return pat_write(env->v, value);
	case EFER: return efer_write(env, value);
	case KVMCLOCK: return kvmclock_write(env->v, &s->clock, msr, value);
	}
	return false;
}
