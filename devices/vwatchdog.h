/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual Intel 6300ESB watchdog timer as a PCI function: two stages, of which the second one asks for a
 * reset. Stock Linux drives it (i6300esb). Intel 6300ESB I/O Controller Hub Datasheet, order 300641,
 * chapter "Watchdog Timer (WDT) Functional Description". Pure.
 */
#ifndef BULKHEAD_VWATCHDOG_H
#define BULKHEAD_VWATCHDOG_H

#include "devices/vpci.h"

/* In configuration space, and in BAR 0 */
enum { VWATCHDOG_CONFIG = 0x60, VWATCHDOG_LOCK = 0x68 };
enum { VWATCHDOG_PRELOAD1 = 0x0, VWATCHDOG_PRELOAD2 = 0x4, VWATCHDOG_INTERRUPT = 0x8, VWATCHDOG_RELOAD = 0xc,
       VWATCHDOG_BAR0_LEN = 16 };

/**
 * struct vwatchdog - the function and its down-counter
 * @preload:     20 bits, for each stage
 * @unlock:      how far the guest has come with 80h, 86h: what is locked takes the write behind them
 * @stage:       0 = it stands still
 * @deadline_ns: the stage's end; NEVER while it stands still
 * @expired:     the second stage has ended since; says so at RELOAD bit 9 until the guest clears it
 * @expire:      the second stage has ended and a reset is wanted
 */
struct vwatchdog {
	struct vpci_function pci;
	const struct vclock *clock;
	u32 preload[2], unlock, stage;
	u64 deadline_ns;
	bool expired;
	void (*expire)(void *ctx);
	void *ctx;
};

/** vwatchdog_init() - in reset state at @devfn, its BAR at @base; @expired: that was what led to the reset. */
void vwatchdog_init(struct vwatchdog *w, const struct vclock *clock, u8 devfn, u64 base, bool expired,
		    void (*expire)(void *), void *ctx);

/** vwatchdog_poll() - do what is due at @now_ns. Return: the next deadline, or NEVER. */
u64 vwatchdog_poll(struct vwatchdog *w, u64 now_ns);

#endif
