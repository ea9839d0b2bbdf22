/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 6300ESB's watchdog. Stage 1 runs down from its preload, then stage 2; at its end the output pin asks
 * for a reset. An interrupt at the end of stage 1 is not offered (INT_TYPE reads back and has no effect).
 */
#include "vwatchdog.h"

#define VENDOR_INTEL	0x8086
#define DEVICE_6300ESB	0x25ab
#define CLASS_REV	0x08800001u /* system peripheral, other */
#define PRELOAD_MASK	0xfffffu
#define PCI_CLOCK_NS_33 30 /* a tick of the 33 MHz clock that is divided */

enum { CONFIG_INT_TYPE = 0x03, CONFIG_FAST = 0x04, CONFIG_NO_OUTPUT = 0x20 };
enum { LOCK_LOCKED = 0x01, LOCK_ENABLE = 0x02, LOCK_FREE_RUN = 0x04 };
enum { RELOAD_RELOAD = 0x100, RELOAD_EXPIRED = 0x200 };

/* The clock is divided by 2^15, or by 2^5: about 1 kHz, about 1 MHz */
static u64 stage_ns(const struct vwatchdog *w)
{
	u64 ticks = w->preload[w->stage - 1];
	u32 shift = vpci_get(&w->pci, VWATCHDOG_CONFIG, 2) & CONFIG_FAST ? 5 : 15;

	return (ticks << shift) * PCI_CLOCK_NS_33;
}

static void begin(struct vwatchdog *w, u32 stage)
{
	w->stage = stage;
	w->deadline_ns = stage ? w->clock->now_ns(w->clock->ctx) + stage_ns(w) : NEVER;
}

/* A write of the guest to LOCK or CONFIG has taken place, within the bits that it may change */
static void config_written(struct vpci_function *f, u32 offset, u32 width)
{
	struct vwatchdog *w = container_of(f, struct vwatchdog, pci);
	u32 lock = (u32)vpci_get(f, VWATCHDOG_LOCK, 1);

	if (offset > VWATCHDOG_LOCK || offset + width <= VWATCHDOG_LOCK) {
		return;
	}
	if (lock & LOCK_LOCKED) {
		f->writable[VWATCHDOG_LOCK] = 0; /* until a reset */
	}
	if (!(lock & LOCK_ENABLE)) {
		begin(w, 0);
	} else if (w->stage == 0) {
		begin(w, 1);
	}
}

static u64 bar_read(void *self, u64 offset, u32 width)
{
	const struct vwatchdog *w = self;
	u64 reload = w->expired ? RELOAD_EXPIRED : 0;

	return offset <= VWATCHDOG_RELOAD && offset + width > VWATCHDOG_RELOAD ?
		       reload << 8 * (VWATCHDOG_RELOAD - offset) : 0;
}

static void write_unlocked(struct vwatchdog *w, u64 offset, u64 value)
{
	switch (offset) {
	case VWATCHDOG_PRELOAD1: w->preload[0] = value & PRELOAD_MASK; break;
	case VWATCHDOG_PRELOAD2: w->preload[1] = value & PRELOAD_MASK; break;
	case VWATCHDOG_RELOAD:
		if (value & RELOAD_EXPIRED) {
			w->expired = false;
		}
		if (value & RELOAD_RELOAD && w->stage) {
			begin(w, 1);
		}
		break;
	default: break;
	}
}

/* "Register Unlocking Sequence": 80h, then 86h to RELOAD, then one write. Registers are dwords or words. */
static void bar_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vwatchdog *w = self;
	bool is_key = offset == VWATCHDOG_RELOAD;

	value &= width_mask(width);
	if (w->unlock == 2) {
		w->unlock = 0;
		write_unlocked(w, offset, value);
	} else if (is_key && value == 0x80) {
		w->unlock = 1;
	} else {
		w->unlock = is_key && value == 0x86 && w->unlock == 1 ? 2 : 0;
	}
}

static const struct vdev_ops bar_ops = { .read = bar_read, .write = bar_write };

void vwatchdog_init(struct vwatchdog *w, const struct vclock *clock, u8 devfn, u64 base, bool expired,
		    void (*expire)(void *), void *ctx)
{
	struct vpci_function *f = &w->pci;

	*w = (struct vwatchdog){ .clock = clock, .preload = { PRELOAD_MASK, PRELOAD_MASK },
				 .deadline_ns = NEVER, .expired = expired, .expire = expire, .ctx = ctx };
	vpci_function_init(f, devfn, DEVICE_6300ESB, CLASS_REV);
	vpci_set(f, 0, 4, (u32)DEVICE_6300ESB << 16 | VENDOR_INTEL);
	vpci_bar_init(f, 0, VWATCHDOG_BAR0_LEN, 0, &bar_ops, w);
	vpci_bar_place(f, 0, base);
	vpci_set(f, VPCI_COMMAND, 2, VPCI_COMMAND_MEMORY);
	f->writable[VWATCHDOG_CONFIG] = CONFIG_INT_TYPE | CONFIG_FAST | CONFIG_NO_OUTPUT;
	f->writable[VWATCHDOG_LOCK] = LOCK_LOCKED | LOCK_ENABLE | LOCK_FREE_RUN;
	f->written = config_written;
}

/* In free-running mode the second stage has no output; the counter begins again (LOCK, WDT_TOUT_CNF) */
u64 vwatchdog_poll(struct vwatchdog *w, u64 now_ns)
{
	if (now_ns < w->deadline_ns) {
		return w->deadline_ns;
	}
	if (w->stage == 1) {
		begin(w, 2);
		return w->deadline_ns;
	}
	bool is_free = vpci_get(&w->pci, VWATCHDOG_LOCK, 1) & LOCK_FREE_RUN;
	bool has_output = !(vpci_get(&w->pci, VWATCHDOG_CONFIG, 2) & CONFIG_NO_OUTPUT);

	begin(w, is_free ? 1 : 0);
	w->expired = !is_free;
	if (!is_free && has_output) {
		w->expire(w->ctx);
	}
	return w->deadline_ns;
}
