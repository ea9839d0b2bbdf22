/* SPDX-License-Identifier: BSD-2-Clause */
/* The scripted backend; see fake.h. */
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "x86/regs.h"

struct fake *fake_of(struct vcpu *v)
{
	return v->hw;
}

static u32 fake_probe(struct feature *out, u32 max)
{
	if (max > 0) {
		out[0] = (struct feature){ .name = "fake", .is_present = true };
	}
	return max > 0;
}

static enum status fake_cpu_on(struct page_source *pages)
{
	(void)pages;
	return STATUS_OK;
}

static enum status fake_vcpu_init(struct vcpu *v, const struct vcpu_params *p)
{
	(void)p;
	struct fake *f = v->hw ? v->hw : malloc(sizeof(*f));
	memset(f, 0, sizeof(*f));
	f->reg[VREG_CR0] = CR0_ET;
	f->reg[VREG_RIP] = 0xfff0;
	f->reg[VREG_RFLAGS] = RFLAGS_FIXED1;
	for (u32 s = 0; s < NR_SEGS; s++) {
		f->seg[s] = (struct segment){ .limit = 0xffff, .attr = 0x93 };
	}
	v->hw = f;
	return STATUS_OK;
}

static void fake_switch(struct vcpu *v)
{
	(void)v;
}

static void fake_enter(struct vcpu *v, struct exit *e)
{
	struct fake *f = fake_of(v);
	*e = (struct exit){ .kind = EXIT_UNEXPECTED };
	if (f->at < f->nr_script) {
		*e = f->script[f->at++];
	}
	if (e->kind == EXIT_WINDOW) {
		f->wants_window = false;
	}
	e->rip = f->reg[VREG_RIP];
}

static u64 fake_get(struct vcpu *v, enum vreg r)
{
	const struct fake *f = fake_of(v);
	u32 attr = f->seg[SEG_CS].attr;
	if (r == VREG_CODE_SIZE) {
		return attr & SEG_L && f->reg[VREG_EFER] & EFER_LMA ? 8 : attr & SEG_DB ? 4 : 2;
	}
	return r == VREG_CPL ? field_get(SEG_DPL, f->seg[SEG_SS].attr) : f->reg[r];
}

void fake_set_raw(struct vcpu *v, enum vreg r, u64 value)
{
	fake_of(v)->reg[r] = value;
}

static void fake_set(struct vcpu *v, enum vreg r, u64 value)
{
	struct fake *f = fake_of(v);
	f->reg[r] = value;
	bool is_long = (f->reg[VREG_EFER] & EFER_LME) && (f->reg[VREG_CR0] & CR0_PG);
	f->reg[VREG_EFER] = (f->reg[VREG_EFER] & ~EFER_LMA) | (is_long ? EFER_LMA : 0);
}

static void fake_get_seg(struct vcpu *v, enum seg s, struct segment *out)
{
	*out = fake_of(v)->seg[s];
}

static void fake_set_seg(struct vcpu *v, enum seg s, const struct segment *in)
{
	fake_of(v)->seg[s] = *in;
}

static u64 fake_skip(struct vcpu *v, u64 rip, u32 len)
{
	struct fake *f = fake_of(v);
	u64 rflags = f->reg[VREG_RFLAGS];
	f->reg[VREG_RIP] = f->seg[SEG_CS].attr & SEG_L ? rip + len : (u32)(rip + len);
	f->reg[VREG_INT_SHADOW] = 0;
	f->reg[VREG_RFLAGS] = rflags & ~RFLAGS_RF;
	return rflags;
}

static void fake_inject(struct vcpu *v, const struct event *e)
{
	struct fake *f = fake_of(v);
	f->injected[f->nr_injected++ % FAKE_MAX_INJECTED] = *e;
}

static void fake_window(struct vcpu *v, bool nmi)
{
	struct fake *f = fake_of(v);
	if (nmi) {
		f->wants_nmi_window = true;
	} else {
		f->wants_window = true;
	}
}

static void fake_flush(struct vcpu *v)
{
	fake_of(v)->nr_flushes++;
}

static void fake_dump(struct vcpu *v)
{
	fake_of(v)->nr_dumps++;
}

static void fake_apic(struct vcpu *v, const struct apic_view *view)
{
	fake_of(v)->view = *view;
	fake_of(v)->nr_views++;
}

static void fake_request(struct vcpu *v, u8 vector)
{
	fake_of(v)->view.requested = MAX(fake_of(v)->view.requested, vector);
	fake_of(v)->nr_views++;
}

static enum status serving_vcpu_init(struct vcpu *v, const struct vcpu_params *p)
{
	v->has_apic = true;
	return fake_vcpu_init(v, p);
}

static enum status delivering_vcpu_init(struct vcpu *v, const struct vcpu_params *p)
{
	v->delivers_irqs = true;
	return serving_vcpu_init(v, p);
}

/* As AVIC: only in xAPIC mode */
static void switching_apic(struct vcpu *v, const struct apic_view *view)
{
	v->delivers_irqs = view->mode == APIC_XAPIC;
	fake_apic(v, view);
}

#define FAKE_OPS(init_function, apic_function)                                              \
	{                                                                                       \
		.name = "fake", .probe = fake_probe, .cpu_on = fake_cpu_on,                     \
		.vcpu_init = init_function, .load = fake_switch, .put = fake_switch,            \
		.enter = fake_enter, .get = fake_get, .set = fake_set, .get_seg = fake_get_seg, \
		.set_seg = fake_set_seg, .skip = fake_skip, .inject = fake_inject,              \
		.window = fake_window, .flush = fake_flush, .dump = fake_dump,                  \
		.apic = apic_function, .request = fake_request,                                                          \
	}
const struct vcpu_ops fake_ops = FAKE_OPS(fake_vcpu_init, NULL);
const struct vcpu_ops fake_serving_ops = FAKE_OPS(serving_vcpu_init, fake_apic);
const struct vcpu_ops fake_delivering_ops = FAKE_OPS(delivering_vcpu_init, fake_apic);
const struct vcpu_ops fake_switching_ops = FAKE_OPS(serving_vcpu_init, switching_apic);
