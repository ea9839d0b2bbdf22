/* SPDX-License-Identifier: BSD-2-Clause */
/* The crash record: found again when it is whole, not when it is not, and always at one place. */
#include <stdlib.h>
#include <string.h>
#include "kernel/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct record r;

static void add(const char *s)
{
	record_add(&r, s, strlen(s));
}

static void is_found_when_sealed(void **state)
{
	(void)state;
	memset(&r, 0xa5, sizeof(r));
	assert_false(record_find(&r));
	record_begin(&r);
	add("one");
	add("two");
	assert_false(record_find(&r));
	record_seal(&r);
	assert_true(record_find(&r));
	assert_int_equal(r.len, 8);
	assert_memory_equal(r.text, "one\ntwo\n", 8);
	record_begin(&r);
	assert_false(record_find(&r));
}

static void any_changed_bit_hides_it(void **state)
{
	(void)state;
	record_begin(&r);
	add("crash: cpu=0");
	record_seal(&r);
	for (size_t bit = 0; bit < 8 * (20 + r.len); bit++) {
		((u8 *)&r)[bit / 8] ^= (u8)(1u << bit % 8);
		assert_false(record_find(&r));
		((u8 *)&r)[bit / 8] ^= (u8)(1u << bit % 8);
	}
	assert_true(record_find(&r));
}

static void what_does_not_fit_is_lost(void **state)
{
	(void)state;
	static char line[1000];
	memset(line, 'x', sizeof(line));
	record_begin(&r);
	for (u32 i = 0; i < 100; i++) {
		record_add(&r, line, sizeof(line));
	}
	record_seal(&r);
	assert_true(record_find(&r));
	assert_int_equal(r.len % 1001, 0);
	assert_true(r.len > RECORD_LEN - 20 - 1001 && r.len <= RECORD_LEN - 20);
}

static void place(void **state)
{
	(void)state;
	struct boot_info *info = calloc(1, sizeof(*info));
	info->image_start = HPA(MIB);
	info->image_end = HPA(MIB + 500 * KIB);
	info->mem[0] = (struct mem_range){ 0, 0x9fc00, true };
	info->mem[1] = (struct mem_range){ MIB, 63 * MIB, true };
	info->nr_mem = 2;
	info->nr_modules = 1;
	info->modules[0].start = HPA(2 * MIB);
	info->modules[0].len = 123456;
	u64 at = record_place(info);
	assert_int_equal(at % RECORD_LEN, 0);
	assert_true(at >= 3 * MIB && at < 4 * MIB);
	info->mem[2] = (struct mem_range){ at + KIB, KIB, false };
	info->nr_mem = 3;
	assert_int_equal(record_place(info), at + RECORD_LEN);
	info->modules[0].start = HPA(63 * MIB);
	assert_int_equal(record_place(info), 0);
	info->modules[0].start = HPA(5 * GIB); /* not in the way */
	assert_true(record_place(info) > MIB);
	free(info);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_found_when_sealed), cmocka_unit_test(any_changed_bit_hides_it),
		cmocka_unit_test(what_does_not_fit_is_lost), cmocka_unit_test(place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
