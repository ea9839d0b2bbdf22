/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Into the guest and out again: what an entry delivers, how an exit is read, and the table of
 * operations. Meaning is exit.c's. Context: the vCPU is loaded on this CPU, IF=0.
 */
#include "vmx/vmx.h"
#include "vmx/vmcs.h"
#include "x86/insn.h"
#include "x86/regs.h"

/* EXIT_ENTRY_FAILED by VMfail: no exit took place; no basic reason looks like it. */
#define REASON_VMFAIL UINT32_MAX

static bool is_soft(u32 intr_info)
{
	return (intr_info & INTR_VALID) && field_get(INTR_TYPE, intr_info) >= INTR_TYPE_SWINT;
}

static bool read_pio(struct exit *e)
{
	u64 qual = vmcs_peeknat(VMCS_QUALIFICATION);

	if (qual & QUAL_IO_STRING) {
		return false;
	}
	e->insn_len = (u8)vmcs_peek32(VMCS_EXIT_INSN_LEN);
	e->info[0] = qual;
	vmx_decode_pio(qual, 0, &e->pio);
	return true;
}

static bool read_mmio(struct exit *e)
{
	u64 qual = vmcs_peeknat(VMCS_QUALIFICATION);

	if (qual & QUAL_EPT_NMI_IRET || vmcs_peek32(VMCS_VECTORING_INFO) & INTR_VALID) {
		return false;
	}
	e->insn_len = 0;
	e->info[0] = qual;
	e->info[1] = vmcs_peek64(VMCS_GUEST_PHYS);
	vmx_decode_mmio(qual, e->info[1], &e->mmio);
	return true;
}

static bool read_length(struct exit *e)
{
	e->insn_len = (u8)vmcs_peek32(VMCS_EXIT_INSN_LEN);
	e->info[0] = 0;
	return true;
}

static bool read_apic_write(struct exit *e)
{
	u64 qual = vmcs_peeknat(VMCS_QUALIFICATION);

	e->insn_len = 0;
	e->info[0] = qual;
	e->apic_offset = (u16)field_get(QUAL_APIC_OFFSET, qual);
	return true;
}

/*
 * The commonest exits: an instruction of which only the length matters, IN and OUT, an MMIO access, a write of the
 * local APIC. No bit of the reason is set beside its number (SDM 3C 25.9.1), no event is in delivery, nothing is to be
 * settled.
 */
static inline bool read_common(u32 reason, struct exit *e)
{
	if (reason >= VMX_NR_REASONS) {
		return false;
	}
	const struct vmx_reason *r = &vmx_reasons[reason];
	e->kind = r->kind;
	e->reason = reason;
	e->rip = vmcs_peeknat(VMCS_GUEST_RIP);
	e->info[1] = 0;
	e->vectoring.type = EVENT_NONE;
	return r->needs == NEEDS_LEN ? read_length(e) :
	       r->kind == EXIT_PIO ? read_pio(e) : reason == REASON_EPT_VIOLATION ? read_mmio(e) :
	       r->kind == EXIT_APIC_WRITE ? read_apic_write(e) : false;
}

/* SDM 3C 28.2: a field is defined for some exits only, and a VMREAD costs: read what is needed. */
static void read_exit(const struct vmx_vcpu *x, u32 reason, struct vmx_raw *raw)
{
	u32 needs = vmx_reason(reason)->needs;

	*raw = (struct vmx_raw){
		.reason = reason,
		.apic_base = x->apic_base,
		.rip = vmcs_readnat(VMCS_GUEST_RIP),
		.qual = needs & NEEDS_QUAL ? vmcs_readnat(VMCS_QUALIFICATION) : 0,
		.phys = needs & NEEDS_PHYS ? vmcs_read64(VMCS_GUEST_PHYS) : 0,
		.insn_info = needs & NEEDS_INSN_INFO ? vmcs_read32(VMCS_EXIT_INSN_INFO) : 0,
		.intr_info = needs & NEEDS_INTR ? vmcs_read32(VMCS_EXIT_INTR_INFO) : 0,
		.intr_error = needs & NEEDS_INTR ? vmcs_read32(VMCS_EXIT_INTR_ERROR) : 0,
		.vectoring_info = needs & NEEDS_VECTORING ? vmcs_read32(VMCS_VECTORING_INFO) : 0,
		.vectoring_error = needs & NEEDS_VECTORING ? vmcs_read32(VMCS_VECTORING_ERROR) : 0,
	};
	if ((needs & NEEDS_LEN) || is_soft(raw->intr_info) || is_soft(raw->vectoring_info)) {
		raw->insn_len = vmcs_read32(VMCS_EXIT_INSN_LEN);
	}
}

