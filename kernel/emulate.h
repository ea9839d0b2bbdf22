/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Performs one decoded instruction whose operand is MMIO, or one batch of a string I/O instruction.
 * Reads registers through vcpu->ops, memory through walk, devices through the buses. Pure.
 */
#ifndef BULKHEAD_EMULATE_H
#define BULKHEAD_EMULATE_H

#include "bus.h"
#include "decode.h"
#include "verdict.h"
#include "walk.h"

/* Instructions of 64-bit code that have exited lately, by RIP; see emulate_fetch.c */
#define NR_INSN_SETS 64
#define NR_INSN_WAYS 4
struct insn_row {
	u64 rip, cr3;
	struct trail trail;
	const u8 *code; /* where it lies in RAM; NULL: not known, or nothing is here */
	u64 bytes[2], mask[2];
	struct insn insn;
};
struct insn_cache {
	struct insn_row row[NR_INSN_SETS][NR_INSN_WAYS];
	u8 next[NR_INSN_SETS]; /* which goes first */
};

/* @insns: of this vCPU, all 0 at first; NULL: none. @pkru: the guest's PKRU as it is now; asked only if the guest has set CR4.PKE. NULL: all allowed */
struct emu {
	struct vcpu *v;
	const struct gmem *mem;
	const struct bus *mmio, *ports;
	struct insn_cache *insns;
	u32 (*pkru)(void);
	u64 (*tsc)(void); /* NULL: nobody has a deadline */
};

/** emulate_mmio() - the instruction at RIP touched @x->addr, which is no RAM. Validates, then performs. */
struct verdict emulate_mmio(const struct emu *e, const struct exit_mmio *x);

/** emulate_pio() - IN, OUT, INS, OUTS as the exit describes it; @insn_len 0 = decode. At most
 * EMU_REP_BATCH iterations, and none after the vCPU's deadline; an unfinished REP resumes at the same RIP with registers updated. */
#define EMU_REP_BATCH 256
struct verdict emulate_pio(const struct emu *e, const struct exit *x);

/** emulate_in_out() - what IN or OUT does besides moving RIP and breakpoints. */
void emulate_in_out(struct vcpu *v, const struct bus *ports, const struct exit_pio *pio);

/** emulate_known() - the instruction at @rip of 64-bit code, if @c remembers it; else NULL. */
const struct insn *emulate_known(struct vcpu *v, const struct insn_cache *c, u64 rip);

/** emulate_executed() - emulate_known() of the instruction that touched @e->mmio: if the CPU has said what it read, that decides. */
const struct insn *emulate_executed(struct vcpu *v, const struct insn_cache *c, const struct exit *e);

/** insn_address() - base, index, displacement of @in, the instruction at @rip, cut to its address size. */
u64 insn_address(struct vcpu *v, const struct insn *in, u64 rip);

/**
 * emulate_mov() - as emulate_mmio(), for MOV, MOVZX, MOVSX between a register or an immediate and an aligned operand
 * that CS, DS, ES or SS leads to
 *
 * Return: false if @in, the instruction at RIP, or its operand is another, or someone may watch it: nothing is done.
 * @touched: whose it was, or NULL
 */
bool must_check emulate_mov(struct vcpu *v, const struct bus *mmio, const struct insn *in, const struct exit *e,
			    const struct bus_range **touched);

/** emulate_length() - the length of the instruction at RIP, for SVM without nRIP; 0 = cannot be read
 * (then *@fault says why, or EVENT_NONE: unknown bytes). @want: what it must be (OP_NONE: anything). */
u32 emulate_length(const struct emu *e, enum insn_op want, struct insn *out, struct event *fault);

#endif
