/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Front ends of the log and of failed assertions. Knows how a line begins and how long it may be,
 * not where it goes: sinks are injected once, at boot. Everybody calls it.
 */
#include "log.h"
#include "lib.h"

#define LOG_LINE_MAX 256
#define LOG_PREFIX   "bulkhead: "

static struct log_sink log_to;
static void (*bug_handler)(const char *file, u32 line, const char *what);

void log_set_sink(const struct log_sink *sink)
{
	log_to = *sink;
}

void log(const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	size_t len = sizeof(LOG_PREFIX) - 1;
	va_list ap;

	if (!log_to.line) {
		return;
	}
	memcpy(line, LOG_PREFIX, len);
	va_start(ap, fmt);
	len += vformat(line + len, sizeof(line) - len, fmt, ap);
	va_end(ap);
	log_to.line(log_to.self, line, len);
}

void bug_set_handler(void (*handler)(const char *file, u32 line, const char *what))
{
	bug_handler = handler;
}

void bug(const char *file, u32 line, const char *what)
{
	if (bug_handler) {
		bug_handler(file, line, what);
	}
	__builtin_trap();
}
