/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS with and without REP: SDM 2B
 * "REP/REPE/REPZ/REPNE/REPNZ". Each element is resolved, then moved, then counted, so that a fault
 * or the end of a batch leaves registers from which the guest goes on at the same RIP. Called by
 * emulate.c and emulate_pio.c.
 */
#include "kernel/backend.h"
#include "emulate_parts.h"
#include "x86/regs.h"

#define SOURCE BIT(0) /* reads seg:rSI */
#define DEST   BIT(1) /* uses ES:rDI */
#define STORES BIT(2) /* writes it */

static const u8 shapes[NR_OPS] = {
	[OP_MOVS] = SOURCE | DEST | STORES, [OP_CMPS] = SOURCE | DEST, [OP_SCAS] = DEST,
	[OP_STOS] = DEST | STORES, [OP_INS] = DEST | STORES, [OP_LODS] = SOURCE, [OP_OUTS] = SOURCE,
};

static u64 index_of(const struct work *w, u8 reg)
{
	return vcpu_gpr(w->e->v, reg) & width_mask(w->in->addr_size);
}

static void add_to_index(const struct work *w, u8 reg, u64 delta)
{
	u64 old = vcpu_gpr(w->e->v, reg);
	vcpu_set_gpr(w->e->v, reg, reg_merge(old, old + delta, w->in->addr_size));
}

static bool resolve(struct work *w, u8 shape)
{
	u8 size = w->in->op_size;
	if (shape & SOURCE && !operand_resolve(w, w->in->seg, index_of(w, GPR_RSI), size,
					       ACCESS_READ, &w->src)) {
		return false;
	}
	return !(shape & DEST) ||
	       operand_resolve(w, SEG_ES, index_of(w, GPR_RDI), size,
			       shape & STORES ? ACCESS_WRITE : ACCESS_READ, &w->dst);
}

static void move(const struct work *w, u8 shape, u16 port)
{
	const struct bus *ports = w->e->ports;
	enum insn_op op = w->in->op;
	u32 size = w->in->op_size;
	u64 value = shape & SOURCE ? operand_read(w, &w->src) :
		    op == OP_INS   ? bus_read(ports, port, size) :
				     work_gpr(w, GPR_RAX, size);
	switch (op) {
	case OP_LODS: work_set_gpr(w, GPR_RAX, size, value); break;
	case OP_OUTS: bus_write(ports, port, size, value); break;
	case OP_CMPS:
	case OP_SCAS: work_alu(w, OP_CMP, value, operand_read(w, &w->dst)); break;
	default: operand_write(w, &w->dst, value); break;
	}
}

/* MMIO: once the instruction has left the devices, the CPU itself is the better emulator */
static bool is_ours(const struct work *w, bool is_first)
{
	if (!w->x) {
		return true;
	}
	gpa first = w->x->addr;
	return is_first ? operand_is_on(&w->src, first) || operand_is_on(&w->dst, first) :
			  !operand_is_ram(w, &w->src) || !operand_is_ram(w, &w->dst);
}

/* After one element: registers forward. Return: true if that was the last */
static bool count(const struct work *w, u8 shape)
{
	const struct insn *in = w->in;
	u64 rflags = backend_get(w->e->v, VREG_RFLAGS);
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
	bool is_compare = in->op == OP_CMPS || in->op == OP_SCAS, wants_equal = in->rep == 0xf3;
	return index_of(w, GPR_RCX) == 0 || (is_compare && !!(rflags & RFLAGS_ZF) != wants_equal);
}

/* An element that exits takes a thousand times what one in RAM takes: a batch ends with the vCPU's time */
static bool is_late(const struct emu *e)
{
	return e->tsc && e->tsc() >= e->v->deadline_tsc;
}

struct verdict string_run(struct work *w, u16 port)
{
	u8 shape = shapes[w->in->op], port_hits = w->debug;
	bool is_stepped = backend_get(w->e->v, VREG_RFLAGS) & RFLAGS_TF;
	if (w->in->rep && index_of(w, GPR_RCX) == 0) {
		return verdict_advance(w->in->len);
	}
	for (u32 i = 0; i < EMU_REP_BATCH; i++) {
		w->debug = port_hits;
		if (!resolve(w, shape)) {
			return work_refusal(w);
		}
		if (!is_ours(w, i == 0)) {
			break;
		}
		move(w, shape, port);
		if (count(w, shape)) {
			return work_done(w, true);
		}
		if (w->debug || is_stepped) {
			return work_done(w, false);
		}
		if (is_late(w->e)) {
			break;
		}
	}
	return verdict(V_RESUME);
}
