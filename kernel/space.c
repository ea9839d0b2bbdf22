/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proof that partitions share no memory, neither with each other nor with the hypervisor. It believes
 * neither mm/pt.c nor the allocator: it has entry formats of its own, out of the manuals, and compares what
 * the tables say with what others say they own. Called at boot before anything runs, and by HC_SPACE_CHECK.
 */
#include "kernel/space.h"
#include "abi/hypercall.h"
#include "lib/lib.h"
#include "log.h"

#define ADDR_MAX BIT(48)
#define LARGE	 BIT(7)
#define PHYS	 BITS(51, 12)
#define DEPTH	 4

/*
 * @table, @leaf: the bits that an entry has beside its address; RAM is all rights and write-back
 * @reader, @writer: a leaf of a shared region: never executable, and write-back whatever a guest's PAT says
 * @apic: the page at the local APIC's address, in the space where the CPU serves that
 * @by_cpu: set by the CPU as it walks
 */
struct entry_format {
	const struct pt_format *fmt;
	u64 table, leaf, reader, writer, apic, by_cpu;
};

static const struct entry_format formats[] = {
	/* SDM 3C 29.3.2 tables 29-1 to 29-7: RWX, type 6 (WB) in 5:3, ignore PAT 6; accessed is bit 8, dirty bit 9 */
	{ &pt_ept, 0x7, 0x37, 0x71, 0x73, 0x33, 0x300 },
	/* APM 2 15.25.5 and 5.4.1: P, R/W, U/S; accessed is bit 5, dirty bit 6; NX is bit 63 */
	{ &pt_npt, 0x7, 0x7, 0x5 | BIT(63), 0x7 | BIT(63), 0x7 | BIT(63), 0x60 },
};

static struct lock tables_lock;

void space_lock(void)
{
	lock_take(&tables_lock);
}

void space_unlock(void)
{
	lock_drop(&tables_lock);
}

static const char *name_of(const struct space_work *w, u32 part)
{
	return part < w->in->nr ? w->in->partition[part]->cfg->name : NULL;
}

/* One more leak; the next page of the last one's run makes that one longer */
static void leak(struct space_work *w, struct space_leak l)
{
	struct space_report *out = w->out;
	struct space_leak *last = out->leaks && out->leaks <= SPACE_MAX_LEAKS ?
					  &out->leak[out->leaks - 1] : NULL;
	if (last && last->fault == l.fault && last->part == l.part && last->owner == l.owner &&
	    last->at + last->len == l.at && last->host + last->len == l.host) {
		last->len += l.len;
		return;
	}
	if (out->leaks < SPACE_MAX_LEAKS) {
		out->leak[out->leaks] = l;
	}
	out->leaks++;
}

/* The region that holds all of [@base, @end) and that everybody in @who may have */
static const struct space_shared *find_region(const struct space_work *w, u64 base, u64 end, u64 who)
{
	for (u32 i = 0; i < w->in->nr_shared; i++) {
		const struct space_shared *s = &w->in->shared[i];
		if (base >= s->host.v && end <= s->host.v + s->len && !(who & ~s->who)) {
			return s;
		}
	}
	return NULL;
}

static void add_range(struct space_work *w, u64 base, u64 end, u32 part, const char *name)
{
	BUG_ON(w->nr_ranges == w->max_ranges);
	w->range[w->nr_ranges++] = (struct space_range){ base, end, name, part };
}

static void add_extents(struct space_work *w, u32 part)
{
	const struct gmem *m = &w->in->partition[part]->mem;
	u64 top = 0;
	for (u32 i = 0; i < m->nr; i++) {
		const struct mem_extent *e = &m->ext[i];
		u64 bits = e->base.v | e->host.v | e->len;
		if (!e->len || bits % PAGE_SIZE || e->base.v < top || e->len > ADDR_MAX ||
		    e->base.v > ADDR_MAX - e->len || e->host.v > PHYS - e->len) {
			leak(w, (struct space_leak){ SPACE_EXTENT, part, NULL, e->base.v, e->host.v, e->len });
			continue;
		}
		top = e->base.v + e->len;
		add_range(w, e->host.v, e->host.v + e->len, part, name_of(w, part));
	}
}

