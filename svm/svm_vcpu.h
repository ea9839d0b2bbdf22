/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of room svm share: the state behind vcpu->hw and the pure parts of svm_ops.
 * Seen by nobody outside the room but its unit tests.
 */
#ifndef BULKHEAD_SVM_VCPU_H
#define BULKHEAD_SVM_VCPU_H

#include "vcpu.h"
#include "svm/svm.h"
#include "x86/svm.h"

#define SVM_MSRPM_SIZE (2 * PAGE_SIZE)
#define SVM_IOPM_SIZE  (3 * PAGE_SIZE)

/* vcpu->hw. Contiguous pages, so that @pa locates all that the CPU reads by physical address. */
struct svm_vcpu {
	struct vmcb vmcb;
	u8 msrpm[SVM_MSRPM_SIZE];
	u8 iopm[SVM_IOPM_SIZE];
	u64 pa;	      /* of this struct, hence of the VMCB */
	u64 host_pa;  /* where this CPU keeps what VMLOAD restores for the host */
	u32 features; /* CPUID 8000_000A EDX */
	bool shares_asid; /* more vCPUs than ASIDs: flush at each load */
	bool nmi_blocked;
	bool irq_by_v_irq;  /* on QEMU's own CPU: see svm_inject() */
	bool irq_is_queued; /* V_IRQ is an interrupt on its way in, not a window */
	bool is_stepping; /* one instruction: the IRET that ends an NMI handler */
	bool had_tf;	  /* the guest's own RFLAGS.TF before the step */
	u64 step_rip, step_dr6; /* where the IRET is; DR6 before the step */
	bool has_avic;	  /* svm_avic_enter() comes before each entry */
	bool wants_avic;  /* the local APIC is on, in xAPIC mode */
	struct svm_apic_page *apic;
	u64 ncr3_plain, ncr3_apic; /* without and with a page at the local APIC's address */
};
static_assert(offsetof(struct svm_vcpu, msrpm) == PAGE_SIZE, "permission maps are page aligned");
#define SVM_VCPU_PAGES ((u32)(sizeof(struct svm_vcpu) / PAGE_SIZE))

/* The local APIC's registers: one every 16 bytes */
struct svm_apic_page {
	struct {
		u32 value, unused[3];
	} reg[PAGE_SIZE / 16];
};
static_assert(sizeof(struct svm_apic_page) == PAGE_SIZE, "the CPU's layout");

/**
 * struct svm_avic - what AVIC finds for the targets of an IPI, behind struct svm_vcpu in memory
 * @nobody: the backing page of all of them, which nobody reads: see svm_avic_init()
 */
struct svm_avic {
	u64 physical[PAGE_SIZE / sizeof(u64)];
	u32 logical[PAGE_SIZE / sizeof(u32)];
	u8 nobody[PAGE_SIZE];
};
#define SVM_AVIC_PAGES ((u32)(sizeof(struct svm_avic) / PAGE_SIZE))

/* Change a VMCB field and tell the CPU which cached group it belongs to (APM 2 15.15.3). */
#define vmcb_set(b, group, field, value)           \
	do {                                       \
		(b)->clean &= (u32) ~(u64)(group); \
		(b)->field = (value);              \
	} while (0)

/** vmcb_intercept() - exit, or no longer, with @code. @code is at most VMEXIT_IDLE_HLT. */
static inline void vmcb_intercept(struct vmcb *b, u32 code, bool on)
{
	u32 bit = 1u << (code % 32);
	u32 word = b->intercept[code / 32];
	vmcb_set(b, CLEAN_INTERCEPTS, intercept[code / 32], on ? word | bit : word & ~bit);
}

/** vmcb_is_intercepted() - does @code exit? It is at most VMEXIT_IDLE_HLT. */
static inline bool vmcb_is_intercepted(const struct vmcb *b, u32 code)
{
	return b->intercept[code / 32] >> code % 32 & 1;
}

/** svm_msrpm_build() - all MSRs exit but those of @msrs, an array of @nr (APM 2 15.11) */
void svm_msrpm_build(u8 map[SVM_MSRPM_SIZE], const struct msr_range *msrs, u32 nr);

/** svm_iopm_build() - all ports exit but @ports, an array of @nr (APM 2 15.10.1) */
void svm_iopm_build(u8 map[SVM_IOPM_SIZE], const u16 *ports, u32 nr);

