/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prefixes, opcode, ModRM, SIB, displacement, immediate: SDM 2A 2.1 and 2.2. Bytes are taken
 * through a cursor that hands out zeros once it is empty; what was decided from those is thrown
 * away at the end. Prefixes that change what a two-byte opcode means (F2, F3) make it unknown.
 * Reads decode_tables.c.
 */
#include "decode_tables.h"
#include "lib/lib.h"

#define MAX_LEN 15

/* The bytes, and what was learned from the first of them */
struct cursor {
	const u8 *bytes;
	u32 n, at;
	enum insn_mode mode;
	bool is_short, has_66, has_67;
	u8 rex; /* 0 if none */
	s8 seg; /* -1 if no override */
};

#define REX_B(c) ((c)->rex << 3 & 8)
#define REX_X(c) ((c)->rex << 2 & 8)
#define REX_R(c) ((c)->rex << 1 & 8)
#define REX_W(c) ((c)->rex & 8)

static u8 take_byte(struct cursor *c)
{
	if (c->at == c->n) {
		c->is_short = true;
		return 0;
	}
	return c->bytes[c->at++];
}

static u64 take(struct cursor *c, u32 len)
{
	u64 value = 0;
	for (u32 i = 0; i < len; i++) {
		value |= (u64)take_byte(c) << 8 * i;
	}
	return value;
}

static u64 take_signed(struct cursor *c, u32 len)
{
	return len ? sign_extend(take(c, len), len) : 0;
}

/* Legacy prefixes in any order, then at most one REX before the opcode. Return: the opcode */
static u8 take_prefixes(struct cursor *c, struct insn *in)
{
	for (;;) {
		u8 byte = take_byte(c);
		switch (byte) {
		case 0x26: /* ES CS SS DS: nothing in 64-bit mode (SDM 2A 2.1.1, SDM 1 3.3.7.1) */
		case 0x2e:
		case 0x36:
		case 0x3e: c->seg = c->mode == MODE_64 ? c->seg : (byte >> 3 & 3); break;
		case 0x64: /* FS GS */
		case 0x65: c->seg = byte & 7; break;
		case 0x66: c->has_66 = true; break;
		case 0x67: c->has_67 = true; break;
		case 0xf0: in->has_lock = true; break;
		case 0xf2:
		case 0xf3: in->rep = byte; break;
		default:
			if (c->mode != MODE_64 || (byte & 0xf0) != 0x40) {
				return byte;
			}
			c->rex = byte;
			continue;
		}
		c->rex = 0; /* a REX that a legacy prefix follows is ignored */
	}
}

static u8 op_size(const struct cursor *c, const struct opcode *o, u8 byte)
{
	u8 v = c->has_66 == (c->mode == MODE_16) ? 4 : 2;
	v = REX_W(c) ? 8 : v;
	switch (o->size) {
	case SIZE_Y: return MAX(v, 4);
	case SIZE_2: return 2;
	case SIZE_8: return 8;
	case SIZE_STACK: return c->mode == MODE_64 && !c->has_66 ? 8 : v;
	case SIZE_CR: return c->mode == MODE_64 ? 8 : 4;
	case SIZE_W: return byte & 1 ? v : 1;
	case SIZE_IO: return byte & 1 ? MIN(v, 4) : 1;
	default: return v;
	}
}

static u8 address_size(const struct cursor *c)
{
	u8 other = c->mode == MODE_64 ? MODE_32 : (u8)(MODE_16 + MODE_32 - c->mode);
	return c->has_67 ? other : (u8)c->mode;
}

/* SDM 2A table 2-1 */
static void take_address_16(struct cursor *c, struct insn *in, u8 mod, u8 rm)
{
	static const s8 base[8] = { GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP,
				    GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX };
	static const s8 index[8] = { GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI, -1, -1, -1, -1 };
	bool is_absolute = mod == 0 && rm == 6;
	in->base = is_absolute ? -1 : base[rm];
	in->index = index[rm];
	in->disp = take_signed(c, is_absolute ? 2 : mod);
}

/* SDM 2A tables 2-2 and 2-3; 2.2.1.6 "RIP-Relative Addressing" */
static void take_address_32(struct cursor *c, struct insn *in, u8 mod, u8 rm)
{
	u8 base = rm;
	if (rm == GPR_RSP) {
		u8 sib = take_byte(c), index = (u8)((sib >> 3 & 7) | REX_X(c));
		base = sib & 7;
		in->index = index == GPR_RSP ? -1 : (s8)index;
		in->scale = (u8)(1 << (sib >> 6));
	}
	bool has_base = base != GPR_RBP || mod != 0;
	in->base = (s8)(has_base ? base | REX_B(c) : -1);
	in->is_rip_relative = !has_base && rm == GPR_RBP && c->mode == MODE_64;
	in->disp = take_signed(c, mod == 2 || !has_base ? 4 : mod);
}

static void take_operands(struct cursor *c, struct insn *in, u8 modrm)
{
	u8 mod = modrm >> 6, rm = modrm & 7;
	in->reg = (u8)((modrm >> 3 & 7) | REX_R(c));
	in->rm = (u8)(rm | REX_B(c));
	if (in->is_mem && in->addr_size == 2) {
		take_address_16(c, in, mod, rm);
	} else if (in->is_mem) {
		take_address_32(c, in, mod, rm);
	}
}

