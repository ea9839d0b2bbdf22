/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI fixed hardware (PM1 event and control blocks, PM timer, S5), reset by port 0xcf9 and by the
 * keyboard controller (0x60, 0x64, no keyboard behind it), port 0x92. Pure.
 * ACPI 6.5 chapter 4.8.
 */
#ifndef BULKHEAD_VACPI_H
#define BULKHEAD_VACPI_H

#include "bus.h"

#define VACPI_PM1_EVT 0x600 /* 4 bytes: status, enable */
#define VACPI_PM1_CNT 0x604 /* 2 bytes */
#define VACPI_PM_TMR  0x608 /* 4 bytes, 24-bit counter at 3579545 Hz */
#define VACPI_BLOCK_LEN 0x10
#define VACPI_S5_TYP  5
#define VACPI_SCI_IRQ 9 /* level; what the FADT and MADT say */
#define PM_TIMER_HZ   3579545ull

enum vacpi_event { VACPI_POWEROFF, VACPI_RESET };

struct vacpi {
	const struct vclock *clock;
	void (*notify)(void *ctx, enum vacpi_event e, const char *how); /* how: "acpi-s5", "0xcf9", ... */
	void *ctx;
	struct irq_line sci;
	u64 pm1;	  /* the first 8 bytes of the block */
	u64 timer_halves; /* half periods of the PM timer up to the last look */
	u64 deadline_ns;  /* no vacpi_poll() needed before; NEVER unless the timer may interrupt */
	u8 cf9, port92;
	u8 kbc_cmd; /* the command that the next data byte belongs to, 0 = none: the keyboard's */
	u8 kbc_status, kbc_data, kbc_ctr, kbc_out;
};
/* vacpi_kbc_data_ops is port 0x60, vacpi_kbc_ops port 0x64 */
extern const struct vdev_ops vacpi_pm_ops, vacpi_cf9_ops, vacpi_kbc_data_ops, vacpi_kbc_ops,
	vacpi_port92_ops;

/** vacpi_init() - the fields notify and ctx are the caller's; they may be set before or after. */
void vacpi_init(struct vacpi *a, const struct vclock *clock, struct irq_line sci);

/** vacpi_poll() - let the PM timer interrupt if it is due at @now_ns. Return: the next deadline. */
u64 vacpi_poll(struct vacpi *a, u64 now_ns);

#endif
