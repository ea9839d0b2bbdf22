// SPDX-License-Identifier: BSD-2-Clause
/* RDMSR and WRMSR policy, driven through the fake backend on an Intel and an AMD host. */
#include "kernel/msr.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fake.h"
#include "x86/msr.h"
#include "x86/regs.h"

static bool is_intel;
static u32 leaf7_ebx, phys_bits;
static struct vcpu v = { .ops = &fake_ops };
static struct msr_state state_;
static struct vlapic apic;
static struct cpuid_env cpu;
static u64 tsc(void)
{
	return 10000;
}

static struct msr_env env = { .v = &v, .state = &state_, .apic = &apic, .cpuid = &cpu, .tsc = tsc };

static void host(u32 leaf, u32 subleaf, u32 out[4])
{
	(void)subleaf;
	memset(out, 0, 16);
	switch (leaf) {
	case 0:
		out[0] = 0x16;
		out[1] = is_intel ? 0x756e6547 : 0x68747541;
		break;
	case 7: out[1] = leaf7_ebx; break;
	case 0x80000000: out[0] = phys_bits ? 0x80000008 : 0x80000001; break;
	case 0x80000001: out[3] = BIT(11) | BIT(20) | BIT(29); break;
	case 0x80000008: out[0] = 0x3000 | phys_bits; break;
	default: break;
	}
}

static u64 zero_time(void *ctx)
{
	(void)ctx;
	return 0;
}

static u64 identity(void *ctx, u64 tsc)
{
	(void)ctx;
	return tsc;
}

static const struct vlapic_env apic_env = { .now_ns = zero_time, .guest_tsc = zero_time,
					    .tsc_to_ns = identity };

static int setup(bool intel)
{
	is_intel = intel;
	leaf7_ebx = 2;
	phys_bits = 40;
	assert_int_equal(fake_ops.vcpu_init(&v, NULL), STATUS_OK);
	fake_of(&v)->reg[VREG_PAT] = 0x0007040600070406;
	msr_state_init(&state_);
	vlapic_init(&apic, &apic_env, 0, true, true);
	cpu = (struct cpuid_env){ .policy = &policy_default, .host = host, .nr_vcpus = 1, .has_tsc_deadline = true };
	return 0;
}

static int on_intel(void **state)
{
	(void)state;
	return setup(true);
}

static int on_amd(void **state)
{
	(void)state;
	return setup(false);
}

static int free_vcpu(void **state)
{
	(void)state;
	free(v.hw);
	v.hw = NULL;
	return 0;
}

static bool wr(u32 msr, u64 value)
{
	return msr_write(&env, msr, value);
}

static u64 rd(u32 msr)
{
	u64 value = 0xdead;
	if (!msr_read(&env, msr, &value)) {
		fail_msg("RDMSR %x faults", msr);
	}
	return value;
}

static bool can_rd(u32 msr)
{
	u64 value;
	return msr_read(&env, msr, &value);
}

static void test_default_deny(void **state)
{
	(void)state;
	static const u32 denied[] = { 0x2, 0x48, 0x49, 0xc0, 0xc3, 0xcc, 0xcf, 0x10a, 0x10b, 0x122, 0x17b,
				      0x185, 0x188, 0x197, 0x199, 0x1a1, 0x1ff, 0x210,
				      0x251, 0x25a, 0x270, 0x38f, 0x400, 0x480, 0x570, 0xda0, 0x40000000,
				      0x4b564cff, 0x4b564d02, 0xc0000085, 0xc0000104, 0xc0010008, 0xc0010117, 0xc0010140,
				      0xc001020c, 0xffffffff };
	for (u32 intel = 0; intel < 2; intel++) {
		setup(intel);
		for (u32 i = 0; i < ARRAY_SIZE(denied); i++) {
			assert_false(can_rd(denied[i]));
			assert_false(wr(denied[i], 0));
		}
	}
}

/* A policy that names nothing offers nothing */
static void test_empty_policy(void **state)
{
	static const struct policy none;
	(void)state;
	cpu.policy = &none;
	for (u32 msr = 0; msr < 0x1000; msr++) {
		assert_false(can_rd(msr));
		assert_false(wr(msr, 0));
	}
	assert_false(can_rd(MSR_EFER));
	for (u32 leaf = 0; leaf < 0x20; leaf++) {
		u32 r[4];
		cpuid_emulate(&cpu, leaf, 0, r);
		assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
	}
}

