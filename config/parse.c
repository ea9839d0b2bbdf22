// SPDX-License-Identifier: BSD-2-Clause
/*
 * The form of a configuration: a device tree blob to struct system_config, by one table of
 * properties. Knows types and ranges of single values; what they mean together is check.c's.
 * The blob is not trusted: fdt_check_full() walks it once within its bounds, all else relies on
 * that.
 */
#include <libfdt.h>
#include "config_room.h"
#include "property.h"
#include "lib/lib.h"

size_t property_cell(const struct property *def, const char *data, size_t len, u64 *out)
{
	*out = len >= sizeof(fdt32_t) ? fdt32_ld((const fdt32_t *)(const void *)data) : 0;
	return len >= sizeof(fdt32_t) && *out >= def->min && *out <= def->max ? sizeof(fdt32_t) : 0;
}

size_t property_text(const struct property *def, const char *data, size_t len, u64 *out)
{
	size_t n = strnlen(data, len);
	bool ok = n < len && n >= def->min && n <= def->max;
	for (size_t i = 0; i < n && ok; i++) {
		ok = (u8)data[i] >= ' ';
	}
	*out = (uintptr_t)data;
	return ok ? n + 1 : 0;
}

/* The value is the word's index */
size_t property_word(const struct property *def, const char *data, size_t len, u64 *out)
{
	size_t n = strnlen(data, len);
	for (u32 i = 0; i < ARRAY_SIZE(def->words) && n < len; i++) {
		if (def->words[i] && !strcmp(def->words[i], data)) {
			*out = i;
			return n + 1;
		}
	}
	return 0;
}

#define FIELD(f)    PROPERTY_FIELD(struct partition_config, f)
#define COUNT(f)    PROPERTY_COUNT(struct partition_config, f)
#define LIST(f, nr) PROPERTY_LIST(struct partition_config, f, nr)

static const struct property partition_properties[] = {
	{ "cpus", property_cell, LIST(cpus, nr_cpus), .is_required = true, .max = CONFIG_MAX_CPUS - 1,
	  .expected = "1 to 16 CPU numbers from 0 to 63, as in <0>" },
	{ "vcpus", property_cell, FIELD(nr_vcpus), .min = 1, .max = CONFIG_MAX_VCPUS,
	  .expected = "a number from 1 to 16, as in <4>" },
	{ "memory", property_cell, FIELD(memory_mib), .is_required = true, .min = 1, .max = 1 << 20,
	  .expected = "MiB as a number from 1 to 1048576, as in <512>" },
	{ "boot", property_word, FIELD(boot), .is_required = true,
	  .expected = "\"linux\", \"multiboot\", \"pvh\" or \"flat\"",
	  .words = { [BOOT_LINUX] = "linux", [BOOT_MULTIBOOT] = "multiboot", [BOOT_PVH] = "pvh",
		     [BOOT_FLAT] = "flat" } },
	{ "kernel", property_text, FIELD(kernel), .is_required = true, .min = 1, .max = CONFIG_FILE_MAX,
	  .expected = "a file name of 1 to 127 characters" },
	{ "initrd", property_text, FIELD(initrd), .min = 1, .max = CONFIG_FILE_MAX,
	  .expected = "a file name of 1 to 127 characters" },
	{ "cmdline", property_text, FIELD(cmdline), .max = CONFIG_CMDLINE_MAX,
	  .expected = "a string of at most 2047 characters" },
	{ "modules", property_text, LIST(modules, nr_modules), .min = 1, .max = 255,
	  .expected = "1 to 16 strings \"file args\" of at most 255 characters" },
	{ "on-exit", property_word, FIELD(on_exit), .expected = "\"stop\" or \"shutdown\"",
	  .words = { [ON_EXIT_STOP] = "stop", [ON_EXIT_SHUTDOWN] = "shutdown" } },
	{ "console", property_word, FIELD(console), .expected = "\"com1\" or \"com2\"",
	  .words = { [CONSOLE_COM1] = "com1", [CONSOLE_COM2] = "com2" } },
	{ "debug-exit", property_cell, FIELD(debug_exit), COUNT(has_debug_exit), .max = 0xffff,
	  .expected = "a port from 0 to 0xffff, as in <0xf4>" },
	{ "test-device", .at = offsetof(struct partition_config, has_test_device),
	  .expected = "no value, as in test-device;" },
	{ "background", .at = offsetof(struct partition_config, is_background),
	  .expected = "no value, as in background;" },
	{ "watchdog", .at = offsetof(struct partition_config, has_watchdog),
	  .expected = "no value, as in watchdog;" },
	{ "post-port", .at = offsetof(struct partition_config, has_post_port),
	  .expected = "no value, as in post-port;" },
	{ "allow-smt-sharing", .at = offsetof(struct partition_config, allows_smt_sharing),
	  .expected = "no value, as in allow-smt-sharing;" },
	{ "slice-us", property_cell, FIELD(slice_us), .min = 100, .max = 1000000,
	  .expected = "microseconds as a number from 100 to 1000000" },
	{ "load-address", property_cell, FIELD(load_address), COUNT(has_load_address),
	  .max = UINT32_MAX, .expected = "one number, as in <0x100000>" },
	{ "flat-mode", property_word, FIELD(flat_mode), COUNT(has_flat_mode),
	  .expected = "\"real\", \"protected\" or \"long\"",
	  .words = { [FLAT_REAL] = "real", [FLAT_PROTECTED] = "protected", [FLAT_LONG] = "long" } },
};

