/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prefixes, opcode, ModRM, SIB, displacement, immediate: SDM 2A 2.1 and 2.2. Bytes are taken
 * through a cursor that hands out zeros once it is empty; what was decided from those is thrown
 * away at the end. Prefixes that change what a two-byte opcode means (F2, F3) make it unknown.
 * Reads decode_tables.c.
 */
#include "decode_tables.h"

#define MAX_LEN 15

struct cursor {
	const u8 *bytes;
	u32 n, at;
	bool is_short;
};

struct prefixes {
	bool has_66, has_67, has_seg;
	u8 rex; /* 0 if none */
	enum seg seg;
};

#define REX_B(p) ((p)->rex << 3 & 8)
#define REX_X(p) ((p)->rex << 2 & 8)
#define REX_R(p) ((p)->rex << 1 & 8)
#define REX_W(p) ((p)->rex & 8)

static u64 take(struct cursor *c, u32 len)
{
	u64 value = 0;
	if (c->is_short || len > c->n - c->at) {
		c->is_short = true;
		return 0;
	}
	for (u32 i = 0; i < len; i++) {
		value |= (u64)c->bytes[c->at++] << (8 * i);
	}
	return value;
}

static s64 take_signed(struct cursor *c, u32 len)
{
	u32 shift = 64 - 8 * len;
	return len ? (s64)(take(c, len) << shift) >> shift : 0;
}

/* In 64-bit mode only FS and GS overrides do anything (SDM 2A 2.1.1, SDM 1 3.3.7.1) */
static void override_seg(struct prefixes *p, enum seg s, enum insn_mode mode)
{
	if (mode != MODE_64 || s == SEG_FS || s == SEG_GS) {
		p->has_seg = true;
		p->seg = s;
	}
}

/* Legacy prefixes in any order, then at most one REX before the opcode. Return: the opcode */
static u8 take_prefixes(struct cursor *c, enum insn_mode mode, struct prefixes *p, struct insn *in)
{
	for (;;) {
		u8 byte = (u8)take(c, 1);
		switch (byte) {
		case 0x26: override_seg(p, SEG_ES, mode); break;
		case 0x2e: override_seg(p, SEG_CS, mode); break;
		case 0x36: override_seg(p, SEG_SS, mode); break;
		case 0x3e: override_seg(p, SEG_DS, mode); break;
		case 0x64: override_seg(p, SEG_FS, mode); break;
		case 0x65: override_seg(p, SEG_GS, mode); break;
		case 0x66: p->has_66 = true; break;
		case 0x67: p->has_67 = true; break;
		case 0xf0: in->has_lock = true; break;
		case 0xf2:
		case 0xf3: in->rep = byte; break;
		default:
			if (mode != MODE_64 || (byte & 0xf0) != 0x40) {
				return byte;
			}
			p->rex = byte;
			continue;
		}
		p->rex = 0; /* a REX that a legacy prefix follows is ignored */
	}
}

