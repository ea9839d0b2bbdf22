/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shortest way through an exit: what most exits want is done here, and the guest entered again, without a
 * verdict and without the run loop. Once for each backend, with its constants. What is rare is a function of its
 * own, for which the others save no registers. Called by vcpu_step().
 */
#include "abi/hypercall.h"
#include "kernel/backend.h"
#include "kernel/debug.h"
#include "kernel/exit.h"
#include "kernel/hypercall.h"
#include "kernel/insn_cache.h"
#include "x86/regs.h"

/*
 * How far exit_quick() came: nowhere, so that nothing has changed; done, with nothing that could be due for delivery;
 * done; done, and RIP stays, since the CPU has moved it itself
 */
enum quick { QUICK_NOT, QUICK_LOOKED, QUICK_DONE, QUICK_STAYED };

static u64 read_edx_eax(const struct vcpu *v)
{
	return v->regs[GPR_RDX] << 32 | (u32)v->regs[GPR_RAX];
}

static always_inline void put_cpuid(struct vcpu *v, const u32 out[4])
{
	v->regs[GPR_RAX] = out[0];
	v->regs[GPR_RBX] = out[1];
	v->regs[GPR_RCX] = out[2];
	v->regs[GPR_RDX] = out[3];
}

static noinline void cpuid_changing(struct vcpu *v, u32 leaf)
{
	struct core *c = core_of(v);
	u32 out[4];
	c->cpuid.cr4 = backend_get(v, VREG_CR4);
	c->cpuid.xcr0 = leaf == 0xd ? v->part->host->xgetbv0() : c->cpuid.xcr0;
	c->cpuid.apic_base = c->lapic.apic_base;
	cpuid_answer(&c->cpuid, leaf, (u32)v->regs[GPR_RCX], out);
	put_cpuid(v, out);
}

static always_inline void do_cpuid(struct vcpu *v)
{
	u32 leaf = (u32)v->regs[GPR_RAX];
	const u32 *out = cpuid_fixed(&core_of(v)->cpuid, leaf);
	if (!out) {
		cpuid_changing(v, leaf);
		return;
	}
	put_cpuid(v, out);
}

/* The local APIC's timer may expire by it */
static noinline enum quick do_rdmsr(struct vcpu *v)
{
	u64 value;
	if (!msr_read(&core_of(v)->msr, (u32)v->regs[GPR_RCX], &value)) {
		return QUICK_NOT;
	}
	v->regs[GPR_RAX] = (u32)value;
	v->regs[GPR_RDX] = value >> 32;
	return vlapic_has_request(&core_of(v)->lapic) ? QUICK_DONE : QUICK_LOOKED;
}

static noinline bool wrmsr_other(struct vcpu *v)
{
	return msr_write(&core_of(v)->msr, (u32)v->regs[GPR_RCX], read_edx_eax(v));
}

/* In x2APIC mode nearly all are the local APIC's: they go straight there */
static always_inline enum quick do_wrmsr(struct vcpu *v)
{
	struct core *c = core_of(v);
	u32 msr = (u32)v->regs[GPR_RCX];
	bool is_ok = msr_is_x2apic(msr) ? vlapic_wrmsr(&c->lapic, msr, read_edx_eax(v)) : wrmsr_other(v);
	core_lapic_touched(c);
	return is_ok ? QUICK_DONE : QUICK_NOT;
}

/* The CPU has done the instruction, and moved RIP: what it leaves to us */
static noinline enum quick do_apic_write(struct vcpu *v, const struct exit *e)
{
	vlapic_written(&core_of(v)->lapic, e->apic_offset);
	core_lapic_touched(core_of(v));
	return QUICK_STAYED;
}

/* SDM 2D "XSETBV": which combinations of bits XCR0 can hold */
static bool xcr0_is_valid(u64 value, u64 mask)
{
	const u64 avx512 = XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM;
	if ((value & ~mask) || !(value & XCR0_X87) || (value & (XCR0_AVX | XCR0_SSE)) == XCR0_AVX) {
		return false;
	}
	return !(value & avx512) || ((value & avx512) == avx512 && (value & XCR0_AVX));
}

/* Bochs as an SVM host exits before it looks at CPL, so it is looked at here */
static noinline enum quick do_xsetbv(struct vcpu *v)
{
	u64 value = read_edx_eax(v);
	if (backend_get(v, VREG_CPL) || (u32)v->regs[GPR_RCX] != 0 ||
	    !xcr0_is_valid(value, core_of(v)->cpuid.xcr0_mask)) {
		return QUICK_NOT;
	}
	v->xcr0 = value;
	v->part->host->xsetbv0(value);
	return QUICK_LOOKED;
}

