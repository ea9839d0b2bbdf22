// SPDX-License-Identifier: BSD-2-Clause
/*
 * Virtual local APIC, registers: one table says what exists, in xAPIC mode (MMIO) and x2APIC mode
 * (MSRs), and which bits a write may change. Called by the MMIO bus and by the kernel's MSR table.
 */
#include "devices/vlapic_impl.h"
#include "x86/msr.h"

enum { NO, RD, WR, RW };

/*
 * writable: bits that a write changes. ignored: bits that it may set in vain in x2APIC mode, where
 * any other is reserved and means #GP (SDM 3A 11.12.1.3); ICR bit 12 is undefined there: harmless.
 */
static const struct reg {
	u8 xapic, x2apic;
	u32 writable, ignored;
} regs[NR_REGS] = {
	[REG_ID ... REG_VERSION] = { RD, RD, 0, 0 },
	[REG_TPR] = { RW, RW, 0xff, 0 },
	[REG_PPR] = { RD, RD, 0, 0 },
	[REG_EOI] = { WR, WR, 0, 0 },
	[REG_LDR] = { RW, RD, 0xff000000, 0 },
	[REG_DFR] = { RW, NO, 0xf0000000, 0 },
	[REG_SVR] = { RW, RW, 0x3ff, 0 },
	[REG_ISR ... REG_IRR + 7] = { RD, RD, 0, 0 },
	[REG_ESR] = { RW, RW, 0, 0 },
	[REG_ICR] = { RW, RW, 0xccfff, 0x1000 },
	[REG_ICR_HIGH] = { RW, NO, 0xff000000, 0 },
	[REG_LVT + LVT_TIMER] = { RW, RW, 0x700ff, 0x1000 },
	[REG_LVT + LVT_THERMAL ... REG_LVT + LVT_PERF] = { RW, RW, 0x107ff, 0x1000 },
	[REG_LVT + LVT_LINT0 ... REG_LVT + LVT_LINT1] = { RW, RW, 0x1a7ff, 0x5000 },
	[REG_LVT + LVT_ERROR] = { RW, RW, 0x100ff, 0x1000 },
	[REG_COUNT_INIT] = { RW, RW, 0xffffffff, 0 },
	[REG_COUNT] = { RD, RD, 0, 0 },
	[REG_DIVIDE] = { RW, RW, 0xb, 0 },
	[REG_SELF_IPI] = { NO, WR, 0xff, 0 },
};

static u32 reg_read(struct vlapic *a, u32 n)
{
	switch (n) {
	case REG_PPR: return vlapic_ppr(a);
	case REG_COUNT: return vlapic_timer_left(a, vlapic_catch_up(a));
	default: return a->page.reg[n].value;
	}
}

/* ID and LDR depend on the mode. In x2APIC mode LDR cannot be written; out of it the way is a reset. */
void vlapic_show_id(struct vlapic *a)
{
	vlapic_put(a, REG_ID, vlapic_is_x2apic(a) ? a->id : a->id << 24);
	vlapic_put(a, REG_LDR, vlapic_logical_id(a));
}

/* A CPU that serves the registers takes writes of this one without an exit (SDM 3C 30.4.3.2) */
static u32 icr_high(const struct vlapic *a)
{
	return a->page.reg[REG_ICR_HIGH].value;
}

/*
 * SDM 3A table 11-3 "Valid Combinations ...": what goes to the sender too can be fixed only. The
 * trigger mode does not matter, IPIs are edges (its note 2); it tells INIT from its de-assertion.
 */
