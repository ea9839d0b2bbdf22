// SPDX-License-Identifier: BSD-2-Clause
/*
 * The shared console: sources collect lines, whole lines enter one memory ring, whoever has time moves
 * the ring to the UART. Knows no partition, only named sources, and no hardware, only the injected
 * port functions. Called by the run loop, the log and the crash record.
 */
#include "kernel/console.h"
#include "config.h"
#include "lib/lib.h"
#include "lock.h"
#include "log.h"

#define ESCAPE_KEY     0x1d /* Ctrl-] */
#define FLUSH_NS       (50 * NSEC_PER_MSEC)
#define PREFIX_MAX     (CONFIG_NAME_MAX + 4) /* "[name] " and a NUL */
#define LINE_OUT_MAX   (CONSOLE_LINE_MAX + PREFIX_MAX + 4)
#define ROOM_BYTES     16 /* what a source may send before it asks again */
#define SOURCE_OUT_MAX (LINE_OUT_MAX + ROOM_BYTES * (PREFIX_MAX + 4))
#define POLLS_STUCK    1000000 /* about a second without one byte taken: the UART is gone */

/*
 * @ring_lock:  ring, head, open
 * @drain_lock: tail, and who feeds the ports. Never taken inside ring_lock.
 * @head, @tail: bytes ever written and ever sent; atomics
 * @open:       whose unfinished line is the last thing written, NULL = none
 */
static struct {
	struct lock ring_lock, drain_lock;
	bool ignores_locks; /* atomic */
	u64 head, tail;
	const struct console_source *open;
	u16 port;
	const struct console_port_ops *ops;
	struct console_source *source[CONFIG_MAX_PARTITIONS];
	u32 nr_sources, focus;
	bool is_escape; /* the last key was Ctrl-] */
	char ring[CONSOLE_RING];
} con;

static bool ignores_locks(void)
{
	return __atomic_load_n(&con.ignores_locks, __ATOMIC_RELAXED);
}

static void take(struct lock *l)
{
	if (!ignores_locks()) {
		lock_take(l);
	}
}

static void drop(struct lock *l)
{
	if (!ignores_locks()) {
		lock_drop(l);
	}
}

void console_init(u16 port, const struct console_port_ops *ops)
{
	memset(&con, 0, sizeof(con));
	con.port = port;
	con.ops = ops;
}

void console_add(struct console_source *s, const char *name, u16 raw_port)
{
	BUG_ON(con.nr_sources == CONFIG_MAX_PARTITIONS);
	*s = (struct console_source){ .name = name, .raw_port = raw_port };
	con.source[con.nr_sources++] = s;
}

/* The ring is free for the writer where the UART has been; without a UART, everywhere. */
static size_t ring_free(void)
{
	u64 head = __atomic_load_n(&con.head, __ATOMIC_RELAXED);

	return con.port ? CONSOLE_RING - (head - __atomic_load_n(&con.tail, __ATOMIC_ACQUIRE)) :
			  CONSOLE_RING;
}

/* Up to @max bytes of the ring to the UART. Context: drain_lock. Return: true if bytes are left. */
static bool drain_ring(size_t max)
{
	u64 head = __atomic_load_n(&con.head, __ATOMIC_ACQUIRE), tail = con.tail;

	if (!con.port) {
		tail = head;
	}
	while (max && tail != head) {
		size_t at = tail % CONSOLE_RING;
		size_t n = MIN(MIN(max, CONSOLE_RING - at), (size_t)(head - tail));
		n = con.ops->write(con.port, con.ring + at, n);
		if (!n) {
			break;
		}
		tail += n;
		max -= n;
	}
	__atomic_store_n(&con.tail, tail, __ATOMIC_RELEASE); /* pairs with ring_free() */
	return tail != head;
}

