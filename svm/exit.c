/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a VMCB after #VMEXIT to struct exit: one table says of every exit code of APM 2 appendix C
 * what it means to us and whether we ask for it. Knows nothing of what is done about an exit.
 * Pure; called by enter() and when a vCPU is made.
 */
#include "svm_vcpu.h"
#include "x86/regs.h"

#define ON    SVM_ROW_ON
#define INSN  SVM_ROW_INSN
#define PLAIN SVM_ROW_PLAIN
#define LATER 8 /* intercepted when the comment says */

const struct svm_row svm_row[SVM_NR_ROWS] = {
#define UNASKED { EXIT_UNEXPECTED, 0 }
	[VMEXIT_CR0_READ ... VMEXIT_CR8_READ - 1] = UNASKED,
	[VMEXIT_CR8_READ] = { EXIT_CR, ON | INSN },
	[VMEXIT_CR8_READ + 1 ... VMEXIT_CR4_WRITE - 1] = UNASKED,
	/* needed only where CPUID hides a feature that this CPU has: it checks the rest itself */
	[VMEXIT_CR4_WRITE] = { EXIT_CR, ON | INSN },
	[VMEXIT_CR4_WRITE + 1 ... VMEXIT_CR8_WRITE - 1] = UNASKED,
	[VMEXIT_CR8_WRITE] = { EXIT_CR, ON | INSN },
	[VMEXIT_CR8_WRITE + 1 ... VMEXIT_DR15_WRITE] = UNASKED,
	/* Exceptions: in a step over IRET all but NMI; #DB and #AC always, since a guest can make
	 * the CPU raise them for ever in one instruction (CVE-2015-8104, CVE-2015-5307). */
	[VMEXIT_EXCP0] = { EXIT_EXCEPTION, LATER },
	[VMEXIT_EXCP0 + VEC_DB] = { EXIT_EXCEPTION, ON },
	[VMEXIT_EXCP0 + VEC_NMI] = UNASKED,
	[VMEXIT_EXCP0 + VEC_BP ... VMEXIT_EXCP0 + VEC_MF] = { EXIT_EXCEPTION, LATER },
	[VMEXIT_EXCP0 + VEC_AC] = { EXIT_EXCEPTION, ON },
	[VMEXIT_EXCP0 + VEC_MC] = { EXIT_MACHINE_CHECK, ON },
	[VMEXIT_EXCP0 + VEC_XM ... VMEXIT_EXCP31] = { EXIT_EXCEPTION, LATER },
	[VMEXIT_INTR] = { EXIT_INTERRUPT, ON },
	[VMEXIT_NMI] = { EXIT_NMI, ON },	[VMEXIT_SMI] = UNASKED,
	[VMEXIT_INIT] = { EXIT_INIT, ON },
	[VMEXIT_VINTR] = { EXIT_WINDOW, LATER }, /* while a window is wanted */
	[VMEXIT_CR0_SEL_WRITE ... VMEXIT_RDTSC] = UNASKED, /* with IDTR to TR reads and writes */
	[VMEXIT_RDPMC] = { EXIT_RDPMC, ON | INSN },
	[VMEXIT_PUSHF ... VMEXIT_POPF] = UNASKED, [VMEXIT_RSM] = UNASKED, [VMEXIT_SWINT] = UNASKED,
	[VMEXIT_CPUID] = { EXIT_CPUID, ON | INSN | PLAIN },
	[VMEXIT_IRET] = { EXIT_NMI_WINDOW, LATER }, /* while NMIs are blocked */
	[VMEXIT_INVD] = { EXIT_CACHE, ON | INSN | PLAIN },
	[VMEXIT_PAUSE] = { EXIT_PAUSE, LATER | INSN }, /* where vCPUs share a CPU */
	[VMEXIT_INVLPG] = UNASKED, [VMEXIT_FERR_FREEZE] = UNASKED,
	[VMEXIT_HLT] = { EXIT_HLT, ON | INSN | PLAIN },
	[VMEXIT_INVLPGA] = { EXIT_UNDEFINED, ON | INSN },
	[VMEXIT_IOIO] = { EXIT_PIO, ON | INSN | PLAIN },
	[VMEXIT_MSR] = { EXIT_RDMSR, ON | INSN | PLAIN }, /* or EXIT_WRMSR */
	[VMEXIT_TASK_SWITCH] = UNASKED, /* the CPU does them by itself */
	[VMEXIT_SHUTDOWN] = { EXIT_TRIPLE_FAULT, ON },
	[VMEXIT_VMRUN] = { EXIT_UNDEFINED, ON | INSN },
	[VMEXIT_VMMCALL] = { EXIT_HYPERCALL, ON | INSN | PLAIN },
	[VMEXIT_VMLOAD ... VMEXIT_SKINIT] = { EXIT_UNDEFINED, ON | INSN },
	[VMEXIT_RDTSCP ... VMEXIT_ICEBP] = UNASKED,
	[VMEXIT_WBINVD] = { EXIT_CACHE, ON | INSN | PLAIN },
	[VMEXIT_MONITOR ... VMEXIT_MWAIT_CONDITIONAL] = { EXIT_UNDEFINED, ON | INSN },
	[VMEXIT_XSETBV] = { EXIT_XSETBV, ON | INSN | PLAIN },
	[VMEXIT_RDPRU] = { EXIT_UNDEFINED, ON | INSN },
	[VMEXIT_EFER_WRITE_TRAP ... VMEXIT_CR15_WRITE_TRAP] = UNASKED,
	[VMEXIT_INVLPGB ... VMEXIT_IDLE_HLT] = UNASKED,
#undef UNASKED
};

