// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest translation against the manual's words: every combination of rights, every reserved bit, every
 * page size of the three formats (SDM 3A chapter 4); segments (SDM 3A chapter 5); fetching over edges.
 */
#include "kernel/walk.h"
#include "fake.h"
#include "x86/regs.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define RAM_SIZE 0x10000
static u8 ram[RAM_SIZE] __attribute__((aligned(4096)));
static struct gmem mem;

#define P  1ull
#define W  2ull
#define U  4ull
#define A  0x20ull
#define D  0x40ull
#define PS 0x80ull
#define NX BIT(63)

enum { F32, FPAE, F4L };
static const struct {
	u32 levels, bits, len;
} formats[] = { { 2, 10, 4 }, { 3, 9, 8 }, { 4, 9, 8 } };

static struct paging paging_of(u32 f)
{
	return (struct paging){ .cr0 = CR0_PE | CR0_PG | CR0_WP,
				.cr3 = 0x1000,
				.cr4 = f == F32 ? CR4_PSE : CR4_PAE,
				.efer = EFER_NXE | (f == F4L ? EFER_LME | EFER_LMA : 0) };
}

/* Table of level n is at (levels - n) * 0x1000 */
static void *slot_of(u32 f, u32 level, u64 lin)
{
	u64 index = lin >> (12 + level * formats[f].bits) & (BIT(formats[f].bits) - 1);
	return ram + (formats[f].levels - level) * 0x1000 + index * formats[f].len;
}

static u64 get_entry(u32 f, u32 level, u64 lin)
{
	u64 e = 0;
	memcpy(&e, slot_of(f, level, lin), formats[f].len);
	return e;
}

static void set_entry(u32 f, u32 level, u64 lin, u64 e)
{
	memcpy(slot_of(f, level, lin), &e, formats[f].len);
}

/* @lin to @page by a leaf at @leaf, all rights everywhere */
static void map(u32 f, u32 leaf, u64 lin, u64 page)
{
	memset(ram, 0, sizeof(ram));
	mem = (struct gmem){ .ext = { { GPA(0), HPA((uintptr_t)ram), RAM_SIZE } }, .nr = 1 };
	for (u32 level = formats[f].levels - 1; level > leaf; level--) {
		u64 rights = f == FPAE && level == 2 ? P : P | W | U;
		set_entry(f, level, lin, (formats[f].levels - level + 1) * 0x1000 | rights);
	}
	set_entry(f, leaf, lin, page | P | W | U | (leaf ? PS : 0));
}

static bool walk(const struct paging *p, u64 lin, enum access acc, u64 *out, struct event *fault)
{
	gpa g = GPA(0);
	bool ok = walk_linear(&mem, p, lin, acc, &g, fault);
	*out = g.v;
	return ok;
}

static void test_paging_off(void **state)
{
	(void)state;
	struct paging p = { .cr0 = CR0_PE, .cr3 = 0x1000, .cr4 = CR4_PAE };
	struct event fault;
	u64 out;
	assert_true(walk(&p, 0x1234567890, ACCESS_WRITE, &out, &fault));
	assert_int_equal(out, 0x34567890);
}

struct size {
	u32 f, leaf;
	u64 lin, page, out;
};

static const struct size sizes[] = {
	{ F32, 0, 0xfffff00080403abc, 0x87654000, 0x87654abc }, /* above bit 31: not there */
	{ F32, 1, 0x80403abc, 0x87400000, 0x87403abc },
	{ F32, 1, 0x80403abc, 0x874fe000, 0x7f87403abc }, /* PSE-36: 20:13 are 39:32 */
	{ FPAE, 0, 0xc0403abc, 0xf87654321000, 0xf87654321abc },
	{ FPAE, 1, 0xc0403abc, 0xf87654200000, 0xf87654203abc },
	{ FPAE, 1, 0xc0403abc, 0xf87654201000, 0xf87654203abc }, /* bit 12 is PAT */
	{ F4L, 0, 0xffff8880c0403abc, 0xf87654321000, 0xf87654321abc },
	{ F4L, 1, 0xffff8880c0403abc, 0xf87654201000, 0xf87654203abc },
	{ F4L, 2, 0xffff8880c0403abc, 0xf876c0000000, 0xf876c0403abc },
};

