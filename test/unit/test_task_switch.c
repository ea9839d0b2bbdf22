// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hardware task switches through the fake backend. That they work is shown by guest taskswitch, where Bochs's
 * CPU is the oracle; here is what can go wrong, and in whose context: SDM 3A 7.3 and table 7-1.
 */
#include "kernel/task_switch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fake.h"
#include "kernel/partition.h"
#include "x86/regs.h"

#define RAM_LEN 0x40000
#define GDT	0x1000
#define LDT	0x2000
#define OLD	0x4000 /* TSSs */
#define NEW	0x6000
#define PD	0x8000 /* page directory and table, where there is paging */
#define PT	0x9000
#define PAE	0xa000
#define STACK	0xc000
#define RIP	0x5555

enum { CODE = 0x08, DATA = 0x10, OLD_TSS = 0x18, NEW_TSS = 0x20, SMALL = 0x28, UCODE = 0x30, UDATA = 0x38,
       ABSENT = 0x40, LDT_SEL = 0x48, XCODE = 0x50, CONFORMING = 0x58, NO_LDT = 0x60, RODATA = 0x68, LAST = 0x6f };
enum { CALL, IRET, JMP, GATE };

/* SDM 3A figure 7-2, as 32-bit words */
enum { T_LINK, T_CR3 = 7, T_EIP, T_EFLAGS, T_EAX, T_EBX = 13, T_ESP, T_ES = 18, T_CS, T_SS, T_DS, T_FS, T_GS, T_LDT,
       T_TRAP };

static u8 *ram;
static struct partition part;
static struct core core;
static struct vcpu *v;

static u32 *tss(u32 at)
{
	return (u32 *)(ram + at);
}

static void put_descriptor(u32 table, u16 sel, u32 base, u32 limit, u32 attr)
{
	u64 d = (limit & 0xffff) | (base & 0xffffffull) << 16 | (u64)attr << 40 | (u64)(limit >> 16) << 48 |
		(u64)(base >> 24) << 56;
	memcpy(ram + table + (sel & ~7u), &d, 8);
}

static u8 type_of(u16 sel)
{
	return ram[GDT + (sel & ~7u) + 5];
}

static void host_cpuid(u32 leaf, u32 sub, u32 out[4])
{
	(void)leaf, (void)sub;
	memset(out, 0, 16);
	out[1] = 0x756e6547; /* Intel: PDPTEs are loaded */
}

static const struct host host = { .cpuid = host_cpuid };

static int setup(void **state)
{
	(void)state;
	if (!ram) {
		ram = aligned_alloc(PAGE_SIZE, RAM_LEN);
	}
	memset(ram, 0, RAM_LEN);
	memset(&part, 0, sizeof(part));
	free(core.v.hw);
	core.v.hw = NULL;
	memset(&core, 0, sizeof(core));
	part.mem = (struct gmem){ .nr = 1 };
	part.mem.ext[0] = (struct mem_extent){ GPA(0), HPA((uintptr_t)ram), RAM_LEN };
	part.host = &host;
	v = &core.v;
	core.cpuid.host = host_cpuid;
	v->ops = &fake_ops;
	v->part = &part;
	assert_int_equal(fake_ops.vcpu_init(v, NULL), STATUS_OK);
	struct fake *f = fake_of(v);
	f->reg[VREG_CR0] = CR0_PE;
	f->reg[VREG_RIP] = RIP;
	f->reg[VREG_RSP] = 0xabc0;
	f->reg[VREG_DR7] = 0x7ff;
	v->regs[GPR_RBX] = 0x12345678;
	f->seg[SEG_GDTR] = (struct segment){ .base = GDT, .limit = LAST };
	f->seg[SEG_TR] = (struct segment){ .sel = OLD_TSS, .base = OLD, .limit = 0x67, .attr = 0x8b };
	f->seg[SEG_LDTR] = (struct segment){ .attr = SEG_UNUSABLE };
	for (u32 s = SEG_ES; s <= SEG_GS; s++) {
		f->seg[s] = (struct segment){ .sel = s == SEG_CS ? CODE : DATA, .limit = ~0u,
					      .attr = s == SEG_CS ? 0xc09b : 0xc093 };
	}
	put_descriptor(GDT, CODE, 0, 0xfffff, 0xc09b);
	put_descriptor(GDT, DATA, 0, 0xfffff, 0xc092);
	put_descriptor(GDT, OLD_TSS, OLD, 0x67, 0x8b);
	put_descriptor(GDT, NEW_TSS, NEW, 0x67, 0x89);
	put_descriptor(GDT, SMALL, NEW, 0x2b, 0x81);
	put_descriptor(GDT, UCODE, 0, 0xfffff, 0xc0fb);
	put_descriptor(GDT, UDATA, 0, 0xfffff, 0xc0f3);
	put_descriptor(GDT, ABSENT, 0, 0xfffff, 0xc013);
	put_descriptor(GDT, LDT_SEL, LDT, 0xf, 0x82);
	put_descriptor(GDT, XCODE, 0, 0xfffff, 0xc099);
	put_descriptor(GDT, CONFORMING, 0, 0xfffff, 0xc09f);
	put_descriptor(GDT, NO_LDT, LDT, 0xf, 0x02);
	put_descriptor(GDT, RODATA, 0, 0xfffff, 0xc091);
	put_descriptor(LDT, 0, 0x123000, 0xfff, 0x4093);
	u32 *t = tss(NEW);
	t[T_EIP] = 0x7777;
	t[T_EFLAGS] = 0xffffffff & ~(RFLAGS_VM | RFLAGS_NT);
	t[T_EAX] = 0xaaaaaaaa;
	t[T_ESP] = STACK;
	t[T_CS] = CODE;
	t[T_SS] = t[T_DS] = t[T_ES] = t[T_FS] = t[T_GS] = DATA;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(core.v.hw);
	core.v.hw = NULL;
	core.v.hw = NULL;
	return 0;
}