/* Shell sort: there are three thousand at most */
static void sort_ranges(struct space_work *w)
{
	struct space_range *r = w->range;
	for (u32 gap = 1093; gap; gap /= 3) {
		for (u32 i = gap; i < w->nr_ranges; i++) {
			const struct space_range it = r[i];
			u32 k = i;
			for (; k >= gap && r[k - gap].base > it.base; k -= gap) {
				r[k] = r[k - gap];
			}
			r[k] = it;
		}
	}
}

/* @b begins within @a or behind it: if they meet, is that as declared? */
static void check_pair(struct space_work *w, const struct space_range *a, const struct space_range *b)
{
	u64 end = a ? MIN(a->end, b->end) : 0;
	if (end <= b->base) {
		return;
	}
	const struct space_range *own = b->part == SPACE_NOBODY ? a : b, *other = own == a ? b : a;
	bool is_own = other->part == SPACE_NOBODY;
	if (is_own || other->part == own->part ||
	    !find_region(w, b->base, end, BIT(own->part) | BIT(other->part))) {
		leak(w, (struct space_leak){ is_own ? SPACE_OWNED : SPACE_TWO, own->part, other->name, 0,
					     b->base, end - b->base });
	}
}

/* In order of their bases, each range is held against the one that reaches furthest so far */
static void check_ranges(struct space_work *w)
{
	const struct space_range *ext = NULL, *own = NULL;
	for (const struct space_range *r = w->range; r < w->range + w->nr_ranges; r++) {
		check_pair(w, ext, r);
		if (r->part == SPACE_NOBODY) {
			own = !own || r->end > own->end ? r : own;
		} else {
			check_pair(w, own, r);
			ext = !ext || r->end > ext->end ? r : ext;
		}
	}
}

/* A shared region is nobody's; extents lie in it wholly, or not at all */
static void check_regions(struct space_work *w)
{
	for (u32 i = 0; i < w->in->nr_shared; i++) {
		const struct space_shared *s = &w->in->shared[i];
		u64 base = s->host.v, end = base + s->len;
		for (const struct space_range *r = w->range; r < w->range + w->nr_ranges; r++) {
			bool is_apart = r->end <= base || r->base >= end;
			bool is_inside = r->base >= base && r->end <= end && r->part < w->in->nr &&
					 BIT(r->part) & s->who;
			if (!is_apart && !is_inside) {
				leak(w, (struct space_leak){ SPACE_REGION, i, r->name, 0, base, s->len });
			}
		}
	}
}

/* Whose is some byte of [@base, @end)? Others than the partition at hand come first. */
static const struct space_range *find_owner(const struct space_work *w, u64 base, u64 end)
{
	const struct space_range *found = NULL;
	for (const struct space_range *r = w->range; r < w->range + w->nr_ranges; r++) {
		if (r->base < end && r->end > base && (!found || found->part == w->part)) {
			found = r;
		}
	}
	return found;
}

/* Of the partition at hand; NULL: none there */
static const struct mem_extent *find_extent(const struct space_work *w, u64 at)
{
	const struct gmem *m = &w->in->partition[w->part]->mem;
	for (u32 i = 0; i < m->nr; i++) {
		if (at - m->ext[i].base.v < m->ext[i].len) {
			return &m->ext[i];
		}
	}
	return NULL;
}

static bool is_at_home(const struct space_work *w, u64 at, u64 host, u64 size)
{
	const struct mem_extent *e = find_extent(w, at);
	u64 off = e ? at - e->base.v : 0;
	return e && host == e->host.v + off && size <= e->len - off;
}

/* Where the CPU serves the local APIC, a page of the partition's own stands for it: no guest reaches that */
static bool is_apic_page(const struct space_work *w, const struct entry_format *f, u64 at, u64 entry)
{
	const struct partition *p = w->in->partition[w->part];
	return w->space == &p->space_apic && at == VLAPIC_BASE && p->apic_access.v &&
	       (entry & ~f->by_cpu) == (p->apic_access.v | f->apic);
}

