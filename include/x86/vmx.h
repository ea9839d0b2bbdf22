/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x as the manual spells it: VMCS fields (SDM 3D appendix B, in its order), controls, capability
 * bits (SDM 3D appendix A), qualifications (SDM 3C 28.2). Only what the vmx room uses. A field's
 * width is its type: an access of a wrong width, or a field passed as a value, does not compile.
 */
#ifndef BULKHEAD_X86_VMX_H
#define BULKHEAD_X86_VMX_H

#include "types.h"

typedef struct { u16 enc; } vmcs16;
typedef struct { u16 enc; } vmcs32;
typedef struct { u16 enc; } vmcs64;
typedef struct { u16 enc; } vmcs_nat;

#define VMCS16(e)  ((vmcs16){ (u16)(e) })
#define VMCS32(e)  ((vmcs32){ (u16)(e) })
#define VMCS64(e)  ((vmcs64){ (u16)(e) })
#define VMCSNAT(e) ((vmcs_nat){ (u16)(e) })

/* B.1 16-bit fields */
#define VMCS_VPID	  VMCS16(0x0000) /* VPID */
#define VMCS_POSTED_VECTOR VMCS16(0x0002) /* posted interrupts */
#define VMCS_GUEST_SEL(s) VMCS16(0x0800 + 2 * (s)) /* enum seg, ES to TR */
#define VMCS_GUEST_INT_STATUS VMCS16(0x0810) /* virtual-interrupt delivery */
#define VMCS_HOST_SEL(s)  VMCS16(0x0c00 + 2 * (s)) /* enum seg, ES to GS */
#define VMCS_HOST_TR	  VMCS16(0x0c0c)

/* B.2 64-bit fields */
#define VMCS_IO_BITMAP_A     VMCS64(0x2000) /* I/O bitmaps */
#define VMCS_IO_BITMAP_B     VMCS64(0x2002) /* I/O bitmaps */
#define VMCS_MSR_BITMAP	     VMCS64(0x2004) /* MSR bitmaps */
#define VMCS_TSC_OFFSET	     VMCS64(0x2010) /* TSC offsetting */
#define VMCS_POSTED_DESCRIPTOR VMCS64(0x2016) /* posted interrupts */
#define VMCS_VIRTUAL_APIC    VMCS64(0x2012) /* TPR shadow */
#define VMCS_APIC_ACCESS     VMCS64(0x2014) /* virtualize APIC accesses */
#define VMCS_EPTP	     VMCS64(0x201a) /* EPT */
#define VMCS_EOI_EXIT(n)     VMCS64(0x201c + 2 * (n)) /* virtual-interrupt delivery; 0 to 3 */
#define VMCS_ENCLS_BITMAP    VMCS64(0x202e) /* ENCLS exiting */
#define VMCS_GUEST_PHYS	     VMCS64(0x2400) /* EPT */
#define VMCS_LINK_POINTER    VMCS64(0x2800)
#define VMCS_GUEST_DEBUGCTL  VMCS64(0x2802)
#define VMCS_GUEST_PAT	     VMCS64(0x2804) /* load or save PAT */
#define VMCS_GUEST_EFER	     VMCS64(0x2806) /* load or save EFER */
#define VMCS_GUEST_PDPTE(n)  VMCS64(0x280a + 2 * (n)) /* EPT */
#define VMCS_HOST_PAT	     VMCS64(0x2c00) /* exit: load PAT */
#define VMCS_HOST_EFER	     VMCS64(0x2c02) /* exit: load EFER */