static struct verdict go(u8 source, u16 sel, const struct event *why)
{
	struct exit e = { .kind = EXIT_TASK_SWITCH, .insn_len = 7, .rip = RIP, .task = { .sel = sel, .source = source } };
	if (why) {
		e.vectoring = *why;
	}
	return task_switch(v, &e);
}

static u64 reg(enum vreg r)
{
	return fake_of(v)->reg[r];
}

static const struct segment *seg(enum seg s)
{
	return &fake_of(v)->seg[s];
}

static void expect(struct verdict d, u8 vector, u32 error)
{
	assert_int_equal(d.kind, V_INJECT);
	assert_int_equal(d.event.vector, vector);
	assert_true(d.event.has_error);
	assert_int_equal(d.event.error, error);
}

/* Nothing of the old task has moved */
static void expect_old(void)
{
	assert_int_equal(seg(SEG_TR)->sel, OLD_TSS);
	assert_int_equal(reg(VREG_RIP), RIP);
	assert_int_equal(type_of(OLD_TSS), 0x8b);
	assert_int_equal(type_of(NEW_TSS), 0x89);
	assert_int_equal(tss(OLD)[T_EIP], 0);
}

static void call_saves_and_loads(void **state)
{
	(void)state;
	tss(NEW)[T_LDT] = LDT_SEL;
	tss(NEW)[T_GS] = 4;
	assert_int_equal(go(CALL, NEW_TSS, NULL).kind, V_SWITCHED);
	assert_int_equal(tss(OLD)[T_EIP], RIP + 7);
	assert_int_equal(tss(OLD)[T_EBX], 0x12345678);
	assert_int_equal(tss(OLD)[T_ESP], 0xabc0);
	assert_int_equal(tss(OLD)[T_CS], CODE);
	assert_int_equal(tss(OLD)[T_GS], DATA);
	assert_int_equal(tss(NEW)[T_LINK], OLD_TSS);
	assert_int_equal(type_of(OLD_TSS), 0x8b);
	assert_int_equal(type_of(NEW_TSS), 0x8b);
	assert_int_equal(reg(VREG_RIP), 0x7777);
	assert_int_equal(reg(VREG_RFLAGS), 0x3d7fd7); /* NT set, VM clear, what is reserved as it must be */
	assert_int_equal(v->regs[GPR_RAX], 0xaaaaaaaa);
	assert_int_equal(reg(VREG_RSP), STACK);
	assert_int_equal(reg(VREG_CR0), CR0_PE | CR0_TS);
	assert_int_equal(reg(VREG_CR3), 0); /* no paging: CR3 is not loaded */
	assert_int_equal(reg(VREG_DR7), 0x6aa); /* L0 to L3 and LE are off */
	assert_int_equal(seg(SEG_TR)->sel, NEW_TSS);
	assert_int_equal(seg(SEG_TR)->attr, 0x8b);
	assert_int_equal(seg(SEG_TR)->base, NEW);
	assert_int_equal(seg(SEG_LDTR)->base, LDT);
	assert_int_equal(seg(SEG_GS)->base, 0x123000);
	assert_int_equal(seg(SEG_GS)->limit, 0xfff);
	assert_int_equal(seg(SEG_DS)->limit, ~0u);
	assert_int_equal(type_of(DATA), 0x93); /* accessed now */
	assert_int_equal(go(IRET, OLD_TSS, NULL).kind, V_SWITCHED);
	assert_int_equal(tss(NEW)[T_EFLAGS] & RFLAGS_NT, 0);
	assert_int_equal(type_of(NEW_TSS), 0x89);
	assert_int_equal(type_of(OLD_TSS), 0x8b);
	assert_int_equal(v->regs[GPR_RBX], 0x12345678);
	assert_int_equal(reg(VREG_RIP), RIP + 7);
}