/* No MSR may both pass and be emulated */
static void test_pass_table(void **state)
{
	(void)state;
	u32 nr = policy_default.nr_pass, last = 0;
	const struct msr_range *r = policy_default.pass;
	assert_true(nr > 0);
	for (u32 i = 0; i < nr; i++) {
		assert_true(r[i].first <= r[i].last && r[i].first > last);
		last = r[i].last;
		assert_int_equal(r[i].pass, MSR_PASS_READ | MSR_PASS_WRITE);
		for (u32 m = r[i].first; m <= r[i].last; m++) {
			assert_false(can_rd(m));
		}
	}
	assert_int_equal(last, MSR_TSC_AUX);
}

/* SDM 3B 18.17.3 */
/* Who has which MSR never changes in a life; here it does */
static void forget(void)
{
	memset(state_.found, 0, sizeof(state_.found));
}

static void test_tsc(void **state)
{
	(void)state;
	fake_of(&v)->reg[VREG_TSC_OFFSET] = (u64)-4000;
	assert_int_equal(rd(MSR_TSC), 6000);
	assert_int_equal(rd(MSR_TSC_ADJUST), 0);
	assert_true(wr(MSR_TSC, 6500));
	assert_int_equal(rd(MSR_TSC), 6500);
	assert_int_equal(rd(MSR_TSC_ADJUST), 500);
	assert_true(wr(MSR_TSC_ADJUST, (u64)-100));
	assert_int_equal(rd(MSR_TSC), 5900);
	assert_true(rd(MSR_TSC_ADJUST) == (u64)-100);
	assert_true(wr(MSR_TSC_ADJUST, 0));
	assert_int_equal(rd(MSR_TSC), 6000);
	leaf7_ebx = 0; /* not offered */
	forget();
	assert_false(can_rd(MSR_TSC_ADJUST));
	assert_false(wr(MSR_TSC_ADJUST, 1));
	assert_int_equal(rd(MSR_TSC), 6000);
}

static u64 to_ns(void *ctx, u64 tsc)
{
	(void)ctx;
	return tsc - rd(MSR_TSC);
}

static u64 guest_now(void *ctx)
{
	(void)ctx;
	return rd(MSR_TSC);
}

/* A deadline that is armed stays where it is in the guest's TSC, so it moves in time */
static void test_tsc_moves_deadline(void **state)
{
	(void)state;
	const struct vlapic_env with_tsc = { .now_ns = zero_time, .guest_tsc = guest_now,
					     .tsc_to_ns = to_ns };
	vlapic_init(&apic, &with_tsc, 0, true, true);
	vlapic_mmio_ops.write(&apic, 0xf0, 4, 0x1ff);
	vlapic_mmio_ops.write(&apic, 0x320, 4, 0x40050);
	assert_true(wr(MSR_TSC, 1000));
	assert_true(wr(MSR_TSC_DEADLINE, 9000));
	assert_int_equal(apic.deadline_ns, 8000);
	assert_true(wr(MSR_TSC, 4000));
	assert_int_equal(apic.deadline_ns, 5000);
	assert_true(wr(MSR_TSC_ADJUST, rd(MSR_TSC_ADJUST) - 2000));
	assert_int_equal(apic.deadline_ns, 7000);
	assert_true(wr(MSR_TSC, 9000));
	assert_int_equal(vlapic_pending(&apic), 0x50);
	assert_int_equal(apic.deadline_ns, NEVER);
}

static void test_apic(void **state)
{
	(void)state;
	assert_int_equal(rd(MSR_APIC_BASE), 0xfee00900);
	assert_false(can_rd(MSR_X2APIC_ID));
	assert_true(wr(MSR_APIC_BASE, 0xfee00d00));
	assert_int_equal(rd(MSR_X2APIC_ID), 0);
	assert_false(can_rd(0x8ff));
	assert_true(wr(0x832, 0x40050));
	assert_true(wr(MSR_TSC_DEADLINE, 777));
	assert_int_equal(rd(MSR_TSC_DEADLINE), 777);
	cpu.has_tsc_deadline = false;
	forget();
	assert_false(can_rd(MSR_TSC_DEADLINE));
	assert_false(wr(MSR_TSC_DEADLINE, 1));
}

