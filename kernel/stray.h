/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses of a guest to ports and memory that nobody has: events io-violation and memory-violation of its
 * health table.
 */
#ifndef BULKHEAD_STRAY_H
#define BULKHEAD_STRAY_H

#include "types.h"

struct partition;

/**
 * stray_watch() - have the buses of @p tell of accesses to nobody, as far as its health table asks for it
 *
 * Context: before its MMIO buses are made, in each life.
 */
void stray_watch(struct partition *p);

/** stray_is_silent() - does an ordinary PC leave @port without a device, and software probe there all the same? */
bool stray_is_silent(u64 port);

#endif
