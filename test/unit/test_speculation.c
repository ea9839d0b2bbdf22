/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPU has which fault, what is planned and what is said: by the facts of real CPUs (signature and bits
 * as their makers document them, with the microcode of the year that is given). Threads and cores: topology.
 */
#include "kernel/speculation.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "kernel/topology.h"

#define SPEC_BITS (LEAF7_EDX_IBRS_IBPB | LEAF7_EDX_L1D_FLUSH)

#define INTEL(m, s) .vendor = SPEC_INTEL, .family = 6, .model = (m), .stepping = (s), .is_vmx = true, \
		    .has_retpoline = true, .threads = 2
#define AMD(f) .vendor = SPEC_AMD, .family = (f), .has_retpoline = true, .threads = 2

static const struct spec_facts sandy_bridge = { INTEL(0x2a, 7) }; /* 2011, no new microcode */
static const struct spec_facts skylake = { INTEL(0x5e, 3), .leaf7_ebx = LEAF7_EBX_RTM, /* 2020 */
	.leaf7_edx = SPEC_BITS | LEAF7_EDX_MD_CLEAR | LEAF7_EDX_SRBDS_CTRL };
static const struct spec_facts cascade_lake = { INTEL(0x55, 7), .leaf7_edx = SPEC_BITS | LEAF7_EDX_MD_CLEAR |
	LEAF7_EDX_ARCH_CAPS, .arch_caps = CAPS_RDCL_NO | CAPS_IBRS_ALL | CAPS_SKIP_L1DFL | CAPS_MDS_NO |
	CAPS_PSCHANGE_NO | CAPS_TSX_CTRL | CAPS_TAA_NO | CAPS_FB_CLEAR | CAPS_RRSBA | CAPS_GDS_CTRL };
static const struct spec_facts sapphire_rapids = { INTEL(0x8f, 8), .leaf7_edx = SPEC_BITS | LEAF7_EDX_MD_CLEAR |
	LEAF7_EDX_ARCH_CAPS, .leaf7_2_edx = LEAF7_2_EDX_RRSBA | LEAF7_2_EDX_BHI,
	.arch_caps = CAPS_RDCL_NO | CAPS_IBRS_ALL | CAPS_SKIP_L1DFL | CAPS_MDS_NO | CAPS_PSCHANGE_NO |
		     CAPS_TAA_NO | CAPS_MMIO_NO | CAPS_RRSBA | CAPS_PBRSB_NO | CAPS_GDS_NO | CAPS_RFDS_NO };
static const struct spec_facts alder_lake = { INTEL(0x97, 2), .leaf7_edx = SPEC_BITS | LEAF7_EDX_MD_CLEAR |
	LEAF7_EDX_ARCH_CAPS, .arch_caps = CAPS_RDCL_NO | CAPS_IBRS_ALL | CAPS_SKIP_L1DFL | CAPS_MDS_NO |
	CAPS_PSCHANGE_NO | CAPS_TAA_NO | CAPS_MMIO_NO | CAPS_RFDS_CLEAR };
static const struct spec_facts atom_n270 = { INTEL(0x1c, 2) };
static const struct spec_facts k8 = { AMD(0xf) };
static const struct spec_facts zen2 = { AMD(0x17), .ext8_ebx = EXT8_EBX_IBPB };
static const struct spec_facts zen3 = { AMD(0x19), .ext8_ebx = EXT8_EBX_IBPB | EXT8_EBX_BTC_NO,
					.ext21_eax = EXT21_EAX_VERW_CLEAR };
static const struct spec_facts zen4 = { AMD(0x19), .ext8_ebx = EXT8_EBX_IBPB | EXT8_EBX_BTC_NO,
					.ext21_eax = EXT21_EAX_AUTO_IBRS };
static const struct spec_facts zen5 = { AMD(0x1a), .ext8_ebx = EXT8_EBX_IBPB | EXT8_EBX_BTC_NO,
					.ext21_eax = EXT21_EAX_AUTO_IBRS | EXT21_EAX_SRSO_NO };

/* What @f's line for @name says behind the name */
static const char *says(const struct spec_facts *f, const char *name)
{
	static char text[128];
	struct spec_plan p = spec_plan(f);
	for (u32 i = 0; i < SPEC_NR_ISSUES; i++) {
		if (!strcmp(spec_issues[i].name, name)) {
			spec_text(&spec_issues[i], f, &p, text, sizeof(text));
			return text + strlen(name) + 1;
		}
	}
	fail_msg("no issue %s", name);
	return "";
}

struct row {
	const struct spec_facts *f;
	const char *name, *text; /* the line begins like this */
};

static void check_rows(const struct row *row, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		const char *said = says(row[i].f, row[i].name);
		if (strncmp(said, row[i].text, strlen(row[i].text))) {
			fail_msg("row %u, %s: %s", i, row[i].name, said);
		}
	}
}

