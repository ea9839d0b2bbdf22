/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS with and without REP: SDM 2B
 * "REP/REPE/REPZ/REPNE/REPNZ". Each element is resolved, then moved, then counted, so that a fault
 * or the end of a batch leaves registers from which the guest goes on at the same RIP. Called by
 * emulate.c and emulate_pio.c.
 */
#include "emulate_parts.h"
#include "x86/regs.h"

#define SOURCE BIT(0) /* reads seg:rSI */
#define DEST   BIT(1) /* uses ES:rDI */
#define STORES BIT(2) /* writes it */

static u64 shape_of(enum insn_op op)
{
	switch (op) {
	case OP_MOVS: return SOURCE | DEST | STORES;
	case OP_CMPS: return SOURCE | DEST;
	case OP_LODS:
	case OP_OUTS: return SOURCE;
	case OP_SCAS: return DEST;
	default: return DEST | STORES; /* STOS, INS */
	}
}

static u64 index_of(const struct work *w, u8 reg)
{
	return vcpu_gpr(w->e->v, reg) & width_mask(w->insn.addr_size);
}

static void add_to_index(const struct work *w, u8 reg, u64 delta)
{
	u64 old = vcpu_gpr(w->e->v, reg);
	vcpu_set_gpr(w->e->v, reg, reg_merge(old, old + delta, w->insn.addr_size));
}

static bool resolve(struct work *w, u64 shape, struct operand *src, struct operand *dst)
{
	const struct insn *in = &w->insn;
	enum access acc = shape & STORES ? ACCESS_WRITE : ACCESS_READ;
	if (shape & SOURCE &&
	    !operand_resolve(w, in->seg, index_of(w, GPR_RSI), in->op_size, ACCESS_READ, src)) {
		return false;
	}
	return !(shape & DEST) ||
	       operand_resolve(w, SEG_ES, index_of(w, GPR_RDI), in->op_size, acc, dst);
}

static void compare(const struct work *w, u64 left, u64 right)
{
	struct vcpu *v = w->e->v;
	u64 rflags = v->ops->get(v, VREG_RFLAGS);
	alu(OP_CMP, left, right, w->insn.op_size, &rflags);
	v->ops->set(v, VREG_RFLAGS, rflags);
}

static void move(const struct work *w, const struct string_io *io, const struct operand *src,
		 const struct operand *dst)
{
	const struct bus *ports = w->e->ports;
	u32 width = w->insn.op_size;
	switch (w->insn.op) {
	case OP_MOVS: operand_write(w, dst, operand_read(w, src)); break;
	case OP_STOS: operand_write(w, dst, work_gpr(w, GPR_RAX, width)); break;
	case OP_LODS: work_set_gpr(w, GPR_RAX, width, operand_read(w, src)); break;
	case OP_INS: operand_write(w, dst, bus_read(ports, io->port, width)); break;
	case OP_OUTS: bus_write(ports, io->port, width, operand_read(w, src)); break;
	case OP_SCAS: compare(w, work_gpr(w, GPR_RAX, width), operand_read(w, dst)); break;
	default: {
		u64 left = operand_read(w, src);
		compare(w, left, operand_read(w, dst));
		break;
	}
	}
}

/* MMIO: once the instruction has left the devices, the CPU itself is the better emulator */
static bool is_ours(const struct work *w, const struct string_io *io, u32 nr_done, u64 shape,
		    const struct operand *src, const struct operand *dst)
{
	if (w->insn.op == OP_INS || w->insn.op == OP_OUTS) {
		return true;
	}
	if (nr_done == 0) {
		return (shape & SOURCE && operand_is_on(src, io->mmio)) ||
		       (shape & DEST && operand_is_on(dst, io->mmio));
	}
	return (shape & SOURCE && !operand_is_ram(w, src)) ||
	       (shape & DEST && !operand_is_ram(w, dst));
}

/* After one element: registers forward. Return: true if that was the last */
static bool count(const struct work *w, u64 shape)
{
	const struct insn *in = &w->insn;
	struct vcpu *v = w->e->v;
	u64 rflags = v->ops->get(v, VREG_RFLAGS);
	u64 delta = rflags & RFLAGS_DF ? -(u64)in->op_size : in->op_size;
	if (shape & SOURCE) {
		add_to_index(w, GPR_RSI, delta);
	}
	if (shape & DEST) {
		add_to_index(w, GPR_RDI, delta);
	}
	if (!in->rep) {
		return true;
	}
	add_to_index(w, GPR_RCX, -1ull);
	bool is_compare = in->op == OP_CMPS || in->op == OP_SCAS;
	bool wants_equal = in->rep == 0xf3;
	return index_of(w, GPR_RCX) == 0 || (is_compare && !!(rflags & RFLAGS_ZF) != wants_equal);
}

struct verdict string_run(struct work *w, const struct string_io *io)
{
	u64 shape = shape_of(w->insn.op);
	if (w->insn.rep && index_of(w, GPR_RCX) == 0) {
		return verdict_advance(w->insn.len);
	}
	for (u32 i = 0; i < EMU_REP_BATCH; i++) {
		struct operand src = { .width = 0 }, dst = { .width = 0 };
		if (!resolve(w, shape, &src, &dst)) {
			return work_refusal(w);
		}
		if (!is_ours(w, io, i, shape, &src, &dst)) {
			break;
		}
		move(w, io, &src, &dst);
		if (count(w, shape)) {
			return verdict_advance(w->insn.len);
		}
	}
	return verdict(V_RESUME);
}
