/* SPDX-License-Identifier: BSD-2-Clause */
/* From the configuration module to partitions that are ready to run. Boot only, BSP. */
#ifndef BULKHEAD_SYSTEM_H
#define BULKHEAD_SYSTEM_H

#include "boot_info.h"
#include "kernel/run.h"
#include "kernel/space.h"

/**
 * system_reserve() - find the device tree, check it, decide which memory is whose
 *
 * machine.ops, .host (but for its time) and .acpi are set. All faults are logged; nothing is taken if there is one.
 * This and the next two return: false if the system cannot start.
 */
bool must_check system_reserve(const struct boot_info *info);

/** system_build() - tables and cores of every partition of @machine. Its memory may be cleared meanwhile. */
bool must_check system_build(void);

/** system_first_life() - all is loaded. When memory is clear, the time is known, and the BSP is in root mode. */
bool must_check system_first_life(void);

/** system_shared() - the channels, as regions that their members share. Return: how many. */
u32 system_shared(struct space_shared out[SPACE_MAX_SHARED]);

#endif