/*
 * QEMU 10 as an SVM host exits before it looks whether the instruction faults: INVD and WBINVD by CPL, XSETBV by
 * CR4.OSXSAVE. Which fault it is says exit_handle().
 */
static always_inline bool is_faulty(enum backend b, struct vcpu *v, u32 kind)
{
	return b == BACKEND_SVM &&
	       (kind == EXIT_CACHE ? get_by(b, v, VREG_CPL) : !(get_by(b, v, VREG_CR4) & CR4_OSXSAVE));
}

static always_inline enum quick do_hypercall(enum backend b, struct vcpu *v)
{
	if (get_by(b, v, VREG_CPL)) {
		return QUICK_NOT;
	}
	if (!hypercall_is_known(v->regs[GPR_RAX])) {
		v->regs[GPR_RAX] = (u64)HC_ENOSYS;
		return QUICK_LOOKED;
	}
	if (v->regs[GPR_RAX] == HC_YIELD) {
		return QUICK_NOT;
	}
	hypercall(v);
	return QUICK_DONE;
}

static noinline void in_out_slow(struct vcpu *v, const struct exit_pio *pio)
{
	emulate_in_out(v, &v->part->pc.ports, pio);
	pc_touched(core_of(v));
}

/* @r is there. Where there are siblings there is a lock, and more to do. */
static always_inline void in_out(struct vcpu *v, const struct bus_range *r, const struct exit_pio *pio)
{
	struct pc *pc = &v->part->pc;
	u64 *rax = &v->regs[GPR_RAX], offset = pio->port - r->base;
	bool has_line = false;
	if (pc->ports.lock || !bus_is_whole(r, pio->port, pio->width)) {
		in_out_slow(v, pio);
		return;
	}
	if (pio->is_in) {
		*rax = reg_merge(*rax, r->ops->read(r->self, offset, pio->width), pio->width);
	} else {
		r->ops->write(r->self, offset, pio->width, *rax & width_mask(pio->width));
		has_line = pc->has_line;
	}
	if (r->deadline_ns && (*r->deadline_ns < pc->deadline_ns || has_line)) {
		pc_touched(core_of(v));
	}
}

static always_inline enum quick do_in_out(enum backend b, struct vcpu *v, const struct exit_pio *pio)
{
	const struct bus *ports = &v->part->pc.ports;
	const struct bus_range *r = bus_low(ports, pio->port);
	if (pio->is_string || get_by(b, v, VREG_DR7) & DR7_ENABLES) {
		return QUICK_NOT;
	}
	if (r) {
		in_out(v, r, pio);
		return QUICK_DONE;
	}
	if (ports->stray) {
		in_out_slow(v, pio);
		return QUICK_DONE;
	}
	if (pio->is_in) {
		v->regs[GPR_RAX] = reg_merge(v->regs[GPR_RAX], ~0ull, pio->width);
	}
	return QUICK_LOOKED;
}

/* Where RAM can be hidden, the access may be to that. Only the local APIC and devices with a deadline are timed. */
static noinline enum quick do_mmio(struct vcpu *v, struct exit *e)
{
	struct core *c = core_of(v);
	struct partition *p = v->part;
	const struct bus_range *r;
	const struct insn *in = p->cfg->has_test_device ? NULL : emulate_executed(v, &c->insns, e);
	if (!in || !emulate_mov(v, &c->mmio, in, e, &r)) {
		return QUICK_NOT;
	}
	e->insn_len = in->len;
	core_lapic_touched(c);
	if (r && r->deadline_ns && *r->deadline_ns < p->pc.deadline_ns) {
		pc_touched(c);
	}
	return r ? QUICK_DONE : QUICK_LOOKED;
}

/* Whatever is refused has changed nothing */
static noinline enum quick do_cr(struct vcpu *v, struct exit *e)
{
	struct verdict d = exit_cr(v, e);
	if (d.kind != V_ADVANCE) {
		return QUICK_NOT;
	}
	e->insn_len = d.insn_len;
	return QUICK_DONE;
}

