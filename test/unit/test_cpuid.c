// SPDX-License-Identifier: BSD-2-Clause
/* What guests are told: a host that claims everything, and plausible Intel and AMD machines. */
#include "kernel/cpuid.h"
#include "kernel/policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "x86/regs.h"

enum { A, B, C, D };

struct row {
	u32 leaf, subleaf, r[4];
};

#define NO_SUB 0xffffffff
#define XSAVE_ROWS                                                              \
	{ 0xd, 0, { 0x602ff, 0x340, 0xa88, 0 } }, { 0xd, 1, { 0x1f, 0xa88, 0, 0 } }, \
	{ 0xd, 2, { 0x100, 0x240, 0, 0 } }, { 0xd, 3, { 0x40, 0x3c0, 0, 0 } },       \
	{ 0xd, 5, { 0x40, 0x440, 0, 0 } }, { 0xd, 6, { 0x200, 0x480, 0, 0 } },       \
	{ 0xd, 7, { 0x400, 0x680, 0, 0 } }, { 0xd, 9, { 8, 0xa80, 0, 0 } },          \
	{ 0xd, 17, { 0x40, 0xac0, 2, 0 } }, { 0xd, 18, { 0x2000, 0xb00, 6, 0 } }

static const struct row intel[] = {
	{ 0, NO_SUB, { 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69 } },
	{ 1, NO_SUB, { 0x50654, 0x77400800, 0xffffffff, 0xbfebfbff } },
	{ 2, NO_SUB, { 0x76036301, 0xf0b5ff, 0, 0xc30000 } },
	{ 4, 0, { 0x7c004121, 0x1c0003f, 0x3f, 0 } },
	{ 4, 2, { 0x7c004143, 0x3c0003f, 0x3ff, 0 } },
	{ 4, 3, { 0x7c1fc163, 0x2c0003f, 0x7fff, 4 } },
	{ 4, 4, { 0, 0, 0, 0 } },
	{ 7, 0, { 2, 0xffffffff, 0xffffffff, 0xffffffff } },
	{ 7, 1, { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff } },
	XSAVE_ROWS,
	{ 0x15, NO_SUB, { 2, 0xa8, 0x16e3600, 0 } },
	{ 0x16, NO_SUB, { 0x834, 0xe74, 0x64, 0 } },
	{ 0x80000000, NO_SUB, { 0x80000008, 0, 0, 0 } },
	{ 0x80000001, NO_SUB, { 0, 0, 0x121, 0x2c100800 } },
	{ 0x80000002, NO_SUB, { 0x65746e49, 1, 2, 3 } },
	{ 0x80000007, NO_SUB, { 0, 0, 0, 0x100 } },
	{ 0x80000008, NO_SUB, { 0x3934, 0, 0, 0 } }, /* 57 linear bits: LA57 */
};

static const struct row amd[] = {
	{ 0, NO_SUB, { 0x10, 0x68747541, 0x444d4163, 0x69746e65 } },
	{ 1, NO_SUB, { 0x830f10, 0x100800, 0x7ed8320b, 0x178bfbff } },
	{ 6, NO_SUB, { 0, 0, 1, 0 } },
	{ 7, 0, { 0, 0x219c91a9, 0x400004, 0 } },
	{ 0xd, 0, { 7, 0x340, 0x340, 0 } },
	{ 0xd, 1, { 1, 0x340, 0, 0 } },
	{ 0xd, 2, { 0x100, 0x240, 0, 0 } },
	{ 0x80000000, NO_SUB, { 0x80000020, 0x68747541, 0x444d4163, 0x69746e65 } },
	{ 0x80000001, NO_SUB, { 0x830f10, 0x40000000, 0x75c237ff, 0x2fd3fbff } },
	{ 0x80000005, NO_SUB, { 0xff40ff40, 0xff40ff40, 0x20080140, 0x20080140 } },
	{ 0x80000007, NO_SUB, { 0, 0x3b, 0, 0x6799 } },
	{ 0x80000008, NO_SUB, { 0x3030, 0x18cf757, 0x703f, 0x10000 } },
	{ 0x8000001e, NO_SUB, { 1, 2, 3, 4 } },
};

