/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID says to a guest. The policy's table names every bit of the host that passes; the rest
 * reads zero, as does every leaf it does not name. Fix-ups then add what the virtual CPU has of its own:
 * topology, timers, XSAVE sizes. Called at CPUID exits and by the MSR and CR policies.
 * SDM 2A 3.3 "CPUID"; APM 3 appendix E.
 */
#include "kernel/cpuid.h"
#include "abi/hypercall.h"
#include "kernel/kvmclock.h"
#include "kernel/policy.h"
#include "lib/lib.h"
#include "x86/regs.h"

enum { EAX, EBX, ECX, EDX };

#define APIC_BASE_EN	BIT(11)
#define LAPIC_KHZ	1000000 /* devices/vlapic.h: one tick a nanosecond */
#define MAX_BASIC	(CPUID_NR_BASIC - 1)
#define MAX_EXTENDED	(0x80000000 + CPUID_NR_ROWS - CPUID_NR_BASIC - 1)
/* Leaves with subleaves, or that tell of CR4, XCR0 or APIC_BASE as they are now */
#define CHANGING (BIT(1) | BIT(4) | BIT(7) | BIT(0xb) | BIT(0xd) | BIT(0x1f) | BIT(CPUID_NR_BASIC + 1))
#define VENDOR_INTEL	0x756e6547 /* "Genu" in EBX of leaf 0 */
#define XSAVE_LEGACY	576	   /* FXSAVE area and XSAVE header */
#define XCR0_AVX512	(XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)
#define XCR0_GUEST_MASK (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512 | XCR0_PKRU)
#define XCR0_LAST	9
#define EMULATED_EDX	(BIT(7) | BIT(12) | BIT(14) | BIT(16)) /* MCE MTRR MCA PAT: msr.c */

static u32 host_limit(const struct cpuid_env *env, u32 leaf, u32 known)
{
	u32 r[4] = { known };
	if (!known) {
		env->host(leaf, 0, r);
	}
	return r[EAX];
}

/* Highest leaf the guest has in the range of @leaf; ranges start at 0, 4000_0000 and 8000_0000 */
static u32 limit(const struct cpuid_env *env, u32 leaf)
{
	switch (leaf >> 28) {
	case 0: return MIN(host_limit(env, 0, env->max_basic), (u32)MAX_BASIC);
	case 4: return leaf < KVM_CPUID_BASE ? CPUID_LEAF_TIMING : KVM_CPUID_FEATURES;
	case 8: return MIN(host_limit(env, 0x80000000, env->max_extended), MAX_EXTENDED);
	default: return 0;
	}
}

/* Bits of an APIC ID that tell this partition's CPUs apart */
static u32 id_bits(const struct cpuid_env *env)
{
	return env->nr_vcpus < 2 ? 0 : 32 - (u32)__builtin_clz(env->nr_vcpus - 1);
}

static void set_bit_if(u32 *reg, u32 bit, bool is_on)
{
	*reg = is_on ? *reg | 1u << bit : *reg & ~(1u << bit);
}

static void fix_features(const struct cpuid_env *env, u32 out[4])
{
	out[EBX] |= (env->apic_id & 0xff) << 24 | (env->nr_vcpus & 0xff) << 16;
	set_bit_if(&out[ECX], 21, env->has_x2apic);
	set_bit_if(&out[ECX], 24, env->has_tsc_deadline);
	set_bit_if(&out[ECX], 31, true); /* reserved for hypervisors by both vendors: APM 3 E.3.2 */
	out[EDX] |= EMULATED_EDX;
	set_bit_if(&out[EDX], 28, env->nr_vcpus > 1);
}

/* Intel's caches: no core shares its L1 and L2, all share L3; all cores in one package */
static void fix_caches(const struct cpuid_env *env, u32 out[4])
{
	u32 nr_ids = 1u << id_bits(env), level = (u32)field_get(BITS(7, 5), out[EAX]);
	if (out[EAX] & 0x1f) {
		out[EAX] |= (nr_ids - 1) << 26 | (level >= 3 ? (nr_ids - 1) << 14 : 0);
	}
}

