/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the vmx room share and nobody else sees. First the pure half: capabilities to
 * controls, tables to bitmaps, raw exit fields to struct exit. Then the VMCS bundle of one vCPU.
 */
#ifndef BULKHEAD_VMX_ROOM_H
#define BULKHEAD_VMX_ROOM_H

#include "vcpu.h"
#include "vmx/vmx.h"
#include "x86/vmx.h"

/* Control words, then EPT and basic capabilities, which are asked the same way */
enum vmx_word {
	WORD_PIN, WORD_PROC, WORD_PROC2, WORD_EXIT, WORD_ENTRY, WORD_EPT, WORD_BASIC, NR_WORDS
};

/**
 * struct vmx_caps - capability MSRs of one CPU; all zero where there is no VT-x
 * @word: bits 31:0 must be 1 where set, bits 63:32 may be 1 where set (SDM 3D A.2); from the TRUE_
 *        MSRs, zero without them; of WORD_EPT and WORD_BASIC only the upper half says anything here
 */
struct vmx_caps {
	bool has_vmx;
	u64 feature_control, misc;
	u64 word[NR_WORDS];
};

/**
 * vmx_ctl_adjust() - choose a control word that this CPU accepts
 *
 * Return: false if a @required bit may not be 1. *@out has the required bits, those of @wanted that
 * may be 1, and those that must be.
 */
bool must_check vmx_ctl_adjust(u64 cap, u32 required, u32 wanted, u32 *out);

/** vmx_controls_choose() - Return: false if something that we cannot do without is missing. */
bool must_check vmx_controls_choose(const struct vmx_caps *caps, u32 out[NR_WORDS]);

/** vmx_features() - the table for ops->probe; optional rows have no reason. */
u32 vmx_features(const struct vmx_caps *caps, struct feature *out, u32 max);

/** vmx_msr_bitmap_build() - SDM 3C 25.6.9: a page of four bitmaps; a set bit exits. */
void vmx_msr_bitmap_build(u8 bitmap[PAGE_SIZE], const struct msr_range *pass, u32 nr);

/**
 * vmx_x2apic_pass() - let through what a CPU with the secondary controls @ctl2 serves of the x2APIC's MSRs
 *
 * @ctl2: without PROC2_X2APIC all exits.
 */
void vmx_x2apic_pass(u8 bitmap[PAGE_SIZE], u32 ctl2);

/** vmx_io_bitmap_build() - SDM 3C 25.6.4: A and B in one; a set bit exits. */
void vmx_io_bitmap_build(u8 bitmap[2 * PAGE_SIZE], const u16 *pass, u32 nr);

/** vmx_timer_ticks() - preemption timer for @deadline; never off, see vmx/bitmap.c. */
u32 vmx_timer_ticks(u64 deadline, u64 now, u32 rate);

/** vmx_segment_fix() - make the G bit agree with the limit (SDM 3C 27.3.1.2). */
struct segment vmx_segment_fix(const struct segment *in);

/* What an exit needs to be read from the VMCS beyond reason and RIP */
enum vmx_needs {
	NEEDS_LEN = 1,	     /* instruction length */
	NEEDS_QUAL = 2,	     /* exit qualification */
	NEEDS_INTR = 4,	     /* interruption information and error code */
	NEEDS_INSN_INFO = 8, /* instruction information: INS and OUTS */
	NEEDS_PHYS = 16,     /* guest-physical address */
	NEEDS_VECTORING = 32 /* IDT-vectoring information and error code */
};

struct vmx_reason {
	const char *name;
	u8 kind;  /* enum exit_kind */
	u8 needs; /* enum vmx_needs */
};

#define VMX_NR_REASONS 80
extern const struct vmx_reason vmx_reasons[VMX_NR_REASONS];

/** vmx_reason() - the row of a reason; one that is not in the manual gets EXIT_UNEXPECTED. */
const struct vmx_reason *vmx_reason(u32 reason);

/* The exit fields as the VMCS has them; those not needed are 0 */
struct vmx_raw {
	u64 apic_base; /* an APIC access does not say it */
	u32 reason, insn_len, insn_info;
	u32 intr_info, intr_error, vectoring_info, vectoring_error;
	u64 rip, qual, phys;
};

/** vmx_exit_decode() - fill @e. Whatever bits come, it is some exit. */
void vmx_exit_decode(const struct vmx_raw *raw, struct exit *e);

/** vmx_decode_pio() - @qual as SDM 3C table 28-5 has it, @insn_info for INS and OUTS. */
void vmx_decode_pio(u64 qual, u32 insn_info, struct exit_pio *pio);

/** vmx_decode_mmio() - an EPT violation with @qual (SDM 3C table 28-7) at @phys. */
void vmx_decode_mmio(u64 qual, u64 phys, struct exit_mmio *mmio);

