/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instruction with an operand in device memory: fetched, decoded, its addresses resolved, and
 * only then carried out, with one read and one write of the device at most. Page tables or code
 * outside RAM end the partition (a PC would read all ones there; no guest means it), and so do
 * instructions that no driver uses on a device: jumps through it, segment loads, SSE. Called by
 * exit.c and apply.c.
 */
#include "kernel/backend.h"
#include "emulate_parts.h"
#include "x86/regs.h"

#define PLAIN_OPS  BITS(OP_MOV_SEG, OP_MOV)
#define STRING_OPS BITS(OP_SCAS, OP_MOVS)
#define TEST_OPS   (BIT(OP_CMP) | BIT(OP_TEST) | BIT(OP_BT)) /* only flags come of them */
#define STORE_OPS  (BIT(OP_MOV) | BIT(OP_MOVBE) | BIT(OP_MOV_SEG)) /* memory is not read */
static_assert(NR_OPS <= 64, "sets of operations fit a word");

static bool is_in(u64 set, enum insn_op op)
{
	return set >> op & 1;
}

u64 work_alu(const struct work *w, enum insn_op op, u64 dst, u64 src)
{
	struct vcpu *v = w->e->v;
	u64 rflags = backend_get(v, VREG_RFLAGS);
	u64 result = alu(op, dst, src, w->in->op_size, &rflags);
	backend_set(v, VREG_RFLAGS, rflags);
	return result;
}

static u64 selector(const struct work *w, u8 n)
{
	struct segment seg;
	w->e->v->ops->get_seg(w->e->v, (enum seg)n, &seg);
	return seg.sel;
}

/* SDM 2A "CMPXCHG8B": of the flags only ZF changes; memory is written either way */
static u64 compare_pair(const struct work *w, u64 mem)
{
	struct vcpu *v = w->e->v;
	u64 *r = v->regs;
	bool is_equal = mem == (r[GPR_RDX] << 32 | (u32)r[GPR_RAX]);
	u64 rflags = backend_get(v, VREG_RFLAGS) & ~RFLAGS_ZF;
	backend_set(v, VREG_RFLAGS, rflags | (is_equal ? RFLAGS_ZF : 0));
	if (is_equal) {
		return r[GPR_RCX] << 32 | (u32)r[GPR_RBX];
	}
	r[GPR_RAX] = (u32)mem;
	r[GPR_RDX] = mem >> 32;
	return mem;
}

/* What the destination then holds; all other effects on registers and flags are done */
static u64 combine(const struct work *w, u64 dst, u64 src)
{
	const struct insn *in = w->in;
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
	case OP_CMPXCHG8B: return compare_pair(w, dst);
	case OP_MOVBE: return __builtin_bswap64(src) >> (64 - 8 * in->op_size);
	case OP_MOV_SEG: return selector(w, in->reg);
	default: break;
	}
	return work_alu(w, in->op, dst, src);
}

static void perform(const struct work *w, const struct operand *o)
{
	const struct insn *in = w->in;
	bool is_load = in->form == FORM_REG_RM;
	u64 mem = is_load || !is_in(STORE_OPS, in->op) ? operand_read(w, o) : 0;
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

static struct verdict run_plain(struct work *w)
{
	const struct insn *in = w->in;
	bool is_write = in->form != FORM_REG_RM && !is_in(TEST_OPS, in->op);
	if (!operand_resolve(w, in->seg, operand_address(w), in->src_size,
			     is_write ? ACCESS_WRITE : ACCESS_READ, &w->src)) {
		return work_refusal(w);
	}
	if (!operand_is_on(&w->src, w->x->addr)) {
		return verdict(V_RESUME); /* code or tables have changed: let it fault again */
	}
	perform(w, &w->src);
	return work_done(w, true);
}

/* SDM 2B "PUSH", "POP": where the stack is a device, or where the operand is */
static struct verdict run_stack(struct work *w)
{
	const struct insn *in = w->in;
	struct vcpu *v = w->e->v;
	struct segment ss;
	v->ops->get_seg(v, SEG_SS, &ss);
	u32 size = in->op_size, width = w->paging.code_size == 8 ? 8 : ss.attr & SEG_DB ? 4 : 2;
	bool is_pop = in->op == OP_POP;
	u64 rsp = vcpu_gpr(v, GPR_RSP), new_rsp = reg_merge(rsp, is_pop ? rsp + size : rsp - size, width);
	u64 stack = (is_pop ? rsp : new_rsp) & width_mask(width), other = operand_address(w);
	if (!operand_resolve(w, is_pop ? SEG_SS : in->seg, is_pop ? stack : other, size, ACCESS_READ,
			     &w->src) ||
	    !operand_resolve(w, is_pop ? in->seg : SEG_SS, is_pop ? other : stack, size,
			     ACCESS_WRITE, &w->dst)) {
		return work_refusal(w);
	}
	if (!operand_is_on(&w->src, w->x->addr) && !operand_is_on(&w->dst, w->x->addr)) {
		return verdict(V_RESUME);
	}
	operand_write(w, &w->dst, operand_read(w, &w->src));
	vcpu_set_gpr(v, GPR_RSP, new_rsp);
	return work_done(w, true);
}

struct verdict emulate_mmio(const struct emu *e, const struct exit_mmio *x)
{
	struct work w;
	if (x->is_fetch || x->is_walk) {
		return verdict_kill(HEALTH_VIOLATION, x->is_fetch ? "instruction fetch outside memory" :
						  "page tables outside memory");
	}
	work_init(&w, e, x);
	enum decode_status status = work_fetch(&w);
	if (status == DECODE_MORE) {
		return work_refusal(&w);
	}
	if (status == DECODE_OK && is_in(STRING_OPS, w.in->op)) {
		return string_run(&w, 0);
	}
	if (status == DECODE_OK && w.in->is_mem && is_in(PLAIN_OPS, w.in->op)) {
		return run_plain(&w);
	}
	if (status == DECODE_OK && (w.in->op == OP_PUSH || w.in->op == OP_POP)) {
		return run_stack(&w);
	}
	return verdict_kill(HEALTH_UNHANDLED, "cannot emulate instruction at MMIO");
}

u32 emulate_length(const struct emu *e, enum insn_op want, struct insn *out, struct event *fault)
{
	struct work w;
	work_init(&w, e, NULL);
	enum decode_status status = work_fetch(&w);
	*fault = status == DECODE_MORE ? w.fault : (struct event){ .type = EVENT_NONE };
	if (status != DECODE_OK || (want != OP_NONE && w.in->op != want)) {
		return 0;
	}
	*out = *w.in;
	return out->len;
}
