/* SPDX-License-Identifier: BSD-2-Clause */
/* lib against the C library (strings, numbers, snprintf) and against FIPS 180-4's examples. */
#include "lib/lib.h"
#include "log.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static u32 rng_state = 1;

static u32 rng(void)
{
	rng_state = rng_state * 1664525 + 1013904223;
	return rng_state >> 8;
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void test_memory(void **state)
{
	u8 a[64], b[64];

	(void)state;
	for (u32 run = 0; run < 20000; run++) {
		for (u32 i = 0; i < sizeof(a); i++) {
			a[i] = b[i] = (u8)(rng() % 3);
		}
		size_t from = rng() % 32, to = rng() % 32, n = rng() % 33;
		assert_ptr_equal(lib_memmove(a + to, a + from, n), a + to);
		memmove(b + to, b + from, n);
		assert_memory_equal(a, b, sizeof(a));
		assert_int_equal(sign(lib_memcmp(a + from, b + to, n)),
				 sign(memcmp(a + from, b + to, n)));
		assert_ptr_equal(lib_memchr(a + from, 0x102, n), memchr(a + from, 0x102, n));
		assert_ptr_equal(lib_memset(a + from, 0x1a5, n), a + from);
		memset(b + from, 0xa5, n);
		assert_memory_equal(a, b, sizeof(a));
		assert_ptr_equal(lib_memcpy(a, b + 32, n % 32), a);
		assert_memory_equal(a, b + 32, n % 32);
	}
}

static void random_string(char *s, size_t size)
{
	size_t n = rng() % size;
	for (size_t i = 0; i < n; i++) {
		s[i] = "ab\xe9"[rng() % 3];
	}
	s[n] = 0;
}

static void test_strings(void **state)
{
	char a[8], b[8];

	(void)state;
	for (u32 run = 0; run < 20000; run++) {
		size_t n = rng() % 9;
		int c = "ab\xe9"[rng() % 4];
		random_string(a, sizeof(a));
		random_string(b, sizeof(b));
		assert_int_equal(lib_strlen(a), strlen(a));
		assert_int_equal(lib_strnlen(a, n), strnlen(a, n));
		assert_int_equal(sign(lib_strcmp(a, b)), sign(strcmp(a, b)));
		assert_int_equal(sign(lib_strncmp(a, b, n)), sign(strncmp(a, b, n)));
		assert_ptr_equal(lib_strchr(a, c), strchr(a, c));
		assert_ptr_equal(lib_strrchr(a, c), strrchr(a, c));
	}
}

/* One format, one value: ours must print what snprintf prints, cut to any size */
#define SAME(fmt, ...)                                                                  \
	do {                                                                            \
		char want[128], got[128];                                               \
		int len = snprintf(want, sizeof(want), fmt, __VA_ARGS__);               \
		assert_int_equal(format(got, sizeof(got), fmt, __VA_ARGS__), len);      \
		assert_string_equal(got, want);                                         \
		for (size_t size = 1; size <= (size_t)len; size++) {                    \
			snprintf(want, size, fmt, __VA_ARGS__);                         \
			assert_int_equal(format(got, size, fmt, __VA_ARGS__), size - 1); \
			assert_string_equal(got, want);                                 \
		}                                                                       \
	} while (0)

static void test_format_integers(void **state)
{
	static const u64 values[] = { 0,	  1,	      9,	  10,		 0x7fffffff,
				      0x80000000, 0xffffffff, INT64_MAX, 1ull << 63, UINT64_MAX };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
		u64 v = values[i];
		SAME("[%d %u %x]", (int)v, (u32)v, (u32)v);
		SAME("[%ld %lu %lx]", (long)v, v, v);
		SAME("[%lld %llu %llx]", (long long)v, (unsigned long long)v,
		     (unsigned long long)v);
		SAME("[%zu %zx]", (size_t)v, (size_t)v);
		SAME("[%24ld %-24ld %024ld]", (long)v, (long)v, (long)v);
		SAME("[%3x %-3x %03x %04d]", (u32)v, (u32)v, (u32)v, (int)v);
	}
}

static void test_format_text(void **state)
{
	char none[1] = { 'x' };

	(void)state;
	SAME("%c%c %%", 'a', 'z');
	SAME("[%s] [%8s] [%-8s] [%2s]", "", "abc", "abc", "abc");
	SAME("[%.*s] [%.*s] [%-6.*s]", 0, "abc", 9, "abc", 2, "abc");
	assert_int_equal(format(none, 0, "text"), 0);
	assert_int_equal(none[0], 'x');
	assert_int_equal(format(none, 1, "text"), 0);
	assert_int_equal(none[0], 0);
}

