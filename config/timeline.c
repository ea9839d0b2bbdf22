// SPDX-License-Identifier: BSD-2-Clause
/*
 * A schedule as text: how much of the frame is given away, and a picture of it. For the host tool; the boot
 * path links none of it. Pure.
 */
#include "config_room.h"
#include "lib/lib.h"

struct text {
	char *buf;
	size_t size, len;
};

static void add(struct text *t, const char *fmt, ...) printf_like(2, 3);
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	t->len += vformat(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
}

/* Is a window of @name in the part of the frame that column @at stands for? Any length of it counts. */
static bool is_in(const struct schedule_config *s, const char *name, u64 at)
{
	for (u32 i = 0; i < s->nr_windows; i++) {
		const struct window_config *w = &s->windows[i];
		u64 from = (u64)w->offset_us * CONFIG_TIMELINE_COLUMNS;
		u64 to = (u64)(w->offset_us + w->length_us) * CONFIG_TIMELINE_COLUMNS;
		if (!strcmp(w->partition, name) && from < (at + 1) * s->frame_us && to > at * s->frame_us) {
			return true;
		}
	}
	return false;
}

static bool is_on(const struct partition_config *p, u32 cpu)
{
	bool is = false;
	for (u32 i = 0; i < p->nr_cpus; i++) {
		is |= p->cpus[i] == cpu;
	}
	return is;
}

size_t config_timeline(const struct system_config *cfg, u32 cpu, char *buf, size_t size)
{
	const struct schedule_config *s = config_schedule_of(cfg, cpu);
	struct text t = { .buf = buf, .size = size };
	u64 used = 0;
	for (u32 i = 0; s && i < s->nr_windows; i++) {
		used += s->windows[i].length_us;
	}
	if (s) {
		u64 share = used * 1000 / s->frame_us;
		add(&t, "CPU %u: frame %u us, %u window%s, %lu.%lu %% used\n", cpu, s->frame_us,
		    s->nr_windows, s->nr_windows == 1 ? "" : "s", share / 10, share % 10);
	}
	for (u32 i = 0; s && i < cfg->nr_partitions; i++) {
		const struct partition_config *p = &cfg->partitions[i];
		char row[CONFIG_TIMELINE_COLUMNS + 1] = "";
		for (u32 at = 0; at < CONFIG_TIMELINE_COLUMNS; at++) {
			row[at] = is_in(s, p->name, at) ? '#' : '.';
		}
		if (is_on(p, cpu)) {
			add(&t, "%s  %s%s\n", row, p->name, p->is_background ? ", background" : "");
		}
	}
	return t.len;
}
