/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an exit means: the table of basic reasons, qualifications to struct exit, and events in
 * both directions. Knows bit layouts, not where they were read. Pure; called by vmx.c.
 */
#include "vmx/vmx_room.h"
#include "x86/regs.h"

#define LEN  NEEDS_LEN
#define QUAL NEEDS_QUAL
#define VECT NEEDS_VECTORING
/* It exits whatever the controls are, or is not offered: to the guest there is no such thing. */
#define NOT_OFFERED(text) { text, EXIT_UNDEFINED, 0 }

/* Its control is never set, or we never enter that mode. */
#define NEVER_ASKED(text) { text, EXIT_UNEXPECTED, QUAL | VECT }

/* SDM 3D appendix C "VMX Basic Exit Reasons", whole */
const struct vmx_reason vmx_reasons[VMX_NR_REASONS] = {
	[0] = { "exception or NMI", EXIT_EXCEPTION, QUAL | NEEDS_INTR | VECT },
	[1] = { "external interrupt", EXIT_INTERRUPT, NEEDS_INTR },
	[2] = { "triple fault", EXIT_TRIPLE_FAULT, 0 },	[3] = { "INIT", EXIT_INIT, 0 },
	[4] = { "SIPI", EXIT_SIPI, QUAL },		[5 ... 6] = NEVER_ASKED("SMI"),
	[7] = { "interrupt window", EXIT_WINDOW, 0 },	[8] = { "NMI window", EXIT_NMI_WINDOW, 0 },
	[9] = { "task switch", EXIT_TASK_SWITCH, LEN | QUAL | VECT },
	[10] = { "CPUID", EXIT_CPUID, LEN },		[11] = NOT_OFFERED("GETSEC"),
	[12] = { "HLT", EXIT_HLT, LEN },		[13] = { "INVD", EXIT_CACHE, LEN },
	[14] = NEVER_ASKED("INVLPG"),			[15] = { "RDPMC", EXIT_RDPMC, LEN },
	[16 ... 17] = NEVER_ASKED("RDTSC, RSM"),	[18] = { "VMCALL", EXIT_HYPERCALL, LEN },
	[19 ... 27] = NOT_OFFERED("VMCLEAR to VMXON"),
	[28] = { "control register access", EXIT_CR, LEN | QUAL },
	[29] = NEVER_ASKED("MOV DR"),
	[30] = { "I/O instruction", EXIT_PIO, LEN | QUAL | NEEDS_INSN_INFO },
	[31] = { "RDMSR", EXIT_RDMSR, LEN },		[32] = { "WRMSR", EXIT_WRMSR, LEN },
	[33] = { "entry failure: guest state", EXIT_ENTRY_FAILED, QUAL },
	[34] = { "entry failure: MSR loading", EXIT_ENTRY_FAILED, QUAL },
	[35] = NEVER_ASKED("35"),			[36] = NOT_OFFERED("MWAIT"),
	[37 ... 38] = NEVER_ASKED("monitor trap flag"), [39] = NOT_OFFERED("MONITOR"),
	[40] = { "PAUSE", EXIT_PAUSE, LEN },
	[41] = { "machine check during entry", EXIT_MACHINE_CHECK, 0 },
	[42] = NEVER_ASKED("42"),			[43] = { "TPR below threshold", EXIT_TPR, 0 },
	[44] = { "APIC access", EXIT_MMIO, QUAL | VECT },
	[45] = { "virtualized EOI", EXIT_EOI, QUAL },
	[46 ... 47] = NEVER_ASKED("descriptor tables"),
	[48] = { "EPT violation", EXIT_MMIO, QUAL | NEEDS_PHYS | VECT },
	[49] = { "EPT misconfiguration", EXIT_MISCONFIG, NEEDS_PHYS | VECT },
	[50] = NOT_OFFERED("INVEPT"),			[51] = NEVER_ASKED("RDTSCP"),
	[52] = { "preemption timer", EXIT_TIMER, 0 },	[53] = NOT_OFFERED("INVVPID"),
	[54] = { "WBINVD", EXIT_CACHE, LEN },		[55] = { "XSETBV", EXIT_XSETBV, LEN },
	[56] = { "APIC write", EXIT_APIC_WRITE, QUAL },	[57] = NOT_OFFERED("RDRAND"),
	[58] = NEVER_ASKED("INVPCID"),			[59 ... 60] = NOT_OFFERED("VMFUNC, ENCLS"),
	[61] = NOT_OFFERED("RDSEED"),			[62] = NEVER_ASKED("PML full"),
	[63 ... 65] = NOT_OFFERED("XSAVES, XRSTORS, PCONFIG"), [66] = NEVER_ASKED("SPP"),
	[67 ... 70] = NOT_OFFERED("UMWAIT, TPAUSE, LOADIWKEY, ENCLV"), [71] = NEVER_ASKED("71"),
	[72 ... 73] = NOT_OFFERED("ENQCMD, ENQCMDS"),
	[74 ... 75] = NEVER_ASKED("bus lock, instruction timeout"),
	[76 ... 79] = NOT_OFFERED("SEAMCALL, TDCALL, RDMSRLIST, WRMSRLIST"),
};