/* B.3 32-bit fields */
#define VMCS_PIN_CTLS		 VMCS32(0x4000)
#define VMCS_PROC_CTLS		 VMCS32(0x4002)
#define VMCS_EXCEPTION_BITMAP	 VMCS32(0x4004)
#define VMCS_PF_ERROR_MASK	 VMCS32(0x4006)
#define VMCS_PF_ERROR_MATCH	 VMCS32(0x4008)
#define VMCS_CR3_TARGET_COUNT	 VMCS32(0x400a)
#define VMCS_EXIT_CTLS		 VMCS32(0x400c)
#define VMCS_EXIT_MSR_STORES	 VMCS32(0x400e)
#define VMCS_EXIT_MSR_LOADS	 VMCS32(0x4010)
#define VMCS_ENTRY_CTLS		 VMCS32(0x4012)
#define VMCS_ENTRY_MSR_LOADS	 VMCS32(0x4014)
#define VMCS_ENTRY_INTR_INFO	 VMCS32(0x4016)
#define VMCS_ENTRY_INTR_ERROR	 VMCS32(0x4018)
#define VMCS_ENTRY_INSN_LEN	 VMCS32(0x401a)
#define VMCS_TPR_THRESHOLD	 VMCS32(0x401c) /* TPR shadow */
#define VMCS_PROC_CTLS2		 VMCS32(0x401e) /* secondary controls */
#define VMCS_PLE_GAP		 VMCS32(0x4020) /* with PROC2_PAUSE_LOOP */
#define VMCS_PLE_WINDOW		 VMCS32(0x4022)
#define VMCS_INSN_ERROR		 VMCS32(0x4400)
#define VMCS_EXIT_REASON	 VMCS32(0x4402)
#define VMCS_EXIT_INTR_INFO	 VMCS32(0x4404)
#define VMCS_EXIT_INTR_ERROR	 VMCS32(0x4406)
#define VMCS_VECTORING_INFO	 VMCS32(0x4408)
#define VMCS_VECTORING_ERROR	 VMCS32(0x440a)
#define VMCS_EXIT_INSN_LEN	 VMCS32(0x440c)
#define VMCS_EXIT_INSN_INFO	 VMCS32(0x440e)
#define VMCS_GUEST_LIMIT(s)	 VMCS32(0x4800 + 2 * (s)) /* enum seg, ES to IDTR */
#define VMCS_GUEST_ATTR(s)	 VMCS32(0x4814 + 2 * (s)) /* enum seg, ES to TR */
#define VMCS_INTERRUPTIBILITY	 VMCS32(0x4824)
#define VMCS_ACTIVITY		 VMCS32(0x4826)
#define VMCS_GUEST_SYSENTER_CS	 VMCS32(0x482a)
#define VMCS_PREEMPTION_TIMER	 VMCS32(0x482e) /* preemption timer */
#define VMCS_HOST_SYSENTER_CS	 VMCS32(0x4c00)

/* B.4 natural-width fields */
#define VMCS_CR0_MASK		VMCSNAT(0x6000)
#define VMCS_CR4_MASK		VMCSNAT(0x6002)
#define VMCS_CR0_SHADOW		VMCSNAT(0x6004)
#define VMCS_CR4_SHADOW		VMCSNAT(0x6006)
#define VMCS_QUALIFICATION	VMCSNAT(0x6400)
#define VMCS_GUEST_CR0		VMCSNAT(0x6800)
#define VMCS_GUEST_CR3		VMCSNAT(0x6802)
#define VMCS_GUEST_CR4		VMCSNAT(0x6804)
#define VMCS_GUEST_BASE(s)	VMCSNAT(0x6806 + 2 * (s)) /* enum seg, ES to IDTR */
#define VMCS_GUEST_DR7		VMCSNAT(0x681a)
#define VMCS_GUEST_RSP		VMCSNAT(0x681c)
#define VMCS_GUEST_RIP		VMCSNAT(0x681e)
#define VMCS_GUEST_RFLAGS	VMCSNAT(0x6820)
#define VMCS_PENDING_DEBUG	VMCSNAT(0x6822)
#define VMCS_GUEST_SYSENTER_ESP VMCSNAT(0x6824)
#define VMCS_GUEST_SYSENTER_EIP VMCSNAT(0x6826)
#define VMCS_HOST_CR0		VMCSNAT(0x6c00)
#define VMCS_HOST_CR3		VMCSNAT(0x6c02)
#define VMCS_HOST_CR4		VMCSNAT(0x6c04)
#define VMCS_HOST_FS_BASE	VMCSNAT(0x6c06)
#define VMCS_HOST_GS_BASE	VMCSNAT(0x6c08)
#define VMCS_HOST_TR_BASE	VMCSNAT(0x6c0a)
#define VMCS_HOST_GDTR_BASE	VMCSNAT(0x6c0c)
#define VMCS_HOST_IDTR_BASE	VMCSNAT(0x6c0e)
#define VMCS_HOST_SYSENTER_ESP	VMCSNAT(0x6c10)
#define VMCS_HOST_SYSENTER_EIP	VMCSNAT(0x6c12)
#define VMCS_HOST_RIP		VMCSNAT(0x6c16)

