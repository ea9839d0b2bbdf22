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

/* The bit that one step moves out is CF; the one that comes in at the other end is the operation's */
static u64 shift_step(enum insn_op op, u64 dst, u32 top, u64 *cf)
{
	bool is_left = op == OP_ROL || op == OP_RCL || op == OP_SHL;
	u64 out = dst >> (is_left ? top : 0) & 1, in = 0;
	switch (op) {
	case OP_ROL:
	case OP_ROR: in = out; break;
	case OP_RCL:
	case OP_RCR: in = *cf; break;
	case OP_SAR: in = dst >> top; break;
	default: break;
	}
	*cf = out;
	return is_left ? (dst << 1 | in) & (BIT(top) | (BIT(top) - 1)) : dst >> 1 | in << top;
}

/* OF as after one step, in which alone it is defined: SDM 2B "RCL/RCR/ROL/ROR", "SAL/SAR/SHL/SHR" */
static u64 shift(enum insn_op op, u64 dst, u64 count, u32 width, u64 *flags)
{
	u32 top = 8 * width - 1;
	u64 cf = *flags & RFLAGS_CF;
	for (count &= width == 8 ? 63 : 31; count > 0; count--) {
		dst = shift_step(op, dst, top, &cf);
	}
	u64 next = op == OP_ROL || op == OP_RCL || op == OP_SHL ? cf : dst >> (top - 1) & 1;
	*flags = flag_if(cf, RFLAGS_CF) | flag_if((dst >> top ^ next) & 1, RFLAGS_OF);
	return dst;
}

u64 alu(enum insn_op op, u64 dst, u64 src, u32 width, u64 *rflags)
{
	bool is_step = op == OP_INC || op == OP_DEC; /* these leave CF as it was */
	bool is_rotate = op >= OP_ROL && op <= OP_RCR;
	u64 mask = is_rotate ? RFLAGS_CF | RFLAGS_OF : is_step ? STATUS_FLAGS & ~RFLAGS_CF : STATUS_FLAGS;
	u64 carry = *rflags & RFLAGS_CF, flags = carry, result;
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
	case OP_TEST: result = dst & src, flags = 0; break;
	case OP_OR: result = dst | src, flags = 0; break;
	case OP_XOR: result = dst ^ src, flags = 0; break;
	case OP_ROL ... OP_SAR:
		if (!(src & (width == 8 ? 63 : 31))) {
			return dst; /* no flag changes */
		}
		result = shift(op, dst, src, width, &flags);
		break;
	case OP_NOT: return ~dst & width_mask(width);
	default: return bit_op(op, dst, BIT(src & (8 * width - 1)), rflags);
	}
	result &= width_mask(width);
	flags |= flag_if(!(__builtin_popcount((u8)result) & 1), RFLAGS_PF) |
		 flag_if(!result, RFLAGS_ZF) | flag_if(result >> (8 * width - 1), RFLAGS_SF);
	*rflags = (*rflags & ~mask) | (flags & mask);
	return result;
}
