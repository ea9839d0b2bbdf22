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

/* At 1 GHz a tick is a nanosecond. Rounding up makes each edge but that of the frame 0 to 2 ticks late. */
#define US	    1000ull
#define FRAME_US    1000ull
#define EPOCH	    5000000ull
#define SLOP	    2
#define AT(n, us)   (EPOCH + (n) * FRAME_US * US + (us) * US)
#define assert_edge(value, want) assert_in_range(value, want, (want) + SLOP)

static struct timebase time_1ghz;
static struct sched_frame frame;
static struct sched_queue queue;
static struct sched_entry entry[3];

/* Entry 0 has 0 to 200 us and 500 to 600, entry 1 200 to 400; entry 2 is in the background */
static int set_up(void **state)
{
	(void)state;
	timebase_init(&time_1ghz, NSEC_PER_SEC);
	sched_frame_init(&frame, &time_1ghz, FRAME_US * US, EPOCH);
	sched_frame_add(&frame, 0, 200 * US, BIT(0));
	sched_frame_add(&frame, 200 * US, 200 * US, BIT(1));
	sched_frame_add(&frame, 500 * US, 100 * US, BIT(0));
	frame.background = BIT(2);
	queue = (struct sched_queue){ 0 };
	for (u32 i = 0; i < 3; i++) {
		entry[i] = (struct sched_entry){ .is_runnable = true, .wake_tsc = NEVER, .slice_tsc = 30 * US };
	}
	return 0;
}

static struct sched_choice look(u64 now)
{
	u64 edge = sched_frame_edge(&frame);
	sched_frame_seek(&frame, now);
	queue.slice_end = sched_frame_edge(&frame) == edge ? queue.slice_end : 0;
	return sched_frame_pick(&frame, &queue, entry, 3, now);
}

static void windows_in_order_with_slack_between(void **state)
{
	(void)state;
	static const struct {
		u64 at;
		int who;
		u64 until;
	} want[] = { { 0, 0, 200 }, { 200, 1, 400 }, { 400, 2, 500 }, { 500, 0, 600 }, { 600, 2, 1000 } };
	for (u64 n = 0; n < 1000; n++) {
		for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
			struct sched_choice c = look(AT(n, want[i].at) + SLOP);
			assert_int_equal(c.index, want[i].who);
			assert_edge(c.until, AT(n, want[i].until));
			assert_int_equal(frame.number, n);
		}
	}
}

static void an_edge_is_exact_to_the_tick(void **state)
{
	(void)state;
	struct sched_choice c = look(AT(7, 0) + SLOP);
	u64 edge = c.until;
	assert_int_equal(look(edge - 1).index, 0);
	assert_int_equal(look(edge - 1).until, edge);
	assert_int_equal(look(edge).index, 1);
	assert_int_equal(sched_frame_edge(&frame), edge);
	assert_int_equal(sched_frame_until(&frame), look(edge).until);
	u64 end = frame.end;
	assert_int_equal(look(end - 1).index, -1);
	assert_int_equal(look(end - 1).until, end);
	assert_int_equal(look(end).index, 0);
	assert_int_equal(frame.number, 8);
	assert_int_equal(frame.start, end);
}

static void nobody_runs_before_the_epoch(void **state)
{
	(void)state;
	struct sched_choice c = look(EPOCH - 100);
	assert_int_equal(c.index, -1);
	assert_edge(c.until, EPOCH);
	assert_int_equal(sched_frame_owners(&frame, EPOCH - 100), 0);
	assert_int_equal(sched_frame_owners(&frame, c.until), BIT(0));
}

static void owner_asleep_leaves_its_window_until_it_wakes(void **state)
{
	(void)state;
	entry[0] = (struct sched_entry){ .wake_tsc = AT(0, 120) };
	struct sched_choice c = look(AT(0, 10));
	assert_int_equal(c.index, 2);
	assert_int_equal(c.until, AT(0, 120));
	entry[0].is_runnable = true;
	assert_int_equal(look(AT(0, 120)).index, 0);
	assert_edge(look(AT(0, 120)).until, AT(0, 200));
	entry[0] = (struct sched_entry){ .wake_tsc = NEVER };
	entry[2].is_runnable = false;
	entry[2].wake_tsc = AT(0, 150);
	c = look(AT(0, 130));
	assert_int_equal(c.index, -1); /* idle */
	assert_int_equal(c.until, AT(0, 150));
	entry[2].wake_tsc = NEVER;
	assert_edge(look(AT(0, 130)).until, AT(0, 200));
}

static void background_is_not_begun_for_a_moment(void **state)
{
	(void)state;
	u64 end = look(AT(0, 410)).until;
	assert_int_equal(look(end - frame.shortest).index, 2);
	assert_int_equal(look(end - frame.shortest + 1).index, -1);
	assert_int_equal(look(end - frame.shortest + 1).until, end);
}

static void others_do_not_run_in_a_window(void **state)
{
	(void)state;
	frame.background = 0;
	entry[1].is_runnable = false;
	struct sched_choice c = look(AT(3, 250));
	assert_int_equal(c.index, -1);
	assert_edge(c.until, AT(3, 400));
	assert_int_equal(look(AT(3, 450)).index, -1);
}