static void jmp_does_not_nest(void **state)
{
	(void)state;
	tss(NEW)[T_TRAP] = 1;
	fake_of(v)->reg[VREG_RFLAGS] = RFLAGS_FIXED1 | RFLAGS_NT;
	assert_int_equal(go(JMP, NEW_TSS, NULL).kind, V_SWITCHED);
	assert_true(tss(OLD)[T_EFLAGS] & RFLAGS_NT);
	assert_int_equal(tss(NEW)[T_LINK], 0);
	assert_false(reg(VREG_RFLAGS) & RFLAGS_NT);
	assert_int_equal(type_of(OLD_TSS), 0x89);
	assert_int_equal(type_of(NEW_TSS), 0x8b);
	assert_int_equal(v->pending.vector, VEC_DB); /* T */
	assert_true(reg(VREG_DR6) & DR6_BT);
}

static void small_tasks(void **state)
{
	(void)state;
	u16 *t = (u16 *)(ram + NEW);
	memset(t, 0, 0x68);
	t[7] = 0x100; /* IP, FLAGS, AX */
	t[9] = 0x1616;
	t[0x24 / 2] = CODE;
	t[0x26 / 2] = DATA;
	assert_int_equal(go(CALL, SMALL, NULL).kind, V_SWITCHED);
	assert_int_equal(t[0], OLD_TSS);
	assert_int_equal(reg(VREG_RIP), 0x100);
	assert_int_equal(v->regs[GPR_RAX], 0x1616);
	assert_int_equal(seg(SEG_TR)->attr, 0x83);
	assert_true(seg(SEG_FS)->attr & SEG_UNUSABLE && seg(SEG_DS)->attr & SEG_UNUSABLE);
	t[0x2a / 2] = 0xbeef; /* LDT: not saved, and nothing behind it */
	t[0x2c / 2] = 0xbeef;
	v->regs[GPR_RDI] = 0xd1d1d1d1;
	assert_int_equal(go(IRET, OLD_TSS, NULL).kind, V_SWITCHED);
	assert_int_equal(t[0x20 / 2], 0xd1d1);
	assert_int_equal(t[7], RIP + 7);
	assert_true(t[0x2a / 2] == 0xbeef && t[0x2c / 2] == 0xbeef);
}

static void gates(void **state)
{
	(void)state;
	const struct event fault = { .type = EVENT_EXCEPTION, .vector = VEC_GP, .has_error = true, .error = 0x1f8 };
	assert_int_equal(go(GATE, NEW_TSS, &fault).kind, V_SWITCHED);
	assert_int_equal(tss(OLD)[T_EIP], RIP);
	assert_true(tss(OLD)[T_EFLAGS] & RFLAGS_RF);
	assert_int_equal(reg(VREG_RSP), STACK - 4);
	assert_int_equal(*tss(STACK - 4), 0x1f8);
	setup(NULL);
	const struct event soft = { .type = EVENT_SOFTINT, .vector = 0x80, .insn_len = 2 };
	assert_int_equal(go(GATE, NEW_TSS, &soft).kind, V_SWITCHED);
	assert_int_equal(tss(OLD)[T_EIP], RIP + 2);
	assert_int_equal(reg(VREG_RSP), STACK);
	setup(NULL);
	const struct event nmi = { .type = EVENT_NMI, .vector = 2 };
	assert_int_equal(go(GATE, NEW_TSS, &nmi).kind, V_SWITCHED);
	assert_int_equal(reg(VREG_NMI_BLOCKED), 1);
	assert_int_equal(go(IRET, OLD_TSS, NULL).kind, V_SWITCHED);
	assert_int_equal(reg(VREG_NMI_BLOCKED), 0);
	setup(NULL);
	put_descriptor(GDT, DATA, 0, 0xfff, 0x4093); /* the stack is outside */
	expect(go(GATE, NEW_TSS, &fault), VEC_SS, 0);
	assert_int_equal(seg(SEG_TR)->sel, NEW_TSS);
}

