/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's reset switch. */
#ifndef BULKHEAD_RESET_H
#define BULKHEAD_RESET_H

#include "drivers/acpi.h"

/**
 * machine_reset() - a warm reset: memory keeps what it holds
 *
 * By ACPI's reset register, the chipset's 0xcf9, the keyboard controller, a triple fault; the first that
 * works. @tsc_hz: 0 = not known, then without waits. Never returns.
 */
void machine_reset(const struct acpi_info *acpi, u64 tsc_hz) noreturn_fn;

#endif
