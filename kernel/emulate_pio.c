/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IN, OUT, INS, OUTS as an exit describes them. The CPU has checked I/O permission before it
 * exited. IN and OUT need nothing but the exit; strings need a segment and an address size, and
 * where the exit cannot name them (SVM without decode assists) the instruction is read and
 * decoded.
 */
#include "debug.h"
#include "emulate_parts.h"

struct verdict emulate_pio(const struct emu *e, const struct exit *x)
{
	const struct exit_pio *pio = &x->pio;
	static const u8 ops[2][2] = { { OP_OUT, OP_IN }, { OP_OUTS, OP_INS } };
	const struct insn said = { .op = ops[pio->is_string][pio->is_in],
				   .len = x->insn_len,
				   .op_size = pio->width,
				   .addr_size = pio->addr_size,
				   .rep = pio->is_rep ? 0xf3 : 0,
				   .seg = pio->seg };
	struct work w = { .e = e, .insn = said };
	u64 *rax = &e->v->regs[GPR_RAX];
	if (!x->insn_len || (pio->is_string && !pio->addr_size)) {
		enum decode_status status = work_fetch(&w);
		if (status == DECODE_MORE) {
			return work_refusal(&w);
		}
		/* the guest changed its code under the exit, or no CPU has it, as LOCK INS */
		if (status != DECODE_OK || w.insn.op != said.op || w.insn.op_size != said.op_size) {
			return VERDICT_UD;
		}
	} else if (pio->is_string) {
		paging_read(e->v, &w.paging);
	}
	w.debug = (u8)debug_hits(e->v, DEBUG_IO, pio->port, pio->width);
	if (pio->is_string) {
		return string_run(&w, &(struct string_io){ .port = pio->port });
	}
	if (pio->is_in) {
		*rax = reg_merge(*rax, bus_read(e->ports, pio->port, pio->width), pio->width);
	} else {
		bus_write(e->ports, pio->port, pio->width, *rax & width_mask(pio->width));
	}
	return work_done(&w, true);
}
