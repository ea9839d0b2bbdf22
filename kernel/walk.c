/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the CPU does between an effective address and a guest-physical one: segment checks, then
 * the guest's page tables with their permissions and A/D bits. The three table formats differ by a
 * row of numbers. Knows neither devices nor instructions. Not modelled: LA57 and CET (guests are
 * not offered them), and MAXPHYADDR: address bits up to 51 count, and lead to where no RAM is.
 * Called by the emulator and the post-mortem block. Pure.
 */
#include "kernel/backend.h"
#include "walk.h"
#include "lib/lib.h"
#include "x86/regs.h"

#define PTE_P	 BIT(0)
#define PTE_W	 BIT(1)
#define PTE_U	 BIT(2)
#define PTE_A	 BIT(5)
#define PTE_D	 BIT(6)
#define PTE_PS	 BIT(7)
#define PTE_KEY	 BITS(62, 59)
#define PTE_NX	 BIT(63)
#define PTE_ADDR BITS(51, 12)

#define PKRU_AD BIT(0)
#define PKRU_WD BIT(1)

#define MAX_TRIES 4

/*
 * SDM 3A 4.3 table 4-4, 4.4 tables 4-8 to 4-11, 4.5 tables 4-15 to 4-20. Level 0 is the page table.
 * A PDPTE of PAE has neither rights nor an A bit; its bit 5 is reserved, but QEMU sets it.
 */
struct format {
	u8 levels, levels_with_rights, index_bits, entry_len;
	u64 root_mask;		      /* of CR3: not PCID, PWT, PCD; with PAE, bits from 5 up */
	u8 large;		      /* levels whose entries map pages if they have PTE_PS */
	u64 reserved[MAX_LEVELS];     /* bits that must be 0 */
	u64 reserved_too[MAX_LEVELS]; /* and in an entry that maps a large page */
};
static const struct format format_32 = { 2, 2, 10, 4, BITS(31, 12), 0, { 0 }, { 0 } };
static const struct format format_pse = { 2, 2, 10, 4, BITS(31, 12), BIT(1), { 0 }, { 0, BIT(21) } };
static const struct format format_pae = {
	3, 2, 9, 8, BITS(31, 5), BIT(1),
	{ BITS(62, 52), BITS(62, 52), BITS(63, 52) | BITS(8, 6) | BITS(2, 1) }, { 0, BITS(20, 13) }
};
static const struct format format_4_level = {
	4, 4, 9, 8, PTE_ADDR, BIT(1) | BIT(2), { 0, 0, 0, PTE_PS }, { 0, BITS(20, 13), BITS(29, 13) }
};

/* One translation: what is asked, the entries that it used by level, and what they add up to */
struct path {
	const struct paging *p;
	const struct format *f;
	u64 lin;
	enum access acc;
	struct trail *trail; /* .first: of the leaf */
	u64 leaf;	     /* its entry */
	u64 allow; /* PTE_W, PTE_U, PTE_A set in every entry */
	u64 deny;  /* PTE_NX set in any */
};

static const struct format *format_of(const struct paging *p)
{
	if (p->efer & EFER_LMA) {
		return &format_4_level;
	}
	return p->cr4 & CR4_PAE ? &format_pae : p->cr4 & CR4_PSE ? &format_pse : &format_32;
}

u8 paging_code_size(struct vcpu *v)
{
	return (u8)backend_get(v, VREG_CODE_SIZE);
}

void paging_read(struct vcpu *v, struct paging *p)
{
	struct segment seg;
	p->cr0 = backend_get(v, VREG_CR0);
	p->cr3 = backend_get(v, VREG_CR3);
	p->cr4 = backend_get(v, VREG_CR4);
	p->efer = backend_get(v, VREG_EFER);
	p->rflags = backend_get(v, VREG_RFLAGS);
	p->pkru = 0;
	v->ops->get_seg(v, SEG_SS, &seg);
	p->cpl = (u8)field_get(SEG_DPL, seg.attr);
	p->code_size = paging_code_size(v);
}

static bool refuse(struct event *fault, u8 vector, u64 error)
{
	*fault = (struct event){
		.type = EVENT_EXCEPTION, .vector = vector, .has_error = true, .error = (u32)error
	};
	return false;
}

/* SDM 3A 4.7 "Page-Fault Exceptions"; @cause is PF_P, PF_RSV, PF_PK or 0 */
static bool page_fault(const struct path *t, u64 cause, struct event *fault)
{
	bool has_nx = t->p->efer & EFER_NXE && t->f->entry_len == 8;
	u64 error = cause | (t->p->cpl == 3 ? PF_U : 0) | (t->acc == ACCESS_WRITE ? PF_W : 0);
	if (t->acc == ACCESS_FETCH && (has_nx || t->p->cr4 & CR4_SMEP)) {
		error |= PF_I;
	}
	return refuse(fault, VEC_PF, error);
}