static const struct row *machine;
static u32 nr_rows;

static void host_table(u32 leaf, u32 subleaf, u32 out[4])
{
	memset(out, 0, 16);
	for (u32 i = 0; i < nr_rows; i++) {
		if (machine[i].leaf == leaf && (machine[i].subleaf == NO_SUB || machine[i].subleaf == subleaf)) {
			memcpy(out, machine[i].r, 16);
		}
	}
}

static void host_all_ones(u32 leaf, u32 subleaf, u32 out[4])
{
	(void)leaf, (void)subleaf;
	memset(out, 0xff, 16);
}

static struct cpuid_env env;
static u32 r[4];

static void ask(u32 leaf, u32 subleaf)
{
	memset(r, 0xa5, sizeof(r));
	cpuid_emulate(&env, leaf, subleaf, r);
}

static void use(void (*host)(u32, u32, u32[4]), const struct row *rows, u32 nr)
{
	machine = rows;
	nr_rows = nr;
	env = (struct cpuid_env){ .policy = &policy_default, .host = host,
				  .apic_id = 0,
				  .nr_vcpus = 1,
				  .xcr0 = 1,
				  .tsc_hz = 2600000000,
				  .has_tsc_deadline = true,
				  .apic_base = 0xfee00900 };
}

static int on_intel(void **state)
{
	(void)state;
	use(host_table, intel, ARRAY_SIZE(intel));
	return 0;
}

static int on_amd(void **state)
{
	(void)state;
	use(host_table, amd, ARRAY_SIZE(amd));
	return 0;
}

static int on_everything(void **state)
{
	(void)state;
	use(host_all_ones, NULL, 0);
	return 0;
}

static void assert_zero(void)
{
	assert_int_equal(r[A] | r[B] | r[C] | r[D], 0);
}

static void test_vendor_and_limits(void **state)
{
	(void)state;
	ask(0, 0);
	assert_int_equal(r[A], 0x1f);
	assert_memory_equal(&r[B], "Genu", 4);
	assert_memory_equal(&r[D], "ineI", 4);
	ask(0x80000000, 0);
	assert_int_equal(r[A], 0x80000008);
	static const u32 none[] = { 2, 3, 5, 9, 0xa, 0xc, 0xe, 0x10, 0x12, 0x14, 0x15, 0x16, 0x20,
				    0x40000001, 0x40000011, 0x400000ff, 0x40000102, 0x80000009, 0xc0000000, 0xffffffff };
	for (u32 i = 0; i < ARRAY_SIZE(none); i++) {
		ask(none[i], 0);
		assert_zero();
	}
}

