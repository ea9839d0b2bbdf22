// SPDX-License-Identifier: BSD-2-Clause
/*
 * The form of a configuration: a device tree blob to struct system_config, by one table of
 * properties. Knows types and ranges of single values; what they mean together is check.c's.
 * The blob is not trusted: fdt_check_full() walks it once within its bounds, all else relies on
 * that.
 */
#include <libfdt.h>
#include "config_room.h"
#include "lib/lib.h"

/*
 * @read: takes one element from @len bytes at @data. Return: how many it used; 0 = this is not its
 *	  type or range. NULL: a flag, which has no value
 * @at, @size, @room: where elements go in the node's struct, how large, how many at most
 * @count: where their number goes, or the bool that says "given"; 0 = nobody asks
 * @given: the bool that says "given" of a list, or of what has no such count; 0 = nobody asks
 */
struct property {
	const char *name;
	size_t (*read)(const struct property *def, const char *data, size_t len, u64 *out);
	u16 at, size, room, count, given;
	bool is_required;
	u32 min, max;
	const char *expected;
	const char *words[5];
};

static size_t read_cell(const struct property *def, const char *data, size_t len, u64 *out)
{
	*out = len >= sizeof(fdt32_t) ? fdt32_ld((const fdt32_t *)(const void *)data) : 0;
	return len >= sizeof(fdt32_t) && *out >= def->min && *out <= def->max ? sizeof(fdt32_t) : 0;
}

static size_t read_text(const struct property *def, const char *data, size_t len, u64 *out)
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
static size_t read_word(const struct property *def, const char *data, size_t len, u64 *out)
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

#define MEMBER(f)   ((struct NODE *)0)->f
#define FIELD(f)    .at = offsetof(struct NODE, f), .size = sizeof(MEMBER(f)), .room = 1
#define COUNT(f)    .count = offsetof(struct NODE, f)
#define LIST(f, nr) .at = offsetof(struct NODE, f), .size = sizeof(MEMBER(f)[0]), \
		    .room = ARRAY_SIZE(MEMBER(f)), COUNT(nr)

#define GIVEN(f)    .given = offsetof(struct NODE, f)

#define NODE partition_config
static const struct property partition_properties[] = {
	{ "cpus", read_cell, LIST(cpus, nr_cpus), .is_required = true, .max = CONFIG_MAX_CPUS - 1,
	  .expected = "1 to 16 CPU numbers from 0 to 63, as in <0>" },
	{ "vcpus", read_cell, FIELD(nr_vcpus), .min = 1, .max = CONFIG_MAX_VCPUS,
	  .expected = "a number from 1 to 16, as in <4>" },
	{ "memory", read_cell, FIELD(memory_mib), .is_required = true, .min = 1, .max = 1 << 20,
	  .expected = "MiB as a number from 1 to 1048576, as in <512>" },
	{ "boot", read_word, FIELD(boot), .is_required = true,
	  .expected = "\"linux\", \"multiboot\", \"pvh\" or \"flat\"",
	  .words = { [BOOT_LINUX] = "linux", [BOOT_MULTIBOOT] = "multiboot", [BOOT_PVH] = "pvh",
		     [BOOT_FLAT] = "flat" } },
	{ "kernel", read_text, FIELD(kernel), .is_required = true, .min = 1, .max = CONFIG_FILE_MAX,
	  .expected = "a file name of 1 to 127 characters" },
	{ "initrd", read_text, FIELD(initrd), .min = 1, .max = CONFIG_FILE_MAX,
	  .expected = "a file name of 1 to 127 characters" },
	{ "cmdline", read_text, FIELD(cmdline), .max = CONFIG_CMDLINE_MAX,
	  .expected = "a string of at most 2047 characters" },
	{ "modules", read_text, LIST(modules, nr_modules), .min = 1, .max = 255,
	  .expected = "1 to 16 strings \"file args\" of at most 255 characters" },
	{ "on-exit", read_word, FIELD(on_exit), .expected = "\"stop\" or \"shutdown\"",
	  .words = { [ON_EXIT_STOP] = "stop", [ON_EXIT_SHUTDOWN] = "shutdown" } },
	{ "console", read_word, FIELD(console), .expected = "\"com1\" or \"com2\"",
	  .words = { [CONSOLE_COM1] = "com1", [CONSOLE_COM2] = "com2" } },
	{ "debug-exit", read_cell, FIELD(debug_exit), COUNT(has_debug_exit), .max = 0xffff,
	  .expected = "a port from 0 to 0xffff, as in <0xf4>" },
	{ "test-device", .at = offsetof(struct partition_config, has_test_device),
	  .expected = "no value, as in test-device;" },
	{ "watchdog", .at = offsetof(struct partition_config, has_watchdog),
	  .expected = "no value, as in watchdog;" },
	{ "allow-smt-sharing", .at = offsetof(struct partition_config, allows_smt_sharing),
	  .expected = "no value, as in allow-smt-sharing;" },
	{ "slice-us", read_cell, FIELD(slice_us), .min = 100, .max = 1000000,
	  .expected = "microseconds as a number from 100 to 1000000" },
	{ "load-address", read_cell, FIELD(load_address), COUNT(has_load_address),
	  .max = UINT32_MAX, .expected = "one number, as in <0x100000>" },
	{ "flat-mode", read_word, FIELD(flat_mode), COUNT(has_flat_mode),
	  .expected = "\"real\", \"protected\" or \"long\"",
	  .words = { [FLAT_REAL] = "real", [FLAT_PROTECTED] = "protected", [FLAT_LONG] = "long" } },
};