/* Guest-physical, of @t->lin in the page of this size */
static u64 page_address(const struct path *t)
{
	u32 level = t->trail->first;
	u64 base = t->leaf & PTE_ADDR, in_page = BIT(PAGE_SHIFT + level * t->f->index_bits) - 1;
	if (t->f == &format_pse && level == 1) {
		base |= (base & BITS(20, 13)) << 19; /* PSE-36 */
	}
	return (base & ~in_page) | (t->lin & in_page);
}

static u64 load_entry(const void *slot, u32 len)
{
	return len == 8 ? __atomic_load_n((const u64 *)slot, __ATOMIC_RELAXED) :
			  __atomic_load_n((const u32 *)slot, __ATOMIC_RELAXED);
}

/* From the root to the leaf, reading each entry once and writing none */
static bool descend(const struct gmem *m, struct path *t, struct event *fault)
{
	const struct format *f = t->f;
	u64 table = t->p->cr3 & f->root_mask, no_nx = t->p->efer & EFER_NXE ? 0 : PTE_NX;
	u32 level = f->levels, shift = PAGE_SHIFT + f->levels * f->index_bits;
	bool is_leaf = false;
	t->allow = PTE_W | PTE_U | PTE_A;
	t->deny = 0;
	while (!is_leaf) {
		level--;
		shift -= f->index_bits;
		u64 index = t->lin >> shift & ((1u << f->index_bits) - 1);
		void *slot = gmem_ptr(m, GPA(table + index * f->entry_len), f->entry_len);
		if (!slot) {
			*fault = (struct event){ .type = EVENT_NONE };
			return false;
		}
		u64 entry = load_entry(slot, f->entry_len), reserved = f->reserved[level] | no_nx;
		t->trail->slot[level] = slot;
		t->trail->entry[level] = t->leaf = entry;
		if (!(entry & PTE_P)) {
			return page_fault(t, 0, fault);
		}
		is_leaf = level == 0 || (entry & PTE_PS && f->large >> level & 1);
		if (entry & (reserved | (is_leaf ? f->reserved_too[level] : 0))) {
			return page_fault(t, PF_P | PF_RSV, fault);
		}
		if (level < f->levels_with_rights) {
			t->allow &= entry;
			t->deny |= entry & PTE_NX;
		}
		table = entry & PTE_ADDR;
	}
	t->trail->first = level;
	t->trail->end = f->levels;
	return true;
}

/* SDM 3A 4.6.1 "Determination of Access Rights". Without EFER.NXE, NX was a reserved bit. */
static bool is_allowed(const struct path *t)
{
	const struct paging *p = t->p;
	bool is_user = p->cpl == 3, is_user_page = t->allow & PTE_U;
	if (is_user && !is_user_page) {
		return false;
	}
	if (t->acc == ACCESS_FETCH) {
		return !t->deny && (is_user || !is_user_page || !(p->cr4 & CR4_SMEP));
	}
	if (!is_user && is_user_page && p->cr4 & CR4_SMAP && !(p->rflags & RFLAGS_AC)) {
		return false;
	}
	return t->acc == ACCESS_READ || t->allow & PTE_W || (!is_user && !(p->cr0 & CR0_WP));
}

/* SDM 3A 4.6.2 "Protection Keys": of user pages, for data */
static bool key_allows(const struct path *t)
{
	const struct paging *p = t->p;
	if (!(p->cr4 & CR4_PKE) || t->f != &format_4_level || !(t->allow & PTE_U) ||
	    t->acc == ACCESS_FETCH) {
		return true;
	}
	u32 rights = p->pkru >> 2 * field_get(PTE_KEY, t->leaf);
	bool checks_write = t->acc == ACCESS_WRITE && (p->cpl == 3 || p->cr0 & CR0_WP);
	return !(rights & PKRU_AD) && !(checks_write && rights & PKRU_WD);
}

static bool replace(void *slot, u32 len, u64 old, u64 new)
{
	return len == 8 ? __sync_bool_compare_and_swap((u64 *)slot, old, new) :
			  __sync_bool_compare_and_swap((u32 *)slot, (u32)old, (u32)new);
}

/* SDM 3A 4.8 "Accessed and Dirty Flags". Return: false if an entry has changed meanwhile */
static bool mark_used(const struct path *t)
{
	u64 marks = t->acc == ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
	if (t->allow & PTE_A && !(marks & ~t->leaf)) {
		return true; /* as most often */
	}
	for (u32 level = t->trail->first; level < t->f->levels_with_rights; level++, marks = PTE_A) {
		u64 *entry = &t->trail->entry[level], new = *entry | marks;
		if (new != *entry && !replace(t->trail->slot[level], t->f->entry_len, *entry, new)) {
			return false;
		}
		*entry = new;
	}
	return true;
}

