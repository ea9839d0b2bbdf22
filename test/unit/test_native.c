// SPDX-License-Identifier: BSD-2-Clause
/*
 * The emulator against this machine's CPU: each form of an instruction with ModRM runs in each operand size,
 * each addressing and in 64-, 32- and 16-bit code. Strings and absolute addresses are in
 * test_native_strings.c; what user code cannot show (faults, pages, REP batches, ports) is in test_emulate.c
 * and test_emulate_strings.c.
 */
#include "kernel/emulate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "native.h"

/* ---- forms ---- */

#define LOGIC	     (ALL & ~RFLAGS_AF) /* AF is undefined (SDM 2A "AND") */
#define BIT_FLAGS    (RFLAGS_CF | RFLAGS_ZF) /* the others are undefined (SDM 2A "BT") */
#define ROTATE	     (ALL & ~RFLAGS_OF) /* OF is undefined unless by 1 (SDM 2B "RCL/RCR/ROL/ROR") */
#define SHIFT	     (LOGIC & ~RFLAGS_OF)

enum kind {
	BYTES = 1,  /* the form exists for bytes */
	WORDS = 2,  /* and for operand sizes 2, 4, 8 */
	EVEN = 4,   /* bit 0 of the opcode chooses between them */
	BY_BIT = 8, /* a register is a bit offset, and reaches beyond the operand */
	LONG = 16,  /* 4 and 8 only */
	LOCKED = 32, /* LOCK is legal */
	WRITES = 64,
	PAIR = 128, /* CMPXCHG8B */
	STACK = 256,
	ONLY_64 = 512,
	FIXED = 1024, /* the operand size changes nothing in memory: MOV from a segment register */
};
#define BOTH  (BYTES | WORDS | EVEN)
#define STORE_ (BOTH | WRITES | LOCKED)

static const struct form forms[] = {
#define ARITH(n, i, flags, st)                                                                            \
	{ n " m,r", 0, 8 * (i), -1, 0, BOTH | (st), flags }, { n " r,m", 0, 8 * (i) + 2, -1, 0, BOTH, flags }, \
	{ n " m,imm", 0, 0x80, i, 4, BOTH | (st), flags }, { n " m,imm8", 0, 0x83, i, 1, WORDS | (st), flags }
	ARITH("add", 0, ALL, WRITES | LOCKED), ARITH("or", 1, LOGIC, WRITES | LOCKED),
	ARITH("adc", 2, ALL, WRITES | LOCKED), ARITH("sbb", 3, ALL, WRITES | LOCKED),
	ARITH("and", 4, LOGIC, WRITES | LOCKED), ARITH("sub", 5, ALL, WRITES | LOCKED),
	ARITH("xor", 6, LOGIC, WRITES | LOCKED), ARITH("cmp", 7, ALL, 0),
	{ "test m,r", 0, 0x84, -1, 0, BOTH, LOGIC }, { "test m,imm", 0, 0xf6, 0, 4, BOTH, LOGIC },
	{ "xchg", 0, 0x86, -1, 0, STORE_, ALL }, { "mov m,r", 0, 0x88, -1, 0, BOTH | WRITES, ALL },
	{ "mov r,m", 0, 0x8a, -1, 0, BOTH, ALL }, { "mov m,imm", 0, 0xc6, 0, 4, BOTH | WRITES, ALL },
	{ "not", 0, 0xf6, 2, 0, STORE_, ALL }, { "neg", 0, 0xf6, 3, 0, STORE_, ALL },
	{ "inc", 0, 0xfe, 0, 0, STORE_, ALL }, { "dec", 0, 0xfe, 1, 0, STORE_, ALL },
	{ "movsxd", 0, 0x63, -1, 0, LONG | ONLY_64, ALL },
	{ "movzx r,m8", 0x0f, 0xb6, -1, 0, WORDS, ALL }, { "movzx r,m16", 0x0f, 0xb7, -1, 0, WORDS, ALL },
	{ "movsx r,m8", 0x0f, 0xbe, -1, 0, WORDS, ALL }, { "movsx r,m16", 0x0f, 0xbf, -1, 0, WORDS, ALL },
	{ "cmpxchg", 0x0f, 0xb0, -1, 0, STORE_, ALL }, { "xadd", 0x0f, 0xc0, -1, 0, STORE_, ALL },
	{ "cmpxchg8b", 0x0f, 0xc7, 1, 0, WRITES | LOCKED | PAIR, ALL },
	{ "movnti", 0x0f, 0xc3, -1, 0, LONG | WRITES, ALL },
	{ "movbe r,m", 0x38, 0xf0, -1, 0, WORDS, ALL }, { "movbe m,r", 0x38, 0xf1, -1, 0, WORDS | WRITES, ALL },
#define BITOP(n, op, i, st)                                                       \
	{ n " m,r", 0x0f, op, -1, 0, WORDS | BY_BIT | (st), BIT_FLAGS }, \
	{ n " m,imm8", 0x0f, 0xba, i, 1, WORDS | (st), BIT_FLAGS }
	BITOP("bt", 0xa3, 4, 0), BITOP("bts", 0xab, 5, WRITES | LOCKED),
	BITOP("btr", 0xb3, 6, WRITES | LOCKED), BITOP("btc", 0xbb, 7, WRITES | LOCKED),
#define SHIFTS(n, i, flags)                                                                           \
	{ n " m,1", 0, 0xd0, i, 0, BOTH | WRITES, (flags) | RFLAGS_OF }, \
	{ n " m,cl", 0, 0xd2, i, 0, BOTH | WRITES, flags }, { n " m,imm8", 0, 0xc0, i, 1, BOTH | WRITES, flags }
	SHIFTS("rol", 0, ROTATE), SHIFTS("ror", 1, ROTATE), SHIFTS("rcl", 2, ROTATE), SHIFTS("rcr", 3, ROTATE),
	SHIFTS("shl", 4, SHIFT), SHIFTS("shr", 5, SHIFT), SHIFTS("sar", 7, SHIFT),
	{ "push m", 0, 0xff, 6, 0, WORDS | STACK, ALL }, { "pop m", 0, 0x8f, 0, 0, WORDS | STACK | WRITES, ALL },
	{ "mov m,ds", 0, 0x8c, SEG_DS, 0, FIXED | WRITES, ALL },
};

