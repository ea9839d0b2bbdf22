// SPDX-License-Identifier: BSD-2-Clause
/*
 * Four-level page tables, one walker for all formats: 512 entries a table, bit 7 marks a large leaf,
 * bits 51:12 hold the address; the rest is what struct pt_format says. Knows no TLB: whoever
 * takes rights away flushes. Tables are never freed. Called by the kernel and, for spaces, by boot.
 */
#include "mm/pt.h"

#define LEVELS	 4
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
 */
struct pt_format {
	u64 present, table, leaf;
	u64 write, exec, no_exec;
	u64 type, wb, uc;
};

#define P   BIT(0)
#define W   BIT(1)
#define U   BIT(2)
#define PWT BIT(3)
#define PCD BIT(4)
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
 * (6 WB, 0 UC). Bit 6, "ignore PAT", stays 0: the guest's PAT decides within WB.
 */
const struct pt_format pt_ept = {
	.present = BITS(2, 0), .table = BITS(2, 0), .leaf = BIT(0),
	.write = BIT(1), .exec = BIT(2),
	.type = BITS(5, 3), .wb = 6 << 3, .uc = 0,
};

/* APM 2 15.25.5 "Nested Table Walk": every nested access is a user access, hence U at each level. */
const struct pt_format pt_npt = {
	.present = P, .table = P | W | U, .leaf = P | U,
	.write = W, .no_exec = NX,
	.type = PCD | PWT, .wb = 0, .uc = PCD | PWT,
};

/* Where a walk ends: an entry that is a leaf or empty. Level 0 is the 4 KiB level. */
struct slot {
	u64 *entry;
	u32 level;
};

static u64 level_size(u32 level)
{
	return PAGE_SIZE << (9 * level);
}

static bool is_present(const struct pt *pt, u64 entry)
{
	return entry & pt->fmt->present;
}

static struct slot walk(const struct pt *pt, u64 va)
{
	struct slot s = { NULL, LEVELS };
	u64 table = pt->root.v;

	do {
		s.level--;
		s.entry = pt->pages->ptr(pt->pages, HPA(table));
		s.entry += va / level_size(s.level) % 512;
		table = *s.entry & PHYS;
	} while (s.level > 0 && is_present(pt, *s.entry) && !(*s.entry & LARGE));
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
	u64 size = level_size(s.level - 1), leaf = *s.entry;

	if (!page.v) {
		return STATUS_NO_MEMORY;
	}
	if (s.level == 1) {
		leaf &= ~LARGE;
	}
	u64 *table = pt->pages->ptr(pt->pages, page);
	for (u64 i = 0; i < 512 && is_present(pt, *s.entry); i++) {
		table[i] = leaf + i * size;
	}
	entry_set(s.entry, page.v | pt->fmt->table);
	return STATUS_OK;
}

static bool is_bad_range(u64 va, u64 len)
{
	return (va | len) % PAGE_SIZE || va > ADDR_MAX || len > ADDR_MAX - va;
}

static bool is_free(const struct pt *pt, u64 va, u64 len)
{
	u64 end = va + len;

	while (va < end) {
		struct slot s = walk(pt, va);
		if (is_present(pt, *s.entry)) {
			return false;
		}
		va = ALIGN_DOWN(va, level_size(s.level)) + level_size(s.level);
	}
	return true;
}

static u64 leaf_encode(const struct pt_format *fmt, u32 prot)
{
	return fmt->leaf | ((prot & PT_W) ? fmt->write : 0) |
	       ((prot & PT_X) ? fmt->exec : fmt->no_exec) | ((prot & PT_UC) ? fmt->uc : fmt->wb);
}

static u32 leaf_decode(const struct pt_format *fmt, u64 leaf)
{
	bool can_exec = fmt->exec ? leaf & fmt->exec : !(leaf & fmt->no_exec);

	return PT_R | ((leaf & fmt->write) ? PT_W : 0) | (can_exec ? PT_X : 0) |
	       ((leaf & fmt->type) == fmt->uc ? PT_UC : 0);
}

/* The level of the largest leaf that may start at @va and @pa and cover no more than @len */
static u32 leaf_level(const struct pt *pt, u64 va, u64 pa, u64 len)
{
	u32 level = 0;

	while (level < 2 && level_size(level + 1) <= MIN(len, pt->max_page) &&
	       (va | pa) % level_size(level + 1) == 0) {
		level++;
	}
	return level;
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
	if (is_bad_range(va, len) || pa.v & ~PHYS || len > PHYS - pa.v + PAGE_SIZE ||
	    !(prot & PT_R)) {
		return STATUS_BAD_VALUE;
	}
	if (!is_free(pt, va, len)) {
		return STATUS_OVERLAP;
	}
	while (len) {
		struct slot s = walk(pt, va);
		if (s.level > leaf_level(pt, va, pa.v, len)) {
			if (split(pt, s) != STATUS_OK) {
				return STATUS_NO_MEMORY;
			}
			continue;
		}
		u64 size = level_size(s.level);
		entry_set(s.entry, pa.v | leaf_encode(pt->fmt, prot) | (s.level ? LARGE : 0));
		va += size;
		pa.v += size;
		len -= size;
	}
	return STATUS_OK;
}

enum status pt_unmap(struct pt *pt, u64 va, u64 len)
{
	if (is_bad_range(va, len)) {
		return STATUS_BAD_VALUE;
	}
	u64 end = va + len;
	while (va < end) {
		struct slot s = walk(pt, va);
		u64 size = level_size(s.level), start = ALIGN_DOWN(va, size);

		if (is_present(pt, *s.entry) && (start < va || start + size > end)) {
			if (split(pt, s) != STATUS_OK) {
				return STATUS_NO_MEMORY;
			}
			continue;
		}
		entry_set(s.entry, 0);
		va = start + size;
	}
	return STATUS_OK;
}

bool pt_lookup(const struct pt *pt, u64 va, struct pt_leaf *out)
{
	if (va >= ADDR_MAX) {
		return false;
	}
	struct slot s = walk(pt, va);
	if (!is_present(pt, *s.entry)) {
		return false;
	}
	u64 size = level_size(s.level), offset = va % size;
	out->pa = HPA((*s.entry & PHYS & ~(size - 1)) + offset);
	out->size = size;
	out->prot = leaf_decode(pt->fmt, *s.entry);
	return true;
}
