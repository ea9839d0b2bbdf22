/* SPDX-License-Identifier: BSD-2-Clause */
/* From the configuration module to partitions that are ready to run. Boot only, BSP. */
#ifndef BULKHEAD_SYSTEM_H
#define BULKHEAD_SYSTEM_H

#include "boot_info.h"
#include "kernel/run.h"
#include "kernel/space.h"

/**
 * system_build() - find the device tree, check it, build every partition of @machine
 *
 * machine.ops, .host and .acpi are set. All faults are logged; nothing is built if there is one.
 * Return: false if the system cannot start.
 */
bool must_check system_build(const struct boot_info *info);

/** system_shared() - the channels, as regions that their members share. Return: how many. */
u32 system_shared(struct space_shared out[SPACE_MAX_SHARED]);

#endif