/*
 * Codes behind the table are nested paging's, VMEXIT_INVALID (of which only the low half counts: QEMU
 * up to 7.2 writes a 32-bit -1), AVIC's, those of features that are off (VMGEXIT, BUSY, IDLE_REQUIRED,
 * INVALID_PMC), and the unknown.
 */
static struct svm_row row_of(u32 code)
{
	if (code < SVM_NR_ROWS) {
		return svm_row[code];
	}
	return (struct svm_row){ .kind = code == VMEXIT_NPF	    ? EXIT_MMIO :
				     code == VMEXIT_INVALID ? EXIT_ENTRY_FAILED :
				     code == VMEXIT_AVIC_INCOMPLETE_IPI || code == VMEXIT_AVIC_NOACCEL ? EXIT_APIC_WRITE :
							      EXIT_UNEXPECTED };
}

u32 svm_intercepts(u32 n)
{
	u32 word = 0;
	for (u32 bit = 0; bit < 32 && 32 * n + bit < SVM_NR_ROWS; bit++) {
		if (svm_row[32 * n + bit].flags & ON) {
			word |= 1u << bit;
		}
	}
	return word;
}

/* APM 2 table 8-1: exceptions that push an error code */
#define HAS_ERROR (BIT(VEC_DF) | BITS(VEC_PF, VEC_TS) | BIT(VEC_AC) | BIT(VEC_CP))

static struct event exception_of(const struct vmcb *b)
{
	u8 vector = (u8)(b->exit_code - VMEXIT_EXCP0);
	bool has_error = HAS_ERROR >> vector & 1;
	return (struct event){ EVENT_EXCEPTION, vector, .has_error = has_error,
			       .error = has_error ? (u32)b->exit_info1 : 0 };
}

/* EXITINTINFO; INT3 and INTO are exceptions to the CPU (APM 2 15.20) and instructions to us. */
static noinline struct event vectoring_of(u64 info)
{
	static const enum event_type type_of[8] = {
		[0] = EVENT_EXTINT, [2] = EVENT_NMI, [3] = EVENT_EXCEPTION, [4] = EVENT_SOFTINT
	};
	bool has_error = info & SVM_EVENT_EV;
	struct event e = { type_of[field_get(SVM_EVENT_TYPE, info)], .has_error = has_error,
			   .vector = (u8)field_get(SVM_EVENT_VECTOR, info),
			   .error = has_error ? (u32)field_get(SVM_EVENT_ERROR, info) : 0 };
	if (e.type == EVENT_EXCEPTION && (e.vector == VEC_BP || e.vector == VEC_OF)) {
		e.type = EVENT_SOFTEXC;
	}
	return e;
}

/*
 * INTn, INT3 and INTO are not injected again: the RIP that the exit saved is the instruction's own,
 * so entering repeats it, checks and all. EVENTINJ would push that same RIP as return address
 * unless the CPU has nRIP (APM 2 15.20).
 */
u64 svm_event_encode(const struct event *e)
{
	static const u8 type_of[] = { [EVENT_EXTINT] = 0, [EVENT_NMI] = 2, [EVENT_EXCEPTION] = 3 };
	if (e->type == EVENT_NONE || e->type == EVENT_SOFTINT || e->type == EVENT_SOFTEXC) {
		return 0;
	}
	u64 error = e->has_error ? SVM_EVENT_EV | (u64)e->error << 32 : 0;
	return SVM_EVENT_V | error | field_set(SVM_EVENT_TYPE, e->vector, type_of[e->type]);
}

/* APM 2 15.10.2 "IN and OUT Behavior". The string fields came with the decode assists. */
static always_inline struct exit_pio pio_of(const struct svm_vcpu *hw)
{
	u64 info = hw->vmcb.exit_info1, decoded = hw->features & SVM_FEATURE_DECODE ? info : 0;
	return (struct exit_pio){ .port = (u16)field_get(IOIO_PORT, info),
				  .width = (u8)field_get(IOIO_WIDTH, info),
				  .is_in = info & IOIO_IN, .is_rep = info & IOIO_REP,
				  .is_string = info & IOIO_STRING,
				  .addr_size = (u8)(2 * field_get(IOIO_ADDR_SIZE, decoded)),
				  .seg = (u8)field_get(IOIO_SEG, decoded) };
}

