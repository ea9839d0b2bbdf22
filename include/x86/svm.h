/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V as APM volume 2 lays it out: CPUID and MSR bits, the VMCB in the order of appendix B, the
 * exit codes in the order of appendix C. Numbers only; the policy over them is in room svm.
 */
#ifndef BULKHEAD_X86_SVM_H
#define BULKHEAD_X86_SVM_H

#include "types.h"

/* CPUID 8000_0001 ECX; 8000_000A EBX = number of ASIDs, EDX = features (APM 3 E.4.9) */
#define CPUID_EXT_SVM		 BIT(2)
#define SVM_FEATURE_NPT		 BIT(0)
#define SVM_FEATURE_NRIPS	 BIT(3)
#define SVM_FEATURE_FLUSH_ASID	 BIT(6)
#define SVM_FEATURE_DECODE	 BIT(7)
#define SVM_FEATURE_PAUSE_COUNT	 BIT(10)
#define SVM_FEATURE_AVIC	 BIT(13)

#define VM_CR_SVMDIS BIT(4) /* APM 2 15.30.1 "VM_CR MSR" */

/*
 * Exit codes. Up to IDLE_HLT a code is also the number of its intercept bit, counted from the
 * start of the VMCB: APM 2 appendix C and table B-1 run in the same order.
 */
enum vmexit {
	VMEXIT_CR0_READ = 0x00,
	VMEXIT_CR8_READ = 0x08,
	VMEXIT_CR15_READ = 0x0f,
	VMEXIT_CR0_WRITE = 0x10,
	VMEXIT_CR4_WRITE = 0x14,
	VMEXIT_CR8_WRITE = 0x18,
	VMEXIT_CR15_WRITE = 0x1f,
	VMEXIT_DR0_READ = 0x20,
	VMEXIT_DR15_WRITE = 0x3f,
	VMEXIT_EXCP0 = 0x40,
	VMEXIT_EXCP31 = 0x5f,
	VMEXIT_INTR = 0x60,
	VMEXIT_NMI,
	VMEXIT_SMI,
	VMEXIT_INIT,
	VMEXIT_VINTR,
	VMEXIT_CR0_SEL_WRITE,
	VMEXIT_IDTR_READ,
	VMEXIT_GDTR_READ,
	VMEXIT_LDTR_READ,
	VMEXIT_TR_READ,
	VMEXIT_IDTR_WRITE,
	VMEXIT_GDTR_WRITE,
	VMEXIT_LDTR_WRITE,
	VMEXIT_TR_WRITE,
	VMEXIT_RDTSC,
	VMEXIT_RDPMC,
	VMEXIT_PUSHF,
	VMEXIT_POPF,
	VMEXIT_CPUID,
	VMEXIT_RSM,
	VMEXIT_IRET,
	VMEXIT_SWINT,
	VMEXIT_INVD,
	VMEXIT_PAUSE,
	VMEXIT_HLT,
	VMEXIT_INVLPG,
	VMEXIT_INVLPGA,
	VMEXIT_IOIO,
	VMEXIT_MSR,
	VMEXIT_TASK_SWITCH,
	VMEXIT_FERR_FREEZE,
	VMEXIT_SHUTDOWN,
	VMEXIT_VMRUN,
	VMEXIT_VMMCALL,
	VMEXIT_VMLOAD,
	VMEXIT_VMSAVE,
	VMEXIT_STGI,
	VMEXIT_CLGI,
	VMEXIT_SKINIT,
	VMEXIT_RDTSCP,
	VMEXIT_ICEBP,
	VMEXIT_WBINVD,
	VMEXIT_MONITOR,
	VMEXIT_MWAIT,
	VMEXIT_MWAIT_CONDITIONAL,
	VMEXIT_XSETBV,
	VMEXIT_RDPRU,
	VMEXIT_EFER_WRITE_TRAP,
	VMEXIT_CR0_WRITE_TRAP,
	VMEXIT_CR15_WRITE_TRAP = 0x9f,
	VMEXIT_INVLPGB,
	VMEXIT_INVLPGB_ILLEGAL,
	VMEXIT_INVPCID,
	VMEXIT_MCOMMIT,
	VMEXIT_TLBSYNC,
	VMEXIT_BUSLOCK,
	VMEXIT_IDLE_HLT,
	VMEXIT_NPF = 0x400,
	VMEXIT_AVIC_INCOMPLETE_IPI = 0x401,
	VMEXIT_AVIC_NOACCEL = 0x402,
};
static_assert(VMEXIT_SHUTDOWN == 0x7f && VMEXIT_RDPRU == 0x8e && VMEXIT_IDLE_HLT == 0xa6,
	      "exit codes without a number follow on");
