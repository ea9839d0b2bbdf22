// SPDX-License-Identifier: BSD-2-Clause
/*
 * The list of what is wrong with a configuration, and how one fault reads. Names come out of a blob
 * that nobody has vouched for, so bytes that a terminal would obey are replaced here, once.
 * Called by parse.c and check.c; the text by the boot path and by tools/config-check.c.
 */
#include "config_room.h"
#include "lib/lib.h"

void config_fault_add(struct config_faults *faults, const char *partition, const char *property,
		      const char *fmt, ...)
{
	if (faults->nr++ >= CONFIG_MAX_FAULTS) {
		return;
	}
	struct config_fault *f = &faults->fault[faults->nr - 1];
	format(f->partition, sizeof(f->partition), "%s", partition);
	format(f->property, sizeof(f->property), "%s", property);
	va_list ap;
	va_start(ap, fmt);
	vformat(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	for (char *c = (char *)f; c < (char *)(f + 1); c++) {
		*c = *c && (*c < ' ' || *c > '~') ? '?' : *c;
	}
}

size_t config_fault_text(const struct config_fault *f, char *buf, size_t size)
{
	bool has_name = f->partition[0];
	return format(buf, size, "%s%s%s%s%s%s", has_name ? "[" : "", f->partition,
		      has_name ? "] " : "", f->property, f->property[0] ? ": " : "", f->text);
}

void config_channel_where(const struct channel_config *c, char *buf, size_t size)
{
	format(buf, size, "channels/%s", c->name);
}
