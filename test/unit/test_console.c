// SPDX-License-Identifier: BSD-2-Clause
/*
 * The console with a pretend UART that takes a few bytes now and then: nothing lost, torn, doubled
 * or reordered; prompts; the keyboard; a UART that dies.
 */
#include "kernel/console.h"
#include "log.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <cmocka.h>

#define PORT	 0x3f8
#define RAW_PORT 0x2f8

/* What came out of each port; fed only under the console's own drain lock */
static struct wire {
	char *text;
	size_t len, size, budget; /* budget: bytes it still takes */
	const char *keys;
} wire[2];
static unsigned calls;
static bool is_slow;

static struct wire *wire_of(u16 port)
{
	assert_true(port == PORT || port == RAW_PORT);
	return &wire[port == RAW_PORT];
}

static size_t fake_write(u16 port, const char *s, size_t len)
{
	struct wire *w = wire_of(port);
	if (is_slow) {
		len = ++calls % 3 ? MIN(len, (size_t)(1 + calls % 16)) : 0;
	}
	len = MIN(len, w->budget);
	w->budget -= len;
	if (w->len + len + 1 > w->size) {
		w->size = 2 * (w->len + len + 1);
		w->text = realloc(w->text, w->size);
	}
	memcpy(w->text + w->len, s, len);
	w->len += len;
	w->text[w->len] = 0;
	return len;
}

static int fake_getc(u16 port)
{
	struct wire *w = wire_of(port);
	return w->keys && *w->keys ? *w->keys++ : -1;
}

static const struct console_port_ops fake = { fake_write, fake_getc };
static struct console_source a, b;

static void to_console(void *self, const char *text, size_t len)
{
	(void)self;
	console_line(text, len);
}

static int start(void **state)
{
	static const struct log_sink sink = { to_console, NULL };
	(void)state;
	for (int i = 0; i < 2; i++) {
		free(wire[i].text);
		wire[i] = (struct wire){ .text = strdup(""), .budget = SIZE_MAX };
	}
	is_slow = false;
	log_set_sink(&sink);
	console_init(PORT, &fake);
	console_add(&a, "a", 0);
	console_add(&b, "beta", 0);
	return 0;
}

static void say(struct console_source *s, const char *text)
{
	for (; *text; text++) {
		console_source_tx(s, (u8)*text, 1000);
	}
}

static void expect(const char *text)
{
	console_sync(false);
	assert_string_equal(wire[0].text, text);
	wire[0].len = 0;
	wire[0].text[0] = 0;
}

static void test_lines(void **state)
{
	(void)state;
	say(&a, "one\r\ntw");
	say(&b, "other\n");
	console_line("bulkhead: x", 11);
	say(&a, "o\n\n");
	console_source_tx(&a, 0, 0);
	say(&a, "\x1b[1m\ttab\n");
	expect("[a] one\r\n[beta] other\r\nbulkhead: x\r\n[a] two\r\n[a] \r\n[a] \x1b[1m\ttab\r\n");
}

static void test_long_line(void **state)
{
	(void)state;
	char text[2 * CONSOLE_LINE_MAX + 2], want[600];
	memset(text, 'x', sizeof(text));
	text[CONSOLE_LINE_MAX] = '\n'; /* just fits: one line, no empty one after it */
	text[CONSOLE_LINE_MAX + 1] = 0;
	say(&a, text);
	snprintf(want, sizeof(want), "[a] %.256s\r\n", text);
	expect(want);
	text[CONSOLE_LINE_MAX] = 'y';
	text[CONSOLE_LINE_MAX + 1] = '\n';
	text[CONSOLE_LINE_MAX + 2] = 0;
	say(&a, text);
	snprintf(want, sizeof(want), "[a] %.256s\r\n[a] y\r\n", text);
	expect(want);
}

