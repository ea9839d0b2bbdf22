/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC as far as AVIC serves it: xAPIC mode, for an entry that needs V_IRQ for nothing else. What
 * it does not do exits, behind the access or before it, and is the kernel's. Knows the few registers that the
 * VMCB has a say in. APM 2 15.29 "Advanced Virtual Interrupt Controller". Pure.
 */
#include "svm_vcpu.h"

/* Offsets, as in APM 2 table 16-2 */
enum { APIC_TPR = 0x80, APIC_PPR = 0xa0, APIC_EOI = 0xb0, APIC_ISR = 0x100, APIC_ICR = 0x300, APIC_REGS_END = 0x400 };

/*
 * Registers whose write AVIC puts into the page and then exits behind the instruction; all others exit before
 * it, if at all (APM 2 15.29, table "Guest vAPIC Register Access Behavior"). EOI does so for a level-triggered
 * vector, which is still in service then.
 */
#define REG(offset) BIT((offset) / 16)
static const u64 written_behind = REG(0x20) /* ID */ | REG(APIC_EOI) | REG(0xc0) /* remote read */ |
	REG(0xd0) /* LDR */ | REG(0xe0) /* DFR */ | REG(0xf0) /* SVR */ | REG(0x280) /* ESR */ | REG(APIC_ICR) |
	BITS(0x370 / 16, 0x320 / 16) /* LVT */ | REG(0x380) /* initial count */ | REG(0x3e0); /* divide */

/*
 * An IPI to others is always ours: each destination that AVIC looks up is there and does not run, so the exit
 * INCOMPLETE_IPI comes behind the write of ICR, whatever the shorthand, and what it has set in IRR is in a page
 * that nobody reads. So nothing is delivered twice, nothing to an APIC that is off, all in one way of counting
 * logical destinations, and nobody but a core's own CPU writes its page. What AVIC does by itself is an IPI to
 * itself by shorthand. Nor is IS_RUNNING ever trusted, which is erratum 1235 of some CPUs of family 17h.
 */
static void fill_tables(struct svm_avic *t, u64 pa)
{
	u64 nobody = pa + offsetof(struct svm_avic, nobody);
	for (u32 i = 0; i < ARRAY_SIZE(t->physical); i++) {
		t->physical[i] = AVIC_PHYSICAL_VALID | (nobody & AVIC_PHYSICAL_PAGE);
	}
	for (u32 i = 0; i < ARRAY_SIZE(t->logical); i++) {
		t->logical[i] = (u32)AVIC_LOGICAL_VALID;
	}
}

void svm_avic_init(struct svm_vcpu *hw, const struct vcpu_params *p)
{
	struct svm_avic *t = (struct svm_avic *)(hw + 1);
	u64 pa = hw->pa + sizeof(*hw);
	struct vmcb *b = &hw->vmcb;
	fill_tables(t, pa);
	hw->has_avic = true;
	hw->apic = p->pages->ptr(p->pages, p->apic_page);
	hw->ncr3_plain = p->second_level.v;
	hw->ncr3_apic = p->with_apic.v;
	b->avic_bar = p->apic_base.v;
	b->avic_backing_page = p->apic_page.v;
	b->avic_logical_table = pa + offsetof(struct svm_avic, logical);
	b->avic_physical_table = (pa + offsetof(struct svm_avic, physical)) | AVIC_MAX_INDEX;
}

/* The kernel computes PPR when it is asked for; a guest that AVIC serves reads it in the page (SDM 3A 11.8.3.1) */
static void show_ppr(struct svm_apic_page *a)
{
	u32 tpr = a->reg[APIC_TPR / 16].value & 0xff, in_service = 0;
	for (u32 i = 0; i < 8; i++) {
		u32 word = a->reg[APIC_ISR / 16 + i].value;
		in_service = word ? 32 * i + 31 - (u32)__builtin_clz(word) : in_service;
	}
	in_service &= 0xf0;
	a->reg[APIC_PPR / 16].value = (tpr & 0xf0) >= in_service ? tpr : in_service;
}

/*
 * CR8 is TPR while AVIC is on. What the TLB says of the local APIC's address belongs to the other space: with a
 * page there AVIC takes the accesses, without they are nested page faults.
 */