static void faults_of_the_old_task(void **state)
{
	(void)state;
	const struct event irq = { .type = EVENT_EXTINT, .vector = 0x40 };
	fake_of(v)->seg[SEG_TR].limit = 0x66;
	expect(go(CALL, NEW_TSS, NULL), VEC_TS, OLD_TSS);
	fake_of(v)->seg[SEG_TR].limit = 0x67;
	put_descriptor(GDT, NEW_TSS, NEW, 0x66, 0x89);
	expect(go(CALL, NEW_TSS, NULL), VEC_TS, NEW_TSS);
	expect(go(GATE, NEW_TSS, &irq), VEC_TS, NEW_TSS | 1); /* EXT */
	put_descriptor(GDT, NEW_TSS, NEW, 0x67, 0x89);
	expect(go(CALL, DATA, NULL), VEC_TS, DATA);
	expect(go(CALL, LAST + 1, NULL), VEC_TS, LAST + 1);
	expect(go(CALL, 0, NULL), VEC_TS, 0);
	expect(go(CALL, 4, NULL), VEC_TS, 4); /* no LDT */
	put_descriptor(GDT, NEW_TSS, RAM_LEN, 0x67, 0x89);
	assert_int_equal(go(CALL, NEW_TSS, NULL).kind, V_KILL);
	put_descriptor(GDT, NEW_TSS, NEW, 0x67, 0x89);
	expect_old();
}

static void map(u32 page, u32 flags)
{
	tss(PT)[page / PAGE_SIZE] = page | flags;
}

/* Each page that the switch needs, one at a time; the TSSs cross pages */
static void page_faults_of_the_old_task(void **state)
{
	(void)state;
	memmove(ram + OLD + 0xff8, ram + OLD, 0x68);
	memmove(ram + NEW + 0xff8, ram + NEW, 0x68);
	fake_of(v)->seg[SEG_TR].base += 0xff8;
	put_descriptor(GDT, NEW_TSS, NEW + 0xff8, 0x67, 0x89);
	fake_of(v)->reg[VREG_CR0] = CR0_PE | CR0_PG | CR0_WP;
	fake_of(v)->reg[VREG_CR3] = PD;
	tss(NEW + 0xff8)[T_CR3] = PD;
	tss(PD)[0] = PT | 7;
	for (u32 page = 0; page < RAM_LEN; page += PAGE_SIZE) {
		map(page, 3);
	}
	const struct {
		u32 page, flags, cr2, error;
	} rows[] = {
		{ GDT, 0, GDT + NEW_TSS, 0 },		   { OLD, 1, OLD + 0xff8, PF_P | PF_W },
		{ OLD + 0x1000, 0, OLD + 0x1000, PF_W },   { NEW, 0, NEW + 0xff8, 0 },
		{ NEW + 0x1000, 0, NEW + 0x1000, 0 },	   { NEW, 1, NEW + 0xff8, PF_P | PF_W },
		{ GDT, 1, GDT + OLD_TSS + 5, PF_P | PF_W },
	};
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		map(rows[i].page, rows[i].flags);
		struct verdict d = go(CALL, NEW_TSS, NULL);
		expect(d, VEC_PF, rows[i].error);
		assert_int_equal(d.cr2, rows[i].cr2);
		map(rows[i].page, 3);
		expect_old();
	}
	/* a user's task switch: TSSs are supervisor's pages, and SMAP does not mind AC */
	fake_of(v)->seg[SEG_SS].attr |= SEG_DPL;
	assert_int_equal(go(CALL, NEW_TSS, NULL).kind, V_SWITCHED);
	assert_int_equal(reg(VREG_CR3), PD);
	assert_int_equal(fake_of(v)->nr_flushes, 1);
	assert_int_equal(tss(OLD + 0xff8)[T_EIP], RIP + 7);
	assert_int_equal(reg(VREG_RIP), 0x7777);
}

