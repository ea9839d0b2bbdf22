/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual local APIC: xAPIC by MMIO, x2APIC by MSR, timer in one-shot, periodic and TSC-deadline
 * mode. SDM 3A chapter 11. Its bus clock is 1 GHz: one tick a nanosecond of the partition's clock.
 * Guests read a page in the manual's layout, which a CPU can serve without an exit (SDM 3C chapter 30).
 * Pure; time, TSC and the way to other CPUs are injected.
 */
#ifndef BULKHEAD_VLAPIC_H
#define BULKHEAD_VLAPIC_H

#include "apic.h"
#include "bus.h"

#define VLAPIC_BASE    0xfee00000ull
#define VLAPIC_VERSION 0x00050014

/* An IPI that left this APIC; the platform finds its targets */
struct vlapic_ipi {
	u32 dest;
	u8 vector, mode, shorthand; /* mode: ICR bits 10:8 */
	bool is_logical, is_x2apic;
	bool is_deassert; /* INIT level de-assert: has no effect on P6 and later */
};

struct vlapic_env {
	u64 (*now_ns)(void *ctx);
	u64 (*tsc_to_ns)(void *ctx, u64 guest_tsc); /* partition time of this guest TSC */
	u64 (*guest_tsc)(void *ctx);
	void (*send_ipi)(void *ctx, const struct vlapic_ipi *ipi);
	void (*eoi_broadcast)(void *ctx, u8 vector); /* level-triggered EOI, to the I/O APIC */
	void *ctx;
	bool is_cpu_serving;	/* the CPU changes the page while the guest runs: TPR at least */
	bool is_cpu_delivering; /* ... and moves requests into service and to the guest itself. Changes: vlapic_recount() */
};

/* SDM 3A table 11-1, SDM 3C 30.1.1 "Virtualized APIC Registers": a register every 16 bytes */
struct vlapic_page {
	struct {
		u32 value, unused[3];
	} reg[PAGE_SIZE / 16];
} __attribute__((aligned(PAGE_SIZE)));
static_assert(sizeof(struct vlapic_page) == PAGE_SIZE, "the CPU's layout");

/**
 * struct vlapic - one core's local APIC
 * @page: TPR, ISR, TMR, IRR and the ICR's upper half, which the CPU may change while the guest runs; for
 *       reading also the others
 * @reg: the registers that only software changes, as last written here; a guest's write of @page is taken
 *       over by vlapic_written()
 * @used_words: of ISR, TMR, IRR: a word is not zero only if its bit n is set. Where the CPU delivers, they
 *       are not kept; any bit of the last then says that software has changed what the CPU goes by.
 */
#define VLAPIC_REQUESTED BIT(1) /* in used_words[2] where the CPU delivers: IRR has got vectors */
struct vlapic {
	struct vlapic_page page; /* first: it begins a page of memory */
	const struct vlapic_env *env;
	u64 apic_base; /* MSR 0x1b */
	u32 id, esr_pending;
	u32 reg[64];	     /* MMIO offset / 16: SDM 3A table 11-6 */
	u64 timer_expiry_ns; /* NEVER = not running */
	u64 tsc_deadline;    /* 0 = not armed */
	u64 deadline_ns;     /* no vlapic_poll() is needed before */
	u8 used_words[3];
	u8 requested; /* where the CPU delivers: the highest vector that IRR has got since vlapic_look() */
	u8 lint;	     /* levels of the pins LINT0, LINT1 */
	bool is_error_told;  /* no second error interrupt before ESR is written */
	bool has_x2apic;
	bool nmi_pending; /* IPI, LINT pin or message; the kernel takes it and clears this */
};
extern const struct vdev_ops vlapic_mmio_ops; /* 4 KiB, self = struct vlapic */

void vlapic_init(struct vlapic *a, const struct vlapic_env *env, u32 id, bool is_bsp,
		 bool has_x2apic);

/** vlapic_reset_by_init() - as after reset, but ID, APIC_BASE and so the mode stay. */
void vlapic_reset_by_init(struct vlapic *a);

/**
 * vlapic_set_virtual_wire() - as PC firmware leaves it: enabled, 8259 through LINT0, NMI on LINT1
 *
 * MultiProcessor Specification 1.4, 3.6.2.2 "Virtual Wire Mode".
 */
void vlapic_set_virtual_wire(struct vlapic *a);

/** vlapic_poll() - expire the timer if due at @now_ns. Return: new deadline_ns, NEVER = none. */
u64 vlapic_poll(struct vlapic *a, u64 now_ns);

