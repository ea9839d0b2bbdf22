/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One core of a partition's virtual PC: a vCPU, its local APIC, and a mailbox for what comes from
 * elsewhere. Owner is the physical CPU that the vCPU is pinned to. Others only put bits into the
 * mailbox, and read the few words of the local APIC that say whether a message is for it.
 */
#ifndef BULKHEAD_CORE_H
#define BULKHEAD_CORE_H

#include "bus.h"
#include "devices/vlapic.h"
#include "kernel/emulate.h"
#include "kernel/msr.h"
#include "kernel/sched.h"
#include "vcpu.h"

/* What a mailbox's flags can say */
#define MAIL_POSTED BIT(0) /* .posted has bits: ON of the descriptor */
#define MAIL_LOOK  BIT(1) /* a device has changed a line or a deadline: look around */
#define MAIL_FIXED BIT(2) /* .request has bits */
#define MAIL_NMI   BIT(3)
#define MAIL_INIT  BIT(4)
#define MAIL_SIPI  BIT(5) /* .sipi_vector */
#define MAIL_FLUSH BIT(6) /* second-level translations have changed */
#define MAIL_DOORBELL BIT(7) /* another partition has rung: for core 0 */
#define MAIL_ALL   UINT32_MAX

/**
 * struct mailbox - from any CPU to the owner; all fields atomic
 *
 * Bits, not a queue: a flood of messages costs no memory, and merges as it does in an IRR. Writers
 * set the details first, then flags; the owner takes flags first. It begins with a posted-interrupt
 * descriptor (SDM 3C table 30-1, where bits 511:257 are software's): @posted and MAIL_POSTED a CPU may take
 * while the guest runs, in this same way and without anybody's help. So only requests are there that are no
 * more than a bit in IRR; all others are in @request.
 */
struct mailbox {
	u32 posted[8]; /* vectors, as in IRR */
	u32 flags;
	u32 sipi_vector;
	u32 request[8]; /* likewise */
	u32 level[8];	/* which of them are level-triggered */
	u32 nr_posting; /* CPUs between a bit in @posted and the interrupt that tells of it */
} __attribute__((aligned(64)));
static_assert(offsetof(struct mailbox, flags) == 32, "SDM 3C table 30-1: ON is bit 256");

enum core_state {
	CORE_RUNNING,
	CORE_WAITING, /* for SIPI, after INIT */
	CORE_DEAD,    /* halted with interrupts off: only NMI and INIT can help */
};

struct core {
	struct vcpu v; /* first: see core_of() */
	struct vlapic lapic;
	struct mailbox mail; /* begins a page: Bochs 3.0 refuses a descriptor anywhere else */
	struct vlapic_env lapic_env;
	u64 due_tsc;	  /* host TSC at which a device or the local APIC wants a poll; 0 = find out */
	u64 lapic_due_ns; /* the local APIC's deadline in it */
	enum core_state state; /* atomic: siblings ask whether all are dead */
	bool is_parked;	       /* atomic: its CPU has seen that the partition has ended */
	struct vcpu_params params;
	struct bus mmio;       /* the partition's devices and this core's own local APIC */
	struct msr_state msrs;
	struct msr_env msr;    /* where they and the rest are */
	struct cpuid_env cpuid;
	u64 cr4_mask; /* CR4 bits that CPUID allows; 0 = not asked yet */
	struct insn_cache insns;
	const struct sched_frame *frame; /* the schedule of its CPU; NULL = none. Const but for its owner CPU */
	u64 sched_bit;			 /* its bit in there */
	bool is_dying;		/* was killed, and its post-mortem is not all written yet */
	u32 nr_pieces;		/* of it are */
	struct exit last_exit;	/* of which it tells */
};

static_assert(offsetof(struct core, mail) % PAGE_SIZE == 0, "see there");

/** core_is_parked() - has its CPU given it up, until the partition's next life? */
static inline bool core_is_parked(const struct core *c)
{
	return __atomic_load_n(&c->is_parked, __ATOMIC_ACQUIRE); /* pairs with partition_start() */
}

static inline struct core *core_of(struct vcpu *v)
{
	return (struct core *)v;
}

/** core_reset() - the architectural state after INIT (SDM 3A table 10-1). By the owner. */
void core_reset(struct core *c);

/** core_post() - put MAIL_* into the mailbox of @c and see that its CPU notices soon. From any CPU. */
void core_post(struct core *c, u32 flags);

/** core_post_vector() - a fixed interrupt for @c. From any CPU. */
void core_post_vector(struct core *c, u8 vector, bool is_level);

/** core_has_mail() - Return: the flags; one load. */
static inline u32 core_has_mail(const struct core *c)
{
	return __atomic_load_n(&c->mail.flags, __ATOMIC_RELAXED);
}

/** core_take_mail() - act on what has come of the kinds @what, by the owner. */
void core_take_mail(struct core *c, u32 what);

#define CORE_EXTINT 256 /* the 8259 will say which vector */

/**
 * core_pending_irq() - what is to be injected as soon as RFLAGS.IF is 1: a vector of the local APIC, or CORE_EXTINT; else
 * -1. Not what the CPU delivers.
 */
int core_pending_irq(struct core *c);

/** core_show_apic() - tell the CPU what has changed in the local APIC that it serves. Last before an entry. */
void core_show_apic(struct core *c);

/** core_has_nmi() - is there an NMI that the vCPU would take at once? By the owner. */
bool core_has_nmi(struct core *c);

/** core_ack_irq() - the interrupt acknowledge cycle, for what core_pending_irq() has just said. Return: the vector. */
u8 core_ack_irq(struct core *c, int pending);

/** core_sleep() - @c will wait in @s; if no sibling is left to wake it, the partition ends as "halted". */
void core_sleep(struct core *c, enum core_state s);

/** core_lapic_touched() - its local APIC's deadline may have changed: keep .due_tsc true. By the owner. */
static inline void core_lapic_touched(struct core *c)
{
	if (c->lapic.deadline_ns != c->lapic_due_ns) {
		c->due_tsc = 0; /* find out */
	}
}

/** core_is_runnable() - neither halted nor waiting nor ended; mail has been taken. By the owner. */
bool core_is_runnable(struct core *c);

#endif