/* A host with everything: each bit that must not pass, by name; SDM 2A 3.3, APM 3 E */
static void test_denied(void **state)
{
	(void)state;
	static const struct {
		u32 leaf, reg, bit;
	} denied[] = {
		{ 1, C, 2 },  /* DTES64 */    { 1, C, 3 },	/* MONITOR */ { 1, C, 4 },  /* DS-CPL */
		{ 1, C, 5 },  /* VMX */	      { 1, C, 6 },	/* SMX */     { 1, C, 7 },  /* EIST */
		{ 1, C, 8 },  /* TM2 */	      { 1, C, 15 },	/* PDCM */    { 1, C, 18 }, /* DCA */
		{ 1, C, 21 }, /* x2APIC */    { 1, C, 27 },	/* OSXSAVE */ { 1, D, 21 }, /* DS */
		{ 1, D, 22 }, /* ACPI */      { 1, D, 28 },	/* HTT */     { 1, D, 29 }, /* TM */
		{ 7, B, 2 },  /* SGX */	      { 7, B, 4 },	/* HLE */     { 7, B, 11 }, /* RTM */
		{ 7, B, 12 }, /* PQM */	      { 7, B, 14 },	/* MPX */     { 7, B, 15 }, /* PQE */
		{ 7, B, 25 }, /* PT */	      { 7, C, 4 },	/* OSPKE */   { 7, C, 5 },  /* WAITPKG */
		{ 7, C, 7 },  /* CET SS */    { 7, C, 13 },	/* TME */     { 7, C, 16 }, /* LA57 */
		{ 7, C, 23 }, /* KL */	      { 7, C, 29 },	/* ENQCMD */  { 7, C, 31 }, /* PKS */
		{ 7, D, 15 }, /* HYBRID */    { 7, D, 16 },	/* TSXLDTRK */{ 7, D, 18 }, /* PCONFIG */
		{ 7, D, 19 }, /* ARCH LBR */  { 7, D, 20 },	/* CET IBT */ { 7, D, 22 }, /* AMX */
		{ 7, D, 24 }, /* AMX */	      { 7, D, 25 },	/* AMX */     { 7, D, 26 }, /* IBRS */
		{ 7, D, 27 }, /* STIBP */     { 7, D, 28 },	/* L1D */     { 7, D, 29 }, /* ARCHCAP */
		{ 7, D, 30 }, /* CORECAP */   { 7, D, 31 },	/* SSBD */    { 0x80000001, C, 2 }, /* SVM */
		{ 0x80000001, C, 3 },  /* ExtApic */  { 0x80000001, C, 9 },  /* OSVW */
		{ 0x80000001, C, 10 }, /* IBS */      { 0x80000001, C, 12 }, /* SKINIT */
		{ 0x80000001, C, 15 }, /* LWP */      { 0x80000001, C, 22 }, /* TOPOEXT */
		{ 0x80000001, C, 23 }, /* PERFCTR */  { 0x80000001, C, 24 }, /* PERFCTR NB */
		{ 0x80000001, C, 28 }, /* PERFCTR L2 */ { 0x80000001, C, 29 }, /* MONITORX */
		{ 0x80000008, B, 12 }, /* IBPB */     { 0x80000008, B, 14 }, /* IBRS */
		{ 0x80000008, B, 24 }, /* SSBD */     { 6, A, 0 },	     /* DTHERM */
		{ 6, C, 0 },	       /* APERF */    { 0xd, A, 3 },	     /* XSAVES if subleaf 1 */
	};
	for (u32 i = 0; i < ARRAY_SIZE(denied); i++) {
		ask(denied[i].leaf, denied[i].leaf == 0xd);
		if (r[denied[i].reg] >> denied[i].bit & 1) {
			fail_msg("leaf %x register %u bit %u", denied[i].leaf, denied[i].reg, denied[i].bit);
		}
		assert_false(denied[i].leaf != 0xd &&
			     cpuid_guest_has(&env, denied[i].leaf, denied[i].reg, denied[i].bit));
	}
	ask(7, 1);
	assert_zero();
}

static void test_allowed(void **state)
{
	(void)state;
	ask(1, 0);
	assert_int_equal(r[C], 0xf7da3203);
	assert_int_equal(r[D], 0x0f8bfbff);
	ask(7, 0);
	assert_int_equal(r[A], 0);
	assert_int_equal(r[B], 0xfdbf27eb);
	assert_int_equal(r[C], 0x1a405f4f);
	assert_int_equal(r[D], 0x0080451c);
}

