/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC as far as this CPU serves it: from the kernel's view of it to VMCS fields, and which
 * mode's accesses the CPU takes. Knows no register but those that the VMCS has a say in. What the CPU
 * lacks stays with exits. SDM 3C chapter 30 "APIC Virtualization and Virtual Interrupts".
 */
#include "lib/lib.h"
#include "vmx/vmcs.h"

#define BY_MODE (PROC2_APIC_ACCESS | PROC2_X2APIC)

void vmx_apic_init(struct vcpu *v, const struct vcpu_params *p)
{
	const u32 *ctl = vmx_common.ctl;

	v->has_apic = ctl[WORD_PROC] & PROC_TPR_SHADOW;
	v->delivers_irqs = ctl[WORD_PROC2] & PROC2_VIRQ_DELIVERY;
	if (v->has_apic) {
		vmcs_write64(VMCS_VIRTUAL_APIC, p->apic_page.v);
		vmcs_write32(VMCS_TPR_THRESHOLD, 0);
	}
	if (ctl[WORD_PROC2] & PROC2_APIC_ACCESS) {
		vmcs_write64(VMCS_APIC_ACCESS, p->apic_access.v);
	}
	if (v->delivers_irqs) {
		vmcs_write16(VMCS_GUEST_INT_STATUS, 0);
		for (u32 i = 0; i < VMX_NR_EOI_EXITS; i++) {
			vmcs_write64(VMCS_EOI_EXIT(i), 0);
		}
	}
	v->takes_posts = ctl[WORD_PIN] & PIN_POSTED;
	if (v->takes_posts) { /* SDM 3C 30.6 "Posted-Interrupt Processing" */
		vmcs_write16(VMCS_POSTED_VECTOR, p->post_vector);
		vmcs_write64(VMCS_POSTED_DESCRIPTOR, p->posts.v);
	}
}

/* The cached translations of one space say nothing of the other, and may be old */
static void use_space(struct vmx_vcpu *x, u64 eptp)
{
	if (x->eptp != eptp) {
		x->eptp = eptp;
		x->must_flush = x->needs_care = true;
		vmcs_write64(VMCS_EPTP, eptp);
	}
}

static void set_mode(struct vmx_vcpu *x, enum apic_mode mode)
{
	u32 can = vmx_common.ctl[WORD_PROC2];
	u32 wanted = mode == APIC_XAPIC ? PROC2_APIC_ACCESS : mode == APIC_X2APIC ? PROC2_X2APIC : 0;
	u32 on = can & wanted;

	x->apic_mode = mode;
	vmcs_update32(VMCS_PROC_CTLS2, BY_MODE, on);
	vmx_x2apic_pass(x->msr_bitmap, on & PROC2_X2APIC ? can : 0);
	use_space(x, on & PROC2_APIC_ACCESS ? x->eptp_apic : x->eptp_plain);
}

/* SDM 3C 25.4.2 "Guest Non-Register State": RVI below, SVI above */
static void show_requests(struct vmx_vcpu *x, const struct apic_view *view)
{
	vmcs_write16(VMCS_GUEST_INT_STATUS, (u16)(view->in_service << 8 | view->requested));
	for (u32 i = 0; i < VMX_NR_EOI_EXITS; i++) {
		u64 exits = view->level[2 * i] | (u64)view->level[2 * i + 1] << 32;

		if (x->eoi_exit[i] != exits) {
			x->eoi_exit[i] = exits;
			vmcs_write64(VMCS_EOI_EXIT(i), exits);
		}
	}
}

void vmx_apic_watch_tpr(struct vmx_vcpu *x, u8 class)
{
	if (x->tpr_threshold != class >> 4) {
		x->tpr_threshold = class >> 4;
		vmcs_write32(VMCS_TPR_THRESHOLD, x->tpr_threshold);
	}
}

void vmx_apic(struct vcpu *v, const struct apic_view *view)
{
	struct vmx_vcpu *x = v->hw;
	u64 before = vmcs_borrow(v);

	if (x->apic_mode != view->mode) {
		set_mode(x, view->mode);
	}
	if (v->delivers_irqs) {
		show_requests(x, view);
	} else {
		vmx_apic_watch_tpr(x, view->blocked_class);
	}
	vmcs_return(v, before);
}

/* RVI is the highest vector of IRR; the CPU finds the others itself (SDM 3C 30.2.2 "Virtual-Interrupt Delivery") */
static void request(u8 vector)
{
	u16 status = vmcs_peek16(VMCS_GUEST_INT_STATUS);

	if (vector > (u8)status) {
		vmcs_poke16(VMCS_GUEST_INT_STATUS, (u16)((status & 0xff00) | vector));
	}
}

static cold void request_elsewhere(struct vcpu *v, u8 vector)
{
	u64 before = vmcs_borrow(v);

	request(vector);
	vmcs_return(v, before);
}

void vmx_request(struct vcpu *v, u8 vector)
{
	if (((struct vmx_vcpu *)v->hw)->is_loaded) {
		request(vector);
	} else {
		request_elsewhere(v, vector);
	}
}
