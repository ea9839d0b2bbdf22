/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest registers by their neutral names. Hides what VMX forces into CR0 and CR4, keeps LMA and the
 * "IA-32e mode guest" control true. A vCPU that is not loaded is borrowed for the one access.
 */
#include "vmx/vmcs.h"
#include "x86/insn.h"
#include "x86/regs.h"

#define NO_VMCS ~0ull

u64 vmcs_borrow(const struct vcpu *v)
{
	const struct vmx_vcpu *x = v->hw;

	if (x->is_loaded) {
		return NO_VMCS;
	}
	u64 before = vmptrst();
	BUG_ON(vmptrld(x->pa.v));
	return before;
}

void vmcs_return(const struct vcpu *v, u64 before)
{
	const struct vmx_vcpu *x = v->hw;

	BUG_ON(!x->is_loaded && vmclear(x->pa.v));
	BUG_ON(before != NO_VMCS && vmptrld(before));
}

/* The field that is the register and nothing else */
static always_inline u16 plain_field(enum vreg r)
{
	switch (r) {
	case VREG_RIP: return VMCS_GUEST_RIP.enc;
	case VREG_RSP: return VMCS_GUEST_RSP.enc;
	case VREG_RFLAGS: return VMCS_GUEST_RFLAGS.enc;
	case VREG_CR3: return VMCS_GUEST_CR3.enc;
	case VREG_DR7: return VMCS_GUEST_DR7.enc;
	case VREG_EFER: return VMCS_GUEST_EFER.enc;
	case VREG_PAT: return VMCS_GUEST_PAT.enc;
	case VREG_SYSENTER_CS: return VMCS_GUEST_SYSENTER_CS.enc;
	case VREG_SYSENTER_ESP: return VMCS_GUEST_SYSENTER_ESP.enc;
	case VREG_SYSENTER_EIP: return VMCS_GUEST_SYSENTER_EIP.enc;
	case VREG_TSC_OFFSET: return VMCS_TSC_OFFSET.enc;
	case VREG_PDPTE0 ... VREG_PDPTE3: return VMCS_GUEST_PDPTE(r - VREG_PDPTE0).enc;
	default: BUG_ON(true); return 0;
	}
}

/* Owned bits as the guest wrote them, the others as they are */
static u64 cr_get(vmcs_nat reg, vmcs_nat mask, vmcs_nat shadow)
{
	u64 owned = vmcs_readnat(mask);

	return (vmcs_readnat(shadow) & owned) | (vmcs_readnat(reg) & ~owned);
}

/* SDM 3C 27.3.1.1: EFER.LMA, the entry control, and LME with PG must agree. */
static void update_lma(void)
{
	u64 efer = vmcs_read64(VMCS_GUEST_EFER);
	bool lma = (efer & EFER_LME) && (vmcs_readnat(VMCS_GUEST_CR0) & CR0_PG);

	vmcs_write64(VMCS_GUEST_EFER, field_set(EFER_LMA, efer, lma));
	vmcs_update32(VMCS_ENTRY_CTLS, ENTRYC_IA32E, lma ? ENTRYC_IA32E : 0);
}

/*
 * A single-step trap may be pending for as long as the shadow lasts, and must be if TF is set
 * (SDM 3C 27.3.1.5 "Checks on Guest Non-Register State"); without the shadow it is the kernel's.
 */
static void shadow_set(bool on)
{
	bool traps = on && (vmcs_readnat(VMCS_GUEST_RFLAGS) & RFLAGS_TF);
	u64 pending = vmcs_readnat(VMCS_PENDING_DEBUG);

	vmcs_update32(VMCS_INTERRUPTIBILITY, BLOCK_STI | BLOCK_MOV_SS, on ? BLOCK_STI : 0);
	vmcs_writenat(VMCS_PENDING_DEBUG, field_set(PENDING_DBG_BS, pending, traps));
}

static u64 code_size(void)
{
	u32 attr = vmcs_read32(VMCS_GUEST_ATTR(SEG_CS));

	if (attr & SEG_L && vmcs_read64(VMCS_GUEST_EFER) & EFER_LMA) {
		return 8;
	}
	return attr & SEG_DB ? 4 : 2;
}

bool vmx_nmi_blocked(struct vmx_vcpu *x)
{
	x->had_nmi = x->had_nmi && (vmcs_read32(VMCS_INTERRUPTIBILITY) & BLOCK_NMI);
	return x->had_nmi;
}

static always_inline u64 reg_get(struct vmx_vcpu *x, enum vreg r)
{
	switch (r) {
	case VREG_CR0: return cr_get(VMCS_GUEST_CR0, VMCS_CR0_MASK, VMCS_CR0_SHADOW);
	case VREG_CR4: return cr_get(VMCS_GUEST_CR4, VMCS_CR4_MASK, VMCS_CR4_SHADOW);
	case VREG_CR2: return x->is_loaded ? read_cr2() : x->cr2;
	case VREG_DR6: return x->is_loaded ? read_dr6() : x->dr6;
	case VREG_CR8: return 0; /* exits, or is the virtual TPR */
	case VREG_INT_SHADOW:
		return (vmcs_read32(VMCS_INTERRUPTIBILITY) & (BLOCK_STI | BLOCK_MOV_SS)) != 0;
	case VREG_NMI_BLOCKED: return vmx_nmi_blocked(x);
	case VREG_CODE_SIZE: return code_size();
	case VREG_CPL: return field_get(SEG_DPL, vmcs_peek32(VMCS_GUEST_ATTR(SEG_SS)));
	case VREG_DR7: return vmcs_peeknat(VMCS_GUEST_DR7);
	default: return vmcs_get(plain_field(r));
	}
}