/*
 * An intercepted #DB has changed neither DR6 nor DR7 (SDM 3C 28.1 "Architectural State Before a VM
 * Exit"), and its injection will not: do here what delivery would have done.
 */
static void debug_exception(u64 qual)
{
	write_dr6((read_dr6() & ~QUAL_DB_BP) | (qual & QUAL_DB_CAUSE));
	if (qual & DR6_BD) {
		vmcs_writenat(VMCS_GUEST_DR7, vmcs_readnat(VMCS_GUEST_DR7) & ~DR7_GD);
	}
}

/* What must happen at once, whatever the kernel decides */
static void settle(struct vmx_vcpu *x, const struct vmx_raw *raw, const struct exit *e)
{
	if (vmx_exit_unblocked_nmi(raw, e)) {
		vmcs_update32(VMCS_INTERRUPTIBILITY, 0, BLOCK_NMI);
	}
	if (e->kind == EXIT_WINDOW) {
		vmcs_update32(VMCS_PROC_CTLS, PROC_INT_WINDOW, 0);
	} else if (e->kind == EXIT_NMI_WINDOW) {
		vmcs_update32(VMCS_PROC_CTLS, PROC_NMI_WINDOW, 0);
	} else if (e->kind == EXIT_TPR) {
		vmx_apic_watch_tpr(x, 0);
	} else if (e->kind == EXIT_NMI) {
		nmi_redeliver();
	} else if (e->kind == EXIT_EXCEPTION && e->event.type == EVENT_EXCEPTION &&
		   e->event.vector == VEC_DB) {
		debug_exception(raw->qual);
	}
}

static cold void refused(struct exit *e)
{
	*e = (struct exit){ .kind = EXIT_ENTRY_FAILED,
			    .reason = REASON_VMFAIL,
			    .info = { vmcs_read32(VMCS_INSN_ERROR) },
			    .rip = vmcs_readnat(VMCS_GUEST_RIP) };
}

static noinline void read_other(struct vmx_vcpu *x, u32 reason, struct exit *e)
{
	struct vmx_raw raw;

	read_exit(x, reason, &raw);
	vmx_exit_decode(&raw, e);
	settle(x, &raw, e);
}

/* enter.S: the guest, until an exit. Return: true on VMfail. */
#define RUN(how, regs)                                                                                        \
	({                                                                                                    \
		bool is_refused;                                                                              \
		u64 *at = (regs);                                                                             \
		__asm__ volatile("call " how : "=@ccc"(is_refused), "+D"(at) : : "rax", "rbx", "rcx", "rdx", "rsi", \
				 "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");              \
		is_refused;                                                                                   \
	})

/* A flush, or the first entry. With EPT all is tagged by EPTP: that covers any VPID (SDM 3C 29.4.3.1). */
static cold bool run_with_care(struct vcpu *v)
{
	struct vmx_vcpu *x = v->hw;

	if (x->must_flush) {
		BUG_ON(invept(INVEPT_SINGLE, x->eptp));
		x->must_flush = false;
	}
	if (x->is_launched) {
		x->needs_care = false;
		return RUN("vmx_resume", v->regs);
	}
	if (RUN("vmx_launch", v->regs)) {
		return true;
	}
	x->is_launched = !(vmcs_read32(VMCS_EXIT_REASON) & REASON_ENTRY_FAILED);
	x->needs_care = !x->is_launched;
	return false;
}

always_inline void vmx_enter(struct vcpu *v, struct exit *e)
{
	struct vmx_vcpu *x = v->hw;

	vmcs_poke32(VMCS_PREEMPTION_TIMER, vmx_timer_ticks(v->deadline_tsc, rdtsc(), vmx_common.timer_rate));
	if (x->needs_care ? run_with_care(v) : RUN("vmx_resume", v->regs)) {
		refused(e);
		return;
	}
	u32 reason = vmcs_peek32(VMCS_EXIT_REASON);
	if (!read_common(reason, e)) {
		read_other(v->hw, reason, e);
	}
}

