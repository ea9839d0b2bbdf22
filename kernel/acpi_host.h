/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's ACPI tables, found and read, and the registers they name mapped. */
#ifndef BULKHEAD_ACPI_HOST_H
#define BULKHEAD_ACPI_HOST_H

#include "boot_info.h"
#include "drivers/acpi.h"

/** acpi_start() - After host_memory_init(). Return: false if there are no usable tables. */
bool must_check acpi_start(const struct boot_info *info, struct acpi_info *out);

#endif
