/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opcode maps of SDM 2D appendix A (and APM 3 appendix A for SVM), cut down to what exits
 * without its length and what reads or writes memory with general registers. A row that is not
 * here is an unknown instruction. Only tables; decode.c reads them.
 */
#include "decode_tables.h"

#define FLAGGED(op, form, size, flags) { op, form, size, 0, 0, 0, flags }
#define ROW(op, form, size)	       FLAGGED(op, form, size, 0)
#define EXTEND(op, src_size, flags)    { op, FORM_REG_RM, SIZE_V, 0, 0, src_size, flags }
#define GROUP(group, size, imm)	       { 0, FORM_RM, size, imm, group, 0, 0 }
#define SHIFT(imm)		       { 0, FORM_RM, SIZE_W, imm, GROUP_2, 0, 0 }
#define SHIFT_BY_CL		       { 0, FORM_RM_REG, SIZE_W, 0, GROUP_2, 0, BY_CL }
#define PORT(op, imm)		       { op, FORM_NONE, SIZE_IO, imm, 0, 0, 0 }
#define PLAIN(op)		       ROW(op, FORM_NONE, 0)
#define BITS_OF(op)		       ROW(op, FORM_RM_REG, SIZE_V)
#define PAIR(first, row)	       [(first) ... (first) + 1] = row /* bytes, then words */
#define STORE(first, op)	       PAIR(first, ROW(op, FORM_RM_REG, SIZE_W))
#define LOAD(first, op)		       PAIR(first, ROW(op, FORM_REG_RM, SIZE_W))
#define STRING(first, op, size)	       PAIR(first, ROW(op, FORM_STRING, size))

/* SDM 2D table A-2 */
const struct opcode opcode_map1[256] = {
	STORE(0x00, OP_ADD), LOAD(0x02, OP_ADD), STORE(0x08, OP_OR), LOAD(0x0a, OP_OR),
	STORE(0x10, OP_ADC), LOAD(0x12, OP_ADC), STORE(0x18, OP_SBB), LOAD(0x1a, OP_SBB),
	STORE(0x20, OP_AND), LOAD(0x22, OP_AND), STORE(0x28, OP_SUB), LOAD(0x2a, OP_SUB),
	STORE(0x30, OP_XOR), LOAD(0x32, OP_XOR), STORE(0x38, OP_CMP), LOAD(0x3a, OP_CMP),
	[0x63] = EXTEND(OP_MOVSX, 4, ONLY_64),
	STRING(0x6c, OP_INS, SIZE_IO), STRING(0x6e, OP_OUTS, SIZE_IO),
	PAIR(0x80, GROUP(GROUP_1, SIZE_W, IMM_Z)), [0x83] = GROUP(GROUP_1, SIZE_W, IMM_8S),
	STORE(0x84, OP_TEST), STORE(0x86, OP_XCHG), STORE(0x88, OP_MOV), LOAD(0x8a, OP_MOV),
	[0x8c] = FLAGGED(OP_MOV_SEG, FORM_RM_REG, SIZE_2, ONLY_MEM),
	[0x8f] = { 0, FORM_RM, SIZE_STACK, 0, GROUP_1A, 0, ONLY_MEM },
	PAIR(0xa0, FLAGGED(OP_MOV, FORM_REG_RM, SIZE_W, MOFFS)),
	PAIR(0xa2, FLAGGED(OP_MOV, FORM_RM_REG, SIZE_W, MOFFS)),
	STRING(0xa4, OP_MOVS, SIZE_W), STRING(0xa6, OP_CMPS, SIZE_W), STRING(0xaa, OP_STOS, SIZE_W),
	STRING(0xac, OP_LODS, SIZE_W), STRING(0xae, OP_SCAS, SIZE_W),
	PAIR(0xc0, SHIFT(IMM_8)), PAIR(0xd0, SHIFT(IMM_1)), PAIR(0xd2, SHIFT_BY_CL),
	PAIR(0xc6, GROUP(GROUP_11, SIZE_W, IMM_Z)),
	PAIR(0xe4, PORT(OP_IN, IMM_8)), PAIR(0xe6, PORT(OP_OUT, IMM_8)),
	PAIR(0xec, PORT(OP_IN, IMM_NONE)), PAIR(0xee, PORT(OP_OUT, IMM_NONE)),
	[0x90] = PLAIN(OP_PAUSE), /* and NOP, and XCHG with R8, which never exit */
	[0xf4] = PLAIN(OP_HLT),
	PAIR(0xf6, GROUP(GROUP_3, SIZE_W, IMM_Z)),
	[0xfe] = GROUP(GROUP_4, SIZE_W, IMM_NONE), [0xff] = GROUP(GROUP_5, SIZE_W, IMM_NONE),
};