static void test_features_of_the_vcpu(void **state)
{
	(void)state;
	ask(1, 0);
	assert_int_equal(r[B], 0x00010800);
	assert_true(r[C] & BIT(31));
	assert_true(r[C] & BIT(24));
	assert_true(r[D] & BIT(9));
	env.apic_id = 0x105;
	env.nr_vcpus = 6;
	env.has_x2apic = true;
	env.has_tsc_deadline = false;
	env.cr4 = CR4_OSXSAVE | CR4_PKE;
	env.apic_base = 0xfee00100;
	ask(1, 0);
	assert_int_equal(r[B], 0x05060800);
	assert_true(r[C] & BIT(21));
	assert_false(r[C] & BIT(24));
	assert_true(r[C] & BIT(27));
	assert_false(r[D] & BIT(9));
	assert_true(r[D] & BIT(28));
	ask(7, 0);
	assert_true(r[C] & BIT(4));
	ask(6, 0);
	assert_int_equal(r[A], 4);
}

/* PKE without PKU in the host, OSXSAVE without XSAVE: no mirror bits */
static void test_mirrors_need_features(void **state)
{
	(void)state;
	static const struct row bare[] = {
		{ 0, NO_SUB, { 7, 0x756e6547, 0, 0 } },
	};
	use(host_table, bare, ARRAY_SIZE(bare));
	env.cr4 = CR4_OSXSAVE | CR4_PKE;
	ask(7, 0);
	assert_int_equal(r[C], 0);
	ask(1, 0);
	assert_int_equal(r[C], BIT(31) | BIT(24));
	assert_true(cpuid_guest_xcr0_mask(&env) == 0);
	assert_true(cpuid_guest_efer_mask(&env) == 0);
	assert_true(cpuid_guest_cr4_mask(&env) == (CR4_PCE | CR4_MCE));
	ask(0xd, 0);
	assert_zero();
}

static void test_topology(void **state)
{
	(void)state;
	static const u32 leaf[] = { 0xb, 0x1f };
	for (u32 i = 0; i < 2; i++) {
		env.nr_vcpus = 5;
		env.apic_id = 4;
		ask(leaf[i], 0);
		assert_int_equal(r[A], 0);
		assert_int_equal(r[B], 1);
		assert_int_equal(r[C], 0x100);
		assert_int_equal(r[D], 4);
		ask(leaf[i], 1);
		assert_int_equal(r[A], 3);
		assert_int_equal(r[B], 5);
		assert_int_equal(r[C], 0x201);
		assert_int_equal(r[D], 4);
		ask(leaf[i], 2);
		assert_int_equal(r[A] | r[B], 0);
		assert_int_equal(r[C], 2);
		assert_int_equal(r[D], 4);
		env.nr_vcpus = 1;
		ask(leaf[i], 1);
		assert_int_equal(r[A], 0);
		assert_int_equal(r[B], 1);
	}
}

static void test_intel_caches(void **state)
{
	(void)state;
	ask(4, 0);
	assert_int_equal(r[A], 0x121); /* the host's 32 sharers and IDs are gone */
	assert_int_equal(r[B], 0x1c0003f);
	env.nr_vcpus = 4;
	ask(4, 2);
	assert_int_equal(r[A], 3u << 26 | 0x143);
	ask(4, 3);
	assert_int_equal(r[A], 3u << 26 | 3u << 14 | 0x163);
	ask(4, 4);
	assert_zero();
}

static void test_xsave(void **state)
{
	(void)state;
	assert_true(cpuid_guest_xcr0_mask(&env) == 0x2e7); /* no MPX, no AMX */
	ask(0xd, 0);
	assert_int_equal(r[A], 0x2e7);
	assert_int_equal(r[B], 576);
	assert_int_equal(r[C], 0xa88);
	assert_int_equal(r[D], 0);
	env.xcr0 = 7;
	ask(0xd, 0);
	assert_int_equal(r[B], 0x340);
	ask(0xd, 1);
	assert_int_equal(r[A], 7);
	assert_int_equal(r[B], 0x340);
	assert_int_equal(r[C] | r[D], 0);
	env.xcr0 = 0x203; /* PKRU without AVX: compacted it follows the header */
	ask(0xd, 0);
	assert_int_equal(r[B], 0xa88);
	ask(0xd, 1);
	assert_int_equal(r[B], 576 + 8);
	ask(0xd, 9);
	assert_int_equal(r[A], 8);
	assert_int_equal(r[B], 0xa80);
	static const u32 absent[] = { 3, 4, 8, 10, 17, 18, 63, 64, 0xffffffff };
	for (u32 i = 0; i < ARRAY_SIZE(absent); i++) {
		ask(0xd, absent[i]);
		assert_zero();
	}
}