/* SDM 3A table 7-1, and what is loaded by then */
static void faults_of_the_new_task(void **state)
{
	(void)state;
	static const struct {
		u8 word;
		u16 sel;
		u8 vector;
		u16 error;
	} rows[] = {
		{ T_LDT, 4, VEC_TS, 4 },	    { T_LDT, DATA, VEC_TS, DATA },
		{ T_LDT, NO_LDT, VEC_TS, NO_LDT },  { T_LDT, 0x1f8, VEC_TS, 0x1f8 },
		{ T_CS, 0, VEC_TS, 0 },		    { T_CS, DATA, VEC_TS, DATA },
		{ T_CS, UCODE, VEC_TS, UCODE },	    { T_CS, CODE | 3, VEC_TS, CODE },
		{ T_CS, NEW_TSS, VEC_TS, NEW_TSS }, { T_SS, 0, VEC_TS, 0 },
		{ T_SS, UDATA, VEC_TS, UDATA },	    { T_SS, DATA | 3, VEC_TS, DATA },
		{ T_SS, RODATA, VEC_TS, RODATA },   { T_SS, CODE, VEC_TS, CODE },
		{ T_SS, ABSENT, VEC_SS, ABSENT },   { T_DS, XCODE, VEC_TS, XCODE },
		{ T_DS, ABSENT, VEC_NP, ABSENT },   { T_ES, LDT_SEL, VEC_TS, LDT_SEL },
		{ T_FS, DATA | 3, VEC_TS, DATA },   { T_GS, 4, VEC_TS, 4 },
		{ T_GS, 0xfff8, VEC_TS, 0xfff8 },
	};
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		setup(NULL);
		tss(NEW)[rows[i].word] = rows[i].sel;
		expect(go(CALL, NEW_TSS, NULL), rows[i].vector, rows[i].error);
		assert_int_equal(seg(SEG_TR)->sel, NEW_TSS);
		assert_int_equal(reg(VREG_RIP), 0x7777);
		assert_true(seg(SEG_CS)->attr & SEG_P && !(seg(SEG_CS)->attr & SEG_UNUSABLE));
		if (rows[i].word >= T_ES && rows[i].word <= T_GS) {
			assert_int_equal(seg(rows[i].word - T_ES)->sel, rows[i].sel);
		}
	}
	setup(NULL);
	tss(NEW)[T_CS] = CONFORMING | 3; /* runs at the RPL of its selector */
	tss(NEW)[T_SS] = UDATA | 3;
	tss(NEW)[T_DS] = CONFORMING;
	tss(NEW)[T_ES] = tss(NEW)[T_FS] = tss(NEW)[T_GS] = 3; /* null */
	assert_int_equal(go(CALL, NEW_TSS, NULL).kind, V_SWITCHED);
	assert_int_equal(field_get(SEG_DPL, seg(SEG_SS)->attr), 3);
	assert_true(seg(SEG_ES)->attr & SEG_UNUSABLE);
}

static void virtual_8086(void **state)
{
	(void)state;
	u32 *t = tss(NEW);
	t[T_EFLAGS] = RFLAGS_VM | RFLAGS_FIXED1;
	for (u32 i = T_ES; i <= T_GS; i++) {
		t[i] = 0x1000 * (i - T_ES) + 0xf001;
	}
	assert_int_equal(go(CALL, NEW_TSS, NULL).kind, V_SWITCHED);
	for (u32 s = SEG_ES; s <= SEG_GS; s++) { /* SDM 3C 27.3.1.2 */
		assert_int_equal(seg(s)->base, (u64)seg(s)->sel << 4);
		assert_int_equal(seg(s)->limit, 0xffff);
		assert_int_equal(seg(s)->attr, 0xf3);
		assert_int_equal(seg(s)->sel, (u16)t[T_ES + s]);
	}
}

static void pae(void **state)
{
	(void)state;
	u64 *pdpt = (u64 *)(ram + PAE), *pd = (u64 *)(ram + PD);
	fake_of(v)->reg[VREG_CR0] = CR0_PE | CR0_PG;
	fake_of(v)->reg[VREG_CR4] = CR4_PAE;
	fake_of(v)->reg[VREG_CR3] = PAE;
	pdpt[0] = PD | 1;
	pd[0] = 0x83;
	tss(NEW)[T_CR3] = PAE + 0x20;
	pdpt[4] = PD | 7; /* R/W and U/S are reserved there */
	expect(go(CALL, NEW_TSS, NULL), VEC_TS, NEW_TSS);
	assert_int_equal(seg(SEG_TR)->sel, NEW_TSS);
	assert_int_equal(reg(VREG_CR3), PAE);
	setup(NULL);
	fake_of(v)->reg[VREG_CR0] = CR0_PE | CR0_PG;
	fake_of(v)->reg[VREG_CR4] = CR4_PAE;
	fake_of(v)->reg[VREG_CR3] = PAE;
	pdpt[0] = pdpt[4] = PD | 1;
	pd[0] = 0x83;
	tss(NEW)[T_CR3] = PAE + 0x20;
	assert_int_equal(go(CALL, NEW_TSS, NULL).kind, V_SWITCHED);
	assert_int_equal(reg(VREG_PDPTE0), PD | 1);
	assert_int_equal(reg(VREG_CR3), PAE + 0x20);
}

