/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast the TSC runs, measured: against the ACPI PM timer, the HPET or PIT channel 2, whichever
 * agree; never taken from CPUID. And the machine's power switch.
 */
#ifndef BULKHEAD_CLOCK_H
#define BULKHEAD_CLOCK_H

#include "acpi.h"

struct clock_calibration {
	u64 tsc_hz;
	const char *source; /* "hpet", "pmtimer", "pit" */
};

/**
 * clock_calibrate() - the rate by the best reference that another one confirms within 0.5 %
 *
 * The caller has mapped @acpi->hpet_addr (uncached, one to one) or set it to 0. Takes ~30 ms.
 * Return: STATUS_NOT_FOUND if no reference clock works.
 */
enum status must_check clock_calibrate(const struct acpi_info *acpi, struct clock_calibration *out);

/** clock_delay_us() - busy wait by the TSC. */
void clock_delay_us(u64 tsc_hz, u64 us);

/** clock_wall_time() - CMOS date and time as seconds since 1970 (UTC assumed); 0 if unreadable. */
u64 clock_wall_time(void);

/**
 * machine_poweroff() - ACPI S5; where that is absent or ignored it halts. Never returns.
 */
void machine_poweroff(const struct acpi_info *acpi) noreturn_fn;

#endif
