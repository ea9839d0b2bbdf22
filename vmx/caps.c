/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From capability MSRs to control words and to the table of features: one table has both the name
 * of a need and its bits. Every control is asked for by itself. Pure; called by cpu.c.
 */
#include "log.h"
#include "vmx/vmx_room.h"

/* SET_LATER: toggled at run time, by us or by the CPU; it need only be allowed. */
enum need { REQUIRED, OPTIONAL, SET_LATER };

/* CR8 exits where there is no TPR shadow; MONITOR, MWAIT, RDPMC since no guest is offered them. */
static const struct {
	const char *name;
	u8 word; /* enum vmx_word */
	u8 need;
	u32 bits;
} needs[] = {
	{ "interrupt-exiting", WORD_PIN, REQUIRED, PIN_EXT_INT },
	{ "virtual-nmis", WORD_PIN, REQUIRED, PIN_NMI | PIN_VIRTUAL_NMIS },
	{ "preemption-timer", WORD_PIN, REQUIRED, PIN_PREEMPTION_TIMER },
	{ "posted-interrupts", WORD_PIN, OPTIONAL, PIN_POSTED },
	{ "event-windows", WORD_PROC, SET_LATER, PROC_INT_WINDOW | PROC_NMI_WINDOW },
	{ "tsc-offsetting", WORD_PROC, REQUIRED, PROC_TSC_OFFSET },
	{ "insn-exiting", WORD_PROC, REQUIRED, PROC_HLT | PROC_MWAIT | PROC_RDPMC | PROC_MONITOR },
	{ "cr8-exiting", WORD_PROC, REQUIRED, PROC_CR8_LOAD | PROC_CR8_STORE },
	{ "tpr-shadow", WORD_PROC, OPTIONAL, PROC_TPR_SHADOW },
	{ "io-and-msr-bitmaps", WORD_PROC, REQUIRED, PROC_IO_BITMAPS | PROC_MSR_BITMAPS },
	{ "secondary-controls", WORD_PROC, REQUIRED, PROC_SECONDARY },
	{ "ept", WORD_PROC2, REQUIRED, PROC2_EPT },
	{ "unrestricted-guest", WORD_PROC2, REQUIRED, PROC2_UNRESTRICTED_GUEST },
	{ "vpid", WORD_PROC2, REQUIRED, PROC2_VPID },
	{ "rdtscp", WORD_PROC2, REQUIRED, PROC2_RDTSCP },
	{ "apic-access", WORD_PROC2, OPTIONAL, PROC2_APIC_ACCESS },
	{ "x2apic-virtualization", WORD_PROC2, OPTIONAL, PROC2_X2APIC },
	{ "apic-registers", WORD_PROC2, OPTIONAL, PROC2_APIC_REGISTERS },
	{ "virtual-interrupts", WORD_PROC2, OPTIONAL, PROC2_VIRQ_DELIVERY },
	{ "pause-loop-exiting", WORD_PROC2, OPTIONAL, PROC2_PAUSE_LOOP },
	{ "invpcid", WORD_PROC2, OPTIONAL, PROC2_INVPCID },
	{ "wbinvd-exiting", WORD_PROC2, OPTIONAL, PROC2_WBINVD },
	{ "encls-exiting", WORD_PROC2, OPTIONAL, PROC2_ENCLS },
	{ "exit-switching", WORD_EXIT, REQUIRED, EXITC_ALL },
	{ "interrupt-acknowledge", WORD_EXIT, OPTIONAL, EXITC_ACK },
	{ "entry-switching", WORD_ENTRY, REQUIRED, ENTRYC_ALL },
	{ "64-bit-guest", WORD_ENTRY, SET_LATER, ENTRYC_IA32E },
	{ "ept-4-level-wb-2m", WORD_EPT, REQUIRED, EPT_CAP_WALK_4 | EPT_CAP_WB | EPT_CAP_2M },
	{ "invept", WORD_EPT, REQUIRED, EPT_CAP_INVEPT },
	{ "1g-pages", WORD_EPT, OPTIONAL, EPT_CAP_1G }, /* kmain asks for it by this name */
	{ "exit-information", WORD_BASIC, REQUIRED, VMX_BASIC_INS_OUTS | VMX_BASIC_TRUE_CTLS },
};
static_assert(ARRAY_SIZE(needs) + 2 <= MAX_FEATURES, "the caller's table holds all rows");

