/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction at RIP: read and decoded, or remembered from the last time, which insn_cache.h explains. If the CPU says
 * what it read when it exited, that is taken, and memory not asked. Called by the emulator's other files.
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

/* A row for the instruction of 64-bit code at @rip: its own, or the oldest of those where it can be. Where it lies is not said. */
static struct insn_row *remember(struct work *w, u64 rip, const u8 bytes[15])
{
	struct insn_cache *c = w->e->insns;
	u32 len = w->decoded.len, set = insn_set_of(rip);
	const struct insn_row *old = insn_row_of(c, rip);
	struct insn_row *r = &c->row[set][old ? old - c->row[set] : c->next[set]++ % NR_INSN_WAYS];
	*r = (struct insn_row){ .rip = rip, .insn = w->decoded,
				.mask = { len < 8 ? width_mask(len) : ~0ull, len > 8 ? width_mask(len - 8) : 0 } };
	memcpy(r->bytes, bytes, 15);
	return r;
}

/* On one page, and its 16 bytes too */
static void remember_walk(struct work *w, u64 rip, const struct fetch *f)
{
	if (f->lin != rip || rip % PAGE_SIZE > PAGE_SIZE - 16) {
		return;
	}
	struct insn_row *r = remember(w, rip, f->bytes);
	r->cr3 = w->paging.cr3;
	r->trail = f->trail;
	r->code = f->ram;
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

static bool has_bytes(const struct vcpu *v, const struct exit_mmio *x)
{
	return x->nr_fetched && v->insn_bytes;
}

/* By what the CPU has read. Neither page tables nor code in memory matter, which may be others by now. */
static noinline const struct insn *known_by_bytes(struct vcpu *v, const struct insn_cache *c, const struct exit *e)
{
	const struct insn_row *r = insn_row_of(c, e->rip);
	bool is_known = r && backend_get(v, VREG_CODE_SIZE) == 8 && insn_row_says(r, v->insn_bytes, e->mmio.nr_fetched);
	return is_known ? &r->insn : NULL;
}

const struct insn *emulate_executed(struct vcpu *v, const struct insn_cache *c, const struct exit *e)
{
	enum backend b = backend_of(v);
	return b == BACKEND_SVM && has_bytes(v, &e->mmio) ? known_by_bytes(v, c, e) : insn_known(b, v, c, e->rip);
}

/* @row: what is remembered of this RIP, or NULL. Return: DECODE_MORE if the CPU has read too few */
static enum decode_status decode_bytes(struct work *w, u64 rip, const struct insn_row *row)
{
	const u8 *bytes = w->e->v->insn_bytes;
	u32 nr = w->x->nr_fetched;
	if (row && insn_row_says(row, bytes, nr)) {
		w->in = &row->insn;
		return DECODE_OK;
	}
	enum decode_status status = insn_decode(bytes, nr, w->paging.code_size, &w->decoded);
	if (status == DECODE_OK && w->e->insns && w->paging.code_size == 8) {
		remember(w, rip, bytes);
	}
	return status;
}

static enum decode_status decode_memory(struct work *w, u64 rip, const struct insn_row *row)
{
	struct fetch f;
	if (row && insn_row_is_good(row, backend_get(w->e->v, VREG_CR3))) {
		w->in = &row->insn;
		return DECODE_OK;
	}
	enum decode_status status = read_and_decode(w, &f);
	if (status == DECODE_OK && w->e->insns && w->paging.code_size == 8) {
		remember_walk(w, rip, &f);
	}
	return status;
}

enum decode_status work_fetch(struct work *w)
{
	struct vcpu *v = w->e->v;
	bool has_cache = w->e->insns && w->paging.code_size == 8;
	u64 rip = has_cache ? backend_get(v, VREG_RIP) : 0;
	const struct insn_row *row = has_cache ? insn_row_of(w->e->insns, rip) : NULL;
	enum decode_status status = DECODE_MORE;
	if (w->x && has_bytes(v, w->x)) {
		status = decode_bytes(w, rip, row);
	}
	return status == DECODE_MORE ? decode_memory(w, rip, row) : status;
}
