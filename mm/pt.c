// SPDX-License-Identifier: BSD-2-Clause
/*
 * Four-level page tables, one walker for all formats: 512 entries a table, bit 7 marks a large
 * leaf, bits 51:12 hold the address; the rest is what struct pt_format says. Knows no TLB: whoever
 * takes rights away flushes. Tables are never freed. Called by the kernel and, for spaces, by boot.
 */
#include "mm/pt.h"

#define ADDR_MAX BIT(48)
#define LARGE	 BIT(7)
#define PHYS	 BITS(51, 12)

/*
 * struct pt_format - an entry's bits as data
 * @present:  an entry with none of them is empty
 * @table:    set in an entry that points to a table: all rights, leaves decide
 * @leaf:     set in every leaf
 * @write, @exec, @no_exec: set if the leaf has PT_W, has PT_X, lacks PT_X
 * @type:     memory type field, which is @wb or @uc
 * @force:    makes that the effective type, whatever the guest says
 */
struct pt_format {
	u64 present, table, leaf;
	u64 write, exec, no_exec;
	u64 type, wb, uc, force;
};

#define P   BIT(0)
#define W   BIT(1)
#define U   BIT(2)
#define PWT BIT(3)
#define PCD BIT(4)
#define A   BIT(5)
#define D   BIT(6)
#define NX  BIT(63)

/*
 * SDM 3A 4.5 "4-Level Paging and 5-Level Paging". Supervisor, not global: CR3 loads flush it.
 * PCD and PWT with the PAT bit clear choose PAT entry 3, which resets to UC (SDM 3A 12.12.4).
 */
const struct pt_format pt_host = {
	.present = P, .table = P | W, .leaf = P,
	.write = W, .no_exec = NX,
	.type = PCD | PWT, .wb = 0, .uc = PCD | PWT,
};

/*
 * SDM 3C 29.3.2 "EPT Translation Mechanism": R, W, X in bits 2:0, leaf memory type in bits 5:3
 * (6 WB, 0 UC). Bit 6, "ignore PAT", is 0 for RAM: the guest's PAT decides within WB.
 */
const struct pt_format pt_ept = {
	.present = BITS(2, 0), .table = BITS(2, 0), .leaf = BIT(0),
	.write = BIT(1), .exec = BIT(2),
	.type = BITS(5, 3), .wb = 6 << 3, .uc = 0, .force = BIT(6),
};

/*
 * APM 2 15.25.5 "Nested Table Walk": each nested access is a user access, hence U at each level.
 * A and D are set from the start: nobody reads them, so the CPU need not write to these tables.
 */
const struct pt_format pt_npt = {
	.present = P, .table = P | W | U | A, .leaf = P | U | A | D,
	.write = W, .no_exec = NX,
	.type = PCD | PWT, .wb = 0, .uc = PCD | PWT,
};

/* Where a walk ends: an entry that is a leaf or empty, and how much it maps. */
struct slot {
	u64 *entry, size;
};

static bool is_present(const struct pt *pt, u64 entry)
{
	return entry & pt->fmt->present;
}

static struct slot walk(const struct pt *pt, u64 va)
{
	struct slot s = { NULL, ADDR_MAX };
	u64 table = pt->root.v;

	do {
		s.size /= 512;
		s.entry = pt->pages->ptr(pt->pages, HPA(table));
		s.entry += va / s.size % 512;
		table = *s.entry & PHYS;
	} while (s.size > PAGE_SIZE && is_present(pt, *s.entry) && !(*s.entry & LARGE));
	return s;
}

