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
#define TEST_OPS   (BIT(OP_CMP) | BIT(OP_TEST) | BIT(OP_BT)) /* only flags come of them */
static_assert(NR_OPS <= 64, "sets of operations fit a word");

static bool is_in(u64 set, enum insn_op op)
{
	return set >> op & 1;
}

u64 work_alu(const struct work *w, enum insn_op op, u64 dst, u64 src)
{
	struct vcpu *v = w->e->v;
	u64 rflags = v->ops->get(v, VREG_RFLAGS);
	u64 result = alu(op, dst, src, w->insn.op_size, &rflags);
	v->ops->set(v, VREG_RFLAGS, rflags);
	return result;
}

/* What the destination then holds; all other effects on registers and flags are done */
static u64 combine(const struct work *w, u64 dst, u64 src)
{
	const struct insn *in = &w->insn;
	switch (in->op) {
	case OP_MOV:
	case OP_MOVZX: return src;
	case OP_MOVSX: return sign_extend(src, in->src_size);
	case OP_XCHG: work_set_gpr(w, in->reg, in->op_size, dst); return src;
	case OP_XADD: work_set_gpr(w, in->reg, in->op_size, dst); break;
	case OP_CMPXCHG: /* SDM 2A: memory is written either way; only one of the registers is */
		if (work_alu(w, OP_CMP, work_gpr(w, GPR_RAX, in->op_size), dst) == 0) {
			return src;
		}
		work_set_gpr(w, GPR_RAX, in->op_size, dst);
		return dst;
	default: break;
	}
	return work_alu(w, in->op, dst, src);
}

static void perform(const struct work *w, const struct operand *o)
{
	const struct insn *in = &w->insn;
	bool is_load = in->form == FORM_REG_RM;
	u64 mem = is_load || in->op != OP_MOV ? operand_read(w, o) : 0;
	u64 other = in->form == FORM_RM ? in->imm : work_gpr(w, in->reg, in->op_size);
	u64 result = combine(w, is_load ? other : mem, is_load ? mem : other);
	if (is_in(TEST_OPS, in->op)) {
		return;
	}
	if (is_load) {
		work_set_gpr(w, in->reg, in->op_size, result);
	} else {
		operand_write(w, o, result);
	}
}

static struct verdict run_plain(struct work *w, const struct exit_mmio *x)
{
	const struct insn *in = &w->insn;
	bool is_write = in->form != FORM_REG_RM && !is_in(TEST_OPS, in->op);
	struct operand o;
	if (!operand_resolve(w, in->seg, operand_address(w), in->src_size,
			     is_write ? ACCESS_WRITE : ACCESS_READ, &o)) {
		return work_refusal(w);
	}
	if (!operand_is_on(&o, x->addr)) {
		return verdict(V_RESUME); /* code or tables have changed: let it fault again */
	}
	perform(w, &o);
	return work_done(w, true);
}

struct verdict emulate_mmio(const struct emu *e, const struct exit_mmio *x)
{
	struct work w = { .e = e };
	if (x->is_fetch || x->is_walk) {
		return verdict_kill(x->is_fetch ? "instruction fetch outside memory" :
						  "page tables outside memory");
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