/* What an exit code means */
struct svm_row {
	u8 kind;  /* enum exit_kind */
	u8 flags; /* 0: nobody asks for it */
};
#define SVM_ROW_ON    1 /* intercepted from the start */
#define SVM_ROW_INSN  2 /* an instruction intercept: nRIP, or EXITINFO2 of IOIO, is that of the next one (APM 2 15.7.1) */
#define SVM_ROW_PLAIN 4 /* all that it says is in EXITINFO1, and EXITINFO2 of a port access */
#define SVM_NR_ROWS   (VMEXIT_IDLE_HLT + 1)
extern const struct svm_row svm_row[SVM_NR_ROWS];

/** svm_intercepts() - word @n of the intercept vector at rest. */
u32 svm_intercepts(u32 n);

/** svm_exit_decode() - the VMCB after #VMEXIT as neutral data; takes the count of instruction bytes out of it. */
void svm_exit_decode(struct svm_vcpu *hw, struct exit *e);

/**
 * svm_exit_plain() - svm_exit_decode() and svm_exit_settle() in one, of the commonest exits: nothing was in delivery,
 * no step has ended, and few fields say it all
 *
 * Return: false if it is another: @e is not filled in, and @hw still has all that those two need.
 */
bool must_check svm_exit_plain(struct svm_vcpu *hw, struct exit *e);

/** svm_event_encode() - @e for EVENTINJ; 0 if the instruction at RIP will raise it again. */
u64 svm_event_encode(const struct event *e);

/**
 * svm_vcpu_setup() - the architectural reset state in @hw, zeroed pages at @pa
 * @features, @nr_asids: CPUID 8000_000A EDX and EBX
 */
void svm_vcpu_setup(struct svm_vcpu *hw, const struct vcpu_params *p, u32 features, u32 nr_asids);

/** svm_set_window() - exit, or no longer, as soon as the guest can take an interrupt. */
void svm_set_window(struct vmcb *b, bool on);

/** svm_nmi_block() - the guest is, or no longer is, between an NMI and its IRET. */
void svm_nmi_block(struct svm_vcpu *hw, bool blocked);

/**
 * svm_exit_settle() - @hw after @e: windows are off again, NMI blocking is followed
 *
 * Return: true if @e was the backend's own affair; enter again.
 */
bool svm_exit_settle(struct svm_vcpu *hw, struct exit *e);

/**
 * svm_exit_take() - all that follows #VMEXIT: what the last entry asked for once is off, @e is filled in
 *
 * Return: true if @e was the backend's own affair; enter again.
 */
bool must_check svm_exit_take(struct svm_vcpu *hw, struct exit *e);

/** svm_avic_init() - behind svm_vcpu_setup(): tables and pointers; AVIC is off as long as the local APIC is. */
void svm_avic_init(struct svm_vcpu *hw, const struct vcpu_params *p);

/** svm_avic_enter() - last before an entry, if has_avic: is it on for this one? */
void svm_avic_enter(struct svm_vcpu *hw);

/** svm_avic_decode() - @e of VMEXIT_AVIC_INCOMPLETE_IPI or VMEXIT_AVIC_NOACCEL. Whatever they say, it is some exit. */
void svm_avic_decode(const struct svm_vcpu *hw, struct exit *e);

/** svm_flush_asid() - forget what the TLB holds of this vCPU. */
static inline void svm_flush_asid(struct svm_vcpu *hw)
{
	bool by_asid = hw->features & SVM_FEATURE_FLUSH_ASID;
	hw->vmcb.tlb_control = by_asid ? TLB_FLUSH_ASID : TLB_FLUSH_ALL;
}

/* entries of svm_ops, and of svm_avic_ops */
void svm_apic(struct vcpu *v, const struct apic_view *view);
void svm_request(struct vcpu *v, u8 vector);
void svm_get_seg(struct vcpu *v, enum seg s, struct segment *out);
void svm_set_seg(struct vcpu *v, enum seg s, const struct segment *in);
void svm_inject(struct vcpu *v, const struct event *e);
void svm_window(struct vcpu *v, bool nmi);
void svm_flush(struct vcpu *v);
void svm_dump(struct vcpu *v);

#endif
