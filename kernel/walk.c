/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the CPU does between an effective address and a guest-physical one: segment checks, then
 * the guest's page tables with their permissions and A/D bits. The three table formats differ by a
 * row of numbers. Knows neither devices nor instructions. Not modelled: protection keys, LA57 and
 * CET (guests are not offered them), and MAXPHYADDR: address bits up to 51 count, and lead to
 * where no RAM is. Called by the emulator and the post-mortem block. Pure.
 */
#include "walk.h"
#include "lib/lib.h"
#include "x86/regs.h"

#define PTE_P	 BIT(0)
#define PTE_W	 BIT(1)
#define PTE_U	 BIT(2)
#define PTE_A	 BIT(5)
#define PTE_D	 BIT(6)
#define PTE_PS	 BIT(7)
#define PTE_NX	 BIT(63)
#define PTE_ADDR BITS(51, 12)

#define MAX_LEVELS 4
#define MAX_TRIES  4

/* SDM 3A 4.3 to 4.5; level 0 is the page table */
struct format {
	u8 levels, index_bits, entry_len;
	u64 root_mask; /* of CR3: PCID, PWT, PCD and, with PAE, nothing below bit 5 */
};
static const struct format format_32 = { 2, 10, 4, BITS(31, 12) };
static const struct format format_pae = { 3, 9, 8, BITS(31, 5) };
static const struct format format_4_level = { 4, 9, 8, PTE_ADDR };

/* The entries that one translation used, by level, and what they add up to */
struct path {
	void *slot[MAX_LEVELS];
	u64 entry[MAX_LEVELS];
	u32 leaf, top;
	u64 page;	/* guest-physical address of @lin */
	u64 allow;	/* PTE_W, PTE_U set in every entry */
	u64 deny;	/* PTE_NX set in any */
};

enum descent { DESCENT_OK, DESCENT_ABSENT, DESCENT_RESERVED, DESCENT_NO_RAM };

static const struct format *format_of(const struct paging *p)
{
	if (p->efer & EFER_LMA) {
		return &format_4_level;
	}
	return p->cr4 & CR4_PAE ? &format_pae : &format_32;
}

void paging_read(struct vcpu *v, struct paging *p)
{
	struct segment ss;
	v->ops->get_seg(v, SEG_SS, &ss);
	*p = (struct paging){ .cr0 = v->ops->get(v, VREG_CR0),
			      .cr3 = v->ops->get(v, VREG_CR3),
			      .cr4 = v->ops->get(v, VREG_CR4),
			      .efer = v->ops->get(v, VREG_EFER),
			      .rflags = v->ops->get(v, VREG_RFLAGS),
			      .cpl = (u8)field_get(SEG_DPL, ss.attr) };
}

static u32 level_shift(const struct format *f, u32 level)
{
	return PAGE_SHIFT + level * f->index_bits;
}

static bool is_leaf(const struct format *f, const struct paging *p, u32 level, u64 entry)
{
	if (level == 0) {
		return true;
	}
	bool has_large = f == &format_32 ? p->cr4 & CR4_PSE : level + 1u < f->levels;
	return has_large && entry & PTE_PS;
}

/* SDM 3A 4.3 table 4-4, 4.4 tables 4-8 to 4-11, 4.5 tables 4-15 to 4-20: bits that must be 0 */
static u64 reserved_bits(const struct format *f, const struct paging *p, u32 level, bool leaf)
{
	if (f == &format_32) {
		return level == 1 && leaf ? BIT(21) : 0;
	}
	if (f == &format_pae && level == 2) {
		return BITS(63, 52) | BITS(8, 6) | BITS(2, 1); /* QEMU sets A, bit 5 */
	}
	u64 bits = p->efer & EFER_NXE ? 0 : PTE_NX;
	if (f == &format_pae) {
		bits |= BITS(62, 52);
	}
	if (level == 3) {
		bits |= PTE_PS;
	}
	if (leaf && level > 0) {
		bits |= BITS(level_shift(f, level) - 1, 13);
	}
	return bits;
}

static u64 page_base(const struct format *f, u32 level, u64 entry)
{
	if (f == &format_32 && level == 1) {
		return (entry & BITS(31, 22)) | (entry & BITS(20, 13)) << 19; /* PSE-36 */
	}
	return entry & PTE_ADDR & (~0ull << level_shift(f, level));
}

static u64 load_entry(const void *slot, u32 len)
{
	return len == 8 ? __atomic_load_n((const u64 *)slot, __ATOMIC_RELAXED) :
			  __atomic_load_n((const u32 *)slot, __ATOMIC_RELAXED);
}