#define HEALTH(event, text) \
	{ text, read_word, FIELD(health.action[event]), \
	  .expected = "\"stop\", \"restart\" or \"shutdown\"", \
	  .words = { [HEALTH_STOP] = "stop", [HEALTH_RESTART] = "restart", \
		     [HEALTH_SHUTDOWN] = "shutdown" } }
/* The guest can go on behind these */
#define HEALTH_OR_LOG(event, text) \
	{ text, read_word, FIELD(health.action[event]), \
	  .expected = "\"stop\", \"restart\", \"shutdown\" or \"log\"", \
	  .words = { [HEALTH_STOP] = "stop", [HEALTH_RESTART] = "restart", \
		     [HEALTH_SHUTDOWN] = "shutdown", [HEALTH_LOG] = "log" } }

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
	{ "restart-limit", read_cell, FIELD(health.restart_limit), .min = 1, .max = 1000000,
	  .expected = "a number from 1 to 1000000, as in <5>" },
	{ "restart-period-ms", read_cell, FIELD(health.period_ms), .min = 1, .max = 86400000,
	  .expected = "milliseconds as a number from 1 to 86400000, as in <60000>" },
};

#undef NODE
#define NODE channel_config
static const struct property channel_properties[] = {
	{ "size", read_cell, FIELD(size_kib), .is_required = true, .min = 4, .max = CONFIG_CHANNEL_KIB,
	  .expected = "KiB as a number from 4 to 32768, as in <64>" },
	{ "writer", read_text, FIELD(writer), GIVEN(has_writer), .min = 1, .max = CONFIG_NAME_MAX,
	  .expected = "a partition's name" },
	{ "readers", read_text, LIST(readers, nr_readers), GIVEN(has_readers), .min = 1, .max = CONFIG_NAME_MAX,
	  .expected = "1 to 7 names of partitions" },
	{ "both-ways", read_text, LIST(both_ways, nr_both_ways), GIVEN(has_both_ways), .min = 1, .max = CONFIG_NAME_MAX,
	  .expected = "2 to 8 names of partitions" },
};
#undef NODE
static_assert(CONFIG_MAX_MEMBERS == 8, "as the texts say");

/* What a kind of node may hold: properties, and a node @child, whose properties go into the same struct */
struct node_kind {
	const struct property *first, *end;
	const char *child;
	const struct node_kind *child_kind;
};
#define KIND(table) table, table + ARRAY_SIZE(table)
static const struct node_kind health_kind = { KIND(health_properties), NULL, NULL };
static const struct node_kind partition_kind = { KIND(partition_properties), "health", &health_kind };
static const struct node_kind channel_kind = { KIND(channel_properties), NULL, NULL };

