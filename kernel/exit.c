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

/* Applications have no business here */
static struct verdict exit_hypercall(struct vcpu *v, const struct exit *e)
{
	if (backend_get(v, VREG_CPL)) {
		return VERDICT_UD;
	}
	if (exit_quick(v, e)) {
		return verdict(V_ADVANCE);
	}
	hypercall(v); /* HC_YIELD */
	return verdict(V_YIELD);
}

static struct verdict exit_xsetbv(struct vcpu *v, const struct exit *e)
{
	if (exit_quick(v, e)) {
		return verdict(V_ADVANCE);
	}
	return backend_get(v, VREG_CR4) & CR4_OSXSAVE ? VERDICT_GP : VERDICT_UD;
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

static struct verdict decide(struct vcpu *v, const struct exit *e)
{
	switch (e->kind) {
	case EXIT_INTERRUPT:
	case EXIT_TIMER:
	case EXIT_NMI_WINDOW:
	case EXIT_NMI: /* the run loop sees to the host's side */
	case EXIT_INIT:
	case EXIT_SIPI: return verdict(V_RESUME);
	case EXIT_WINDOW:
	case EXIT_TPR:
	case EXIT_APIC_WRITE:
	case EXIT_EOI: (void)exit_quick(v, e); return verdict(V_RESUME);
	case EXIT_CPUID:
	case EXIT_CACHE:
	case EXIT_RDMSR:
	case EXIT_WRMSR: return exit_quick(v, e) ? verdict(V_ADVANCE) : VERDICT_GP;
	case EXIT_XSETBV: return exit_xsetbv(v, e);
	case EXIT_PIO: return exit_pio(v, e);
	case EXIT_MMIO: return exit_mmio(v, e);
	case EXIT_HLT: return verdict(V_BLOCK);
	case EXIT_HYPERCALL: return exit_hypercall(v, e);
	case EXIT_CR: return exit_cr(v, e);
	case EXIT_EXCEPTION: return verdict_event(&e->event, 0);
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

static noinline bool measure(struct vcpu *v, struct exit *e, struct verdict *d)
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
	return e->insn_len || !(EXITS_MEASURED >> e->kind & 1) || measure(v, e, d);
}

struct verdict exit_handle(struct vcpu *v, const struct exit *e)
{
	struct verdict d = decide(v, e);
	if (partition_has_end(v->part) && d.kind != V_KILL) {
		d.kind = V_END;
	}
	return d;
}