static void test_sizes_and_marks(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		const struct size *s = &sizes[i];
		struct paging p = paging_of(s->f);
		struct event fault;
		u64 out;
		map(s->f, s->leaf, s->lin, s->page);
		set_entry(s->f, s->leaf, s->lin ^ BIT(12 + s->leaf * formats[s->f].bits), ~0ull); /* a neighbour */
		p.cr3 |= s->f == F4L ? 0xabc : 0x18; /* PCID, or PWT and PCD: no address */
		assert_true(walk(&p, s->lin, ACCESS_READ, &out, &fault));
		assert_int_equal(out, s->out);
		assert_int_equal(get_entry(s->f, s->leaf, s->lin) & (A | D), A);
		assert_true(walk(&p, s->lin, ACCESS_WRITE, &out, &fault));
		for (u32 level = s->leaf; level < formats[s->f].levels; level++) {
			u64 want = level == s->leaf ? A | D : A;
			want = s->f == FPAE && level == 2 ? 0 : want;
			assert_int_equal(get_entry(s->f, level, s->lin) & (A | D), want);
		}
	}
}

/* Without CR4.PSE, bit 7 of a 32-bit PDE means nothing */
static void test_no_pse(void **state)
{
	(void)state;
	struct paging p = paging_of(F32);
	struct event fault;
	u64 out;
	p.cr4 = 0;
	map(F32, 0, 0x80403abc, 0x5000);
	set_entry(F32, 1, 0x80403abc, get_entry(F32, 1, 0x80403abc) | PS | 0x100);
	assert_true(walk(&p, 0x80403abc, ACCESS_READ, &out, &fault));
	assert_int_equal(out, 0x5abc);
}

static void expect_pf(const struct event *fault, u64 error)
{
	assert_int_equal(fault->type, EVENT_EXCEPTION);
	assert_int_equal(fault->vector, VEC_PF);
	assert_true(fault->has_error);
	assert_int_equal(fault->error, error);
}

/* SDM 3A 4.6.1, paragraph by paragraph */
static bool manual_allows(const struct paging *p, bool user, bool write, bool nx, enum access acc)
{
	bool smap = p->cr4 & CR4_SMAP, ac = p->rflags & RFLAGS_AC, wp = p->cr0 & CR0_WP;
	if (p->cpl == 3) {
		if (!user) {
			return false;
		}
		return acc == ACCESS_READ ? true : acc == ACCESS_WRITE ? write : !nx;
	}
	if (acc == ACCESS_READ) {
		return user ? !smap || ac : true;
	}
	if (acc == ACCESS_WRITE) {
		bool rights = wp ? write : true;
		return user ? (!smap || ac) && rights : rights;
	}
	if (user && p->cr4 & CR4_SMEP) {
		return false;
	}
	return !nx;
}

static void check_rights(const struct paging *p, u64 upper, u64 leaf)
{
	const u64 lin = 0x7fffc0403abc;
	for (enum access acc = ACCESS_READ; acc <= ACCESS_FETCH; acc++) {
		struct event fault = { 0 };
		u64 out;
		set_entry(F4L, 3, lin, 0x2000 | P | upper);
		set_entry(F4L, 0, lin, 0x5000 | P | leaf);
		bool want = manual_allows(p, upper & leaf & U, upper & leaf & W, (upper | leaf) & NX, acc);
		assert_int_equal(walk(p, lin, acc, &out, &fault), want);
		if (want) {
			continue;
		}
		expect_pf(&fault, 1 | (acc == ACCESS_WRITE ? 2 : 0) | (p->cpl == 3 ? 4 : 0) |
					  (acc == ACCESS_FETCH ? 16 : 0));
		assert_false(get_entry(F4L, 0, lin) & (A | D));
	}
}

static void test_all_rights(void **state)
{
	(void)state;
	const u64 bits[] = { 0, W, U, W | U, NX, NX | W, NX | U, NX | W | U };
	map(F4L, 0, 0x7fffc0403abc, 0x5000);
	for (u32 i = 0; i < 8 * 8 * 32; i++) {
		struct paging p = paging_of(F4L);
		p.cpl = i & 64 ? 3 : 0;
		p.cr0 ^= i & 128 ? CR0_WP : 0;
		p.cr4 |= (i & 256 ? CR4_SMEP : 0) | (i & 512 ? CR4_SMAP : 0);
		p.rflags = i & 1024 ? RFLAGS_AC : 0;
		check_rights(&p, bits[i % 8], bits[i / 8 % 8]);
	}
}