#define HEALTH(event, text) \
	{ text, property_word, FIELD(health.action[event]), \
	  .expected = "\"stop\", \"restart\" or \"shutdown\"", \
	  .words = { [HEALTH_STOP] = "stop", [HEALTH_RESTART] = "restart", \
		     [HEALTH_SHUTDOWN] = "shutdown" } }
/* The guest can go on behind these */
#define HEALTH_OR_LOG(event, text) \
	{ text, property_word, FIELD(health.action[event]), \
	  .expected = "\"stop\", \"restart\", \"shutdown\" or \"log\"", \
	  .words = { [HEALTH_STOP] = "stop", [HEALTH_RESTART] = "restart", \
		     [HEALTH_SHUTDOWN] = "shutdown", [HEALTH_LOG] = "log" } }

/* Nor need anybody be told of these */
#define HEALTH_OR_NOTHING(event, text) \
	{ text, property_word, FIELD(health.action[event]), \
	  .expected = "\"stop\", \"restart\", \"shutdown\", \"log\" or \"ignore\"", \
	  .words = { [HEALTH_STOP] = "stop", [HEALTH_RESTART] = "restart", \
		     [HEALTH_SHUTDOWN] = "shutdown", [HEALTH_LOG] = "log", [HEALTH_IGNORE] = "ignore" } }

static const struct property health_properties[] = {
	HEALTH(HEALTH_POWEROFF, "poweroff"),
	HEALTH(HEALTH_EXIT, "exit"),
	HEALTH(HEALTH_EXIT_FAILED, "exit-failed"),
	HEALTH(HEALTH_RESET, "reset"),
	HEALTH(HEALTH_HALTED, "halted"),
	HEALTH(HEALTH_TRIPLE_FAULT, "triple-fault"),
	HEALTH(HEALTH_UNHANDLED, "unhandled-exit"),
	HEALTH(HEALTH_VIOLATION, "violation"),
	HEALTH(HEALTH_MACHINE_CHECK, "machine-check"),
	HEALTH_OR_LOG(HEALTH_WATCHDOG, "watchdog"),
	HEALTH_OR_LOG(HEALTH_REPORT, "report"),
	HEALTH_OR_LOG(HEALTH_OVERRUN, "window-overrun"),
	HEALTH_OR_NOTHING(HEALTH_IO_VIOLATION, "io-violation"),
	HEALTH_OR_NOTHING(HEALTH_MEMORY_VIOLATION, "memory-violation"),
	{ "restart-limit", property_cell, FIELD(health.restart_limit), .min = 1, .max = 1000000,
	  .expected = "a number from 1 to 1000000, as in <5>" },
	{ "restart-period-ms", property_cell, FIELD(health.period_ms), .min = 1, .max = 86400000,
	  .expected = "milliseconds as a number from 1 to 86400000, as in <60000>" },
};