static void send_ipi(struct vlapic *a, u32 icr)
{
	if ((icr & (ICR_SHORTHAND | ICR_MODE)) == ICR_TO_SELF && (u8)icr >= 16) { /* fixed: as most go */
		vlapic_accept(a, (u8)icr, false);
		return;
	}
	const u32 to_others = BIT(MODE_FIXED) | BIT(MODE_LOWEST) | BIT(MODE_SMI) | BIT(MODE_NMI) |
			      BIT(MODE_INIT) | BIT(MODE_STARTUP);
	const struct vlapic_ipi ipi = {
		.dest = vlapic_is_x2apic(a) ? icr_high(a) : icr_high(a) >> 24,
		.vector = (u8)icr,
		.mode = (u8)field_get(ICR_MODE, icr),
		.shorthand = (u8)field_get(ICR_SHORTHAND, icr),
		.is_logical = icr & ICR_LOGICAL,
		.is_x2apic = vlapic_is_x2apic(a),
		.is_deassert = field_get(ICR_MODE, icr) == MODE_INIT &&
			       (icr & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL,
	};
	bool has_sender = ipi.shorthand == SHORTHAND_SELF || ipi.shorthand == SHORTHAND_ALL;

	if (!((has_sender ? BIT(MODE_FIXED) : to_others) & BIT(ipi.mode))) {
		return;
	}
	if (ipi.mode <= MODE_LOWEST && ipi.vector < 16) {
		vlapic_error(a, ESR_SEND_ILLEGAL);
	} else {
		a->env->send_ipi(a->env->ctx, &ipi);
	}
}

/* While software-disabled, all LVTs are masked and remain so (SDM 3A 11.4.7.2) */
static void mask_if_disabled(struct vlapic *a)
{
	for (u32 i = 0; i < NR_LVTS && !(a->reg[REG_SVR] & SVR_ENABLE); i++) {
		vlapic_put(a, REG_LVT + i, a->reg[REG_LVT + i] | LVT_MASKED);
	}
}

/* Bits that are not writable stay. Return: bits that changed. */
static u32 reg_set(struct vlapic *a, u32 n, u32 value)
{
	u32 changed = (a->reg[n] ^ value) & regs[n].writable;

	vlapic_put(a, n, a->reg[n] ^ changed);
	return changed;
}

/* Registers that the timer depends on: SVR because it masks */
static void timer_write(struct vlapic *a, u32 n, u32 value)
{
	u64 now_ns = vlapic_catch_up(a);
	u32 count = vlapic_timer_left(a, now_ns), changed = reg_set(a, n, value);
	bool is_deadline = a->reg[REG_LVT + LVT_TIMER] & LVT_DEADLINE;

	mask_if_disabled(a);
	if (n == REG_SVR) {
		vlapic_changed(a);
	}
	if (n == REG_LVT + LVT_TIMER && (changed & LVT_DEADLINE)) { /* a change of mode disarms */
		a->tsc_deadline = 0;
		vlapic_put(a, REG_COUNT_INIT, 0);
		vlapic_timer_start(a, 0, now_ns);
	} else if (n == REG_COUNT_INIT) {
		if (is_deadline) {
			vlapic_put(a, n, 0);
		}
		vlapic_timer_start(a, a->reg[n], now_ns);
	} else if (n == REG_DIVIDE) { /* goes on from where it is */
		vlapic_timer_start(a, count, now_ns);
	}
	vlapic_poll(a, now_ns);
}

/* What the write starts sees the register changed */
static noinline void reg_write_other(struct vlapic *a, u32 n, u32 value)
{
	switch (n) {
	case REG_ESR:
		vlapic_put(a, n, a->esr_pending);
		a->esr_pending = 0;
		a->is_error_told = false;
		break;
	case REG_SVR:
	case REG_LVT + LVT_TIMER:
	case REG_COUNT_INIT:
	case REG_DIVIDE: timer_write(a, n, value); break;
	default:
		reg_set(a, n, value);
		mask_if_disabled(a);
		vlapic_lint_changed(a);
	}
}

/* What guests write all the time first */
static void reg_write(struct vlapic *a, u32 n, u32 value)
{
	switch (n) {
	case REG_EOI: vlapic_eoi(a); break;
	case REG_TPR: a->page.reg[n].value = value & 0xff; break;
	case REG_ICR:
		reg_set(a, n, value);
		send_ipi(a, a->reg[n]);
		break;
	case REG_SELF_IPI: send_ipi(a, ICR_TO_SELF | value); break;
	default: reg_write_other(a, n, value);
	}
}

/* Between the guest's write and this nobody has looked: what the bits that are not writable were is in reg */
void vlapic_written(struct vlapic *a, u64 offset)
{
	const struct reg *r = &regs[offset / 16 % NR_REGS];
	u32 n = (u32)(r - regs), value = a->page.reg[n].value;

	if (offset / 16 < NR_REGS && n != REG_TPR) {
		a->page.reg[n].value = a->reg[n];
	}
	if (offset / 16 < NR_REGS && ((vlapic_is_x2apic(a) ? r->x2apic : r->xapic) & WR)) {
		reg_write(a, n, value);
	}
}

/* The register at @offset, or NR_REGS, which is an error */
static u32 mmio_reg(struct vlapic *a, u64 offset)
{
	if (offset / 16 < NR_REGS && regs[offset / 16].xapic != NO) {
		return (u32)offset / 16;
	}
	vlapic_error(a, ESR_REGISTER);
	return NR_REGS;
}

static bool has_mmio(const struct vlapic *a)
{
	return vlapic_is_enabled(a) && !vlapic_is_x2apic(a);
}

/* Only aligned 32-bit accesses are defined (SDM 3A 11.4.1); other reads see the same bytes */
static u64 mmio_read(void *self, u64 offset, u32 width maybe_unused)
{
	struct vlapic *a = self;

	if (!has_mmio(a)) {
		return ~0ull;
	}
	u32 n = mmio_reg(a, offset);
	return n < NR_REGS && offset % 16 < 4 ? reg_read(a, n) >> (8 * (offset % 16)) : 0;
}

static void mmio_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vlapic *a = self;

	if (has_mmio(a) && width == 4 && offset % 16 == 0) {
		u32 n = mmio_reg(a, offset);

		if (n < NR_REGS && (regs[n].xapic & WR)) {
			reg_write(a, n, (u32)value);
		}
	}
}