static bool drain_raw(struct console_source *s)
{
	u32 head = __atomic_load_n(&s->raw_head, __ATOMIC_ACQUIRE), tail = s->raw_tail;

	while (tail != head) {
		size_t at = tail % CONSOLE_LINE_MAX;
		size_t n = MIN(CONSOLE_LINE_MAX - at, (size_t)(head - tail));
		n = con.ops->write(s->raw_port, s->line + at, n);
		if (!n) {
			break;
		}
		tail += (u32)n;
	}
	__atomic_store_n(&s->raw_tail, tail, __ATOMIC_RELEASE); /* pairs with raw_room() */
	return tail != head;
}

bool console_drain(size_t max)
{
	if (!ignores_locks() && !lock_try(&con.drain_lock)) {
		return true;
	}
	bool has_more = drain_ring(max);
	for (u32 i = 0; i < con.nr_sources; i++) {
		if (con.source[i]->raw_port) {
			has_more |= drain_raw(con.source[i]);
		}
	}
	drop(&con.drain_lock);
	return has_more;
}

/* Take ring_lock with @need bytes free; from a UART that is stuck, the oldest bytes are withdrawn. */
static void ring_take(size_t need)
{
	u32 polls = 0;

	for (take(&con.ring_lock); ring_free() < need; take(&con.ring_lock)) {
		size_t had = ring_free();
		drop(&con.ring_lock);
		console_drain(need);
		if (ring_free() > had) {
			polls = 0;
		} else if (++polls == POLLS_STUCK) {
			take(&con.drain_lock);
			__atomic_store_n(&con.tail, con.tail + need, __ATOMIC_RELEASE);
			drop(&con.drain_lock);
			polls = 0;
		}
		__builtin_ia32_pause();
	}
}

static void ring_put(const char *s, size_t len)
{
	u64 head = con.head;

	for (size_t i = 0; i < len; i++) {
		con.ring[head++ % CONSOLE_RING] = s[i];
	}
	__atomic_store_n(&con.head, head, __ATOMIC_RELEASE); /* pairs with drain_ring() */
}

/*
 * A piece of a line of @s (NULL: our own). It continues the line that @s left open; if somebody else
 * wrote since, or left one open, there is a line break and a new prefix first.
 */
static void emit(struct console_source *s, const char *text, size_t len, bool is_end)
{
	char prefix[PREFIX_MAX];
	size_t prefix_len = s ? format(prefix, sizeof(prefix), "[%s] ", s->name) : 0;

	ring_take(LINE_OUT_MAX);
	bool is_more = s && con.open == s;
	bool is_cut = s && s->is_partial && !is_more; /* someone broke our line: it has ended */
	if (len || !is_cut) {
		if (con.open && !is_more) {
			ring_put("\r\n", 2);
		}
		ring_put(prefix, is_more ? 0 : prefix_len);
		ring_put(text, len);
		ring_put("\r\n", is_end ? 2 : 0);
		con.open = is_end ? NULL : s;
	}
	drop(&con.ring_lock);
	if (s) {
		s->len = 0;
		s->is_partial = !is_end;
	}
}

void console_line(const char *text, size_t len)
{
	emit(NULL, text, MIN(len, (size_t)CONSOLE_LINE_MAX), true);
}

static size_t raw_room(const struct console_source *s)
{
	return CONSOLE_LINE_MAX - (s->raw_head - __atomic_load_n(&s->raw_tail, __ATOMIC_ACQUIRE));
}

/* Every source may use up its promise at the same time; the wait in ring_take() covers the rest. */
size_t console_source_room(struct console_source *s)
{
	size_t reserve = MIN(con.nr_sources * SOURCE_OUT_MAX, (size_t)CONSOLE_RING / 2);

	if (s->raw_port) {
		return raw_room(s);
	}
	return ring_free() >= reserve ? ROOM_BYTES : 0;
}

void console_source_tx(struct console_source *s, u8 byte, u64 now_ns)
{
	if (s->raw_port) {
		if (raw_room(s)) {
			s->line[s->raw_head % CONSOLE_LINE_MAX] = (char)byte;
			__atomic_store_n(&s->raw_head, s->raw_head + 1, __ATOMIC_RELEASE);
		}
	} else if (byte == '\n') {
		emit(s, s->line, s->len, true);
	} else if (byte && byte != '\r') {
		if (s->len == CONSOLE_LINE_MAX) {
			emit(s, s->line, s->len, true);
		}
		s->line[s->len++] = (char)byte;
		s->last_tx_ns = now_ns;
	}
}

