/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What drivers do with a device nearly always: one MOV, of a register or an immediate. The CPU has just
 * translated the operand's address and checked all rights, so that little is left to be done; what is not
 * as plain as that is emulate.c's. Called by quick.c. Pure.
 */
#include "kernel/backend.h"
#include "kernel/debug.h"
#include "kernel/emulate.h"

/* RSP is elsewhere; without REX byte registers 4 to 7 are AH to BH */
static bool is_plain_gpr(const struct insn *in, u8 n, u32 width)
{
	return n != GPR_RSP && (width > 1 || in->has_rex || n < 4);
}

static bool is_mov(const struct insn *in)
{
	return in->is_mem && (in->op == OP_MOV || in->op == OP_MOVZX || in->op == OP_MOVSX) && in->seg < SEG_FS &&
	       (in->form == FORM_RM || is_plain_gpr(in, in->reg, in->op_size));
}

static void load(struct vcpu *v, const struct insn *in, u64 value)
{
	u64 *reg = &v->regs[in->reg];
	value &= width_mask(in->src_size);
	*reg = reg_merge(*reg, in->op == OP_MOVSX ? sign_extend(value, in->src_size) : value, in->op_size);
}

bool emulate_mov(struct vcpu *v, const struct bus *mmio, const struct insn *in, const struct exit *e,
		 const struct bus_range **touched)
{
	bool is_load = in->form == FORM_REG_RM;
	u64 addr = e->mmio.addr.v, lin = insn_address(v, in, e->rip);
	if (!is_mov(in) || is_load == e->mmio.is_write || e->mmio.is_fetch || e->mmio.is_walk ||
	    (lin ^ addr) % PAGE_SIZE || (lin & (in->src_size - 1u)) || debug_is_watching(v)) {
		return false;
	}
	const struct bus_range *r = *touched = bus_find(mmio, addr, in->src_size);
	if (r ? mmio->lock && !r->ops->is_unlocked : mmio->stray != NULL) {
		return false;
	}
	u64 source = in->form == FORM_RM ? in->imm : v->regs[in->reg];
	if (is_load) {
		load(v, in, r ? r->ops->read(r->self, addr - r->base, in->src_size) : ~0ull);
	} else if (r) {
		r->ops->write(r->self, addr - r->base, in->src_size, source & width_mask(in->src_size));
	}
	return true;
}
