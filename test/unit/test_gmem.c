// SPDX-License-Identifier: BSD-2-Clause
/* Guest memory against a plain array: which bytes are RAM, and what they hold, over holes and seams. */
#include "kernel/gmem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static u8 host[3][0x1000];

/* 0..fff and 1000..1fff touch but lie apart in the host; a hole; 3000..3fff */
static const struct gmem *guest(void)
{
	static struct gmem m;
	const u64 base[] = { 0, 0x1000, 0x3000 };
	m.nr = 3;
	for (u32 i = 0; i < 3; i++) {
		m.ext[i] = (struct mem_extent){ GPA(base[i]), HPA((uintptr_t)host[2 - i]), 0x1000 };
	}
	for (u32 i = 0; i < sizeof(host); i++) {
		host[i / 0x1000][i % 0x1000] = (u8)(i * 7 + i / 251);
	}
	return &m;
}

static u8 *oracle(u64 a)
{
	if (a < 0x2000) {
		return &host[2 - a / 0x1000][a % 0x1000];
	}
	return a - 0x3000 < 0x1000 ? &host[0][a - 0x3000] : NULL;
}

static void test_ptr(void **state)
{
	(void)state;
	const struct gmem *m = guest();
	for (u64 a = 0; a < 0x5000; a += 0x80) {
		assert_ptr_equal(gmem_ptr(m, GPA(a), 1), oracle(a));
	}
	assert_ptr_equal(gmem_ptr(m, GPA(0xfff), 1), &host[2][0xfff]);
	assert_null(gmem_ptr(m, GPA(0xfff), 2)); /* two extents */
	assert_null(gmem_ptr(m, GPA(0x3000), ~0ull));
	assert_null(gmem_ptr(m, GPA(~0ull), 2));
	assert_non_null(gmem_ptr(m, GPA(0x3000), 0x1000));
}

static void test_copy(void **state)
{
	(void)state;
	const struct gmem *m = guest();
	u8 buf[0x2000];
	assert_true(gmem_read(m, GPA(0), buf, 0x2000));
	for (u64 a = 0; a < 0x2000; a++) {
		assert_int_equal(buf[a], *oracle(a));
	}
	memset(buf, 0xa5, sizeof(buf));
	assert_true(gmem_write(m, GPA(0xff0), buf, 0x20));
	assert_int_equal(*oracle(0xfef), (u8)(0x2fef * 7 + 0x2fef / 251));
	assert_int_equal(*oracle(0xff0), 0xa5);
	assert_int_equal(*oracle(0x100f), 0xa5);
	assert_int_equal(*oracle(0x1010), (u8)(0x1010 * 7 + 0x1010 / 251));
	assert_true(gmem_fill(m, GPA(0xff8), 0x11, 0x10));
	assert_int_equal(*oracle(0xff7), 0xa5);
	assert_int_equal(*oracle(0xff8), 0x11);
	assert_int_equal(*oracle(0x1007), 0x11);
	assert_int_equal(*oracle(0x1008), 0xa5);
}

/* What is not RAM from end to end changes nothing */
static void test_refusal(void **state)
{
	(void)state;
	const struct gmem *m = guest();
	u8 before[3][0x1000], buf[0x3000] = { 0 };
	memcpy(before, host, sizeof(host));
	assert_false(gmem_write(m, GPA(0x1fff), buf, 2));
	assert_false(gmem_fill(m, GPA(0x1fff), 1, 0x1002));
	assert_false(gmem_write(m, GPA(0x2fff), buf, 2));
	assert_false(gmem_write(m, GPA(0x3fff), buf, 2));
	assert_false(gmem_fill(m, GPA(~0ull), 0, 1));
	memset(buf, 0x77, sizeof(buf));
	assert_false(gmem_read(m, GPA(0x1800), buf, 0x1000));
	assert_int_equal(buf[0], 0x77);
	assert_memory_equal(before, host, sizeof(host));
}

static void test_top(void **state)
{
	(void)state;
	const struct gmem *m = guest();
	const struct gmem empty = { .nr = 0 };
	assert_int_equal(gmem_top_below(m, NEVER), 0x4000);
	assert_int_equal(gmem_top_below(m, 0x3000), 0x2000);
	assert_int_equal(gmem_top_below(m, 0x1800), 0x1800);
	assert_int_equal(gmem_top_below(m, 0), 0);
	assert_int_equal(gmem_top_below(&empty, NEVER), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ptr),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_top),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