/* Compacted components that ask for it start at a multiple of 64 */
static void test_xsave_aligned(void **state)
{
	(void)state;
	static const struct row odd[] = {
		{ 0, NO_SUB, { 0xd, 0x756e6547, 0, 0 } },
		{ 1, NO_SUB, { 0, 0, BIT(26), 0 } },
		{ 0xd, 0, { 0x207, 0, 0, 0 } },
		{ 0xd, 1, { 0xf, 0, 0, 0 } },
		{ 0xd, 2, { 0x108, 0x240, 0, 0 } },
		{ 0xd, 9, { 8, 0xa80, 2, 0xffff } },
	};
	use(host_table, odd, ARRAY_SIZE(odd));
	env.xcr0 = 0x207;
	ask(0xd, 1);
	assert_int_equal(r[B], 0x240 + 0x140 + 8);
	ask(0xd, 9);
	assert_int_equal(r[C], 2);
	assert_int_equal(r[D], 0);
}

static void test_hypervisor_leaves(void **state)
{
	(void)state;
	ask(0x40000000, 0);
	assert_int_equal(r[A], 0x40000010);
	assert_memory_equal(&r[B], "BulkheadHV  ", 12);
	ask(0x40000010, 0);
	assert_int_equal(r[A], 2600000);
	assert_int_equal(r[B], 1000000);
	assert_int_equal(r[C] | r[D], 0);
	ask(0x40000100, 0);
	assert_int_equal(r[A], 0x40000101);
	assert_memory_equal(&r[B], "KVMKVMKVM\0\0\0", 12);
	ask(0x40000101, 0); /* no I/O delay, clock by the new MSRs, stable; not one bit more */
	assert_int_equal(r[A], 1 << 1 | 1 << 3 | 1 << 24);
	assert_int_equal(r[B] | r[C] | r[D], 0);
}

static void test_intel_extended(void **state)
{
	(void)state;
	assert_true(cpuid_guest_is_intel(&env));
	ask(0x80000001, 0);
	assert_int_equal(r[C], 0x121);
	assert_int_equal(r[D], 0x2c100800);
	ask(0x80000002, 0);
	assert_int_equal(r[A], 0x65746e49);
	ask(0x80000007, 0);
	assert_int_equal(r[D], 0x100);
	env.nr_vcpus = 4;
	ask(0x80000008, 0);
	assert_int_equal(r[A], 0x3034);
	assert_int_equal(r[B] | r[C] | r[D], 0);
}

static void test_amd(void **state)
{
	(void)state;
	assert_false(cpuid_guest_is_intel(&env));
	ask(0, 0);
	assert_int_equal(r[A], 0x10);
	ask(0x1f, 0);
	assert_zero();
	ask(4, 0);
	assert_zero();
	ask(0x80000000, 0);
	assert_int_equal(r[A], 0x80000008);
	assert_memory_equal(&r[B], "Auth", 4);
	ask(0x8000001e, 0);
	assert_zero();
	ask(0x80000001, 0);
	assert_int_equal(r[A], 0x830f10);
	assert_int_equal(r[C], 0x1e1);
	assert_int_equal(r[D], 0x2fd3fbff);
	env.apic_base = 0;
	env.nr_vcpus = 3;
	ask(0x80000001, 0);
	assert_int_equal(r[C], 0x1e3);
	assert_int_equal(r[D], 0x2fd3f9ff);
	ask(0x80000007, 0);
	assert_int_equal(r[B], 0);
	assert_int_equal(r[D], 0x100);
	ask(0x80000008, 0);
	assert_int_equal(r[A], 0x3030);
	assert_int_equal(r[B], 5);
	assert_int_equal(r[C], 0x2002);
	assert_true(cpuid_guest_xcr0_mask(&env) == 7);
	assert_true(cpuid_guest_efer_mask(&env) == (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR));
}

