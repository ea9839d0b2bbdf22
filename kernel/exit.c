/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One exit, one decision: a flat switch over the neutral kinds. Knows the partition and its devices;
 * must not know VMCS or VMCB. Called by the run loop; scripted by test's fake backend.
 */
#include "kernel/backend.h"
#include "kernel/debug.h"
#include "kernel/emulate.h"
#include "kernel/exit.h"
#include "kernel/hypercall.h"
#include "kernel/testdev.h"
#include "kernel/task_switch.h"
#include "x86/regs.h"

static struct emu emu_of(struct vcpu *v)
{
	struct partition *p = v->part;
	return (struct emu){ .v = v, .mem = &p->mem, .mmio = &core_of(v)->mmio,
			     .ports = &p->pc.ports, .insns = &core_of(v)->insns, .pkru = p->host->pkru,
			     .tsc = p->host->tsc };
}

static u64 read_edx_eax(const struct vcpu *v)
{
	return v->regs[GPR_RDX] << 32 | (u32)v->regs[GPR_RAX];
}

static const struct cpuid_env *cpuid_env_of(struct vcpu *v)
{
	struct core *c = core_of(v);
	c->cpuid.cr4 = backend_get(v, VREG_CR4);
	c->cpuid.xcr0 = v->part->host->xgetbv0();
	c->cpuid.apic_base = c->lapic.apic_base;
	return &c->cpuid;
}

/* Leaves that tell of CR4, XCR0 or APIC_BASE as they are now */
static bool shows_state(u32 leaf)
{
	return leaf == 1 || leaf == 7 || leaf == 0xd || leaf == 0x80000001;
}

static noinline void do_cpuid(struct vcpu *v)
{
	u32 out[4], leaf = (u32)v->regs[GPR_RAX];
	const struct cpuid_env *env = shows_state(leaf) ? cpuid_env_of(v) : &core_of(v)->cpuid;
	cpuid_emulate(env, leaf, (u32)v->regs[GPR_RCX], out);
	static const u8 target[] = { GPR_RAX, GPR_RBX, GPR_RCX, GPR_RDX };
	for (u32 i = 0; i < ARRAY_SIZE(target); i++) {
		v->regs[target[i]] = out[i];
	}
}

static struct msr_env msr_env_of(struct vcpu *v)
{
	struct core *c = core_of(v);
	return (struct msr_env){ .v = v, .state = &c->msrs, .apic = &c->lapic,
				 .cpuid = &c->cpuid, .host_tsc = v->part->host->tsc() };
}

static noinline bool do_rdmsr(struct vcpu *v)
{
	struct msr_env env = msr_env_of(v);
	u64 value = 0;
	if (!msr_read(&env, (u32)v->regs[GPR_RCX], &value)) {
		return false;
	}
	v->regs[GPR_RAX] = (u32)value;
	v->regs[GPR_RDX] = value >> 32;
	return true;
}

static void lapic_touched(struct core *c)
{
	if (c->lapic.deadline_ns != c->lapic_due_ns) {
		c->due_tsc = 0; /* find out */
	}
}

static noinline bool do_wrmsr(struct vcpu *v)
{
	struct msr_env env = msr_env_of(v);
	bool is_ok = msr_write(&env, (u32)v->regs[GPR_RCX], read_edx_eax(v));
	lapic_touched(core_of(v));
	return is_ok;
}

/* The CPU has done the instruction, and moved RIP: what it leaves to us */
static struct verdict exit_apic_write(struct vcpu *v, const struct exit *e)
{
	vlapic_written(&core_of(v)->lapic, e->apic_offset);
	lapic_touched(core_of(v));
	return verdict(V_RESUME);
}

