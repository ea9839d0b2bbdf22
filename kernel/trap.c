/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What interrupts and exceptions mean to the hypervisor itself: host interrupts do nothing (the run
 * loop looks around after each), an NMI freezes or is a crash, an access to an MSR may fail, all else
 * is a crash. trap.S calls it with interrupts off.
 */
#include "trap.h"
#include "cpu.h"
#include "drivers/lapic.h"
#include "x86/insn.h"
#include "x86/regs.h"

struct gate { /* SDM 3A 6.14.1 "64-Bit Mode IDT" */
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, reserved;
};
static_assert(sizeof(struct gate) == 16, "SDM 3A figure 6-8");

#define GATE_INTERRUPT 0x8e /* present, DPL 0, 64-bit interrupt gate: clears IF */

static struct gate idt[256];

/* Stacks of their own for what can hit on any stack, even a broken one (tss.ist[n - 1]) */
static const u8 ist_of[ARRAY_SIZE(idt)] = { [VEC_NMI] = 1, [VEC_DF] = 2, [VEC_MC] = 3 };

const struct table_ptr *idt_ptr(void)
{
	static const struct table_ptr ptr = { .limit = sizeof(idt) - 1, .base = (uintptr_t)idt };

	for (u32 i = 0; i < ARRAY_SIZE(idt) && !idt[i].type; i++) {
		u64 stub = (uintptr_t)trap_stubs[i];
		idt[i] = (struct gate){ .offset_low = (u16)stub,
					.selector = 0x08,
					.ist = ist_of[i],
					.type = GATE_INTERRUPT,
					.offset_mid = (u16)(stub >> 16),
					.offset_high = (u32)(stub >> 32) };
	}
	return &ptr;
}

static bool fix_up(struct trap_frame *f)
{
	for (const struct ex_entry *x = ex_table; x < ex_table_end; x++) {
		if (f->vector == VEC_GP && f->rip == x->insn) {
			f->rip = x->resume;
			return true;
		}
	}
	return false;
}

/* The spurious vector gets no EOI (SDM 3A 11.9); a line that firmware left open does. */
static void irq_taken(u8 vector)
{
	if (vector != HOST_VEC_SPURIOUS) {
		this_cpu()->nr_timer_irqs += vector == HOST_VEC_TIMER;
		lapic_eoi();
	}
}

void irq_take(u8 vector)
{
	if (vector) {
		irq_taken(vector);
	} else {
		irq_window();
	}
}

void trap_handle(struct trap_frame *f)
{
	if (f->vector == VEC_NMI) {
		cpu_nmi();
		crash(f); /* nobody sends them but us: hardware has something to say, or an operator */
	} else if (f->vector < 32) {
		if (!fix_up(f)) {
			crash(f);
		}
	} else {
		f->rip += f->rip == (uintptr_t)irq_wait_hlt; /* see there */
		irq_taken((u8)f->vector);
	}
}
