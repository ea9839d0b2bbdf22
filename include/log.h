/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Front ends of the log and of the crash path. The sinks are injected once at boot (the console
 * and the crash record of the kernel; stdout and abort() in host tests); the room is lib.
 */
#ifndef BULKHEAD_LOG_H
#define BULKHEAD_LOG_H

#include "types.h"

struct log_sink {
	void (*line)(void *self, const char *text, size_t len); /* one line, without newline */
	void *self;
};

/** log_set_sink() - where lines go from now on. Context: boot, one CPU. */
void log_set_sink(const struct log_sink *sink);

/**
 * log() - one event, one line: "bulkhead: " and the formatted text. No newline in @fmt.
 * Cut at 255 bytes. Context: any CPU, not NMI.
 */
void log(const char *fmt, ...) printf_like(1, 2);

/** bug_set_handler() - who ends the hypervisor when an assertion fails; must not return. */
void bug_set_handler(void (*handler)(const char *file, u32 line, const char *what));

void bug(const char *file, u32 line, const char *what) noreturn_fn;

/* Our own invariants only, in release builds too: a guest's doing never ends here. */
#define BUG_ON(cond)                                         \
	do {                                                 \
		if (__builtin_expect(!!(cond), 0)) {         \
			bug(__FILE__, __LINE__, #cond);      \
		}                                            \
	} while (0)

#endif
