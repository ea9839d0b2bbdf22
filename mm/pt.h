/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One radix page table walker for four formats: host (4-level), EPT, NPT; later IOMMU. Knows
 * address spaces, not partitions. Pages come from an injected source. Pure.
 */
#ifndef BULKHEAD_PT_H
#define BULKHEAD_PT_H

#include "types.h"
#include "vcpu.h" /* struct page_source */

/* PT_WB: write-back whatever the guest's PAT says, where the format can say so (EPT) */
enum pt_prot { PT_R = 1, PT_W = 2, PT_X = 4, PT_UC = 8 /* device memory: uncached */, PT_WB = 16 };

struct pt_format; /* entry encoding; const tables in mm */
extern const struct pt_format pt_host, pt_ept, pt_npt;

struct pt {
	const struct pt_format *fmt;
	struct page_source *pages;
	hpa root;
	u64 max_page; /* largest leaf to use: 4 KiB, 2 MiB or 1 GiB, as the CPU has it */
};

/** pt_init() - an empty space. Return: STATUS_NO_MEMORY. */
enum status must_check pt_init(struct pt *pt, const struct pt_format *fmt,
			       struct page_source *pages, u64 max_page);

/**
 * pt_map() - map [@va, @va+@len) to @pa with @prot, in the largest leaves that alignment allows
 *
 * Page-aligned arguments. Return: STATUS_OVERLAP if part of it is mapped already (nothing of the
 * offending page changes), STATUS_NO_MEMORY, STATUS_BAD_VALUE (alignment, beyond 48 bits).
 */
enum status must_check pt_map(struct pt *pt, u64 va, hpa pa, u64 len, u32 prot);

/** pt_unmap() - the reverse; splits larger leaves; what is not mapped stays so. */
enum status must_check pt_unmap(struct pt *pt, u64 va, u64 len);

struct pt_leaf {
	hpa pa;	  /* of @va itself, not of the leaf's start */
	u64 size; /* of the leaf */
	u32 prot;
};

/** pt_lookup() - Return: false if @va is not mapped. */
bool pt_lookup(const struct pt *pt, u64 va, struct pt_leaf *out);

#endif
