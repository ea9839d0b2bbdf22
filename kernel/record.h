/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a crash leaves in memory for the next boot, which finds it after a warm reset. Nobody but the two
 * writes there; a checksum tells it from what memory holds otherwise. Pure.
 */
#ifndef BULKHEAD_RECORD_H
#define BULKHEAD_RECORD_H

#include "boot_info.h"

#define RECORD_LEN (32 * KIB)

struct record {
	u64 magic;
	u64 sum;
	u32 len;
	char text[RECORD_LEN - 20];
};
static_assert(sizeof(struct record) == RECORD_LEN, "whole pages");

/**
 * record_place() - where it is: the first aligned RECORD_LEN of usable memory behind image and modules
 *
 * So two boots of the same image and modules find the same place, and loaders, which fill from below
 * and work from above, leave it alone. Return: its address, 0 if there is none below 4 GiB.
 */
u64 record_place(const struct boot_info *info);

/** record_begin() - forget what is there, begin a new one. */
void record_begin(struct record *r);

/** record_add() - one line; what does not fit is lost. */
void record_add(struct record *r, const char *line, size_t len);

/** record_seal() - it is complete: from now on record_find() finds it. */
void record_seal(struct record *r);

/** record_find() - Return: does @r hold a complete record? */
bool record_find(const struct record *r);

#endif