/* strncpy-like: what lies behind the precision is not read */
static void test_format_precision_bounds_reads(void **state)
{
	char *s = malloc(3), got[8];

	(void)state;
	memcpy(s, "abc", 3);
	format(got, sizeof(got), "%.*s", 3, s);
	assert_string_equal(got, "abc");
	free(s);
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
		u64 value;
	} rows[] = {
		{ "0", true, 0 }, { "31", true, 31 }, { "0x1f", true, 31 }, { "0XaBcD", true, 0xabcd },
		{ "18446744073709551615", true, UINT64_MAX }, { "18446744073709551616", false, 0 },
		{ "0xffffffffffffffff", true, UINT64_MAX }, { "0x10000000000000000", false, 0 },
		{ "99999999999999999999", false, 0 },
		{ "", false, 0 }, { "0x", false, 0 }, { "1f", false, 0 }, { "12 ", false, 0 },
		{ "-1", false, 0 }, { "0xg", false, 0 }, { "x1", false, 0 }, { "0b1", false, 0 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 v = 77;
		assert_int_equal(str_to_u64(rows[i].text, &v), rows[i].is_good);
		assert_int_equal(v, rows[i].is_good ? rows[i].value : 77);
	}
}

static void test_arguments(void **state)
{
	const char *v = NULL;

	(void)state;
	assert_int_equal(arg_find("a=1 console=com2 b", "console", &v), 4);
	assert_memory_equal(v, "com2 b", 6);
	assert_int_equal(arg_find("console=", "console", &v), 0);
	assert_int_equal(arg_find("  x=1  y=22 ", "y", &v), 2);
	assert_int_equal(arg_find("noconsole=1 console console2=3", "console", &v), -1);
	assert_int_equal(arg_find("k=first k=second", "k", &v), 5);
	assert_int_equal(arg_find("", "k", &v), -1);
	assert_int_equal(arg_find("k=a=b", "k", &v), 3);
}

static void assert_digest(const void *data, size_t len, const char *hex)
{
	u8 digest[32];
	char got[65];

	sha256(data, len, digest);
	for (u32 i = 0; i < 32; i++) {
		snprintf(got + 2 * i, 3, "%02x", digest[i]);
	}
	assert_string_equal(got, hex);
}

/* FIPS 180-4's examples; the lengths around a block's end by coreutils' sha256sum */
static void test_sha256(void **state)
{
	static const struct {
		size_t len;
		const char *digest;
	} of_a[] = {
		{ 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318" },
		{ 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a" },
		{ 63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34" },
		{ 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb" },
		{ 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
	};
	char *a = malloc(1000000);

	(void)state;
	assert_digest("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_digest("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	memset(a, 'a', 1000000);
	for (u32 i = 0; i < ARRAY_SIZE(of_a); i++) {
		assert_digest(a, of_a[i].len, of_a[i].digest);
	}
	free(a);
}

static char logged[512];
static u32 nr_logged;

static void keep_line(void *self, const char *text, size_t len)
{
	assert_ptr_equal(self, logged);
	memcpy(logged, text, len);
	logged[len] = 0;
	nr_logged++;
}

static void test_log(void **state)
{
	struct log_sink sink = { .line = keep_line, .self = logged };
	char text[300];

	(void)state;
	log("into the void");
	log_set_sink(&sink);
	log("feature %s=%s", "nx", "present");
	assert_string_equal(logged, "bulkhead: feature nx=present");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	log("%s", text);
	assert_int_equal(strlen(logged), 255);
	assert_int_equal(nr_logged, 2);
}

static jmp_buf bug_return;
static u32 bug_line;

static void on_bug(const char *file, u32 line, const char *what)
{
	assert_non_null(strstr(file, "test_lib.c"));
	assert_string_equal(what, "nr_logged != 2");
	bug_line = line;
	longjmp(bug_return, 1);
}

static void test_bug(void **state)
{
	(void)state;
	bug_set_handler(on_bug);
	if (!setjmp(bug_return)) {
		BUG_ON(nr_logged == 1);
		BUG_ON(nr_logged != 2);
		nr_logged = 3;
		BUG_ON(nr_logged != 2);
	}
	assert_true(bug_line > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_format_integers),
		cmocka_unit_test(test_format_text),
		cmocka_unit_test(test_format_precision_bounds_reads),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_bug),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