static u32 rng(void)
{
	static u64 s = 88172645463325252ull;
	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return (u32)(s >> 16);
}

/* SDM 3C 27.3.1.2: VM entry would refuse anything else, whatever was in guest memory */
static void expect_enterable(void)
{
	const struct segment *cs = seg(SEG_CS), *tr = seg(SEG_TR);
	u64 flags = reg(VREG_RFLAGS), cpl = field_get(SEG_DPL, seg(SEG_SS)->attr);
	assert_int_equal(flags & ~(BITS(21, 16) | BITS(14, 6) | 0x17ull), 0);
	assert_true(flags & RFLAGS_FIXED1);
	assert_int_equal(reg(VREG_RIP) >> 32, 0);
	assert_true((tr->attr & SEG_TYPE) == 11 || (tr->attr & SEG_TYPE) == 3);
	assert_true(tr->attr & SEG_P && !(tr->attr & SEG_S) && !(tr->sel & 4));
	const struct segment *ldtr = seg(SEG_LDTR);
	assert_true(ldtr->attr & SEG_UNUSABLE || (ldtr->attr & 0x9f) == 0x82);
	assert_true(ldtr->attr & SEG_UNUSABLE || !(ldtr->sel & 4));
	for (u32 s = SEG_ES; s <= SEG_GS; s++) {
		u32 attr = seg(s)->attr, type = attr & SEG_TYPE;
		if (flags & RFLAGS_VM) {
			assert_int_equal(attr, 0xf3);
			assert_int_equal(seg(s)->base, (u64)seg(s)->sel << 4);
		} else if (!(attr & SEG_UNUSABLE)) {
			assert_true(attr & SEG_P && attr & SEG_S && type & 1);
			assert_true(s == SEG_CS || !(type & 8) || type & 2);
		}
	}
	if (!(flags & RFLAGS_VM)) {
		u64 dpl = field_get(SEG_DPL, cs->attr);
		assert_true(cs->attr & BIT(3) && !(cs->attr & SEG_UNUSABLE));
		assert_true(cs->attr & BIT(2) ? dpl <= cpl : dpl == cpl);
		assert_true(seg(SEG_SS)->attr & SEG_UNUSABLE || (seg(SEG_SS)->attr & SEG_TYPE) == 3 ||
			    (seg(SEG_SS)->attr & SEG_TYPE) == 7);
	}
}

static void anything_can_be_entered(void **state)
{
	u32 nr[V_KILL + 1] = { 0 };
	(void)state;
	for (u32 i = 0; i < 30000; i++) {
		setup(NULL);
		for (u32 n = rng() % 12; n > 0; n--) {
			u32 at = rng() % 3, word = T_EFLAGS + rng() % 18;
			if (at == 0) {
				ram[GDT + rng() % LAST] ^= (u8)(1u << rng() % 8);
			} else if (at == 1) {
				tss(NEW)[word] = rng() % 3 ? rng() % 0x70 : rng();
			} else {
				ram[NEW + rng() % 0x68] = (u8)rng();
			}
		}
		struct event why = { .type = rng() % 6, .vector = (u8)rng(), .has_error = rng() & 1 };
		u8 source = rng() & 3;
		struct verdict d = go(source, rng() % 4 ? NEW_TSS : SMALL, source == GATE ? &why : NULL);
		nr[d.kind]++;
		expect_enterable();
	}
	assert_true(nr[V_SWITCHED] > 3000 && nr[V_INJECT] > 3000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(call_saves_and_loads), TEST(jmp_does_not_nest), TEST(small_tasks), TEST(gates),
		TEST(faults_of_the_old_task), TEST(page_faults_of_the_old_task), TEST(faults_of_the_new_task),
		TEST(virtual_8086), TEST(pae), TEST(anything_can_be_entered),
	};
	return cmocka_run_group_tests_name("task_switch", tests, NULL, NULL);
}
