// SPDX-License-Identifier: BSD-2-Clause
/*
 * How a guest ends or resets its PC: fixed hardware (ACPI 6.5 4.8.3 "Fixed Hardware Registers"),
 * reset control 0xcf9 (ICH9 13.7.5), the 8042 without anything plugged in (IBM PC AT Technical
 * Reference, "Keyboard Controller"), port 0x92. And the PM timer. Called through the bus; what a
 * power-off or reset means is up to notify().
 */
#include "vacpi.h"

enum { TMR_STS = 0x0001, EN_KEPT = 0x4721 /* TMR, GBL, PWRBTN, SLPBTN, RTC, PCIEXP_WAK_DIS */ };
enum { CNT_SCI_EN = 0x0001, CNT_SLP_EN = 0x2000, CNT_KEPT = 0x1c02 /* SLP_TYP, BM_RLD */ };
enum { CF9_RST_CPU = 0x04, CF9_KEPT = 0x0a /* SYS_RST, FULL_RST */ };
/* Status; KBC_SYS is bit 2 of the command byte, KBC_COMMAND says that the last write was to 0x64 */
enum { KBC_OBF = 0x01, KBC_SYS = 0x04, KBC_COMMAND = 0x08, KBC_UNLOCKED = 0x10 };
enum { KBC_TIMEOUT = 0x40 };
enum { CTR_SYS = 0x04, CTR_NO_KEYBOARD = 0x10, CTR_NO_MOUSE = 0x20 };
enum { RESET_LINE = 0x01 /* of the output port, low = reset */, A20_LINE = 0x02 };

#define CNT_SLP_TYP BITS(12, 10)
#define KBC_RESEND  0xfe

static void reset(struct vacpi *a, const char *how)
{
	a->notify(a->ctx, VACPI_RESET, how);
}

/* 4.8.3.3 "Power Management Timer": TMR_STS is set whenever the top bit changes */
static void update_sci(struct vacpi *a, u64 now_ns)
{
	u64 halves = ns_to_ticks(now_ns, PM_TIMER_HZ) >> 23;

	if (halves != a->timer_halves) {
		a->timer_halves = halves;
		a->pm1_sts |= TMR_STS;
	}
	irq_line_set(&a->sci, a->pm1_sts & a->pm1_en);
}

u64 vacpi_poll(struct vacpi *a, u64 now_ns)
{
	if (!(a->pm1_en & TMR_STS)) {
		return NEVER;
	}
	update_sci(a, now_ns);
	return ticks_to_ns((a->timer_halves + 1) << 23, PM_TIMER_HZ);
}

static u64 pm_read(void *self, u64 offset, u32 width)
{
	struct vacpi *a = self;
	u64 now_ns = vclock_now(a->clock);

	update_sci(a, now_ns);
	/* The block as 16 bytes, in two halves */
	u64 half[3] = {
		(u64)a->pm1_cnt << 32 | (u64)a->pm1_en << 16 | a->pm1_sts,
		ns_to_ticks(now_ns, PM_TIMER_HZ) & 0xffffff,
	};
	u32 shift = 8 * (offset & 7);
	u64 *at = &half[offset >> 3 & 1];
	u64 high = shift ? at[1] << (64 - shift) : 0;
	return (at[0] >> shift | high) & width_mask(width);
}

/* SCI_EN is always 1: the FADT names no SMI command port, so there is no legacy mode (4.8.2.5) */
static void write_control(struct vacpi *a, u16 value)
{
	a->pm1_cnt = CNT_SCI_EN | (value & CNT_KEPT);
	if ((value & CNT_SLP_EN) && field_get(CNT_SLP_TYP, value) == VACPI_S5_TYP) {
		a->notify(a->ctx, VACPI_POWEROFF, "acpi-s5");
	}
}

/* 4.8.3.1: status bits are cleared by writing 1, and any register may be written by bytes */
static void pm_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vacpi *a = self;
	u64 now_ns = vclock_now(a->clock);

	update_sci(a, now_ns);
	for (u32 i = 0; i < width; i++, value >>= 8) {
		u64 at = offset + i;
		u64 mask = BITS(7, 0) << (at & 1) * 8, byte = value & 0xff;

		switch (at >> 1) {
		case 0: a->pm1_sts &= (u16)~field_set(mask, 0, byte); break;
		case 1: a->pm1_en = (u16)field_set(mask, a->pm1_en, byte) & EN_KEPT; break;
		case 2: write_control(a, (u16)field_set(mask, a->pm1_cnt, byte)); break;
		default: break;
		}
	}
	update_sci(a, now_ns);
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

static u64 port92_read(void *self, u64 offset maybe_unused, u32 width maybe_unused)
{
	struct vacpi *a = self;

	return a->port92 | A20_LINE; /* addresses are never cut at 20 bits */
}

static void port92_write(void *self, u64 offset maybe_unused, u32 width maybe_unused, u64 value)
{
	struct vacpi *a = self;

	a->port92 = value & 0xfc;
	if (value & RESET_LINE) {
		reset(a, "port 0x92");
	}
}

static void kbc_reply(struct vacpi *a, u8 value, u8 flags)
{
	a->kbc_data = value;
	a->kbc_status |= (u8)(KBC_OBF | flags);
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
	case 0x20: kbc_reply(a, a->kbc_ctr, 0); break;
	case 0x60: /* write the command byte */
	case 0xd1: /* write the output port */
	case 0xd2: /* write the output buffer, as if from the keyboard */
	case 0xd3: /* likewise as if from the mouse: on a controller without one, not marked so */
	case 0xd4: a->kbc_cmd = (u8)value; break; /* write to the mouse */
	case 0xa7: a->kbc_ctr |= CTR_NO_MOUSE; break;
	case 0xa8: a->kbc_ctr &= (u8)~CTR_NO_MOUSE; break;
	case 0xa9: kbc_reply(a, 0x01, 0); break; /* mouse test: clock line stuck low */
	case 0xaa: kbc_reply(a, 0x55, 0); break; /* self test passed */
	case 0xab: kbc_reply(a, 0x00, 0); break; /* keyboard interface test passed */
	case 0xad: a->kbc_ctr |= CTR_NO_KEYBOARD; break;
	case 0xae: a->kbc_ctr &= (u8)~CTR_NO_KEYBOARD; break;
	case 0xc0: kbc_reply(a, 0x80, 0); break; /* input port: keyboard not locked */
	case 0xd0: kbc_reply(a, A20_LINE | RESET_LINE, 0); break;
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
		if (!(data & RESET_LINE)) {
			reset(a, "keyboard controller");
		}
		break;
	case 0xd2:
	case 0xd3: kbc_reply(a, data, 0); break;
	case 0xd4: break;
	default: kbc_reply(a, KBC_RESEND, KBC_TIMEOUT); break; /* no keyboard took the byte */
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
	*a = (struct vacpi){
		.clock = clock,
		.sci = sci,
		.notify = a->notify,
		.ctx = a->ctx,
		.pm1_cnt = CNT_SCI_EN,
		.kbc_ctr = CTR_SYS | CTR_NO_MOUSE,
	};
}