/* SDM 3C 25.6.1 "Pin-Based VM-Execution Controls" */
#define PIN_EXT_INT	     BIT(0)
#define PIN_NMI		     BIT(3)
#define PIN_VIRTUAL_NMIS     BIT(5)
#define PIN_PREEMPTION_TIMER BIT(6)
#define PIN_POSTED	     BIT(7)

/* SDM 3C 25.6.2 "Processor-Based VM-Execution Controls" */
#define PROC_INT_WINDOW	 BIT(2)
#define PROC_TSC_OFFSET	 BIT(3)
#define PROC_HLT	 BIT(7)
#define PROC_MWAIT	 BIT(10)
#define PROC_RDPMC	 BIT(11)
#define PROC_CR8_LOAD	 BIT(19)
#define PROC_CR8_STORE	 BIT(20)
#define PROC_TPR_SHADOW	 BIT(21)
#define PROC_NMI_WINDOW	 BIT(22)
#define PROC_IO_BITMAPS	 BIT(25)
#define PROC_MSR_BITMAPS BIT(28)
#define PROC_MONITOR	 BIT(29)
#define PROC_PAUSE	 BIT(30)
#define PROC_SECONDARY	 BIT(31)

#define PROC2_APIC_ACCESS	 BIT(0)
#define PROC2_EPT		 BIT(1)
#define PROC2_RDTSCP		 BIT(3)
#define PROC2_X2APIC		 BIT(4)
#define PROC2_VPID		 BIT(5)
#define PROC2_WBINVD		 BIT(6)
#define PROC2_UNRESTRICTED_GUEST BIT(7)
#define PROC2_APIC_REGISTERS	 BIT(8)
#define PROC2_VIRQ_DELIVERY	 BIT(9)
#define PROC2_PAUSE_LOOP		 BIT(10)
#define PROC2_INVPCID		 BIT(12)
#define PROC2_ENCLS		 BIT(15)

#define PROC2_APIC_ALL (PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_VIRQ_DELIVERY)

/* SDM 3C 25.7.1 "VM-Exit Controls", 25.8.1 "VM-Entry Controls" */
#define EXITC_ACK BIT(15) /* the CPU acknowledges the interrupt that exits: its vector is in the exit's information */
#define EXITC_ALL (BIT(2) | BIT(9) | BITS(21, 18)) /* save debug, 64-bit, switch PAT, EFER */

#define ENTRYC_IA32E BIT(9)
#define ENTRYC_ALL   (BIT(2) | BITS(15, 14)) /* load debug, PAT and EFER */

/* SDM 3D A.1 "Basic VMX Information", A.6 "Miscellaneous Data", A.10 "VPID and EPT Capabilities" */
#define VMX_BASIC_REVISION  BITS(30, 0)
#define VMX_BASIC_INS_OUTS  BIT(22) /* of the upper half, as is the next */
#define VMX_BASIC_TRUE_CTLS BIT(23)

#define VMX_MISC_TIMER_RATE BITS(4, 0)

#define EPT_CAP_WALK_4 BIT(6)
#define EPT_CAP_WB     BIT(14)
#define EPT_CAP_2M     BIT(16)
#define EPT_CAP_1G     BIT(17)
#define EPT_CAP_INVEPT (BIT(20) | BITS(26, 25)) /* the instruction, and both types of it */

