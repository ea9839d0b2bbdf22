/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The windows of a CPU: whose they are by the configuration, what other CPUs see of them, and what counts as late.
 * Two cores of the rig's partition and one of a neighbour, which has the background; the frame is 1000 us:
 * vCPU 1 from 0 to 200, both vCPUs from 300 to 500, the neighbour from 600 to 700.
 */
#include "kernel/windows.h"
#include <string.h>
#include "kernel/partition.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define EPOCH 5000000
#define LIMIT (CONFIG_MIN_WINDOW_US * 1000 + 1) /* ns_to_tsc() of it: the last tick that is in time */

/* The order of their adoption is that of their bits */
enum { NEIGHBOUR = 1, VCPU1 = 2, VCPU0 = 4 };

static const struct schedule_config schedule = { .frame_us = 1000,
						 .nr_windows = 3,
						 .windows = { { "w0", "guest", true, 1, 0, 200 },
							      { "w1", "guest", false, 0, 300, 200 },
							      { "w2", "neighbour", false, 0, 600, 100 } } };
static const struct timebase timebase = { .tsc_hz = RIG_TSC_HZ,
				      .ns_per_tick_q32 = 1ull << 32,
				      .ticks_per_ns_q32 = 1ull << 32 };
static const struct partition_config neighbour_config = { .name = "neighbour", .is_background = true };
static struct partition_config cfg;
static struct partition neighbour;
static struct core neighbour_core;
static struct core *core[3];
static struct windows w;
static struct sched_queue queue;

/* TSC of @us in frame @number: a tick later for each rounding of ns_to_tsc() */
static u64 at(u64 number, u64 us)
{
	return EPOCH + number * 1000000 + 1 + (us ? us * 1000 + 1 : 0);
}

static void adopt(const struct schedule_config *s, u64 now)
{
	const struct windows_clock clock = { .time = &timebase, .epoch = EPOCH, .now = now };
	windows_adopt(&w, s, &clock, core, 3);
}

static int setup(void **state)
{
	(void)state;
	cfg = rig_config;
	cfg.nr_vcpus = 2;
	assert_null(rig_build(&cfg));
	neighbour.cfg = &neighbour_config;
	memset(&neighbour_core, 0, sizeof(neighbour_core));
	neighbour_core.v.part = &neighbour;
	core[0] = &neighbour_core;
	core[1] = rig.part->core[1];
	core[2] = rig.part->core[0];
	memset(&w, 0, sizeof(w));
	queue = (struct sched_queue){ 0 };
	return 0;
}