const struct vmx_reason *vmx_reason(u32 reason)
{
	static const struct vmx_reason unknown = NEVER_ASKED("unknown");
	u64 basic = field_get(REASON_BASIC, reason);

	return basic < VMX_NR_REASONS ? &vmx_reasons[basic] : &unknown;
}

/* Types 1 and 7 are not used in what a CPU reports (SDM 3C 25.9.2, 25.9.3). */
static const u8 event_types[] = {
	[INTR_TYPE_EXTINT] = EVENT_EXTINT, [1] = EVENT_NONE,
	[INTR_TYPE_NMI] = EVENT_NMI,	   [INTR_TYPE_HWEXC] = EVENT_EXCEPTION,
	[INTR_TYPE_SWINT] = EVENT_SOFTINT, [INTR_TYPE_PRIV] = EVENT_SOFTEXC,
	[INTR_TYPE_SWEXC] = EVENT_SOFTEXC, [7] = EVENT_NONE,
};
static const u8 intr_types[] = {
	[EVENT_EXTINT] = INTR_TYPE_EXTINT,   [EVENT_NMI] = INTR_TYPE_NMI,
	[EVENT_EXCEPTION] = INTR_TYPE_HWEXC, [EVENT_SOFTINT] = INTR_TYPE_SWINT,
	[EVENT_SOFTEXC] = INTR_TYPE_SWEXC,
};

static struct event event_decode(u32 info, u32 error, u32 insn_len)
{
	enum event_type type = event_types[field_get(INTR_TYPE, info)];
	bool is_soft = type == EVENT_SOFTINT || type == EVENT_SOFTEXC;

	if (!(info & INTR_VALID)) {
		return (struct event){ .type = EVENT_NONE };
	}
	return (struct event){ .type = type,
			       .vector = (u8)field_get(INTR_VECTOR, info),
			       .has_error = info & INTR_ERROR,
			       .error = info & INTR_ERROR ? error : 0,
			       .insn_len = is_soft ? (u8)insn_len : 0 };
}

/*
 * INT1, alone of the software exceptions, has a type of its own: no privilege check on its gate. No
 * error code may be delivered in real mode, where the stack frame has no place for one either (SDM
 * 3C 27.2.1.3 "VM-Entry Control Fields").
 */
u32 vmx_event_encode(const struct event *e, bool has_pe)
{
	bool is_int1 = e->type == EVENT_SOFTEXC && e->vector == VEC_DB;
	u64 type = is_int1 ? INTR_TYPE_PRIV : intr_types[e->type];

	return (u32)field_set(INTR_TYPE, INTR_VALID | e->vector, type) |
	       (e->has_error && has_pe ? (u32)INTR_ERROR : 0);
}

void vmx_decode_pio(u64 qual, u32 insn_info, struct exit_pio *pio)
{
	pio->port = (u16)field_get(QUAL_IO_PORT, qual);
	pio->width = (u8)(field_get(QUAL_IO_SIZE, qual) + 1);
	pio->is_in = qual & QUAL_IO_IN;
	pio->is_string = qual & QUAL_IO_STRING;
	pio->is_rep = qual & QUAL_IO_REP;
	if (pio->is_string) {
		pio->addr_size = (u8)(2u << field_get(INSN_INFO_ADDR_SIZE, insn_info));
		/* INS leaves the segment undefined: it is ES always. */
		pio->seg = pio->is_in ? SEG_ES : (u8)field_get(INSN_INFO_SEG, insn_info);
	}
}

void vmx_decode_mmio(u64 qual, u64 phys, struct exit_mmio *mmio)
{
	mmio->addr = GPA(phys);
	mmio->is_write = qual & QUAL_EPT_WRITE;
	mmio->is_fetch = qual & QUAL_EPT_FETCH;
	mmio->is_walk = (qual & (QUAL_EPT_LINEAR | QUAL_EPT_FINAL)) == QUAL_EPT_LINEAR;
}

