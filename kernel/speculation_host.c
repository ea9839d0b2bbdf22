/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Speculation on this machine: reads the facts, logs the answers, writes the MSRs. Decides nothing; no MSR is
 * touched here that CPUID does not have. Called by kmain, by each CPU once, and by the run loop when a
 * CPU goes from one partition to another.
 */
#include "kernel/speculation_host.h"
#include "cpu.h"
#include "features.h"
#include "kernel/topology.h"
#include "lib/lib.h"
#include "log.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/regs.h"

#define NR_THUNKS	15
#define PRED_CMD_IBPB	BIT(0) /* SDM 4 table 2-2; APM 2 3.2.9 */
#define FLUSH_CMD_L1D	BIT(0)

enum { EAX, EBX, ECX, EDX };

extern u8 indirect_thunks[NR_THUNKS][64]; /* lib/thunk.S */
static struct spec_plan plan; /* const after speculation_start() */

static void leaf(u32 nr, u32 sub, u32 out[4])
{
	cpuid(nr & 0xffff0000, 0, out);
	bool is_there = out[EAX] >= nr;
	memset(out, 0, 4 * sizeof(u32));
	if (is_there) {
		cpuid(nr, sub, out);
	}
}

static enum spec_vendor vendor(void)
{
	const char *name = cpu_vendor();
	return !strcmp(name, "Intel") ? SPEC_INTEL : !strcmp(name, "AMD") ? SPEC_AMD :
	       !strcmp(name, "HygonGenuine") ? SPEC_HYGON : SPEC_OTHER;
}

/* SDM 2A "CPUID", version information: extended fields count from family 0xf, or 6 for the model */
static void signature(struct spec_facts *f)
{
	u32 out[4];
	leaf(1, 0, out);
	u32 family = out[EAX] >> 8 & 0xf;
	bool has_ext_model = family == 0xf || family == 6;
	f->family = family + (family == 0xf ? out[EAX] >> 20 & 0xff : 0);
	f->model = (out[EAX] >> 4 & 0xf) | (has_ext_model ? out[EAX] >> 12 & 0xf0 : 0);
	f->stepping = out[EAX] & 0xf;
}

static struct spec_facts read_facts(bool is_vmx, bool is_off)
{
	struct spec_facts f = { .vendor = vendor(), .is_vmx = is_vmx, .is_off = is_off,
				.has_retpoline = BULKHEAD_RETPOLINE,
				.threads = 1u << topology_smt_bits(cpuid) };
	u32 out[4];
	signature(&f);
	leaf(7, 0, out);
	f.leaf7_ebx = out[EBX];
	f.leaf7_edx = out[EDX];
	if (out[EAX] >= 2) {
		leaf(7, 2, out);
		f.leaf7_2_edx = out[EDX];
	}
	leaf(0x80000008, 0, out);
	f.ext8_ebx = out[EBX];
	leaf(0x80000021, 0, out);
	f.ext21_eax = out[EAX];
	f.ext21_ecx = out[ECX];
	if (f.leaf7_edx & LEAF7_EDX_ARCH_CAPS) {
		f.arch_caps = rdmsr(MSR_ARCH_CAPABILITIES);
	}
	if (f.leaf7_edx & LEAF7_EDX_SRBDS_CTRL || f.arch_caps & CAPS_GDS_CTRL) {
		f.mcu_opt = rdmsr(MSR_MCU_OPT_CTRL);
	}
	return f;
}

/* JMP *reg: ff /4, with REX.B for R8 to R15 (SDM 2A "JMP"). Nothing here branches indirectly. */
static void plain_thunks(void)
{
	for (u32 i = 0; i < NR_THUNKS; i++) {
		u32 reg = i < 4 ? i : i + 1; /* RSP has no thunk */
		u8 *at = &indirect_thunks[i][32];
		if (reg >= 8) {
			*at++ = 0x41;
		}
		at[0] = 0xff;
		at[1] = (u8)(0xe0 | (reg & 7));
	}
	u32 out[4];
	cpuid(0, 0, out); /* serializes: SDM 3A 8.1.3 "Handling Self- and Cross-Modifying Code" */
}

bool speculation_start(const char *cmdline, bool is_vmx)
{
	const char *value;
	char text[128];
	int len = arg_find(cmdline, "mitigations", &value);
	bool is_off = len == 3 && !memcmp(value, "off", 3);
	if (len >= 0 && !is_off && (len != 4 || memcmp(value, "auto", 4))) {
		return false;
	}
	struct spec_facts f = read_facts(is_vmx, is_off);
	plan = spec_plan(&f);
	for (u32 i = 0; i < SPEC_NR_ISSUES; i++) {
		spec_text(&spec_issues[i], &f, &plan, text, sizeof(text));
		log("speculation %s", text);
	}
	if (plan.plain_branches) {
		plain_thunks();
	}
	speculation_cpu();
	return true;
}

void speculation_cpu(void)
{
	if (plan.spec_ctrl) {
		wrmsr(MSR_SPEC_CTRL, plan.spec_ctrl);
	}
	if (plan.auto_ibrs) {
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_AIBRSE);
	}
}

void speculation_switch(void)
{
	if (plan.ibpb) {
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
	}
	if (plan.flush_l1d) {
		wrmsr(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
	}
	if (plan.verw) {
		verw();
	}
}

bool speculation_small_pages(void)
{
	return plan.small_pages;
}