u64 console_source_flush(struct console_source *s, u64 now_ns)
{
	if (s->raw_port || !s->len) {
		return NEVER;
	}
	if (now_ns - s->last_tx_ns < FLUSH_NS) {
		return s->last_tx_ns + FLUSH_NS;
	}
	if (now_ns != NEVER && !console_source_room(s)) {
		return now_ns + FLUSH_NS;
	}
	emit(s, s->line, s->len, false);
	return NEVER;
}

void console_sync(bool force)
{
	u32 polls = 0;

	if (force) {
		__atomic_store_n(&con.ignores_locks, true, __ATOMIC_RELAXED);
	}
	for (u64 tail = con.tail; console_drain(CONSOLE_RING) && polls < POLLS_STUCK; polls++) {
		u64 now = __atomic_load_n(&con.tail, __ATOMIC_RELAXED);
		polls = now == tail ? polls : 0;
		tail = now;
		__builtin_ia32_pause();
	}
}

size_t console_last(char *out, size_t max)
{
	take(&con.ring_lock);
	size_t n = (size_t)MIN(MIN((u64)max, con.head), (u64)CONSOLE_RING);
	for (size_t i = 0; i < n; i++) {
		out[i] = con.ring[(con.head - n + i) % CONSOLE_RING];
	}
	drop(&con.ring_lock);
	return n;
}

/* A byte that the partition is too slow to take is lost, as with a real line. Return: its bit. */
static u64 rx_put(u32 index, u8 byte)
{
	if (index >= con.nr_sources) {
		return 0;
	}
	struct console_source *s = con.source[index];
	u32 head = s->rx_head;
	if (head - __atomic_load_n(&s->rx_tail, __ATOMIC_ACQUIRE) < sizeof(s->rx)) {
		s->rx[head % sizeof(s->rx)] = byte;
		__atomic_store_n(&s->rx_head, head + 1, __ATOMIC_RELEASE);
	}
	return BIT(index);
}

int console_source_getc(struct console_source *s)
{
	u32 tail = s->rx_tail;

	if (tail == __atomic_load_n(&s->rx_head, __ATOMIC_ACQUIRE)) {
		return -1;
	}
	u8 byte = s->rx[tail % sizeof(s->rx)];
	__atomic_store_n(&s->rx_tail, tail + 1, __ATOMIC_RELEASE);
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

	for (u32 i = 1; i <= con.nr_sources; i++) {
		next = (con.focus + i) % con.nr_sources;
		if (!con.source[next]->raw_port) {
			break;
		}
	}
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
	if (!con.is_escape && byte == ESCAPE_KEY) {
		con.is_escape = true;
		return 0;
	}
	if (!con.is_escape || byte == ESCAPE_KEY) {
		con.is_escape = false;
		return rx_put(con.focus, byte);
	}
	con.is_escape = false;
	if (byte >= '0' && byte <= '9') {
		focus_set(byte - '0');
	} else if (byte == 'n') {
		focus_next();
	} else if (byte == '?') {
		help();
	}
	return 0;
}

/* A call takes at most one rx ring of bytes from a port: a stuck line does not hold the CPU. */
u64 console_poll_input(void)
{
	u64 got = 0;
	int c;

	for (u32 n = 0; con.port && n < 64 && (c = con.ops->getc(con.port)) >= 0; n++) {
		got |= key((u8)c);
	}
	for (u32 i = 0; i < con.nr_sources; i++) {
		u16 port = con.source[i]->raw_port;
		for (u32 n = 0; port && n < 64 && (c = con.ops->getc(port)) >= 0; n++) {
			got |= rx_put(i, (u8)c);
		}
	}
	return got;
}
