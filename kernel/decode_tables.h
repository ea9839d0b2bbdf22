/* SPDX-License-Identifier: BSD-2-Clause */
/* The opcode maps between decode_tables.c, which spells them, and decode.c, their only reader. */
#ifndef BULKHEAD_DECODE_TABLES_H
#define BULKHEAD_DECODE_TABLES_H

#include "decode.h"

/* How wide the operands are: SDM 2D A.2.2 "Codes for Operand Type" */
enum size_rule {
	SIZE_V,	    /* v: 2, 4, 8 */
	SIZE_W,	    /* b if bit 0 of the opcode is clear, else v */
	SIZE_IO,    /* likewise, but 4 at most */
	SIZE_STACK, /* 2 or the stack's width */
	SIZE_CR,    /* the mode's full width, no prefix asked */
	SIZE_2,
	SIZE_SMSW,  /* v to a register, 2 to memory */
};

enum imm_rule {
	IMM_NONE,
	IMM_8,	/* zero-extended */
	IMM_8S, /* sign-extended */
	IMM_Z,	/* of the operand's size, but 4 at most and then sign-extended */
};

enum group {
	GROUP_NONE, GROUP_1, GROUP_1A, GROUP_3, GROUP_4, GROUP_5, GROUP_6, GROUP_7, GROUP_8, GROUP_11,
	NR_GROUPS
};

#define ONLY_MEM BIT(0)
#define ONLY_REG BIT(1)
#define ONLY_64	 BIT(2)

/* @form in a group member replaces the opcode's own; so does a @size that is not SIZE_V. */
struct opcode {
	u8 op, form, size, imm, group, flags;
};

extern const struct opcode opcode_map1[256];	 /* one byte */
extern const struct opcode opcode_map2[256];	 /* 0f xx */
extern const struct opcode opcode_groups[NR_GROUPS][8]; /* by ModRM.reg */
extern const u8 opcode_0f01[64]; /* 0f 01 with mod 3: enum insn_op by the low 6 bits of ModRM */

#endif