static void test_intel(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ &sandy_bridge, "meltdown", "mitigated=own-address-space" },
		{ &sandy_bridge, "spectre-v2", "open: no IBPB" },
		{ &sandy_bridge, "l1tf", "open: no L1D_FLUSH" }, { &sandy_bridge, "mds", "open: VERW" },
		{ &sandy_bridge, "itlb-multihit", "mitigated=4-kib-pages" },
		{ &sandy_bridge, "srbds", "not-affected" }, { &sandy_bridge, "retbleed", "not-affected" },
		{ &sandy_bridge, "lazy-fp", "mitigated=eager-fpu" }, { &sandy_bridge, "taa", "not-affected" },
		{ &skylake, "spectre-v2", "mitigated=retpoline,ibpb-on-switch" },
		{ &skylake, "spectre-v4", "open: SSBD" }, { &skylake, "spectre-rsb", "open:" },
		{ &skylake, "l1tf", "mitigated=l1d-flush-on-switch" },
		{ &skylake, "mds", "mitigated=verw-on-switch" }, { &skylake, "taa", "mitigated=verw-on-switch" },
		{ &skylake, "srbds", "mitigated=microcode" }, { &skylake, "retbleed", "open: returns" },
		{ &skylake, "gds", "open: newer microcode" }, { &skylake, "bhi", "not-affected" },
		{ &skylake, "srso", "not-affected" }, { &skylake, "rfds", "not-affected" },
		{ &skylake, "mmio-stale-data", "mitigated=verw-on-switch" }, { &skylake, "its", "not-affected" },
		{ &cascade_lake, "meltdown", "not-affected" }, { &cascade_lake, "l1tf", "not-affected" },
		{ &cascade_lake, "spectre-v2", "mitigated=enhanced-ibrs" },
		{ &cascade_lake, "retbleed", "mitigated=enhanced-ibrs" },
		{ &cascade_lake, "bhi", "open: no BHI_DIS_S" }, { &cascade_lake, "mds", "not-affected" },
		{ &cascade_lake, "mmio-stale-data", "mitigated=verw" }, { &cascade_lake, "its", "open:" },
		{ &cascade_lake, "spectre-rsb", "open: one return" }, { &cascade_lake, "gds", "mitigated=microcode" },
		{ &cascade_lake, "itlb-multihit", "not-affected" },
		{ &sapphire_rapids, "bhi", "mitigated=bhi-dis-s" }, { &sapphire_rapids, "gds", "not-affected" },
		{ &sapphire_rapids, "spectre-rsb", "mitigated=enhanced-ibrs" },
		{ &sapphire_rapids, "mmio-stale-data", "not-affected" },
		{ &alder_lake, "rfds", "mitigated=verw-on-switch" }, { &alder_lake, "bhi", "mitigated=retpoline" },
		{ &atom_n270, "spectre-v1", "not-affected" }, { &atom_n270, "spectre-v2", "not-affected" },
		{ &atom_n270, "meltdown", "not-affected" }, { &atom_n270, "l1tf", "not-affected" },
	};
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_amd(void **state)
{
	(void)state;
	struct spec_facts no_smt = zen2;
	no_smt.threads = 1;
	const struct row rows[] = {
		{ &k8, "spectre-v4", "not-affected" }, { &k8, "spectre-v2", "open: no IBPB" },
		{ &k8, "retbleed", "not-affected" },
		{ &zen2, "meltdown", "not-affected" }, { &zen2, "l1tf", "not-affected" },
		{ &zen2, "mds", "not-affected" }, { &zen2, "itlb-multihit", "not-affected" },
		{ &zen2, "spectre-v2", "mitigated=retpoline,ibpb-on-switch" },
		{ &zen2, "retbleed", "open: returns" }, { &zen2, "srso", "open: returns" },
		{ &no_smt, "srso", "not-affected" }, { &zen2, "tsa", "not-affected" },
		{ &zen3, "retbleed", "not-affected" }, { &zen3, "tsa", "mitigated=verw-on-switch" },
		{ &zen4, "spectre-v2", "mitigated=auto-ibrs,ibpb-on-switch" }, { &zen4, "srso", "open: returns" },
		{ &zen4, "tsa", "open: VERW" }, { &zen4, "bhi", "not-affected" },
		{ &zen5, "srso", "not-affected" }, { &zen5, "tsa", "not-affected" },
		{ &zen5, "spectre-rsb", "mitigated=auto-ibrs" },
	};
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_plan(void **state)
{
	(void)state;
	struct spec_plan p = spec_plan(&sandy_bridge);
	assert_true(!p.ibpb && !p.verw && !p.flush_l1d && !p.spec_ctrl && p.small_pages && !p.plain_branches);
	p = spec_plan(&skylake);
	assert_true(p.ibpb && p.verw && p.flush_l1d && !p.spec_ctrl && p.small_pages && !p.plain_branches);
	p = spec_plan(&cascade_lake); /* branch history: retpolines stay */
	assert_true(p.ibpb && p.verw && !p.flush_l1d && p.spec_ctrl == SPEC_CTRL_IBRS && !p.small_pages);
	assert_false(p.plain_branches);
	p = spec_plan(&sapphire_rapids);
	assert_int_equal(p.spec_ctrl, SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S);
	assert_true(p.plain_branches && p.ibpb && !p.verw);
	p = spec_plan(&zen4);
	assert_true(p.auto_ibrs && p.plain_branches && !p.spec_ctrl && p.ibpb && !p.verw);
	p = spec_plan(&zen3);
	assert_true(!p.auto_ibrs && !p.plain_branches && p.verw);
}

static void test_off(void **state)
{
	(void)state;
	struct spec_facts f = skylake;
	f.is_off = true;
	struct spec_plan p = spec_plan(&f);
	assert_true(!p.ibpb && !p.verw && !p.flush_l1d && !p.spec_ctrl && !p.auto_ibrs && !p.small_pages);
	assert_true(p.plain_branches);
	const struct row rows[] = {
		{ &f, "spectre-v2", "open: mitigations=off" }, { &f, "l1tf", "open: mitigations=off" },
		{ &f, "mds", "open: mitigations=off" }, { &f, "itlb-multihit", "open: mitigations=off" },
		{ &f, "retbleed", "open: mitigations=off" }, { &f, "rfds", "not-affected" },
	};
	check_rows(rows, ARRAY_SIZE(rows));
	f = skylake;
	f.has_retpoline = false;
	assert_string_equal(says(&f, "spectre-v2"), "open: compiled without retpolines");
	f.mcu_opt = MCU_OPT_RNGDS_OFF;
	assert_string_equal(says(&f, "srbds"), "open: firmware has switched the mitigation off");
}

/* One CPUID at a time: leaves 0, 1, 4, 0xb, 0x1f, 0x80000000, 0x80000001, 0x8000001e */
static u32 leaf0, leaf_b[4], leaf_1f[4], leaf1[4], leaf4[4], ext0, ext1_ecx, ext1e_ebx;

static void fake_cpuid(u32 leaf, u32 sub, u32 out[4])
{
	memset(out, 0, 16);
	assert_int_equal(sub, 0);
	switch (leaf) {
	case 0: out[0] = leaf0; break;
	case 1: memcpy(out, leaf1, 16); break;
	case 4: memcpy(out, leaf4, 16); break;
	case 0xb: memcpy(out, leaf_b, 16); break;
	case 0x1f: memcpy(out, leaf_1f, 16); break;
	case 0x80000000: out[0] = ext0; break;
	case 0x80000001: out[2] = ext1_ecx; break;
	case 0x8000001e: out[1] = ext1e_ebx; break;
	default: fail_msg("leaf %x", leaf);
	}
}

static void test_topology(void **state)
{
	(void)state;
	leaf0 = 0x1f; /* two threads; then the older leaf, and a level that is no SMT level */
	memcpy(leaf_1f, (u32[]){ 1, 2, 0x100, 0 }, 16);
	assert_int_equal(topology_smt_bits(fake_cpuid), 1);
	memset(leaf_1f, 0, 16);
	memcpy(leaf_b, (u32[]){ 2, 4, 0x100, 0 }, 16);
	assert_int_equal(topology_smt_bits(fake_cpuid), 2);
	leaf0 = 0xd;
	memcpy(leaf_b, (u32[]){ 1, 1, 0x100, 0 }, 16); /* one thread in room for two */
	assert_int_equal(topology_smt_bits(fake_cpuid), 0);
	memcpy(leaf_b, (u32[]){ 0, 1, 0x100, 0 }, 16);
	assert_int_equal(topology_smt_bits(fake_cpuid), 0);
	memcpy(leaf_b, (u32[]){ 3, 4, 0x200, 0 }, 16);
	assert_int_equal(topology_smt_bits(fake_cpuid), 0);
	memset(leaf_b, 0, 16);
	ext0 = 0x8000001e;
	ext1e_ebx = 0x0105; /* two threads in core 5 */
	assert_int_equal(topology_smt_bits(fake_cpuid), 0);
	ext1_ecx = BIT(22);
	assert_int_equal(topology_smt_bits(fake_cpuid), 1);
	ext0 = 0x80000008;
	leaf0 = 4;
	memcpy(leaf1, (u32[]){ 0, 8 << 16, 0, BIT(28) }, 16); /* 8 IDs a package, 4 of cores */
	leaf4[0] = 3u << 26 | 0x21;
	assert_int_equal(topology_smt_bits(fake_cpuid), 1);
	leaf1[3] = 0;
	assert_int_equal(topology_smt_bits(fake_cpuid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intel), cmocka_unit_test(test_amd), cmocka_unit_test(test_plan),
		cmocka_unit_test(test_off), cmocka_unit_test(test_topology),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