/*
 * Delivery ends the STI and MOV SS shadows, and VM entry refuses some events while they or NMI
 * blocking are on (SDM 3C 27.3.1.5); an NMI that an exit cut short has set the latter already.
 */
static void vmx_inject(struct vcpu *v, const struct event *e)
{
	u64 before = vmcs_borrow(v), nmi = e->type == EVENT_NMI ? BLOCK_NMI : 0;
	bool has_pe = vmcs_readnat(VMCS_GUEST_CR0) & CR0_PE;

	((struct vmx_vcpu *)v->hw)->had_nmi |= nmi != 0;
	vmcs_update32(VMCS_INTERRUPTIBILITY, BLOCK_STI | BLOCK_MOV_SS | nmi, 0);
	vmcs_write32(VMCS_ENTRY_INTR_INFO, vmx_event_encode(e, has_pe));
	vmcs_write32(VMCS_ENTRY_INTR_ERROR, e->error);
	vmcs_write32(VMCS_ENTRY_INSN_LEN, e->insn_len);
	vmcs_return(v, before);
}

static void vmx_window(struct vcpu *v, bool nmi)
{
	u64 before = vmcs_borrow(v);

	vmcs_update32(VMCS_PROC_CTLS, 0, nmi ? PROC_NMI_WINDOW : PROC_INT_WINDOW);
	vmcs_return(v, before);
}

static void vmx_flush(struct vcpu *v)
{
	struct vmx_vcpu *x = v->hw;

	x->must_flush = x->needs_care = true;
}

static void vmx_dump(struct vcpu *v)
{
	const struct { const char *name; u16 enc; } f[] = {
		{ "reason", VMCS_EXIT_REASON.enc }, { "qualification", VMCS_QUALIFICATION.enc },
		{ "physical", VMCS_GUEST_PHYS.enc }, { "insn_error", VMCS_INSN_ERROR.enc },
		{ "exit_intr", VMCS_EXIT_INTR_INFO.enc }, { "vectoring", VMCS_VECTORING_INFO.enc },
		{ "insn_len", VMCS_EXIT_INSN_LEN.enc }, { "insn_info", VMCS_EXIT_INSN_INFO.enc },
		{ "entry_intr", VMCS_ENTRY_INTR_INFO.enc }, { "shadow", VMCS_INTERRUPTIBILITY.enc },
		{ "pending_debug", VMCS_PENDING_DEBUG.enc }, { "proc_ctls", VMCS_PROC_CTLS.enc },
		{ "real_cr0", VMCS_GUEST_CR0.enc }, { "real_cr4", VMCS_GUEST_CR4.enc },
		{ "eptp", VMCS_EPTP.enc }, { "entry_ctls", VMCS_ENTRY_CTLS.enc },
	};
	static_assert(ARRAY_SIZE(f) % 2 == 0, "two in a line");
	u64 before = vmcs_borrow(v);

	log("vmx: last exit: %s", vmx_reason(vmcs_read32(VMCS_EXIT_REASON))->name);
	for (u32 i = 0; i < ARRAY_SIZE(f); i += 2) {
		log("vmx: %s=0x%lx %s=0x%lx", f[i].name, vmcs_get(f[i].enc), f[i + 1].name,
		    vmcs_get(f[i + 1].enc));
	}
	vmcs_return(v, before);
}

const struct vcpu_ops vmx_ops = {
	.name = "vmx",
	.has_deadline = true,
	.probe = vmx_probe,
	.cpu_on = vmx_cpu_on,
	.vcpu_init = vmx_vcpu_init,
	.load = vmx_load,
	.put = vmx_put,
	.enter = vmx_enter,
	.get = vmx_get,
	.set = vmx_set,
	.get_seg = vmx_get_seg,
	.set_seg = vmx_set_seg,
	.skip = vmx_skip,
	.inject = vmx_inject,
	.window = vmx_window,
	.apic = vmx_apic,
	.request = vmx_request,
	.no_apic = vmx_no_apic,
	.flush = vmx_flush,
	.dump = vmx_dump,
};
