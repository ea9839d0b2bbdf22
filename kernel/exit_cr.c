/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control register writes that exit: checked as the CPU would with the CPUID this guest was given,
 * then set through the backend. Called by exit_handle() only. Pure.
 */
#include "kernel/backend.h"
#include "kernel/emulate.h"
#include "kernel/exit.h"
#include "lib/lib.h"
#include "x86/regs.h"

/* SDM 3A 4.4.1: PDPTE bits that must be zero below the physical-address width */
#define PDPTE_RESERVED (BITS(2, 1) | BITS(8, 5) | BITS(63, 52))

static bool is_pae(u64 cr0, u64 cr4, u64 efer)
{
	return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

/*
 * MOV to CR0 or CR4 loads the PDPTEs when paging is or becomes PAE (SDM 3A 4.4.1). AMD's do not under
 * nested paging: a walk reads them, and faults then (APM 2 15.25.10 "Legacy PAE Mode").
 */
bool cr3_load_pdptes(struct vcpu *v, u64 cr3)
{
	u64 pdpte[4];
	if (!cpuid_guest_is_intel(&core_of(v)->cpuid)) {
		return true;
	}
	if (!gmem_read(&v->part->mem, GPA(cr3 & BITS(31, 5)), pdpte, sizeof(pdpte))) {
		return false;
	}
	for (u32 i = 0; i < ARRAY_SIZE(pdpte); i++) {
		if ((pdpte[i] & 1) && (pdpte[i] & PDPTE_RESERVED)) {
			return false;
		}
	}
	for (u32 i = 0; i < ARRAY_SIZE(pdpte); i++) {
		backend_set(v, VREG_PDPTE0 + i, pdpte[i]);
	}
	return true;
}

/* SDM 2B "MOV - Move to/from Control Registers", SDM 3A 2.5 */
static bool cr0_is_valid(struct vcpu *v, u64 value, u64 old)
{
	u64 cr4 = backend_get(v, VREG_CR4);
	u64 efer = backend_get(v, VREG_EFER);
	struct segment cs;
	if ((value >> 32) || ((value & CR0_PG) && !(value & CR0_PE)) ||
	    ((value & CR0_NW) && !(value & CR0_CD))) {
		return false;
	}
	v->ops->get_seg(v, SEG_CS, &cs);
	if ((value & CR0_PG) && !(old & CR0_PG) && (efer & EFER_LME)) {
		return (cr4 & CR4_PAE) && !(cs.attr & SEG_L);
	}
	if (!(value & CR0_PG) && (old & CR0_PG)) {
		bool is_64bit = (efer & EFER_LMA) && (cs.attr & SEG_L);
		return !is_64bit && !(cr4 & CR4_PCIDE);
	}
	return true;
}

static struct verdict write_cr0(struct vcpu *v, u64 value, u8 insn_len)
{
	u64 old = backend_get(v, VREG_CR0);
	u64 efer = backend_get(v, VREG_EFER);
	value |= CR0_ET;
	if (!cr0_is_valid(v, value, old)) {
		return VERDICT_GP;
	}
	bool is_long = (efer & EFER_LME) && (value & CR0_PG);
	bool reloads = ((value ^ old) & (CR0_PG | CR0_CD | CR0_NW)) &&
		       is_pae(value, backend_get(v, VREG_CR4), is_long ? EFER_LMA : 0);
	if (reloads && !cr3_load_pdptes(v, backend_get(v, VREG_CR3))) {
		return VERDICT_GP;
	}
	backend_set(v, VREG_CR0, value);
	if ((value ^ old) & (CR0_PG | CR0_WP)) {
		v->ops->flush(v);
	}
	return verdict_advance(insn_len);
}

/* CPUID does not change: asked once */
static u64 cr4_mask(struct core *c)
{
	if (!c->cr4_mask) {
		c->cr4_mask = cpuid_guest_cr4_mask(&c->cpuid);
	}
	return c->cr4_mask;
}

static struct verdict write_cr4(struct vcpu *v, u64 value, u8 insn_len)
{
	const u64 flushing = CR4_PAE | CR4_PGE | CR4_PSE | CR4_PCIDE | CR4_SMEP;
	const u64 reloading = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;
	u64 old = backend_get(v, VREG_CR4);
	u64 cr0 = backend_get(v, VREG_CR0);
	u64 cr3 = backend_get(v, VREG_CR3);
	u64 efer = backend_get(v, VREG_EFER);
	bool sets_pcide = (value & ~old) & CR4_PCIDE;
	if ((value & ~cr4_mask(core_of(v))) ||
	    ((efer & EFER_LMA) && !(value & CR4_PAE)) ||
	    (sets_pcide && (!(efer & EFER_LMA) || (cr3 & BITS(11, 0))))) {
		return VERDICT_GP;
	}
	if (((value ^ old) & reloading) && is_pae(cr0, value, efer) && !cr3_load_pdptes(v, cr3)) {
		return VERDICT_GP;
	}
	backend_set(v, VREG_CR4, value);
	if ((value ^ old) & flushing) {
		v->ops->flush(v);
	}
	return verdict_advance(insn_len);
}

static struct verdict write_cr8(struct vcpu *v, u64 value, u8 insn_len)
{
	if (value > 15) {
		return VERDICT_GP;
	}
	vlapic_set_cr8(&core_of(v)->lapic, value);
	backend_set(v, VREG_CR8, value);
	return verdict_advance(insn_len);
}

static struct verdict mov_to(struct vcpu *v, const struct exit_cr *x, u8 insn_len)
{
	u64 value = vcpu_gpr(v, x->gpr);
	if (!(backend_get(v, VREG_EFER) & EFER_LMA)) {
		value = (u32)value;
	}
	switch (x->num) {
	case 0: return write_cr0(v, value, insn_len);
	case 4: return write_cr4(v, value, insn_len);
	case 8: return write_cr8(v, value, insn_len);
	default: return verdict_kill(HEALTH_UNHANDLED, "unexpected control register write");
	}
}

static struct verdict mov_from(struct vcpu *v, const struct exit_cr *x, u8 insn_len)
{
	static const enum vreg regs[] = { [0] = VREG_CR0, [3] = VREG_CR3, [4] = VREG_CR4 };
	u64 value = x->num == 8 ? vlapic_cr8(&core_of(v)->lapic) : 0;
	if (x->num < ARRAY_SIZE(regs) && regs[x->num]) {
		value = backend_get(v, regs[x->num]);
	} else if (x->num != 8) {
		return verdict_kill(HEALTH_UNHANDLED, "unexpected control register read");
	}
	vcpu_set_gpr(v, x->gpr, value);
	return verdict_advance(insn_len);
}

/* SDM 2A "LMSW": the low four bits of CR0, but PE cannot be cleared */
static struct verdict lmsw(struct vcpu *v, u16 source, u8 insn_len)
{
	u64 cr0 = backend_get(v, VREG_CR0);
	const u64 low = CR0_MP | CR0_EM | CR0_TS;
	return write_cr0(v, (cr0 & ~low) | (source & (low | CR0_PE)), insn_len);
}

/* Without decode assists the instruction itself says which register it was (APM 2 15.7.2): MOV only, since
 * the code of a CR8 read, or of a CR4 or CR8 write, can come from nothing else. */
static struct verdict decode_mov(struct vcpu *v, struct exit_cr *x, u8 *insn_len)
{
	struct insn insn;
	struct event fault;
	const struct emu emu = { .v = v, .mem = &v->part->mem, .insns = &core_of(v)->insns };
	const struct insn *in = emulate_known(v, emu.insns, backend_get(v, VREG_RIP));
	if (!in || in->op != OP_MOV_CR) {
		in = emulate_length(&emu, OP_MOV_CR, &insn, &fault) ? &insn : NULL;
	}
	if (!in) {
		return fault.type == EVENT_NONE ? VERDICT_UD :
						  verdict_event(&fault, backend_get(v, VREG_RIP));
	}
	*insn_len = in->len;
	*x = (struct exit_cr){ .op = in->form == FORM_REG_RM ? CR_MOV_TO : CR_MOV_FROM,
			       .num = in->reg, .gpr = in->rm };
	return verdict(V_ADVANCE);
}

struct verdict exit_cr(struct vcpu *v, const struct exit *e)
{
	struct exit_cr x = e->cr;
	u8 insn_len = e->insn_len;
	if (x.op == CR_DECODE) {
		struct verdict d = decode_mov(v, &x, &insn_len);
		if (d.kind != V_ADVANCE) {
			return d;
		}
	}
	switch (x.op) {
	case CR_MOV_TO: return mov_to(v, &x, insn_len);
	case CR_MOV_FROM: return mov_from(v, &x, insn_len);
	case CR_CLTS: return write_cr0(v, backend_get(v, VREG_CR0) & ~CR0_TS, insn_len);
	case CR_LMSW: return lmsw(v, x.lmsw, insn_len);
	case CR_DECODE: break;
	}
	return verdict_kill(HEALTH_UNHANDLED, "undecided CR access");
}