static bool walk(const struct gmem *m, struct path *t, gpa *out, struct event *fault)
{
	for (u32 tries = 0; tries < MAX_TRIES; tries++) {
		if (!descend(m, t, fault)) {
			return false;
		}
		if (!is_allowed(t)) {
			return page_fault(t, PF_P, fault);
		}
		if (!key_allows(t)) {
			return page_fault(t, PF_P | PF_PK, fault);
		}
		if (mark_used(t)) {
			*out = GPA(page_address(t));
			return true;
		}
	}
	/* Someone rewrites these entries all the time: a spurious fault lets the guest try again */
	return page_fault(t, 0, fault);
}

/* What @t asks is set: .p, .lin, .acc, .trail */
static bool translate(const struct gmem *m, struct path *t, gpa *out, struct event *fault)
{
	t->f = format_of(t->p);
	t->lin = t->p->efer & EFER_LMA ? t->lin : (u32)t->lin;
	if (!(t->p->cr0 & CR0_PG)) {
		t->trail->first = t->trail->end = 0;
		*out = GPA(t->lin);
		return true;
	}
	return walk(m, t, out, fault);
}

bool walk_linear(const struct gmem *m, const struct paging *p, u64 lin, enum access acc, gpa *out,
		 struct event *fault)
{
	struct trail trail; /* not cleared, which would cost more than a level */
	struct path t = { .p = p, .lin = lin, .acc = acc, .trail = &trail };
	return translate(m, &t, out, fault);
}

static bool is_canonical(u64 lin)
{
	return sign_extend(lin, 6) == lin;
}

/* SDM 3A 5.3 "Limit Checking" */
static bool is_in_limit(const struct segment *seg, u64 first, u64 last)
{
	bool is_expand_down = (seg->attr & (SEG_S | BIT(3) | BIT(2))) == (SEG_S | BIT(2));
	u32 top = seg->attr & SEG_DB ? UINT32_MAX : UINT16_MAX;
	return is_expand_down ? first > seg->limit && last <= top : last <= seg->limit;
}

/* SDM 3A 5.5 "Type Checking"; CS was checked for fetches when it was loaded */
static bool type_allows(const struct segment *seg, enum access acc)
{
	bool is_code = seg->attr & BIT(3), is_rw = seg->attr & BIT(1);
	return acc == ACCESS_FETCH || (acc == ACCESS_READ ? !is_code || is_rw : !is_code && is_rw);
}

static bool linear_64(struct vcpu *v, enum seg s, u64 off, u32 len, u64 *out)
{
	struct segment seg;
	*out = off;
	if (s == SEG_FS || s == SEG_GS) {
		v->ops->get_seg(v, s, &seg);
		*out += seg.base;
	}
	return is_canonical(*out) && is_canonical(*out + len - 1);
}

bool seg_linear(struct vcpu *v, const struct paging *p, enum seg s, u64 off, u32 len,
		enum access acc, u64 *out, struct event *fault)
{
	struct segment seg;
	u64 last = off + len - 1;
	bool ok;
	if (p->code_size == 8) {
		ok = linear_64(v, s, off, len, out);
	} else {
		bool is_protected = p->cr0 & CR0_PE && !(p->rflags & RFLAGS_VM);
		v->ops->get_seg(v, s, &seg);
		*out = (u32)(seg.base + off);
		ok = !is_protected ? last <= seg.limit :
				     !(seg.attr & SEG_UNUSABLE) && type_allows(&seg, acc) &&
					     is_in_limit(&seg, off, last);
	}
	return ok || refuse(fault, s == SEG_SS ? VEC_SS : VEC_GP, 0);
}

u32 fetch_more(struct vcpu *v, const struct gmem *m, const struct paging *p, struct fetch *f,
	       struct event *fault)
{
	gpa at;
	u64 off = backend_get(v, VREG_RIP) + f->len;
	u32 n = (u32)sizeof(f->bytes) - f->len;
	if (n == 0 || !seg_linear(v, p, SEG_CS, off, 1, ACCESS_FETCH, &f->lin, fault)) {
		return 0;
	}
	struct path t = { .p = p, .lin = f->lin, .acc = ACCESS_FETCH, .trail = &f->trail };
	if (!translate(m, &t, &at, fault)) {
		return 0;
	}
	n = (u32)MIN(n, PAGE_SIZE - f->lin % PAGE_SIZE);
	while (p->code_size != 8 &&
	       !seg_linear(v, p, SEG_CS, off, n, ACCESS_FETCH, &f->lin, fault)) {
		n--; /* the segment ends before the page */
	}
	f->ram = gmem_ptr(m, at, n);
	if (!f->ram) {
		*fault = (struct event){ .type = EVENT_NONE };
		return 0;
	}
	memcpy(f->bytes + f->len, f->ram, n);
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