static struct verdict exit_eoi(struct vcpu *v, const struct exit *e)
{
	vlapic_eoi_done(&core_of(v)->lapic, e->vector);
	return verdict(V_RESUME);
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

static bool is_user(struct vcpu *v)
{
	struct segment ss;
	v->ops->get_seg(v, SEG_SS, &ss);
	return ss.attr & SEG_DPL;
}

/* Bochs as an SVM host exits before it looks at CPL, so it is looked at here */
static struct verdict exit_xsetbv(struct vcpu *v)
{
	struct partition *p = v->part;
	u64 value = read_edx_eax(v);
	if (is_user(v) || (u32)v->regs[GPR_RCX] != 0 ||
	    !xcr0_is_valid(value, cpuid_guest_xcr0_mask(cpuid_env_of(v)))) {
		return VERDICT_GP;
	}
	v->xcr0 = value;
	p->host->xsetbv0(value);
	return verdict(V_ADVANCE);
}

static struct verdict exit_hypercall(struct vcpu *v)
{
	if (is_user(v)) {
		return VERDICT_UD; /* applications have no business here */
	}
	return hypercall(v);
}

static struct verdict exit_mmio(struct vcpu *v, const struct exit *e)
{
	struct emu emu = emu_of(v);
	if (testdev_remap(v->part, e->mmio.addr)) {
		return verdict(V_RESUME); /* what the exit cut short is done again, an event's delivery too */
	}
	if (e->vectoring.type != EVENT_NONE) {
		/* the instruction at RIP is not what touched it */
		return verdict_kill(HEALTH_VIOLATION, "event delivery touched what is not memory");
	}
	struct verdict d = emulate_mmio(&emu, &e->mmio);
	pc_touched(core_of(v));
	return d;
}

static struct verdict exit_pio(struct vcpu *v, const struct exit *e)
{
	struct emu emu = emu_of(v);
	struct verdict d = emulate_pio(&emu, e);
	pc_touched(core_of(v));
	return d;
}

static noinline bool do_in_out(struct vcpu *v, const struct exit *e)
{
	if (e->pio.is_string || !e->insn_len || debug_is_watching(v)) {
		return false;
	}
	emulate_in_out(v, &v->part->pc.ports, &e->pio);
	pc_touched(core_of(v));
	return true;
}

/* A verdict is large, and copied some times: most exits do without one */
bool exit_quick(struct vcpu *v, const struct exit *e)
{
	switch (e->kind) {
	case EXIT_CPUID: do_cpuid(v); return true;
	case EXIT_PIO: return do_in_out(v, e);
	case EXIT_RDMSR: return do_rdmsr(v);
	case EXIT_WRMSR: return do_wrmsr(v);
	case EXIT_CACHE: return true; /* guest memory is coherent: no device DMAs */
	default: return false;
	}
}

static struct verdict decide(struct vcpu *v, const struct exit *e)
{
	switch (e->kind) {
	case EXIT_INTERRUPT:
	case EXIT_TIMER:
	case EXIT_WINDOW:
	case EXIT_NMI_WINDOW:
	case EXIT_TPR: /* vcpu_prepare() looks again */
	case EXIT_NMI: /* the run loop sees to the host's side */
	case EXIT_INIT:
	case EXIT_SIPI: return verdict(V_RESUME);
	case EXIT_CPUID:
	case EXIT_CACHE:
	case EXIT_RDMSR:
	case EXIT_WRMSR: return exit_quick(v, e) ? verdict(V_ADVANCE) : VERDICT_GP;
	case EXIT_PIO: return exit_pio(v, e);
	case EXIT_MMIO: return exit_mmio(v, e);
	case EXIT_APIC_WRITE: return exit_apic_write(v, e);
	case EXIT_EOI: return exit_eoi(v, e);
	case EXIT_HLT: return verdict(V_BLOCK);
	case EXIT_HYPERCALL: return exit_hypercall(v);
	case EXIT_CR: return exit_cr(v, e);
	case EXIT_EXCEPTION: return verdict_event(&e->event, 0);
	case EXIT_XSETBV: return exit_xsetbv(v);
	case EXIT_PAUSE: return verdict(V_YIELD);
	case EXIT_UNDEFINED: return VERDICT_UD;
	case EXIT_RDPMC: return VERDICT_GP; /* no counter is offered */
	case EXIT_TASK_SWITCH: return task_switch(v, e);
	case EXIT_TRIPLE_FAULT: return verdict_kill(HEALTH_TRIPLE_FAULT, "triple fault");
	case EXIT_MACHINE_CHECK: return verdict_kill(HEALTH_MACHINE_CHECK, "machine check");
	case EXIT_ENTRY_FAILED: return verdict_kill(HEALTH_UNHANDLED, "guest state refused by the CPU");
	case EXIT_MISCONFIG: return verdict_kill(HEALTH_UNHANDLED, "second-level table misconfigured");
	case EXIT_UNEXPECTED:
	case NR_EXIT_KINDS: break;
	}
	return verdict_kill(HEALTH_UNHANDLED, "unexpected exit");
}

/* Kinds whose handler looks at registers only; others decode for themselves, or move no RIP */
#define MEASURED (BIT(EXIT_CPUID) | BIT(EXIT_RDMSR) | BIT(EXIT_WRMSR) | BIT(EXIT_HLT) | \
		  BIT(EXIT_HYPERCALL) | BIT(EXIT_XSETBV) | BIT(EXIT_CACHE) | BIT(EXIT_PAUSE))

static bool measure(struct vcpu *v, struct exit *e, struct verdict *d)
{
	struct insn insn;
	struct event fault;
	struct emu emu = emu_of(v);
	e->insn_len = (u8)emulate_length(&emu, OP_NONE, &insn, &fault);
	*d = fault.type == EVENT_NONE ? VERDICT_UD : verdict_event(&fault, e->rip);
	return e->insn_len;
}

bool exit_measure(struct vcpu *v, struct exit *e, struct verdict *d)
{
	if (e->insn_len || !(MEASURED >> e->kind & 1)) {
		return true;
	}
	e->insn_len = (u8)emulate_known_length(v, &core_of(v)->insns, e->rip);
	return e->insn_len || measure(v, e, d);
}

struct verdict exit_handle(struct vcpu *v, const struct exit *e)
{
	struct verdict d = decide(v, e);
	if (partition_has_end(v->part) && d.kind != V_KILL) {
		d.kind = V_END;
	}
	return d;
}
