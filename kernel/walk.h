/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's own address translation: segments to linear, page tables to guest-physical.
 * SDM 3A 4.3 to 4.6 (32-bit, PAE, 4-level), 5.6. Guest tables may change under us: each entry is read once.
 * Pure.
 */
#ifndef BULKHEAD_WALK_H
#define BULKHEAD_WALK_H

#include "gmem.h"
#include "vcpu.h"

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH };

/* What translation depends on, read from the vCPU once per exit */
struct paging {
	u64 cr0, cr3, cr4, efer, rflags;
	u8 cpl;
};

/** paging_read() - fill @p from @v's registers; CPL is SS.DPL. */
void paging_read(struct vcpu *v, struct paging *p);

/**
 * walk_linear() - linear address @lin to guest-physical, with the checks and A/D updates of @acc
 *
 * Return: true and *@out; false and *@fault a #PF with its error code (CR2 is @lin).
 */
bool walk_linear(const struct gmem *m, const struct paging *p, u64 lin, enum access acc, gpa *out,
		 struct event *fault);

/** walk_read(), walk_write() - linear memory, page crossing allowed, RAM only.
 * Return: bytes done; if fewer than @len, *@fault_lin is where it stopped and *@fault a #PF, or
 * EVENT_NONE if there is no RAM (MMIO). */
u64 walk_read(const struct gmem *m, const struct paging *p, u64 lin, void *buf, u64 len,
	      enum access acc, struct event *fault);
u64 walk_write(const struct gmem *m, const struct paging *p, u64 lin, const void *buf, u64 len,
	       struct event *fault);

/**
 * seg_linear() - effective address @off of @len bytes in segment @s to a linear address
 *
 * Checks limit, type, canonical form as the CPU would. Return: true, or false and #GP(0)/#SS(0) in *@fault.
 */
bool seg_linear(struct vcpu *v, const struct paging *p, enum seg s, u64 off, u32 len,
		enum access acc, u64 *out, struct event *fault);

/** fetch_insn() - up to 15 bytes at CS:RIP. Return: how many; 0 and *@fault if not even the first. */
u32 fetch_insn(struct vcpu *v, const struct gmem *m, const struct paging *p, u8 buf[15],
	       struct event *fault);

#endif