/* EAX = 0: no further subleaves */
static void fix_extended_features(u32 subleaf, u32 out[4])
{
	if (subleaf) {
		memset(out, 0, 16);
	}
}

/* One thread per core, all cores in one package. SDM 2A "INPUT EAX = 0BH", "1FH" */
static void fix_topology(const struct cpuid_env *env, u32 subleaf, u32 out[4])
{
	enum { LEVEL_NONE, LEVEL_SMT, LEVEL_CORE };
	u32 level = subleaf < 2 ? subleaf + LEVEL_SMT : LEVEL_NONE;
	out[EAX] = level == LEVEL_CORE ? id_bits(env) : 0;
	out[EBX] = level == LEVEL_CORE ? env->nr_vcpus : level;
	out[ECX] = level << 8 | (subleaf & 0xff);
	out[EDX] = env->apic_id;
}

u64 cpuid_guest_xcr0_mask(const struct cpuid_env *env)
{
	u32 r[4];
	env->host(1, 0, r);
	if (!(r[ECX] & BIT(26)) || limit(env, 0xd) < 0xd) {
		return 0;
	}
	env->host(0xd, 0, r);
	return r[EAX] & XCR0_GUEST_MASK;
}

/* SDM 1 13.4.2, 13.4.3: standard offsets are fixed, compacted ones follow each other */
static u32 xsave_size(const struct cpuid_env *env, u64 xcr0, bool is_compacted)
{
	u32 size = XSAVE_LEGACY, r[4];
	for (u32 i = 2; i <= XCR0_LAST; i++) {
		if (xcr0 & BIT(i)) {
			env->host(0xd, i, r);
			u32 next = r[ECX] & BIT(1) ? ALIGN_UP(size, 64u) : size;
			size = is_compacted ? next + r[EAX] : MAX(size, r[EBX] + r[EAX]);
		}
	}
	return size;
}

static void fix_xsave(const struct cpuid_env *env, u32 subleaf, u32 out[4])
{
	u64 mask = cpuid_guest_xcr0_mask(env);
	if (!mask || (subleaf > 1 && (subleaf > XCR0_LAST || !(mask & BIT(subleaf))))) {
		memset(out, 0, 16);
	} else if (subleaf == 0) {
		out[EAX] = (u32)mask;
		out[EBX] = xsave_size(env, env->xcr0 & mask, false);
		out[ECX] = xsave_size(env, mask, false);
		out[EDX] = 0;
	} else if (subleaf == 1) {
		out[EAX] &= BITS(2, 0); /* XSAVEOPT, XSAVEC, XGETBV(1); not XSAVES, XFD */
		out[EBX] = out[EAX] & BIT(1) ? xsave_size(env, env->xcr0 & mask, true) : 0;
		out[ECX] = out[EDX] = 0;
	} else {
		out[ECX] &= BIT(1); /* a user component, maybe aligned; XFD is not offered */
		out[EDX] = 0;
	}
}

bool cpuid_guest_is_intel(const struct cpuid_env *env)
{
	u32 r[4];
	env->host(0, 0, r);
	return r[EBX] == VENDOR_INTEL;
}

/* AMD repeats the APIC bit, and says by CmpLegacy that HTT counts cores, not threads */
static void fix_ext_features(const struct cpuid_env *env, u32 out[4])
{
	if (!cpuid_guest_is_intel(env)) {
		out[EDX] |= EMULATED_EDX;
		set_bit_if(&out[ECX], 1, env->nr_vcpus > 1);
	}
}

/* Four-level paging only: 48 linear bits. ECX is AMD's: number of cores less one, their ID bits */
static void fix_sizes(const struct cpuid_env *env, u32 out[4])
{
	u32 linear = MIN(out[EAX] >> 8 & 0xff, 48u);
	out[EAX] = linear << 8 | (out[EAX] & 0xff);
	out[ECX] = cpuid_guest_is_intel(env) ? 0 : id_bits(env) << 12 | (env->nr_vcpus - 1);
}

