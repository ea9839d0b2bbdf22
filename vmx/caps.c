// SPDX-License-Identifier: BSD-2-Clause
/*
 * From capability MSRs to control words and to the table of features. Every control is asked for by
 * itself: what is required must be allowed, what is wanted is taken if it is. Pure.
 */
#include "vmx/vmx_room.h"

#define PIN_REQUIRED (PIN_EXT_INT | PIN_NMI | PIN_VIRTUAL_NMIS | PIN_PREEMPTION_TIMER)

/* CR8 exits since no TPR shadow is used; MONITOR, MWAIT and RDPMC since no guest is offered them. */
#define PROC_REQUIRED                                                                            \
	(PROC_TSC_OFFSET | PROC_HLT | PROC_MWAIT | PROC_RDPMC | PROC_CR8_LOAD | PROC_CR8_STORE | \
	 PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_MONITOR | PROC_SECONDARY)
#define PROC2_REQUIRED (PROC2_EPT | PROC2_UNRESTRICTED_GUEST)
#define PROC2_WANTED   (PROC2_VPID | PROC2_RDTSCP | PROC2_INVPCID | PROC2_WBINVD)

#define EXIT_PAT       (EXITC_SAVE_PAT | EXITC_LOAD_PAT)
#define EXIT_EFER      (EXITC_SAVE_EFER | EXITC_LOAD_EFER)
#define EXIT_REQUIRED  (EXITC_SAVE_DEBUG | EXITC_HOST_64 | EXIT_PAT | EXIT_EFER)
#define ENTRY_REQUIRED (ENTRYC_LOAD_DEBUG | ENTRYC_LOAD_PAT | ENTRYC_LOAD_EFER)

/* Toggled later, or by the CPU itself, so not in the first control words, but needed */
#define PROC_ALLOWED  (PROC_INT_WINDOW | PROC_NMI_WINDOW)
#define ENTRY_ALLOWED ENTRYC_IA32E

#define EPT_REQUIRED (EPT_CAP_WALK_4 | EPT_CAP_WB | EPT_CAP_INVEPT)
#define INVEPT_ANY   (EPT_CAP_INVEPT_SINGLE | EPT_CAP_INVEPT_ALL)

static bool allows(u64 cap, u64 bits)
{
	return ((cap >> 32) & bits) == bits;
}

static bool has_all(u64 value, u64 bits)
{
	return (value & bits) == bits;
}

bool vmx_ctl_adjust(u64 cap, u32 required, u32 wanted, u32 *out)
{
	*out = required | (wanted & (u32)(cap >> 32)) | (u32)cap;
	return allows(cap, required);
}

bool vmx_controls_choose(const struct vmx_caps *c, struct vmx_controls *out)
{
	bool ok = c->has_vmx && (c->basic & VMX_BASIC_TRUE_CTLS);
	ok &= vmx_ctl_adjust(c->pin, PIN_REQUIRED, 0, &out->pin);
	ok &= vmx_ctl_adjust(c->proc, PROC_REQUIRED, 0, &out->proc);
	ok &= vmx_ctl_adjust(c->proc2, PROC2_REQUIRED, PROC2_WANTED, &out->proc2);
	ok &= vmx_ctl_adjust(c->exit, EXIT_REQUIRED, 0, &out->exit);
	ok &= vmx_ctl_adjust(c->entry, ENTRY_REQUIRED, 0, &out->entry);
	ok &= allows(c->proc, PROC_ALLOWED) && allows(c->entry, ENTRY_ALLOWED);
	return ok && has_all(c->ept_vpid, EPT_REQUIRED) && (c->ept_vpid & INVEPT_ANY);
}

static bool can_vmxon(const struct vmx_caps *c)
{
	return !(c->feature_control & FEATURE_CONTROL_LOCK) ||
	       (c->feature_control & FEATURE_CONTROL_VMXON);
}

/* Without @is_optional a missing row stops the machine, so what we can do without is then left out. */
struct row {
	struct feature f;
	bool is_optional;
};

u32 vmx_features(const struct vmx_caps *c, struct feature *out, u32 max)
{
	const char *old = "the CPU's VT-x is too old";
	const char *none = c->has_vmx ? old : "the CPU has no VT-x";
	bool ept = allows(c->proc2, PROC2_EPT) && has_all(c->ept_vpid, EPT_REQUIRED) &&
		   (c->ept_vpid & INVEPT_ANY);
	bool vnmi = allows(c->pin, PIN_VIRTUAL_NMIS) && allows(c->proc, PROC_NMI_WINDOW);
	const u64 cr8 = PROC_CR8_LOAD | PROC_CR8_STORE;
	const u64 idle = PROC_HLT | PROC_MWAIT | PROC_MONITOR;
	const struct row table[] = {
		{ { "vt-x", c->has_vmx, "the CPU has no VT-x" }, false },
		{ { "vt-x-enabled", c->has_vmx && can_vmxon(c),
		    c->has_vmx ? "VT-x is locked off in firmware setup" : none }, false },
		{ { "true-controls", c->basic & VMX_BASIC_TRUE_CTLS, none }, false },
		{ { "interrupt-exiting", allows(c->pin, PIN_EXT_INT), none }, false },
		{ { "nmi-exiting", allows(c->pin, PIN_NMI), none }, false },
		{ { "virtual-nmis", vnmi, none }, false },
		{ { "preemption-timer", allows(c->pin, PIN_PREEMPTION_TIMER), none }, false },
		{ { "interrupt-window", allows(c->proc, PROC_INT_WINDOW), none }, false },
		{ { "tsc-offsetting", allows(c->proc, PROC_TSC_OFFSET), none }, false },
		{ { "idle-exiting", allows(c->proc, idle), none }, false },
		{ { "cr8-exiting", allows(c->proc, cr8), none }, false },
		{ { "io-bitmaps", allows(c->proc, PROC_IO_BITMAPS), none }, false },
		{ { "msr-bitmaps", allows(c->proc, PROC_MSR_BITMAPS), none }, false },
		{ { "secondary-controls", allows(c->proc, PROC_SECONDARY), none }, false },
		{ { "ept", ept, none }, false },
		{ { "ept-2m", c->ept_vpid & EPT_CAP_2M, none }, false },
		{ { "unrestricted-guest", allows(c->proc2, PROC2_UNRESTRICTED_GUEST), none }, false },
		{ { "64-bit", allows(c->exit, EXITC_HOST_64) && allows(c->entry, ENTRYC_IA32E), none },
		  false },
		{ { "switch-pat", allows(c->exit, EXIT_PAT) && allows(c->entry, ENTRYC_LOAD_PAT), none },
		  false },
		{ { "switch-efer", allows(c->exit, EXIT_EFER) && allows(c->entry, ENTRYC_LOAD_EFER),
		    none }, false },
		{ { "vpid", allows(c->proc2, PROC2_VPID), NULL }, true },
		{ { "wbinvd-exiting", allows(c->proc2, PROC2_WBINVD), NULL }, true },
	};
	static_assert(ARRAY_SIZE(table) <= MAX_FEATURES, "the caller's table holds all rows");
	u32 nr = 0;
	for (u32 i = 0; i < ARRAY_SIZE(table) && nr < max; i++) {
		if (table[i].f.is_present || !table[i].is_optional) {
			out[nr++] = table[i].f;
		}
	}
	return nr;
}