static bool allows(const struct vmx_caps *c, u32 word, u32 bits)
{
	return (c->word[word] >> 32 & bits) == bits;
}

bool vmx_ctl_adjust(u64 cap, u32 required, u32 wanted, u32 *out)
{
	u32 may = (u32)(cap >> 32), must = (u32)cap;

	*out = required | (wanted & may) | must;
	return (required & may) == required;
}

/* SDM 3C 27.2.1.1 "VM-Execution Control Fields": the rest hangs on the TPR shadow, with which CR8 need not exit */
static void choose_apic(const struct vmx_caps *c, u32 out[NR_WORDS])
{
	bool has_shadow = out[WORD_PROC] & PROC_TPR_SHADOW;
	u32 word = has_shadow ? WORD_PROC : WORD_PROC2;

	out[word] &= ~(u32)(has_shadow ? PROC_CR8_LOAD | PROC_CR8_STORE : PROC2_APIC_ALL) | (u32)c->word[word];
}

/* Both or none; they hang on virtual-interrupt delivery (SDM 3C 27.2.1.1) */
static void choose_posted(const struct vmx_caps *c, u32 out[NR_WORDS])
{
	bool can = out[WORD_PIN] & PIN_POSTED && out[WORD_EXIT] & EXITC_ACK && out[WORD_PROC2] & PROC2_VIRQ_DELIVERY;

	out[WORD_PIN] &= ~(u32)(can ? 0 : PIN_POSTED);
	out[WORD_EXIT] &= ~(u32)(can ? 0 : EXITC_ACK) | (u32)c->word[WORD_EXIT];
}

bool vmx_controls_choose(const struct vmx_caps *c, u32 out[NR_WORDS])
{
	u32 bits[NR_WORDS][SET_LATER + 1] = { { 0 } };
	bool ok = c->has_vmx;

	for (u32 i = 0; i < ARRAY_SIZE(needs); i++) {
		bits[needs[i].word][needs[i].need] |= needs[i].bits;
	}
	for (u32 w = 0; w < NR_WORDS; w++) {
		ok &= vmx_ctl_adjust(c->word[w], bits[w][REQUIRED], bits[w][OPTIONAL], &out[w]);
		ok &= allows(c, w, bits[w][SET_LATER]);
	}
	choose_apic(c, out);
	choose_posted(c, out);
	return ok;
}

u32 vmx_features(const struct vmx_caps *c, struct feature *out, u32 max)
{
	u64 fc = c->feature_control & (FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMXON);
	bool is_on = c->has_vmx && fc != FEATURE_CONTROL_LOCK; /* or can be switched on */
	const char *old = c->has_vmx ? "the CPU's VT-x is too old" : "the CPU has no VT-x";
	const char *locked = c->has_vmx ? "VT-x is locked off in firmware setup" : old;
	u32 nr = 0;

	BUG_ON(max < ARRAY_SIZE(needs) + 2);
	out[nr++] = (struct feature){ "vt-x", c->has_vmx, old };
	out[nr++] = (struct feature){ "vt-x-enabled", is_on, locked };
	for (u32 i = 0; i < ARRAY_SIZE(needs); i++) {
		bool is_present = allows(c, needs[i].word, needs[i].bits);
		const char *reason = needs[i].need == OPTIONAL ? NULL : old;
		out[nr++] = (struct feature){ needs[i].name, is_present, reason };
	}
	return nr;
}