/* How many elements @data holds, each of the right type and range; 0 if it is not all made of these */
static u32 count(const struct property *def, const char *data, size_t len)
{
	u64 value;
	u32 n = 0;
	for (size_t used; len && n < def->room && (used = def->read(def, data, len, &value)); n++) {
		data += used;
		len -= used;
	}
	return len ? 0 : n;
}

/* A value is taken whole or not at all. All is little-endian: low bytes come first. */
static bool take(const struct property *def, const char *data, size_t len, u8 *node)
{
	u64 value;
	if (!def->read) {
		*((bool *)(node + def->at)) = true;
		return len == 0;
	}
	u32 nr = count(def, data, len);
	for (u32 i = 0; i < nr; i++) {
		size_t used = def->read(def, data, len, &value);
		memcpy(node + def->at + i * def->size, &value, def->size);
		data += used;
		len -= used;
	}
	if (nr && def->count) {
		node[def->count] = (u8)nr;
	}
	return nr;
}

/* Refused, but there: check.c is not to miss it as well */
static void note_given(const struct property *def, u8 *node)
{
	if (def->count && def->room == 1) {
		*((bool *)(node + def->count)) = true;
	}
	if (def->given) {
		*((bool *)(node + def->given)) = true;
	}
}

/* All properties of @node go into the struct at @out, which is called @where in faults */
static void parse_properties(const void *blob, int node, const struct node_kind *kind, void *out,
			     const char *where, struct config_faults *faults)
{
	u32 seen = 0;
	int prop, len;
	fdt_for_each_property_offset(prop, blob, node) {
		const char *name, *data = fdt_getprop_by_offset(blob, prop, &name, &len);
		const struct property *def = kind->first;
		while (def < kind->end && strcmp(def->name, name)) {
			def++;
		}
		seen |= 1u << (def - kind->first);
		if (def == kind->end) {
			config_fault_add(faults, where, name, "unknown property");
		} else if (!take(def, data, (size_t)len, out)) {
			config_fault_add(faults, where, name, "expected %s", def->expected);
			note_given(def, out);
		} else if (def->given) {
			note_given(def, out);
		}
	}
	for (const struct property *def = kind->first; def < kind->end; def++) {
		if (def->is_required && !(seen & 1u << (def - kind->first))) {
			config_fault_add(faults, where, def->name, "missing, expected %s", def->expected);
		}
	}
	fdt_for_each_subnode(prop, blob, node) {
		const char *name = fdt_get_name(blob, prop, NULL);
		if (kind->child && !strcmp(name, kind->child)) {
			parse_properties(blob, prop, kind->child_kind, out, where, faults);
		} else {
			config_fault_add(faults, where, name, "unknown node");
		}
	}
}

static void parse_partition(const void *blob, int node, struct partition_config *p,
			    struct config_faults *faults)
{
	*p = (struct partition_config){ .name = fdt_get_name(blob, node, NULL), .cmdline = "",
					.slice_us = 1000,
					.health = { .restart_limit = 5, .period_ms = 60000 } };
	parse_properties(blob, node, &partition_kind, p, p->name, faults);
}

static void parse_channel(const void *blob, int node, struct channel_config *c,
			  struct config_faults *faults)
{
	char where[CONFIG_NAME_MAX + 10];
	*c = (struct channel_config){ .name = fdt_get_name(blob, node, NULL) };
	config_channel_where(c, where, sizeof(where));
	parse_properties(blob, node, &channel_kind, c, where, faults);
}

/* Every property of @node is a fault but @known */
static void refuse_properties(const void *blob, int node, const char *known, const char *where,
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
	refuse_properties(blob, node, "", "/partitions", faults);
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
	refuse_properties(blob, node, "", "/channels", faults);
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
	refuse_properties(blob, 0, "compatible", "the root node", faults);
	fdt_for_each_subnode(child, blob, 0) {
		const char *name = fdt_get_name(blob, child, NULL);
		if (!strcmp(name, "partitions")) {
			parse_partitions(blob, child, out, faults);
		} else if (!strcmp(name, "channels")) {
			parse_channels(blob, child, out, faults);
		} else {
			config_fault_add(faults, "", name,
					 "unknown node, expected \"partitions\" or \"channels\"");
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