static u32 has_reg(const struct form *f)
{
	return f->ext < 0;
}

/*
 * Registers are random, but those of the address, which give @t->target; returns ModRM, SIB and
 * displacement in @out. 16-bit addresses are relative to a segment at BUF.
 */
static u32 address_16(struct trial *t, u8 *out, u8 reg)
{
	static const s8 base[8] = { GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP, GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX };
	static const s8 index[8] = { GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI, -1, -1, -1, -1 };
	u32 mod = pick(3), rm = pick(8), n = 1;
	u16 offset = (u16)(t->target - BUF), disp = (u16)rng();
	disp = mod == 1 ? (u16)(s8)disp : mod == 2 ? disp : 0;
	out[0] = (u8)(mod << 6 | reg << 3 | rm);
	if (mod == 0 && rm == 6) {
		disp = offset;
		mod = 2;
	} else {
		u16 rest = (u16)(offset - disp), part = index[rm] >= 0 ? (u16)rng() : 0;
		native_regs[base[rm]] = (native_regs[base[rm]] & ~0xffffull) | (u16)(rest - part);
		if (index[rm] >= 0) {
			native_regs[index[rm]] = (native_regs[index[rm]] & ~0xffffull) | part;
		}
	}
	memcpy(out + n, &disp, mod);
	return n + mod;
}