/* What changes as the guest writes CR4 and APIC_BASE; AMD has the APIC bit twice */
static void show_state(const struct cpuid_env *env, u32 leaf, u32 out[4])
{
	bool has_apic = env->apic_base & APIC_BASE_EN;
	if (leaf == 0x1) {
		set_bit_if(&out[ECX], 27, out[ECX] & BIT(26) && env->cr4 & CR4_OSXSAVE); /* OSXSAVE */
		set_bit_if(&out[EDX], 9, has_apic);
	} else if (leaf == 0x7) {
		set_bit_if(&out[ECX], 4, out[ECX] & BIT(3) && env->cr4 & CR4_PKE); /* OSPKE */
	} else if (leaf == 0x80000001) {
		set_bit_if(&out[EDX], 9, out[EDX] & BIT(9) && has_apic);
	}
}

/* What the virtual CPU has of its own, on top of the bits that passed */
static void fix(const struct cpuid_env *env, u32 leaf, u32 subleaf, u32 out[4])
{
	switch (leaf) {
	case 0x0:
	case 0x80000000: out[EAX] = limit(env, leaf); break;
	case 0x1: fix_features(env, out); break;
	case 0x4: fix_caches(env, out); break;
	case 0x6: out[EAX] = BIT(2); break; /* ARAT: the virtual APIC timer never stops */
	case 0x7: fix_extended_features(subleaf, out); break;
	case 0xb:
	case 0x1f: fix_topology(env, subleaf, out); break;
	case 0xd: fix_xsave(env, subleaf, out); break;
	case BULKHEAD_CPUID_BASE:
		out[EAX] = CPUID_LEAF_TIMING;
		out[EBX] = BULKHEAD_CPUID_EBX;
		out[ECX] = BULKHEAD_CPUID_ECX;
		out[EDX] = BULKHEAD_CPUID_EDX;
		break;
	case CPUID_LEAF_TIMING: /* TSC and APIC bus in kHz: VMware's convention, which KVM took over */
		out[EAX] = (u32)(env->tsc_hz / 1000);
		out[EBX] = LAPIC_KHZ;
		break;
	case KVM_CPUID_BASE:
		out[EAX] = KVM_CPUID_FEATURES;
		out[EBX] = KVM_CPUID_EBX;
		out[ECX] = KVM_CPUID_ECX;
		out[EDX] = KVM_CPUID_EDX;
		break;
	case KVM_CPUID_FEATURES:
		out[EAX] = KVM_NOP_IO_DELAY | KVM_CLOCKSOURCE2 | KVM_CLOCK_STABLE;
		break;
	case 0x80000001: fix_ext_features(env, out); break;
	case 0x80000008: fix_sizes(env, out); break;
	default: break;
	}
}

static void look_up(const struct cpuid_env *env, u32 leaf, u32 subleaf, u32 out[4])
{
	memset(out, 0, 16);
	if (leaf > limit(env, leaf)) {
		return;
	}
	for (u32 i = 0; i < env->policy->nr_leaves; i++) {
		const struct cpuid_row *row = &env->policy->leaf[i];
		if (leaf >= row->first && leaf <= row->last) {
			env->host(leaf, subleaf, out);
			for (u32 r = 0; r < 4; r++) {
				out[r] &= row->mask[r];
			}
			fix(env, leaf, subleaf, out);
			return;
		}
	}
}

/* Leaves whose subleaves are kept, and where */
static s32 kept(u32 leaf)
{
	static const u32 leaves[CPUID_NR_KEPT] = { 0x4, 0xb, 0x1f, 0xd };
	for (u32 i = 0; i < CPUID_NR_KEPT; i++) {
		if (leaves[i] == leaf) {
			return (s32)i;
		}
	}
	return -1;
}

static void keep(struct cpuid_env *env, u32 leaf)
{
	for (u32 i = 0; i < CPUID_NR_SUBLEAVES; i++) {
		look_up(env, leaf, i, env->subleaf[kept(leaf)][i]);
	}
}

void cpuid_emulate(const struct cpuid_env *env, u32 leaf, u32 subleaf, u32 out[4])
{
	look_up(env, leaf, subleaf, out);
	show_state(env, leaf, out);
}

