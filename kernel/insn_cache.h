/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking into the cache of instructions (emulate_fetch.c fills it): in a header, for it is done at most exits of a
 * CPU that does not say how long an instruction was. A row of the cache is good as long as the page table entries
 * on the way to its code, and the code, are what they were. Both are compared at each use, so that nobody has to
 * invalidate anything. Rights are not looked at again: the CPU, which exited from this instruction, has just fetched
 * it. Where the CPU says which bytes it read, these alone are compared, and a row that came of them has no way and no code.
 */
#ifndef BULKHEAD_INSN_CACHE_H
#define BULKHEAD_INSN_CACHE_H

#include "kernel/backend.h"
#include "kernel/emulate.h"

static inline u64 insn_load(const void *p)
{
	u64 value;
	__builtin_memcpy(&value, p, sizeof(value));
	return value;
}

/** insn_row_is_good() - does @r still say what is at its address? */
static always_inline bool insn_row_is_good(const struct insn_row *r, u64 cr3)
{
	const struct trail *t = &r->trail;
	static_assert(MAX_LEVELS == 4, "all of them");
	if (r->cr3 != cr3 || !r->code) {
		return false;
	}
	if (*(volatile u64 *)t->slot[0] != t->entry[0] || *(volatile u64 *)t->slot[1] != t->entry[1] ||
	    *(volatile u64 *)t->slot[2] != t->entry[2] || *(volatile u64 *)t->slot[3] != t->entry[3]) {
		return false;
	}
	return !((insn_load(r->code) ^ r->bytes[0]) & r->mask[0]) &&
	       !((insn_load(r->code + 8) ^ r->bytes[1]) & r->mask[1]);
}

/** insn_row_says() - is @r's instruction the one that these @nr bytes, 15 at most, begin with? Where they are does not matter. */
static inline bool insn_row_says(const struct insn_row *r, const u8 *bytes, u32 nr)
{
	u64 word[2] = { 0 };
	__builtin_memcpy(word, bytes, 15);
	return r->insn.len && r->insn.len <= nr && !((word[0] ^ r->bytes[0]) & r->mask[0]) &&
	       !((word[1] ^ r->bytes[1]) & r->mask[1]);
}

/** insn_set_of() - where @rip can be: multiplied by the golden ratio, neighbours fall far apart. */
static always_inline u32 insn_set_of(u64 rip)
{
	return (u32)rip * 0x9e3779b1u >> 26;
}
static_assert(NR_INSN_SETS == 1u << (32 - 26), "the upper bits");

/** insn_row_of() - the row that has @rip; NULL: none. */
static always_inline const struct insn_row *insn_row_of(const struct insn_cache *c, u64 rip)
{
	const struct insn_row *set = c->row[insn_set_of(rip)];
	static_assert(NR_INSN_WAYS == 4, "all of them");
	return set[0].rip == rip ? &set[0] :
	       set[1].rip == rip ? &set[1] :
	       set[2].rip == rip ? &set[2] :
	       set[3].rip == rip ? &set[3] : NULL;
}

/** insn_known() - emulate_known() by a backend that is known. */
static always_inline const struct insn *insn_known(enum backend b, struct vcpu *v, const struct insn_cache *c, u64 rip)
{
	const struct insn_row *r = insn_row_of(c, rip);
	bool is_known = r && get_by(b, v, VREG_CODE_SIZE) == 8 && insn_row_is_good(r, get_by(b, v, VREG_CR3));
	return is_known ? &r->insn : NULL;
}

#endif
