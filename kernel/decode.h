/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instruction bytes to plain data: just the instructions that exit and that touch MMIO.
 * SDM 2A chapter 2, 2D appendix A. Pure, total: every byte string gives an answer.
 */
#ifndef BULKHEAD_DECODE_H
#define BULKHEAD_DECODE_H

#include "vcpu.h"

enum insn_mode { MODE_16 = 2, MODE_32 = 4, MODE_64 = 8 };

enum insn_op {
	OP_NONE,
	OP_MOV, OP_MOVZX, OP_MOVSX, OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP,
	OP_TEST, OP_XCHG, OP_INC, OP_DEC, OP_NOT, OP_NEG, OP_CMPXCHG, OP_XADD,
	OP_CMPXCHG8B, OP_BT, OP_BTS, OP_BTR, OP_BTC,
	OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHL, OP_SHR, OP_SAR,
	OP_MOVBE, OP_MOV_SEG, OP_PUSH, OP_POP, /* MOV_SEG: to memory; reg = enum seg */
	OP_MOVS, OP_STOS, OP_LODS, OP_CMPS, OP_SCAS, OP_INS, OP_OUTS, OP_IN, OP_OUT,
	OP_MOV_CR, OP_CLTS, OP_LMSW, /* MOV_CR: reg = CR number, rm = GPR */
	OP_CPUID, OP_HLT, OP_PAUSE, OP_RDMSR, OP_WRMSR, OP_INVD, OP_WBINVD, OP_XSETBV, OP_VMCALL, OP_VMMCALL,
	NR_OPS
};

/* Where operands are, the destination first; RM: with an immediate, if the instruction has one */
enum insn_form { FORM_NONE, FORM_STRING, FORM_RM_REG, FORM_REG_RM, FORM_RM };

struct insn {
	u8 len;
	enum insn_op op;
	enum insn_form form;
	u8 op_size;   /* destination width in bytes: 1, 2, 4, 8 */
	u8 src_size;  /* MOVZX, MOVSX: width of the source; else op_size */
	u8 addr_size; /* 2, 4, 8 */
	u8 rep;	      /* 0, 0xf2, 0xf3 */
	bool has_lock, has_rex, is_mem;
	u8 reg, rm;	   /* GPR numbers with REX; 8-bit: without REX 4..7 are AH..BH */
	enum seg seg;	   /* of the memory operand, override applied */
	s8 base, index;	   /* GPR or -1 */
	u8 scale;	   /* 1, 2, 4, 8 */
	bool is_rip_relative;
	u64 disp;	   /* sign-extended */
	u64 imm;	   /* sign-extended to op_size where the manual says so */
};

enum decode_status { DECODE_OK, DECODE_MORE /* @n bytes do not hold it all */, DECODE_UNKNOWN };

/** insn_decode() - Return: DECODE_OK and *@out; len is then 1 to 15. */
enum decode_status insn_decode(const u8 *bytes, u32 n, enum insn_mode mode, struct insn *out);

#endif