static void check_leaf(struct space_work *w, const struct entry_format *f, u64 at, u64 entry, u64 size)
{
	u64 host = entry & PHYS & ~(size - 1);
	const struct space_shared *region = find_region(w, host, host + size, BIT(w->part));
	u64 rights = !region ? f->leaf : region->writers & BIT(w->part) ? f->writer : f->reader;
	u64 want = host | rights | (size > PAGE_SIZE ? LARGE : 0);
	struct space_leak l = { SPACE_BITS, w->part, NULL, at, host, size };
	w->out->pages[size == SIZE_1G ? 2 : size == SIZE_2M]++;
	if (size == PAGE_SIZE && is_apic_page(w, f, at, entry)) {
		return;
	}
	if ((entry & ~f->by_cpu) != want) {
		leak(w, l);
	}
	if (is_at_home(w, at, host, size)) {
		w->mapped += size;
	} else if (!region) {
		const struct space_range *r = find_owner(w, host, host + size);
		l.owner = r ? r->name : NULL;
		l.fault = !r || r->part == SPACE_NOBODY ? SPACE_OWNED :
			  r->part == w->part	      ? SPACE_ELSEWHERE : SPACE_TWO;
		leak(w, l);
	}
}

/* Return: the table at @page, or NULL after a leak */
static const u64 *enter_table(struct space_work *w, u64 at, u64 page)
{
	const struct pt *pt = w->space;
	for (u32 i = 0; i < w->in->owned_pages; i++) {
		if (page >= w->in->owned[i].base && page + PAGE_SIZE <= w->in->owned[i].end) {
			w->out->tables++;
			return pt->pages->ptr(pt->pages, HPA(page));
		}
	}
	const struct space_range *r = find_owner(w, page, page + PAGE_SIZE);
	leak(w, (struct space_leak){ SPACE_TABLE, w->part, r ? r->name : NULL, at, page, PAGE_SIZE });
	return NULL;
}

/* Return: the table that @entry of a table at depth @depth points to; NULL: none, or a leaf, or a leak */
static const u64 *check_entry(struct space_work *w, const struct entry_format *f, u64 at, u64 entry, u32 depth)
{
	u64 size = PAGE_SIZE << 9 * (DEPTH - 1 - depth);
	if (!entry) {
		return NULL;
	}
	if (entry & f->table && size <= SIZE_1G && (size == PAGE_SIZE || entry & LARGE)) {
		check_leaf(w, f, at, entry, size);
		return NULL;
	}
	if ((entry & ~PHYS & ~f->by_cpu) != f->table || size == PAGE_SIZE) {
		leak(w, (struct space_leak){ SPACE_BITS, w->part, NULL, at, entry & PHYS, size });
		return NULL;
	}
	return enter_table(w, at, entry & PHYS);
}

static bool is_plain(const u64 *entry, u64 want, u64 checked)
{
	return !((__atomic_load_n(entry, __ATOMIC_RELAXED) ^ want) & checked);
}

/* Four at once: memory in small pages has a million of them */
static bool are_plain(const u64 *entry, u64 want, u64 size, u64 checked)
{
	u64 wrong = 0;
#pragma GCC unroll 4
	for (u32 i = 0; i < 4; i++) {
		wrong |= __atomic_load_n(entry + i, __ATOMIC_RELAXED) ^ (want + i * size);
	}
	return !(wrong & checked);
}

/*
 * Almost all leaves are what they should be. How many from @entry on, in one table at @at, map the rest of an extent
 * that meets no shared region, one page after the other? What is not so is for check_leaf().
 */
static u64 plain_leaves(const struct space_work *w, const struct entry_format *f, u64 at, const u64 *entry, u64 size)
{
	const struct mem_extent *e = find_extent(w, at);
	u64 n = 0, max = e ? MIN(512 - at / size % 512, (e->base.v + e->len - at) / size) : 0;
	u64 host = e ? e->host.v + (at - e->base.v) : 0;
	u64 want = host | f->leaf | (size > PAGE_SIZE ? LARGE : 0);
	for (u32 i = 0; i < w->in->nr_shared && e; i++) {
		const struct space_shared *s = &w->in->shared[i];
		bool is_apart = e->host.v + e->len <= s->host.v || s->host.v + s->len <= e->host.v;
		max = is_apart ? max : 0;
	}
	max = host % size ? 0 : max;
	for (; n + 4 <= max && are_plain(entry + n, want, size, ~f->by_cpu); n += 4) {
		want += 4 * size;
	}
	for (; n < max && is_plain(entry + n, want, ~f->by_cpu); n++) {
		want += size;
	}
	return n;
}

