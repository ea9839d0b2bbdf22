/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One vCPU's VMCS: built once, loaded on its CPU, put away again. put() clears it, so that a vCPU
 * which is not loaded has no trace in any CPU. Knows host state, controls and the state after
 * reset, nothing of what the guest does with it. Called through vmx_ops.
 */
#include "lib/lib.h"
#include "vmx/vmcs.h"
#include "x86/msr.h"
#include "x86/regs.h"

/*
 * Exceptions that exit. #AC and #DB since a guest can make their delivery raise them again without
 * end, and no interrupt comes between (CVE-2015-5307, CVE-2015-8104); #MC since it is the host's.
 */
#define EXCEPTIONS ((u32)(BIT(VEC_DB) | BIT(VEC_AC) | BIT(VEC_MC)))

/* CR0 bits that the CPU wants (NE) or that VM entry does not load (SDM 3C 27.3.2.1) */
#define CR0_OWNED (CR0_NE | CR0_ET | CR0_NW | CR0_CD)
/* CR4 bits that a guest may change without anybody looking */
#define CR4_FREE (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT)

/* A loop: PAUSEs at most so many TSC ticks apart; it spins if it does so for so many */
#define PLE_GAP	   128
#define PLE_WINDOW 16384

/* MSRs that entry and exit do not switch: guests have them without exits, the host not at all */
static const u32 switched[VMX_NR_SWITCHED] = { MSR_STAR,   MSR_LSTAR,	       MSR_CSTAR,
					       MSR_SFMASK, MSR_KERNEL_GS_BASE, MSR_TSC_AUX };

/* SDM 3C 26.1.3 "Instructions That Cause VM Exits Conditionally": PAUSE. A CPU that knows no loops exits at each. */
static void init_pause(bool exits)
{
	bool knows_loops = vmx_common.ctl[WORD_PROC2] & PROC2_PAUSE_LOOP;

	if (knows_loops && exits) {
		vmcs_write32(VMCS_PLE_GAP, PLE_GAP);
		vmcs_write32(VMCS_PLE_WINDOW, PLE_WINDOW);
	} else if (knows_loops) {
		vmcs_update32(VMCS_PROC_CTLS2, PROC2_PAUSE_LOOP, 0);
	} else if (exits) {
		vmcs_update32(VMCS_PROC_CTLS, 0, PROC_PAUSE);
	}
}

static void init_controls(const struct vmx_vcpu *x, const struct vcpu_params *p)
{
	/* Activity 0 is active: HLT is the kernel's. The host has no SYSENTER. */
	const u16 zero[] = {
		VMCS_PF_ERROR_MASK.enc, VMCS_PF_ERROR_MATCH.enc, VMCS_CR3_TARGET_COUNT.enc,
		VMCS_EXIT_MSR_STORES.enc, VMCS_EXIT_MSR_LOADS.enc, VMCS_ENTRY_MSR_LOADS.enc,
		VMCS_ENTRY_INTR_INFO.enc, VMCS_GUEST_DEBUGCTL.enc, VMCS_INTERRUPTIBILITY.enc,
		VMCS_ACTIVITY.enc, VMCS_PENDING_DEBUG.enc, VMCS_HOST_SYSENTER_CS.enc,
		VMCS_HOST_SYSENTER_ESP.enc, VMCS_HOST_SYSENTER_EIP.enc,
	};
	const u32 *ctl = vmx_common.ctl;
	u64 io_bitmap = x->pa.v + offsetof(struct vmx_vcpu, io_bitmap);

	for (u32 i = 0; i < ARRAY_SIZE(zero); i++) {
		vmcs_set(zero[i], 0);
	}
	vmcs_write32(VMCS_PIN_CTLS, ctl[WORD_PIN]);
	vmcs_write32(VMCS_PROC_CTLS, ctl[WORD_PROC]);
	vmcs_write32(VMCS_PROC_CTLS2, ctl[WORD_PROC2] & ~(u32)(PROC2_APIC_ACCESS | PROC2_X2APIC));
	init_pause(p->exits_on_pause);
	if (ctl[WORD_PROC2] & PROC2_ENCLS) {
		vmcs_write64(VMCS_ENCLS_BITMAP, ~0ull); /* every leaf: no SGX for guests */
	}
	vmcs_write32(VMCS_EXIT_CTLS, ctl[WORD_EXIT]);
	vmcs_write32(VMCS_ENTRY_CTLS, ctl[WORD_ENTRY]);
	vmcs_write32(VMCS_EXCEPTION_BITMAP, EXCEPTIONS);
	vmcs_writenat(VMCS_CR0_MASK, CR0_OWNED);
	vmcs_writenat(VMCS_CR4_MASK, ~CR4_FREE);
	vmcs_write64(VMCS_IO_BITMAP_A, io_bitmap);
	vmcs_write64(VMCS_IO_BITMAP_B, io_bitmap + PAGE_SIZE);
	vmcs_write64(VMCS_MSR_BITMAP, x->pa.v + offsetof(struct vmx_vcpu, msr_bitmap));
	vmcs_write64(VMCS_EPTP, x->eptp);
	vmcs_write64(VMCS_LINK_POINTER, ~0ull);
	vmcs_write16(VMCS_VPID, p->tag);
}

