/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A life of a partition, from frames that anybody may have written to, to the moment before its first
 * instruction. In steps that are short, so that at run time neighbours on the same CPU wait for no more
 * than one. The first life and every later one are made here.
 */
#ifndef BULKHEAD_BIRTH_H
#define BULKHEAD_BIRTH_H

#include "kernel/loader.h"

struct partition;

#define BIRTH_CHUNK (64 * KIB) /* cleared or copied in one step: some microseconds */

enum birth_phase {
	BIRTH_SCRUB,   /* memory, extent by extent; before the first life all CPUs do that (scrub.h) */
	BIRTH_DEVICES, /* PC in reset state, ACPI tables, what the boot protocol tells the guest */
	BIRTH_COPY,    /* kernel, initrd, modules */
	BIRTH_CORES,   /* one after the other */
	BIRTH_DONE,
};

/* @i, @at: how far the phase has come. @why: it cannot be born, and why */
struct birth {
	enum birth_phase phase;
	u32 i;
	u64 at;
	struct guest_entry entry;
	struct load_plan plan;
	const char *why;
};

/**
 * birth_begin() - a new life of @p: nothing of the last one counts. All cores are parked, or new.
 * @from: BIRTH_SCRUB, or BIRTH_DEVICES if its memory is clear already
 */
void birth_begin(struct partition *p, enum birth_phase from);

/**
 * birth_step() - a little further: at most BIRTH_CHUNK bytes, one core, or the devices
 *
 * Context: whoever owns @p: kmain at boot, later core 0's CPU. No core of @p is loaded anywhere.
 * Return: false when it is done, or cannot be (p->birth.why).
 */
bool birth_step(struct partition *p);

/** birth_set_entry() - from the reset state that vcpu_init() left to what a boot protocol promises. */
void birth_set_entry(struct vcpu *v, const struct guest_entry *g);

#endif
