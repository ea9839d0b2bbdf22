/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hardware task switch in the order of SDM 3A 7.3 "Task Switching": everything that the old task
 * may fault on is touched first, then its state is saved, then the new one is loaded, and faults are
 * its own. No such thing exists in long mode, so addresses have 32 bits. Called by exit_handle() only.
 * Pure.
 */
#include "kernel/task_switch.h"
#include "kernel/debug.h"
#include "kernel/exit.h"
#include "kernel/walk.h"
#include "lib/lib.h"
#include "x86/regs.h"

enum { BY_CALL, BY_IRET, BY_JMP, BY_GATE };

/* SDM 3A figures 7-2 and 7-10: where things are in a TSS; flags follow the instruction pointer */
struct tss_format {
	u8 width, ip, gpr, seg, nr_segs, ldt, len;
};
static const struct tss_format tss_16 = { 2, 0x0e, 0x12, 0x22, 4, 0x2a, 0x2c };
static const struct tss_format tss_32 = { 4, 0x20, 0x28, 0x48, 6, 0x60, 0x68 };
#define TSS_CR3	   0x1c
#define TSS_T	   0x64
#define TSS_MAX	   0x68
#define TYPE_BYTE  5 /* of a descriptor; its low bits are SEG_TYPE */
#define TYPE_LDT   2
#define ACCESSED   BIT(0)
#define BUSY	   BIT(1)
#define FLAGS_MASK (BITS(21, 16) | BITS(14, 6) | BIT(4) | BIT(2) | BIT(0))
#define DR7_LOCAL  (BIT(8) | BIT(6) | BIT(4) | BIT(2) | BIT(0))

/* @d: why a step refused. @gdt_at: linear addresses of the two descriptors. */
struct task {
	struct vcpu *v;
	const struct exit *e;
	struct paging paging;
	struct verdict d;
	struct segment old_tr, new_tr;
	const struct tss_format *from, *to;
	u32 old_at, new_at;
	u8 image[TSS_MAX];
	u8 cpl, ext;
};

/* SDM 3A 6.13 "Error Code": EXT if it was no instruction that asked for the switch */
static bool refuse(struct task *t, u8 vector, u16 sel)
{
	t->d = verdict_fault(vector, true, (sel & ~3u) | t->ext);
	return false;
}

/* @buf NULL: only make sure that the access would succeed */
static bool copy(struct task *t, u32 lin, void *buf, u32 len, enum access acc)
{
	const struct gmem *m = &t->v->part->mem;
	for (u32 done = 0, n; done < len; done += n) {
		struct event fault;
		gpa at;
		u32 from = lin + done;
		u8 *part = buf ? (u8 *)buf + done : NULL;
		n = (u32)MIN(len - done, PAGE_SIZE - from % PAGE_SIZE);
		if (!walk_linear(m, &t->paging, from, acc, &at, &fault)) {
			t->d = fault.type == EVENT_NONE ? verdict_kill(HEALTH_VIOLATION, "page tables outside memory") :
							  verdict_event(&fault, from);
			return false;
		}
		if (!part ? !gmem_ptr(m, at, n) :
		    acc == ACCESS_WRITE ? !gmem_write(m, at, part, n) : !gmem_read(m, at, part, n)) {
			t->d = verdict_kill(HEALTH_VIOLATION, "task state outside memory");
			return false;
		}
	}
	return true;
}

static u32 field(const struct task *t, u32 at)
{
	u32 value = 0;
	memcpy(&value, t->image + at, t->to->width);
	return value;
}

