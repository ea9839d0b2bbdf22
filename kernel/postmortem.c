/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is left of a partition that had to die, on the log: why, registers, segments, code bytes and the
 * last exits, so that nobody has to reproduce it first. Reads only. Pure.
 */
#include "kernel/exit.h"
#include "kernel/walk.h"
#include "lib/lib.h"
#include "log.h"

static const char *const kind_names[] = {
	[EXIT_INTERRUPT] = "interrupt",	      [EXIT_TIMER] = "timer",
	[EXIT_WINDOW] = "window",	      [EXIT_NMI_WINDOW] = "nmi-window",
	[EXIT_NMI] = "nmi",		      [EXIT_CPUID] = "cpuid",
	[EXIT_PIO] = "pio",		      [EXIT_RDMSR] = "rdmsr",
	[EXIT_WRMSR] = "wrmsr",		      [EXIT_MMIO] = "mmio",
	[EXIT_HLT] = "hlt",		      [EXIT_HYPERCALL] = "hypercall",
	[EXIT_CR] = "cr",		      [EXIT_EXCEPTION] = "exception",
	[EXIT_XSETBV] = "xsetbv",	      [EXIT_CACHE] = "cache",
	[EXIT_PAUSE] = "pause",		      [EXIT_UNDEFINED] = "undefined",
	[EXIT_RDPMC] = "rdpmc",		      [EXIT_TASK_SWITCH] = "task-switch",
	[EXIT_TRIPLE_FAULT] = "triple-fault", [EXIT_INIT] = "init",
	[EXIT_SIPI] = "sipi",		      [EXIT_MACHINE_CHECK] = "machine-check",
	[EXIT_ENTRY_FAILED] = "entry-failed", [EXIT_MISCONFIG] = "misconfig",
	[EXIT_TPR] = "tpr",		      [EXIT_EOI] = "eoi",
	[EXIT_APIC_WRITE] = "apic-write",     [EXIT_UNEXPECTED] = "unexpected",
};
static_assert(ARRAY_SIZE(kind_names) == NR_EXIT_KINDS, "a name for each kind");

const char *exit_kind_name(u32 kind)
{
	return kind < NR_EXIT_KINDS ? kind_names[kind] : "?";
}

#define REGISTER_LINES 5

static void dump_registers(struct vcpu *v, u32 line)
{
	const char *n = v->part->cfg->name;
	const u64 *r = v->regs;
	switch (line) {
	case 0:
		log("[%s] rax=%016lx rbx=%016lx rcx=%016lx rdx=%016lx", n, r[GPR_RAX], r[GPR_RBX], r[GPR_RCX],
		    r[GPR_RDX]);
		break;
	case 1:
		log("[%s] rsi=%016lx rdi=%016lx rbp=%016lx rsp=%016lx", n, r[GPR_RSI], r[GPR_RDI], r[GPR_RBP],
		    v->ops->get(v, VREG_RSP));
		break;
	case 2:
		log("[%s] r8 =%016lx r9 =%016lx r10=%016lx r11=%016lx", n, r[GPR_R8], r[GPR_R9], r[GPR_R10],
		    r[GPR_R11]);
		break;
	case 3:
		log("[%s] r12=%016lx r13=%016lx r14=%016lx r15=%016lx", n, r[GPR_R12], r[GPR_R13], r[GPR_R14],
		    r[GPR_R15]);
		break;
	default:
		log("[%s] cr0=%lx cr2=%lx cr3=%lx cr4=%lx efer=%lx rflags=%lx", n, v->ops->get(v, VREG_CR0),
		    v->ops->get(v, VREG_CR2), v->ops->get(v, VREG_CR3), v->ops->get(v, VREG_CR4),
		    v->ops->get(v, VREG_EFER), v->ops->get(v, VREG_RFLAGS));
	}
}

static void dump_segment(struct vcpu *v, u32 s)
{
	static const char *const names[NR_SEGS] = { "es", "cs",	  "ss", "ds",	"fs",
						    "gs", "ldtr", "tr", "gdtr", "idtr" };
	struct segment seg;
	v->ops->get_seg(v, s, &seg);
	log("[%s] %-4s sel=%04x base=%016lx limit=%08x attr=%05x", v->part->cfg->name, names[s], seg.sel, seg.base,
	    seg.limit, seg.attr);
}

static void dump_code(struct vcpu *v)
{
	u8 bytes[15];
	char text[3 * sizeof(bytes) + 1] = "";
	struct paging paging;
	struct event fault;
	paging_read(v, &paging);
	u32 n = fetch_insn(v, &v->part->mem, &paging, bytes, &fault);
	for (u32 i = 0; i < n; i++) {
		format(text + 3 * i, 4, "%02x ", bytes[i]);
	}
	log("[%s] code: %s", v->part->cfg->name, n ? text : "not readable");
}

static void dump_exit(struct vcpu *v, u32 n)
{
	u64 nr = MIN(v->nr_exits, NR_EXITS_KEPT), i = v->nr_exits - nr + n;
	const struct exit *t = &v->exits[i % NR_EXITS_KEPT];
	if (n < nr) {
		log("[%s] exit -%lu %s reason=0x%x info=0x%lx rip=0x%lx", v->part->cfg->name, v->nr_exits - i,
		    exit_kind_name(t->kind), t->reason, t->info[0], t->rip);
	}
}

static void dump_head(struct vcpu *v, const struct exit *e)
{
	log("[%s] post-mortem: exit %s reason=0x%x info=0x%lx,0x%lx rip=0x%lx exits=%lu",
	    v->part->cfg->name, exit_kind_name(e->kind), e->reason, e->info[0], e->info[1], e->rip,
	    v->nr_exits);
	if (e->vectoring.type != EVENT_NONE) {
		log("[%s] during delivery of type=%u vector=%u error=0x%x", v->part->cfg->name,
		    (u32)e->vectoring.type, e->vectoring.vector, e->vectoring.error);
	}
}

bool postmortem_piece(struct vcpu *v, const struct exit *e, u32 n)
{
	enum { REGISTERS = 1, SEGMENTS = REGISTERS + REGISTER_LINES, CODE = SEGMENTS + NR_SEGS, EXITS,
	       BACKEND = EXITS + NR_EXITS_KEPT };
	if (n < REGISTERS) {
		dump_head(v, e);
	} else if (n < SEGMENTS) {
		dump_registers(v, n - REGISTERS);
	} else if (n < CODE) {
		dump_segment(v, n - SEGMENTS);
	} else if (n < EXITS) {
		dump_code(v);
	} else if (n < BACKEND) {
		dump_exit(v, n - EXITS);
	} else {
		v->ops->dump(v);
	}
	return n < BACKEND;
}

void postmortem(struct vcpu *v, const struct exit *e)
{
	for (u32 n = 0; postmortem_piece(v, e, n); n++) {
	}
}