void cpuid_answer(struct cpuid_env *env, u32 leaf, u32 subleaf, u32 out[4])
{
	u32 row = leaf < CPUID_NR_BASIC ? leaf : leaf - 0x80000000 + CPUID_NR_BASIC;
	bool has_row = row < CPUID_NR_ROWS && (leaf < CPUID_NR_BASIC || leaf >> 31);
	s32 i = kept(leaf);
	if (leaf == 0xd && env->xcr0 != env->kept_xcr0) {
		env->kept_xcr0 = env->xcr0;
		keep(env, leaf);
	}
	if (i >= 0 && subleaf < CPUID_NR_SUBLEAVES) {
		memcpy(out, env->subleaf[i][subleaf], 16);
	} else if (i < 0 && has_row && !(leaf == 0x7 && subleaf)) {
		memcpy(out, env->row[row], 16);
		show_state(env, leaf, out);
	} else {
		cpuid_emulate(env, leaf, subleaf, out);
	}
}

void cpuid_prepare(struct cpuid_env *env)
{
	env->xcr0_mask = cpuid_guest_xcr0_mask(env);
	env->is_fixed = 0;
	for (u32 i = 0; i < CPUID_NR_ROWS; i++) {
		u32 leaf = i < CPUID_NR_BASIC ? i : 0x80000000 + i - CPUID_NR_BASIC;
		look_up(env, leaf, 0, env->row[i]);
		env->is_fixed |= CHANGING >> i & 1 ? 0 : BIT(i);
	}
	env->kept_xcr0 = env->xcr0;
	keep(env, 0x4);
	keep(env, 0xb);
	keep(env, 0x1f);
	keep(env, 0xd);
}

bool cpuid_guest_has(const struct cpuid_env *env, u32 leaf, u32 reg, u32 bit)
{
	u32 r[4];
	cpuid_emulate(env, leaf, 0, r);
	return r[reg] >> bit & 1;
}

/* Register bits that exist only if CPUID shows a feature; sorted by leaf: each is asked once */
struct gate {
	u64 bits;
	u32 leaf, reg, bit;
};

static u64 gated_bits(const struct cpuid_env *env, const struct gate *gates, u32 nr)
{
	u64 bits = 0;
	u32 r[4];
	for (u32 i = 0; i < nr; i++) {
		if (i == 0 || gates[i].leaf != gates[i - 1].leaf) {
			cpuid_emulate(env, gates[i].leaf, 0, r);
		}
		bits |= r[gates[i].reg] >> gates[i].bit & 1 ? gates[i].bits : 0;
	}
	return bits;
}

/* SDM 3A 2.5 "Control Registers". PCE has no CPUID bit. */
u64 cpuid_guest_cr4_mask(const struct cpuid_env *env)
{
	static const struct gate gates[] = {
		{ CR4_VME | CR4_PVI, 1, EDX, 1 }, { CR4_DE, 1, EDX, 2 },
		{ CR4_PSE, 1, EDX, 3 },		  { CR4_TSD, 1, EDX, 4 },
		{ CR4_PAE, 1, EDX, 6 },		  { CR4_MCE, 1, EDX, 7 },
		{ CR4_PGE, 1, EDX, 13 },	  { CR4_OSFXSR, 1, EDX, 24 },
		{ CR4_OSXMMEXCPT, 1, EDX, 25 },	  { CR4_PCIDE, 1, ECX, 17 },
		{ CR4_OSXSAVE, 1, ECX, 26 },	  { CR4_FSGSBASE, 7, EBX, 0 },
		{ CR4_SMEP, 7, EBX, 7 },	  { CR4_SMAP, 7, EBX, 20 },
		{ CR4_UMIP, 7, ECX, 2 },	  { CR4_PKE, 7, ECX, 3 },
	};
	return CR4_PCE | gated_bits(env, gates, ARRAY_SIZE(gates));
}

u64 cpuid_guest_efer_mask(const struct cpuid_env *env)
{
	static const struct gate gates[] = {
		{ EFER_SCE, 0x80000001, EDX, 11 },
		{ EFER_NXE, 0x80000001, EDX, 20 },
		{ EFER_FFXSR, 0x80000001, EDX, 25 },
		{ EFER_LME | EFER_LMA, 0x80000001, EDX, 29 },
	};
	return gated_bits(env, gates, ARRAY_SIZE(gates));
}
