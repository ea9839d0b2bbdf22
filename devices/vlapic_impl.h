/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the virtual local APIC share: bits (SDM 3A 11.4 to 11.8) and internals. */
#ifndef BULKHEAD_VLAPIC_IMPL_H
#define BULKHEAD_VLAPIC_IMPL_H

#include "devices/vlapic.h"

#define APIC_BASE_BSP  BIT(8)
#define APIC_BASE_EXTD BIT(10)
#define APIC_BASE_EN   BIT(11)

#define SVR_ENABLE BIT(8)

#define ESR_SEND_ILLEGAL BIT(5)
#define ESR_RECV_ILLEGAL BIT(6)
#define ESR_REGISTER	 BIT(7)

/* ICR low and LVT entries: the same fields in the same places */
#define ICR_VECTOR    BITS(7, 0)
#define ICR_MODE      BITS(10, 8)
#define ICR_LOGICAL   BIT(11)
#define ICR_ASSERT    BIT(14)
#define ICR_SHORTHAND BITS(19, 18)

#define LVT_VECTOR     BITS(7, 0)
#define LVT_MODE       BITS(10, 8)
#define LVT_REMOTE_IRR BIT(14)
#define LVT_LEVEL      BIT(15)
#define LVT_MASKED     BIT(16)
#define LVT_PERIODIC   BIT(17)
#define LVT_DEADLINE   BIT(18)

enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, NR_LVTS };

enum { MODE_FIXED = 0, MODE_LOWEST = 1, MODE_NMI = 4, MODE_EXTINT = 7 };

/* IRR, ISR and TMR: 256 bits each */
static inline u32 vec_bit(u8 vector)
{
	return 1u << (vector % 32);
}

static inline bool vlapic_is_enabled(const struct vlapic *a)
{
	return a->apic_base & APIC_BASE_EN;
}

static inline bool vlapic_is_x2apic(const struct vlapic *a)
{
	return vlapic_is_enabled(a) && (a->apic_base & APIC_BASE_EXTD);
}

/** vlapic_x2apic_ldr() - logical ID of x2APIC mode, made of the ID (SDM 3A 11.12.10.2). */
static inline u32 vlapic_x2apic_ldr(const struct vlapic *a)
{
	return (a->id >> 4) << 16 | 1u << (a->id & 15);
}

u8 vlapic_ppr(const struct vlapic *a);
void vlapic_eoi(struct vlapic *a);
void vlapic_error(struct vlapic *a, u32 bit);
void vlapic_deliver(struct vlapic *a, u32 mode, u8 vector);
void vlapic_reset(struct vlapic *a);
void vlapic_mask_lvts(struct vlapic *a);
void vlapic_lint0_update(struct vlapic *a);

u32 vlapic_timer_count(struct vlapic *a);
void vlapic_timer_write_lvt(struct vlapic *a, u32 value);
void vlapic_timer_write_count(struct vlapic *a, u32 value);
void vlapic_timer_write_divide(struct vlapic *a, u32 value);
u64 vlapic_timer_deadline(struct vlapic *a);
void vlapic_timer_write_deadline(struct vlapic *a, u64 value);

#endif
