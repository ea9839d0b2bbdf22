/* SPDX-License-Identifier: BSD-2-Clause */
/* The opcode maps between decode_tables.c, which spells them, and decode.c, their only reader. */
#ifndef BULKHEAD_DECODE_TABLES_H
#define BULKHEAD_DECODE_TABLES_H

#include "decode.h"

/* How wide the operands are: SDM 2D A.2.2 "Codes for Operand Type" */
enum size_rule {
	SIZE_V,	 /* v: 2, 4, 8 */
	SIZE_Y,	 /* y: 4, 8 */
	SIZE_W,	 /* b if bit 0 of the opcode is clear, else v */
	SIZE_IO, /* likewise, but 4 at most */
	SIZE_CR, /* the mode's full width, no prefix asked */
	SIZE_STACK, /* of PUSH and POP: no 4 in 64-bit mode */
	SIZE_2,
	SIZE_8,
};

enum imm_rule {
	IMM_NONE,
	IMM_8,	/* zero-extended */
	IMM_8S, /* sign-extended */
	IMM_1,	/* none in the code, but 1 */
	IMM_Z,	/* of the operand's size, but 4 at most and then sign-extended */
};

enum group {
	GROUP_NONE, GROUP_1, GROUP_1A, GROUP_2, GROUP_3, GROUP_4, GROUP_5, GROUP_7, GROUP_8,
	GROUP_9, GROUP_11, NR_GROUPS
};

#define ONLY_64	 BIT(0)
#define ONLY_REG BIT(1) /* ModRM.mod counts for nothing */
#define ONLY_MEM BIT(2) /* with a register it is another instruction, or none, or never exits */
#define MOFFS	 BIT(3) /* no ModRM: the address follows, the register is rAX */
#define BY_CL	 BIT(4) /* the other operand is CL */
#define NO_66	 BIT(5)

/* In a group, ModRM.reg chooses the operation. @src_size: of MOVZX, MOVSX; else 0 */
struct opcode {
	u8 op, form, size, imm, group, src_size, flags;
};

extern const struct opcode opcode_map1[256];  /* one byte */
extern const struct opcode opcode_map2[256];  /* 0f xx */
extern const struct opcode opcode_movbe[2];   /* 0f 38 f0, f1: all of that map */
extern const u8 opcode_groups[NR_GROUPS][8]; /* enum insn_op by ModRM.reg */
extern const u8 opcode_0f01[256];	     /* those without operands, by all of ModRM */

#endif
