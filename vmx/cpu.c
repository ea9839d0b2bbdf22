/* SPDX-License-Identifier: BSD-2-Clause */
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
 * The TRUE_ ones tell CR3 exits from those that must be. What an old CPU does not have is 0, and
 * so allows nothing (SDM 3D A.2 to A.10).
 */
static const u32 word_msrs[NR_WORDS] = {
	[WORD_PIN] = MSR_VMX_TRUE_PINBASED,	 [WORD_PROC] = MSR_VMX_TRUE_PROCBASED,
	[WORD_PROC2] = MSR_VMX_PROCBASED_CTLS2,	 [WORD_EXIT] = MSR_VMX_TRUE_EXIT,
	[WORD_ENTRY] = MSR_VMX_TRUE_ENTRY,	 [WORD_EPT] = MSR_VMX_EPT_VPID_CAP,
	[WORD_BASIC] = MSR_VMX_BASIC,
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
	c.misc = rdmsr(MSR_VMX_MISC);
	for (u32 w = 0; w < NR_WORDS; w++) {
		(void)rdmsr_try(word_msrs[w], &c.word[w]);
	}
	c.word[WORD_EPT] <<= 32;
	return c;
}

static bool common_choose(const struct vmx_caps *caps, struct vmx_common *out)
{
	out->revision = (u32)field_get(VMX_BASIC_REVISION, caps->word[WORD_BASIC]);
	out->timer_rate = (u32)field_get(VMX_MISC_TIMER_RATE, caps->misc);
	return vmx_controls_choose(caps, out->ctl);
}

u32 vmx_probe(struct feature *out, u32 max)
{
	struct vmx_caps caps = caps_read();

	(void)common_choose(&caps, &vmx_common); /* the table tells what is missing */
	return vmx_features(&caps, out, max);
}

/* All else that serves a local APIC hangs on the TPR shadow */
const struct vcpu_ops *vmx_no_apic(void)
{
	struct vmx_caps caps = caps_read();

	caps.word[WORD_PROC] &= ~((u64)PROC_TPR_SHADOW << 32);
	(void)common_choose(&caps, &vmx_common);
	return &vmx_ops;
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
	if (vmxon(region.v)) {
		return STATUS_UNSUPPORTED;
	}
	/* Whoever had the CPU before may have left translations (SDM 3C 29.4.3.4). */
	BUG_ON(invept(INVEPT_ALL, 0));
	return STATUS_OK;
}