/* Accesses during an event's delivery have that event beside them; who fetches or walks there is like that too */
void vmx_decode_apic_access(u64 qual, u64 base, struct exit_mmio *mmio)
{
	u64 access = field_get(QUAL_APIC_ACCESS, qual);

	mmio->addr = GPA(base + field_get(QUAL_APIC_OFFSET, qual));
	mmio->is_write = access == APIC_LINEAR_WRITE;
	mmio->is_fetch = access == APIC_LINEAR_FETCH;
	mmio->is_walk = access == APIC_PHYS_FETCH;
}

static void decode_mmio(const struct vmx_raw *raw, struct exit_mmio *mmio)
{
	if (field_get(REASON_BASIC, raw->reason) == REASON_APIC_ACCESS) {
		vmx_decode_apic_access(raw->qual, raw->apic_base, mmio);
	} else {
		vmx_decode_mmio(raw->qual, raw->phys, mmio);
	}
}

/* Operand types in the order of the manual's encoding, SDM 3C table 28-3 */
static void decode_cr(u64 qual, struct exit_cr *cr)
{
	static const u8 ops[] = { CR_MOV_TO, CR_MOV_FROM, CR_CLTS, CR_LMSW };

	cr->num = (u8)field_get(QUAL_CR_NUM, qual);
	cr->op = ops[field_get(QUAL_CR_OP, qual)];
	cr->gpr = (u8)field_get(QUAL_CR_GPR, qual);
	cr->lmsw = (u16)field_get(QUAL_CR_LMSW, qual);
}

/* NMIs and machine checks are the host's, whoever was running */
static void decode_exception(const struct vmx_raw *raw, struct exit *e)
{
	e->event = event_decode(raw->intr_info, raw->intr_error, raw->insn_len);
	if (e->event.type == EVENT_NMI) {
		e->kind = EXIT_NMI;
	} else if (e->event.type == EVENT_EXCEPTION && e->event.vector == VEC_MC) {
		e->kind = EXIT_MACHINE_CHECK;
	}
}

void vmx_exit_decode(const struct vmx_raw *raw, struct exit *e)
{
	*e = (struct exit){
		.kind = vmx_reason(raw->reason)->kind,
		.insn_len = (u8)raw->insn_len,
		.reason = raw->reason,
		.info = { raw->qual, raw->phys },
		.rip = raw->rip,
		.vectoring = event_decode(raw->vectoring_info, raw->vectoring_error, raw->insn_len),
	};
	if ((raw->reason & REASON_ENTRY_FAILED) && e->kind != EXIT_MACHINE_CHECK) {
		e->kind = EXIT_ENTRY_FAILED;
	}
	switch (e->kind) {
	case EXIT_PIO: vmx_decode_pio(raw->qual, raw->insn_info, &e->pio); break;
	case EXIT_MMIO: decode_mmio(raw, &e->mmio); break;
	case EXIT_INTERRUPT: e->vector = event_decode(raw->intr_info, 0, 0).vector; break;
	case EXIT_EOI: e->vector = (u8)field_get(QUAL_EOI_VECTOR, raw->qual); break;
	case EXIT_APIC_WRITE: e->apic_offset = (u16)field_get(QUAL_APIC_OFFSET, raw->qual); break;
	case EXIT_CR: decode_cr(raw->qual, &e->cr); break;
	case EXIT_EXCEPTION: decode_exception(raw, e); break;
	case EXIT_TASK_SWITCH:
		e->task.sel = (u16)field_get(QUAL_TASK_SEL, raw->qual);
		e->task.source = (u8)field_get(QUAL_TASK_SOURCE, raw->qual);
		break;
	default: break;
	}
}

/*
 * SDM 3C 28.2.3 "Information About NMI Unblocking Due to IRET": valid unless the exit interrupted a
 * delivery, or reports a #DF. For exceptions it sits in the interruption information instead.
 */
bool vmx_exit_unblocked_nmi(const struct vmx_raw *raw, const struct exit *e)
{
	if (e->vectoring.type != EVENT_NONE) {
		return false;
	}
	if (e->kind == EXIT_EXCEPTION) {
		return (raw->intr_info & INTR_NMI_IRET) && e->event.vector != VEC_DF;
	}
	return field_get(REASON_BASIC, raw->reason) == REASON_EPT_VIOLATION &&
	       (raw->qual & QUAL_EPT_NMI_IRET);
}
