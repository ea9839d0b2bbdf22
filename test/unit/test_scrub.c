/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of several partitions is cleared by several threads: all of it, once, and nothing else. */
#include "kernel/scrub.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define NR_THREADS 4
#define RAM_LEN	   (24 * MIB)

static struct partition parts[2];
static struct partition *const list[] = { &parts[0], &parts[1] };
static struct scrub scrub;
static u8 *ram;

static void extent(u32 i, u64 at, u64 len)
{
	struct gmem *m = &parts[i].mem;
	m->ext[m->nr++] = (struct mem_extent){ GPA(at), HPA((uintptr_t)ram + at), len };
}

static void fill(u64 at, u64 len, int byte)
{
	memset(ram + at, byte, len);
}

static int setup(void **state)
{
	(void)state;
	ram = malloc(RAM_LEN);
	memset(ram, 0xaa, RAM_LEN);
	memset(parts, 0, sizeof(parts));
	memset(&scrub, 0, sizeof(scrub));
	/* more than a piece, less than one, whole pieces; gaps between them */
	extent(0, PAGE_SIZE, SCRUB_CHUNK * 5 + 3 * PAGE_SIZE);
	extent(0, 8 * MIB, PAGE_SIZE);
	extent(1, 9 * MIB, 8 * SCRUB_CHUNK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(ram);
	return 0;
}

/* What was to be cleared is; then make it as it was, to see that all else is untouched */
static void check(void)
{
	static u8 zeroes[RAM_LEN];
	for (u32 i = 0; i < 2; i++) {
		for (u32 k = 0; k < parts[i].mem.nr; k++) {
			const struct mem_extent *e = &parts[i].mem.ext[k];
			assert_memory_equal(phys_ptr(e->host), zeroes, e->len);
			fill(e->base.v, e->len, 0xaa);
		}
	}
	for (u64 i = 0; i < RAM_LEN; i++) {
		assert_int_equal(ram[i], 0xaa);
	}
}

static void test_alone(void **state)
{
	(void)state;
	u64 steps = 0;
	assert_false(scrub_step(&scrub)); /* not begun */
	scrub_begin(&scrub, list, 2);
	assert_int_equal(scrub.nr_chunks, 6 + 1 + 8);
	for (; scrub_step(&scrub); steps++) {
		assert_int_equal(scrub_is_done(&scrub), steps + 1 == scrub.nr_chunks);
	}
	assert_int_equal(steps, scrub.nr_chunks);
	assert_false(scrub_step(&scrub));
	assert_true(scrub_is_done(&scrub));
	check();
}

static void *worker(void *arg)
{
	u64 *nr = arg;
	while (scrub_step(&scrub)) {
		++*nr;
	}
	return NULL;
}

static void test_together(void **state)
{
	(void)state;
	pthread_t t[NR_THREADS];
	u64 nr[NR_THREADS] = { 0 }, sum = 0;
	scrub_begin(&scrub, list, 2);
	for (u32 i = 0; i < NR_THREADS; i++) {
		assert_int_equal(pthread_create(&t[i], NULL, worker, &nr[i]), 0);
	}
	for (u32 i = 0; i < NR_THREADS; i++) {
		assert_int_equal(pthread_join(t[i], NULL), 0);
		sum += nr[i];
	}
	assert_int_equal(sum, scrub.nr_chunks);
	assert_true(scrub_is_done(&scrub));
	check();
}

/* Handed out is not yet cleared */
static void test_others_are_busy(void **state)
{
	(void)state;
	scrub_begin(&scrub, list, 2);
	scrub.next = scrub.nr_chunks - 1;
	assert_true(scrub_step(&scrub));
	assert_false(scrub_step(&scrub));
	assert_false(scrub_is_done(&scrub));
}

static void test_nothing(void **state)
{
	(void)state;
	scrub_begin(&scrub, list, 0);
	assert_false(scrub_step(&scrub));
	assert_true(scrub_is_done(&scrub));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_are_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
