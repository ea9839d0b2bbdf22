/* SPDX-License-Identifier: BSD-2-Clause */
/* The ownership check (space.h) of this machine. */
#ifndef BULKHEAD_SPACE_HOST_H
#define BULKHEAD_SPACE_HOST_H

#include "kernel/space.h"

/**
 * space_check_machine() - check all partitions, log one line, and a FATAL line for each leak
 * @is_running: guests run; then only leaks are logged
 *
 * Context: any CPU; takes space_lock() and the lock of the frames. Return: number of leaks.
 */
s64 space_check_machine(bool is_running);

/** space_check_running() - struct host's space_check. */
s64 space_check_running(void);

/**
 * host_owned() - all that no partition may have: what the hypervisor took, the image, modules, no memory
 * @out: room for @max, which is host_max_owned() at least
 * @nr_pages: how many of them, from the first, are pages that it took for itself
 *
 * Return: how many.
 */
u32 host_owned(struct space_owned *out, u32 max, u32 *nr_pages);

/** host_max_owned() - how many there are at most, as things are now. */
u32 host_max_owned(void);

#endif