/* The I bit of the error code exists only with NX or SMEP (SDM 3A 4.7) */
/* SDM 3A 4.6.2: a key's AD forbids any data access to user pages, WD writes; none of it for fetches */
static void test_protection_keys(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3 * 64; i++) {
		enum access acc = i / 64;
		bool is_user = i & 1, is_user_page = i & 2, has_wp = i & 4, has_pke = i & 8, ad = i & 16, wd = i & 32;
		struct paging p = paging_of(F4L);
		struct event fault = { .type = EVENT_NONE };
		u64 out, key = 5, lin = 0x403abc;
		map(F4L, 0, lin, 0x5000);
		set_entry(F4L, 0, lin, 0x5000 | P | W | (is_user_page ? U : 0) | key << 59);
		p.cr0 = CR0_PE | CR0_PG | (has_wp ? CR0_WP : 0);
		p.cr4 |= has_pke ? CR4_PKE : 0;
		p.pkru = ~(3u << 2 * key) | ad << 2 * key | wd << (2 * key + 1);
		p.cpl = is_user ? 3 : 0;
		bool is_data = acc != ACCESS_FETCH, checks_w = acc == ACCESS_WRITE && (is_user || has_wp);
		bool by_rights = !is_user || is_user_page;
		bool by_key = !has_pke || !is_user_page || !is_data || (!ad && !(wd && checks_w));
		assert_int_equal(walk(&p, lin, acc, &out, &fault), by_rights && by_key);
		if (by_rights && !by_key) {
			assert_int_equal(fault.error, PF_P | PF_PK | (is_user ? PF_U : 0) |
							      (acc == ACCESS_WRITE ? PF_W : 0));
			assert_int_equal(get_entry(F4L, 0, lin) & (A | D), 0);
		}
	}
}

static void test_fetch_error_code(void **state)
{
	(void)state;
	struct event fault;
	u64 out;
	struct paging p = paging_of(F32);
	map(F32, 0, 0x1000, 0x5000);
	assert_false(walk(&p, 0x400000, ACCESS_FETCH, &out, &fault));
	expect_pf(&fault, 0);
	p.cr4 |= CR4_SMEP;
	assert_false(walk(&p, 0x400000, ACCESS_FETCH, &out, &fault));
	expect_pf(&fault, PF_I);
	p = paging_of(F4L);
	p.efer &= ~EFER_NXE;
	map(F4L, 0, 0x1000, 0x5000);
	assert_false(walk(&p, 0x400000, ACCESS_FETCH, &out, &fault));
	expect_pf(&fault, 0);
}

struct reserved {
	u32 f, leaf, level;
	u64 bits;
};

/* Bits up to 51 are address: MAXPHYADDR is 52 here */
static const struct reserved reserved[] = {
	{ F32, 0, 0, 0 }, { F32, 0, 1, 0 }, { F32, 1, 1, BIT(21) },
	{ FPAE, 0, 0, 0x7ff0000000000000 }, { FPAE, 0, 1, 0x7ff0000000000000 },
	{ FPAE, 0, 2, 0xfff00000000001c6 }, { FPAE, 1, 1, 0x7ff00000001fe000 },
	{ F4L, 0, 0, 0 }, { F4L, 0, 1, 0 }, { F4L, 0, 2, 0 }, { F4L, 0, 3, PS },
	{ F4L, 1, 1, 0x00000000001fe000 }, { F4L, 2, 2, 0x000000003fffe000 },
};

static void check_reserved(const struct reserved *r, u32 bit, bool nxe)
{
	struct paging p = paging_of(r->f);
	struct event fault = { 0 };
	const u64 lin = 0xc0403abc;
	u64 out, want = r->bits;
	if (!nxe) {
		p.efer &= ~EFER_NXE;
		want |= r->f == F32 ? 0 : NX;
	}
	bool is_address = bit >= 12 && bit < 52 && r->level != r->leaf;
	bool is_ps = bit == 7 && r->leaf == 0 && r->level && !(want & PS);
	if (is_address || is_ps) {
		return; /* leads elsewhere, rightly */
	}
	map(r->f, r->leaf, lin, 0x40000000);
	set_entry(r->f, r->level, lin, get_entry(r->f, r->level, lin) | BIT(bit));
	bool ok = walk(&p, lin, ACCESS_READ, &out, &fault);
	assert_int_equal(ok, !(want >> bit & 1));
	if (!ok) {
		expect_pf(&fault, PF_P | PF_RSV);
	}
}