static u8 op_size(const struct prefixes *p, enum insn_mode mode, const struct opcode *o, u8 byte,
		  bool is_mem)
{
	u8 size = p->has_66 == (mode == MODE_16) ? 4 : 2;
	bool is_byte_op = !(byte & 1);
	switch (o->size) {
	case SIZE_2: return 2;
	case SIZE_CR: return mode == MODE_64 ? 8 : 4;
	case SIZE_STACK: return mode == MODE_64 ? (p->has_66 && !REX_W(p) ? 2 : 8) : size;
	case SIZE_IO: return is_byte_op ? 1 : (REX_W(p) ? 4 : size);
	case SIZE_W:
		if (is_byte_op) {
			return 1;
		}
		break;
	case SIZE_SMSW:
		if (is_mem) {
			return 2;
		}
		break;
	default: break;
	}
	return REX_W(p) ? 8 : size;
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

/* SDM 2A table 2-3 */
static void take_sib(struct cursor *c, const struct prefixes *p, struct insn *in, u8 mod)
{
	u8 sib = (u8)take(c, 1);
	u8 index = (u8)((sib >> 3 & 7) | REX_X(p));
	in->index = index == GPR_RSP ? -1 : (s8)index;
	in->scale = (u8)(in->index < 0 ? 1 : 1 << (sib >> 6));
	in->base = (s8)((sib & 7) | REX_B(p));
	if ((sib & 7) == GPR_RBP && mod == 0) {
		in->base = -1;
	}
}

/* SDM 2A table 2-2; 2.2.1.6 "RIP-Relative Addressing" */
static void take_address_32(struct cursor *c, const struct prefixes *p, enum insn_mode mode,
			    struct insn *in, u8 modrm)
{
	u8 mod = modrm >> 6, rm = modrm & 7;
	in->base = (s8)(rm | REX_B(p));
	if (rm == GPR_RSP) {
		take_sib(c, p, in, mod);
	} else if (rm == GPR_RBP && mod == 0) {
		in->base = -1;
		in->is_rip_relative = mode == MODE_64;
	}
	bool has_disp32 = mod == 2 || (mod == 0 && in->base < 0);
	in->disp = take_signed(c, has_disp32 ? 4 : mod);
}

static enum seg operand_seg(const struct prefixes *p, const struct insn *in)
{
	if (p->has_seg) {
		return p->seg;
	}
	return in->base == GPR_RSP || in->base == GPR_RBP ? SEG_SS : SEG_DS;
}

static void take_rm(struct cursor *c, const struct prefixes *p, enum insn_mode mode,
		    struct insn *in, u8 modrm)
{
	in->reg = (u8)((modrm >> 3 & 7) | REX_R(p));
	in->rm = (u8)((modrm & 7) | REX_B(p));
	if (!in->is_mem) {
		return;
	}
	if (in->addr_size == 2) {
		take_address_16(c, in, modrm >> 6, modrm & 7);
	} else {
		take_address_32(c, p, mode, in, modrm);
	}
}

static u64 take_imm(struct cursor *c, const struct opcode *o, u8 size)
{
	switch (o->imm) {
	case IMM_8: return take(c, 1);
	case IMM_8S: return (u64)take_signed(c, 1) & width_mask(size);
	case IMM_Z: return (u64)take_signed(c, MIN(size, 4)) & width_mask(size);
	default: return 0;
	}
}

/* The row for this opcode, groups resolved; its op is OP_NONE if there is none */
static struct opcode find_opcode(const struct opcode *map, u8 byte, u8 modrm)
{
	struct opcode o = map[byte];
	if (o.group == GROUP_NONE) {
		return o;
	}
	const struct opcode *member = &opcode_groups[o.group][modrm >> 3 & 7];
	if (o.group == GROUP_7 && modrm >> 6 == 3 && member->flags & ONLY_MEM) {
		return (struct opcode){ .op = opcode_0f01[modrm & 0x3f], .form = FORM_NONE };
	}
	o.op = member->op;
	o.form = member->form;
	o.flags |= member->flags;
	o.size = member->size == SIZE_V ? o.size : member->size;
	return o;
}

static bool has_modrm(const struct opcode *o)
{
	return o->group != GROUP_NONE || (o->form >= FORM_RM_REG && o->form <= FORM_RM);
}

/* SDM 2A "LOCK": these, with their destination in memory */
static bool is_lockable(const struct insn *in)
{
	const u64 ops = BITS(OP_XOR, OP_ADD) | BITS(OP_XADD, OP_XCHG) | BITS(OP_BTC, OP_BTS);
	return in->is_mem && in->form != FORM_REG_RM && ops >> in->op & 1;
}

/* SDM 2B "MOV - Move to/from Control Registers": others raise #UD */
static bool is_cr_or_dr(const struct insn *in)
{
	const u32 control_registers = BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(8);
	return in->op == OP_MOV_CR ? control_registers >> in->reg & 1 : in->reg < 8;
}

static u8 address_size(const struct prefixes *p, enum insn_mode mode)
{
	switch (mode) {
	case MODE_16: return p->has_67 ? 4 : 2;
	case MODE_32: return p->has_67 ? 2 : 4;
	default: return p->has_67 ? 4 : 8;
	}
}

/*
 * What the tables cannot say. @is_rep_opcode: F2 and F3 would select another instruction, as in most
 * of map 2; CPUID, RDMSR and the like, which have no ModRM, take any prefix
 */
static bool is_valid(const struct insn *in, const struct prefixes *p, const struct opcode *o,
		     bool is_rep_opcode)
{
	if ((in->has_lock && !is_lockable(in)) || (o->flags & ONLY_MEM && !in->is_mem)) {
		return false;
	}
	if (is_rep_opcode && (in->rep || (in->form == FORM_NONE && p->has_66))) {
		return false;
	}
	switch (in->op) {
	case OP_PAUSE: return in->rep == 0xf3 && !REX_B(p); /* else NOP, XCHG */
	case OP_MOV_CR:
	case OP_MOV_DR: return is_cr_or_dr(in);
	case OP_MOVSX: return !(o->flags & ONLY_64) || in->op_size > 2; /* manuals differ on 66 63 */
	default: return true;
	}
}

/* MOVZX, MOVSX: b or w by bit 0 of the opcode, but MOVSXD (63) takes a dword */
static u8 source_size(const struct insn *in, u8 byte, bool is_map2)
{
	if (in->op != OP_MOVZX && in->op != OP_MOVSX) {
		return in->op_size;
	}
	if (!is_map2) {
		return 4;
	}
	return byte & 1 ? 2 : 1;
}

static bool decode(struct cursor *c, enum insn_mode mode, struct insn *in)
{
	struct prefixes p = { .rex = 0 };
	u8 modrm = 0, byte = take_prefixes(c, mode, &p, in);
	bool is_map2 = byte == 0x0f;
	const struct opcode *map = is_map2 ? opcode_map2 : opcode_map1;
	if (is_map2) {
		byte = (u8)take(c, 1);
	}
	if (map[byte].flags & ONLY_64 && mode != MODE_64) {
		return false;
	}
	if (has_modrm(&map[byte])) {
		modrm = (u8)take(c, 1);
	}
	struct opcode o = find_opcode(map, byte, modrm);
	if (o.op == OP_NONE) {
		return false;
	}
	bool is_moffs = o.form == FORM_ACC_MOFFS || o.form == FORM_MOFFS_ACC;
	in->op = o.op;
	in->form = o.form;
	in->is_mem = is_moffs || o.form == FORM_STRING ||
		     (has_modrm(&o) && modrm >> 6 != 3 && !(o.flags & ONLY_REG));
	in->has_rex = p.rex;
	in->addr_size = address_size(&p, mode);
	in->op_size = op_size(&p, mode, &o, byte, in->is_mem);
	in->src_size = source_size(in, byte, is_map2);
	if (is_moffs) {
		in->disp = (s64)take(c, in->addr_size);
	} else if (has_modrm(&o)) {
		take_rm(c, &p, mode, in, modrm);
	}
	in->seg = operand_seg(&p, in);
	if (o.form == FORM_RM_IMM || o.form == FORM_NONE) {
		in->imm = take_imm(c, &o, in->op_size);
	}
	in->len = (u8)c->at;
	return is_valid(in, &p, &o, is_map2 && has_modrm(&map[byte]));
}

enum decode_status insn_decode(const u8 *bytes, u32 n, enum insn_mode mode, struct insn *out)
{
	struct cursor c = { .bytes = bytes, .n = MIN(n, MAX_LEN) };
	*out = (struct insn){ .base = -1, .index = -1, .scale = 1 };
	bool ok = decode(&c, mode, out);
	if (c.is_short) {
		return n < MAX_LEN ? DECODE_MORE : DECODE_UNKNOWN;
	}
	return ok ? DECODE_OK : DECODE_UNKNOWN;
}