/* A descriptor as what the CPU keeps of it (SDM 3A 3.4.5); *@at is where it is */
static bool descriptor(struct task *t, u16 sel, struct segment *out, u32 *at)
{
	struct segment table;
	u64 d;
	t->v->ops->get_seg(t->v, sel & 4 ? SEG_LDTR : SEG_GDTR, &table);
	if (!(sel & ~3u) || (sel & 4 && table.attr & SEG_UNUSABLE) || (sel | 7u) > table.limit) {
		return refuse(t, VEC_TS, sel);
	}
	*at = (u32)table.base + (sel & ~7u);
	if (!copy(t, *at, &d, sizeof(d), ACCESS_READ)) {
		return false;
	}
	u32 limit = (u32)(field_get(BITS(51, 48), d) << 16 | (d & 0xffff));
	*out = (struct segment){ .base = field_get(BITS(63, 56), d) << 24 | field_get(BITS(39, 16), d),
				 .limit = d & BIT(55) ? limit << 12 | 0xfff : limit,
				 .attr = (u32)(d >> 40 & 0xf0ff),
				 .sel = sel };
	return true;
}

static bool is_nested(const struct task *t)
{
	return t->e->task.source == BY_CALL || t->e->task.source == BY_GATE;
}

/* Steps 1 to 7: all that can still fault in the old task */
static bool check(struct task *t)
{
	struct segment gdt;
	struct vcpu *v = t->v;
	paging_read(v, &t->paging);
	t->paging.cpl = 0; /* implicit accesses are the supervisor's, whoever runs (SDM 3A 4.6.1) */
	t->paging.rflags &= ~RFLAGS_AC;
	v->ops->get_seg(v, SEG_TR, &t->old_tr);
	v->ops->get_seg(v, SEG_GDTR, &gdt);
	t->old_at = (u32)gdt.base + (t->old_tr.sel & ~7u);
	if (!descriptor(t, t->e->task.sel, &t->new_tr, &t->new_at)) {
		return false;
	}
	t->from = t->old_tr.attr & BIT(3) ? &tss_32 : &tss_16;
	t->to = t->new_tr.attr & BIT(3) ? &tss_32 : &tss_16;
	if (t->old_tr.limit < t->from->len - 1u) {
		return refuse(t, VEC_TS, t->old_tr.sel);
	}
	/* the CPU has seen all this to be right; another one of the guest's may have changed it since */
	if ((t->new_tr.attr & (SEG_P | SEG_S | BIT(2) | BIT(0))) != (SEG_P | BIT(0)) ||
	    t->new_tr.sel & 4 || t->new_tr.limit < t->to->len - 1u) {
		return refuse(t, VEC_TS, t->new_tr.sel);
	}
	return copy(t, (u32)t->old_tr.base, NULL, t->from->len, ACCESS_WRITE) &&
	       copy(t, (u32)t->new_tr.base, NULL, t->to->len, ACCESS_READ) &&
	       copy(t, (u32)t->new_tr.base, NULL, is_nested(t) ? 2 : 0, ACCESS_WRITE) &&
	       copy(t, t->old_at + TYPE_BYTE, NULL, 1, ACCESS_WRITE) &&
	       copy(t, t->new_at + TYPE_BYTE, NULL, 1, ACCESS_WRITE);
}

/* Step 10. CR3, LDTR and all above are not the CPU's to write. */
static bool save(struct task *t)
{
	const struct tss_format *f = t->from;
	struct vcpu *v = t->v;
	u8 part[TSS_MAX] = { 0 };
	debug_mark_fault(v, &t->e->vectoring);
	u64 no_nt = t->e->task.source == BY_IRET ? RFLAGS_NT : 0;
	u8 len = t->e->task.source == BY_GATE ? t->e->vectoring.insn_len : t->e->insn_len;
	u64 head[] = { t->e->rip + len, v->ops->get(v, VREG_RFLAGS) & ~no_nt };
	for (u32 i = 0; i < ARRAY_SIZE(head); i++) {
		memcpy(part + f->ip + i * f->width, &head[i], f->width);
	}
	for (u32 i = 0; i < 8; i++) {
		u64 value = vcpu_gpr(v, i);
		memcpy(part + f->gpr + i * f->width, &value, f->width);
	}
	for (u32 i = 0; i < f->nr_segs; i++) {
		struct segment s;
		v->ops->get_seg(v, i, &s);
		memcpy(part + f->seg + i * f->width, &s.sel, sizeof(s.sel));
	}
	return copy(t, (u32)t->old_tr.base + f->ip, part + f->ip,
		    (u32)(f->seg + f->nr_segs * f->width - f->ip), ACCESS_WRITE);
}