static void test_prompt(void **state)
{
	(void)state;
	const u64 ms = NSEC_PER_MSEC;
	assert_int_equal(console_source_flush(&a, 0), NEVER);
	say(&a, "login: ");
	assert_int_equal(console_source_flush(&a, 1000 + 49 * ms), 1000 + 50 * ms);
	assert_int_equal(console_source_flush(&a, 1000 + 50 * ms), 1000 + 100 * ms);
	expect("");
	assert_int_equal(console_source_flush(&a, 1000 + 100 * ms), NEVER);
	expect("[a] login: ");
	say(&a, "root\n");
	expect("root\r\n");

	/* another writer breaks the line; what follows begins a line of its own */
	say(&a, "# ");
	console_source_flush(&a, NEVER);
	say(&b, "hello\n");
	say(&a, "ls\n");
	expect("[a] # \r\n[beta] hello\r\n[a] ls\r\n");

	/* broken, and then nothing followed: no empty line */
	say(&a, "$ ");
	console_source_flush(&a, NEVER);
	console_line("bulkhead: x", 11);
	say(&a, "\nnext\n");
	expect("[a] $ \r\nbulkhead: x\r\n[a] next\r\n");

	/* two prompts in turn */
	say(&a, "1");
	console_source_flush(&a, NEVER);
	say(&b, "2");
	console_source_flush(&b, NEVER);
	say(&a, "3");
	console_source_flush(&a, NEVER);
	expect("[a] 1\r\n[beta] 2\r\n[a] 3");
}

static void type(const char *keys, u64 want)
{
	wire[0].keys = keys;
	assert_int_equal(console_poll_input(64), want);
}

static void expect_rx(struct console_source *s, const char *text)
{
	for (; *text; text++) {
		assert_int_equal(console_source_getc(s), *text);
	}
	assert_int_equal(console_source_getc(s), -1);
}

static void test_keyboard(void **state)
{
	(void)state;
	static struct console_source raw;
	console_add(&raw, "raw", RAW_PORT);
	type("hi\r", 1);
	expect_rx(&a, "hi\r");
	expect_rx(&b, "");
	type("\x1d", 0);
	type("1x", 2);
	expect("bulkhead: keyboard to [beta]\r\n");
	expect_rx(&b, "x");
	type("\x1d\x1dq", 2);
	expect_rx(&b, "\x1dq");
	type("\x1d" "7\x1d" "2\x1dz", 0);
	expect("bulkhead: no partition 7 at this keyboard\r\n"
	       "bulkhead: no partition 2 at this keyboard\r\n");
	type("\x1dn1", 1); /* past the raw one, to the first */
	expect("bulkhead: keyboard to [a]\r\n");
	expect_rx(&a, "1");
	type("\x1d?", 0);
	expect("bulkhead: Ctrl-] 0..9 keyboard to a partition, n to the next, Ctrl-] itself, ? this\r\n"
	       "bulkhead: * 0 [a]\r\nbulkhead:   1 [beta]\r\n"
	       "bulkhead:   2 [raw] on a port of its own\r\n");
}

static void test_keyboard_overrun(void **state)
{
	(void)state;
	char keys[101];
	memset(keys, 'k', 100);
	keys[100] = 0;
	wire[0].keys = keys;
	assert_int_equal(console_poll_input(64), 1); /* 64 a time */
	assert_int_equal(console_poll_input(64), 1); /* the rest is lost */
	keys[64] = 0;
	expect_rx(&a, keys);
	console_init(PORT, &fake);
	type("x", 0); /* nobody is there */
}

static void test_raw_port(void **state)
{
	(void)state;
	static struct console_source raw;
	console_add(&raw, "raw", RAW_PORT);
	wire[1].budget = 0;
	say(&raw, "a\r\nb");
	assert_int_equal(console_source_room(&raw), CONSOLE_LINE_MAX - 4);
	assert_true(console_drain(100));
	assert_int_equal(console_source_flush(&raw, NEVER), NEVER);
	for (int i = 4; i < CONSOLE_LINE_MAX; i++) {
		console_source_tx(&raw, 0, 0);
	}
	assert_int_equal(console_source_room(&raw), 0);
	wire[1].budget = SIZE_MAX;
	console_sync(false);
	assert_int_equal(wire[1].len, CONSOLE_LINE_MAX);
	assert_memory_equal(wire[1].text, "a\r\nb\0\0", 6);
	assert_int_equal(console_source_room(&raw), CONSOLE_LINE_MAX);
	say(&raw, "zz"); /* across the end of its ring */
	expect("");
	assert_string_equal(wire[1].text + CONSOLE_LINE_MAX, "zz");
	wire[1].keys = "in";
	assert_int_equal(console_poll_input(64), 4);
	expect_rx(&raw, "in");
}

