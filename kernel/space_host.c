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

/* guarded by space_lock() */
static struct space_work work;
static struct space_owned owned[SPACE_MAX_OWNED];
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

s64 space_check_machine(bool is_running)
{
	space_lock();
	struct space_input in = { .partition = machine.partition, .nr = machine.nr_partitions,
				  .owned = owned, .is_running = is_running };
	struct space_shared shared[SPACE_MAX_SHARED];
	in.shared = shared;
	in.nr_shared = system_shared(shared);
	in.nr_owned = host_owned(owned, &in.owned_pages);
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