/* The commonest first */
static always_inline enum quick handle(enum backend b, struct vcpu *v, const struct exit *e)
{
	switch (e->kind) {
	case EXIT_PIO: return b == BACKEND_VMX || e->insn_len ? do_in_out(b, v, &e->pio) : QUICK_NOT;
	case EXIT_CPUID: do_cpuid(v); return QUICK_LOOKED;
	case EXIT_RDMSR: return do_rdmsr(v);
	case EXIT_WRMSR: return do_wrmsr(v);
	case EXIT_HYPERCALL: return do_hypercall(b, v);
	/* guest memory is coherent: no device DMAs */
	case EXIT_CACHE: return is_faulty(b, v, EXIT_CACHE) ? QUICK_NOT : QUICK_LOOKED;
	case EXIT_XSETBV: return is_faulty(b, v, EXIT_XSETBV) ? QUICK_NOT : do_xsetbv(v);
	case EXIT_APIC_WRITE: return do_apic_write(v, e);
	case EXIT_EOI: vlapic_eoi_done(&core_of(v)->lapic, e->vector); return QUICK_STAYED;
	case EXIT_WINDOW:
	case EXIT_TPR: return QUICK_STAYED; /* vcpu_prepare() looks again */
	default: return QUICK_NOT;
	}
}

bool exit_quick(struct vcpu *v, const struct exit *e)
{
	return handle(backend_of(v), v, e) != QUICK_NOT;
}

/* Is the length known, or not needed? Hardware may not have said it, but it may be remembered. */
static always_inline bool is_measured(enum backend b, struct vcpu *v, struct exit *e)
{
	if (b == BACKEND_SVM && !e->insn_len && EXITS_MEASURED >> e->kind & 1) {
		const struct insn *in = insn_known(b, v, &core_of(v)->insns, e->rip);
		e->insn_len = in ? in->len : 0;
		return in;
	}
	return true;
}

/* What V_ADVANCE does */
static always_inline void pass(enum backend b, struct vcpu *v, const struct exit *e)
{
	u64 rflags = skip_by(b, v, e->rip, e->insn_len);
	if (rflags & RFLAGS_TF) {
		debug_trap(v, rflags, 0);
	}
}

/*
 * Nobody wants this CPU, and nothing is due. The end of the partition comes as a kick. AMD-V has no timer of its own;
 * the local APIC's interrupt would do, but Bochs 2.7 does not see it in a guest that exits all the time.
 */
static always_inline bool may_go_on(enum backend b, const struct core *c)
{
	return !__atomic_load_n(c->v.is_wanted, __ATOMIC_ACQUIRE) && c->due_tsc && !core_has_mail(c) &&
	       !is_late_by(b, &c->v);
}

/* Must vcpu_prepare() look? By what only looks nothing can have come up but TF's trap. */
static always_inline bool has_work(const struct vcpu *v, enum quick how)
{
	return how == QUICK_LOOKED ? v->pending.type != EVENT_NONE : !core_is_quiet((const struct core *)v);
}

/* Most, where the CPU serves the local APIC: a request for that and no more */
static always_inline void prepare(enum backend b, struct vcpu *v)
{
	struct core *c = core_of(v);
	bool is_short = b == BACKEND_VMX && v->delivers_irqs && !core_has_event(c);
	u8 vector = is_short ? vlapic_take_request(&c->lapic) : 0;
	if (vector) {
		v->ops->request(v, vector);
	} else {
		vcpu_prepare(v);
	}
}

static always_inline bool run(enum backend b, struct vcpu *v)
{
	enum quick how = QUICK_LOOKED;
	do {
		if (has_work(v, how)) {
			prepare(b, v);
		}
		struct exit *e = &v->exits[v->nr_exits++ % NR_EXITS_KEPT];
		__asm__("" : "+r"(e)); /* one pointer to keep, not what it is made of */
		enter_by(b, v, e);
		how = e->vectoring.type != EVENT_NONE || !is_measured(b, v, e) ? QUICK_NOT :
		      e->kind == EXIT_MMIO				       ? do_mmio(v, e) :
		      e->kind == EXIT_CR				       ? do_cr(v, e) :
										 handle(b, v, e);
		if (how == QUICK_NOT) {
			return true;
		}
		if (how != QUICK_STAYED) {
			pass(b, v, e);
		}
	} while (may_go_on(b, core_of(v)));
	return false;
}

static noinline bool run_vmx(struct vcpu *v)
{
	return run(BACKEND_VMX, v);
}

static noinline bool run_svm(struct vcpu *v)
{
	return run(BACKEND_SVM, v);
}

bool exit_run_quick(struct vcpu *v)
{
	return backend_of(v) == BACKEND_VMX ? run_vmx(v) : run_svm(v);
}