static void test_efer(void **state)
{
	(void)state;
	assert_int_equal(rd(MSR_EFER), 0);
	assert_true(wr(MSR_EFER, EFER_SCE | EFER_LME | EFER_NXE));
	fake_ops.set(&v, VREG_CR0, CR0_PG | CR0_PE);
	assert_int_equal(rd(MSR_EFER), EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
	assert_false(wr(MSR_EFER, EFER_NXE)); /* LME while paging */
	assert_true(wr(MSR_EFER, EFER_LME | EFER_NXE)); /* LMA cannot be written */
	assert_int_equal(rd(MSR_EFER), EFER_LME | EFER_LMA | EFER_NXE);
	assert_false(wr(MSR_EFER, EFER_LME | EFER_SVME));
	assert_false(wr(MSR_EFER, EFER_LME | BIT(1)));
	assert_false(wr(MSR_EFER, EFER_LME | EFER_FFXSR)); /* this host has none */
	assert_false(wr(MSR_EFER, EFER_LME | BIT(63)));
	fake_ops.set(&v, VREG_CR0, CR0_PE);
	assert_true(wr(MSR_EFER, EFER_LMA | EFER_NXE));
	assert_int_equal(rd(MSR_EFER), EFER_NXE);
}

/* SDM 3A 12.12.2: every value of every byte */
static void test_pat(void **state)
{
	(void)state;
	assert_true(rd(MSR_PAT) == 0x0007040600070406);
	for (u32 at = 0; at < 64; at += 8) {
		for (u64 type = 0; type < 256; type++) {
			bool is_type = type < 8 && type != 2 && type != 3;
			assert_int_equal(wr(MSR_PAT, type << at), is_type);
		}
	}
	assert_true(wr(MSR_PAT, 0x0706050401000706));
	assert_true(rd(MSR_PAT) == 0x0706050401000706);
}

static void test_mtrr_as_firmware_leaves_it(void **state)
{
	(void)state;
	assert_int_equal(rd(MSR_MTRRCAP), 0x508);
	assert_false(wr(MSR_MTRRCAP, 0x508));
	assert_int_equal(rd(MSR_MTRR_DEF_TYPE), 0xc06);
	assert_true(rd(MSR_MTRR_FIX64K_00000) == 0x0606060606060606);
	assert_true(rd(MSR_MTRR_FIX16K_80000) == 0x0606060606060606);
	assert_true(rd(MSR_MTRR_FIX16K_A0000) == 0);
	assert_true(rd(MSR_MTRR_FIX4K_C0000) == 0x0606060606060606);
	assert_true(rd(MSR_MTRR_FIX4K_F8000) == 0x0606060606060606);
	assert_true(rd(0x200) == 0xfe000000);
	assert_true(rd(0x201) == 0xfffe000800); /* 32 MiB of a 40-bit space */
	assert_int_equal(rd(0x203), 0);
	for (u32 msr = 0x200; msr < 0x270; msr++) { /* what was read can be written back */
		u64 value;
		assert_true(!msr_read(&env, msr, &value) || wr(msr, value));
	}
}

static void test_mtrr(void **state)
{
	(void)state;
	assert_false(can_rd(0x210));
	for (u64 type = 0; type < 256; type++) {
		bool is_type = type < 7 && type != 2 && type != 3;
		assert_int_equal(wr(MSR_MTRR_DEF_TYPE, 0x800 | type), is_type);
		assert_int_equal(wr(0x202, 0x80000000 | type), is_type);
		assert_int_equal(wr(MSR_MTRR_FIX4K_C0000 + 1, type << 56), is_type);
	}
	assert_true(wr(0x202, 0x80000006));
	assert_true(rd(0x202) == 0x80000006);
	assert_true(wr(0x203, 0xff80000800));
	assert_true(rd(0x203) == 0xff80000800);
	assert_false(wr(0x203, 0x1ff80000800)); /* beyond 40 bits */
	assert_false(wr(0x202, 1ull << 40));
	assert_false(wr(0x202, 0x80000106));
	assert_false(wr(0x203, 0x400));
	assert_false(wr(MSR_MTRR_DEF_TYPE, 0x1006));
	assert_true(wr(MSR_MTRR_FIX4K_C0000 + 1, 0x0506040100060606));
	assert_true(rd(MSR_MTRR_FIX4K_C0000 + 1) == 0x0506040100060606);
	assert_true(rd(MSR_MTRR_FIX4K_C0000 + 2) == 0x0606060606060606);
	phys_bits = 0; /* no leaf 8000_0008: 36 bits */
	assert_false(wr(0x202, 1ull << 36));
	assert_true(wr(0x202, 1ull << 35));
}

static void test_machine_check(void **state)
{
	(void)state;
	assert_int_equal(rd(MSR_MCG_CAP), 0);
	assert_false(wr(MSR_MCG_CAP, 0));
	assert_true(wr(MSR_MCG_STATUS, 5));
	assert_int_equal(rd(MSR_MCG_STATUS), 5);
	assert_false(wr(MSR_MCG_STATUS, 8));
	assert_int_equal(rd(MSR_P5_MC_TYPE), 0);
}

static void test_intel(void **state)
{
	(void)state;
	assert_true(wr(MSR_BIOS_SIGN_ID, 0));
	assert_true(rd(MSR_BIOS_SIGN_ID) == 0x100000000);
	assert_int_equal(rd(MSR_PLATFORM_ID), 0);
	assert_int_equal(rd(MSR_FEATURE_CONTROL), 1);
	assert_false(wr(MSR_FEATURE_CONTROL, 5));
	assert_int_equal(rd(MSR_MISC_ENABLE), 0x1801);
	assert_true(wr(MSR_MISC_ENABLE, 0x1800));
	assert_int_equal(rd(MSR_MISC_ENABLE), 0x1800);
	assert_false(wr(MSR_MISC_ENABLE, 0x1801 | BIT(34)));
	assert_false(wr(MSR_MISC_ENABLE, 1));
	assert_int_equal(rd(0xcd) | rd(0xce) | rd(0x198), 0);
	assert_false(wr(0xce, 0));
	static const u32 ignored[] = { 0xc1, 0xc2, 0x186, 0x187, MSR_DEBUGCTL };
	for (u32 i = 0; i < ARRAY_SIZE(ignored); i++) {
		assert_true(wr(ignored[i], 0xffff));
		assert_int_equal(rd(ignored[i]), 0);
	}
	static const u32 of_amd[] = { 0xc0010000, MSR_AMD_SYSCFG, MSR_AMD_HWCR, MSR_AMD_VM_CR, MSR_AMD_DE_CFG };
	for (u32 i = 0; i < ARRAY_SIZE(of_amd); i++) {
		assert_false(can_rd(of_amd[i]));
	}
}

static void test_amd(void **state)
{
	(void)state;
	assert_true(wr(MSR_BIOS_SIGN_ID, 0));
	assert_int_equal(rd(MSR_BIOS_SIGN_ID), 0x01000065);
	assert_int_equal(rd(MSR_AMD_HWCR), 1 << 24);
	assert_true(wr(MSR_AMD_HWCR, 1 << 24 | 1 << 18));
	assert_int_equal(rd(MSR_AMD_DE_CFG), 2);
	assert_true(wr(MSR_AMD_DE_CFG, 2));
	assert_int_equal(rd(MSR_AMD_VM_CR), 0x18);
	assert_false(wr(MSR_AMD_VM_CR, 0));
	static const u32 zero[] = { 0xc0010000, 0xc0010007, MSR_AMD_SYSCFG, MSR_AMD_NB_CFG, 0xc0010020,
				    0xc0010055, 0xc0010058, 0xc0010200, 0xc001020b };
	for (u32 i = 0; i < ARRAY_SIZE(zero); i++) {
		assert_int_equal(rd(zero[i]), 0);
		assert_true(wr(zero[i], 1));
		assert_int_equal(rd(zero[i]), 0);
	}
	assert_false(can_rd(MSR_FEATURE_CONTROL));
	assert_false(can_rd(MSR_MISC_ENABLE));
	assert_false(can_rd(0x186));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_default_deny, on_intel),
		cmocka_unit_test_setup(test_empty_policy, on_intel),
		cmocka_unit_test_setup(test_pass_table, on_intel),
		cmocka_unit_test_setup(test_tsc, on_intel),
		cmocka_unit_test_setup(test_tsc_moves_deadline, on_intel),
		cmocka_unit_test_setup(test_apic, on_intel),
		cmocka_unit_test_setup(test_efer, on_amd),
		cmocka_unit_test_setup(test_pat, on_intel),
		cmocka_unit_test_setup(test_mtrr_as_firmware_leaves_it, on_intel),
		cmocka_unit_test_setup(test_mtrr, on_amd),
		cmocka_unit_test_setup(test_machine_check, on_intel),
		cmocka_unit_test_setup(test_intel, on_intel),
		cmocka_unit_test_setup(test_amd, on_amd),
	};
	return cmocka_run_group_tests_name("msr", tests, NULL, free_vcpu);
}
