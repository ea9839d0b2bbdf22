// SPDX-License-Identifier: BSD-2-Clause
/*
 * The decoder against Zydis, an independent one: whatever ours accepts, Zydis must accept with the same
 * length, operation, sizes, memory operand, registers and immediate. All opcodes of three maps times
 * ModRM (with prefixes, every third or 13th), SIB, prefixes and modes, then random bytes; counters show that the comparison really happened.
 */
#include "kernel/decode.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <Zydis/Zydis.h>
#include <cmocka.h>

static const enum insn_mode modes[] = { MODE_16, MODE_32, MODE_64 };
static ZydisDecoder zydis[9];
static u32 nr_ok[9][64], nr_accepted; /* by mode and operation */

static int setup(void **state)
{
	(void)state;
	ZydisDecoderInit(&zydis[MODE_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&zydis[MODE_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&zydis[MODE_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return 0;
}

static u64 rng(void)
{
	static u64 s = 88172645463325252ull;
	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

#define M(x) ZYDIS_MNEMONIC_##x
/* Every mnemonic that an op may stand for */
static const u16 family[][6] = {
	[OP_MOV] = { M(MOV), M(MOVNTI) }, [OP_MOVZX] = { M(MOVZX) }, [OP_MOVSX] = { M(MOVSX), M(MOVSXD) },
	[OP_ADD] = { M(ADD) }, [OP_OR] = { M(OR) }, [OP_ADC] = { M(ADC) }, [OP_SBB] = { M(SBB) },
	[OP_AND] = { M(AND) }, [OP_SUB] = { M(SUB) }, [OP_XOR] = { M(XOR) }, [OP_CMP] = { M(CMP) },
	[OP_TEST] = { M(TEST) }, [OP_XCHG] = { M(XCHG) }, [OP_INC] = { M(INC) },
	[OP_DEC] = { M(DEC) }, [OP_NOT] = { M(NOT) }, [OP_NEG] = { M(NEG) },
	[OP_CMPXCHG] = { M(CMPXCHG) }, [OP_XADD] = { M(XADD) }, [OP_BT] = { M(BT) },
	[OP_CMPXCHG8B] = { M(CMPXCHG8B) }, [OP_MOVBE] = { M(MOVBE) }, [OP_MOV_SEG] = { M(MOV) },
	[OP_ROL] = { M(ROL) }, [OP_ROR] = { M(ROR) }, [OP_RCL] = { M(RCL) }, [OP_RCR] = { M(RCR) },
	[OP_SHL] = { M(SHL) }, [OP_SHR] = { M(SHR) }, [OP_SAR] = { M(SAR) },
	[OP_PUSH] = { M(PUSH) }, [OP_POP] = { M(POP) },
	[OP_BTS] = { M(BTS) }, [OP_BTR] = { M(BTR) }, [OP_BTC] = { M(BTC) },
	[OP_MOVS] = { M(MOVSB), M(MOVSW), M(MOVSD), M(MOVSQ) },
	[OP_STOS] = { M(STOSB), M(STOSW), M(STOSD), M(STOSQ) },
	[OP_LODS] = { M(LODSB), M(LODSW), M(LODSD), M(LODSQ) },
	[OP_CMPS] = { M(CMPSB), M(CMPSW), M(CMPSD), M(CMPSQ) },
	[OP_SCAS] = { M(SCASB), M(SCASW), M(SCASD), M(SCASQ) },
	[OP_INS] = { M(INSB), M(INSW), M(INSD) }, [OP_OUTS] = { M(OUTSB), M(OUTSW), M(OUTSD) },
	[OP_IN] = { M(IN) }, [OP_OUT] = { M(OUT) }, [OP_MOV_CR] = { M(MOV) },
	[OP_CLTS] = { M(CLTS) }, [OP_LMSW] = { M(LMSW) }, [OP_CPUID] = { M(CPUID) },
	[OP_PAUSE] = { M(PAUSE), M(NOP), M(XCHG) }, [OP_HLT] = { M(HLT) }, [OP_RDMSR] = { M(RDMSR) }, [OP_WRMSR] = { M(WRMSR) },
	[OP_INVD] = { M(INVD) }, [OP_WBINVD] = { M(WBINVD) }, [OP_XSETBV] = { M(XSETBV) },
	[OP_VMCALL] = { M(VMCALL) }, [OP_VMMCALL] = { M(VMMCALL) },
};
static_assert(ARRAY_SIZE(family) == NR_OPS, "a row for each operation");

static bool is_in_family(enum insn_op op, ZydisMnemonic m)
{
	bool found = false;
	for (u32 i = 0; i < ARRAY_SIZE(family[op]); i++) {
		found |= family[op][i] && family[op][i] == m;
	}
	return found;
}

static const char *hex(const u8 *b, u32 n)
{
	static char text[64];
	text[0] = 0;
	for (u32 i = 0; i < n && i < 15; i++) {
		sprintf(text + 3 * i, "%02x ", b[i]);
	}
	return text;
}

static void differ(const u8 *b, u32 n, enum insn_mode mode, const char *what)
{
	fail_msg("%d-bit %s: %s", mode * 8, hex(b, n), what);
}

/* A general register's number as ModRM spells it, from Zydis' name; -1 for none. AH.. are 4.. */
static int number_of(ZydisRegister r)
{
	switch (ZydisRegisterGetClass(r)) {
	case ZYDIS_REGCLASS_GPR8:
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		if (r >= ZYDIS_REGISTER_SPL && r <= ZYDIS_REGISTER_R15B) {
			return r - ZYDIS_REGISTER_SPL + 4; /* AL CL DL BL AH CH DH BH SPL .. */
		}
		return ZydisRegisterGetId(r);
	case ZYDIS_REGCLASS_SEGMENT:
	case ZYDIS_REGCLASS_CONTROL:
	case ZYDIS_REGCLASS_DEBUG: return ZydisRegisterGetId(r);
	default: return -1;
	}
}

static const enum seg seg_of[] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

#define CHECK(cond)                                   \
	do {                                          \
		if (!(cond)) {                        \
			differ(b, n, mode, #cond);    \
		}                                     \
	} while (0)

static void compare_memory(const u8 *b, u32 n, enum insn_mode mode, const struct insn *in,
			   const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *zo)
{
	u64 mask = width_mask(in->addr_size);
	CHECK(in->addr_size * 8 == zi->address_width);
	CHECK(in->seg == seg_of[zo->mem.segment - ZYDIS_REGISTER_ES]);
	/* Zydis 4.0.0 adds R13D here. SDM 2A table 2-5 and the CPU say that REX.B counts for nothing. */
	bool is_zydis_bug = in->addr_size == 4 && mode == MODE_64 && in->base < 0 &&
			    zo->mem.base == ZYDIS_REGISTER_R13D;
	if (in->form == FORM_STRING || is_zydis_bug) {
		return;
	}
	bool is_rip = zo->mem.base == ZYDIS_REGISTER_RIP || zo->mem.base == ZYDIS_REGISTER_EIP;
	CHECK(in->is_rip_relative == is_rip);
	CHECK(in->base == (is_rip ? -1 : number_of(zo->mem.base)));
	CHECK(in->index == number_of(zo->mem.index));
	CHECK(in->index < 0 || in->scale == zo->mem.scale);
	CHECK(((u64)in->disp & mask) == ((u64)zo->mem.disp.value & mask));
}

/* The explicit operands in the order of the form */
static void compare_operands(const u8 *b, u32 n, enum insn_mode mode, const struct insn *in,
			     const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *zo)
{
	u32 rm = in->form == FORM_REG_RM;
	if (in->form == FORM_RM_REG || in->form == FORM_REG_RM) {
		CHECK(in->reg == number_of(zo[!rm].reg.value));
	}
	if (in->form != FORM_NONE && in->form != FORM_STRING) {
		CHECK(in->is_mem == (zo[rm].type == ZYDIS_OPERAND_TYPE_MEMORY));
		CHECK(in->is_mem || in->rm == number_of(zo[rm].reg.value));
		CHECK(in->src_size * 8 == zo[rm].size);
		CHECK(rm == 0 || in->op_size * 8 == zo[0].size);
	}
	bool has_imm = in->form == FORM_RM && zi->operand_count_visible > 1;
	if (has_imm && in->op >= OP_BT && in->op <= OP_BTC) {
		CHECK(in->imm == (zo[1].imm.value.u & 0xff));
	} else if (has_imm) {
		CHECK(zo[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE);
		u64 value = zo[1].imm.is_signed ? (u64)zo[1].imm.value.s : zo[1].imm.value.u;
		CHECK(in->imm == (value & width_mask(in->op_size)));
	} else if (in->op == OP_IN || in->op == OP_OUT) {
		CHECK(in->op_size * 8 == zo[in->op == OP_OUT].size);
	}
	for (u32 i = 0; i < zi->operand_count; i++) {
		bool is_source = zo[i].mem.base != ZYDIS_REGISTER_EDI &&
				 zo[i].mem.base != ZYDIS_REGISTER_DI &&
				 zo[i].mem.base != ZYDIS_REGISTER_RDI;
		if (zo[i].type != ZYDIS_OPERAND_TYPE_MEMORY ||
		    (in->form != FORM_STRING && zo[i].visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT)) {
			continue;
		}
		if (in->form == FORM_STRING) {
			CHECK(in->op_size * 8 == zo[i].size);
		}
		if (in->form != FORM_STRING || is_source) {
			compare_memory(b, n, mode, in, zi, &zo[i]);
		}
	}
}

static void compare_prefixes(const u8 *b, u32 n, enum insn_mode mode, const struct insn *in,
			     const ZydisDecodedInstruction *zi)
{
	u8 rep = 0;
	for (u32 i = 0; i < zi->raw.prefix_count; i++) {
		u8 value = zi->raw.prefixes[i].value;
		rep = value == 0xf2 || value == 0xf3 ? value : rep;
	}
	CHECK(in->rep == rep);
	CHECK(in->has_lock == !!(zi->attributes & ZYDIS_ATTRIB_HAS_LOCK));
	CHECK(in->has_rex == !!(zi->attributes & ZYDIS_ATTRIB_HAS_REX));
}

/* Ours against Zydis, and (one in four) every strict prefix of what ours accepts must ask for more */
static void compare(const u8 *b, u32 n, enum insn_mode mode)
{
	struct insn in, part;
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand zo[ZYDIS_MAX_OPERAND_COUNT];
	if (insn_decode(b, n, mode, &in) != DECODE_OK) {
		return;
	}
	nr_accepted++;
	nr_ok[mode][in.op]++;
	CHECK(in.len >= 1 && in.len <= 15 && in.len <= n);
	if (ZYAN_FAILED(ZydisDecoderDecodeFull(&zydis[mode], b, n, &zi, zo))) {
		differ(b, n, mode, "Zydis refuses it");
	}
	CHECK(in.len == zi.length);
	if (!is_in_family(in.op, zi.mnemonic)) {
		differ(b, n, mode, ZydisMnemonicGetString(zi.mnemonic));
	}
	compare_operands(b, n, mode, &in, &zi, zo);
	compare_prefixes(b, n, mode, &in, &zi);
	for (u32 i = 0; i < in.len && nr_accepted % 4 == 0; i++) {
		CHECK(insn_decode(b, i, mode, &part) == DECODE_MORE);
	}
}

static const u8 prefixes[][3] = {
	{ 0 }, { 0x66 }, { 0x67 }, { 0xf0 }, { 0xf2 }, { 0xf3 }, { 0x64 }, { 0x3e }, { 0x2e, 0x26 },
	{ 0x36 }, { 0x65, 0x3e }, { 0x66, 0x67 }, { 0x66, 0xf3 }, { 0x66, 0xf0 },
};
static const u8 rex[] = { 0, 0x40, 0x48, 0x45, 0x42, 0x4f };

/* Opcode byte, or 0f or 0f 38 and it, behind every prefix and REX, before ModRM, SIB and ten other bytes */
static u32 build(u8 *b, u32 pre, u8 r, u32 map, u8 opcode)
{
	u32 n = 0;
	for (u32 i = 0; prefixes[pre][i]; i++) {
		b[n++] = prefixes[pre][i];
	}
	if (r) {
		b[n++] = r;
	}
	if (map > 0) {
		b[n++] = 0x0f;
	}
	if (map > 1) {
		b[n++] = 0x38;
	}
	b[n++] = opcode;
	return n;
}

static void all_modrm(u8 *b, u32 n, enum insn_mode mode, u32 step)
{
	static const u8 sibs[] = { 0x25, 0x64, 0xa4, 0x9d };
	for (u32 modrm = 0; modrm < 256; modrm += step) {
		b[n] = (u8)modrm;
		u32 nr_sibs = (modrm & 7) == 4 && modrm < 0xc0 ? ARRAY_SIZE(sibs) : 1;
		for (u32 s = 0; s < nr_sibs; s++) {
			b[n + 1] = sibs[s];
			compare(b, n + 11, mode);
		}
	}
}

static void test_all_opcodes(void **state)
{
	(void)state;
	u8 b[32];
	for (u32 i = 0; i < sizeof(b); i++) {
		b[i] = (u8)(0x81 + 7 * i);
	}
	for (u32 m = 0; m < 3; m++) {
		for (u32 at = 0; at < 768 * ARRAY_SIZE(prefixes); at++) {
			for (u32 r = 0; r < (modes[m] == MODE_64 ? sizeof(rex) : 1); r++) {
				u32 n = build(b, at / 768, rex[r], at / 256 % 3, (u8)at);
				all_modrm(b, n, modes[m], at < 768 ? 1 : r ? 13 : 3);
			}
		}
	}
	for (enum insn_op op = OP_MOV; op < NR_OPS; op++) {
		for (u32 m = 0; m < 3; m++) {
			if (!nr_ok[modes[m]][op]) {
				fail_msg("op %d never decoded in %d-bit mode", op, modes[m] * 8);
			}
		}
	}
	print_message("%u encodings accepted\n", nr_accepted);
	assert_true(nr_accepted > 100000);
}

static void test_random_bytes(void **state)
{
	(void)state;
	u8 b[16];
	nr_accepted = 0;
	for (u32 run = 0; run < 300000; run++) {
		u64 lo = rng(), hi = rng();
		memcpy(b, &lo, 8);
		memcpy(b + 8, &hi, 8);
		if (run & 1) {
			b[0] = prefixes[rng() % ARRAY_SIZE(prefixes)][0] ?: 0x48;
		}
		compare(b, 15, modes[run % 3]);
	}
	print_message("%u of 300000 random strings accepted\n", nr_accepted);
	assert_true(nr_accepted > 30000);
}

/* 15 bytes is the limit, whatever is behind them; prefixes alone never end */
static void test_length_limit(void **state)
{
	(void)state;
	u8 b[20];
	struct insn in;
	memset(b, 0x66, sizeof(b));
	for (u32 n = 0; n < sizeof(b); n++) {
		assert_int_equal(insn_decode(b, n, MODE_64, &in), n < 15 ? DECODE_MORE : DECODE_UNKNOWN);
	}
	memcpy(b + 13, (u8[]){ 0x88, 0x07 }, 2); /* mov [rdi], al: exactly 15 */
	assert_int_equal(insn_decode(b, 20, MODE_64, &in), DECODE_OK);
	assert_int_equal(in.len, 15);
	memcpy(b + 13, (u8[]){ 0x88, 0x47, 0x01 }, 3); /* mov [rdi + 1], al: 16 */
	assert_int_equal(insn_decode(b, 20, MODE_64, &in), DECODE_UNKNOWN);
}

struct example {
	u8 bytes[8];
	u32 n;
	enum insn_mode mode;
	enum decode_status status;
};

/* The manual's own rules, not Zydis' */
static void test_rules(void **state)
{
	(void)state;
	static const struct example examples[] = {
		{ { 0xf0, 0x88, 0x07 }, 3, MODE_64, DECODE_UNKNOWN },       /* LOCK MOV */
		{ { 0xf0, 0x01, 0xc0 }, 3, MODE_64, DECODE_UNKNOWN },       /* LOCK ADD reg */
		{ { 0xf0, 0x03, 0x07 }, 3, MODE_64, DECODE_UNKNOWN },       /* LOCK, memory is source */
		{ { 0xf0, 0x01, 0x07 }, 3, MODE_64, DECODE_OK },
		{ { 0xf0, 0x0f, 0xba, 0x27, 1 }, 5, MODE_64, DECODE_UNKNOWN }, /* LOCK BT */
		{ { 0xf0, 0x0f, 0xba, 0x2f, 1 }, 5, MODE_64, DECODE_OK },
		{ { 0xf0, 0x87, 0x07 }, 3, MODE_64, DECODE_OK },	    /* LOCK XCHG, INC, DEC, NOT */
		{ { 0xf0, 0xff, 0x07 }, 3, MODE_16, DECODE_OK },
		{ { 0xf0, 0xfe, 0x0f }, 3, MODE_32, DECODE_OK },
		{ { 0xf0, 0xf7, 0x17 }, 3, MODE_64, DECODE_OK },
		{ { 0xf0, 0xf7, 0x1f }, 3, MODE_64, DECODE_OK },	    /* LOCK NEG, CMPXCHG, XADD */
		{ { 0xf0, 0x0f, 0xb0, 0x07 }, 4, MODE_64, DECODE_OK },
		{ { 0xf0, 0x0f, 0xc1, 0x07 }, 4, MODE_64, DECODE_OK },
		{ { 0xf0, 0x85, 0x07 }, 3, MODE_64, DECODE_UNKNOWN },	    /* LOCK TEST, CMP */
		{ { 0xf0, 0x39, 0x07 }, 3, MODE_64, DECODE_UNKNOWN },
		{ { 0x91 }, 1, MODE_64, DECODE_UNKNOWN },		    /* XCHG with RAX: never exits */
		{ { 0x63, 0x07 }, 2, MODE_32, DECODE_UNKNOWN },		    /* ARPL */
		{ { 0x0f, 0x22, 0xc8 }, 3, MODE_64, DECODE_UNKNOWN },	    /* CR1 */
		{ { 0x44, 0x0f, 0x22, 0xc0 }, 4, MODE_64, DECODE_OK },	    /* CR8 */
		{ { 0xf3, 0x0f, 0xb8, 0x07 }, 4, MODE_64, DECODE_UNKNOWN }, /* POPCNT */
		{ { 0x8f, 0x48 }, 2, MODE_64, DECODE_UNKNOWN },		    /* XOP */
		{ { 0x0f, 0x01, 0xf8 }, 3, MODE_64, DECODE_UNKNOWN },	    /* SWAPGS */
	};
	for (u32 i = 0; i < ARRAY_SIZE(examples); i++) {
		struct insn in;
		const struct example *e = &examples[i];
		if (insn_decode(e->bytes, e->n, e->mode, &in) != e->status) {
			fail_msg("%s", hex(e->bytes, e->n));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_opcodes),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_length_limit),
		cmocka_unit_test(test_rules),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
