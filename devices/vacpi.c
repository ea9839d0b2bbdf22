// SPDX-License-Identifier: BSD-2-Clause
/*
 * How a guest ends or resets its PC: fixed hardware (ACPI 6.5 4.8.3 "Fixed Hardware Registers"),
 * reset control 0xcf9 (ICH9 13.7.5), the 8042 without anything plugged in (IBM PC AT Technical
 * Reference, "Keyboard Controller"), port 0x92. And the PM timer with its interrupt. Called through
 * the bus, and by the kernel's poll; what a power-off or reset means is up to notify().
 */
#include "vacpi.h"

/* PM1 as 8 bytes: status, enable, control. No button, no wake source: the timer alone has a status */
#define PM1_STS	    BITS(15, 0)
#define PM1_TMR_STS BIT(0)
#define PM1_TMR_EN  BIT(16)
#define PM1_EN_KEPT 0x47210000ull /* TMR, GBL, PWRBTN, SLPBTN, RTC, PCIEXP_WAK_DIS */
#define PM1_SCI_EN  BIT(32)
#define PM1_BM_RLD  BIT(33)
#define PM1_SLP_TYP BITS(44, 42)
#define PM1_SLP_EN  BIT(45)
#define PM1_KEPT    (PM1_EN_KEPT | PM1_BM_RLD | PM1_SLP_TYP)

enum { CF9_RST_CPU = 0x04, CF9_KEPT = 0x0a /* SYS_RST, FULL_RST */ };
/* Status; KBC_SYS is bit 2 of the command byte, KBC_COMMAND says that the last write was to 0x64 */
enum { KBC_OBF = 1, KBC_SYS = 4, KBC_COMMAND = 8, KBC_UNLOCKED = 0x10, KBC_TIMEOUT = 0x40 };
enum { CTR_SYS = 0x04, CTR_NO_KEYBOARD = 0x10, CTR_NO_MOUSE = 0x20 };
enum { RESET_LINE = 0x01 /* of the output port, low = reset */, A20_LINE = 0x02 };

#define KBC_RESEND 0xfe
#define KBC_OUT	   0xcf /* the output port after power-on: both interrupts off, all else high */

static void reset(struct vacpi *a, const char *how)
{
	a->notify(a->ctx, VACPI_RESET, how);
}

/* 4.8.3.3 "Power Management Timer": TMR_STS is set whenever the counter's top bit changes */
static u64 pm_sync(struct vacpi *a, u64 now_ns)
{
	u64 ticks = ns_to_ticks(now_ns, PM_TIMER_HZ);

	a->pm1 |= ticks >> 23 != a->timer_halves ? PM1_TMR_STS : 0;
	a->timer_halves = ticks >> 23;
	bool is_enabled = a->pm1 & PM1_TMR_EN, is_set = a->pm1 & PM1_TMR_STS;
	irq_line_set(&a->sci, is_enabled && is_set);
	a->deadline_ns = is_enabled && !is_set ?
				 ticks_to_ns((a->timer_halves + 1) << 23, PM_TIMER_HZ) : NEVER;
	return ticks & 0xffffff;
}

u64 vacpi_poll(struct vacpi *a, u64 now_ns)
{
	if (now_ns >= a->deadline_ns) {
		pm_sync(a, now_ns);
	}
	return a->deadline_ns;
}

/* The bus keeps within the block: 16 bytes, the timer in the second half */
static u64 pm_read(void *self, u64 offset, u32 width maybe_unused)
{
	struct vacpi *a = self;
	u64 timer = pm_sync(a, vclock_now(a->clock));

	return (u64)(((u128)timer << 64 | a->pm1) >> (8 * offset));
}

/*
 * Status bits are cleared by writing 1 (4.8.3.1). SCI_EN is always 1: the FADT names no SMI command
 * port, so there is no legacy mode (4.8.2.5).
 */
static void pm_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vacpi *a = self;
	u64 mask = offset < 8 ? width_mask(width) << (8 * offset) : 0;
	u64 bits = value << (8 * (offset & 7)) & mask, now_ns = vclock_now(a->clock);
	u64 written = (a->pm1 & ~mask) | bits;

	pm_sync(a, now_ns);
	a->pm1 = PM1_SCI_EN | (written & PM1_KEPT) | (a->pm1 & PM1_STS & ~bits);
	pm_sync(a, now_ns);
	if ((written & PM1_SLP_EN) && field_get(PM1_SLP_TYP, written) == VACPI_S5_TYP) {
		a->notify(a->ctx, VACPI_POWEROFF, "acpi-s5");
	}
}

static u64 cf9_read(void *self, u64 offset maybe_unused, u32 width maybe_unused)
{
	struct vacpi *a = self;

	return a->cf9;
}

/* RST_CPU resets as it rises, hard or soft; since it never stays up, any write of 1 is a rise */
static void cf9_write(void *self, u64 offset maybe_unused, u32 width maybe_unused, u64 value)
{
	struct vacpi *a = self;

	a->cf9 = value & CF9_KEPT;
	if (value & CF9_RST_CPU) {
		reset(a, "0xcf9");
	}
}