#define FEATURE_CONTROL_LOCK  BIT(0)
#define FEATURE_CONTROL_VMXON BIT(2) /* outside SMX */

/* SDM 3C 25.6.11 "Extended-Page-Table Pointer": write-back tables, walk length 4 less one */
#define EPTP_WB	    6ull
#define EPTP_WALK_4 (3ull << 3)

#define INVEPT_SINGLE 1ull
#define INVEPT_ALL    2ull

/* SDM 3C 25.4.2 "Guest Non-Register State" */
#define BLOCK_STI      BIT(0)
#define BLOCK_MOV_SS   BIT(1)
#define BLOCK_NMI      BIT(3)
#define PENDING_DBG_BS BIT(14)

/* SDM 3C 25.8.3, 25.9.2: one layout for entry, exit and IDT-vectoring information */
#define INTR_VECTOR	 BITS(7, 0)
#define INTR_TYPE	 BITS(10, 8)
#define INTR_TYPE_EXTINT 0
#define INTR_TYPE_NMI	 2
#define INTR_TYPE_HWEXC	 3
#define INTR_TYPE_SWINT	 4
#define INTR_TYPE_PRIV	 5 /* INT1 */
#define INTR_TYPE_SWEXC	 6 /* INT3, INTO */
#define INTR_ERROR	 BIT(11)
#define INTR_NMI_IRET	 BIT(12) /* exit only: NMI unblocking due to IRET */
#define INTR_VALID	 BIT(31)

/* SDM 3C 25.9.1 "Basic VM-Exit Information"; the table of basic reasons is vmx/exit.c */
#define REASON_BASIC	    BITS(15, 0)
#define REASON_ENTRY_FAILED BIT(31)
#define REASON_APIC_ACCESS   44
#define REASON_EPT_VIOLATION 48

/* SDM 3C 28.2.1 "Basic VM-Exit Information", tables "Exit Qualification for ..." */
#define QUAL_DB_CAUSE (BITS(3, 0) | BIT(13) | BIT(14)) /* B0 to B3, BD, BS: places as in DR6 */
#define QUAL_DB_BP    BITS(3, 0)

#define QUAL_TASK_SEL	 BITS(15, 0)
#define QUAL_TASK_SOURCE BITS(31, 30)

#define QUAL_CR_NUM  BITS(3, 0)
#define QUAL_CR_OP   BITS(5, 4)
#define QUAL_CR_GPR  BITS(11, 8)
#define QUAL_CR_LMSW BITS(31, 16)

#define QUAL_IO_SIZE   BITS(2, 0) /* bytes less one */
#define QUAL_IO_IN     BIT(3)
#define QUAL_IO_STRING BIT(4)
#define QUAL_IO_REP    BIT(5)
#define QUAL_IO_PORT   BITS(31, 16)

#define QUAL_APIC_OFFSET BITS(11, 0) /* APIC access, APIC write */
#define QUAL_APIC_ACCESS BITS(15, 12)
#define APIC_LINEAR_WRITE 1
#define APIC_LINEAR_FETCH 2
#define APIC_PHYS_FETCH	  15 /* or a page table walk */

#define QUAL_EOI_VECTOR BITS(7, 0)

#define QUAL_EPT_WRITE	   BIT(1)
#define QUAL_EPT_FETCH	   BIT(2)
#define QUAL_EPT_LINEAR	   BIT(7) /* the linear address is valid */
#define QUAL_EPT_FINAL	   BIT(8) /* ... and the fault was on its translation, not on the way */
#define QUAL_EPT_NMI_IRET  BIT(12)

/* SDM 3C 28.2.5, "VM-Exit Instruction-Information Field as Used for INS and OUTS" */
#define INSN_INFO_ADDR_SIZE BITS(9, 7) /* 2 << n bytes */
#define INSN_INFO_SEG	    BITS(17, 15)

#endif
