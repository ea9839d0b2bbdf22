/* SPDX-License-Identifier: BSD-2-Clause */
/* From an exit to a verdict, from a verdict to the vCPU's state, and what the next entry delivers. Pure. */
#ifndef BULKHEAD_EXIT_H
#define BULKHEAD_EXIT_H

#include "kernel/partition.h"
#include "kernel/verdict.h"

/**
 * exit_run_quick() - enter, and do what the exits want, as long as that needs no verdict but V_ADVANCE, and nobody
 * else is to be looked after
 *
 * Return: is the last one an exit that nothing has been done about? Then exit_handle() sees to it.
 */
bool exit_run_quick(struct vcpu *v);

/** exit_quick() - the same for one exit. Return: is it done? Else nothing has changed. */
bool exit_quick(struct vcpu *v, const struct exit *e);

/**
 * exit_handle() - decide about @e; may touch devices and GPRs, never RIP or pending events
 *
 * Total over enum exit_kind: what nobody expects is V_KILL.
 */
struct verdict exit_handle(struct vcpu *v, const struct exit *e);

/* Kinds whose handler looks at registers only; others decode for themselves, or move no RIP */
#define EXITS_MEASURED (BIT(EXIT_CPUID) | BIT(EXIT_RDMSR) | BIT(EXIT_WRMSR) | BIT(EXIT_HLT) | \
			BIT(EXIT_HYPERCALL) | BIT(EXIT_XSETBV) | BIT(EXIT_CACHE) | BIT(EXIT_PAUSE))

/**
 * exit_measure() - if the handler will need the instruction's length and the hardware did not say it
 * (SVM without nRIP), find out before anything is done
 *
 * Return: false if it cannot be read, or is none that a CPU may execute: *@d, a fault, is the verdict.
 */
bool must_check exit_measure(struct vcpu *v, struct exit *e, struct verdict *d);

/** exit_cr() - MOV CR, CLTS, LMSW as SDM 3A 2.5 and 4.1.2 check them. */
struct verdict exit_cr(struct vcpu *v, const struct exit *e);

/** cr3_load_pdptes() - for PAE paging, from guest memory at @cr3. Return: false, nothing done, if one is bad. */
bool must_check cr3_load_pdptes(struct vcpu *v, u64 cr3);

/**
 * vcpu_apply() - the only place that moves RIP, queues events, halts or ends a partition
 *
 * An event whose delivery @e interrupted is queued again, combined with a new one (SDM 3A table 6-5).
 * Return: true if the vCPU gives the rest of its slice away.
 */
bool vcpu_apply(struct vcpu *v, const struct exit *e, const struct verdict *d);

/** vcpu_prepare() - before each entry: re-queued event, else NMI, else interrupt; or a window for them. */
void vcpu_prepare(struct vcpu *v);

/**
 * vcpu_step() - prepare, enter, decide, apply; vcpu_last_exit() is left for the caller to look at
 *
 * Many rounds, while exit_quick() does all that has to be done and nobody else is to be looked after.
 *
 * Return: true if the vCPU gives the rest of its slice away (HLT, PAUSE, the partition's end).
 */
bool vcpu_step(struct vcpu *v);

/** event_combine() - the outcome of @second while @first was delivered. Return: false = triple fault. */
bool event_combine(const struct event *first, struct event *second);

/** postmortem() - registers, segments, bytes at RIP, last exits, backend's state, on the log. */
void postmortem(struct vcpu *v, const struct exit *e);

/** postmortem_piece() - its @n-th line, or the few of the backend. Return: is there another one? */
bool postmortem_piece(struct vcpu *v, const struct exit *e, u32 n);

/** exit_kind_name() - for logs. */
const char *exit_kind_name(u32 kind);

#endif
