/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instruction with an operand in device memory: fetched, decoded, its addresses resolved, and
 * only then carried out, with one read and one write of the device at most. Page tables or code
 * outside RAM end the partition (a PC would read all ones there; no guest means it), and so do
 * instructions that no driver uses on a device: PUSH, POP, segment registers, SSE. Called by
 * exit.c and apply.c.
 */
#include "emulate_parts.h"
#include "x86/regs.h"

#define PLAIN_OPS  BITS(OP_BTC, OP_MOV)
#define STRING_OPS BITS(OP_SCAS, OP_MOVS)
static_assert(OP_OTHER_PRIV < 64, "sets of operations fit a word");

static bool is_in(u64 set, enum insn_op op)
{
	return set >> op & 1;
}

static bool is_load(const struct insn *in)
{
	return in->form == FORM_REG_RM || in->form == FORM_ACC_MOFFS;
}

static bool writes_memory(const struct insn *in)
{
	return !is_load(in) && !is_in(BIT(OP_CMP) | BIT(OP_TEST) | BIT(OP_BT), in->op);
}

static bool reads_memory(const struct insn *in)
{
	return is_load(in) || in->op != OP_MOV;
}

/* The operand that is not in memory */
static u64 other_operand(const struct work *w)
{
	const struct insn *in = &w->insn;
	switch (in->form) {
	case FORM_RM_IMM: return in->imm;
	case FORM_MOFFS_ACC: return work_gpr(w, GPR_RAX, in->op_size);
	default: return work_gpr(w, in->reg, in->op_size);
	}
}

static u64 extend(const struct insn *in, u64 value)
{
	u32 shift = 64 - 8u * in->src_size;
	return in->op == OP_MOVSX ? (u64)((s64)(value << shift) >> shift) : value;
}

static void load(const struct work *w, u64 value)
{
	u8 reg = w->insn.form == FORM_ACC_MOFFS ? GPR_RAX : w->insn.reg;
	work_set_gpr(w, reg, w->insn.op_size, extend(&w->insn, value));
}

/* SDM 2A "CMPXCHG": memory is written either way; only one of the registers is */
static u64 cmpxchg(const struct work *w, u64 mem, u64 reg, u64 *rflags)
{
	u32 width = w->insn.op_size;
	alu(OP_CMP, work_gpr(w, GPR_RAX, width), mem, width, rflags);
	if (*rflags & RFLAGS_ZF) {
		return reg;
	}
	work_set_gpr(w, GPR_RAX, width, mem);
	return mem;
}

/* @mem op @other, with all effects on registers and flags. Return: what memory then holds */
static u64 modify(const struct work *w, u64 mem, u64 other)
{
	const struct insn *in = &w->insn;
	struct vcpu *v = w->e->v;
	u64 result, rflags = v->ops->get(v, VREG_RFLAGS);
	switch (in->op) {
	case OP_XCHG:
		work_set_gpr(w, in->reg, in->op_size, mem);
		return other;
	case OP_CMPXCHG: result = cmpxchg(w, mem, other, &rflags); break;
	case OP_XADD:
		work_set_gpr(w, in->reg, in->op_size, mem);
		result = alu(OP_ADD, mem, other, in->op_size, &rflags);
		break;
	default:
		if (!is_load(in)) {
			result = alu(in->op, mem, other, in->op_size, &rflags);
			break;
		}
		result = alu(in->op, other, mem, in->op_size, &rflags);
		if (in->op != OP_CMP) {
			work_set_gpr(w, in->reg, in->op_size, result);
		}
	}
	v->ops->set(v, VREG_RFLAGS, rflags);
	return result;
}

static void perform(const struct work *w, const struct operand *o)
{
	const struct insn *in = &w->insn;
	u64 mem = reads_memory(in) ? operand_read(w, o) : 0;
	switch (in->op) {
	case OP_MOV:
	case OP_MOVZX:
	case OP_MOVSX:
		if (is_load(in)) {
			load(w, mem);
			return;
		}
		mem = other_operand(w);
		break;
	default: mem = modify(w, mem, other_operand(w)); break;
	}
	if (writes_memory(in)) {
		operand_write(w, o, mem);
	}
}

static struct verdict run_plain(struct work *w, const struct exit_mmio *x)
{
	const struct insn *in = &w->insn;
	struct operand o;
	if (!operand_resolve(w, in->seg, operand_address(w), in->src_size,
			     writes_memory(in) ? ACCESS_WRITE : ACCESS_READ, &o)) {
		return work_refusal(w);
	}
	if (!operand_is_on(&o, x->addr)) {
		return verdict(V_RESUME); /* code or tables have changed: let it fault again */
	}
	perform(w, &o);
	return verdict_advance(in->len);
}

struct verdict emulate_mmio(const struct emu *e, const struct exit_mmio *x)
{
	struct work w = { .e = e };
	if (x->is_fetch) {
		return verdict_kill("instruction fetch outside memory");
	}
	if (x->is_walk) {
		return verdict_kill("page tables outside memory");
	}
	enum decode_status status = work_fetch(&w);
	if (status == DECODE_MORE) {
		return work_refusal(&w);
	}
	if (status == DECODE_OK && is_in(STRING_OPS, w.insn.op)) {
		return string_run(&w, &(struct string_io){ .mmio = x->addr });
	}
	if (status == DECODE_UNKNOWN || !w.insn.is_mem || !is_in(PLAIN_OPS, w.insn.op)) {
		return verdict_kill("cannot emulate instruction at MMIO");
	}
	return run_plain(&w, x);
}

u32 emulate_length(struct vcpu *v, const struct gmem *m, enum insn_op want, struct insn *out,
		   struct event *fault)
{
	const struct emu e = { .v = v, .mem = m };
	struct work w = { .e = &e };
	enum decode_status status = work_fetch(&w);
	*fault = status == DECODE_MORE ? w.fault : (struct event){ .type = EVENT_NONE };
	*out = w.insn;
	return status == DECODE_OK && (want == OP_NONE || w.insn.op == want) ? w.insn.len : 0;
}