static void test_register_masks(void **state)
{
	(void)state;
	assert_true(cpuid_guest_cr4_mask(&env) == (BITS(11, 0) | BITS(18, 16) | BITS(22, 20)));
	assert_true(cpuid_guest_efer_mask(&env) == (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE));
	on_everything(state);
	assert_true(cpuid_guest_xcr0_mask(&env) == 0x2e7);
	assert_false(cpuid_guest_cr4_mask(&env) & (CR4_VMXE | CR4_SMXE | CR4_LA57));
	assert_false(cpuid_guest_efer_mask(&env) & (EFER_SVME | EFER_LMSLE | EFER_TCE));
}

/* What is prepared is what would be worked out, in each state and after each change of it */
static void test_prepared(void **state)
{
	static const u32 leaves[] = { 0, 1, 2, 4, 6, 7, 0xb, 0xd, 0x15, 0x1f, 0x20, 0x40000000, 0x40000010, 0x40000100,
				      0x40000101, 0x7fffffff, 0x80000000, 0x80000001, 0x80000002, 0x80000004,
				      0x80000007, 0x80000008, 0x80000009, 0x8000001e, 0xffffffff };
	static const u64 xcr0[] = { 1, 3, 7, 0xe7 };
	u32 want[4], seen[4];
	(void)state;
	cpuid_prepare(&env);
	for (u32 s = 0; s < 64; s++) {
		env.cr4 = (s & 1 ? CR4_OSXSAVE : 0) | (s & 2 ? CR4_PKE : 0);
		env.apic_base = s & 4 ? 0xfee00900 : 0xfee00100;
		env.xcr0 = xcr0[s >> 3 & 3];
		for (u32 i = 0; i < ARRAY_SIZE(leaves) * 16; i++) {
			u32 leaf = leaves[i / 16], subleaf = i % 16;
			const u32 *fixed = cpuid_fixed(&env, leaf);
			cpuid_emulate(&env, leaf, subleaf, want);
			cpuid_answer(&env, leaf, subleaf, seen);
			assert_memory_equal(seen, want, 16);
			assert_true(!fixed || !memcmp(fixed, want, 16));
		}
	}
	assert_non_null(cpuid_fixed(&env, 0x80000008));
	assert_null(cpuid_fixed(&env, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_prepared, on_intel),
		cmocka_unit_test_setup(test_prepared, on_amd),
		cmocka_unit_test_setup(test_prepared, on_everything),
		cmocka_unit_test_setup(test_vendor_and_limits, on_intel),
		cmocka_unit_test_setup(test_denied, on_everything),
		cmocka_unit_test_setup(test_allowed, on_everything),
		cmocka_unit_test_setup(test_features_of_the_vcpu, on_intel),
		cmocka_unit_test_setup(test_mirrors_need_features, on_intel),
		cmocka_unit_test_setup(test_topology, on_intel),
		cmocka_unit_test_setup(test_intel_caches, on_intel),
		cmocka_unit_test_setup(test_xsave, on_intel),
		cmocka_unit_test_setup(test_xsave_aligned, on_intel),
		cmocka_unit_test_setup(test_hypervisor_leaves, on_intel),
		cmocka_unit_test_setup(test_intel_extended, on_intel),
		cmocka_unit_test_setup(test_amd, on_amd),
		cmocka_unit_test_setup(test_register_masks, on_intel),
	};
	return cmocka_run_group_tests_name("cpuid", tests, NULL, NULL);
}
