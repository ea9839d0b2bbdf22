/* SPDX-License-Identifier: BSD-2-Clause */
/* The scheduler as a pure function: who runs, until when, and that nobody starves. */
#include "kernel/sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void lone_entry_runs_without_end(void **state)
{
	(void)state;
	struct sched_queue q = { 0 };
	struct sched_entry e = { .is_runnable = true, .slice_tsc = 100 };
	struct sched_choice c = sched_pick(&q, &e, 1, 5);
	assert_int_equal(c.index, 0);
	assert_true(c.until == NEVER);
}

static void nobody_runnable_waits_for_first_wake(void **state)
{
	(void)state;
	struct sched_queue q = { 0 };
	struct sched_entry e[] = { { .wake_tsc = 900 }, { .wake_tsc = 300 }, { .wake_tsc = NEVER } };
	struct sched_choice c = sched_pick(&q, e, 3, 5);
	assert_int_equal(c.index, -1);
	assert_int_equal(c.until, 300);
	assert_int_equal(sched_pick(&q, e, 0, 5).index, -1);
}

static void slice_is_kept_then_passed_on(void **state)
{
	(void)state;
	struct sched_queue q = { 0 };
	struct sched_entry e[] = { { .is_runnable = true, .slice_tsc = 100 },
				   { .is_runnable = true, .slice_tsc = 50 } };
	struct sched_choice c = sched_pick(&q, e, 2, 1000);
	assert_int_equal(c.index, 1);
	assert_int_equal(c.until, 1050);
	c = sched_pick(&q, e, 2, 1049);
	assert_int_equal(c.index, 1);
	assert_int_equal(c.until, 1050);
	c = sched_pick(&q, e, 2, 1050);
	assert_int_equal(c.index, 0);
	assert_int_equal(c.until, 1150);
}

static void halted_gives_way_and_slice_given_away_moves_on(void **state)
{
	(void)state;
	struct sched_queue q = { .current = 0, .slice_end = 5000 };
	struct sched_entry e[] = { { .is_runnable = false, .wake_tsc = NEVER },
				   { .is_runnable = true, .slice_tsc = 50 },
				   { .is_runnable = true, .slice_tsc = 70 } };
	assert_int_equal(sched_pick(&q, e, 3, 10).index, 1);
	q.slice_end = 0;
	assert_int_equal(sched_pick(&q, e, 3, 20).index, 2);
	q.slice_end = 0;
	assert_int_equal(sched_pick(&q, e, 3, 30).index, 1);
}

static void shares_are_fair(void **state)
{
	(void)state;
	struct sched_queue q = { 0 };
	struct sched_entry e[4];
	u64 got[4] = { 0 }, now = 0;
	for (u32 i = 0; i < 4; i++) {
		e[i] = (struct sched_entry){ .is_runnable = true, .slice_tsc = 100 * (i + 1) };
	}
	for (u32 i = 0; i < 4000; i++) {
		struct sched_choice c = sched_pick(&q, e, 4, now);
		got[c.index] += c.until - now;
		now = c.until;
	}
	for (u32 i = 0; i < 4; i++) {
		assert_int_equal(got[i], 1000 * 100 * (i + 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lone_entry_runs_without_end),
		cmocka_unit_test(nobody_runnable_waits_for_first_wake),
		cmocka_unit_test(slice_is_kept_then_passed_on),
		cmocka_unit_test(halted_gives_way_and_slice_given_away_moves_on),
		cmocka_unit_test(shares_are_fair),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
