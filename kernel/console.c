// SPDX-License-Identifier: BSD-2-Clause
/*
 * The shared console: sources collect lines, whole lines enter one memory ring, whoever has time
 * moves the ring to the UART. Knows no partition, only named sources, and no hardware, only the
 * injected port functions. Called by the run loop, the log and the crash record.
 */
#include "kernel/console.h"
#include "config.h"
#include "lib/lib.h"
#include "lock.h"
#include "log.h"

#define ESCAPE_KEY     0x1d /* Ctrl-] */
#define FLUSH_NS       (50 * NSEC_PER_MSEC)
#define EXTRA_OUT_MAX  (CONFIG_NAME_MAX + 8) /* line breaks, "[name] " and a NUL */
#define LINE_OUT_MAX   (CONSOLE_LINE_MAX + EXTRA_OUT_MAX)
#define ROOM_BYTES     16 /* what a source may send before it asks again */
#define SOURCE_OUT_MAX (LINE_OUT_MAX + ROOM_BYTES * EXTRA_OUT_MAX)
#define LOG_RESERVE    (CONSOLE_RING / 4) /* a post-mortem is 4 KiB */
#define POLLS_STUCK    1000000 /* about a second without one byte taken: the UART is gone */

/*
 * @ring_lock:  ring.head, open
 * @drain_lock: ring.tail, and who feeds the ports. Never taken inside ring_lock.
 * @open:       whose unfinished line is the last thing written, NULL = none
 */
static struct {
	struct lock ring_lock, drain_lock;
	struct console_fifo ring;
	const struct console_source *open;
	u16 port;
	const struct console_port_ops *ops;
	struct console_source *source[CONFIG_MAX_PARTITIONS];
	u32 nr_sources, focus;
	bool is_escape; /* the last key was Ctrl-] */
	char ring_bytes[CONSOLE_RING];
} con;

static size_t fifo_free(const struct console_fifo *f)
{
	return f->size - (__atomic_load_n(&f->head, __ATOMIC_ACQUIRE) -
			  __atomic_load_n(&f->tail, __ATOMIC_ACQUIRE));
}

/* Both ends move so, when the bytes are in their place or out of it: pairs with fifo_free(). */
static void fifo_move(u64 *end, size_t nr)
{
	__atomic_store_n(end, *end + nr, __ATOMIC_RELEASE);
}

/* A byte for which there is no place is lost. */
static void fifo_put(struct console_fifo *f, u8 byte)
{
	if (fifo_free(f)) {
		f->bytes[f->head & (f->size - 1)] = (char)byte;
		fifo_move(&f->head, 1);
	}
}

/* Up to @max bytes to @port. Context: drain_lock. Return: true if bytes are left. */
static bool fifo_send(struct console_fifo *f, u16 port, size_t max)
{
	for (size_t n = 1, left; n && (left = MIN(max, f->size - fifo_free(f))); max -= n) {
		size_t at = f->tail & (f->size - 1);
		n = con.ops->write(port, f->bytes + at, MIN(left, f->size - at));
		fifo_move(&f->tail, n);
	}
	return fifo_free(f) < f->size;
}

void console_init(u16 port, const struct console_port_ops *ops)
{
	memset(&con, 0, sizeof(con));
	con.ring = (struct console_fifo){ .bytes = con.ring_bytes, .size = sizeof(con.ring_bytes) };
	con.port = port;
	con.ops = ops;
}

void console_add(struct console_source *s, const char *name, u16 raw_port)
{
	BUG_ON(con.nr_sources == CONFIG_MAX_PARTITIONS);
	*s = (struct console_source){ .name = name, .raw_port = raw_port };
	s->rx = (struct console_fifo){ .bytes = s->rx_bytes, .size = sizeof(s->rx_bytes) };
	s->raw = (struct console_fifo){ .bytes = s->line, .size = sizeof(s->line) };
	con.source[con.nr_sources++] = s;
}

bool console_drain(size_t max)
{
	if (!lock_try(&con.drain_lock)) {
		return true;
	}
	bool has_more = fifo_send(&con.ring, con.port, max);
	for (u32 i = 0; i < con.nr_sources; i++) {
		struct console_source *s = con.source[i];
		has_more |= fifo_send(&s->raw, s->raw_port, max);
	}
	lock_drop(&con.drain_lock);
	return has_more;
}

/* Until @need bytes of the ring are free, or all is sent. Return: false if the UART is stuck. */
static bool drain_until(size_t need)
{
	u32 polls = 0;

	for (size_t had; (had = fifo_free(&con.ring)) < need && polls < POLLS_STUCK; polls++) {
		need = console_drain(CONSOLE_RING) ? need : 0;
		polls = fifo_free(&con.ring) > had ? 0 : polls;
		__builtin_ia32_pause();
	}
	return polls < POLLS_STUCK;
}

/* Take ring_lock with LINE_OUT_MAX bytes free; a UART that is stuck loses the oldest bytes. */
static void ring_take(void)
{
	lock_take(&con.ring_lock);
	while (fifo_free(&con.ring) < LINE_OUT_MAX) {
		lock_drop(&con.ring_lock);
		if (!drain_until(LINE_OUT_MAX)) {
			lock_take(&con.drain_lock);
			fifo_move(&con.ring.tail, LINE_OUT_MAX);
			lock_drop(&con.drain_lock);
		}
		lock_take(&con.ring_lock);
	}
}

/*
 * A piece of a line of @s (NULL: our own). It continues the line that @s left open; if another one
 * wrote since, or left one open, there is a line break and a new prefix first.
 */