#define CHANNEL_FIELD(f)    PROPERTY_FIELD(struct channel_config, f)
#define CHANNEL_GIVEN(f)    PROPERTY_GIVEN(struct channel_config, f)
#define CHANNEL_LIST(f, nr) PROPERTY_LIST(struct channel_config, f, nr)

static const struct property channel_properties[] = {
	{ "size", property_cell, CHANNEL_FIELD(size_kib), .is_required = true, .min = 4,
	  .max = CONFIG_CHANNEL_KIB, .expected = "KiB as a number from 4 to 32768, as in <64>" },
	{ "writer", property_text, CHANNEL_FIELD(writer), CHANNEL_GIVEN(has_writer), .min = 1,
	  .max = CONFIG_NAME_MAX, .expected = "a partition's name" },
	{ "readers", property_text, CHANNEL_LIST(readers, nr_readers), CHANNEL_GIVEN(has_readers), .min = 1,
	  .max = CONFIG_NAME_MAX, .expected = "1 to 7 names of partitions" },
	{ "both-ways", property_text, CHANNEL_LIST(both_ways, nr_both_ways), CHANNEL_GIVEN(has_both_ways),
	  .min = 1, .max = CONFIG_NAME_MAX, .expected = "2 to 8 names of partitions" },
};
static_assert(CONFIG_MAX_MEMBERS == 8, "as the texts say");

/* A value is taken whole or not at all. All is little-endian: low bytes come first. */
static bool take(const struct property *def, const char *data, size_t len, u8 *to)
{
	u64 value[PROPERTY_MAX];
	u8 n = 0;
	if (!def->read) {
		*(bool *)(to + def->at) = true;
		return len == 0;
	}
	for (size_t used; len && n < def->room && (used = def->read(def, data, len, &value[n])); n++) {
		data += used;
		len -= used;
	}
	if (!n || len) {
		return false;
	}
	for (u32 i = 0; i < n; i++) {
		memcpy(to + def->at + i * def->size, &value[i], def->size);
	}
	if (def->count) {
		to[def->count] = n;
	}
	return true;
}

/* Refused, but there: check.c is not to miss it as well */
static void note_given(const struct property *def, u8 *to)
{
	if (def->count && def->room == 1) {
		*(bool *)(to + def->count) = true;
	}
	if (def->given) {
		*(bool *)(to + def->given) = true;
	}
}

void properties_parse(const struct property_table *t, const void *blob, int node, void *to)
{
	const struct property *end = t->properties + t->nr;
	u32 seen = 0;
	int prop, len;
	fdt_for_each_property_offset(prop, blob, node) {
		const char *name, *data = fdt_getprop_by_offset(blob, prop, &name, &len);
		const struct property *def = t->properties;
		while (def < end && strcmp(def->name, name)) {
			def++;
		}
		seen |= 1u << (def - t->properties);
		if (def == end) {
			config_fault_add(t->faults, t->owner, name, "unknown property");
		} else if (!take(def, data, (size_t)len, to)) {
			config_fault_add(t->faults, t->owner, name, "expected %s", def->expected);
			note_given(def, to);
		} else if (def->given) {
			note_given(def, to);
		}
	}
	for (const struct property *def = t->properties; def < end; def++) {
		if (def->is_required && !(seen & 1u << (def - t->properties))) {
			config_fault_add(t->faults, t->owner, def->name, "missing, expected %s",
					 def->expected);
		}
	}
}

static void refuse_nodes(const struct property_table *t, const void *blob, int node)
{
	int child;
	fdt_for_each_subnode(child, blob, node) {
		config_fault_add(t->faults, t->owner, fdt_get_name(blob, child, NULL), "unknown node");
	}
}

static void parse_partition(const void *blob, int node, struct partition_config *p,
			    struct config_faults *faults)
{
	int child;
	*p = (struct partition_config){ .name = fdt_get_name(blob, node, NULL), .cmdline = "",
					.slice_us = 1000,
					.health = { .restart_limit = 5, .period_ms = 60000 } };
	const struct property_table own = { partition_properties, ARRAY_SIZE(partition_properties), p->name,
					    faults };
	const struct property_table health = { health_properties, ARRAY_SIZE(health_properties), p->name,
					       faults };
	properties_parse(&own, blob, node, p);
	fdt_for_each_subnode(child, blob, node) {
		const char *name = fdt_get_name(blob, child, NULL);
		if (!strcmp(name, "health")) {
			properties_parse(&health, blob, child, p);
			refuse_nodes(&health, blob, child);
		} else {
			config_fault_add(faults, p->name, name, "unknown node");
		}
	}
}

