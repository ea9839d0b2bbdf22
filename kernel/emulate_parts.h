/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the emulate_*.c files share: one instruction in the making, its operands in memory (RAM or
 * device), arithmetic. Nobody else includes this.
 */
#ifndef BULKHEAD_EMULATE_PARTS_H
#define BULKHEAD_EMULATE_PARTS_H

#include "emulate.h"

/*
 * A resolved memory operand: @width bytes, @width0 of them on the first page. 0: there is none.
 * A string instruction's next element is most often on the page of the one before, which is
 * translated once per exit, as a TLB would: @page_lin, NO_PAGE if there was none.
 */
struct operand {
	gpa addr, addr1; /* @addr1: of the rest, or @addr again */
	u32 width, width0;
	u64 page_lin;
	gpa page;
};
#define NO_PAGE ~0ull

/**
 * struct work - the instruction at RIP while it is carried out
 * @x:     the access that made it exit, if one of memory did; else NULL
 * @fault: why a step refused; EVENT_NONE means that code or page tables are not in RAM
 * @cr2:   for a #PF
 * @debug: breakpoints that resolved operands hit
 * @src, @dst: of a string instruction, seg:rSI and ES:rDI; of PUSH and POP, what is read and written
 */
struct work {
	const struct emu *e;
	const struct exit_mmio *x;
	bool has_paging;
	struct paging paging; /* .code_size; the rest by work_paging() */
	const struct insn *in;
	struct insn decoded; /* if it is not in the cache */
	struct event fault;
	u64 cr2;
	u8 debug;
	struct operand src, dst;
};

/** work_init() - nothing is fetched or resolved yet. Not all of @w is cleared: it is large. */
void work_init(struct work *w, const struct emu *e, const struct exit_mmio *x);

/** work_paging() - what walks depend on, read when the first one needs it. */
const struct paging *work_paging(struct work *w);

/** work_fetch() - @w->in: read and decode the instruction at RIP. DECODE_MORE: not readable, @w->fault. */
enum decode_status work_fetch(struct work *w);

/** work_refusal() - the verdict for a step that returned false: @w->fault, or the end. */
struct verdict work_refusal(const struct work *w);

/** work_done() - the verdict after the instruction, or @is_last false: after an iteration of it. */
struct verdict work_done(const struct work *w, bool is_last);

/** work_gpr(), work_set_gpr() - GPR @n as an operand of @width; knows AH..BH. */
u64 work_gpr(const struct work *w, u8 n, u32 width);
void work_set_gpr(const struct work *w, u8 n, u32 width, u64 value);

/** operand_address() - of the ModRM or moffs operand, as an effective address: BT's bit offset is in it, and POP's RSP after. */
u64 operand_address(const struct work *w);

/** operand_resolve() - translate both pages, before any is touched. Return: false, @w->fault. */
bool must_check operand_resolve(struct work *w, enum seg s, u64 off, u32 width, enum access acc,
				struct operand *out);

/** operand_is_on() - does any byte of @o lie on the page of @addr? */
bool operand_is_on(const struct operand *o, gpa addr);

/** operand_is_ram() - is every byte of @o RAM? */
bool operand_is_ram(const struct work *w, const struct operand *o);

/** operand_read(), operand_write() - one access, or bytes if it crosses pages. Cannot fail. */
u64 operand_read(const struct work *w, const struct operand *o);
void operand_write(const struct work *w, const struct operand *o, u64 value);

/** work_alu() - @dst op @src in the instruction's operand size, with the guest's flags. */
u64 work_alu(const struct work *w, enum insn_op op, u64 dst, u64 src);

/** alu() - @dst op @src in @width bytes; sets the arithmetic bits of *@rflags (undefined: 0). */
u64 alu(enum insn_op op, u64 dst, u64 src, u32 width, u64 *rflags);

/** string_run() - up to EMU_REP_BATCH elements: ADVANCE when done, else RESUME to go on. @port: of INS and OUTS. */
struct verdict string_run(struct work *w, u16 port);

#endif
