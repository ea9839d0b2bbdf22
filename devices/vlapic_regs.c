/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual local APIC, registers: one table says what exists, in xAPIC mode (MMIO) and x2APIC mode
 * (MSRs), and which bits a write may change. Called by the MMIO bus and by the kernel's MSR table.
 */
#include "devices/vlapic_impl.h"
#include "x86/msr.h"

/* Register numbers: MMIO offset / 16, MSR - 0x800. SDM 3A table 11-6 */
enum {
	REG_ID = 0x02, REG_VERSION = 0x03, REG_TPR = 0x08, REG_PPR = 0x0a, REG_EOI = 0x0b,
	REG_LDR = 0x0d, REG_DFR = 0x0e, REG_SVR = 0x0f, REG_ISR = 0x10, REG_TMR = 0x18,
	REG_IRR = 0x20, REG_ESR = 0x28, REG_ICR = 0x30, REG_ICR_HIGH = 0x31, REG_LVT = 0x32,
	REG_COUNT_INIT = 0x38, REG_COUNT = 0x39, REG_DIVIDE = 0x3e, REG_SELF_IPI = 0x3f,
	NR_REGS = 0x40
};

enum { NO, RD, WR, RW };

/*
 * writable: bits that a write changes. ignored: bits that it may set in vain in x2APIC mode, where
 * any other is reserved and means #GP (SDM 3A 11.12.1.3); ICR bit 12 is undefined there: harmless.
 */
static const struct reg {
	u8 xapic, x2apic;
	u32 writable, ignored;
} regs[NR_REGS] = {
	[REG_ID] = { RD, RD, 0, 0 },
	[REG_VERSION] = { RD, RD, 0, 0 },
	[REG_TPR] = { RW, RW, 0xff, 0 },
	[REG_PPR] = { RD, RD, 0, 0 },
	[REG_EOI] = { WR, WR, 0, 0 },
	[REG_LDR] = { RW, RD, 0xff000000, 0 },
	[REG_DFR] = { RW, NO, 0xf0000000, 0 },
	[REG_SVR] = { RW, RW, 0x1ff, 0 },
	[REG_ISR ... REG_IRR + 7] = { RD, RD, 0, 0 },
	[REG_ESR] = { RW, RW, 0, 0 },
	[REG_ICR] = { RW, RW, 0xccfff, 0x1000 },
	[REG_ICR_HIGH] = { RW, NO, 0xff000000, 0 },
	[REG_LVT + LVT_TIMER] = { RW, RW, 0x700ff, 0x1000 },
	[REG_LVT + LVT_THERMAL] = { RW, RW, 0x107ff, 0x1000 },
	[REG_LVT + LVT_PERF] = { RW, RW, 0x107ff, 0x1000 },
	[REG_LVT + LVT_LINT0] = { RW, RW, 0x1a7ff, 0x5000 },
	[REG_LVT + LVT_LINT1] = { RW, RW, 0x1a7ff, 0x5000 },
	[REG_LVT + LVT_ERROR] = { RW, RW, 0x100ff, 0x1000 },
	[REG_COUNT_INIT] = { RW, RW, 0xffffffff, 0 },
	[REG_COUNT] = { RD, RD, 0, 0 },
	[REG_DIVIDE] = { RW, RW, 0xb, 0 },
	[REG_SELF_IPI] = { NO, WR, 0xff, 0 },
};

static u32 reg_read(struct vlapic *a, u32 n)
{
	switch (n) {
	case REG_ID: return vlapic_is_x2apic(a) ? a->id : a->id << 24;
	case REG_VERSION: return VLAPIC_VERSION;
	case REG_TPR: return a->tpr;
	case REG_PPR: return vlapic_ppr(a);
	case REG_LDR: return vlapic_is_x2apic(a) ? vlapic_x2apic_ldr(a) : a->ldr;
	case REG_DFR: return a->dfr;
	case REG_SVR: return a->svr;
	case REG_ISR ... REG_ISR + 7: return a->isr[n - REG_ISR];
	case REG_TMR ... REG_TMR + 7: return a->tmr[n - REG_TMR];
	case REG_IRR ... REG_IRR + 7: return a->irr[n - REG_IRR];
	case REG_ESR: return a->esr;
	case REG_ICR: return a->icr_lo;
	case REG_ICR_HIGH: return a->icr_hi;
	case REG_LVT ... REG_LVT + NR_LVTS - 1: return a->lvt[n - REG_LVT];
	case REG_COUNT_INIT: return a->initial_count;
	case REG_COUNT: return vlapic_timer_count(a);
	case REG_DIVIDE: return a->divide;
	default: return 0;
	}
}

static void send_ipi(struct vlapic *a)
{
	enum { TO_DEST, TO_SELF };
	const struct vlapic_ipi ipi = {
		.dest = vlapic_is_x2apic(a) ? a->icr_hi : a->icr_hi >> 24,
		.vector = (u8)a->icr_lo,
		.mode = (u8)field_get(ICR_MODE, a->icr_lo),
		.shorthand = (u8)field_get(ICR_SHORTHAND, a->icr_lo),
		.is_logical = a->icr_lo & ICR_LOGICAL,
		.is_level_assert = a->icr_lo & ICR_ASSERT,
		.is_x2apic = vlapic_is_x2apic(a),
	};
	if (ipi.mode <= MODE_LOWEST && ipi.vector < 16) {
		vlapic_error(a, ESR_SEND_ILLEGAL);
	} else if (ipi.shorthand == TO_SELF) {
		vlapic_deliver(a, ipi.mode, ipi.vector);
	} else {
		a->env->send_ipi(a->env->ctx, &ipi);
	}
}