/* From the root to the leaf, reading each entry once and writing none */
static enum descent descend(const struct gmem *m, const struct paging *p, u64 lin,
			    struct path *path)
{
	const struct format *f = format_of(p);
	u64 table = p->cr3 & f->root_mask;
	path->allow = PTE_W | PTE_U;
	path->deny = 0;
	path->top = f->levels - 1u;
	for (u32 level = path->top;; level--) {
		u64 index = lin >> level_shift(f, level) & ((1u << f->index_bits) - 1);
		void *slot = gmem_ptr(m, GPA(table + index * f->entry_len), f->entry_len);
		if (!slot) {
			return DESCENT_NO_RAM;
		}
		u64 entry = load_entry(slot, f->entry_len);
		bool leaf = is_leaf(f, p, level, entry);
		if (!(entry & PTE_P)) {
			return DESCENT_ABSENT;
		}
		if (entry & reserved_bits(f, p, level, leaf)) {
			return DESCENT_RESERVED;
		}
		path->slot[level] = slot;
		path->entry[level] = entry;
		if (f != &format_pae || level < 2) { /* a PDPTE of PAE has no permissions */
			path->allow &= entry;
			path->deny |= entry & PTE_NX;
		}
		if (leaf) {
			path->leaf = level;
			path->page = page_base(f, level, entry) |
				     (lin & ~(~0ull << level_shift(f, level)));
			return DESCENT_OK;
		}
		table = entry & PTE_ADDR;
	}
}

/* SDM 3A 4.6.1 "Determination of Access Rights". Without EFER.NXE, NX was a reserved bit. */
static bool is_allowed(const struct paging *p, const struct path *path, enum access acc)
{
	bool is_user_page = path->allow & PTE_U;
	if (p->cpl == 3 && !is_user_page) {
		return false;
	}
	if (acc == ACCESS_FETCH) {
		return !path->deny && (p->cpl == 3 || !is_user_page || !(p->cr4 & CR4_SMEP));
	}
	if (p->cpl < 3 && is_user_page && p->cr4 & CR4_SMAP && !(p->rflags & RFLAGS_AC)) {
		return false;
	}
	return acc == ACCESS_READ || path->allow & PTE_W || (p->cpl < 3 && !(p->cr0 & CR0_WP));
}

