/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest registers in the VMCB under their neutral names, for get, set, get_seg, set_seg and dump.
 * Everything VMSAVE writes is there too, since every exit is followed by one. Pure.
 */
#include "log.h"
#include "svm_vcpu.h"
#include "x86/regs.h"

struct field {
	u16 offset; /* of a u64 in the VMCB; 0: see svm_get() and svm_set() */
	u16 clean;
};
#define FIELD(name, group) { offsetof(struct vmcb, name), (u16)(group) }

static const struct field field[NR_VREGS] = {
	[VREG_RIP] = FIELD(rip, 0), [VREG_RSP] = FIELD(rsp, 0), [VREG_RFLAGS] = FIELD(rflags, 0),
	[VREG_CR0] = FIELD(cr0, CLEAN_CRX), [VREG_CR2] = FIELD(cr2, CLEAN_CR2),
	[VREG_CR3] = FIELD(cr3, CLEAN_CRX), [VREG_CR4] = FIELD(cr4, CLEAN_CRX),
	[VREG_EFER] = FIELD(efer, CLEAN_CRX), [VREG_PAT] = FIELD(g_pat, CLEAN_NP),
	[VREG_DR6] = FIELD(dr6, CLEAN_DRX), [VREG_DR7] = FIELD(dr7, CLEAN_DRX),
	[VREG_SYSENTER_CS] = FIELD(sysenter_cs, 0), [VREG_SYSENTER_ESP] = FIELD(sysenter_esp, 0),
	[VREG_SYSENTER_EIP] = FIELD(sysenter_eip, 0),
	[VREG_TSC_OFFSET] = FIELD(tsc_offset, CLEAN_INTERCEPTS),
};

static struct vmcb *vmcb_of(struct vcpu *v)
{
	return &((struct svm_vcpu *)v->hw)->vmcb;
}

static void *at(struct vmcb *b, u32 offset)
{
	return (char *)b + offset;
}

/* AMD's 12 attribute bits are Intel's 16 without the four that hold the limit's top. */
#define ATTR_LOW       0x00ffu
#define ATTR_HIGH      0x0f00u
#define ATTR_LIMIT_GAP 4

static u64 code_size(const struct vmcb *b)
{
	if (b->cs.attr & SEG_L >> ATTR_LIMIT_GAP && b->efer & EFER_LMA) {
		return 8;
	}
	return b->cs.attr & SEG_DB >> ATTR_LIMIT_GAP ? 4 : 2;
}

u64 svm_get(struct vcpu *v, enum vreg r)
{
	const struct svm_vcpu *hw = v->hw;
	struct vmcb *b = vmcb_of(v);
	if (field[r].offset) {
		u64 value = *(u64 *)at(b, field[r].offset);
		return r == VREG_EFER ? value & ~EFER_SVME : value;
	}
	switch (r) {
	case VREG_CR8: return field_get(V_TPR, b->v_intr);
	case VREG_INT_SHADOW: return b->int_shadow & INT_SHADOW;
	case VREG_NMI_BLOCKED: return hw->nmi_blocked;
	case VREG_CODE_SIZE: return code_size(b);
	case VREG_CPL: return b->cpl;
	default: return 0;
	}
}

static u64 with_lma(u64 efer, u64 cr0)
{
	return field_set(EFER_LMA, efer, efer & EFER_LME && cr0 & CR0_PG);
}

void svm_set(struct vcpu *v, enum vreg r, u64 value)
{
	struct vmcb *b = vmcb_of(v);
	switch (r) {
	case VREG_CR0: vmcb_set(b, CLEAN_CRX, efer, with_lma(b->efer, value)); break;
	case VREG_EFER: value = with_lma(value | EFER_SVME, b->cr0); break;
	case VREG_RFLAGS: value |= RFLAGS_FIXED1; break;
	case VREG_CR8: vmcb_set(b, CLEAN_TPR, v_intr, field_set(V_TPR, b->v_intr, value)); break;
	case VREG_INT_SHADOW: b->int_shadow = field_set(INT_SHADOW, b->int_shadow, value); break;
	case VREG_NMI_BLOCKED: svm_nmi_block(v->hw, value); break;
	default: break;
	}
	if (field[r].offset) {
		b->clean &= ~(u32)field[r].clean;
		*(u64 *)at(b, field[r].offset) = value;
	}
}