/* A table must be complete before the CPU, which may walk at any time, can find it. */
static void entry_set(u64 *entry, u64 value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* Put a table that means the same, leaf or nothing, in the place of @s. */
static enum status split(struct pt *pt, struct slot s)
{
	hpa page = pt->pages->alloc(pt->pages, 1);
	u64 size = s.size / 512, leaf = size == PAGE_SIZE ? *s.entry & ~LARGE : *s.entry;

	if (!page.v) {
		return STATUS_NO_MEMORY;
	}
	u64 *table = pt->pages->ptr(pt->pages, page);
	for (u64 i = 0; i < 512 && is_present(pt, *s.entry); i++) { /* else it is zeroes already */
		table[i] = leaf + i * size;
	}
	entry_set(s.entry, page.v | pt->fmt->table);
	return STATUS_OK;
}

/*
 * Leaves from @leaf on, in the place of @s and of what is empty behind it in the same table: memory in small pages
 * has a million of them. Return: how much of @len they map.
 */
static u64 fill_run(const struct pt *pt, struct slot s, u64 va, u64 len, u64 leaf)
{
	const u64 max = MIN(len / s.size, 512 - va / s.size % 512), present = pt->fmt->present, size = s.size;
	u64 n = 0, *entry = s.entry;

	do {
		entry_set(&entry[n++], leaf);
		leaf += size;
	} while (n < max && !(entry[n] & present));
	return n * size;
}

/* [@va, @va+@len) becomes leaves from @leaf on, or, if that is 0, empty. */
static enum status fill(struct pt *pt, u64 va, u64 len, u64 leaf)
{
	enum status st = STATUS_OK;

	while (len && st == STATUS_OK) {
		struct slot s = walk(pt, va);
		u64 in_slot = MIN(len, s.size - va % s.size);
		bool is_part = in_slot < s.size || s.size > pt->max_page || (leaf & PHYS) % s.size;

		if (is_part && (leaf || is_present(pt, *s.entry))) {
			st = split(pt, s);
			continue;
		}
		if (leaf) {
			in_slot = fill_run(pt, s, va, len, leaf | (s.size > PAGE_SIZE ? LARGE : 0));
			leaf += in_slot;
		} else {
			entry_set(s.entry, 0);
		}
		va += in_slot;
		len -= in_slot;
	}
	return st;
}

static bool is_bad_range(u64 va, u64 len)
{
	return (va | len) % PAGE_SIZE || va > ADDR_MAX || len > ADDR_MAX - va;
}

static bool is_free(const struct pt *pt, u64 va, u64 len)
{
	for (u64 end = va + len; va < end;) {
		struct slot s = walk(pt, va);
		if (is_present(pt, *s.entry)) {
			return false;
		}
		va = ALIGN_DOWN(va, s.size) + s.size;
	}
	return true;
}

enum status pt_init(struct pt *pt, const struct pt_format *fmt, struct page_source *pages,
		    u64 max_page)
{
	*pt = (struct pt){ fmt, pages, pages->alloc(pages, 1), max_page };
	return pt->root.v ? STATUS_OK : STATUS_NO_MEMORY;
}

/* A leaf that is not readable is refused: EPT would misconfigure, the others cannot say it. */
enum status pt_map(struct pt *pt, u64 va, hpa pa, u64 len, u32 prot)
{
	const struct pt_format *f = pt->fmt;

	if (is_bad_range(va, len) || pa.v & ~PHYS || len > PHYS - pa.v + PAGE_SIZE ||
	    !(prot & PT_R)) {
		return STATUS_BAD_VALUE;
	}
	if (!is_free(pt, va, len)) {
		return STATUS_OVERLAP;
	}
	return fill(pt, va, len,
		    pa.v | f->leaf | ((prot & PT_W) ? f->write : 0) |
			    ((prot & PT_X) ? f->exec : f->no_exec) |
			    ((prot & PT_UC) ? f->uc : f->wb) | ((prot & PT_WB) ? f->force : 0));
}

enum status pt_unmap(struct pt *pt, u64 va, u64 len)
{
	return is_bad_range(va, len) ? STATUS_BAD_VALUE : fill(pt, va, len, 0);
}

bool pt_lookup(const struct pt *pt, u64 va, struct pt_leaf *out)
{
	const struct pt_format *f = pt->fmt;
	struct slot s = walk(pt, va % ADDR_MAX);
	u64 leaf = *s.entry;
	bool can_exec = f->exec ? leaf & f->exec : !(leaf & f->no_exec);

	if (va >= ADDR_MAX || !is_present(pt, leaf)) {
		return false;
	}
	out->pa = HPA((leaf & PHYS & ~(s.size - 1)) + va % s.size);
	out->size = s.size;
	out->prot = PT_R | ((leaf & f->write) ? PT_W : 0) | (can_exec ? PT_X : 0) |
		    ((leaf & f->type) == f->uc ? PT_UC : 0) | ((leaf & f->force) ? PT_WB : 0);
	return true;
}