static void turn(struct svm_vcpu *hw, bool on)
{
	struct vmcb *b = &hw->vmcb;
	vmcb_set(b, CLEAN_TPR, v_intr, on ? b->v_intr | V_AVIC : b->v_intr & ~V_AVIC);
	vmcb_set(b, CLEAN_NP, n_cr3, on ? hw->ncr3_apic : hw->ncr3_plain);
	vmcb_intercept(b, VMEXIT_CR8_READ, !on);
	vmcb_intercept(b, VMEXIT_CR8_WRITE, !on);
	svm_flush_asid(hw);
	if (on) {
		show_ppr(hw->apic);
	}
}

/*
 * With AVIC V_IRQ is ignored, so an entry that has a window open, or an interrupt in V_IRQ, is one without. What
 * the local APIC has requested misses nothing: a window opens when that could be delivered too, and then it exits.
 * Nor may an interrupt come into the step over an IRET, and push our RFLAGS.TF.
 * The CPU compares requests with V_TPR, which it takes over from the page at a guest's write only.
 */
void svm_avic_enter(struct svm_vcpu *hw)
{
	struct vmcb *b = &hw->vmcb;
	bool is_free = !hw->irq_is_queued && !hw->is_stepping && !vmcb_is_intercepted(b, VMEXIT_VINTR);
	bool on = hw->wants_avic && is_free;
	if (on != !!(b->v_intr & V_AVIC)) {
		turn(hw, on);
	}
	u64 v_intr = field_set(V_TPR, b->v_intr & ~V_IRQ, hw->apic->reg[APIC_TPR / 16].value >> 4);
	if (on && b->v_intr != v_intr) {
		vmcb_set(b, CLEAN_TPR, v_intr, v_intr);
	}
}

/* Off or in x2APIC mode it is served by exits alone, and the kernel delivers */
void svm_apic(struct vcpu *v, const struct apic_view *view)
{
	struct svm_vcpu *hw = v->hw;
	hw->wants_avic = v->delivers_irqs = view->mode == APIC_XAPIC;
	show_ppr(hw->apic);
}

/* VMRUN looks at IRR by itself (APM 2 15.29) */
void svm_request(struct vcpu *v, u8 vector)
{
	(void)v, (void)vector;
}

/* Has the CPU taken @vector out of service before it told of its EOI? Then only the rest is ours. */
static bool is_ended(const struct svm_vcpu *hw, u8 vector)
{
	return vector >= 16 && !(hw->apic->reg[APIC_ISR / 16 + vector / 32].value >> vector % 32 & 1);
}

/* Behind the write, which is in the page. EXITINFO2 of an EOI is the vector. */
static void decode_write(const struct svm_vcpu *hw, u32 offset, struct exit *e)
{
	u8 vector = (u8)hw->vmcb.exit_info2;
	if (offset == APIC_EOI && is_ended(hw, vector)) {
		e->kind = EXIT_EOI;
		e->vector = vector;
	} else {
		e->kind = EXIT_APIC_WRITE;
		e->apic_offset = (u16)offset;
	}
}

/* The reason of an INCOMPLETE_IPI does not matter: nothing of the IPI has been done */
void svm_avic_decode(const struct svm_vcpu *hw, struct exit *e)
{
	const struct vmcb *b = &hw->vmcb;
	u32 offset = (u32)(b->exit_info1 & AVIC_OFFSET);
	bool is_write = b->exit_info1 & AVIC_IS_WRITE;
	if (!(b->v_intr & V_AVIC)) {
		e->kind = EXIT_UNEXPECTED;
	} else if ((u32)b->exit_code == VMEXIT_AVIC_INCOMPLETE_IPI) {
		decode_write(hw, APIC_ICR, e);
	} else if (is_write && offset < APIC_REGS_END && written_behind >> offset / 16 & 1) {
		decode_write(hw, offset, e);
	} else {
		e->kind = EXIT_MMIO;
		e->mmio = (struct exit_mmio){ .addr = GPA(b->avic_bar + offset), .is_write = is_write };
	}
}