static const struct field seg_field[NR_SEGS] = {
	[SEG_ES] = FIELD(es, CLEAN_SEG), [SEG_CS] = FIELD(cs, CLEAN_SEG),
	[SEG_SS] = FIELD(ss, CLEAN_SEG), [SEG_DS] = FIELD(ds, CLEAN_SEG),
	[SEG_FS] = FIELD(fs, 0), [SEG_GS] = FIELD(gs, 0), /* these by VMLOAD: never cached */
	[SEG_LDTR] = FIELD(ldtr, 0), [SEG_TR] = FIELD(tr, 0),
	[SEG_GDTR] = FIELD(gdtr, CLEAN_DT), [SEG_IDTR] = FIELD(idtr, CLEAN_DT),
};

/* Above 4 GiB there is only 64-bit code; just below, RIP wraps to 0 in all other */
inline u64 svm_skip(struct vcpu *v, u64 rip, u32 len)
{
	struct vmcb *b = vmcb_of(v);
	u64 rflags = b->rflags, next = rip + len;
	bool wraps = next >> 32 && !(rip >> 32) && !(b->cs.attr & SEG_L >> ATTR_LIMIT_GAP);
	b->rip = wraps ? (u32)next : next;
	b->int_shadow &= ~(u64)INT_SHADOW;
	b->rflags = rflags & ~RFLAGS_RF;
	return rflags;
}

void svm_get_seg(struct vcpu *v, enum seg s, struct segment *out)
{
	struct vmcb *b = vmcb_of(v);
	const struct vmcb_seg *in = at(b, seg_field[s].offset);
	u32 attr = (in->attr & ATTR_LOW) | (in->attr & ATTR_HIGH) << ATTR_LIMIT_GAP;
	if (s == SEG_SS) { /* the CPL is not kept in SS.DPL here: APM 2 15.5.1, "CPL" */
		attr = (u32)field_set(SEG_DPL, attr, b->cpl);
	}
	attr |= attr & SEG_P || s >= SEG_GDTR ? 0 : (u32)SEG_UNUSABLE;
	*out = (struct segment){ in->base, in->limit, attr, in->sel };
}

void svm_set_seg(struct vcpu *v, enum seg s, const struct segment *in)
{
	struct vmcb *b = vmcb_of(v);
	struct vmcb_seg *out = at(b, seg_field[s].offset);
	u64 attr = (in->attr & ATTR_LOW) | (in->attr >> ATTR_LIMIT_GAP & ATTR_HIGH);
	attr = in->attr & SEG_UNUSABLE ? attr & ~SEG_P : attr;
	b->clean &= ~(u32)seg_field[s].clean;
	*out = (struct vmcb_seg){ in->sel, (u16)attr, in->limit, in->base };
	if (s == SEG_SS) {
		b->cpl = (u8)field_get(SEG_DPL, in->attr);
	}
}

void svm_dump(struct vcpu *v)
{
	const struct svm_vcpu *hw = v->hw;
	const struct vmcb *b = &hw->vmcb;
	log("vmcb exit %lx info %lx %lx intinfo %lx inj %lx", b->exit_code, b->exit_info1,
	    b->exit_info2, b->exit_int_info, b->event_inj);
	log("vmcb intercepts %08x %08x %08x %08x %08x clean %x", b->intercept[0], b->intercept[1],
	    b->intercept[2], b->intercept[3], b->intercept[4], b->clean);
	log("vmcb asid %u tlb %u ncr3 %lx vintr %lx shadow %lx nmi-blocked %d", b->asid,
	    b->tlb_control, b->n_cr3, b->v_intr, b->int_shadow, hw->nmi_blocked);
	log("vmcb cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx dr6 %lx dr7 %lx pat %lx", b->cr0, b->cr2,
	    b->cr3, b->cr4, b->efer, b->dr6, b->dr7, b->g_pat);
	log("vmcb rip %04x:%lx rsp %04x:%lx rflags %lx cs %lx/%x/%03x ss %03x cpl %u", b->cs.sel,
	    b->rip, b->ss.sel, b->rsp, b->rflags, b->cs.base, b->cs.limit, b->cs.attr, b->ss.attr,
	    b->cpl);
}
