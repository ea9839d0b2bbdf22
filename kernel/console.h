/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One physical console shared by all: whole lines out of many sources, one keyboard to one
 * partition at a time. The UART is reached through injected functions, so the whole file is pure.
 */
#ifndef BULKHEAD_CONSOLE_H
#define BULKHEAD_CONSOLE_H

#include "types.h"

#define CONSOLE_LINE_MAX 256
#define CONSOLE_RING	 (64 * 1024) /* power of two */

/* A raw serial port; port 0 = none */
struct console_port_ops {
	size_t (*write)(u16 port, const char *s, size_t len); /* never waits */
	int (*getc)(u16 port);
};

/* Bytes on their way, of one producer to one consumer; atomics that count up. Size: 2^n */
struct console_fifo {
	u64 head, tail, size;
	char *bytes;
};

/**
 * struct console_source - a partition's end. Owner: the CPU of the partition's vCPU 0.
 * tx: bytes collect in @line until newline (or CONSOLE_LINE_MAX, or console_source_flush() after
 * a pause: prompts), then go to the ring as "[name] text". With a raw port, @raw is the way of bytes
 * to that port instead, and @line its memory.
 */
struct console_source {
	const char *name;
	u16 raw_port; /* not 0: bytes go straight to this port, and come from it */
	char line[CONSOLE_LINE_MAX];
	u32 len;
	bool is_partial; /* part of this line is already out: what follows continues it */
	u64 quiet_since_ns;
	bool is_late; /* was quiet for the time of a pause once */
	char rx_bytes[64];
	struct console_fifo rx, raw;
};

/** console_init() - @port: physical UART base or 0 for none. */
void console_init(u16 port, const struct console_port_ops *ops);

/** console_add() - register a partition's source; boot only, index order = digit of Ctrl-] */
void console_add(struct console_source *s, const char *name, u16 raw_port);

/** console_source_room() - how many bytes console_source_tx() takes now; 0 while the ring is full. */
size_t console_source_room(struct console_source *s);

/** console_source_tx() - one byte. NUL and CR are dropped (not on a raw port), LF ends the line. */
void console_source_tx(struct console_source *s, u8 byte, u64 now_ns);

/** console_source_flush() - a line that waits for twice 50 ms goes out unfinished; at once if @now_ns
 * is NEVER (the partition stopped). Return: next time to ask, or NEVER. */
u64 console_source_flush(struct console_source *s, u64 now_ns);

/** console_line() - a line of the hypervisor's own (log sink). Never lost: waits for the UART when the
 * ring is full. Any CPU. */
void console_line(const char *text, size_t len);

/** console_drain() - move bytes to each UART while it takes them, at most @max.
 * Return: true if bytes are left. Any CPU; gives up at once if another CPU is at it. */
bool console_drain(size_t max);

/** console_sync() - drain all, waiting: before power-off and in a crash. @force: take the locks away
 * from the other CPUs, which are frozen, perhaps while holding one. */
void console_sync(bool force);

/** console_poll_input() - at most @max bytes of each UART, switch focus on Ctrl-] digit (Ctrl-] n: the next one), help on
 * Ctrl-] ?, a literal Ctrl-] on Ctrl-] Ctrl-], feed rx rings.
 * Return: bit mask of sources that got a byte. One CPU (the BSP). */
u64 console_poll_input(u32 max);

/** console_source_getc() - next input byte of @s, or -1. The partition's CPU. */
int console_source_getc(struct console_source *s);

#endif
