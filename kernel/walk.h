/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's own address translation: segments to linear, page tables to guest-physical. SDM 3A
 * 4.3 to 4.6 (32-bit, PAE, 4-level), 5.6. Guest tables may change under us: each entry is read
 * once. Pure.
 */
#ifndef BULKHEAD_WALK_H
#define BULKHEAD_WALK_H

#include "gmem.h"
#include "vcpu.h"

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH };

/* What translation depends on, read from the vCPU once per exit */
struct paging {
	u64 cr0, cr3, cr4, efer, rflags;
	u32 pkru; /* paging_read() says 0, which allows all */
	u8 cpl;
	u8 code_size; /* 2, 4, 8: 16-, 32-, 64-bit code */
};

/** paging_code_size() - 2, 4, 8: 16-, 32-, 64-bit code. */
u8 paging_code_size(struct vcpu *v);

/** paging_read() - fill @p from @v's registers; CPL is SS.DPL. */
void paging_read(struct vcpu *v, struct paging *p);

/**
 * walk_linear() - linear address @lin to guest-physical, with the checks and A/D updates of @acc
 *
 * Return: true and *@out; false and *@fault a #PF with its error code (CR2 is @lin), or EVENT_NONE
 * if the tables themselves are not in RAM.
 */
bool walk_linear(const struct gmem *m, const struct paging *p, u64 lin, enum access acc, gpa *out,
		 struct event *fault);

/**
 * seg_linear() - effective address @off of @len bytes in segment @s to a linear address
 *
 * Checks limit, type, canonical form as the CPU would.
 * Return: true, or false and #GP(0) or #SS(0) in *@fault.
 */
bool seg_linear(struct vcpu *v, const struct paging *p, enum seg s, u64 off, u32 len,
		enum access acc, u64 *out, struct event *fault);

/* The entries that a walk used, by level, and what they were: [first, end) */
#define MAX_LEVELS 4
struct trail {
	u32 first, end;
	void *slot[MAX_LEVELS];
	u64 entry[MAX_LEVELS];
};

/* Instruction bytes so far. Of the last fetch_more(): where it began, in RAM too, and its walk */
struct fetch {
	u8 bytes[15];
	u32 len;
	u64 lin;
	const u8 *ram;
	struct trail trail;
};

/**
 * fetch_more() - append bytes from CS:RIP + @f->len to the end of that page: one walk at most
 *
 * Return: how many; 0 if @f is full, or *@fault says why: an exception (CR2 is @f->lin), or
 * EVENT_NONE if code or page tables are not in RAM.
 */
u32 fetch_more(struct vcpu *v, const struct gmem *m, const struct paging *p, struct fetch *f,
	       struct event *fault);

/** fetch_insn() - up to 15 bytes at CS:RIP. Return: how many; 0: none, and *@fault. */
u32 fetch_insn(struct vcpu *v, const struct gmem *m, const struct paging *p, u8 buf[15],
	       struct event *fault);

#endif
