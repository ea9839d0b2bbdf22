/* SPDX-License-Identifier: BSD-2-Clause */
/* See scrub.h. A piece belongs to one extent; the last one of an extent may be shorter. */
#include "kernel/scrub.h"
#include "lib/lib.h"

static u64 chunks_of(const struct mem_extent *e)
{
	return (e->len + SCRUB_CHUNK - 1) / SCRUB_CHUNK;
}

static u64 count(const struct scrub *s)
{
	u64 nr = 0;
	for (u32 i = 0; i < s->nr; i++) {
		for (u32 k = 0; k < s->partition[i]->mem.nr; k++) {
			nr += chunks_of(&s->partition[i]->mem.ext[k]);
		}
	}
	return nr;
}

static void clear(const struct mem_extent *e, u64 chunk)
{
	u64 at = chunk * SCRUB_CHUNK;
	memset((u8 *)phys_ptr(e->host) + at, 0, MIN(SCRUB_CHUNK, e->len - at));
}

static void clear_chunk(const struct scrub *s, u64 chunk)
{
	for (u32 i = 0; i < s->nr; i++) {
		const struct gmem *m = &s->partition[i]->mem;
		for (u32 k = 0; k < m->nr; k++) {
			u64 nr = chunks_of(&m->ext[k]);
			if (chunk < nr) {
				clear(&m->ext[k], chunk);
				return;
			}
			chunk -= nr;
		}
	}
}

void scrub_begin(struct scrub *s, struct partition *const *partition, u32 nr)
{
	*s = (struct scrub){ .partition = partition, .nr = nr };
	__atomic_store_n(&s->nr_chunks, count(s), __ATOMIC_RELEASE); /* pairs with scrub_step() */
}

bool scrub_step(struct scrub *s)
{
	u64 nr = __atomic_load_n(&s->nr_chunks, __ATOMIC_ACQUIRE);
	u64 chunk = nr ? __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED) : 0;
	if (chunk >= nr) {
		return false;
	}
	clear_chunk(s, chunk);
	__atomic_fetch_add(&s->done, 1, __ATOMIC_RELEASE); /* pairs with scrub_is_done() */
	return true;
}

bool scrub_is_done(const struct scrub *s)
{
	return __atomic_load_n(&s->done, __ATOMIC_ACQUIRE) == s->nr_chunks;
}