/* Many frames ahead at once: the same slot as by steps, and each window that nobody saw is counted */
static void any_distance_ahead(void **state)
{
	(void)state;
	for (u64 n = 0; n < 5000; n += 1 + n * 7) {
		set_up(NULL);
		assert_int_equal(sched_frame_seek(&frame, AT(n, 250)), 3 * n);
		assert_int_equal(frame.number, n);
		assert_int_equal(sched_frame_owners(&frame, AT(n, 250)), BIT(1));
	}
	set_up(NULL);
	assert_int_equal(sched_frame_seek(&frame, AT(0, 10)), 0);
	assert_int_equal(sched_frame_seek(&frame, AT(0, 210)), 0); /* seen */
	assert_int_equal(sched_frame_seek(&frame, AT(0, 450)), 0); /* slack */
	assert_int_equal(sched_frame_seek(&frame, AT(1, 10)), 1);  /* 500 to 600 */
	assert_int_equal(sched_frame_seek(&frame, AT(1, 900)), 2);
	assert_int_equal(sched_frame_seek(&frame, AT(1000000000, 450)), 3 * 999999998ull + 2);
	assert_int_equal(frame.number, 1000000000);
}

/* At a rate that is no whole number of ticks a microsecond, two CPUs whose frames are multiples keep together */
static void frames_do_not_drift(void **state)
{
	(void)state;
	struct timebase odd;
	struct sched_frame a, b;
	timebase_init(&odd, 2799927341ull);
	sched_frame_init(&a, &odd, 333 * US, EPOCH);
	sched_frame_init(&b, &odd, 999 * US, EPOCH);
	sched_frame_add(&a, 0, 333 * US, BIT(0));
	sched_frame_add(&b, 333 * US, 333 * US, BIT(0));
	for (u64 n = 1; n < 1000000; n += 997) {
		sched_frame_seek(&a, EPOCH + ns_to_tsc(&odd, (3 * n + 1) * 333 * US) + 5);
		sched_frame_seek(&b, EPOCH + ns_to_tsc(&odd, (3 * n + 1) * 333 * US) + 5);
		assert_int_equal(a.number, 3 * n + 1);
		assert_int_equal(b.number, n);
		assert_in_range(sched_frame_edge(&b), sched_frame_edge(&a) - 1, sched_frame_edge(&a) + 2);
		assert_int_equal(sched_frame_owners(&b, b.end), BIT(0));
	}
}

static void owners_of_one_window_take_turns(void **state)
{
	(void)state;
	u64 got[3] = { 0 };
	sched_frame_init(&frame, &time_1ghz, FRAME_US * US, EPOCH);
	sched_frame_add(&frame, 100 * US, 900 * US, BIT(0) | BIT(1));
	for (u64 now = AT(0, 100) + SLOP; now < AT(0, 1000);) {
		struct sched_choice c = look(now);
		got[c.index] += c.until - now;
		now = c.until;
	}
	assert_in_range(got[0], 450 * US - SLOP, 450 * US);
	assert_in_range(got[1], 450 * US - SLOP, 450 * US);
	assert_int_equal(got[2], 0);
	assert_int_equal(frame.nr, 2); /* no slack behind it */
}

static void whole_frame_is_one_window(void **state)
{
	(void)state;
	sched_frame_init(&frame, &time_1ghz, FRAME_US * US, EPOCH);
	sched_frame_add(&frame, 0, FRAME_US * US, BIT(1));
	assert_int_equal(frame.nr, 1);
	struct sched_choice c = look(AT(2, 5));
	assert_int_equal(c.index, 1);
	assert_int_equal(c.until, frame.end);
	assert_int_equal(sched_frame_seek(&frame, frame.end), 0);
	assert_int_equal(frame.number, 3);
}

static void starts_are_summed_up(void **state)
{
	(void)state;
	struct sched_stats s = { 0 };
	sched_note_start(&s, 10);
	sched_note_start(&s, 40);
	sched_note_start(&s, 20);
	assert_int_equal(s.nr_windows, 3);
	assert_int_equal(s.worst, 40);
	assert_int_equal(s.sum, 70);
}

#define FRAME_TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lone_entry_runs_without_end),
		cmocka_unit_test(nobody_runnable_waits_for_first_wake),
		cmocka_unit_test(slice_is_kept_then_passed_on),
		cmocka_unit_test(halted_gives_way_and_slice_given_away_moves_on),
		cmocka_unit_test(shares_are_fair),
		FRAME_TEST(windows_in_order_with_slack_between),
		FRAME_TEST(an_edge_is_exact_to_the_tick),
		FRAME_TEST(nobody_runs_before_the_epoch),
		FRAME_TEST(owner_asleep_leaves_its_window_until_it_wakes),
		FRAME_TEST(background_is_not_begun_for_a_moment),
		FRAME_TEST(others_do_not_run_in_a_window),
		FRAME_TEST(any_distance_ahead),
		FRAME_TEST(frames_do_not_drift),
		FRAME_TEST(owners_of_one_window_take_turns),
		FRAME_TEST(whole_frame_is_one_window),
		cmocka_unit_test(starts_are_summed_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
