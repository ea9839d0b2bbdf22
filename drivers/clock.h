/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast the TSC runs, measured: against the ACPI PM timer, the HPET or PIT channel 2, whichever
 * agree; never taken from CPUID. And the machine's power switch.
 */
#ifndef BULKHEAD_CLOCK_H
#define BULKHEAD_CLOCK_H

#include "acpi.h"

/* @wait_ticks: TSC ticks that nothing else was done in, here and in clock_wait_us() */
struct clock_calibration {
	u64 tsc_hz;
	const char *source; /* "hpet", "pmtimer", "pit" */
	u64 wait_ticks;
};

/**
 * clock_begin() - all references count from now on, in one window of 10 ms or more
 *
 * The caller has mapped @acpi->hpet_addr (uncached, one to one) or set it to 0, and keeps @acpi. Context: BSP.
 */
void clock_begin(const struct acpi_info *acpi);

/**
 * clock_poll() - end the windows that are over; between pieces of other work
 *
 * At least each 40 ms: the PIT counts no further than 55, and drops out if it is looked at later.
 * Return: true if clock_finish() has nothing to wait for.
 */
bool clock_poll(void);

/**
 * clock_finish() - wait for the windows' ends: the rate by the best reference that another one confirms
 * within 0.5 %
 *
 * Return: STATUS_NOT_FOUND if no reference clock works.
 */
enum status must_check clock_finish(struct clock_calibration *out);

/** clock_wait_us() - busy wait, by the TSC; before clock_finish() by a reference. From clock_begin() on. */
void clock_wait_us(u64 us);

/** clock_wall_time() - CMOS date and time as seconds since 1970 (UTC assumed); 0 if unreadable. */
u64 clock_wall_time(void);

/**
 * machine_poweroff() - ACPI S5; where that is absent or ignored it halts. Never returns.
 */
void machine_poweroff(const struct acpi_info *acpi) noreturn_fn;

#endif