static void test_backpressure(void **state)
{
	(void)state;
	u32 lines = 0;
	wire[0].budget = 0;
	while (console_source_room(&a)) {
		say(&a, "0123456789\n");
		lines++;
	}
	assert_in_range(lines, 2900, (CONSOLE_RING - CONSOLE_RING / 4) / 16);
	console_line("bulkhead: still room", 20);
	for (u32 i = 0; i < 160; i++) { /* that of four post-mortems: a wait for this UART would lose bytes */
		console_line("..................................................................................................", 98);
	}
	say(&a, "waiting"); /* a prompt waits too, without spinning */
	assert_int_equal(console_source_flush(&a, NSEC_PER_SEC), NSEC_PER_SEC + 50 * NSEC_PER_MSEC);
	wire[0].budget = SIZE_MAX;
	assert_true(console_drain(1000));
	assert_int_equal(wire[0].len, 1000);
	assert_false(console_drain(100000));
	assert_int_equal(wire[0].len, lines * strlen("[a] 0123456789\r\n") + 22 + 160 * 100);
	assert_true(console_source_room(&a) > 0);
}

static void test_no_uart(void **state)
{
	(void)state;
	console_init(0, &fake);
	console_add(&a, "a", 0);
	for (int i = 0; i < 10000; i++) {
		assert_true(console_source_room(&a) > 0);
		say(&a, "many lines\n");
	}
	say(&a, "the end\n");
	assert_false(console_drain(10));
	assert_int_equal(wire[0].len, 0);
	assert_int_equal(console_poll_input(64), 0);
}

/* A UART that takes nothing any more delays, but does not hang: the oldest bytes go. */
static void test_dead_uart(void **state)
{
	(void)state;
	wire[0].budget = 0;
	for (int i = 0; i < CONSOLE_RING / 16 + 10; i++) {
		say(&a, "0123456789\n");
	}
	console_sync(true);
	console_line("bulkhead: crash", 15);
	assert_int_equal(wire[0].len, 0);
	wire[0].budget = SIZE_MAX;
	console_sync(true);
	assert_in_range(wire[0].len, CONSOLE_RING / 2, CONSOLE_RING);
	assert_string_equal(wire[0].text + wire[0].len - 33, "[a] 0123456789\r\nbulkhead: crash\r\n");
}

#define NR_LINES 10000
static void *writer(void *arg)
{
	struct console_source *s = arg;
	char line[80];
	for (int i = 0; i < NR_LINES; i++) {
		snprintf(line, sizeof(line), "%d %.*s\n", i, i % 40, "................................................");
		for (char *c = line; *c;) {
			size_t room = console_source_room(s);
			while (room-- && *c) {
				console_source_tx(s, (u8)*c++, 0);
			}
			console_drain(64);
		}
		if (i % 100 == 0) {
			console_line("bulkhead: tick", 14);
		}
	}
	return NULL;
}

static void test_two_writers(void **state)
{
	(void)state;
	pthread_t t[2];
	int next[2] = { 0, 0 }, ticks = 0;
	is_slow = true;
	pthread_create(&t[0], NULL, writer, &a);
	pthread_create(&t[1], NULL, writer, &b);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	console_sync(false);
	for (char *line = wire[0].text, *end; (end = strstr(line, "\r\n")); line = end + 2) {
		char want[80];
		bool is_b = line[1] == 'b';
		*end = 0;
		if (line[0] == 'b') {
			assert_string_equal(line, "bulkhead: tick");
			ticks++;
			continue;
		}
		snprintf(want, sizeof(want), "[%s] %d %.*s", is_b ? "beta" : "a", next[is_b],
			 next[is_b] % 40, "................................................");
		assert_string_equal(line, want);
		next[is_b]++;
	}
	assert_int_equal(next[0], NR_LINES);
	assert_int_equal(next[1], NR_LINES);
	assert_int_equal(ticks, 2 * NR_LINES / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lines, start),
		cmocka_unit_test_setup(test_long_line, start),
		cmocka_unit_test_setup(test_prompt, start),
		cmocka_unit_test_setup(test_keyboard, start),
		cmocka_unit_test_setup(test_keyboard_overrun, start),
		cmocka_unit_test_setup(test_raw_port, start),
		cmocka_unit_test_setup(test_backpressure, start),
		cmocka_unit_test_setup(test_no_uart, start),
		cmocka_unit_test_setup(test_dead_uart, start),
		cmocka_unit_test_setup(test_two_writers, start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