#define VMEXIT_INVALID 0xffffffffu /* low half of -1; -2 BUSY, -3 IDLE_REQUIRED, -4 INVALID_PMC */

struct vmcb_seg {
	u16 sel;
	u16 attr; /* descriptor bytes 5 and 6 with the limit nibble squeezed out */
	u32 limit;
	u64 base;
};

struct page_aligned vmcb {
	/* control area, table B-1 */
	u32 intercept[6];
	u8 reserved_018[0x24];
	u16 pause_threshold, pause_count;
	u64 iopm_pa, msrpm_pa;
	u64 tsc_offset;
	u32 asid;
	u8 tlb_control;
	u8 reserved_05d[3];
	u64 v_intr;
	u64 int_shadow;
	u64 exit_code, exit_info1, exit_info2;
	u64 exit_int_info;
	u64 np_control;
	u64 avic_bar, ghcb;
	u64 event_inj;
	u64 n_cr3;
	u64 lbr_control;
	u32 clean, reserved_0c4;
	u64 next_rip; /* if SVM_FEATURE_NRIPS */
	u8 nr_insn_bytes, insn_bytes[15]; /* if SVM_FEATURE_DECODE; of #PF and #NPF for data */
	u64 avic_backing_page; /* this one, the tables and avic_bar if SVM_FEATURE_AVIC */
	u64 reserved_0e8;
	u64 avic_logical_table, avic_physical_table; /* the latter with AVIC_MAX_INDEX */
	u8 reserved_100[0x300];
	/* state save area, table B-2 */
	struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved_4a0[0x2b], cpl;
	u32 reserved_4cc;
	u64 efer;
	u8 reserved_4d8[0x70];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u8 reserved_580[0x58];
	u64 rsp, s_cet, ssp, isst_addr;
	u64 rax, star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 cr2;
	u8 reserved_648[0x20];
	u64 g_pat, dbgctl;
	u8 reserved_678[0x988];
};
static_assert(sizeof(struct vmcb) == PAGE_SIZE, "VMCB");
static_assert(offsetof(struct vmcb, pause_threshold) == 0x03c, "VMCB");
static_assert(offsetof(struct vmcb, asid) == 0x058, "VMCB");
static_assert(offsetof(struct vmcb, exit_code) == 0x070, "VMCB");
static_assert(offsetof(struct vmcb, event_inj) == 0x0a8, "VMCB");
static_assert(offsetof(struct vmcb, clean) == 0x0c0, "VMCB");
static_assert(offsetof(struct vmcb, avic_bar) == 0x098, "VMCB");
static_assert(offsetof(struct vmcb, nr_insn_bytes) == 0x0d0, "VMCB");
static_assert(offsetof(struct vmcb, avic_backing_page) == 0x0e0, "VMCB");
static_assert(offsetof(struct vmcb, avic_physical_table) == 0x0f8, "VMCB");
static_assert(offsetof(struct vmcb, es) == 0x400, "VMCB");
static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "VMCB");
static_assert(offsetof(struct vmcb, efer) == 0x4d0, "VMCB");
static_assert(offsetof(struct vmcb, cr4) == 0x548, "VMCB");
static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "VMCB");
static_assert(offsetof(struct vmcb, rax) == 0x5f8, "VMCB");
static_assert(offsetof(struct vmcb, cr2) == 0x640, "VMCB");
static_assert(offsetof(struct vmcb, g_pat) == 0x668, "VMCB");

