/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an instruction to the bytes it works on: fetching it, its registers, its memory operands.
 * An operand is translated in full before its first byte is touched; then each page of it is RAM
 * or belongs to the MMIO bus. Alignment checks (#AC) are not modelled. Knows no operation.
 */
#include "emulate_parts.h"
#include "x86/regs.h"

static enum insn_mode mode_of(struct vcpu *v, const struct paging *p)
{
	struct segment cs;
	v->ops->get_seg(v, SEG_CS, &cs);
	if (p->efer & EFER_LMA && cs.attr & SEG_L) {
		return MODE_64;
	}
	return cs.attr & SEG_DB ? MODE_32 : MODE_16;
}

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
		status = insn_decode(f.bytes, f.len, mode_of(v, &w->paging), &w->insn);
	}
	return status;
}

struct verdict work_refusal(const struct work *w)
{
	return w->fault.type == EVENT_NONE ? verdict_kill("code or page tables outside memory") :
					     verdict_event(&w->fault, w->cr2);
}

static bool is_high_byte(const struct work *w, u8 n, u32 width)
{
	return width == 1 && !w->insn.has_rex && n >= 4 && n < 8;
}

u64 work_gpr(const struct work *w, u8 n, u32 width)
{
	if (is_high_byte(w, n, width)) {
		return vcpu_gpr(w->e->v, n - 4u) >> 8 & 0xff;
	}
	return vcpu_gpr(w->e->v, n) & width_mask(width);
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
	u32 shift = 64 - 8u * in->op_size;
	s64 bit = (s64)(work_gpr(w, in->reg, in->op_size) << shift) >> shift;
	return (u64)(bit >> 3) & ~(in->op_size - 1ull);
}

u64 operand_address(const struct work *w)
{
	const struct insn *in = &w->insn;
	struct vcpu *v = w->e->v;
	u64 addr = (u64)in->disp + bit_string_offset(w);
	if (in->base >= 0) {
		addr += vcpu_gpr(v, (u8)in->base);
	}
	if (in->index >= 0) {
		addr += vcpu_gpr(v, (u8)in->index) * in->scale;
	}
	if (in->is_rip_relative) {
		addr += v->ops->get(v, VREG_RIP) + in->len;
	}
	return addr & width_mask(in->addr_size);
}

bool operand_resolve(struct work *w, enum seg s, u64 off, u32 width, enum access acc,
		     struct operand *out)
{
	const struct emu *e = w->e;
	u64 lin;
	if (!seg_linear(e->v, &w->paging, s, off, width, acc, &lin, &w->fault)) {
		return false;
	}
	*out = (struct operand){ .width = width };
	out->width0 = (u32)MIN(width, PAGE_SIZE - lin % PAGE_SIZE);
	w->cr2 = lin;
	if (!walk_linear(e->mem, &w->paging, lin, acc, &out->addr, &w->fault)) {
		return false;
	}
	if (out->width0 == width) {
		return true;
	}
	w->cr2 = lin + out->width0;
	return walk_linear(e->mem, &w->paging, w->cr2, acc, &out->addr1, &w->fault);
}

bool operand_is_on(const struct operand *o, gpa addr)
{
	return o->addr.v >> PAGE_SHIFT == addr.v >> PAGE_SHIFT ||
	       (o->width0 < o->width && o->addr1.v >> PAGE_SHIFT == addr.v >> PAGE_SHIFT);
}

bool operand_is_ram(const struct work *w, const struct operand *o)
{
	return gmem_ptr(w->e->mem, o->addr, o->width0) &&
	       (o->width0 == o->width || gmem_ptr(w->e->mem, o->addr1, o->width - o->width0));
}

static u64 read_run(const struct work *w, gpa addr, u32 width)
{
	u64 value = 0;
	return gmem_read(w->e->mem, addr, &value, width) ? value :
							    bus_read(w->e->mmio, addr.v, width);
}

static void write_run(const struct work *w, gpa addr, u32 width, u64 value)
{
	if (!gmem_write(w->e->mem, addr, &value, width)) {
		bus_write(w->e->mmio, addr.v, width, value);
	}
}

static gpa byte_at(const struct operand *o, u32 i)
{
	return i < o->width0 ? GPA(o->addr.v + i) : GPA(o->addr1.v + i - o->width0);
}

u64 operand_read(const struct work *w, const struct operand *o)
{
	u64 value = 0;
	if (o->width0 == o->width) {
		return read_run(w, o->addr, o->width);
	}
	for (u32 i = 0; i < o->width; i++) {
		value |= read_run(w, byte_at(o, i), 1) << (8 * i);
	}
	return value;
}

void operand_write(const struct work *w, const struct operand *o, u64 value)
{
	if (o->width0 == o->width) {
		write_run(w, o->addr, o->width, value);
		return;
	}
	for (u32 i = 0; i < o->width; i++) {
		write_run(w, byte_at(o, i), 1, value >> (8 * i) & 0xff);
	}
}
