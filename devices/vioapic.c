/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual I/O APIC (82093AA data sheet 3.0; ICH9 13.5): 24 pins, each a redirection entry. Knows
 * lines and messages; who takes a message is the platform's affair. Lines are "asserted or not", so
 * the polarity bit is stored and changes nothing. Called by the MMIO bus and the platform.
 */
#include "devices/vioapic.h"

#define REDIR_VECTOR	 BITS(7, 0)
#define REDIR_MODE	 BITS(10, 8)
#define REDIR_LOGICAL	 BIT(11)
#define REDIR_REMOTE_IRR BIT(14)
#define REDIR_LEVEL	 BIT(15)
#define REDIR_MASKED	 BIT(16)
#define REDIR_DEST	 BITS(63, 56)
#define REDIR_WRITABLE	 (REDIR_DEST | 0x1afff) /* not: delivery status 12, remote IRR 14 */

#define MODES 0xb7 /* that exist: not 3 and 6, reserved (82093AA 3.2.4 "Delivery Mode") */

#define VERSION ((VIOAPIC_PINS - 1) << 16 | 0x20)

enum { WINDOW_INDEX = 0x00, WINDOW_DATA = 0x10, WINDOW_EOI = 0x40 };
enum { REG_ID = 0, REG_VERSION = 1, REG_ARBITRATION = 2, REG_REDIR = 0x10 };

/* Only fixed and lowest priority can be level-triggered (82093AA 3.2.4 "Delivery Mode") */
static bool is_level(u64 redir)
{
	return (redir & REDIR_LEVEL) && field_get(REDIR_MODE, redir) <= 1;
}

static void deliver(struct vioapic *a, u32 pin)
{
	u64 r = a->redir[pin];

	if (!(MODES >> field_get(REDIR_MODE, r) & 1)) {
		return;
	}
	const struct vioapic_message m = {
		.dest = (u8)field_get(REDIR_DEST, r),
		.vector = (u8)field_get(REDIR_VECTOR, r),
		.mode = (u8)field_get(REDIR_MODE, r),
		.is_logical = r & REDIR_LOGICAL,
		.is_level = is_level(r),
	};

	a->redir[pin] |= m.is_level ? REDIR_REMOTE_IRR : 0;
	a->deliver(a->ctx, &m);
}

/* A level-triggered pin sends one message, and the next only after its EOI */
static void update_level(struct vioapic *a, u32 pin)
{
	u64 r = a->redir[pin];
	if (is_level(r) && (a->lines & BIT(pin)) && !(r & (REDIR_MASKED | REDIR_REMOTE_IRR))) {
		deliver(a, pin);
	}
}

void vioapic_init(struct vioapic *a, u8 id, void (*send)(void *, const struct vioapic_message *),
		  void *ctx)
{
	*a = (struct vioapic){ .id = id & 0xf, .deliver = send, .ctx = ctx };
	for (u32 i = 0; i < VIOAPIC_PINS; i++) {
		a->redir[i] = REDIR_MASKED;
	}
}

/* An edge on a masked pin is lost (82093AA 3.2.4 "Interrupt Mask") */
void vioapic_set_line(struct vioapic *a, u32 pin, bool level)
{
	u32 bit = 1u << pin;
	bool is_rise = level && !(a->lines & bit);
	a->lines = level ? a->lines | bit : a->lines & ~bit;
	if (is_level(a->redir[pin])) {
		update_level(a, pin);
	} else if (is_rise && !(a->redir[pin] & REDIR_MASKED)) {
		deliver(a, pin);
	}
}

void vioapic_eoi(struct vioapic *a, u8 vector)
{
	for (u32 pin = 0; pin < VIOAPIC_PINS; pin++) {
		u64 r = a->redir[pin];
		if ((r & REDIR_REMOTE_IRR) && field_get(REDIR_VECTOR, r) == vector) {
			a->redir[pin] &= ~REDIR_REMOTE_IRR;
			update_level(a, pin);
		}
	}
}

static u32 data_read(const struct vioapic *a)
{
	u32 n = (u32)a->index - REG_REDIR;
	if (n < 2 * VIOAPIC_PINS) {
		return (u32)(a->redir[n / 2] >> (n % 2 * 32));
	}
	switch (a->index) {
	case REG_ID:
	case REG_ARBITRATION: return (u32)a->id << 24;
	case REG_VERSION: return VERSION;
	default: return 0;
	}
}

/* An edge-triggered entry has no remote IRR: drivers clear it by "edge, then level again" */
static void redir_write(struct vioapic *a, u32 pin, u64 value)
{
	u64 r = (a->redir[pin] & ~REDIR_WRITABLE) | (value & REDIR_WRITABLE);
	a->redir[pin] = is_level(r) ? r : r & ~REDIR_REMOTE_IRR;
	update_level(a, pin);
}

static void data_write(struct vioapic *a, u32 value)
{
	u32 n = (u32)a->index - REG_REDIR;
	if (n < 2 * VIOAPIC_PINS) {
		u64 half = n % 2 ? BITS(63, 32) : BITS(31, 0);
		redir_write(a, n / 2, field_set(half, a->redir[n / 2], value));
	} else if (a->index == REG_ID) {
		a->id = value >> 24 & 0xf;
	}
}

static u32 window_read(const struct vioapic *a, u64 window)
{
	return window == WINDOW_INDEX ? a->index : window == WINDOW_DATA ? data_read(a) : 0;
}

/* Three 32-bit windows, 16 bytes apart; narrow accesses see and change their bytes of them */
static u64 vioapic_read(void *self, u64 offset, u32 width maybe_unused)
{
	u64 at = offset % 16;

	return at < 4 ? window_read(self, offset - at) >> (8 * at) : 0;
}

static void vioapic_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vioapic *a = self;
	u64 at = offset % 16;

	if (at >= 4) {
		return;
	}
	u64 mask = width_mask(width) << (8 * at);
	u32 whole = (u32)((window_read(a, offset - at) & ~mask) | (value << (8 * at) & mask));
	switch (offset - at) {
	case WINDOW_INDEX: a->index = (u8)whole; break;
	case WINDOW_DATA: data_write(a, whole); break;
	case WINDOW_EOI: vioapic_eoi(a, (u8)whole); break;
	default: break;
	}
}

const struct vdev_ops vioapic_ops = { .read = vioapic_read, .write = vioapic_write };