#define TLB_FLUSH_ALL  1
#define TLB_FLUSH_ASID 3 /* if SVM_FEATURE_FLUSH_ASID */

#define V_TPR		BITS(3, 0) /* bits 7:4 stay 0 */
#define V_IRQ		BIT(8)
#define V_INTR_PRIO	BITS(19, 16)
#define V_IGN_TPR	BIT(20)
#define V_INTR_MASKING	BIT(24)
#define V_AVIC		BIT(31) /* AVIC enable: V_IRQ and what belongs to it are ignored */
#define V_INTR_VECTOR	BITS(39, 32)

#define INT_SHADOW BIT(0)
#define NP_ENABLE  BIT(0)

/* EXITINTINFO and EVENTINJ, APM 2 15.20 "Event Injection" */
#define SVM_EVENT_VECTOR BITS(7, 0)
#define SVM_EVENT_TYPE	 BITS(10, 8) /* 0 INTR, 2 NMI, 3 exception, 4 INTn */
#define SVM_EVENT_EV	 BIT(11)
#define SVM_EVENT_V	 BIT(31)
#define SVM_EVENT_ERROR	 BITS(63, 32)

/* VMCB clean: a set bit lets the CPU use its cached copy (APM 2 15.15.3 "VMCB Clean Field") */
#define CLEAN_INTERCEPTS BIT(0) /* with TSC_OFFSET and the pause filter */
#define CLEAN_PERM_MAPS	 BIT(1)
#define CLEAN_ASID	 BIT(2)
#define CLEAN_TPR	 BIT(3) /* all of v_intr */
#define CLEAN_NP	 BIT(4) /* with G_PAT */
#define CLEAN_CRX	 BIT(5) /* with EFER */
#define CLEAN_DRX	 BIT(6)
#define CLEAN_DT	 BIT(7)
#define CLEAN_SEG	 BIT(8) /* ES CS SS DS and CPL */
#define CLEAN_CR2	 BIT(9)
#define CLEAN_ALL	 BITS(9, 0) /* without it the CPU reads AVIC_BAR and the pointers anew: bit 11 */

/* EXITINFO1 of IOIO (15.10.2), MOV CR (15.8.1), NPF (15.25.6; its low bits are a #PF code) */
#define IOIO_IN	       BIT(0)
#define IOIO_STRING    BIT(2)
#define IOIO_REP       BIT(3)
#define IOIO_WIDTH     BITS(6, 4)
#define IOIO_ADDR_SIZE BITS(9, 7)
#define IOIO_SEG       BITS(12, 10)
#define IOIO_PORT      BITS(31, 16)
#define CR_INFO_GPR    BITS(3, 0)
#define CR_INFO_IS_MOV BIT(63)
#define NPF_WALK       BIT(33)

/*
 * AVIC, APM 2 15.29 "Advanced Virtual Interrupt Controller": tables of a page each, and EXITINFO1 of
 * AVIC_NOACCEL. Entries that are valid and not running end an IPI with INCOMPLETE_IPI.
 */
#define AVIC_LOGICAL_VALID  BIT(31) /* 7:0 physical APIC ID */
#define AVIC_PHYSICAL_VALID BIT(63) /* 62 is running, 51:12 backing page, 11:0 the host's APIC ID */
#define AVIC_PHYSICAL_PAGE  BITS(51, 12)
#define AVIC_MAX_INDEX	    0xfeull /* of the physical table, in its pointer; 0xff is all of them */
#define AVIC_OFFSET	    BITS(11, 4)
#define AVIC_IS_WRITE	    BIT(32)

#endif
