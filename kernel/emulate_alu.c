/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Integer arithmetic with the flags of SDM 1 3.4.3.1 "Status Flags". Values only: knows neither
 * registers nor memory. Tested against the CPU itself.
 */
#include "emulate_parts.h"
#include "x86/regs.h"

#define STATUS_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static u64 flag_if(bool set, u64 flag)
{
	return set ? flag : 0;
}

/* Bit n of carries: there was a carry out of bit n */
static u64 add(u64 dst, u64 src, u64 carry, u32 width, u64 *flags)
{
	u64 sum = dst + src + carry, carries = (dst & src) | ((dst | src) & ~sum);
	u32 top = 8 * width - 1;
	*flags = flag_if(carries >> top & 1, RFLAGS_CF) | flag_if(carries & BIT(3), RFLAGS_AF) |
		 flag_if((carries >> top ^ carries >> (top - 1)) & 1, RFLAGS_OF);
	return sum;
}

/* dst - src is ~(~dst + src), and a borrow there is a carry here */
static u64 sub(u64 dst, u64 src, u64 borrow, u32 width, u64 *flags)
{
	return ~add(~dst, src, borrow, width, flags);
}

/* BT, BTS, BTR, BTC: CF is the bit, the rest stays */
static u64 bit_op(enum insn_op op, u64 dst, u64 bit, u64 *rflags)
{
	*rflags = (*rflags & ~RFLAGS_CF) | flag_if(dst & bit, RFLAGS_CF);
	switch (op) {
	case OP_BTS: return dst | bit;
	case OP_BTR: return dst & ~bit;
	case OP_BTC: return dst ^ bit;
	default: return dst;
	}
}

u64 alu(enum insn_op op, u64 dst, u64 src, u32 width, u64 *rflags)
{
	bool is_step = op == OP_INC || op == OP_DEC; /* these leave CF as it was */
	u64 mask = is_step ? STATUS_FLAGS & ~RFLAGS_CF : STATUS_FLAGS;
	u64 carry = *rflags & RFLAGS_CF, flags = 0, result;
	switch (op) {
	case OP_ADD:
	case OP_XADD: result = add(dst, src, 0, width, &flags); break;
	case OP_INC: result = add(dst, 1, 0, width, &flags); break;
	case OP_ADC: result = add(dst, src, carry, width, &flags); break;
	case OP_SUB:
	case OP_CMP: result = sub(dst, src, 0, width, &flags); break;
	case OP_DEC: result = sub(dst, 1, 0, width, &flags); break;
	case OP_SBB: result = sub(dst, src, carry, width, &flags); break;
	case OP_NEG: result = sub(0, dst, 0, width, &flags); break;
	case OP_AND:
	case OP_TEST: result = dst & src; break;
	case OP_OR: result = dst | src; break;
	case OP_XOR: result = dst ^ src; break;
	case OP_NOT: return ~dst & width_mask(width);
	default: return bit_op(op, dst, BIT(src & (8 * width - 1)), rflags);
	}
	result &= width_mask(width);
	flags |= flag_if(!(__builtin_popcount((u8)result) & 1), RFLAGS_PF) |
		 flag_if(!result, RFLAGS_ZF) | flag_if(result >> (8 * width - 1), RFLAGS_SF);
	*rflags = (*rflags & ~mask) | (flags & mask);
	return result;
}