static void parse_channel(const void *blob, int node, struct channel_config *c,
			  struct config_faults *faults)
{
	char where[CONFIG_NAME_MAX + 10];
	*c = (struct channel_config){ .name = fdt_get_name(blob, node, NULL) };
	config_channel_where(c, where, sizeof(where));
	const struct property_table t = { channel_properties, ARRAY_SIZE(channel_properties), where, faults };
	properties_parse(&t, blob, node, c);
	refuse_nodes(&t, blob, node);
}

void properties_refuse(const void *blob, int node, const char *known, const char *where,
		       struct config_faults *faults)
{
	int prop;
	fdt_for_each_property_offset(prop, blob, node) {
		const char *name;
		fdt_getprop_by_offset(blob, prop, &name, NULL);
		if (strcmp(name, known)) {
			config_fault_add(faults, "", name, "unknown property in %s", where);
		}
	}
}

static void parse_partitions(const void *blob, int node, struct system_config *out,
			     struct config_faults *faults)
{
	int child;
	properties_refuse(blob, node, "", "/partitions", faults);
	fdt_for_each_subnode(child, blob, node) {
		if (out->nr_partitions == CONFIG_MAX_PARTITIONS) {
			config_fault_add(faults, fdt_get_name(blob, child, NULL), "",
					 "too many partitions: at most %d", CONFIG_MAX_PARTITIONS);
			return;
		}
		parse_partition(blob, child, &out->partitions[out->nr_partitions++], faults);
	}
}

static void parse_channels(const void *blob, int node, struct system_config *out,
			   struct config_faults *faults)
{
	int child;
	properties_refuse(blob, node, "", "/channels", faults);
	fdt_for_each_subnode(child, blob, node) {
		if (out->nr_channels == CONFIG_MAX_CHANNELS) {
			config_fault_add(faults, "", "channels", "too many: at most %d",
					 CONFIG_MAX_CHANNELS);
			return;
		}
		parse_channel(blob, child, &out->channels[out->nr_channels++], faults);
	}
}

static void parse_root(const void *blob, struct system_config *out, struct config_faults *faults)
{
	static const char system[] = "bulkhead,system-1";
	int child, len;
	const char *compatible = fdt_getprop(blob, 0, "compatible", &len);
	if (!compatible || len != sizeof(system) || memcmp(compatible, system, sizeof(system))) {
		config_fault_add(faults, "", "compatible", "expected \"%s\" in the root node",
				 system);
	}
	properties_refuse(blob, 0, "compatible", "the root node", faults);
	fdt_for_each_subnode(child, blob, 0) {
		const char *name = fdt_get_name(blob, child, NULL);
		if (!strcmp(name, "partitions")) {
			parse_partitions(blob, child, out, faults);
		} else if (!strcmp(name, "schedules")) {
			schedules_parse(blob, child, out, faults);
		} else if (!strcmp(name, "channels")) {
			parse_channels(blob, child, out, faults);
		} else {
			config_fault_add(faults, "", name, "unknown node, expected \"partitions\", "
					 "\"schedules\" or \"channels\"");
		}
	}
}

void config_parse(const void *blob, size_t len, struct system_config *out,
		  struct config_faults *faults)
{
	memset(out, 0, sizeof(*out));
	int err = len < FDT_V17_SIZE ? -FDT_ERR_TRUNCATED : fdt_check_full(blob, len);
	if (err) {
		config_fault_add(faults, "", "", "not a device tree blob, or damaged: %s",
				 fdt_strerror(err));
	} else if (fdt_version(blob) < 17) { /* older ones name nodes by their path */
		config_fault_add(faults, "", "", "device tree blob of version %u, expected 17",
				 fdt_version(blob));
	} else {
		parse_root(blob, out, faults);
	}
}
