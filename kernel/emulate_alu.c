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

static u64 result_flags(u64 result, u32 width)
{
	return flag_if(!(__builtin_popcount((u8)result) & 1), RFLAGS_PF) |
	       flag_if(!(result & width_mask(width)), RFLAGS_ZF) |
	       flag_if(result >> (8 * width - 1) & 1, RFLAGS_SF);
}

/* @carries: bit n set if there was a carry or borrow out of bit n */
static u64 carry_flags(u64 carries, u32 width)
{
	u32 top = 8 * width - 1;
	return flag_if(carries >> top & 1, RFLAGS_CF) | flag_if(carries & BIT(3), RFLAGS_AF) |
	       flag_if((carries >> top ^ carries >> (top - 1)) & 1, RFLAGS_OF);
}

static u64 add(u64 dst, u64 src, u64 carry, u32 width, u64 *flags)
{
	u64 sum = dst + src + carry;
	*flags = carry_flags((dst & src) | ((dst | src) & ~sum), width) | result_flags(sum, width);
	return sum;
}

static u64 sub(u64 dst, u64 src, u64 borrow, u32 width, u64 *flags)
{
	u64 diff = dst - src - borrow;
	*flags = carry_flags((~dst & src) | ((~dst | src) & diff), width) |
		 result_flags(diff, width);
	return diff;
}

static u64 logic(u64 result, u32 width, u64 *flags)
{
	*flags = result_flags(result, width);
	return result;
}

static u64 bit_op(enum insn_op op, u64 dst, u64 bit)
{
	switch (op) {
	case OP_BTS: return dst | bit;
	case OP_BTR: return dst & ~bit;
	case OP_BTC: return dst ^ bit;
	default: return dst;
	}
}

u64 alu(enum insn_op op, u64 dst, u64 src, u32 width, u64 *rflags)
{
	u64 carry = *rflags & RFLAGS_CF, mask = STATUS_FLAGS, flags = 0, result;
	switch (op) {
	case OP_ADD:
	case OP_XADD: result = add(dst, src, 0, width, &flags); break;
	case OP_ADC: result = add(dst, src, carry, width, &flags); break;
	case OP_SUB:
	case OP_CMP: result = sub(dst, src, 0, width, &flags); break;
	case OP_SBB: result = sub(dst, src, carry, width, &flags); break;
	case OP_AND:
	case OP_TEST: result = logic(dst & src, width, &flags); break;
	case OP_OR: result = logic(dst | src, width, &flags); break;
	case OP_XOR: result = logic(dst ^ src, width, &flags); break;
	case OP_NEG: result = sub(0, dst, 0, width, &flags); break;
	case OP_NOT: return ~dst & width_mask(width);
	case OP_INC:
		result = add(dst, 1, 0, width, &flags);
		mask &= ~RFLAGS_CF;
		break;
	case OP_DEC:
		result = sub(dst, 1, 0, width, &flags);
		mask &= ~RFLAGS_CF;
		break;
	default: /* BT, BTS, BTR, BTC: CF is the bit, the rest stays */
		src &= 8 * width - 1;
		flags = dst >> src & 1;
		mask = RFLAGS_CF;
		result = bit_op(op, dst, BIT(src));
		break;
	}
	*rflags = (*rflags & ~mask) | (flags & mask);
	return result & width_mask(width);
}