static bool replace(void *slot, u32 len, u64 old, u64 new)
{
	u32 old32 = (u32)old;
	return len == 8 ? __atomic_compare_exchange_n((u64 *)slot, &old, new, false,
						      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED) :
			  __atomic_compare_exchange_n((u32 *)slot, &old32, (u32)new, false,
						      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* SDM 3A 4.8 "Accessed and Dirty Flags". Return: false if an entry has changed meanwhile */
static bool mark_used(const struct format *f, const struct path *path, enum access acc)
{
	u32 top = f == &format_pae ? 1 : path->top; /* a PDPTE of PAE has no A bit */
	for (u32 level = path->leaf; level <= top; level++) {
		u64 old = path->entry[level];
		u64 new = old | PTE_A;
		if (level == path->leaf && acc == ACCESS_WRITE) {
			new |= PTE_D;
		}
		if (new != old && !replace(path->slot[level], f->entry_len, old, new)) {
			return false;
		}
	}
	return true;
}

static void set_fault(struct event *fault, u8 vector, u64 error)
{
	*fault = (struct event){
		.type = EVENT_EXCEPTION, .vector = vector, .has_error = true, .error = (u32)error
	};
}

/* SDM 3A 4.7 "Page-Fault Exceptions"; @cause is PF_P, PF_RSV or 0 */
static bool page_fault(const struct paging *p, enum access acc, u64 cause, struct event *fault)
{
	bool has_nx = p->efer & EFER_NXE && format_of(p) != &format_32;
	u64 error = cause | (p->cpl == 3 ? PF_U : 0) | (acc == ACCESS_WRITE ? PF_W : 0);
	if (acc == ACCESS_FETCH && (has_nx || p->cr4 & CR4_SMEP)) {
		error |= PF_I;
	}
	set_fault(fault, VEC_PF, error);
	return false;
}

bool walk_linear(const struct gmem *m, const struct paging *p, u64 lin, enum access acc, gpa *out,
		 struct event *fault)
{
	lin = p->efer & EFER_LMA ? lin : (u32)lin;
	if (!(p->cr0 & CR0_PG)) {
		*out = GPA(lin);
		return true;
	}
	for (u32 tries = 0; tries < MAX_TRIES; tries++) {
		struct path path;
		switch (descend(m, p, lin, &path)) {
		case DESCENT_OK: break;
		case DESCENT_ABSENT: return page_fault(p, acc, 0, fault);
		case DESCENT_RESERVED: return page_fault(p, acc, PF_P | PF_RSV, fault);
		case DESCENT_NO_RAM: *fault = (struct event){ .type = EVENT_NONE }; return false;
		}
		if (!is_allowed(p, &path, acc)) {
			return page_fault(p, acc, PF_P, fault);
		}
		if (mark_used(format_of(p), &path, acc)) {
			*out = GPA(path.page);
			return true;
		}
	}
	/* Someone rewrites these entries all the time: a spurious fault lets the guest try again */
	return page_fault(p, acc, 0, fault);
}

static bool is_canonical(u64 lin)
{
	return (u64)((s64)(lin << 16) >> 16) == lin;
}

/* SDM 3A 5.3 "Limit Checking", 5.5 "Type Checking" */
static bool is_in_limit(const struct segment *seg, u64 first, u64 last)
{
	bool is_expand_down = (seg->attr & (SEG_S | BIT(3) | BIT(2))) == (SEG_S | BIT(2));
	if (!is_expand_down) {
		return last <= seg->limit;
	}
	return first > seg->limit && last <= (seg->attr & SEG_DB ? UINT32_MAX : UINT16_MAX);
}

static bool type_allows(const struct segment *seg, enum access acc)
{
	bool is_code = seg->attr & BIT(3), is_rw = seg->attr & BIT(1);
	switch (acc) {
	case ACCESS_READ: return !is_code || is_rw;
	case ACCESS_WRITE: return !is_code && is_rw;
	default: return true; /* CS was checked when it was loaded */
	}
}

static bool seg_linear_64(const struct segment *seg, enum seg s, u64 off, u32 len, u64 *out)
{
	*out = off + (s == SEG_FS || s == SEG_GS ? seg->base : 0);
	return is_canonical(*out) && is_canonical(*out + len - 1);
}

bool seg_linear(struct vcpu *v, const struct paging *p, enum seg s, u64 off, u32 len,
		enum access acc, u64 *out, struct event *fault)
{
	struct segment seg, cs;
	bool ok;
	v->ops->get_seg(v, s, &seg);
	v->ops->get_seg(v, SEG_CS, &cs);
	if (p->efer & EFER_LMA && cs.attr & SEG_L) {
		ok = seg_linear_64(&seg, s, off, len, out);
	} else {
		bool is_protected = p->cr0 & CR0_PE && !(p->rflags & RFLAGS_VM);
		*out = (u32)(seg.base + off);
		ok = is_protected ? !(seg.attr & SEG_UNUSABLE) && type_allows(&seg, acc) &&
					    is_in_limit(&seg, off, off + len - 1) :
				    off + len - 1 <= seg.limit;
	}
	if (!ok) {
		set_fault(fault, s == SEG_SS ? VEC_SS : VEC_GP, 0);
	}
	return ok;
}

u32 fetch_more(struct vcpu *v, const struct gmem *m, const struct paging *p, struct fetch *f,
	       struct event *fault)
{
	gpa at;
	if (f->len == sizeof(f->bytes) ||
	    !seg_linear(v, p, SEG_CS, v->ops->get(v, VREG_RIP) + f->len, 1, ACCESS_FETCH, &f->lin,
			fault) ||
	    !walk_linear(m, p, f->lin, ACCESS_FETCH, &at, fault)) {
		return 0;
	}
	u32 n = (u32)MIN(sizeof(f->bytes) - f->len, PAGE_SIZE - f->lin % PAGE_SIZE);
	u64 last;
	while (!seg_linear(v, p, SEG_CS, v->ops->get(v, VREG_RIP) + f->len, n, ACCESS_FETCH, &last,
			   fault)) {
		n--; /* the segment ends before the page */
	}
	if (!gmem_read(m, at, f->bytes + f->len, n)) {
		*fault = (struct event){ .type = EVENT_NONE };
		return 0;
	}
	f->len += n;
	return n;
}

u32 fetch_insn(struct vcpu *v, const struct gmem *m, const struct paging *p, u8 buf[15],
	       struct event *fault)
{
	struct fetch f = { .len = 0 };
	while (fetch_more(v, m, p, &f, fault)) {
	}
	memcpy(buf, f.bytes, sizeof(f.bytes));
	return f.len;
}
