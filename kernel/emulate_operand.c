/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an instruction to the bytes it works on: its registers, its memory operands.
 * An operand is translated in full before its first byte is touched; then each page of it is RAM
 * or belongs to the MMIO bus. Knows no operation.
 */
#include "kernel/backend.h"
#include "debug.h"
#include "emulate_parts.h"
#include "x86/regs.h"

struct verdict work_refusal(const struct work *w)
{
	return w->fault.type == EVENT_NONE ? verdict_kill(HEALTH_VIOLATION, "code or page tables outside memory") :
					     verdict_event(&w->fault, w->cr2);
}

struct verdict work_done(const struct work *w, bool is_last)
{
	return verdict_hits(is_last ? V_ADVANCE : V_REPEAT, w->in->len, w->debug);
}

/* SDM 2A table 3-1: without REX, byte registers 4 to 7 are AH to BH */
static bool is_high_byte(const struct work *w, u8 n, u32 width)
{
	return width == 1 && !w->in->has_rex && n >= 4 && n < 8;
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
	const struct insn *in = w->in;
	if (in->op < OP_BT || in->op > OP_BTC || in->form != FORM_RM_REG) {
		return 0;
	}
	s64 bit = (s64)sign_extend(work_gpr(w, in->reg, in->op_size), in->op_size);
	return (u64)(bit >> 3) & ~(in->op_size - 1ull);
}

u64 insn_address(struct vcpu *v, const struct insn *in, u64 rip)
{
	u64 addr = in->disp;
	addr += in->base >= 0 ? vcpu_gpr(v, (u8)in->base) : 0;
	addr += in->index >= 0 ? vcpu_gpr(v, (u8)in->index) * in->scale : 0;
	addr += in->is_rip_relative ? rip + in->len : 0;
	return addr & width_mask(in->addr_size);
}

u64 operand_address(const struct work *w)
{
	const struct insn *in = w->in;
	u64 addr = insn_address(w->e->v, in, backend_get(w->e->v, VREG_RIP)) + bit_string_offset(w);
	addr += in->op == OP_POP && in->base == GPR_RSP ? in->op_size : 0; /* SDM 2B "POP" */
	return addr & width_mask(in->addr_size);
}

/*
 * Is this the access that exited? The CPU has then just translated it, with all rights checked and
 * A and D bits set. What it cannot tell apart is resolved by a walk: two operands that are both read.
 * If the code has changed meanwhile, the guest still gets at nothing but what it had the right to.
 */
static bool is_translated(const struct work *w, u64 lin, enum access acc)
{
	return w->x && w->in->op != OP_CMPS && w->x->is_write == (acc == ACCESS_WRITE) &&
	       w->x->addr.v % PAGE_SIZE == lin % PAGE_SIZE;
}

static bool translate(struct work *w, u64 lin, enum access acc, struct operand *o)
{
	gpa at;
	if (lin >> PAGE_SHIFT != o->page_lin) {
		if (is_translated(w, lin, acc)) {
			at = w->x->addr;
		} else if (!walk_linear(w->e->mem, work_paging(w), lin, acc, &at, &w->fault)) {
			return false;
		}
		o->page_lin = lin >> PAGE_SHIFT;
		o->page = GPA(at.v & PAGE_MASK);
	}
	return true;
}

/* SDM 3A 6.15 "Interrupt 17 - Alignment Check Exception": of less priority than page faults */
static bool is_aligned(struct work *w, u64 lin, u32 width)
{
	if (lin % width == 0) {
		return true;
	}
	const struct paging *p = work_paging(w);
	if (p->cpl != 3 || !(p->cr0 & CR0_AM) || !(p->rflags & RFLAGS_AC)) {
		return true;
	}
	w->fault = (struct event){ .type = EVENT_EXCEPTION, .vector = VEC_AC, .has_error = true };
	return false;
}

bool operand_resolve(struct work *w, enum seg s, u64 off, u32 width, enum access acc,
		     struct operand *o)
{
	u64 lin;
	if (!seg_linear(w->e->v, &w->paging, s, off, width, acc, &lin, &w->fault)) {
		return false;
	}
	w->cr2 = lin;
	o->width = width;
	o->width0 = (u32)MIN(width, PAGE_SIZE - lin % PAGE_SIZE);
	if (!translate(w, lin, acc, o)) {
		return false;
	}
	o->addr = o->addr1 = GPA(o->page.v + lin % PAGE_SIZE);
	if (o->width0 != width) {
		w->cr2 = (lin + o->width0) & width_mask(MAX(w->paging.code_size, 4));
		if (!translate(w, w->cr2, acc, o)) {
			return false;
		}
		o->addr1 = o->page;
	}
	w->debug |= (u8)debug_hits(w->e->v, acc == ACCESS_WRITE ? DEBUG_WRITE : DEBUG_READ, lin, width);
	return is_aligned(w, lin, width);
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

static gpa address_at(const struct operand *o, u32 i)
{
	return i < o->width0 ? GPA(o->addr.v + i) : GPA(o->addr1.v + i - o->width0);
}

/* RAM in one access, since other CPUs may look; all of it is RAM, or the bus has it */
static u64 load(const struct work *w, gpa at, u32 width)
{
	const void *ram = gmem_ptr(w->e->mem, at, width);
	u64 value = 0;
	if (!ram) {
		return bus_read(w->e->mmio, at.v, width) & width_mask(width);
	}
	switch (width) {
	case 1: return *(const u8 *)ram;
	case 2: __builtin_memcpy(&value, ram, 2); break;
	case 4: __builtin_memcpy(&value, ram, 4); break;
	default: __builtin_memcpy(&value, ram, 8); break;
	}
	return value;
}

static void store(const struct work *w, gpa at, u32 width, u64 value)
{
	void *ram = gmem_ptr(w->e->mem, at, width);
	if (!ram) {
		bus_write(w->e->mmio, at.v, width, value & width_mask(width));
		return;
	}
	switch (width) {
	case 1: *(u8 *)ram = (u8)value; break;
	case 2: __builtin_memcpy(ram, &value, 2); break;
	case 4: __builtin_memcpy(ram, &value, 4); break;
	default: __builtin_memcpy(ram, &value, 8); break;
	}
}

u64 operand_read(const struct work *w, const struct operand *o)
{
	u64 value = 0;
	if (o->width0 == o->width) {
		return load(w, o->addr, o->width);
	}
	for (u32 i = 0; i < o->width; i++) {
		value |= load(w, address_at(o, i), 1) << (8 * i);
	}
	return value;
}

void operand_write(const struct work *w, const struct operand *o, u64 value)
{
	if (o->width0 == o->width) {
		store(w, o->addr, o->width, value);
		return;
	}
	for (u32 i = 0; i < o->width; i++) {
		store(w, address_at(o, i), 1, value >> (8 * i));
	}
}