static void test_reserved(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(reserved); i++) {
		for (u32 bit = 0; bit < 8 * formats[reserved[i].f].len; bit++) {
			check_reserved(&reserved[i], bit, true);
			check_reserved(&reserved[i], bit, false);
		}
	}
}

static void test_absent(void **state)
{
	(void)state;
	const u64 lin = 0xc0403abc;
	for (u32 f = F32; f <= F4L; f++) {
		for (u32 level = 0; level < formats[f].levels; level++) {
			struct paging p = paging_of(f);
			struct event fault;
			u64 out, e;
			p.cpl = 3;
			map(f, 0, lin, 0x5000);
			e = get_entry(f, level, lin);
			set_entry(f, level, lin, e & ~P);
			assert_false(walk(&p, lin, ACCESS_WRITE, &out, &fault));
			expect_pf(&fault, PF_U | PF_W);
			for (u32 l = 0; l < formats[f].levels; l++) {
				assert_false(get_entry(f, l, lin) & (A | D));
			}
			set_entry(f, level, lin, (e & 0xfff) | 0x800000); /* not RAM */
			bool is_leaf = level == 0;
			set_entry(f, level, lin, get_entry(f, level, lin) | P);
			assert_int_equal(walk(&p, lin, ACCESS_WRITE, &out, &fault), is_leaf);
			if (!is_leaf) {
				assert_int_equal(fault.type, EVENT_NONE);
			}
		}
	}
}