/* @addr_size 4 or 8; sets REX.X and REX.B in *@rex. @room: bytes of the instruction behind these */
static u32 address_32(struct trial *t, u8 *out, u8 reg, u8 *rex, u32 addr_size, u32 room, u32 before)
{
	bool is_64 = t->mode == MODE_64;
	u32 mod = pick(3), nr = is_64 ? 16 : 8, n = 1;
	u32 base = pick(nr), index = pick(nr), scale = pick(4);
	bool has_sib = rng() & 1 || (base & 7) == GPR_RSP;
	bool has_index = has_sib && index != GPR_RSP, no_base = mod == 0 && (base & 7) == GPR_RBP;
	s32 disp = mod == 1 ? (s8)rng() : (s32)rng();
	u64 mask = width_mask(addr_size), offset = t->target - (t->mode == MODE_16 ? BUF : 0);
	if (has_index && index == base && !no_base) {
		has_index = false;
		index = GPR_RSP;
	}
	disp = mod == 0 ? 0 : disp;
	u64 part = has_index ? (rng() & 0xff) << scale : 0;
	if (has_index) {
		native_regs[index] = part >> scale;
		native_regs[index] |= addr_size == 4 && is_64 ? operand() << 32 : 0;
	}
	if (no_base) {
		bool is_rip = is_64 && !has_sib;
		disp = (s32)(offset - part - (is_rip ? CODE + before + 5 + room : 0));
	} else {
		u64 value = (offset - part - (u64)(s64)disp) & mask;
		native_regs[base] = addr_size == 4 && is_64 ? value | operand() << 32 : value;
	}
	*rex |= (u8)((has_sib && index >= 8) << 1 | (base >= 8));
	out[0] = (u8)(mod << 6 | reg << 3 | (has_sib ? GPR_RSP : base & 7));
	if (has_sib) {
		out[n++] = (u8)(scale << 6 | (index & 7) << 3 | (base & 7));
	}
	u32 len = no_base || mod == 2 ? 4 : mod;
	memcpy(out + n, &disp, len);
	return n + len;
}

/* BT with a register: an offset that stays in the buffer, in a register that is not of the address */
static bool tame_bit_offset(struct trial *t, u8 reg)
{
	struct insn in;
	s64 bit = (s64)(rng() % 8192) - 4096;
	if (insn_decode(t->bytes, t->len, t->mode, &in) != DECODE_OK || in.base == reg || in.index == reg) {
		return false;
	}
	native_regs[reg] = t->mode == MODE_64 ? (u64)bit : (u32)bit;
	if (t->size == 2) {
		native_regs[reg] = (u16)bit | (operand() & 0xffffffff0000 & width_mask(t->mode == MODE_64 ? 8 : 4));
	}
	t->target += (u64)(bit >> 3) & ~(u64)(t->size - 1);
	return true;
}

static u32 imm_len(const struct trial *t)
{
	return t->f->imm == 4 ? MIN(t->size, 4u) : t->f->imm;
}

/* Prefixes, opcode, address, immediate. Return: false if this draw cannot be built */
static bool build(struct trial *t)
{
	const struct form *f = t->f;
	bool is_64 = t->mode == MODE_64, is_67 = t->mode != MODE_32 && pick(4) == 0, has_66, is_wide;
	u32 addr_size = is_67 ? (is_64 ? 4 : 6 - t->mode) : t->mode, n = 0;
	u8 reg = (u8)(has_reg(f) ? rng() % (is_64 ? 16 : 8) : (u32)f->ext), rex = 0, tail[16];
	has_66 = t->size > 1 && t->size < 8 && !(f->kind & (PAIR | FIXED)) &&
		 (t->size == 2) != (t->mode == MODE_16);
	is_wide = t->size == 8 && !(f->kind & (PAIR | STACK | FIXED));
	rex = is_wide ? 8 : 0;
	rex |= reg >= 8 ? 4 : 0;
	u8 *b = t->bytes;
	u32 opcode_len = f->map == 0x38 ? 3 : f->map ? 2 : 1;
	bool is_locked = f->kind & LOCKED && pick(4) == 0;
	bool wants_rex = is_64 && (rng() & 1);
	u32 before = is_67 + has_66 + is_locked + 1 + opcode_len; /* with REX, which RIP-relative ones then have */
	u32 tail_len = addr_size == 2 ? address_16(t, tail, reg & 7) :
					address_32(t, tail, reg & 7, &rex, addr_size, imm_len(t), before);
	bool is_rip = is_64 && (tail[0] & 0xc7) == 5;
	wants_rex |= is_rip || rex;
	if (is_67) {
		b[n++] = 0x67;
	}
	if (has_66) {
		b[n++] = 0x66;
	}
	if (is_locked) {
		b[n++] = 0xf0;
	}
	if (wants_rex) {
		b[n++] = 0x40 | rex;
	}
	if (f->map) {
		b[n++] = 0x0f;
	}
	if (f->map == 0x38) {
		b[n++] = 0x38;
	}
	b[n++] = (u8)(f->opcode | (f->kind & EVEN && t->size > 1));
	memcpy(b + n, tail, tail_len);
	n += tail_len;
	for (u32 i = 0; i < imm_len(t); i++) {
		b[n++] = (u8)operand();
	}
	t->len = n;
	return !(f->kind & BY_BIT) || tame_bit_offset(t, reg);
}