/* Steps 8 to 12 in memory, and the new state out of it, which may be the old one */
static bool hand_over(struct task *t)
{
	u8 idle = (u8)(t->old_tr.attr & ~BUSY), busy = (u8)(t->new_tr.attr | BUSY);
	u16 link = t->old_tr.sel;
	t->new_tr.attr |= (u32)BUSY;
	return save(t) && copy(t, t->old_at + TYPE_BYTE, &idle, !is_nested(t), ACCESS_WRITE) &&
	       copy(t, (u32)t->new_tr.base, &link, is_nested(t) ? sizeof(link) : 0, ACCESS_WRITE) &&
	       copy(t, t->new_at + TYPE_BYTE, &busy, 1, ACCESS_WRITE) &&
	       copy(t, (u32)t->new_tr.base, t->image, t->to->len, ACCESS_READ);
}

/* A task's address space is its own only if there is paging, and a place for it in the TSS */
static bool load_cr3(struct task *t)
{
	struct vcpu *v = t->v;
	u64 cr3 = field(t, TSS_CR3);
	if (t->to == &tss_16 || !(t->paging.cr0 & CR0_PG)) {
		return true;
	}
	if (t->paging.cr4 & CR4_PAE && !cr3_load_pdptes(v, cr3)) {
		return refuse(t, VEC_TS, t->new_tr.sel);
	}
	v->ops->set(v, VREG_CR3, cr3);
	v->ops->flush(v);
	t->paging.cr3 = cr3;
	return true;
}

static u16 selector(const struct task *t, enum seg s)
{
	if (s == SEG_LDTR) {
		return (u16)field(t, t->to->ldt);
	}
	return s < t->to->nr_segs ? (u16)field(t, t->to->seg + (u32)s * t->to->width) : 0;
}

/*
 * Registers, and selectors without their descriptors: what a handler finds that is called because one of
 * them cannot be loaded. CS is such that it can run.
 */
static void load_registers(struct task *t)
{
	struct vcpu *v = t->v;
	u32 flags = field(t, t->to->ip + t->to->width);
	bool is_v86 = flags & RFLAGS_VM;
	t->cpl = is_v86 ? 3 : selector(t, SEG_CS) & 3;
	v->ops->set(v, VREG_RIP, field(t, t->to->ip));
	v->ops->set(v, VREG_RFLAGS, (flags & FLAGS_MASK) | RFLAGS_FIXED1 | (is_nested(t) ? RFLAGS_NT : 0));
	for (u32 i = 0; i < 8; i++) {
		vcpu_set_gpr(v, i, field(t, t->to->gpr + i * t->to->width));
	}
	u32 code = (u32)(SEG_P | SEG_S | BITS(1, 0) | BIT(3)), dpl = (u32)t->cpl << 5;
	for (enum seg s = SEG_ES; s <= SEG_LDTR; s++) {
		u16 sel = selector(t, s);
		struct segment seg = { .sel = sel, .limit = 0xffff };
		bool is_8086 = is_v86 && s != SEG_LDTR;
		seg.base = is_8086 ? (u32)sel << 4 : 0;
		seg.attr = is_8086 ? 0xf3 : dpl | (s == SEG_CS ? code : (u32)SEG_UNUSABLE);
		v->ops->set_seg(v, s, &seg);
	}
	v->ops->set_seg(v, SEG_TR, &t->new_tr);
	v->ops->set(v, VREG_CR0, t->paging.cr0 | CR0_TS);
	v->ops->set(v, VREG_DR7, v->ops->get(v, VREG_DR7) & ~DR7_LOCAL);
	v->ops->set(v, VREG_INT_SHADOW, 0);
}