static void write_self_ipi(struct vlapic *a, u8 vector)
{
	if (vector < 16) {
		vlapic_error(a, ESR_SEND_ILLEGAL);
	} else {
		vlapic_accept(a, vector, false);
	}
}

static void write_svr(struct vlapic *a, u32 value)
{
	a->svr = value;
	if (!(value & SVR_ENABLE)) {
		vlapic_mask_lvts(a);
	}
}

/* Read-only bits stay; while software-disabled the mask bit cannot be cleared (SDM 3A 11.4.7.2) */
static void write_lvt(struct vlapic *a, u32 i, u32 value)
{
	u32 masked = a->svr & SVR_ENABLE ? 0 : LVT_MASKED;
	value |= masked | (a->lvt[i] & ~regs[REG_LVT + i].writable);
	if (i == LVT_TIMER) {
		vlapic_timer_write_lvt(a, value);
		return;
	}
	if (!(value & LVT_LEVEL)) {
		value &= ~(u32)LVT_REMOTE_IRR;
	}
	a->lvt[i] = value;
	vlapic_lint0_update(a);
}

/* @value is cut to the writable bits */
static void reg_write(struct vlapic *a, u32 n, u32 value)
{
	switch (n) {
	case REG_TPR: a->tpr = value; break;
	case REG_EOI: vlapic_eoi(a); break;
	case REG_LDR: a->ldr = value; break;
	case REG_DFR: a->dfr = value | 0x0fffffff; break;
	case REG_SVR: write_svr(a, value); break;
	case REG_ESR:
		a->esr = a->esr_pending;
		a->esr_pending = 0;
		break;
	case REG_ICR:
		a->icr_lo = value;
		send_ipi(a);
		break;
	case REG_ICR_HIGH: a->icr_hi = value; break;
	case REG_LVT ... REG_LVT + NR_LVTS - 1: write_lvt(a, n - REG_LVT, value); break;
	case REG_COUNT_INIT: vlapic_timer_write_count(a, value); break;
	case REG_DIVIDE: vlapic_timer_write_divide(a, value); break;
	case REG_SELF_IPI: write_self_ipi(a, (u8)value); break;
	default: break;
	}
}

static bool has_mmio(const struct vlapic *a)
{
	return vlapic_is_enabled(a) && !vlapic_is_x2apic(a);
}

static bool is_register(struct vlapic *a, u64 n)
{
	if (n < NR_REGS && regs[n].xapic != NO) {
		return true;
	}
	vlapic_error(a, ESR_REGISTER);
	return false;
}

/* Only aligned 32-bit accesses are defined (SDM 3A 11.4.1); other reads see the same bytes */
static u64 mmio_read(void *self, u64 offset, u32 width)
{
	struct vlapic *a = self;
	(void)width;
	if (!has_mmio(a)) {
		return ~0ull;
	}
	u64 at = offset & 15;
	bool is_there = is_register(a, offset >> 4) && at < 4;
	return is_there ? reg_read(a, (u32)(offset >> 4)) >> (8 * at) : 0;
}

static void mmio_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vlapic *a = self;
	if (!has_mmio(a) || width != 4 || (offset & 15) || !is_register(a, offset >> 4)) {
		return;
	}
	const struct reg *r = &regs[offset >> 4];
	if (r->xapic & WR) {
		reg_write(a, (u32)(offset >> 4), (u32)value & r->writable);
	}
}

const struct vdev_ops vlapic_mmio_ops = { .read = mmio_read, .write = mmio_write };

/* SDM 3A 11.12.5 "x2APIC State Transitions": out of x2APIC mode only by way of disabled */
static bool write_apic_base(struct vlapic *a, u64 value)
{
	u64 modes = APIC_BASE_EN | (a->has_x2apic ? APIC_BASE_EXTD : 0);
	u64 was = a->apic_base & modes, is = value & modes;
	if ((value & ~(modes | APIC_BASE_BSP)) != VLAPIC_BASE || is == APIC_BASE_EXTD ||
	    (is > APIC_BASE_EN && !was) || (is == APIC_BASE_EN && was > APIC_BASE_EN)) {
		return false;
	}
	a->apic_base = value;
	if (!is && was) {
		vlapic_reset(a);
	}
	return true;
}

static bool write_x2apic(struct vlapic *a, u32 n, u64 value)
{
	const struct reg *r = &regs[n];
	u64 allowed = (r->writable | r->ignored) | (n == REG_ICR ? BITS(63, 32) : 0);
	if (!(r->x2apic & WR) || (value & ~allowed)) {
		return false;
	}
	if (n == REG_ICR) {
		a->icr_hi = (u32)(value >> 32);
	}
	reg_write(a, n, (u32)value & r->writable);
	return true;
}

bool vlapic_rdmsr(struct vlapic *a, u32 msr, u64 *value)
{
	if (msr == MSR_APIC_BASE) {
		*value = a->apic_base;
		return true;
	}
	if (msr == MSR_TSC_DEADLINE) {
		*value = vlapic_timer_deadline(a);
		return true;
	}
	u32 n = msr - MSR_X2APIC_FIRST;
	if (!vlapic_is_x2apic(a) || n >= NR_REGS || !(regs[n].x2apic & RD)) {
		return false;
	}
	*value = reg_read(a, n) | (n == REG_ICR ? (u64)a->icr_hi << 32 : 0);
	return true;
}

bool vlapic_wrmsr(struct vlapic *a, u32 msr, u64 value)
{
	if (msr == MSR_APIC_BASE) {
		return write_apic_base(a, value);
	}
	if (msr == MSR_TSC_DEADLINE) {
		vlapic_timer_write_deadline(a, value);
		return true;
	}
	u32 n = msr - MSR_X2APIC_FIRST;
	return vlapic_is_x2apic(a) && n < NR_REGS && write_x2apic(a, n, value);
}