/* Depth first, by guest-physical address; the walk of one table ends where its last entry's range does */
static void walk_tables(struct space_work *w, const struct entry_format *f)
{
	const u64 *table[DEPTH] = { enter_table(w, 0, w->space->root.v) };
	u32 depth = 0;
	for (u64 at = 0; table[0] && at < ADDR_MAX;) {
		u64 size = PAGE_SIZE << 9 * (DEPTH - 1 - depth);
		const u64 *entry = &table[depth][at / size % 512];
		u64 plain = size <= SIZE_1G ? plain_leaves(w, f, at, entry, size) : 0;
		const u64 *next = plain ? NULL : check_entry(w, f, at, __atomic_load_n(entry, __ATOMIC_RELAXED), depth);
		if (next) {
			table[++depth] = next;
			continue;
		}
		w->mapped += plain * size;
		w->out->pages[size == SIZE_1G ? 2 : size == SIZE_2M] += plain;
		at += MAX(plain, 1ull) * size;
		while (depth && at % (PAGE_SIZE << 9 * (DEPTH - depth)) == 0) {
			depth--;
		}
	}
}

static void check_tables(struct space_work *w, u32 part, const struct pt *space)
{
	const struct partition *p = w->in->partition[part];
	const struct entry_format *f = p->space.fmt == formats[0].fmt ? &formats[0] : &formats[1];
	u64 all = 0;
	w->part = part;
	w->space = space;
	w->mapped = 0;
	walk_tables(w, f);
	for (u32 i = 0; i < p->mem.nr; i++) {
		all += p->mem.ext[i].len;
	}
	if (w->mapped < all && !(w->in->is_running && p->cfg->has_test_device)) {
		leak(w, (struct space_leak){ SPACE_MISSING, part, NULL, 0, 0, all - w->mapped });
	}
}

void space_check(struct space_work *w, const struct space_input *in, struct space_report *out)
{
	*out = (struct space_report){ .leaks = 0 };
	w->in = in;
	w->out = out;
	w->nr_ranges = 0;
	for (u32 i = 0; i < in->nr; i++) {
		add_extents(w, i);
	}
	for (u32 i = 0; i < in->nr_owned; i++) {
		if (in->owned[i].base < in->owned[i].end) {
			add_range(w, in->owned[i].base, in->owned[i].end, SPACE_NOBODY, in->owned[i].name);
		}
	}
	sort_ranges(w);
	check_ranges(w);
	check_regions(w);
	for (u32 i = 0; i < in->nr; i++) {
		check_tables(w, i, &in->partition[i]->space);
		if (in->partition[i]->space_apic.root.v) {
			check_tables(w, i, &in->partition[i]->space_apic);
		}
	}
}

size_t space_leak_text(const struct space_input *in, const struct space_leak *l, char *buf, size_t size)
{
	static const char *const what[] = {
		[SPACE_TWO] = "has memory of", [SPACE_OWNED] = "has memory of",
		[SPACE_ELSEWHERE] = "has its memory where it does not belong:",
		[SPACE_BITS] = "has an entry with wrong bits:", [SPACE_TABLE] = "has a table page of",
		[SPACE_MISSING] = "lacks memory:", [SPACE_EXTENT] = "has a wrong extent:",
		[SPACE_REGION] = "shared region meets",
	};
	static_assert(ARRAY_SIZE(what) == NR_SPACE_FAULTS, "a text for each");
	bool is_region = l->fault == SPACE_REGION, wants_owner = is_region || l->fault == SPACE_TWO ||
		l->fault == SPACE_OWNED || l->fault == SPACE_TABLE;
	return format(buf, size, "[%s] %s%s%s gpa=0x%lx host=0x%lx len=0x%lx",
		      is_region ? "" : in->partition[l->part]->cfg->name, what[l->fault],
		      wants_owner ? " " : "", !wants_owner ? "" : l->owner ? l->owner : "nobody",
		      l->at, l->host, l->len);
}

s64 hc_space_check(struct vcpu *v)
{
	const struct partition *p = v->part;
	return p->cfg->has_test_device && p->host->space_check ? p->host->space_check() : HC_ENOSYS;
}
