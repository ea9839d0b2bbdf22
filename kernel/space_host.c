/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ownership check of this machine: gathers what space.c compares, and says what it found. Knows no
 * tables. Called at boot by kmain, and at run time by a guest that has the test device.
 */
#include "kernel/space_host.h"
#include "kernel/run.h"
#include "lib/lib.h"
#include "kernel/system.h"
#include "log.h"

#define RUN_TIME_OWNED 64

/* guarded by space_lock() */
static struct space_work work;
static struct space_owned *owned;
static u32 max_owned;
static struct space_report report;

static void log_report(const struct space_input *in, bool is_running)
{
	char text[160];
	if (!is_running || report.leaks) {
		log("space partitions=%u pages4k=%lu pages2m=%lu pages1g=%lu tables=%lu shared=%u leaks=%u",
		    in->nr, report.pages[0], report.pages[1], report.pages[2], report.tables,
		    in->nr_shared, report.leaks);
	}
	for (u32 i = 0; i < MIN(report.leaks, SPACE_MAX_LEAKS); i++) {
		space_leak_text(in, &report.leak[i], text, sizeof(text));
		log("FATAL space %s", text);
	}
}

static void *alloc_room(u64 len)
{
	hpa at = host_memory.pages.alloc(&host_memory.pages, (u32)(ALIGN_UP(len, PAGE_SIZE) / PAGE_SIZE));
	BUG_ON(!at.v);
	return phys_ptr(at);
}

/* As much as this machine and its system need; what guests do at run time may add a few tables */
static void make_room(void)
{
	max_owned = host_max_owned() + RUN_TIME_OWNED;
	work.max_ranges = max_owned;
	for (u32 i = 0; i < machine.nr_partitions; i++) {
		work.max_ranges += machine.partition[i]->mem.nr;
	}
	owned = alloc_room(max_owned * sizeof(*owned));
	work.range = alloc_room(work.max_ranges * sizeof(*work.range));
}

s64 space_check_machine(bool is_running)
{
	space_lock();
	if (!owned) {
		make_room();
	}
	struct space_input in = { .partition = machine.partition, .nr = machine.nr_partitions,
				  .owned = owned, .is_running = is_running };
	struct space_shared shared[SPACE_MAX_SHARED];
	in.shared = shared;
	in.nr_shared = system_shared(shared);
	in.nr_owned = host_owned(owned, max_owned, &in.owned_pages);
	space_check(&work, &in, &report);
	log_report(&in, is_running);
	u32 leaks = report.leaks;
	space_unlock();
	return leaks;
}

s64 space_check_running(void)
{
	return space_check_machine(true);
}
