/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a VMCB apart from VMRUN itself: reset state, events and windows, and NMI blocking,
 * which AMD-V leaves to software. Knows no policy: the kernel says what to inject and when. Pure.
 */
#include "svm_vcpu.h"
#include "x86/regs.h"

/* Spinning, not a short wait: some tens of microseconds (APM 2 15.14.4 "Pause Intercept Filtering") */
#define PAUSES_IN_SPIN 1000
#define PAT_RESET 0x0007040600070406ull

/* APM 2 table 14-1 "Initial Processor State" */
static void reset_state(struct vmcb *b)
{
	static const struct vmcb_seg data = { .attr = 0x093, .limit = 0xffff };
	b->es = b->ss = b->ds = b->fs = b->gs = data;
	b->cs = (struct vmcb_seg){ 0xf000, .attr = 0x09b, .limit = 0xffff, .base = 0xffff0000 };
	b->ldtr = (struct vmcb_seg){ .attr = 0x082, .limit = 0xffff };
	b->tr = (struct vmcb_seg){ .attr = 0x08b, .limit = 0xffff };
	b->gdtr.limit = b->idtr.limit = 0xffff;
	b->cr0 = CR0_CD | CR0_NW | CR0_ET;
	b->efer = EFER_SVME; /* VMRUN insists on it (15.5.1); the guest does not see it */
	b->rflags = RFLAGS_FIXED1;
	b->rip = 0xfff0;
	b->dr6 = DR6_FIXED1;
	b->dr7 = DR7_FIXED1;
	b->g_pat = PAT_RESET;
}

void svm_vcpu_setup(struct svm_vcpu *hw, const struct vcpu_params *p, u32 features, u32 nr_asids)
{
	struct vmcb *b = &hw->vmcb;
	u32 last_asid = nr_asids - 1;
	hw->features = features;
	hw->shares_asid = p->tag >= last_asid;
	svm_msrpm_build(hw->msrpm, p->msrs, p->nr_msrs);
	svm_iopm_build(hw->iopm, p->io_pass, p->nr_io_pass);
	for (u32 i = 0; i < ARRAY_SIZE(b->intercept); i++) {
		b->intercept[i] = svm_intercepts(i);
	}
	b->msrpm_pa = hw->pa + offsetof(struct svm_vcpu, msrpm);
	b->iopm_pa = hw->pa + offsetof(struct svm_vcpu, iopm);
	b->asid = MIN(p->tag, last_asid);
	b->v_intr = V_INTR_MASKING;
	b->np_control = NP_ENABLE;
	b->n_cr3 = p->second_level.v;
	vmcb_intercept(b, VMEXIT_PAUSE, p->exits_on_pause);
	b->pause_count = features & SVM_FEATURE_PAUSE_COUNT ? PAUSES_IN_SPIN : 0;
	reset_state(b);
	b->clean = 0;
	b->tlb_control = TLB_FLUSH_ALL;
}

void svm_flush(struct vcpu *v)
{
	svm_flush_asid(v->hw);
}

/*
 * A window is a virtual interrupt that never gets in: V_IRQ pends above any TPR, and VINTR exits
 * the moment the guest would take it. Both go together: with V_IRQ alone some hypervisors below
 * refuse the entry.
 */
void svm_set_window(struct vmcb *b, bool on)
{
	const u64 irq = V_IRQ | V_INTR_PRIO | V_IGN_TPR;
	vmcb_intercept(b, VMEXIT_VINTR, on);
	vmcb_set(b, CLEAN_TPR, v_intr, on ? b->v_intr | irq : b->v_intr & ~irq);
}

/*
 * While NMIs are blocked, IRET exits, which makes the NMI window of its own accord. Behind an
 * interrupt shadow an NMI waits as an interrupt does: with IF=0 for some other exit at worst.
 */
void svm_window(struct vcpu *v, bool nmi)
{
	struct svm_vcpu *hw = v->hw;
	if ((!nmi || !hw->nmi_blocked) && !hw->irq_is_queued) {
		svm_set_window(&hw->vmcb, true);
	}
}

void svm_nmi_block(struct svm_vcpu *hw, bool blocked)
{
	hw->nmi_blocked = blocked;
	vmcb_intercept(&hw->vmcb, VMEXIT_IRET, blocked);
}

/*
 * QEMU up to 10 injects an external interrupt at VMRUN without clearing its cs->exception_index
 * (target/i386 svm_helper.c, "XXX: is it always correct?"): when another thread wants that CPU's
 * attention next, the interrupt is delivered a second time, whatever RFLAGS.IF says. A virtual
 * interrupt is delivered right. It may wait behind a physical one: svm_exit_settle() takes it back.
 * What waits behind it must wait for the next exit, its EOI as a rule.
 */
static void queue_v_irq(struct svm_vcpu *hw, u8 vector)
{
	struct vmcb *b = &hw->vmcb;
	svm_set_window(b, true);
	vmcb_intercept(b, VMEXIT_VINTR, false);
	vmcb_set(b, CLEAN_TPR, v_intr, field_set(V_INTR_VECTOR, b->v_intr, vector));
	hw->irq_is_queued = true;
}

