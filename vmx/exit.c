// SPDX-License-Identifier: BSD-2-Clause
/*
 * What an exit means: the table of all basic reasons, qualifications to struct exit, and events in
 * both directions. Knows bit layouts, not where they were read. Pure; called by vmx.c.
 */
#include "vmx/vmx_room.h"
#include "x86/regs.h"

#define LEN  NEEDS_LEN
#define QUAL NEEDS_QUAL
#define VECT NEEDS_VECTORING
#define REASON(text, exit_kind, what) { .name = text, .kind = exit_kind, .needs = what }
/* Its control is never set, or we never enter that mode. */
#define NEVER_ASKED(text) REASON(text, EXIT_UNEXPECTED, QUAL | VECT)
/* It exits whatever the controls are, or is not offered: to the guest there is no such thing. */
#define NOT_OFFERED(text) REASON(text, EXIT_UNDEFINED, 0)

/* SDM 3D appendix C "VMX Basic Exit Reasons", whole */
static const struct vmx_reason reasons[] = {
	[0] = REASON("exception or NMI", EXIT_EXCEPTION, QUAL | NEEDS_INTR | VECT),
	[1] = REASON("external interrupt", EXIT_INTERRUPT, 0),
	[2] = REASON("triple fault", EXIT_TRIPLE_FAULT, 0),
	[3] = REASON("INIT", EXIT_INIT, 0),
	[4] = REASON("SIPI", EXIT_SIPI, QUAL),
	[5 ... 6] = NEVER_ASKED("SMI"),
	[7] = REASON("interrupt window", EXIT_WINDOW, 0),
	[8] = REASON("NMI window", EXIT_NMI_WINDOW, 0),
	[9] = REASON("task switch", EXIT_TASK_SWITCH, QUAL | VECT),
	[10] = REASON("CPUID", EXIT_CPUID, LEN),
	[11] = NOT_OFFERED("GETSEC"),
	[12] = REASON("HLT", EXIT_HLT, LEN),
	[13] = REASON("INVD", EXIT_CACHE, LEN),
	[14] = NEVER_ASKED("INVLPG"),
	[15] = REASON("RDPMC", EXIT_RDPMC, LEN),
	[16] = NEVER_ASKED("RDTSC"),
	[17] = NEVER_ASKED("RSM"),
	[18] = REASON("VMCALL", EXIT_HYPERCALL, LEN),
	[19 ... 27] = NOT_OFFERED("VMCLEAR to VMXON"),
	[28] = REASON("control register access", EXIT_CR, LEN | QUAL),
	[29] = NEVER_ASKED("MOV DR"),
	[30] = REASON("I/O instruction", EXIT_PIO, LEN | QUAL | NEEDS_INSN_INFO),
	[31] = REASON("RDMSR", EXIT_RDMSR, LEN),
	[32] = REASON("WRMSR", EXIT_WRMSR, LEN),
	[33] = REASON("entry failure: guest state", EXIT_ENTRY_FAILED, QUAL),
	[34] = REASON("entry failure: MSR loading", EXIT_ENTRY_FAILED, QUAL),
	[35] = NEVER_ASKED("35"),
	[36] = NOT_OFFERED("MWAIT"),
	[37] = NEVER_ASKED("monitor trap flag"),
	[38] = NEVER_ASKED("38"),
	[39] = NOT_OFFERED("MONITOR"),
	[40] = NEVER_ASKED("PAUSE"),
	[41] = REASON("machine check during entry", EXIT_MACHINE_CHECK, 0),
	[42 ... 47] = NEVER_ASKED("virtual APIC, descriptor tables"),
	[48] = REASON("EPT violation", EXIT_MMIO, QUAL | NEEDS_PHYS | VECT),
	[49] = REASON("EPT misconfiguration", EXIT_MISCONFIG, NEEDS_PHYS | VECT),
	[50] = NOT_OFFERED("INVEPT"),
	[51] = NEVER_ASKED("RDTSCP"),
	[52] = REASON("preemption timer", EXIT_TIMER, 0),
	[53] = NOT_OFFERED("INVVPID"),
	[54] = REASON("WBINVD", EXIT_CACHE, LEN),
	[55] = REASON("XSETBV", EXIT_XSETBV, LEN),
	[56] = NEVER_ASKED("APIC write"),
	[57] = NOT_OFFERED("RDRAND"),
	[58] = NEVER_ASKED("INVPCID"),
	[59 ... 60] = NOT_OFFERED("VMFUNC, ENCLS"),
	[61] = NOT_OFFERED("RDSEED"),
	[62] = NEVER_ASKED("page-modification log full"),
	[63 ... 65] = NOT_OFFERED("XSAVES, XRSTORS, PCONFIG"),
	[66] = NEVER_ASKED("sub-page permissions"),
	[67 ... 70] = NOT_OFFERED("UMWAIT, TPAUSE, LOADIWKEY, ENCLV"),
	[71] = NEVER_ASKED("71"),
	[72 ... 73] = NOT_OFFERED("ENQCMD, ENQCMDS"),
	[74 ... 75] = NEVER_ASKED("bus lock, instruction timeout"),
	[76 ... 79] = NOT_OFFERED("SEAMCALL, TDCALL, RDMSRLIST, WRMSRLIST"),
};