static void emit(struct console_source *s, const char *text, size_t len, bool is_end)
{
	char out[LINE_OUT_MAX];
	size_t n = 0;

	ring_take();
	bool is_more = s && con.open == s;
	bool is_cut = s && s->is_partial && !is_more; /* someone broke our line: it has ended */
	if (len || !is_cut) {
		if (con.open && !is_more) {
			n += format(out, sizeof(out), "\r\n");
		}
		if (s && !is_more) {
			n += format(out + n, sizeof(out) - n, "[%s] ", s->name);
		}
		const char *end = is_end ? "\r\n" : "";
		n += format(out + n, sizeof(out) - n, "%.*s%s", (int)len, text, end);
		con.open = is_end ? NULL : s;
	}
	for (size_t i = 0; i < n; i++) { /* there is room: ring_take() */
		con.ring_bytes[(con.ring.head + i) & (CONSOLE_RING - 1)] = out[i];
	}
	fifo_move(&con.ring.head, n);
	if (!con.port) {
		fifo_move(&con.ring.tail, n); /* nobody else will */
	}
	lock_drop(&con.ring_lock);
	if (s) {
		s->len = 0;
		s->is_partial = !is_end;
	}
}

void console_line(const char *text, size_t len)
{
	emit(NULL, text, MIN(len, (size_t)CONSOLE_LINE_MAX), true);
}

/*
 * Every source may use up its promise at the same time, and what sources leave is for our own lines, lest the
 * end of a partition waits for the UART in another one's window. The wait in ring_take() covers the rest.
 */
size_t console_source_room(struct console_source *s)
{
	size_t reserve = MIN(con.nr_sources * SOURCE_OUT_MAX + LOG_RESERVE, (size_t)CONSOLE_RING / 2);

	if (s->raw_port) {
		return fifo_free(&s->raw);
	}
	return fifo_free(&con.ring) >= reserve ? ROOM_BYTES : 0;
}

void console_source_tx(struct console_source *s, u8 byte, u64 now_ns)
{
	if (s->raw_port) {
		fifo_put(&s->raw, byte);
	} else if (byte == '\n') {
		emit(s, s->line, s->len, true);
	} else if (byte && byte != '\r') {
		if (s->len == CONSOLE_LINE_MAX) {
			emit(s, s->line, s->len, true);
		}
		s->line[s->len++] = (char)byte;
		s->quiet_since_ns = now_ns;
		s->is_late = false;
	}
}

/*
 * A guest that did not get the CPU was not quiet: a pause counts if it is seen twice, and the guest had time
 * in between to go on.
 */
u64 console_source_flush(struct console_source *s, u64 now_ns)
{
	if (s->raw_port || !s->len) {
		return NEVER;
	}
	if (now_ns != NEVER) {
		if (now_ns - s->quiet_since_ns < FLUSH_NS) {
			return s->quiet_since_ns + FLUSH_NS;
		}
		if (!s->is_late || !console_source_room(s)) {
			s->is_late = true;
			s->quiet_since_ns = now_ns;
			return now_ns + FLUSH_NS;
		}
	}
	emit(s, s->line, s->len, false);
	return NEVER;
}

void console_sync(bool force)
{
	if (force) {
		con.ring_lock = con.drain_lock = (struct lock){ 0 };
	}
	drain_until(SIZE_MAX);
}

/* A byte that the partition is too slow to take is lost, as with a real line. Return: its bit. */
static u64 rx_put(u32 index, u8 byte)
{
	fifo_put(&con.source[index]->rx, byte);
	return BIT(index);
}

int console_source_getc(struct console_source *s)
{
	if (fifo_free(&s->rx) == s->rx.size) {
		return -1;
	}
	u8 byte = (u8)s->rx.bytes[s->rx.tail & (s->rx.size - 1)];
	fifo_move(&s->rx.tail, 1);
	return byte;
}

static void focus_set(u32 index)
{
	if (index >= con.nr_sources || con.source[index]->raw_port) {
		log("no partition %u at this keyboard", index);
		return;
	}
	con.focus = index;
	log("keyboard to [%s]", con.source[index]->name);
}

static void focus_next(void)
{
	u32 next = con.focus;

	do {
		next = next + 1 < con.nr_sources ? next + 1 : 0;
	} while (next != con.focus && con.source[next]->raw_port);
	focus_set(next);
}

static void help(void)
{
	log("Ctrl-] 0..9 keyboard to a partition, n to the next, Ctrl-] itself, ? this");
	for (u32 i = 0; i < con.nr_sources; i++) {
		log("%c %u [%s]%s", i == con.focus ? '*' : ' ', i, con.source[i]->name,
		    con.source[i]->raw_port ? " on a port of its own" : "");
	}
}

static u64 key(u8 byte)
{
	bool is_command = con.is_escape && byte != ESCAPE_KEY;

	con.is_escape = !con.is_escape && byte == ESCAPE_KEY;
	if (!is_command) {
		return con.is_escape || !con.nr_sources ? 0 : rx_put(con.focus, byte);
	}
	if (byte >= '0' && byte <= '9') {
		focus_set(byte - '0');
	} else if (byte == 'n') {
		focus_next();
	} else if (byte == '?') {
		help();
	}
	return 0;
}

u64 console_poll_input(u32 max)
{
	u64 got = 0;

	for (u32 i = 0; i <= con.nr_sources; i++) {
		bool is_raw = i < con.nr_sources;
		u16 port = is_raw ? con.source[i]->raw_port : con.port;
		for (int c, n = 0; port && n < (int)max && (c = con.ops->getc(port)) >= 0; n++) {
			got |= is_raw ? rx_put(i, (u8)c) : key((u8)c);
		}
	}
	return got;
}
