/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IN, OUT, INS, OUTS as an exit describes them. The CPU has checked I/O permission before it
 * exited. IN and OUT need nothing but the exit; strings need a segment and an address size, and
 * where the exit cannot name them (SVM without decode assists) the instruction is read and
 * decoded.
 */
#include "debug.h"
#include "emulate_parts.h"

void emulate_in_out(struct vcpu *v, const struct bus *ports, const struct exit_pio *pio)
{
	u64 *rax = &v->regs[GPR_RAX];
	if (pio->is_in) {
		*rax = reg_merge(*rax, bus_read(ports, pio->port, pio->width), pio->width);
	} else {
		bus_write(ports, pio->port, pio->width, *rax); /* which cuts it */
	}
}

/* A string, or one whose length the CPU did not tell */
static struct verdict run(const struct emu *e, const struct exit *x, u8 debug)
{
	static const u8 ops[2][2] = { { OP_OUT, OP_IN }, { OP_OUTS, OP_INS } };
	const struct exit_pio *pio = &x->pio;
	enum insn_op op = ops[pio->is_string][pio->is_in];
	struct work w;
	work_init(&w, e, NULL);
	if (x->insn_len && pio->addr_size) {
		w.decoded = (struct insn){ .op = op, .len = x->insn_len, .op_size = pio->width,
					.addr_size = pio->addr_size, .seg = pio->seg,
					.rep = pio->is_rep ? 0xf3 : 0 };
	} else {
		enum decode_status status = work_fetch(&w);
		if (status == DECODE_MORE) {
			return work_refusal(&w);
		}
		/* the guest changed its code under the exit, or no CPU has it, as LOCK INS */
		if (status != DECODE_OK || w.in->op != op || w.in->op_size != pio->width) {
			return VERDICT_UD;
		}
	}
	w.debug = debug;
	if (pio->is_string) {
		return string_run(&w, pio->port);
	}
	emulate_in_out(e->v, e->ports, pio);
	return work_done(&w, true);
}

struct verdict emulate_pio(const struct emu *e, const struct exit *x)
{
	u8 debug = (u8)debug_hits(e->v, DEBUG_IO, x->pio.port, x->pio.width);
	if (x->pio.is_string || !x->insn_len) {
		return run(e, x, debug);
	}
	emulate_in_out(e->v, e->ports, &x->pio);
	return verdict_hits(V_ADVANCE, x->insn_len, debug);
}
