/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who owns which memory, proved from the second-level tables themselves: every table page of every
 * partition is read, and what it says is held against the partitions' extents and the hypervisor's own
 * memory. Pure; the machine's side is space_host.c.
 */
#ifndef BULKHEAD_SPACE_H
#define BULKHEAD_SPACE_H

#include "kernel/partition.h"

/* [@base, @end) of host memory that no partition may have, and what it is */
struct space_owned {
	u64 base, end;
	const char *name;
};

/* Memory that the partitions of the set @who (by index) all have, and nobody else; whole pages. Only
 * those of @writers can write there, and nobody can execute. */
struct space_shared {
	hpa host;
	u64 len;
	u64 who, writers;
};
#define SPACE_MAX_SHARED CONFIG_MAX_CHANNELS

enum space_fault {
	SPACE_TWO,	 /* it maps another partition's memory, or two extents are one memory */
	SPACE_OWNED,	 /* it maps, or has as an extent, what is the hypervisor's or is no memory at all */
	SPACE_ELSEWHERE, /* its own memory at an address where it does not belong */
	SPACE_BITS,	 /* an entry has other rights or another memory type than it should, or reserved bits */
	SPACE_TABLE,	 /* a table page is not among the pages that the hypervisor took for itself */
	SPACE_MISSING,	 /* some of its memory is not mapped */
	SPACE_EXTENT,	 /* an extent is empty, not whole pages, or meets the one before */
	SPACE_REGION,	 /* a shared region meets the hypervisor's memory, or an extent in part */
	NR_SPACE_FAULTS
};

struct space_leak {
	enum space_fault fault;
	u32 part;	   /* index; for SPACE_REGION the region's */
	const char *owner; /* whose memory it is, if known: a partition's name or space_owned's */
	u64 at, host, len; /* guest-physical and host address */
};

#define SPACE_MAX_LEAKS 16 /* kept; the others are only counted */
struct space_report {
	u64 pages[3]; /* leaves of 4 KiB, 2 MiB, 1 GiB */
	u64 tables;
	u32 leaks;
	struct space_leak leak[SPACE_MAX_LEAKS];
};

/*
 * @is_running: a partition with a test device may have taken pages out of its tables
 * @owned_pages: the first of @owned are pages that the hypervisor took for itself: tables are in there
 */
struct space_input {
	struct partition *const *partition;
	u32 nr;
	const struct space_owned *owned;
	u32 nr_owned, owned_pages;
	const struct space_shared *shared;
	u32 nr_shared;
	bool is_running;
};

struct space_range {
	u64 base, end;
	const char *name;
	u32 part; /* SPACE_NOBODY: the hypervisor's */
};
#define SPACE_NOBODY	 UINT32_MAX

/* @range: room for @max_ranges, which is as many as there are extents and owned ranges; sorted by base */
struct space_work {
	const struct space_input *in;
	struct space_report *out;
	struct space_range *range;
	u32 nr_ranges, max_ranges;
	u32 part; /* whose tables are walked */
	const struct pt *space; /* ... and which of them */
	u64 mapped;
};

/**
 * space_check() - walk all tables, fill @out
 *
 * Reads each entry of each table once; all else is comparison of ranges. A table that is not the
 * hypervisor's is reported and not followed. Context: space_lock() is held, or nothing runs yet.
 */
void space_check(struct space_work *w, const struct space_input *in, struct space_report *out);

/** space_leak_text() - "[a] maps memory of b: ...". Return: length. */
size_t space_leak_text(const struct space_input *in, const struct space_leak *l, char *buf, size_t size);

/** space_lock(), space_unlock() - second-level tables of all partitions, once guests run (docs/locks.md). */
void space_lock(void);
void space_unlock(void);

/** hc_space_check() - HC_SPACE_CHECK of @v. Return: number of leaks; HC_ENOSYS without a test device. */
s64 hc_space_check(struct vcpu *v);

#endif