void svm_inject(struct vcpu *v, const struct event *e)
{
	struct svm_vcpu *hw = v->hw;
	if (e->type == EVENT_EXTINT) {
		svm_set_window(&hw->vmcb, false);
		if (hw->irq_by_v_irq) {
			queue_v_irq(hw, e->vector);
			return;
		}
	}
	hw->vmcb.event_inj = svm_event_encode(e);
	if (e->type == EVENT_NMI) {
		svm_nmi_block(hw, true);
	}
}

/* A queued interrupt that did not get in is one whose delivery the exit cut short. */
static noinline void unqueue_v_irq(struct svm_vcpu *hw, struct exit *e)
{
	struct vmcb *b = &hw->vmcb;
	hw->irq_is_queued = false;
	if (b->v_intr & V_IRQ) {
		e->vectoring = (struct event){ .type = EVENT_EXTINT,
					       .vector = (u8)field_get(V_INTR_VECTOR, b->v_intr) };
		svm_set_window(b, false);
	}
}

/*
 * NMIs are blocked until IRET has been executed, but its intercept comes before that (APM 2 15.9):
 * an NMI injected there would find the old handler still on its stack. So step over the IRET with
 * RFLAGS.TF. All exceptions exit meanwhile, lest a faulting IRET push our TF for the guest to see.
 */
static cold void step_begin(struct svm_vcpu *hw)
{
	struct vmcb *b = &hw->vmcb;
	if (b->rflags & RFLAGS_NT && !(b->efer & EFER_LMA)) {
		svm_nmi_block(hw, false); /* a switch to another task: our TF would stay in the old TSS */
		return;
	}
	hw->is_stepping = true;
	hw->had_tf = b->rflags & RFLAGS_TF;
	hw->step_rip = b->rip;
	hw->step_dr6 = b->dr6;
	b->rflags |= RFLAGS_TF;
	vmcb_set(b, CLEAN_DRX, dr6, b->dr6 & ~DR6_BS); /* the CPU sets it, but never clears it */
	vmcb_intercept(b, VMEXIT_IRET, false);
	vmcb_set(b, CLEAN_INTERCEPTS, intercept[2], ~(1u << VEC_NMI));
}

/* RIP is still at the IRET, which will exit again. What it raised goes to the guest at once. */
static bool step_broken(struct svm_vcpu *hw, const struct exit *e)
{
	struct vmcb *b = &hw->vmcb;
	vmcb_intercept(b, VMEXIT_IRET, true);
	vmcb_set(b, CLEAN_DRX, dr6, b->dr6 | (hw->step_dr6 & DR6_BS));
	if (!hw->had_tf) {
		b->rflags &= ~RFLAGS_TF;
	}
	if (e->kind != EXIT_EXCEPTION) {
		return false;
	}
	if (e->event.vector == VEC_PF) {
		vmcb_set(b, CLEAN_CR2, cr2, b->exit_info2);
	}
	b->event_inj = svm_event_encode(&e->event);
	return true;
}

/*
 * DR6 tells the trap behind IRET from a breakpoint on it, but Bochs does not save DR6.BS. Once the
 * IRET is done TF is what it popped; the trap is the guest's own if TF was set before.
 */
static cold bool step_end(struct svm_vcpu *hw, struct exit *e)
{
	struct vmcb *b = &hw->vmcb;
	hw->is_stepping = false;
	vmcb_set(b, CLEAN_INTERCEPTS, intercept[2], svm_intercepts(2));
	if (e->reason != VMEXIT_EXCP0 + VEC_DB || !(b->dr6 & DR6_BS || b->rip != hw->step_rip)) {
		return step_broken(hw, e);
	}
	svm_nmi_block(hw, false);
	if (!hw->had_tf) {
		vmcb_set(b, CLEAN_DRX, dr6, hw->step_dr6);
		e->kind = EXIT_NMI_WINDOW;
	}
	return false;
}

bool svm_exit_settle(struct svm_vcpu *hw, struct exit *e)
{
	struct vmcb *b = &hw->vmcb;
	b->exit_int_info = 0; /* a refused entry leaves it as it was */
	b->nr_insn_bytes = 0; /* a #PF that exited may have left some: take_count() */
	if (hw->irq_is_queued) {
		unqueue_v_irq(hw, e);
	}
	if (e->kind == EXIT_WINDOW) {
		svm_set_window(b, false);
	}
	if (hw->is_stepping) {
		return step_end(hw, e);
	}
	if (e->vectoring.type == EVENT_NMI) { /* it is to be injected again */
		svm_nmi_block(hw, false);
	}
	if (e->reason == VMEXIT_IRET) {
		step_begin(hw);
		return true;
	}
	return false;
}

static noinline bool take_other(struct svm_vcpu *hw, struct exit *e)
{
	svm_exit_decode(hw, e);
	return svm_exit_settle(hw, e);
}

always_inline bool svm_exit_take(struct svm_vcpu *hw, struct exit *e)
{
	hw->vmcb.clean = (u32)CLEAN_ALL;
	hw->vmcb.tlb_control = 0;
	hw->vmcb.event_inj = 0;
	return !svm_exit_plain(hw, e) && take_other(hw, e);
}
