/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partitions' memory is cleared before anything runs, by all CPUs: pieces are handed out by one counter.
 * Which memory it is, is in the partitions; who takes part, and when, the kernel's main file decides. Pure.
 */
#ifndef BULKHEAD_SCRUB_H
#define BULKHEAD_SCRUB_H

#include "kernel/partition.h"

#define SCRUB_CHUNK MIB /* some tens of microseconds */

/* @nr_chunks: atomic: 0 = not begun */
struct scrub {
	struct partition *const *partition;
	u32 nr;
	u64 nr_chunks;
	u64 next, done; /* atomic: handed out, may run past @nr_chunks; cleared */
};

/** scrub_begin() - all memory of these partitions is to be cleared. Others may call scrub_step() from now on. */
void scrub_begin(struct scrub *s, struct partition *const *partition, u32 nr);

/** scrub_step() - clear a piece, at most SCRUB_CHUNK. From any CPU. Return: false if there is none left. */
bool scrub_step(struct scrub *s);

/** scrub_is_done() - is all of it clear, also what others were busy with? */
bool scrub_is_done(const struct scrub *s);

#endif