/*
 * CR0: NE must be 1 in VMX operation; caching is the host's. CR4: so must VMXE, and MCE is the
 * host's: were it 0, a machine check would shut the CPU down (SDM 3B 16.3.1).
 */
static void reg_set(struct vmx_vcpu *x, enum vreg r, u64 value)
{
	switch (r) {
	case VREG_CR0:
		vmcs_writenat(VMCS_CR0_SHADOW, value);
		vmcs_writenat(VMCS_GUEST_CR0, (value & ~(CR0_CD | CR0_NW)) | CR0_NE | CR0_ET);
		break;
	case VREG_CR4:
		vmcs_writenat(VMCS_CR4_SHADOW, value);
		vmcs_writenat(VMCS_GUEST_CR4,
			      (value & ~CR4_MCE) | (read_cr4() & (CR4_MCE | CR4_VMXE)));
		break;
	case VREG_CR2: x->cr2 = value; break;
	case VREG_DR6: x->dr6 = value; break;
	case VREG_CR8: break;
	case VREG_INT_SHADOW: shadow_set(value); break;
	case VREG_NMI_BLOCKED:
		x->had_nmi = value;
		vmcs_update32(VMCS_INTERRUPTIBILITY, BLOCK_NMI, value ? BLOCK_NMI : 0);
		break;
	default: vmcs_set(plain_field(r), value); break;
	}
	if (r == VREG_CR0 || r == VREG_EFER) {
		update_lma();
	} else if (x->is_loaded && r == VREG_CR2) {
		write_cr2(value);
	} else if (x->is_loaded && r == VREG_DR6) {
		write_dr6(value);
	}
}

static cold u64 get_elsewhere(struct vcpu *v, enum vreg r)
{
	struct vmx_vcpu *x = v->hw;
	u64 before = vmcs_borrow(v);
	u64 value = reg_get(x, r);
	vmcs_return(v, before);
	return value;
}

always_inline u64 vmx_get(struct vcpu *v, enum vreg r)
{
	struct vmx_vcpu *x = v->hw;

	if (r == VREG_TSC_OFFSET) {
		return x->tsc_offset;
	}
	return x->is_loaded ? reg_get(x, r) : get_elsewhere(v, r);
}

void vmx_set(struct vcpu *v, enum vreg r, u64 value)
{
	struct vmx_vcpu *x = v->hw;
	u64 before = vmcs_borrow(v);

	if (r == VREG_TSC_OFFSET) {
		x->tsc_offset = value;
	}
	reg_set(x, r, value);
	vmcs_return(v, before);
}

/* GDTR and IDTR have base and limit only. */
void vmx_get_seg(struct vcpu *v, enum seg s, struct segment *out)
{
	u64 before = vmcs_borrow(v);

	*out = (struct segment){ .base = vmcs_readnat(VMCS_GUEST_BASE(s)),
				 .limit = vmcs_read32(VMCS_GUEST_LIMIT(s)) };
	if (s <= SEG_TR) {
		out->attr = vmcs_read32(VMCS_GUEST_ATTR(s));
		out->sel = vmcs_read16(VMCS_GUEST_SEL(s));
	}
	vmcs_return(v, before);
}

void vmx_set_seg(struct vcpu *v, enum seg s, const struct segment *in)
{
	u64 before = vmcs_borrow(v);
	struct segment fixed = s <= SEG_TR ? vmx_segment_fix(in) : *in;

	vmcs_writenat(VMCS_GUEST_BASE(s), fixed.base);
	vmcs_write32(VMCS_GUEST_LIMIT(s), fixed.limit);
	if (s <= SEG_TR) {
		vmcs_write32(VMCS_GUEST_ATTR(s), fixed.attr);
		vmcs_write16(VMCS_GUEST_SEL(s), fixed.sel);
	}
	vmcs_return(v, before);
}

/*
 * Called for the loaded vCPU only. Above 4 GiB there is only 64-bit code; just below, RIP wraps to 0 in
 * all other.
 */
inline u64 vmx_skip(struct vcpu *v, u64 rip, u32 len)
{
	u64 next = rip + len, rflags = vmcs_peeknat(VMCS_GUEST_RFLAGS);

	(void)v;
	if (next >> 32 && !(rip >> 32) && !(vmcs_read32(VMCS_GUEST_ATTR(SEG_CS)) & SEG_L)) {
		next = (u32)next;
	}
	vmcs_pokenat(VMCS_GUEST_RIP, next);
	if (vmcs_peek32(VMCS_INTERRUPTIBILITY) & (BLOCK_STI | BLOCK_MOV_SS)) {
		shadow_set(false);
	}
	if (rflags & RFLAGS_RF) {
		vmcs_writenat(VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
	}
	return rflags;
}
