/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an instruction to the bytes it works on: fetching it, its registers, its memory operands.
 * An operand is translated in full before its first byte is touched; then each page of it is RAM
 * or belongs to the MMIO bus. Alignment checks (#AC) are not modelled. Knows no operation.
 */
#include "debug.h"
#include "emulate_parts.h"
#include "x86/regs.h"

enum decode_status work_fetch(struct work *w)
{
	struct vcpu *v = w->e->v;
	struct fetch f = { .len = 0 };
	enum decode_status status = DECODE_MORE;
	paging_read(v, &w->paging);
	while (status == DECODE_MORE) {
		if (!fetch_more(v, w->e->mem, &w->paging, &f, &w->fault)) {
			w->cr2 = f.lin;
			return DECODE_MORE;
		}
		status = insn_decode(f.bytes, f.len, w->paging.code_size, &w->insn);
	}
	return status;
}

struct verdict work_refusal(const struct work *w)
{
	return w->fault.type == EVENT_NONE ? verdict_kill("code or page tables outside memory") :
					     verdict_event(&w->fault, w->cr2);
}

struct verdict work_done(const struct work *w, bool is_last)
{
	return (struct verdict){ .kind = is_last ? V_ADVANCE : V_REPEAT,
				 .insn_len = w->insn.len,
				 .debug = w->debug };
}

/* SDM 2A table 3-1: without REX, byte registers 4 to 7 are AH to BH */
static bool is_high_byte(const struct work *w, u8 n, u32 width)
{
	return width == 1 && !w->insn.has_rex && n >= 4 && n < 8;
}

u64 work_gpr(const struct work *w, u8 n, u32 width)
{
	bool is_high = is_high_byte(w, n, width);
	return vcpu_gpr(w->e->v, is_high ? n - 4u : n) >> (is_high ? 8 : 0) & width_mask(width);
}

void work_set_gpr(const struct work *w, u8 n, u32 width, u64 value)
{
	struct vcpu *v = w->e->v;
	if (is_high_byte(w, n, width)) {
		vcpu_set_gpr(v, n - 4u, field_set(BITS(15, 8), vcpu_gpr(v, n - 4u), value));
	} else {
		vcpu_set_gpr(v, n, reg_merge(vcpu_gpr(v, n), value, width));
	}
}

/* SDM 2A "BT": a register's bit offset is signed and reaches beyond the operand */
static u64 bit_string_offset(const struct work *w)
{
	const struct insn *in = &w->insn;
	if (in->op < OP_BT || in->op > OP_BTC || in->form != FORM_RM_REG) {
		return 0;
	}
	s64 bit = (s64)sign_extend(work_gpr(w, in->reg, in->op_size), in->op_size);
	return (u64)(bit >> 3) & ~(in->op_size - 1ull);
}

u64 operand_address(const struct work *w)
{
	const struct insn *in = &w->insn;
	struct vcpu *v = w->e->v;
	u64 addr = in->disp + bit_string_offset(w);
	addr += in->base >= 0 ? vcpu_gpr(v, (u8)in->base) : 0;
	addr += in->index >= 0 ? vcpu_gpr(v, (u8)in->index) * in->scale : 0;
	addr += in->is_rip_relative ? v->ops->get(v, VREG_RIP) + in->len : 0;
	return addr & width_mask(in->addr_size);
}

bool operand_resolve(struct work *w, enum seg s, u64 off, u32 width, enum access acc,
		     struct operand *out)
{
	const struct emu *e = w->e;
	if (!seg_linear(e->v, &w->paging, s, off, width, acc, &w->cr2, &w->fault)) {
		return false;
	}
	out->width = width;
	out->width0 = (u32)MIN(width, PAGE_SIZE - w->cr2 % PAGE_SIZE);
	if (!walk_linear(e->mem, &w->paging, w->cr2, acc, &out->addr, &w->fault)) {
		return false;
	}
	w->debug |= (u8)debug_hits(e->v, acc == ACCESS_WRITE ? DEBUG_WRITE : DEBUG_READ, w->cr2, width);
	out->addr1 = out->addr;
	w->cr2 += out->width0;
	return out->width0 == width ||
	       walk_linear(e->mem, &w->paging, w->cr2, acc, &out->addr1, &w->fault);
}

bool operand_is_on(const struct operand *o, gpa addr)
{
	return o->width > 0 && (o->addr.v >> PAGE_SHIFT == addr.v >> PAGE_SHIFT ||
				o->addr1.v >> PAGE_SHIFT == addr.v >> PAGE_SHIFT);
}

bool operand_is_ram(const struct work *w, const struct operand *o)
{
	const struct gmem *m = w->e->mem;
	return o->width == 0 || (gmem_ptr(m, o->addr, 1) && gmem_ptr(m, o->addr1, 1));
}

/* How far one access goes: all of it, or a byte if it crosses pages */
static u32 stride(const struct operand *o)
{
	return o->width0 == o->width ? o->width : 1;
}

static gpa address_at(const struct operand *o, u32 i)
{
	return i < o->width0 ? GPA(o->addr.v + i) : GPA(o->addr1.v + i - o->width0);
}

u64 operand_read(const struct work *w, const struct operand *o)
{
	u64 value = 0;
	for (u32 i = 0; i < o->width; i += stride(o)) {
		gpa at = address_at(o, i);
		u64 part = 0;
		if (!gmem_read(w->e->mem, at, &part, stride(o))) {
			part = bus_read(w->e->mmio, at.v, stride(o));
		}
		value |= part << (8 * i);
	}
	return value;
}

void operand_write(const struct work *w, const struct operand *o, u64 value)
{
	for (u32 i = 0; i < o->width; i += stride(o)) {
		gpa at = address_at(o, i);
		u64 part = value >> (8 * i) & width_mask(stride(o));
		if (!gmem_write(w->e->mem, at, &part, stride(o))) {
			bus_write(w->e->mmio, at.v, stride(o), part);
		}
	}
}