/* SDM 3A table 10-1 "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT" */
static void init_guest(struct vcpu *v)
{
	static const u64 regs[VREG_CODE_SIZE] = {
		[VREG_RIP] = 0xfff0, [VREG_RFLAGS] = RFLAGS_FIXED1, [VREG_DR6] = DR6_FIXED1,
		[VREG_DR7] = DR7_FIXED1, [VREG_PAT] = 0x0007040600070406,
		[VREG_CR0] = CR0_CD | CR0_NW | CR0_ET,
	};
	static const u32 attrs[NR_SEGS] = {
		[SEG_ES] = 0x93, [SEG_CS] = 0x9b, [SEG_SS] = 0x93, [SEG_DS] = 0x93,
		[SEG_FS] = 0x93, [SEG_GS] = 0x93, [SEG_LDTR] = 0x82, [SEG_TR] = 0x8b,
	};

	for (u32 r = 0; r < VREG_CODE_SIZE; r++) {
		vmx_set(v, r, regs[r]);
	}
	for (u32 i = 0; i < NR_SEGS; i++) {
		bool is_cs = i == SEG_CS;
		vmx_set_seg(v, i, &(struct segment){ .base = is_cs ? 0xffff0000 : 0,
						     .limit = 0xffff,
						     .attr = attrs[i],
						     .sel = is_cs ? 0xf000 : 0 });
	}
}

enum status vmx_vcpu_init(struct vcpu *v, const struct vcpu_params *p)
{
	struct vmx_vcpu *x = v->hw;
	hpa pa = x ? x->pa : p->pages->alloc(p->pages, VMX_VCPU_PAGES);
	if (pa.v == 0) {
		return STATUS_NO_MEMORY;
	}
	x = p->pages->ptr(p->pages, pa);
	memset(x, 0, sizeof(*x));
	*(u32 *)x->vmcs = vmx_common.revision;
	x->pa = pa;
	x->needs_care = true;
	x->eptp = x->eptp_plain = p->second_level.v | EPTP_WB | EPTP_WALK_4;
	x->eptp_apic = p->with_apic.v | EPTP_WB | EPTP_WALK_4;
	x->apic_base = p->apic_base.v;
	vmx_msr_bitmap_build(x->msr_bitmap, p->msrs, p->nr_msrs);
	vmx_io_bitmap_build(x->io_bitmap, p->io_pass, p->nr_io_pass);
	v->hw = x;

	BUG_ON(vmclear(pa.v));
	u64 before = vmcs_borrow(v);
	init_controls(x, p);
	vmx_apic_init(v, p);
	init_guest(v);
	vmcs_return(v, before);
	return STATUS_OK;
}

/* SDM 3A 7.2.3 "TSS Descriptor in 64-bit mode": the base in four pieces */
static u64 tss_base(u64 gdt, u16 tr)
{
	const u32 *d = (const u32 *)(uintptr_t)(gdt + (tr & ~7u));

	return (u64)d[2] << 32 | (d[1] & BITS(31, 24)) | (d[1] & BITS(7, 0)) << 16 | d[0] >> 16;
}

/* What differs between CPUs is found in the CPU itself; 64-bit code needs no selector but CS. */
static void write_host_state(void)
{
	for (u32 i = SEG_ES; i <= SEG_GS; i++) {
		vmcs_write16(VMCS_HOST_SEL(i), i == SEG_CS ? read_cs() : 0);
	}
	vmcs_write16(VMCS_HOST_TR, read_tr());
	vmcs_writenat(VMCS_HOST_CR0, read_cr0());
	vmcs_writenat(VMCS_HOST_CR3, read_cr3());
	vmcs_writenat(VMCS_HOST_CR4, read_cr4());
	vmcs_writenat(VMCS_HOST_FS_BASE, rdmsr(MSR_FS_BASE));
	vmcs_writenat(VMCS_HOST_GS_BASE, rdmsr(MSR_GS_BASE));
	vmcs_writenat(VMCS_HOST_TR_BASE, tss_base(read_gdt_base(), read_tr()));
	vmcs_writenat(VMCS_HOST_GDTR_BASE, read_gdt_base());
	vmcs_writenat(VMCS_HOST_IDTR_BASE, read_idt_base());
	vmcs_write64(VMCS_HOST_PAT, rdmsr(MSR_PAT));
	vmcs_write64(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmcs_writenat(VMCS_HOST_RIP, (u64)(uintptr_t)vmx_exit_stub);
}

void vmx_load(struct vcpu *v)
{
	struct vmx_vcpu *x = v->hw;
	u64 gs = rdmsr(MSR_GS_BASE);

	BUG_ON(x->is_loaded || vmptrld(x->pa.v));
	x->is_loaded = true;
	if (x->host_gs != gs) {
		x->host_gs = gs;
		x->must_flush = x->needs_care = true; /* this CPU may remember another space by the same name */
		write_host_state();
	}
	for (u32 i = 0; i < VMX_NR_SWITCHED; i++) {
		wrmsr(switched[i], x->msr[i]);
	}
	write_cr2(x->cr2);
	write_dr6(x->dr6);
}

void vmx_put(struct vcpu *v)
{
	struct vmx_vcpu *x = v->hw;

	BUG_ON(!x->is_loaded);
	if (!vmx_nmi_blocked(x)) {
		vmcs_update32(VMCS_INTERRUPTIBILITY, BLOCK_NMI, 0);
	}
	BUG_ON(vmclear(x->pa.v));
	x->is_loaded = x->is_launched = false;
	x->needs_care = true;
	for (u32 i = 0; i < VMX_NR_SWITCHED; i++) {
		x->msr[i] = rdmsr(switched[i]);
	}
	x->cr2 = read_cr2();
	x->dr6 = read_dr6();
}
