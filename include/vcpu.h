/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract between the kernel and a backend (vmx, svm, and test's fake): one virtual CPU,
 * what an exit looks like as neutral data, and the ops table. No vendor's bit layout is here.
 * A backend translates; it decides nothing and calls nobody above it.
 */
#ifndef BULKHEAD_VCPU_H
#define BULKHEAD_VCPU_H

#include "apic.h"
#include "types.h"

/* GPR numbers as in ModRM and REX; regs[GPR_RSP] is not used: RSP lives in the backend's state. */
enum gpr {
	GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI,
	GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15,
	NR_GPRS
};

/**
 * enum vreg - what ops->get and ops->set can name, besides GPRs and segments.
 *
 * CR0 and CR4 are the guest's own view: bits that the backend forces are hidden from it.
 * VREG_EFER likewise (SVM hides SVME); set() of CR0 or EFER keeps LMA = LME & PG and, on VMX, the
 * "IA-32e mode guest" entry control. VREG_INT_SHADOW is 1 while STI or MOV SS blocks interrupts;
 * VREG_NMI_BLOCKED is 1 between an NMI's delivery and IRET. VREG_CR8 is a hint: what a read of CR8
 * should give if it does not exit. VREG_PDPTE0..3 matter to VMX only, when paging is PAE.
 * VREG_CODE_SIZE and VREG_CPL cannot be set: the former is 8 in 64-bit code, else 4 or 2 by the D bit of CS.
 */
enum vreg {
	VREG_RIP, VREG_RSP, VREG_RFLAGS,
	VREG_CR0, VREG_CR2, VREG_CR3, VREG_CR4, VREG_CR8,
	VREG_EFER, VREG_DR6, VREG_DR7, VREG_PAT,
	VREG_SYSENTER_CS, VREG_SYSENTER_ESP, VREG_SYSENTER_EIP,
	VREG_TSC_OFFSET, VREG_INT_SHADOW, VREG_NMI_BLOCKED,
	VREG_PDPTE0, VREG_PDPTE1, VREG_PDPTE2, VREG_PDPTE3,
	VREG_CODE_SIZE, VREG_CPL,
	NR_VREGS
};

enum seg {
	SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, /* numbers as in ModRM */
	SEG_LDTR, SEG_TR, SEG_GDTR, SEG_IDTR,		/* GDTR, IDTR: base and limit only */
	NR_SEGS
};

/* struct segment attr: the descriptor's bytes 5 and 6 as VMX spells them (SDM 3C, "Guest Register State") */
#define SEG_TYPE     BITS(3, 0)
#define SEG_S	     BIT(4)
#define SEG_DPL	     BITS(6, 5)
#define SEG_P	     BIT(7)
#define SEG_AVL	     BIT(12)
#define SEG_L	     BIT(13)
#define SEG_DB	     BIT(14)
#define SEG_G	     BIT(15)
#define SEG_UNUSABLE BIT(16)

/* limit is in bytes, expanded (G applied) */
struct segment {
	u64 base;
	u32 limit;
	u32 attr;
	u16 sel;
};

enum __attribute__((packed)) event_type {
	EVENT_NONE,
	EVENT_EXTINT,	 /* external interrupt */
	EVENT_NMI,
	EVENT_EXCEPTION, /* hardware exception, #DB and faults */
	EVENT_SOFTINT,	 /* INT n */
	EVENT_SOFTEXC,	 /* INT3, INTO */
};

/* An interrupt or exception to deliver, or one whose delivery an exit cut short */
struct event {
	enum event_type type;
	u8 vector;
	bool has_error;
	u8 insn_len; /* soft events only; 0 = hardware did not say */
	u32 error;
};

enum __attribute__((packed)) exit_kind {
	EXIT_UNEXPECTED,   /* a reason nobody asked for: KILL; first, so that a forgotten row is that */
	EXIT_INTERRUPT,	   /* a host interrupt: exit.vector, which the CPU has acknowledged; 0: still pending */
	EXIT_TIMER,	   /* vcpu->deadline_tsc has come (preemption timer) */
	EXIT_WINDOW,	   /* the guest can now take an interrupt; window() is off again */
	EXIT_NMI_WINDOW,   /* likewise an NMI */
	EXIT_NMI,	   /* a host NMI came; on VMX it is consumed, on SVM it is still pending */
	EXIT_CPUID,
	EXIT_PIO,	   /* exit.pio */
	EXIT_RDMSR,
	EXIT_WRMSR,
	EXIT_MMIO,	   /* second-level fault: exit.mmio */
	EXIT_HLT,
	EXIT_HYPERCALL,	   /* VMCALL or VMMCALL of this vendor */
	EXIT_CR,	   /* exit.cr */
	EXIT_EXCEPTION,	   /* exit.event: an intercepted exception, not yet delivered */
	EXIT_XSETBV,
	EXIT_CACHE,	   /* INVD, WBINVD */
	EXIT_PAUSE,
	EXIT_UNDEFINED,	   /* an instruction that this guest is not offered: #UD */
	EXIT_RDPMC,	   /* #GP or #UD by policy */
	EXIT_TASK_SWITCH,  /* exit.task */
	EXIT_TRIPLE_FAULT,
	EXIT_INIT,	   /* INIT reached the physical CPU */
	EXIT_SIPI,
	EXIT_MACHINE_CHECK,
	EXIT_ENTRY_FAILED, /* the CPU refused the guest state: reason and info say why */
	EXIT_TPR,	   /* TPR has come below what apic() was told to watch for; behind the write */
	EXIT_EOI,	   /* exit.vector has ended that apic() was told of; behind the EOI */
	EXIT_APIC_WRITE,   /* the guest has written exit.apic_offset of its APIC page; behind the write */
	EXIT_MISCONFIG,	   /* second-level table entry is illegal: our bug */
	NR_EXIT_KINDS
};

/* What a port access exit says. With exit.insn_len == 0, seg and addr_size are not known for strings. */
struct exit_pio {
	u16 port;
	u8 width; /* 1, 2, 4 */
	bool is_in, is_string, is_rep;
	u8 seg;	      /* enum seg of OUTS' source */
	u8 addr_size; /* 2, 4, 8; 0 = hardware did not say: decode */
};

struct exit_mmio {
	gpa addr;
	bool is_write, is_fetch;
	bool is_walk; /* the fault came while the CPU walked the guest's own page tables */
	u8 nr_fetched; /* if vcpu->insn_bytes is there: how many bytes from RIP on it has, 15 at most; 0 = none this time */
};

enum cr_op { CR_MOV_TO, CR_MOV_FROM, CR_CLTS, CR_LMSW, CR_DECODE /* hardware did not say: decode */ };

struct exit_cr {
	enum cr_op op;
	u8 num;	 /* 0, 3, 4, 8 */
	u8 gpr;	 /* MOV: enum gpr */
	u16 lmsw; /* LMSW: source */
};

struct exit_task {
	u16 sel;
	u8 source; /* 0 CALL, 1 IRET, 2 JMP, 3 task gate */
};

/**
 * struct exit - one exit as data: written by the backend into the vCPU's history, const after.
 * @kind:      what to do about it
 * @insn_len:  length of the exiting instruction; 0 = hardware did not say
 * @reason:    the vendor's own exit code, for logs (of 64 bits on SVM, of which the upper half says nothing)
 * @info:      the vendor's raw qualification or EXITINFO1 and 2, for logs
 * @rip:       guest RIP at the exit
 * @vectoring: an event whose delivery this exit interrupted; type EVENT_NONE if none
 */
struct exit {
	enum exit_kind kind;
	u8 insn_len;
	u32 reason;
	u64 info[2];
	u64 rip;
	struct event vectoring;
	union {
		struct exit_pio pio;
		struct exit_mmio mmio;
		struct exit_cr cr;
		struct event event;
		struct exit_task task;
		u16 apic_offset;
		u8 vector;
	};
} __attribute__((aligned(64)));
static_assert(sizeof(struct exit) == 64, "a cache line each");
#define NR_EXITS_KEPT 32

struct partition;
struct vcpu_ops;

/**
 * struct vcpu - one virtual CPU. Owner: the physical CPU that it is pinned to.
 * @regs:         GPRs; the backend's entry stub loads and stores them (all but RSP)
 * @deadline_tsc: host TSC at which enter() must return at the latest, if the backend's
 *                has_deadline is set; NEVER for none
 * @xcr0:         guest XCR0, switched by the kernel
 * @hw:           the backend's own state (VMCS or VMCB bundle)
 * @pending:      event that the next entry must deliver
 * @entry_rsp:    the backend's: the host's RSP that the last entry told the CPU of; behind regs, for the entry stub
 * @is_wanted:    atomic; somebody else wants this CPU
 * @has_apic:     set by vcpu_init(): the CPU serves the local APIC, at least TPR, and ops->apic is there
 * @delivers_irqs: ... and moves requests into service and to the guest itself; ops->apic may change it with the mode
 * @takes_posts:  ... and, while the guest runs, those of vcpu_params.posts whenever .post_vector comes
 * @insn_bytes:   set by vcpu_init(): 15 bytes, of which EXIT_MMIO says how many the CPU has read at RIP; good until the
 *                next entry. NULL: this CPU does not tell
 */
struct vcpu {
	u64 regs[NR_GPRS];
	u64 entry_rsp;
	u64 deadline_tsc;
	void *hw;
	const struct vcpu_ops *ops;
	struct partition *part;
	const bool *is_wanted;
	struct event pending;
	bool nmi_pending;
	bool is_halted;
	bool has_apic, delivers_irqs, takes_posts;
	bool is_dr_reset; /* INIT: DR0 to DR3 are 0 when it runs next, whatever @dr or the CPU hold */
	u32 id;	    /* index in its partition, and virtual APIC ID */
	u32 cpu;    /* physical CPU, as an index */
	u64 xcr0;
	u64 dr[4];
	void *xsave; /* 64-byte aligned area of the size that CPUID 0xD reports */
	u64 nr_exits;
	struct exit exits[NR_EXITS_KEPT]; /* the last ones, for the post-mortem block: nr_exits is the number of the next */
	const u8 *insn_bytes;
};

static_assert(offsetof(struct vcpu, nr_exits) < 256, "what an exit needs of it is in four cache lines");

/** vcpu_last_exit() - where it stopped. */
static inline struct exit *vcpu_last_exit(struct vcpu *v)
{
	return &v->exits[(v->nr_exits - 1) % NR_EXITS_KEPT];
}

/* A source of zeroed 4 KiB pages that live for ever. alloc returns 0 when empty. */
struct page_source {
	hpa (*alloc)(struct page_source *self, u32 nr_pages);
	void *(*ptr)(struct page_source *self, hpa page);
};

/* One line of the table of features that the backend needs: present or absent, and why. */
struct feature {
	const char *name;
	bool is_present;
	const char *reason; /* if absent: what a user can do about it */
};
#define MAX_FEATURES 40

/* MSRs that a guest may touch without an exit; everything else exits. From the kernel's table. */
#define MSR_PASS_READ  1
#define MSR_PASS_WRITE 2
struct msr_range {
	u32 first, last;
	u32 pass; /* MSR_PASS_* */
};

/**
 * struct vcpu_params - what a backend needs to make a vCPU
 * @second_level: root of the EPT or NPT, built by mm
 * @msrs:         pass-through table, sorted; all other MSRs exit
 * @io_pass:      ports that do not exit (sorted); all others do
 * @apic_page:   the local APIC's registers, a page in the manual's layout
 * @apic_base:   where a guest finds it
 * @with_apic:   as @second_level, but a page that nobody uses is at @apic_base: @apic_access
 * @posts:       where others post requests: 256 bits as in IRR, then one that says that there are some
 * @post_vector: the host's interrupt that tells of them
 * @exits_on_pause: EXIT_PAUSE from a loop of PAUSEs, or from each, if the CPU cannot tell
 */
struct vcpu_params {
	hpa second_level;
	struct page_source *pages;
	const struct msr_range *msrs;
	u32 nr_msrs;
	u16 tag; /* ASID or VPID, from 1, unique on its physical CPU */
	const u16 *io_pass;
	u32 nr_io_pass;
	bool exits_on_pause;
	hpa apic_page, with_apic, apic_access, posts;
	u8 post_vector;
	gpa apic_base;
};

/**
 * struct vcpu_ops - what the kernel asks of a backend
 * @name:         "vmx", "svm", "fake"
 * @has_deadline: enter() honours vcpu->deadline_tsc itself; else the kernel arms the LAPIC timer
 * @only_xapic:   it serves local APICs in xAPIC mode alone: guests are not offered the other one
 * @wants_trial:  how it has the CPU serve local APICs was never seen on such a CPU: kernel/apic_trial.h
 * @probe:        writes the table of needed features, returns how many (all, not just missing)
 * @cpu_on:       enter root mode on this CPU; needs a few pages. IF=0.
 * @vcpu_init:    set up @v->hw in the architectural reset state (CS:IP f000:fff0); the first time it is
 *                allocated. Nothing of an earlier life is left, in TLBs neither. @v is not loaded
 * @load:         @v becomes the vCPU of this physical CPU (VMPTRLD, MSRs that entry does not switch)
 * @put:          the reverse, before another one is loaded
 * @enter:        run the guest until an exit; fills @e. IF=0 before and after.
 * @get, @set:    registers by enum vreg
 * @get_seg, @set_seg: segments
 * @skip:         RIP to @rip + @len, behind an instruction that the kernel has carried out; shadows of
 *                STI and MOV SS end (SDM 3A 6.8.3), and so does RFLAGS.RF (SDM 3B 17.3.1.1).
 *                Return: RFLAGS as they were
 * @inject:       deliver @e at the next entry; the caller has checked that the guest can take it
 * @window:       exit with EXIT_WINDOW as soon as the guest can take an interrupt
 *                (@nmi: EXIT_NMI_WINDOW, an NMI); idempotent
 * @apic:         what the local APIC is to be served by from the next entry on; NULL for a backend that
 *                never sets has_apic
 * @request:      where it delivers_irqs: IRR has got @vector since apic(); nothing else has changed
 * @no_apic:      the same without any local APIC served by the CPU; NULL for a backend that never sets has_apic.
 *                On all CPUs, before the first vCPU that is to live: returns the ops to go on with
 * @flush:        forget cached second-level translations of this vCPU before the next entry
 * @dump:         write vendor-specific state to log(), a few lines
 */
struct vcpu_ops {
	const char *name;
	bool has_deadline, only_xapic, wants_trial;
	u32 (*probe)(struct feature *out, u32 max);
	enum status (*cpu_on)(struct page_source *pages);
	enum status (*vcpu_init)(struct vcpu *v, const struct vcpu_params *p);
	void (*load)(struct vcpu *v);
	void (*put)(struct vcpu *v);
	void (*enter)(struct vcpu *v, struct exit *e);
	u64 (*get)(struct vcpu *v, enum vreg r);
	void (*set)(struct vcpu *v, enum vreg r, u64 value);
	void (*get_seg)(struct vcpu *v, enum seg s, struct segment *out);
	void (*set_seg)(struct vcpu *v, enum seg s, const struct segment *in);
	u64 (*skip)(struct vcpu *v, u64 rip, u32 len);
	void (*inject)(struct vcpu *v, const struct event *e);
	void (*window)(struct vcpu *v, bool nmi);
	void (*apic)(struct vcpu *v, const struct apic_view *view);
	void (*request)(struct vcpu *v, u8 vector);
	const struct vcpu_ops *(*no_apic)(void);
	void (*flush)(struct vcpu *v);
	void (*dump)(struct vcpu *v);
};

/** vcpu_gpr() - GPR @n, RSP included, full 64 bits. */
static inline u64 vcpu_gpr(struct vcpu *v, unsigned n)
{
	return n == GPR_RSP ? v->ops->get(v, VREG_RSP) : v->regs[n];
}

/** vcpu_set_gpr() - write GPR @n, RSP included, full 64 bits. */
static inline void vcpu_set_gpr(struct vcpu *v, unsigned n, u64 value)
{
	if (n == GPR_RSP) {
		v->ops->set(v, VREG_RSP, value);
	} else {
		v->regs[n] = value;
	}
}

/**
 * reg_merge() - what a register holds after a @width-byte write (SDM 1 3.4.1.1)
 *
 * 4-byte results zero-extend; 1- and 2-byte results keep the upper bits.
 */
static inline u64 reg_merge(u64 old, u64 value, unsigned width)
{
	if (width >= 4) {
		return value & width_mask(width);
	}
	return (old & ~width_mask(width)) | (value & width_mask(width));
}

#endif
