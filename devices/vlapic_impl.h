/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the virtual local APIC share: registers, bits (SDM 3A 11.4 to 11.8), calls. */
#ifndef BULKHEAD_VLAPIC_IMPL_H
#define BULKHEAD_VLAPIC_IMPL_H

#include "devices/vlapic.h"

/* Register numbers: MMIO offset / 16, MSR - 0x800. SDM 3A table 11-6 */
enum {
	REG_ID = 0x02, REG_VERSION = 0x03, REG_TPR = 0x08, REG_PPR = 0x0a, REG_EOI = 0x0b,
	REG_LDR = 0x0d, REG_DFR = 0x0e, REG_SVR = 0x0f, REG_ISR = 0x10, REG_TMR = 0x18,
	REG_IRR = 0x20, REG_ESR = 0x28, REG_ICR = 0x30, REG_ICR_HIGH = 0x31, REG_LVT = 0x32,
	REG_COUNT_INIT = 0x38, REG_COUNT = 0x39, REG_DIVIDE = 0x3e, REG_SELF_IPI = 0x3f,
	NR_REGS = 0x40
};

#define APIC_BASE_BSP  BIT(8)
#define APIC_BASE_EXTD BIT(10)
#define APIC_BASE_EN   BIT(11)

#define SVR_ENABLE	 BIT(8)
#define SVR_NO_FOCUS BIT(9)

#define ESR_SEND_ILLEGAL BIT(5)
#define ESR_RECV_ILLEGAL BIT(6)
#define ESR_REGISTER	 BIT(7)

/* ICR low and LVT entries: the same fields in the same places */
#define ICR_MODE      BITS(10, 8)
#define ICR_LOGICAL   BIT(11)
#define ICR_ASSERT    BIT(14)
#define ICR_LEVEL     BIT(15)
#define ICR_SHORTHAND BITS(19, 18)
#define ICR_TO_SELF   BIT(18)
#define LVT_MODE      BITS(10, 8)
#define LVT_REMOTE    BIT(14) /* remote IRR */
#define LVT_LEVEL     BIT(15)
#define LVT_MASKED    BIT(16)
#define LVT_PERIODIC  BIT(17)
#define LVT_DEADLINE  BIT(18)

enum { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, NR_LVTS };

enum { MODE_FIXED, MODE_LOWEST, MODE_SMI, MODE_NMI = 4, MODE_INIT, MODE_STARTUP, MODE_EXTINT };

static inline bool vlapic_is_enabled(const struct vlapic *a)
{
	return a->apic_base & APIC_BASE_EN;
}

static inline bool vlapic_is_x2apic(const struct vlapic *a)
{
	return vlapic_is_enabled(a) && (a->apic_base & APIC_BASE_EXTD);
}

/** vlapic_logical_id() - LDR; in x2APIC mode made of the ID (SDM 3A 11.12.10.2). */
static inline u32 vlapic_logical_id(const struct vlapic *a)
{
	return vlapic_is_x2apic(a) ? (a->id >> 4) << 16 | 1u << (a->id & 15) : a->reg[REG_LDR];
}

/** vlapic_put() - set a register that only software changes, for us and for readers. */
static inline void vlapic_put(struct vlapic *a, u32 n, u32 value)
{
	a->reg[n] = value;
	a->page.reg[n].value = value;
}

/** vlapic_tpr() - TPR; the CPU may have changed it. */
static inline u32 vlapic_tpr(const struct vlapic *a)
{
	return (u8)a->page.reg[REG_TPR].value;
}

/** vlapic_changed() - what vlapic_look() shows may be another: somebody must look. */
static inline void vlapic_changed(struct vlapic *a)
{
	a->used_words[2] |= a->env->is_cpu_serving;
}

/** vlapic_requested() - where the CPU delivers: IRR has got @vector, and nothing else of what vlapic_look() shows is new. */
static inline void vlapic_requested(struct vlapic *a, u8 vector)
{
	a->requested = MAX(a->requested, vector);
	a->used_words[2] |= VLAPIC_REQUESTED;
}

void vlapic_reset(struct vlapic *a);
void vlapic_show_id(struct vlapic *a);
u8 vlapic_ppr(const struct vlapic *a);
void vlapic_eoi(struct vlapic *a);
void vlapic_error(struct vlapic *a, u32 bit);
void vlapic_lint_changed(struct vlapic *a);

/** vlapic_timer_left() - the current count; vlapic_poll() has seen @now_ns. */
u32 vlapic_timer_left(const struct vlapic *a, u64 now_ns);
void vlapic_timer_start(struct vlapic *a, u32 count, u64 now_ns);

#endif
