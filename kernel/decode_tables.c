/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opcode maps of SDM 2D appendix A (and APM 3 appendix A for SVM), cut down to what exits and
 * what reads or writes memory with general registers. A row that is not here is an unknown
 * instruction. Only tables; decode.c reads them.
 */
#include "decode_tables.h"

#define ALU(base, name)                                                     \
	[(base) ... (base) + 1] = { name, FORM_RM_REG, SIZE_W, 0, 0, 0 },    \
	[(base) + 2 ... (base) + 3] = { name, FORM_REG_RM, SIZE_W, 0, 0, 0 }
#define STRING(first, name, size) [(first) ... (first) + 1] = { name, FORM_STRING, size, 0, 0, 0 }

/* SDM 2D table A-2 */
const struct opcode opcode_map1[256] = {
	ALU(0x00, OP_ADD), ALU(0x08, OP_OR), ALU(0x10, OP_ADC), ALU(0x18, OP_SBB),
	ALU(0x20, OP_AND), ALU(0x28, OP_SUB), ALU(0x30, OP_XOR), ALU(0x38, OP_CMP),
	[0x63] = { OP_MOVSX, FORM_REG_RM, SIZE_V, 0, 0, ONLY_64 },
	STRING(0x6c, OP_INS, SIZE_IO),
	STRING(0x6e, OP_OUTS, SIZE_IO),
	[0x80 ... 0x81] = { 0, 0, SIZE_W, IMM_Z, GROUP_1, 0 },
	[0x83] = { 0, 0, SIZE_W, IMM_8S, GROUP_1, 0 },
	[0x84 ... 0x85] = { OP_TEST, FORM_RM_REG, SIZE_W, 0, 0, 0 },
	[0x86 ... 0x87] = { OP_XCHG, FORM_RM_REG, SIZE_W, 0, 0, 0 },
	[0x88 ... 0x89] = { OP_MOV, FORM_RM_REG, SIZE_W, 0, 0, 0 },
	[0x8a ... 0x8b] = { OP_MOV, FORM_REG_RM, SIZE_W, 0, 0, 0 },
	[0x8f] = { 0, 0, SIZE_STACK, 0, GROUP_1A, 0 },
	[0x90] = { OP_PAUSE, FORM_NONE, 0, 0, 0, 0 },
	[0xa0 ... 0xa1] = { OP_MOV, FORM_ACC_MOFFS, SIZE_W, 0, 0, 0 },
	[0xa2 ... 0xa3] = { OP_MOV, FORM_MOFFS_ACC, SIZE_W, 0, 0, 0 },
	STRING(0xa4, OP_MOVS, SIZE_W),
	STRING(0xa6, OP_CMPS, SIZE_W),
	STRING(0xaa, OP_STOS, SIZE_W),
	STRING(0xac, OP_LODS, SIZE_W),
	STRING(0xae, OP_SCAS, SIZE_W),
	[0xc6 ... 0xc7] = { 0, 0, SIZE_W, IMM_Z, GROUP_11, 0 },
	[0xcc] = { OP_INT3, FORM_NONE, 0, 0, 0, 0 },
	[0xcd] = { OP_INTN, FORM_NONE, 0, IMM_8, 0, 0 },
	[0xe4 ... 0xe5] = { OP_IN, FORM_NONE, SIZE_IO, IMM_8, 0, 0 },
	[0xe6 ... 0xe7] = { OP_OUT, FORM_NONE, SIZE_IO, IMM_8, 0, 0 },
	[0xec ... 0xed] = { OP_IN, FORM_NONE, SIZE_IO, 0, 0, 0 },
	[0xee ... 0xef] = { OP_OUT, FORM_NONE, SIZE_IO, 0, 0, 0 },
	[0xf4] = { OP_HLT, FORM_NONE, 0, 0, 0, 0 },
	[0xf6 ... 0xf7] = { 0, 0, SIZE_W, IMM_Z, GROUP_3, 0 },
	[0xfe] = { 0, 0, SIZE_W, 0, GROUP_4, 0 },
	[0xff] = { 0, 0, SIZE_W, 0, GROUP_5, 0 },
};