/** vmx_decode_apic_access() - an access with @qual (SDM 3C table 28-6) to the page at @base, which exited. */
void vmx_decode_apic_access(u64 qual, u64 base, struct exit_mmio *mmio);

/** vmx_exit_unblocked_nmi() - did an IRET that faulted end NMI blocking before this exit? */
bool vmx_exit_unblocked_nmi(const struct vmx_raw *raw, const struct exit *e);

/** vmx_event_encode() - interruption information for VM entry. @has_pe: guest CR0.PE. */
u32 vmx_event_encode(const struct event *e, bool has_pe);

/**
 * struct vmx_vcpu - what vcpu->hw points to: the pages that the CPU reads, then our own words
 * @pa:          host-physical address of this struct
 * @is_loaded:   the VMCS is this CPU's current one
 * @is_launched: VMRESUME, not VMLAUNCH
 * @must_flush:  INVEPT before the next entry
 * @needs_care:  must_flush, or not is_launched
 * @had_nmi:     an NMI was injected, and no IRET seen since: see vmx_nmi_blocked()
 * @host_gs:     GS base of the physical CPU whose state the VMCS's host area holds: one per CPU
 * @tsc_offset:  VMCS_TSC_OFFSET; clocks ask for it all the time
 * @cr2, @dr6, @msr: what VM entry does not switch, while the vCPU is not loaded
 * @eptp:        one of the next two: without and with the APIC-access page
 * @apic_base:   where the latter is
 * @apic_mode, @tpr_threshold, @eoi_exit: what the VMCS has
 */
#define VMX_NR_SWITCHED	 6
#define VMX_NR_EOI_EXITS 4
struct vmx_vcpu {
	u8 vmcs[PAGE_SIZE];
	u8 msr_bitmap[PAGE_SIZE];
	u8 io_bitmap[2 * PAGE_SIZE];
	hpa pa;
	u64 eptp, eptp_plain, eptp_apic, apic_base;
	u64 eoi_exit[VMX_NR_EOI_EXITS];
	enum apic_mode apic_mode;
	u32 tpr_threshold;
	bool is_loaded, is_launched, must_flush, needs_care, had_nmi;
	u64 host_gs;
	u64 cr2, dr6, tsc_offset;
	u64 msr[VMX_NR_SWITCHED];
};
#define VMX_VCPU_PAGES 5
static_assert(offsetof(struct vcpu, regs) == 0 && offsetof(struct vcpu, entry_rsp) == 8 * 16, "enter.S knows");
static_assert(offsetof(struct vmx_vcpu, msr_bitmap) == 0x1000, "bitmaps must start pages");
static_assert(offsetof(struct vmx_vcpu, io_bitmap) == 0x2000, "bitmaps must start pages");
static_assert(sizeof(struct vmx_vcpu) <= VMX_VCPU_PAGES * PAGE_SIZE, "one allocation holds all");

/** vmx_exit_stub() - enter.S: where exits arrive; not to be called. */
void vmx_exit_stub(void);

/* vmx/cpu.c: this CPU, and what all CPUs have in common once probe() has run */
struct vmx_common {
	u32 ctl[NR_WORDS]; /* what every VMCS starts with */
	u32 revision, timer_rate;
};
extern struct vmx_common vmx_common;
u32 vmx_probe(struct feature *out, u32 max);
enum status vmx_cpu_on(struct page_source *pages);
const struct vcpu_ops *vmx_no_apic(void);

/* vmx/regs.c: registers of any vCPU that belongs to this CPU, loaded or not */
void vmx_get_seg(struct vcpu *v, enum seg s, struct segment *out);
void vmx_set_seg(struct vcpu *v, enum seg s, const struct segment *in);
/**
 * vmx_nmi_blocked() - does the vCPU whose VMCS is current hold NMIs back?
 *
 * Only an injected NMI makes it so. Bochs 2.7 leaves the blocking of one vCPU on when another is entered,
 * and then saves it as that one's.
 */
bool vmx_nmi_blocked(struct vmx_vcpu *x);

/* vmx/apic.c: the local APIC, for the vCPU whose VMCS is current; vmx_apic() for any of this CPU's */
void vmx_apic_init(struct vcpu *v, const struct vcpu_params *p);
void vmx_apic(struct vcpu *v, const struct apic_view *view);
void vmx_request(struct vcpu *v, u8 vector);
/** vmx_apic_watch_tpr() - exit when TPR comes below @class, bits 7:4; 0 = never. Without interrupt delivery. */
void vmx_apic_watch_tpr(struct vmx_vcpu *x, u8 class);

/* vmx/vcpu.c: a VMCS from birth to put() */
enum status vmx_vcpu_init(struct vcpu *v, const struct vcpu_params *p);
void vmx_load(struct vcpu *v);
void vmx_put(struct vcpu *v);

#endif
