// SPDX-License-Identifier: BSD-2-Clause
/*
 * VT-x on one physical CPU: what it can do, VMXON, VMXOFF. Fills vmx_common on the boot CPU and
 * insists that all others agree with it. Called through vmx_ops, at boot and at the end.
 */
#include "lib/lib.h"
#include "log.h"
#include "vmx/vmx_room.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/regs.h"
#include "x86/vmx_insn.h"

#define CPUID_1_ECX_VMX BIT(5)

struct vmx_common vmx_common;

/*
 * Which MSR holds a word, and which bit of an earlier word says that it exists (SDM 3D A.3, A.10).
 * The TRUE_ ones tell CR3 exits from those that must be: a CPU without them is too old anyway.
 */
static const struct {
	u32 msr;
	u8 gate;
	u32 gate_bit;
} words[NR_WORDS] = {
	[WORD_PIN] = { MSR_VMX_TRUE_PINBASED, 0, 0 },
	[WORD_PROC] = { MSR_VMX_TRUE_PROCBASED, 0, 0 },
	[WORD_PROC2] = { MSR_VMX_PROCBASED_CTLS2, WORD_PROC, PROC_SECONDARY },
	[WORD_EXIT] = { MSR_VMX_TRUE_EXIT, 0, 0 },
	[WORD_ENTRY] = { MSR_VMX_TRUE_ENTRY, 0, 0 },
	[WORD_EPT] = { MSR_VMX_EPT_VPID_CAP, WORD_PROC2, PROC2_EPT },
};

static struct vmx_caps caps_read(void)
{
	struct vmx_caps c = { .has_vmx = false };
	u32 regs[4];

	cpuid(1, 0, regs);
	if (!(regs[2] & CPUID_1_ECX_VMX)) {
		return c;
	}
	c.has_vmx = true;
	c.feature_control = rdmsr(MSR_FEATURE_CONTROL);
	c.basic = rdmsr(MSR_VMX_BASIC);
	c.misc = rdmsr(MSR_VMX_MISC);
	for (u32 w = 0; w < NR_WORDS && (c.basic & VMX_BASIC_TRUE_CTLS); w++) {
		u64 gate = words[w].gate_bit;
		if ((c.word[words[w].gate] >> 32 & gate) == gate) {
			c.word[w] = rdmsr(words[w].msr);
		}
	}
	c.word[WORD_EPT] <<= 32;
	return c;
}

static bool common_choose(const struct vmx_caps *caps, struct vmx_common *out)
{
	u64 ept = caps->word[WORD_EPT] >> 32;

	memset(out, 0, sizeof(*out));
	out->revision = (u32)field_get(VMX_BASIC_REVISION, caps->basic);
	out->timer_rate = (u32)field_get(VMX_MISC_TIMER_RATE, caps->misc);
	out->has_insn_info = caps->basic & VMX_BASIC_INS_OUTS;
	out->invept_type = ept & EPT_CAP_INVEPT_SINGLE ? INVEPT_SINGLE : INVEPT_ALL;
	return vmx_controls_choose(caps, out->ctl);
}

u32 vmx_probe(struct feature *out, u32 max)
{
	struct vmx_caps caps = caps_read();

	(void)common_choose(&caps, &vmx_common); /* the table tells what is missing */
	return vmx_features(&caps, out, max);
}

/* Firmware may leave the choice to us; once locked it stands until reset (SDM 3C 24.7). */
static bool can_vmxon(void)
{
	u64 fc = rdmsr(MSR_FEATURE_CONTROL);

	if (!(fc & FEATURE_CONTROL_LOCK)) {
		fc |= FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMXON;
		wrmsr(MSR_FEATURE_CONTROL, fc);
	}
	return fc & FEATURE_CONTROL_VMXON;
}

/* SDM 3C 24.8 "Restrictions on VMX Operation": bits that must be 1, bits that may be */
static u64 cr_fix(u64 cr, u32 fixed0, u32 fixed1)
{
	return (cr | rdmsr(fixed0)) & rdmsr(fixed1);
}

enum status vmx_cpu_on(struct page_source *pages)
{
	struct vmx_caps caps = caps_read();
	struct vmx_common mine;
	bool failed;

	if (!common_choose(&caps, &mine) || memcmp(&mine, &vmx_common, sizeof(mine)) != 0 ||
	    !can_vmxon()) {
		return STATUS_UNSUPPORTED;
	}
	hpa region = pages->alloc(pages, 1);
	if (region.v == 0) {
		return STATUS_NO_MEMORY;
	}
	*(u32 *)pages->ptr(pages, region) = mine.revision;
	write_cr0(cr_fix(read_cr0(), MSR_VMX_CR0_FIXED0, MSR_VMX_CR0_FIXED1));
	write_cr4(cr_fix(read_cr4() | CR4_VMXE, MSR_VMX_CR4_FIXED0, MSR_VMX_CR4_FIXED1));
	failed = vmxon(region.v);
	if (failed) {
		return STATUS_UNSUPPORTED;
	}
	/* Whoever had the CPU before may have left translations (SDM 3C 29.4.3.4). */
	failed = invept(INVEPT_ALL, 0);
	BUG_ON(failed);
	return STATUS_OK;
}

void vmx_cpu_off(void)
{
	vmxoff();
	write_cr4(read_cr4() & ~CR4_VMXE);
}