/* SDM 2D table A-3 */
const struct opcode opcode_map2[256] = {
	[0x01] = GROUP(GROUP_7, SIZE_2, IMM_NONE),
	[0x06] = PLAIN(OP_CLTS), [0x08] = PLAIN(OP_INVD), [0x09] = PLAIN(OP_WBINVD),
	[0x20] = FLAGGED(OP_MOV_CR, FORM_RM_REG, SIZE_CR, ONLY_REG),
	[0x22] = FLAGGED(OP_MOV_CR, FORM_REG_RM, SIZE_CR, ONLY_REG),
	[0x30] = PLAIN(OP_WRMSR), [0x32] = PLAIN(OP_RDMSR), [0xa2] = PLAIN(OP_CPUID),
	[0xa3] = BITS_OF(OP_BT), [0xab] = BITS_OF(OP_BTS),
	[0xb3] = BITS_OF(OP_BTR), [0xbb] = BITS_OF(OP_BTC),
	[0xba] = GROUP(GROUP_8, SIZE_V, IMM_8),
	STORE(0xb0, OP_CMPXCHG), STORE(0xc0, OP_XADD),
	[0xb6] = EXTEND(OP_MOVZX, 1, 0), [0xb7] = EXTEND(OP_MOVZX, 2, 0),
	[0xbe] = EXTEND(OP_MOVSX, 1, 0), [0xbf] = EXTEND(OP_MOVSX, 2, 0),
	[0xc3] = FLAGGED(OP_MOV, FORM_RM_REG, SIZE_Y, ONLY_MEM | NO_66), /* MOVNTI */
	[0xc7] = { 0, FORM_RM, SIZE_8, 0, GROUP_9, 0, ONLY_MEM },
};

/* SDM 2D table A-4 */
const struct opcode opcode_movbe[2] = {
	FLAGGED(OP_MOVBE, FORM_REG_RM, SIZE_V, ONLY_MEM),
	FLAGGED(OP_MOVBE, FORM_RM_REG, SIZE_V, ONLY_MEM),
};

/* SDM 2D table A-6; NOT and NEG have no immediate. Group 5 has jumps too; /6 of group 2 is in no manual */
const u8 opcode_groups[NR_GROUPS][8] = {
	[GROUP_1] = { OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP },
	[GROUP_1A] = { OP_POP },
	[GROUP_2] = { OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHL, OP_SHR, [7] = OP_SAR },
	[GROUP_3] = { [0] = OP_TEST, [2] = OP_NOT, [3] = OP_NEG },
	[GROUP_4] = { OP_INC, OP_DEC },
	[GROUP_5] = { OP_INC, OP_DEC, [6] = OP_PUSH },
	[GROUP_7] = { [6] = OP_LMSW },
	[GROUP_8] = { [4] = OP_BT, OP_BTS, OP_BTR, OP_BTC },
	[GROUP_9] = { [1] = OP_CMPXCHG8B },
	[GROUP_11] = { OP_MOV },
};

const u8 opcode_0f01[256] = { [0xc1] = OP_VMCALL, [0xd1] = OP_XSETBV, [0xd9] = OP_VMMCALL };