#define NR_BUMPS 100000
static void *bump(void *slot)
{
	for (u32 i = 0; i < NR_BUMPS; i++) {
		__atomic_add_fetch((u64 *)slot, BIT(52), __ATOMIC_RELAXED); /* ignored bits */
		__atomic_and_fetch((u64 *)slot, ~(A | D), __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Another agent changes the entry all the time: none of its updates may be lost */
static void test_marks_are_atomic(void **state)
{
	(void)state;
	struct paging p = paging_of(F4L);
	pthread_t thread;
	u64 out, lin = 0x1000;
	p.efer |= EFER_NXE;
	map(F4L, 0, lin, 0x5000);
	assert_int_equal(pthread_create(&thread, NULL, bump, slot_of(F4L, 0, lin)), 0);
	for (u32 i = 0; i < NR_BUMPS; i++) {
		struct event fault;
		if (!walk(&p, lin, ACCESS_WRITE, &out, &fault)) {
			expect_pf(&fault, PF_W); /* spurious, after a few tries */
		}
	}
	pthread_join(thread, NULL);
	assert_int_equal(get_entry(F4L, 0, lin) >> 52, NR_BUMPS & 0xfff);
}

static struct vcpu vcpu = { .ops = &fake_ops };

struct seg_case {
	const char *what;
	enum seg s;
	u64 off;
	u32 len;
	enum access acc;
	u64 base;
	u32 limit, attr;
	u64 out; /* BAD: refused */
};
#define BAD	  (~0ull)
#define DATA_RW	  0xc093
#define DATA_RO	  0xc091
#define DATA_DOWN 0xc097
#define CODE_XR	  0xc09b
#define CODE_X	  0xc099

static void run_cases(const struct seg_case *c, u32 nr, const struct paging *p)
{
	for (u32 i = 0; i < nr; i++, c++) {
		struct fake *f = fake_of(&vcpu);
		struct event fault = { 0 };
		u64 out = 0;
		f->seg[c->s] = (struct segment){ .base = c->base, .limit = c->limit, .attr = c->attr };
		bool ok = seg_linear(&vcpu, p, c->s, c->off, c->len, c->acc, &out, &fault);
		if (ok != (c->out != BAD) || (ok && out != c->out)) {
			fail_msg("%s: %d %llx", c->what, ok, (unsigned long long)out);
		}
		if (!ok) {
			assert_int_equal(fault.vector, c->s == SEG_SS ? VEC_SS : VEC_GP);
			assert_true(fault.type == EVENT_EXCEPTION && fault.has_error && !fault.error);
		}
	}
}

static const struct seg_case protected_cases[] = {
	{ "flat", SEG_DS, 0x1234, 4, ACCESS_WRITE, 0, ~0u, DATA_RW, 0x1234 },
	{ "base wraps", SEG_DS, 0x20, 4, ACCESS_READ, 0xfffffff0, ~0u, DATA_RW, 0x10 },
	{ "last byte", SEG_DS, 0xffc, 4, ACCESS_READ, 0x5000, 0xfff, DATA_RW, 0x5ffc },
	{ "one beyond", SEG_DS, 0xffd, 4, ACCESS_READ, 0x5000, 0xfff, DATA_RW, BAD },
	{ "stack beyond", SEG_SS, 0xffd, 4, ACCESS_READ, 0x5000, 0xfff, DATA_RW, BAD },
	{ "over the top", SEG_DS, 0xfffffffe, 4, ACCESS_READ, 0, ~0u, DATA_RW, BAD },
	{ "read-only", SEG_DS, 0, 4, ACCESS_READ, 0, ~0u, DATA_RO, 0 },
	{ "write to read-only", SEG_DS, 0, 4, ACCESS_WRITE, 0, ~0u, DATA_RO, BAD },
	{ "read code", SEG_ES, 0, 4, ACCESS_READ, 0, ~0u, CODE_XR, 0 },
	{ "write code", SEG_ES, 0, 4, ACCESS_WRITE, 0, ~0u, CODE_XR, BAD },
	{ "read execute-only", SEG_ES, 0, 4, ACCESS_READ, 0, ~0u, CODE_X, BAD },
	{ "null", SEG_FS, 0, 4, ACCESS_READ, 0, ~0u, SEG_UNUSABLE, BAD },
	{ "down, above", SEG_SS, 0x1000, 4, ACCESS_WRITE, 0x10, 0xfff, DATA_DOWN, 0x1010 },
	{ "down, at", SEG_SS, 0xfff, 4, ACCESS_WRITE, 0x10, 0xfff, DATA_DOWN, BAD },
	{ "down, 32-bit top", SEG_SS, 0xfffffffc, 4, ACCESS_WRITE, 0, 0xfff, DATA_DOWN, 0xfffffffc },
	{ "down, 16-bit top", SEG_SS, 0xfffd, 4, ACCESS_WRITE, 0, 0xfff, DATA_DOWN & ~0x4000, BAD },
	{ "conforming is not down", SEG_ES, 0, 4, ACCESS_READ, 0, 0xfff, 0xc09f, 0 },
};

static const struct seg_case real_cases[] = {
	{ "real", SEG_DS, 0xfffe, 2, ACCESS_WRITE, 0xffff0, 0xffff, 0x93, 0x10ffee },
	{ "real beyond", SEG_DS, 0xffff, 2, ACCESS_WRITE, 0xffff0, 0xffff, 0x93, BAD },
	{ "unreal", SEG_DS, 0x12345678, 2, ACCESS_WRITE, 0x10, ~0u, 0x93, 0x12345688 },
	{ "any type", SEG_CS, 0, 2, ACCESS_WRITE, 0xf0000, 0xffff, 0x9b, 0xf0000 },
};

static const struct seg_case long_cases[] = {
	{ "no base", SEG_DS, 0xffff800000000000, 8, ACCESS_WRITE, 0x5000, 0, SEG_UNUSABLE,
	  0xffff800000000000 },
	{ "fs base", SEG_FS, 0x10, 8, ACCESS_WRITE, 0xffff888000000000, 0, 0, 0xffff888000000010 },
	{ "gs wraps", SEG_GS, 0x20, 8, ACCESS_READ, 0xfffffffffffffff0, 0, 0, 0x10 },
	{ "not canonical", SEG_DS, 0x800000000000, 1, ACCESS_READ, 0, 0, 0, BAD },
	{ "not canonical stack", SEG_SS, 0x8000000000000000, 1, ACCESS_READ, 0, 0, 0, BAD },
	{ "end not canonical", SEG_DS, 0x7fffffffffff, 2, ACCESS_READ, 0, 0, 0, BAD },
	{ "last canonical", SEG_DS, 0x7ffffffffff8, 8, ACCESS_READ, 0, 0, 0, 0x7ffffffffff8 },
};

static void test_segments(void **state)
{
	(void)state;
	struct paging prot = { .cr0 = CR0_PE, .code_size = 4 };
	struct paging real = { .cr0 = 0, .code_size = 2 };
	struct paging v86 = { .cr0 = CR0_PE, .rflags = RFLAGS_VM, .cpl = 3, .code_size = 2 };
	struct paging lng = paging_of(F4L), compat = lng;
	lng.code_size = 8;
	compat.code_size = 4;
	run_cases(protected_cases, ARRAY_SIZE(protected_cases), &prot);
	run_cases(protected_cases, ARRAY_SIZE(protected_cases), &compat);
	run_cases(real_cases, ARRAY_SIZE(real_cases), &real);
	run_cases(real_cases, ARRAY_SIZE(real_cases), &v86);
	run_cases(long_cases, ARRAY_SIZE(long_cases), &lng);
}

static void test_paging_read(void **state)
{
	(void)state;
	struct fake *f = fake_of(&vcpu);
	struct paging p;
	f->seg[SEG_SS].attr = 0xf3;
	f->reg[VREG_CR3] = 0x1234000;
	f->reg[VREG_RFLAGS] = RFLAGS_AC;
	paging_read(&vcpu, &p);
	assert_int_equal(p.cpl, 3);
	assert_int_equal(p.cr3, 0x1234000);
	assert_int_equal(p.rflags, RFLAGS_AC);
	/* L counts in long mode only, and there before D */
	const struct { u64 efer; u32 attr; u8 size; } codes[] = {
		{ 0, 0x9b, 2 }, { 0, SEG_DB, 4 }, { 0, SEG_L, 2 }, { EFER_LMA, 0, 2 },
		{ EFER_LMA, SEG_DB, 4 }, { EFER_LMA, SEG_L, 8 }, { EFER_LMA, SEG_L | SEG_DB, 8 },
	};
	for (u32 i = 0; i < ARRAY_SIZE(codes); i++) {
		f->reg[VREG_EFER] = codes[i].efer;
		f->seg[SEG_CS].attr = codes[i].attr;
		paging_read(&vcpu, &p);
		assert_int_equal(p.code_size, codes[i].size);
	}
}

/* @rip in a code segment of @limit; page 1 absent behind 0x6fff in 4-level paging */
static u32 fetch(u64 rip, u32 limit, const struct paging *p, struct event *fault)
{
	struct fake *f = fake_of(&vcpu);
	u8 buf[15];
	for (u32 i = 0; i < sizeof(buf); i++) {
		buf[i] = 0xee;
	}
	f->reg[VREG_RIP] = rip;
	f->seg[SEG_CS] = (struct segment){ .limit = limit, .attr = 0xc09b };
	u32 n = fetch_insn(&vcpu, &mem, p, buf, fault);
	for (u32 i = 0; i < n; i++) {
		assert_int_equal(buf[i], (u8)(rip + i));
	}
	return n;
}

static void test_fetch(void **state)
{
	(void)state;
	struct event fault = { 0 };
	struct paging flat = { .cr0 = CR0_PE, .code_size = 4 }, paged = paging_of(F4L);
	paged.code_size = 8;
	map(F4L, 0, 0x6000, 0x6000);
	for (u32 i = 0x6000; i < RAM_SIZE; i++) {
		ram[i] = (u8)i;
	}
	assert_int_equal(fetch(0x6100, ~0u, &flat, &fault), 15);
	assert_int_equal(fetch(0x6ffa, ~0u, &flat, &fault), 15); /* two pages */
	assert_int_equal(fetch(0x6100, 0x6104, &flat, &fault), 5);
	assert_int_equal(fetch(0x6105, 0x6104, &flat, &fault), 0);
	assert_int_equal(fault.vector, VEC_GP);
	assert_int_equal(fetch(RAM_SIZE - 3, ~0u, &flat, &fault), 3); /* no RAM behind */
	assert_int_equal(fetch(RAM_SIZE, ~0u, &flat, &fault), 0);
	assert_int_equal(fault.type, EVENT_NONE);
	assert_int_equal(fetch(0x6ffa, 0, &paged, &fault), 6);
	expect_pf(&fault, PF_I);
	assert_int_equal(fetch(0x7000, 0, &paged, &fault), 0);
	assert_int_equal(fetch(BIT(60), 0, &paged, &fault), 0);
	assert_int_equal(fault.vector, VEC_GP);
}

static int setup(void **state)
{
	(void)state;
	return vcpu.ops->vcpu_init(&vcpu, NULL) != STATUS_OK;
}

static int teardown(void **state)
{
	(void)state;
	free(vcpu.hw);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paging_off),	   cmocka_unit_test(test_sizes_and_marks),
		cmocka_unit_test(test_no_pse),		   cmocka_unit_test(test_all_rights),
		cmocka_unit_test(test_fetch_error_code),   cmocka_unit_test(test_protection_keys),
		   cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_absent),		   cmocka_unit_test(test_marks_are_atomic),
		cmocka_unit_test(test_segments),	   cmocka_unit_test(test_paging_read),
		cmocka_unit_test(test_fetch),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
