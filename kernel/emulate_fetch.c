/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction at RIP: read and decoded, or remembered from the last time, which insn_cache.h explains. Called by the
 * emulator's other files.
 */
#include "kernel/backend.h"
#include "emulate_parts.h"
#include "insn_cache.h"
#include "lib/lib.h"
#include "x86/regs.h"

void work_init(struct work *w, const struct emu *e, const struct exit_mmio *x)
{
	w->e = e;
	w->x = x;
	w->in = &w->decoded;
	w->debug = 0;
	w->src.width = w->dst.width = 0;
	w->src.page_lin = w->dst.page_lin = NO_PAGE;
	w->has_paging = false;
	w->paging.code_size = paging_code_size(e->v);
	if (w->paging.code_size != 8) {
		work_paging(w);
	}
}

const struct paging *work_paging(struct work *w)
{
	if (!w->has_paging) {
		paging_read(w->e->v, &w->paging);
		w->paging.pkru = w->paging.cr4 & CR4_PKE && w->e->pkru ? w->e->pkru() : 0;
		w->has_paging = true;
	}
	return &w->paging;
}

/* 64-bit code, on one page, and its 16 bytes too */
static void remember(const struct work *w, u64 rip, const struct fetch *f)
{
	struct insn_cache *c = w->e->insns;
	u32 len = w->decoded.len, set = insn_set_of(rip);
	const struct insn_row *old = insn_row_of(c, rip);
	if (f->lin != rip || rip % PAGE_SIZE > PAGE_SIZE - 16) {
		return;
	}
	struct insn_row *r = &c->row[set][old ? old - c->row[set] : c->next[set]++ % NR_INSN_WAYS];
	*r = (struct insn_row){ .rip = rip, .cr3 = w->paging.cr3, .trail = f->trail, .code = f->ram,
				.insn = w->decoded,
				.mask = { len < 8 ? width_mask(len) : ~0ull, len > 8 ? width_mask(len - 8) : 0 } };
	memcpy(r->bytes, f->bytes, sizeof(f->bytes));
	for (u32 i = 0; i < MAX_LEVELS; i++) { /* a level without an entry is as it was, always */
		bool is_used = i >= f->trail.first && i < f->trail.end;
		r->trail.slot[i] = is_used ? r->trail.slot[i] : &r->trail.entry[i];
	}
}

static enum decode_status read_and_decode(struct work *w, struct fetch *f)
{
	enum decode_status status = DECODE_MORE;
	work_paging(w);
	f->len = 0;
	while (status == DECODE_MORE) {
		if (!fetch_more(w->e->v, w->e->mem, &w->paging, f, &w->fault)) {
			w->cr2 = f->lin;
			return DECODE_MORE;
		}
		status = insn_decode(f->bytes, f->len, w->paging.code_size, &w->decoded);
	}
	return status;
}

const struct insn *emulate_known(struct vcpu *v, const struct insn_cache *c, u64 rip)
{
	return insn_known(backend_of(v), v, c, rip);
}

enum decode_status work_fetch(struct work *w)
{
	struct vcpu *v = w->e->v;
	struct fetch f;
	bool has_cache = w->e->insns && w->paging.code_size == 8;
	u64 rip = has_cache ? backend_get(v, VREG_RIP) : 0;
	const struct insn_row *row = has_cache ? insn_row_of(w->e->insns, rip) : NULL;
	if (row && insn_row_is_good(row, backend_get(v, VREG_CR3))) {
		w->in = &row->insn;
		return DECODE_OK;
	}
	enum decode_status status = read_and_decode(w, &f);
	if (has_cache && status == DECODE_OK) {
		remember(w, rip, &f);
	}
	return status;
}