/* SDM 2D table A-3 */
const struct opcode opcode_map2[256] = {
	[0x00] = { 0, 0, SIZE_V, 0, GROUP_6, 0 },
	[0x01] = { 0, 0, SIZE_V, 0, GROUP_7, 0 },
	[0x06] = { OP_CLTS, FORM_NONE, 0, 0, 0, 0 },
	[0x08] = { OP_INVD, FORM_NONE, 0, 0, 0, 0 },
	[0x09] = { OP_WBINVD, FORM_NONE, 0, 0, 0, 0 },
	[0x20] = { OP_MOV_CR, FORM_RM_REG, SIZE_CR, 0, 0, ONLY_REG },
	[0x21] = { OP_MOV_DR, FORM_RM_REG, SIZE_CR, 0, 0, ONLY_REG },
	[0x22] = { OP_MOV_CR, FORM_REG_RM, SIZE_CR, 0, 0, ONLY_REG },
	[0x23] = { OP_MOV_DR, FORM_REG_RM, SIZE_CR, 0, 0, ONLY_REG },
	[0x30] = { OP_WRMSR, FORM_NONE, 0, 0, 0, 0 },
	[0x31] = { OP_RDTSC, FORM_NONE, 0, 0, 0, 0 },
	[0x32] = { OP_RDMSR, FORM_NONE, 0, 0, 0, 0 },
	[0x33] = { OP_RDPMC, FORM_NONE, 0, 0, 0, 0 },
	[0xa2] = { OP_CPUID, FORM_NONE, 0, 0, 0, 0 },
	[0xa3] = { OP_BT, FORM_RM_REG, SIZE_V, 0, 0, 0 },
	[0xab] = { OP_BTS, FORM_RM_REG, SIZE_V, 0, 0, 0 },
	[0xb0 ... 0xb1] = { OP_CMPXCHG, FORM_RM_REG, SIZE_W, 0, 0, 0 },
	[0xb3] = { OP_BTR, FORM_RM_REG, SIZE_V, 0, 0, 0 },
	[0xb6 ... 0xb7] = { OP_MOVZX, FORM_REG_RM, SIZE_V, 0, 0, 0 },
	[0xba] = { 0, 0, SIZE_V, IMM_8, GROUP_8, 0 },
	[0xbb] = { OP_BTC, FORM_RM_REG, SIZE_V, 0, 0, 0 },
	[0xbe ... 0xbf] = { OP_MOVSX, FORM_REG_RM, SIZE_V, 0, 0, 0 },
	[0xc0 ... 0xc1] = { OP_XADD, FORM_RM_REG, SIZE_W, 0, 0, 0 },
};

#define RM_IMM(name)	 { name, FORM_RM_IMM, 0, 0, 0, 0 }
#define RM(name)	 { name, FORM_RM, 0, 0, 0, 0 }
#define RM_MEM(name)	 { name, FORM_RM, 0, 0, 0, ONLY_MEM }
#define RM_SIZED(name, s) { name, FORM_RM, s, 0, 0, 0 }

/* SDM 2D table A-6 */
const struct opcode opcode_groups[NR_GROUPS][8] = {
	[GROUP_1] = { RM_IMM(OP_ADD), RM_IMM(OP_OR), RM_IMM(OP_ADC), RM_IMM(OP_SBB),
		      RM_IMM(OP_AND), RM_IMM(OP_SUB), RM_IMM(OP_XOR), RM_IMM(OP_CMP) },
	[GROUP_1A] = { RM(OP_POP) },
	[GROUP_3] = { [0] = RM_IMM(OP_TEST), [2] = RM(OP_NOT), [3] = RM(OP_NEG) },
	[GROUP_4] = { RM(OP_INC), RM(OP_DEC) },
	[GROUP_5] = { RM(OP_INC), RM(OP_DEC), [6] = RM_SIZED(OP_PUSH, SIZE_STACK) },
	/* SLDT, STR, LLDT, LTR */
	[GROUP_6] = { RM(OP_OTHER_PRIV), RM(OP_OTHER_PRIV), RM(OP_OTHER_PRIV), RM(OP_OTHER_PRIV) },
	/* SGDT, SIDT, LGDT, LIDT; register forms but SMSW and LMSW are in opcode_0f01 */
	[GROUP_7] = { RM_MEM(OP_OTHER_PRIV), RM_MEM(OP_OTHER_PRIV), RM_MEM(OP_OTHER_PRIV),
		      RM_MEM(OP_OTHER_PRIV), [4] = RM_SIZED(OP_SMSW, SIZE_SMSW),
		      [6] = RM_SIZED(OP_LMSW, SIZE_2), [7] = RM_MEM(OP_INVLPG) },
	[GROUP_8] = { [4] = RM_IMM(OP_BT), RM_IMM(OP_BTS), RM_IMM(OP_BTR), RM_IMM(OP_BTC) },
	[GROUP_11] = { RM_IMM(OP_MOV) },
};

/* VMX, SVM, and what else has no operands */
const u8 opcode_0f01[64] = {
	[0x01] = OP_VMCALL,
	[0x02 ... 0x04] = OP_OTHER_PRIV, /* VMLAUNCH VMRESUME VMXOFF */
	[0x08] = OP_MONITOR,
	[0x09] = OP_MWAIT,
	[0x11] = OP_XSETBV,
	[0x18] = OP_OTHER_PRIV, /* VMRUN */
	[0x19] = OP_VMMCALL,
	[0x1a ... 0x1f] = OP_OTHER_PRIV, /* VMLOAD VMSAVE STGI CLGI SKINIT INVLPGA */
	[0x39] = OP_RDTSCP,
};