static bool is_type_ok(const struct task *t, enum seg s, const struct segment *seg)
{
	u8 dpl = (u8)field_get(SEG_DPL, seg->attr), rpl = seg->sel & 3, type = seg->attr & SEG_TYPE;
	bool is_code = type & 8, is_rw = type & 2, is_conforming = is_code && type & 4;
	if (s == SEG_LDTR) {
		return (seg->attr & (SEG_P | SEG_S | SEG_TYPE)) == (SEG_P | TYPE_LDT);
	}
	return seg->attr & SEG_S &&
	       (s == SEG_CS ? is_code && (is_conforming ? dpl <= rpl : dpl == rpl) :
		s == SEG_SS ? !is_code && is_rw && dpl == t->cpl && rpl == t->cpl :
			      (!is_code || is_rw) && (is_conforming || dpl >= MAX(rpl, t->cpl)));
}

/*
 * SDM 3A table 7-1: type and privilege are #TS, absence is #NP, or #SS for the stack. An LDT in the LDT
 * is none: LDTR is not usable before it is loaded.
 */
static bool load_segment(struct task *t, enum seg s)
{
	struct segment seg;
	u16 sel = selector(t, s);
	u32 at;
	if (!(sel & ~3u) && s != SEG_CS && s != SEG_SS) {
		return true;
	}
	if (!descriptor(t, sel, &seg, &at)) {
		return false;
	}
	if (!is_type_ok(t, s, &seg)) {
		return refuse(t, VEC_TS, sel);
	}
	if (!(seg.attr & SEG_P)) {
		return refuse(t, s == SEG_SS ? VEC_SS : VEC_NP, sel);
	}
	bool is_fresh = s != SEG_LDTR && !(seg.attr & ACCESSED);
	seg.attr |= is_fresh ? (u32)ACCESSED : 0;
	t->v->ops->set_seg(t->v, s, &seg);
	return copy(t, at + TYPE_BYTE, &(u8){ (u8)seg.attr }, is_fresh, ACCESS_WRITE);
}

static bool load_segments(struct task *t)
{
	static const u8 order[] = { SEG_LDTR, SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS };
	bool is_v86 = t->v->ops->get(t->v, VREG_RFLAGS) & RFLAGS_VM, ok = true;
	for (u32 i = 0; i < (is_v86 ? 1 : ARRAY_SIZE(order)) && ok; i++) {
		ok = load_segment(t, order[i]);
	}
	return ok;
}

/* An exception's error code goes on the new task's stack */
static bool push_error(struct task *t)
{
	struct vcpu *v = t->v;
	struct event fault;
	struct segment ss;
	u64 lin;
	if (t->e->task.source != BY_GATE || !t->e->vectoring.has_error) {
		return true;
	}
	paging_read(v, &t->paging);
	v->ops->get_seg(v, SEG_SS, &ss);
	u64 old = v->ops->get(v, VREG_RSP), mask = ss.attr & SEG_DB ? UINT32_MAX : UINT16_MAX;
	u64 sp = (old - t->to->width) & mask;
	u32 error = t->e->vectoring.error;
	if (!seg_linear(v, &t->paging, SEG_SS, sp, t->to->width, ACCESS_WRITE, &lin, &fault)) {
		t->d = verdict_event(&fault, 0);
		return false;
	}
	v->ops->set(v, VREG_RSP, (old & ~mask) | sp);
	return copy(t, (u32)lin, &error, t->to->width, ACCESS_WRITE);
}

struct verdict task_switch(struct vcpu *v, const struct exit *e)
{
	const struct event *why = &e->vectoring;
	bool is_soft = why->type == EVENT_SOFTINT || why->type == EVENT_SOFTEXC;
	struct task t = { .v = v, .e = e, .ext = e->task.source == BY_GATE && !is_soft };
	if (!check(&t) || !hand_over(&t)) {
		return t.d;
	}
	if (e->task.source == BY_IRET || why->type == EVENT_NMI) {
		v->ops->set(v, VREG_NMI_BLOCKED, e->task.source != BY_IRET);
	}
	load_registers(&t);
	if (!load_cr3(&t) || !load_segments(&t) || !push_error(&t)) {
		return t.d;
	}
	debug_trap(v, 0, t.to == &tss_32 && t.image[TSS_T] & 1 ? DR6_BT : 0);
	return verdict(V_SWITCHED);
}