static int setup_adopted(void **state)
{
	setup(state);
	adopt(&schedule, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini();
	return 0;
}

static void cores_learn_their_bits(void **state)
{
	(void)state;
	adopt(&schedule, 0);
	for (u32 i = 0; i < 3; i++) {
		assert_ptr_equal(core[i]->frame, &w.frame);
		assert_int_equal(core[i]->sched_bit, BIT(i));
	}
	assert_int_equal(w.frame.background, NEIGHBOUR);
	assert_int_equal(windows_owners(&w), 0);
	assert_false(windows_is_due(&w));
}

static void no_schedule(void **state)
{
	(void)state;
	adopt(NULL, at(3, 50));
	assert_int_equal(w.frame.nr, 0);
	assert_int_equal(windows_owners(&w), 0);
	for (u32 i = 0; i < 3; i++) {
		assert_null(core[i]->frame);
		assert_int_equal(core[i]->sched_bit, 0);
	}
	windows_log(&w, 0);
	assert_string_equal(rig.log, "");
}

/* An edge is told of once, and is at its planned TSC however late one looks */
static void edges_and_owners(void **state)
{
	static const struct {
		u64 us, edge_us, owners;
	} step[] = { { 0, 0, VCPU1 },	 { 200, 200, 0 },	{ 333, 300, VCPU0 | VCPU1 },
		     { 501, 500, 0 },	 { 649, 600, NEIGHBOUR }, { 999, 700, 0 } };
	(void)state;
	for (u64 number = 0; number < 3; number++) {
		for (u32 i = number == 0; i < ARRAY_SIZE(step); i++) {
			u64 now = at(number, step[i].us);
			assert_int_equal(windows_cross(&w, &queue, now), at(number, step[i].edge_us));
			assert_int_equal(windows_owners(&w), step[i].owners);
			assert_int_equal(windows_cross(&w, &queue, now + 1), 0);
			assert_int_equal(windows_owners(&w), step[i].owners);
		}
	}
	assert_int_equal(w.stats.nr_overruns, 0);
}

/* Where a CPU begins is no edge that it crosses; before the epoch nobody has a window */
static void before_the_first_window(void **state)
{
	(void)state;
	assert_int_equal(windows_cross(&w, &queue, at(0, 0) - 1), 0);
	assert_int_equal(windows_owners(&w), 0);
	assert_int_equal(windows_cross(&w, &queue, at(0, 0)), 0);
	assert_int_equal(windows_owners(&w), VCPU1);
}

static void a_turn_ends_with_its_window(void **state)
{
	(void)state;
	windows_cross(&w, &queue, at(0, 0));
	queue.slice_end = 77;
	windows_cross(&w, &queue, at(0, 200) - 1);
	assert_int_equal(queue.slice_end, 77);
	windows_cross(&w, &queue, at(0, 200));
	assert_int_equal(queue.slice_end, 0);
}

static void windows_before_the_adoption_are_not_missed(void **state)
{
	(void)state;
	adopt(&schedule, at(7, 350));
	assert_int_equal(windows_cross(&w, &queue, at(7, 360)), 0);
	assert_int_equal(windows_owners(&w), VCPU0 | VCPU1);
	assert_int_equal(w.stats.nr_overruns, 0);
}

static void unseen_windows_are_overruns(void **state)
{
	(void)state;
	windows_cross(&w, &queue, at(0, 0));
	windows_cross(&w, &queue, at(0, 600));
	assert_int_equal(w.stats.nr_overruns, 1); /* w1 */
	windows_cross(&w, &queue, at(1, 550));
	assert_int_equal(w.stats.nr_overruns, 3); /* w0, w1: seen in the slack after it */
	windows_cross(&w, &queue, at(4, 300));
	assert_int_equal(w.stats.nr_overruns, 3 + 1 + 2 * 3 + 1);
	assert_int_equal(w.stats.nr_windows, 0);
}

static void lateness_is_noted_once(void **state)
{
	(void)state;
	w.edge = windows_cross(&w, &queue, at(0, 305));
	w.stats.nr_overruns = 0;
	assert_true(windows_is_due(&w));
	windows_begin(&w, rig.part, at(0, 300) + 700);
	assert_false(windows_is_due(&w));
	w.edge = windows_cross(&w, &queue, at(0, 310));
	assert_false(windows_is_due(&w));
	w.edge = windows_cross(&w, &queue, at(0, 600));
	windows_begin(&w, rig.part, at(0, 600) + 300);
	assert_int_equal(w.stats.nr_windows, 2);
	assert_int_equal(w.stats.worst, 700);
	assert_int_equal(w.stats.sum, 1000);
	assert_int_equal(w.stats.nr_overruns, 0);
	assert_string_equal(rig.log, "");
}

static void too_late_is_an_event(void **state)
{
	(void)state;
	w.edge = at(0, 300);
	windows_begin(&w, rig.part, at(0, 300) + LIMIT);
	assert_int_equal(w.stats.nr_overruns, 0);
	assert_string_equal(rig.log, "");
	w.edge = at(0, 600);
	windows_begin(&w, rig.part, at(0, 600) + LIMIT + 1);
	assert_int_equal(w.stats.nr_overruns, 1);
	assert_int_equal(w.stats.nr_windows, 2);
	assert_string_equal(rig.log, "bulkhead: [guest] event=window-overrun code=50002\n");
	assert_false(partition_has_end(rig.part));
	cfg.health.action[HEALTH_OVERRUN] = HEALTH_STOP;
	w.edge = at(1, 0);
	windows_begin(&w, rig.part, at(1, 0) + 60000);
	assert_true(partition_has_end(rig.part));
	assert_int_equal(rig.part->end.event, HEALTH_OVERRUN);
	assert_int_equal(rig.part->end.code, 60000);
	assert_false(windows_is_due(&w));
}

/* Nobody was there to be told */
static void late_for_a_sleeper(void **state)
{
	(void)state;
	windows_missed(&w, 0, at(0, 999));
	windows_missed(&w, at(0, 300), at(0, 300) + LIMIT);
	assert_int_equal(w.stats.nr_overruns, 0);
	windows_missed(&w, at(0, 300), at(0, 300) + LIMIT + 1);
	assert_int_equal(w.stats.nr_overruns, 1);
	assert_int_equal(w.stats.nr_windows, 0);
	assert_string_equal(rig.log, "");
}

static void last_line(void **state)
{
	(void)state;
	windows_log(&w, 2); /* none of its windows has begun */
	assert_non_null(strstr(rig.log, "schedule cpu=2 frames=0 windows=0 jitter-max=0 (0 ns) jitter-mean=0 (0 ns) "
					"overruns=0\n"));
	windows_cross(&w, &queue, at(3, 0));
	w.stats = (struct sched_stats){ .nr_windows = 4, .worst = 90, .sum = 200, .nr_overruns = 5 };
	windows_log(&w, 3);
	assert_non_null(strstr(rig.log, "schedule cpu=3 frames=3 windows=4 jitter-max=90 (90 ns) "
					"jitter-mean=50 (50 ns) overruns=5\n"));
}

#define TEST(f)	   cmocka_unit_test_setup_teardown(f, setup, teardown)
#define ADOPTED(f) cmocka_unit_test_setup_teardown(f, setup_adopted, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cores_learn_their_bits),
		TEST(no_schedule),
		ADOPTED(edges_and_owners),
		ADOPTED(before_the_first_window),
		ADOPTED(a_turn_ends_with_its_window),
		TEST(windows_before_the_adoption_are_not_missed),
		ADOPTED(unseen_windows_are_overruns),
		ADOPTED(lateness_is_noted_once),
		ADOPTED(too_late_is_an_event),
		ADOPTED(late_for_a_sleeper),
		ADOPTED(last_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