const struct vmx_reason *vmx_reason(u32 reason)
{
	static const struct vmx_reason unknown = NEVER_ASKED("unknown");
	u64 basic = field_get(REASON_BASIC, reason);

	return basic < ARRAY_SIZE(reasons) ? &reasons[basic] : &unknown;
}

/* Types 1 and 7 are not used in what a CPU reports (SDM 3C 25.9.2, 25.9.3). */
static const u8 event_types[] = {
	[INTR_TYPE_EXTINT] = EVENT_EXTINT, [1] = EVENT_NONE,
	[INTR_TYPE_NMI] = EVENT_NMI,	   [INTR_TYPE_HWEXC] = EVENT_EXCEPTION,
	[INTR_TYPE_SWINT] = EVENT_SOFTINT, [INTR_TYPE_PRIV] = EVENT_SOFTEXC,
	[INTR_TYPE_SWEXC] = EVENT_SOFTEXC, [7] = EVENT_NONE,
};

static struct event event_decode(u32 info, u32 error, u32 insn_len)
{
	struct event e = { .type = EVENT_NONE };

	if (!(info & INTR_VALID)) {
		return e;
	}
	e.type = event_types[field_get(INTR_TYPE, info)];
	e.vector = (u8)field_get(INTR_VECTOR, info);
	if (info & INTR_ERROR) {
		e.has_error = true;
		e.error = error;
	}
	if (e.type == EVENT_SOFTINT || e.type == EVENT_SOFTEXC) {
		e.insn_len = (u8)insn_len;
	}
	return e;
}

/* INT1, alone of the software exceptions, has a type of its own: no privilege check on its gate. */
static u32 intr_type(const struct event *e)
{
	switch (e->type) {
	case EVENT_EXTINT: return INTR_TYPE_EXTINT;
	case EVENT_NMI: return INTR_TYPE_NMI;
	case EVENT_SOFTINT: return INTR_TYPE_SWINT;
	case EVENT_SOFTEXC: return e->vector == VEC_DB ? INTR_TYPE_PRIV : INTR_TYPE_SWEXC;
	case EVENT_EXCEPTION:
	case EVENT_NONE: break;
	}
	return INTR_TYPE_HWEXC;
}

/*
 * SDM 3C 27.2.1.3 "VM-Entry Control Fields": no error code may be delivered in real mode, where the
 * stack frame has no place for one either.
 */
u32 vmx_event_encode(const struct event *e, bool has_pe)
{
	u64 info = field_set(INTR_TYPE, INTR_VALID | e->vector, intr_type(e));

	return (u32)info | (e->has_error && has_pe ? (u32)INTR_ERROR : 0);
}

static void decode_pio(const struct vmx_raw *raw, struct exit_pio *pio)
{
	u64 q = raw->qual;

	pio->port = (u16)field_get(QUAL_IO_PORT, q);
	pio->width = (u8)(field_get(QUAL_IO_SIZE, q) + 1);
	pio->is_in = q & QUAL_IO_IN;
	pio->is_string = q & QUAL_IO_STRING;
	pio->is_rep = q & QUAL_IO_REP;
	if (pio->is_string && raw->has_insn_info) {
		pio->addr_size = (u8)(2u << field_get(INSN_INFO_ADDR_SIZE, raw->insn_info));
		/* INS leaves the segment undefined: it is ES always. */
		pio->seg = pio->is_in ? SEG_ES : (u8)field_get(INSN_INFO_SEG, raw->insn_info);
	}
}

static void decode_mmio(const struct vmx_raw *raw, struct exit_mmio *mmio)
{
	mmio->addr = GPA(raw->phys);
	mmio->is_write = raw->qual & QUAL_EPT_WRITE;
	mmio->is_fetch = raw->qual & QUAL_EPT_FETCH;
	mmio->is_walk = (raw->qual & QUAL_EPT_LINEAR) && !(raw->qual & QUAL_EPT_FINAL);
}

/* Operand types in the order of the manual's encoding, SDM 3C table 28-3 */
static void decode_cr(const struct vmx_raw *raw, struct exit_cr *cr)
{
	static const u8 ops[] = { CR_MOV_TO, CR_MOV_FROM, CR_CLTS, CR_LMSW };

	cr->num = (u8)field_get(QUAL_CR_NUM, raw->qual);
	cr->op = ops[field_get(QUAL_CR_OP, raw->qual)];
	cr->gpr = (u8)field_get(QUAL_CR_GPR, raw->qual);
	cr->lmsw = (u16)field_get(QUAL_CR_LMSW, raw->qual);
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
	case EXIT_PIO: decode_pio(raw, &e->pio); break;
	case EXIT_MMIO: decode_mmio(raw, &e->mmio); break;
	case EXIT_CR: decode_cr(raw, &e->cr); break;
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
	return e->kind == EXIT_MMIO && (raw->qual & QUAL_EPT_NMI_IRET);
}