/* Values for CMPXCHG, or a stack, after all registers are known */
static bool settle(const struct trial *t)
{
	u64 value;
	if (t->f->kind & STACK) {
		u64 sp = BUF_LEN - 0x800 + rng() % 64;
		struct insn in;
		if (insn_decode(t->bytes, t->len, t->mode, &in) != DECODE_OK || in.base == GPR_RSP) {
			return false; /* by hand in test_emulate.c */
		}
		native_regs[GPR_RSP] = t->mode == MODE_16 ? sp : BUF + sp;
	}
	for (u32 i = 0; i < 32; i += 8) {
		value = operand();
		memcpy(buf + ((t->target - BUF) & ~7ull) + i, &value, 8);
		memcpy(device + ((t->target - BUF) & ~7ull) + i, &value, 8);
	}
	struct insn in;
	bool compares = t->f->map == 0x0f && (t->f->opcode == 0xb0 || t->f->kind & PAIR);
	if (compares && rng() & 1 && insn_decode(t->bytes, t->len, t->mode, &in) == DECODE_OK &&
	    in.base > GPR_RDX && (in.index < 0 || in.index > GPR_RDX)) {
		memcpy(&value, buf + (t->target - BUF), 8);
		native_regs[GPR_RAX] = t->mode == MODE_64 ? value : (u32)value;
		if (t->f->kind & PAIR) {
			native_regs[GPR_RAX] = (u32)value;
			native_regs[GPR_RDX] = value >> 32;
		}
	}
	return true;
}

static u32 run_form(const struct form *f, enum insn_mode mode, u32 size, u32 wanted)
{
	u32 done = 0;
	for (u32 i = 0; i < 4 * wanted && done < wanted; i++) {
		/* in the middle of the buffer, also across its page boundary */
		struct trial t = { .f = f, .mode = mode, .size = size,
				   .target = BUF + BUF_LEN / 2 + rng() % 64 - 32 };
		random_regs(&t);
		if (!build(&t) || !settle(&t)) {
			continue;
		}
		bool crosses = t.target % PAGE_SIZE > PAGE_SIZE - 8;
		bool is_write = f->kind & WRITES;
		run(&t, t.target, pick(4) ? is_write : !is_write);
		/* device side effects: once per operand */
		assert_true(crosses || f->kind & STACK || (nr_reads <= 1 && nr_writes <= 1));
		done++;
	}
	return done;
}

static bool has_size(const struct form *f, enum insn_mode mode, u32 size)
{
	bool is_64 = mode == MODE_64;
	if (f->kind & ONLY_64 && !is_64) {
		return false;
	}
	if (f->kind & PAIR) {
		return size == 8;
	}
	if (f->kind & FIXED) {
		return size == 2;
	}
	if (f->kind & STACK && is_64) {
		return size == 2 || size == 8;
	}
	if (size == 8 && !is_64) {
		return false;
	}
	if (f->kind & LONG) {
		return size >= 4 && (mode != MODE_16 || f->map != 0x0f);
	}
	return f->kind & (size == 1 ? BYTES : WORDS);
}

static void all_forms(enum insn_mode mode)
{
	u32 total = 0;
	for (u32 i = 0; i < ARRAY_SIZE(forms); i++) {
		for (u32 size = 1; size <= 8; size *= 2) {
			if (has_size(&forms[i], mode, size)) {
				u32 done = run_form(&forms[i], mode, size, 60);
				assert_true(done > 10);
				total += done;
			}
		}
	}
	print_message("%u instructions agree\n", total);
}

static void test_64_bit(void **state)
{
	(void)state;
	all_forms(MODE_64);
}

static void test_32_bit(void **state)
{
	(void)state;
	if (nr_modes < 2) {
		print_message("this kernel kills 32-bit code\n");
		skip();
	}
	all_forms(MODE_32);
}

static void test_16_bit(void **state)
{
	(void)state;
	if (nr_modes < 3) {
		print_message("no 16-bit code here\n");
		skip();
	}
	all_forms(MODE_16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_64_bit),
		cmocka_unit_test(test_32_bit),
		cmocka_unit_test(test_16_bit),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