static enum seg operand_seg(const struct cursor *c, const struct insn *in)
{
	if (c->seg >= 0) {
		return (enum seg)c->seg;
	}
	return in->base == GPR_RSP || in->base == GPR_RBP ? SEG_SS : SEG_DS;
}

static u64 take_imm(struct cursor *c, const struct opcode *o, u8 size)
{
	switch (o->imm) {
	case IMM_1: return 1;
	case IMM_8: return take_byte(c);
	case IMM_8S: return take_signed(c, 1) & width_mask(size);
	case IMM_Z: return take_signed(c, MIN(size, 4)) & width_mask(size);
	default: return 0;
	}
}

static bool has_modrm(const struct opcode *o)
{
	return o->form >= FORM_RM_REG && !(o->flags & MOFFS);
}

/* The row for this opcode, groups resolved; its op is OP_NONE if there is none */
static struct opcode find_opcode(const struct opcode *row, u8 modrm)
{
	struct opcode o = *row;
	if (o.group != GROUP_NONE) {
		o.op = opcode_groups[o.group][modrm >> 3 & 7];
		o.imm = o.op == OP_NOT || o.op == OP_NEG ? IMM_NONE : o.imm;
		o.size = o.op == OP_PUSH ? SIZE_STACK : o.size;
		o.flags |= o.op == OP_PUSH ? ONLY_MEM : 0;
	}
	if (o.group == GROUP_7 && o.op == OP_NONE) {
		o.op = opcode_0f01[modrm];
		o.form = FORM_NONE;
	}
	return o;
}

/* SDM 2A "LOCK": these, with their destination in memory */
static bool is_lockable(const struct insn *in)
{
	const u64 ops = BITS(OP_XOR, OP_ADD) | BITS(OP_CMPXCHG8B, OP_XCHG) | BITS(OP_BTC, OP_BTS);
	return in->is_mem && in->form != FORM_REG_RM && ops >> in->op & 1;
}

/*
 * What the tables cannot say. @is_rep_opcode: F2 and F3 would select another instruction, as in
 * most of map 2; CPUID, RDMSR and the like, which have no ModRM, take any prefix
 */
static bool is_valid(const struct cursor *c, const struct insn *in, bool is_rep_opcode)
{
	const u32 control_registers = BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(8);
	bool is_other = is_rep_opcode && (in->rep || (in->form == FORM_NONE && c->has_66));
	bool is_bad_lock = in->has_lock && !is_lockable(in);
	bool is_bad_cr = in->op == OP_MOV_CR && !(control_registers >> in->reg & 1);
	bool is_bad_seg = in->op == OP_MOV_SEG && in->reg > SEG_GS;
	bool is_16b = in->op == OP_CMPXCHG8B && REX_W(c); /* twice as wide as anything here */
	bool is_66_63 = in->src_size == 4 && in->op_size == 2; /* manuals differ on it */
	return !is_other && !is_bad_lock && !is_bad_cr && !is_bad_seg && !is_16b && !is_66_63;
}

/* The row of the opcode that starts with @*byte; its last byte is left there */
static const struct opcode *take_opcode(struct cursor *c, u8 *byte)
{
	if (*byte != 0x0f) {
		return &opcode_map1[*byte];
	}
	*byte = take_byte(c);
	if (*byte != 0x38) {
		return &opcode_map2[*byte];
	}
	*byte = take_byte(c);
	return (*byte & 0xfe) == 0xf0 ? &opcode_movbe[*byte & 1] : &opcode_map2[0x38];
}

static bool decode(struct cursor *c, struct insn *in)
{
	u8 modrm = 0, byte = take_prefixes(c, in);
	bool is_map2 = byte == 0x0f;
	const struct opcode *row = take_opcode(c, &byte);
	if (has_modrm(row)) {
		modrm = take_byte(c);
	}
	struct opcode o = find_opcode(row, modrm);
	bool is_reg = modrm >> 6 == 3;
	if (o.op == OP_NONE || (o.flags & ONLY_64 && c->mode != MODE_64) ||
	    (o.flags & ONLY_MEM && is_reg) || (o.flags & NO_66 && c->has_66)) {
		return false;
	}
	in->op = o.op;
	in->form = o.form;
	in->is_mem = o.form == FORM_STRING || o.flags & MOFFS ||
		     (has_modrm(&o) && !is_reg && !(o.flags & ONLY_REG));
	in->has_rex = c->rex;
	in->addr_size = address_size(c);
	in->op_size = op_size(c, &o, byte);
	in->src_size = o.src_size ? o.src_size : in->op_size;
	if (has_modrm(&o)) {
		take_operands(c, in, modrm);
	} else if (o.flags & MOFFS) {
		in->disp = take(c, in->addr_size);
	}
	in->seg = operand_seg(c, in);
	in->reg = o.flags & BY_CL ? GPR_RCX : in->reg;
	in->imm = take_imm(c, &o, in->op_size);
	in->len = (u8)c->at;
	return is_valid(c, in, is_map2 && has_modrm(row));
}

enum decode_status insn_decode(const u8 *bytes, u32 n, enum insn_mode mode, struct insn *out)
{
	struct cursor c = { .bytes = bytes, .n = MIN(n, MAX_LEN), .mode = mode, .seg = -1 };
	*out = (struct insn){ .base = -1, .index = -1, .scale = 1 };
	bool ok = decode(&c, out);
	if (c.is_short) {
		return n < MAX_LEN ? DECODE_MORE : DECODE_UNKNOWN;
	}
	return ok ? DECODE_OK : DECODE_UNKNOWN;
}