static struct exit_cr cr_of(const struct svm_vcpu *hw)
{
	const struct vmcb *b = &hw->vmcb;
	struct exit_cr cr = { .op = CR_DECODE, .num = (u8)(b->exit_code % 16) };
	if (hw->features & SVM_FEATURE_DECODE && b->exit_info1 & CR_INFO_IS_MOV) {
		cr.op = b->exit_code >= VMEXIT_CR0_WRITE ? CR_MOV_TO : CR_MOV_FROM;
		cr.gpr = (u8)field_get(CR_INFO_GPR, b->exit_info1);
	}
	return cr;
}

/*
 * APM 2 15.8.4 "Nested and intercepted #PF": with decode assists the CPU says what it has read at CS:RIP, as many
 * bytes as it could get; often none where SMAP is on and the code is a user's, as Zen's microcode reads it as data
 * (AMD erratum 1096). A hypervisor below may offer the feature and not pass the field on, so no count may be seen
 * twice: it is 0 in a new VMCB, and 0 again behind each exit that can have written it, here and in
 * svm_exit_settle(). What is not 0 here was therefore written by this exit.
 */
static noinline u8 take_count(struct svm_vcpu *hw)
{
	u8 n = hw->vmcb.nr_insn_bytes;
	hw->vmcb.nr_insn_bytes = 0;
	return hw->features & SVM_FEATURE_DECODE && n <= sizeof(hw->vmcb.insn_bytes) ? n : 0;
}

static always_inline void read_npf(struct svm_vcpu *hw, struct exit *e)
{
	const struct vmcb *b = &hw->vmcb;
	e->kind = b->exit_info1 & PF_RSV ? EXIT_MISCONFIG : EXIT_MMIO;
	e->mmio = (struct exit_mmio){ .addr = GPA(b->exit_info2), .is_write = b->exit_info1 & PF_W,
				      .is_fetch = b->exit_info1 & PF_I,
				      .is_walk = b->exit_info1 & NPF_WALK };
	if (b->nr_insn_bytes) {
		e->mmio.nr_fetched = take_count(hw);
	}
}

/* What every exit says */
static always_inline void read_head(const struct vmcb *b, struct exit *e)
{
	e->reason = (u32)b->exit_code;
	e->info[0] = b->exit_info1;
	e->info[1] = b->exit_info2;
	e->rip = b->rip;
	e->vectoring.type = EVENT_NONE;
}

/*
 * What is said besides of an instruction intercept: a port access tells where the next instruction is, the others if
 * the CPU has nRIP. @e->kind is that of the exit code's row.
 */
static always_inline void read_insn(const struct svm_vcpu *hw, u32 code, struct exit *e)
{
	const struct vmcb *b = &hw->vmcb;
	u64 len = b->next_rip - b->rip;
	if (code == VMEXIT_IOIO) {
		len = b->exit_info2 - b->rip;
		e->pio = pio_of(hw);
	} else if (!(hw->features & SVM_FEATURE_NRIPS)) {
		len = 0;
	}
	if (code == VMEXIT_MSR && b->exit_info1 & 1) {
		e->kind = EXIT_WRMSR;
	}
	e->insn_len = len <= 15 ? (u8)len : 0;
}

always_inline bool svm_exit_plain(struct svm_vcpu *hw, struct exit *e)
{
	struct vmcb *b = &hw->vmcb;
	u32 code = (u32)b->exit_code;
	read_head(b, e);
	if (b->exit_int_info & SVM_EVENT_V || hw->is_stepping || (hw->irq_is_queued && b->v_intr & V_IRQ)) {
		return false;
	}
	hw->irq_is_queued = false; /* it got in */
	if (code == VMEXIT_NPF) {
		e->insn_len = 0;
		read_npf(hw, e);
		return true;
	}
	if (code == VMEXIT_VINTR) {
		e->kind = EXIT_WINDOW;
		e->insn_len = 0;
		svm_set_window(b, false);
		return true;
	}
	if (code >= SVM_NR_ROWS || !(svm_row[code].flags & SVM_ROW_PLAIN)) {
		return false;
	}
	e->kind = svm_row[code].kind;
	read_insn(hw, code, e);
	return true;
}

void svm_exit_decode(struct svm_vcpu *hw, struct exit *e)
{
	const struct vmcb *b = &hw->vmcb;
	u32 code = (u32)b->exit_code;
	struct svm_row r = row_of(code);
	read_head(b, e);
	e->kind = r.kind;
	e->insn_len = 0;
	if (r.flags & INSN) {
		read_insn(hw, code, e);
	}
	if (b->exit_int_info & SVM_EVENT_V) {
		e->vectoring = vectoring_of(b->exit_int_info);
	}
	switch (r.kind) {
	case EXIT_INTERRUPT: e->vector = 0; break; /* it is still pending */
	case EXIT_MMIO: read_npf(hw, e); break;
	case EXIT_CR: e->cr = cr_of(hw); break;
	case EXIT_EXCEPTION: e->event = exception_of(b); break;
	case EXIT_APIC_WRITE: svm_avic_decode(hw, e); break;
	default: break;
	}
}
