/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Speculative execution: which of the known faults this CPU has, what is done about each, and what is
 * left open. Judged from plain facts, so that any CPU can be judged anywhere. Pure; the machine's side is
 * speculation_host.c, the words are explained in docs/speculation.md.
 */
#ifndef BULKHEAD_SPECULATION_H
#define BULKHEAD_SPECULATION_H

#include "types.h"

enum spec_vendor { SPEC_OTHER, SPEC_INTEL, SPEC_AMD, SPEC_HYGON };

/**
 * struct spec_facts - what the CPU says of itself, as it says it
 * @leaf7_2_edx: subleaf 2
 * @arch_caps:   IA32_ARCH_CAPABILITIES, 0 if there is none
 * @mcu_opt:     IA32_MCU_OPT_CTRL, read only where a bit says that it exists, else 0
 * @threads:     of one core
 * @has_retpoline: the image was compiled with thunks for its indirect branches
 * @is_off:      mitigations=off
 */
struct spec_facts {
	enum spec_vendor vendor;
	u32 family, model, stepping;
	u32 leaf7_ebx, leaf7_edx, leaf7_2_edx;
	u32 ext8_ebx, ext21_eax, ext21_ecx; /* 0x80000008, 0x80000021 */
	u64 arch_caps, mcu_opt;
	u32 threads;
	bool is_vmx, has_retpoline, is_off;
};

/**
 * struct spec_plan - what is done
 * @spec_ctrl:    for each CPU, once: IA32_SPEC_CTRL; 0 = not touched
 * @auto_ibrs:    for each CPU, once: EFER.AIBRSE
 * @plain_branches: indirect branches need no retpoline
 * @small_pages:  second level by 4 KiB pages only
 * @ibpb, @flush_l1d, @verw: between vCPUs of different partitions on one CPU
 */
struct spec_plan {
	u64 spec_ctrl;
	bool auto_ibrs, plain_branches, small_pages;
	bool ibpb, flush_l1d, verw;
};

enum spec_state { SPEC_NOT_AFFECTED, SPEC_MITIGATED, SPEC_OPEN };
struct spec_answer {
	enum spec_state state;
	const char *by; /* by what, or why it is open */
};

struct spec_issue {
	const char *name;
	struct spec_answer (*judge)(const struct spec_facts *f, const struct spec_plan *p);
};
#define SPEC_NR_ISSUES 20
extern const struct spec_issue spec_issues[SPEC_NR_ISSUES];

/** spec_plan() - all that can be done for the faults this CPU has; with @f->is_off nothing. */
struct spec_plan spec_plan(const struct spec_facts *f);

/** spec_text() - "meltdown not-affected", "mds mitigated=...", "srso open: ...". Return: length. */
size_t spec_text(const struct spec_issue *issue, const struct spec_facts *f, const struct spec_plan *p,
		 char *buf, size_t size);

/* CPUID 7 and 0x80000008, 0x80000021 (SDM 2A "CPUID"; APM 3 E.4.7, E.4.13) */
#define LEAF7_EBX_RTM	      BIT(11)
#define LEAF7_EDX_SRBDS_CTRL  BIT(9)
#define LEAF7_EDX_MD_CLEAR    BIT(10)
#define LEAF7_EDX_IBRS_IBPB   BIT(26)
#define LEAF7_EDX_L1D_FLUSH   BIT(28)
#define LEAF7_EDX_ARCH_CAPS   BIT(29)
#define LEAF7_2_EDX_RRSBA     BIT(2)
#define LEAF7_2_EDX_BHI	      BIT(4)
#define EXT8_EBX_IBPB	      BIT(12)
#define EXT8_EBX_SSB_NO	      BIT(26)
#define EXT8_EBX_BTC_NO	      BIT(29)
#define EXT21_EAX_VERW_CLEAR  BIT(5)
#define EXT21_EAX_AUTO_IBRS   BIT(8)
#define EXT21_EAX_SRSO_NO     BIT(29)
#define EXT21_ECX_TSA_NO      BITS(2, 1)

/* IA32_ARCH_CAPABILITIES (SDM 4 table 2-2) */
#define CAPS_RDCL_NO	  BIT(0)
#define CAPS_IBRS_ALL	  BIT(1)
#define CAPS_SKIP_L1DFL	  BIT(3)
#define CAPS_SSB_NO	  BIT(4)
#define CAPS_MDS_NO	  BIT(5)
#define CAPS_PSCHANGE_NO  BIT(6)
#define CAPS_TSX_CTRL	  BIT(7)
#define CAPS_TAA_NO	  BIT(8)
#define CAPS_MMIO_NO	  BITS(15, 13) /* SBDR_SSDP_NO, FBSDP_NO, PSDP_NO */
#define CAPS_FB_CLEAR	  BIT(17)
#define CAPS_RRSBA	  BIT(19)
#define CAPS_BHI_NO	  BIT(20)
#define CAPS_PBRSB_NO	  BIT(24)
#define CAPS_GDS_CTRL	  BIT(25)
#define CAPS_GDS_NO	  BIT(26)
#define CAPS_RFDS_NO	  BIT(27)
#define CAPS_RFDS_CLEAR	  BIT(28)
#define CAPS_ITS_NO	  BIT(62)

#define SPEC_CTRL_IBRS	      BIT(0)
#define SPEC_CTRL_RRSBA_DIS_S BIT(6)
#define SPEC_CTRL_BHI_DIS_S   BIT(10)
#define MCU_OPT_RNGDS_OFF     BIT(0)
#define MCU_OPT_GDS_OFF	      BIT(4)

#endif
