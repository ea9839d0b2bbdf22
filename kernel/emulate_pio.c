/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IN, OUT, INS, OUTS as an exit describes them. The CPU has checked I/O permission before it
 * exited. IN and OUT need nothing but the exit; strings need a segment and an address size, and
 * where the exit cannot name them (SVM without decode assists) the instruction is read and
 * decoded.
 */
#include "emulate_parts.h"

/* Completes @w->insn from memory; a mismatch: the guest changed its code under the exit */
static bool decode_pio(struct work *w, const struct exit_pio *x, struct verdict *refusal)
{
	enum insn_op want = x->is_string ? (x->is_in ? OP_INS : OP_OUTS) :
					   (x->is_in ? OP_IN : OP_OUT);
	switch (work_fetch(w)) {
	case DECODE_OK:
		if (w->insn.op == want && w->insn.op_size == x->width) {
			return true;
		}
		break;
	case DECODE_MORE: *refusal = work_refusal(w); return false;
	case DECODE_UNKNOWN: break;
	}
	*refusal = verdict_kill("port access without its instruction");
	return false;
}

static struct verdict pio_string(struct work *w, const struct exit *x)
{
	const struct exit_pio *pio = &x->pio;
	struct verdict refusal;
	if (x->insn_len && pio->addr_size) {
		paging_read(w->e->v, &w->paging);
		w->insn = (struct insn){ .op = pio->is_in ? OP_INS : OP_OUTS,
					 .len = x->insn_len,
					 .op_size = pio->width,
					 .addr_size = pio->addr_size,
					 .rep = pio->is_rep ? 0xf3 : 0,
					 .seg = pio->seg };
	} else if (!decode_pio(w, pio, &refusal)) {
		return refusal;
	}
	return string_run(w, &(struct string_io){ .port = pio->port });
}

struct verdict emulate_pio(const struct emu *e, const struct exit *x)
{
	const struct exit_pio *pio = &x->pio;
	struct work w = { .e = e, .insn.len = x->insn_len };
	struct verdict refusal;
	u64 *rax = &e->v->regs[GPR_RAX];
	if (pio->is_string) {
		return pio_string(&w, x);
	}
	if (!x->insn_len && !decode_pio(&w, pio, &refusal)) {
		return refusal;
	}
	if (pio->is_in) {
		*rax = reg_merge(*rax, bus_read(e->ports, pio->port, pio->width), pio->width);
	} else {
		bus_write(e->ports, pio->port, pio->width, *rax & width_mask(pio->width));
	}
	return verdict_advance(w.insn.len);
}