const struct vdev_ops vlapic_mmio_ops = { .read = mmio_read, .write = mmio_write, .is_unlocked = true };

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
	vlapic_show_id(a);
	vlapic_changed(a);
	return true;
}

static bool is_x2apic_reg(const struct vlapic *a, u32 n, u8 access)
{
	return vlapic_is_x2apic(a) && n < NR_REGS && (regs[n].x2apic & access);
}

bool vlapic_rdmsr(struct vlapic *a, u32 msr, u64 *value)
{
	u32 n = msr - MSR_X2APIC_FIRST;

	if (msr == MSR_APIC_BASE) {
		*value = a->apic_base;
	} else if (msr == MSR_TSC_DEADLINE) {
		vlapic_catch_up(a);
		*value = a->tsc_deadline;
	} else if (is_x2apic_reg(a, n, RD)) {
		*value = reg_read(a, n) | (n == REG_ICR ? (u64)icr_high(a) << 32 : 0);
	} else {
		return false;
	}
	return true;
}

static noinline bool write_other(struct vlapic *a, u32 msr, u64 value)
{
	if (msr == MSR_APIC_BASE) {
		return write_apic_base(a, value);
	}
	if (msr != MSR_TSC_DEADLINE) {
		return false;
	}
	vlapic_catch_up(a);
	a->tsc_deadline = a->reg[REG_LVT + LVT_TIMER] & LVT_DEADLINE ? value : 0;
	vlapic_catch_up(a);
	return true;
}

bool vlapic_wrmsr(struct vlapic *a, u32 msr, u64 value)
{
	u32 n = msr - MSR_X2APIC_FIRST;

	if (n >= NR_REGS) {
		return write_other(a, msr, value);
	}
	u64 high = n == REG_ICR ? BITS(63, 32) : 0;
	if (!is_x2apic_reg(a, n, WR) || (value & ~(regs[n].writable | regs[n].ignored | high))) {
		return false;
	}
	if (n == REG_ICR) {
		vlapic_put(a, REG_ICR_HIGH, (u32)(value >> 32));
	}
	reg_write(a, n, (u32)value);
	return true;
}