/* A20 reads back as written, here and in the 8042, but addresses are never cut at 20 bits */
static u64 port92_read(void *self, u64 offset maybe_unused, u32 width maybe_unused)
{
	struct vacpi *a = self;

	return a->port92;
}

static void port92_write(void *self, u64 offset maybe_unused, u32 width maybe_unused, u64 value)
{
	struct vacpi *a = self;

	a->port92 = value & A20_LINE;
	if (value & RESET_LINE) {
		reset(a, "port 0x92");
	}
}

static void kbc_reply(struct vacpi *a, u8 value)
{
	a->kbc_data = value;
	a->kbc_status |= KBC_OBF;
}

static u64 kbc_status_read(void *self, u64 offset maybe_unused, u32 width maybe_unused)
{
	struct vacpi *a = self;

	return a->kbc_status | KBC_UNLOCKED | (a->kbc_ctr & KBC_SYS);
}

static u64 kbc_data_read(void *self, u64 offset maybe_unused, u32 width maybe_unused)
{
	struct vacpi *a = self;

	a->kbc_status &= (u8) ~(KBC_OBF | KBC_TIMEOUT);
	return a->kbc_data;
}

static void kbc_command(void *self, u64 offset maybe_unused, u32 width maybe_unused, u64 value)
{
	struct vacpi *a = self;

	a->kbc_status |= KBC_COMMAND;
	a->kbc_cmd = 0;
	switch (value) {
	case 0x20: kbc_reply(a, a->kbc_ctr); break;
	case 0x60: /* write the command byte */
	case 0xd1: /* write the output port */
	case 0xd2: /* write the output buffer, as if from the keyboard */
	case 0xd3: /* likewise as if from the mouse: there is none, so the byte is not marked as its */
	case 0xd4: a->kbc_cmd = (u8)value; break; /* write to the mouse */
	case 0xa7: a->kbc_ctr |= CTR_NO_MOUSE; break;
	case 0xa8: a->kbc_ctr &= (u8)~CTR_NO_MOUSE; break;
	case 0xa9: kbc_reply(a, 0x01); break; /* mouse test: clock line stuck low */
	case 0xaa: kbc_reply(a, 0x55); break; /* self test passed */
	case 0xab: kbc_reply(a, 0x00); break; /* keyboard interface test passed */
	case 0xad: a->kbc_ctr |= CTR_NO_KEYBOARD; break;
	case 0xae: a->kbc_ctr &= (u8)~CTR_NO_KEYBOARD; break;
	case 0xc0: kbc_reply(a, 0x80); break; /* input port: keyboard not locked */
	case 0xd0: kbc_reply(a, a->kbc_out); break;
	case 0xdd: a->kbc_out &= (u8)~A20_LINE; break;
	case 0xdf: a->kbc_out |= A20_LINE; break;
	default: break;
	}
	if (value >= 0xf0 && !(value & RESET_LINE)) { /* pulse the lines whose bit is 0 */
		reset(a, "keyboard controller");
	}
}

static void kbc_data_write(void *self, u64 offset maybe_unused, u32 width maybe_unused, u64 value)
{
	struct vacpi *a = self;
	u8 command = a->kbc_cmd, data = (u8)value;

	a->kbc_cmd = 0;
	a->kbc_status &= (u8)~KBC_COMMAND;
	switch (command) {
	case 0x60: a->kbc_ctr = data; break;
	case 0xd1:
		a->kbc_out = data | RESET_LINE;
		if (!(data & RESET_LINE)) {
			reset(a, "keyboard controller");
		}
		break;
	case 0xd2:
	case 0xd3: kbc_reply(a, data); break;
	default: /* neither keyboard nor mouse took the byte */
		kbc_reply(a, KBC_RESEND);
		a->kbc_status |= KBC_TIMEOUT;
		break;
	}
}

const struct vdev_ops vacpi_pm_ops = { .read = pm_read, .write = pm_write };
const struct vdev_ops vacpi_cf9_ops = {
	.read = cf9_read, .write = cf9_write, .is_byte_wide = true,
};
const struct vdev_ops vacpi_port92_ops = {
	.read = port92_read, .write = port92_write, .is_byte_wide = true,
};
const struct vdev_ops vacpi_kbc_ops = {
	.read = kbc_status_read, .write = kbc_command, .is_byte_wide = true,
};
const struct vdev_ops vacpi_kbc_data_ops = {
	.read = kbc_data_read, .write = kbc_data_write, .is_byte_wide = true,
};

void vacpi_init(struct vacpi *a, const struct vclock *clock, struct irq_line sci)
{
	*a = (struct vacpi){ .clock = clock, .sci = sci, .notify = a->notify, .ctx = a->ctx,
			     .deadline_ns = NEVER, .pm1 = PM1_SCI_EN, .port92 = A20_LINE,
			     .kbc_ctr = CTR_SYS | CTR_NO_MOUSE, .kbc_out = KBC_OUT };
}