/** vlapic_catch_up() - the same now, for one: after each change of the guest's TSC. Return: now. */
u64 vlapic_catch_up(struct vlapic *a);

/**
 * vlapic_has_request() - must somebody look before the next entry? One load.
 *
 * Return: can vlapic_pending() be other than -1; where the CPU delivers: must it be told of a change.
 */
static inline bool vlapic_has_request(const struct vlapic *a)
{
	return a->used_words[2];
}

/**
 * vlapic_take_request() - where the CPU delivers: if all that has changed since the last look is that IRR has got
 * vectors, the highest of them; then this was the look. Else 0: vlapic_look() tells more.
 */
static inline u8 vlapic_take_request(struct vlapic *a)
{
	u8 vector = a->requested;
	if (a->used_words[2] != VLAPIC_REQUESTED) {
		return 0;
	}
	a->used_words[2] = a->requested = 0;
	return vector;
}

/** vlapic_recount() - env->is_cpu_delivering has become another, behind vlapic_look(). By the owner. */
void vlapic_recount(struct vlapic *a);

/** vlapic_look() - fill @view. Where the CPU delivers, vlapic_has_request() is false then. By the owner. */
void vlapic_look(struct vlapic *a, struct apic_view *view);

/** vlapic_written() - the CPU has put what the guest wrote into the register at @offset of the page. */
void vlapic_written(struct vlapic *a, u64 offset);

/** vlapic_eoi_done() - the CPU has taken @vector out of service at an EOI: see to the rest. */
void vlapic_eoi_done(struct vlapic *a, u8 vector);

/** vlapic_pending() - highest vector in IRR if it is above PPR, or -1. */
int vlapic_pending(const struct vlapic *a);

/**
 * vlapic_ack() - the acknowledge cycle: what vlapic_pending() says goes into service
 *
 * Return: the vector, or if there is none any more the spurious one (SDM 3A 11.9).
 */
u8 vlapic_ack(struct vlapic *a);

/** vlapic_serve() - the same for @vector, of which vlapic_pending() has just told. */
void vlapic_serve(struct vlapic *a, u8 vector);

/** vlapic_is_on() - does it take fixed interrupts? Not when disabled, by software or at all. From any CPU. */
bool vlapic_is_on(const struct vlapic *a);

/** vlapic_needs_bit() - would an edge of @vector that arrives now be one more bit in IRR, and no more? From any CPU. */
bool vlapic_needs_bit(const struct vlapic *a, u8 vector);

/** vlapic_accept() - a fixed interrupt arrives (IPI, I/O APIC, MSI). */
void vlapic_accept(struct vlapic *a, u8 vector, bool is_level);

/**
 * vlapic_set_lint() - LINT0 or LINT1 is asserted or not; its LVT entry says what that means
 *
 * ExtINT is not a message but a question: vlapic_takes_extint(). SMI and INIT have no effect.
 */
void vlapic_set_lint(struct vlapic *a, u32 pin, bool level);

/** vlapic_takes_extint() - does LINT0 pass the 8259's INT (virtual wire), or is the APIC off? */
bool vlapic_takes_extint(const struct vlapic *a);

/** vlapic_matches() - is this APIC a target? @is_x2apic: @dest has 32 bits, not 8. */
bool vlapic_matches(const struct vlapic *a, u32 dest, bool is_logical, bool is_x2apic);

/**
 * vlapic_arbitration_priority() - of the targets of a lowest-priority message the lowest takes it
 * vlapic_is_focus() - has this one @vector requested or in service? Then it comes before all.
 *
 * Context: any CPU, also while the owner writes. SDM 3A 11.6.2.4 "Lowest Priority Delivery Mode".
 */
u8 vlapic_arbitration_priority(const struct vlapic *a);
bool vlapic_is_focus(const struct vlapic *a, u8 vector);

/**
 * vlapic_rdmsr(), vlapic_wrmsr() - MSRs 0x1b, 0x6e0, 0x800-0x8ff. Return: false = #GP.
 *
 * The MMIO page stays where it is: an APIC_BASE with another address is refused.
 */
bool vlapic_rdmsr(struct vlapic *a, u32 msr, u64 *value);
bool vlapic_wrmsr(struct vlapic *a, u32 msr, u64 value);

u64 vlapic_cr8(const struct vlapic *a);
void vlapic_set_cr8(struct vlapic *a, u64 cr8);

#endif
