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

enum kind {
	KIND_CELL,  /* one number from min to max */
	KIND_CELLS, /* a list of them: cpus */
	KIND_TEXT,  /* a string of min to max characters */
	KIND_TEXTS, /* a list of them: modules */
	KIND_WORD,  /* one of words; its index is the value */
};

/* @has: offset of the bool that says "given"; 0 = nobody asks */
struct property {
	const char *name;
	enum kind kind;
	u16 at, size, has;
	bool is_required;
	u32 min, max;
	const char *expected;
	const char *words[5];
};

#define FIELD(f) .at = offsetof(struct partition_config, f), \
		 .size = sizeof(((struct partition_config *)0)->f)
#define HAS(f)	 .has = offsetof(struct partition_config, f)

static const struct property properties[] = {
	{ "cpus", KIND_CELLS, FIELD(cpus), .is_required = true, .max = CONFIG_MAX_CPUS - 1,
	  .expected = "1 to 16 CPU numbers from 0 to 63, as in <0>" },
	{ "memory", KIND_CELL, FIELD(memory_mib), .is_required = true, .min = 1, .max = 1 << 20,
	  .expected = "MiB as a number from 1 to 1048576, as in <512>" },
	{ "boot", KIND_WORD, FIELD(boot), .is_required = true,
	  .expected = "\"linux\", \"multiboot\", \"pvh\" or \"flat\"",
	  .words = { [BOOT_LINUX] = "linux", [BOOT_MULTIBOOT] = "multiboot",
		     [BOOT_PVH] = "pvh", [BOOT_FLAT] = "flat" } },
	{ "kernel", KIND_TEXT, FIELD(kernel), .is_required = true, .min = 1, .max = 127,
	  .expected = "a file name of 1 to 127 characters" },
	{ "initrd", KIND_TEXT, FIELD(initrd), .min = 1, .max = 127,
	  .expected = "a file name of 1 to 127 characters" },
	{ "cmdline", KIND_TEXT, FIELD(cmdline), .max = 2047,
	  .expected = "a string of at most 2047 characters" },
	{ "modules", KIND_TEXTS, FIELD(modules), .min = 1, .max = 255,
	  .expected = "1 to 16 strings \"file args\" of at most 255 characters" },
	{ "on-exit", KIND_WORD, FIELD(on_exit), .expected = "\"stop\" or \"shutdown\"",
	  .words = { [ON_EXIT_STOP] = "stop", [ON_EXIT_SHUTDOWN] = "shutdown" } },
	{ "console", KIND_WORD, FIELD(console), .expected = "\"com1\" or \"com2\"",
	  .words = { [CONSOLE_COM1] = "com1", [CONSOLE_COM2] = "com2" } },
	{ "debug-exit", KIND_CELL, FIELD(debug_exit), HAS(has_debug_exit), .max = 0xffff,
	  .expected = "a port from 0 to 0xffff, as in <0xf4>" },
	{ "slice-us", KIND_CELL, FIELD(slice_us), .min = 100, .max = 1000000,
	  .expected = "microseconds as a number from 100 to 1000000" },
	{ "load-address", KIND_CELL, FIELD(load_address), HAS(has_load_address), .max = UINT32_MAX,
	  .expected = "one number, as in <0x100000>" },
	{ "flat-mode", KIND_WORD, FIELD(flat_mode), HAS(has_flat_mode),
	  .expected = "\"real\", \"protected\" or \"long\"",
	  .words = { [FLAT_REAL] = "real", [FLAT_PROTECTED] = "protected", [FLAT_LONG] = "long" } },
};

/* A value of a property as the blob has it: big-endian cells, or strings with their NUL */
struct value {
	const char *data;
	size_t len;
};

static void skip(struct value *v, size_t len)
{
	v->data += len;
	v->len -= len;
}

static bool take_cell(const struct property *def, struct value *v, u32 *cell)
{
	fdt32_t raw;
	if (v->len < sizeof(raw)) {
		return false;
	}
	memcpy(&raw, v->data, sizeof(raw));
	*cell = fdt32_to_cpu(raw);
	if (*cell < def->min || *cell > def->max) {
		return false;
	}
	skip(v, sizeof(raw));
	return true;
}

static bool take_text(const struct property *def, struct value *v, const char **text)
{
	size_t len = strnlen(v->data, v->len);
	if (len == v->len || len < def->min || len > def->max) {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if ((u8)v->data[i] < ' ') {
			return false;
		}
	}
	*text = v->data;
	skip(v, len + 1);
	return true;
}

static bool take_word(const struct property *def, struct value *v, u32 *word)
{
	for (u32 i = 0; i < ARRAY_SIZE(def->words); i++) {
		const char *w = def->words[i];
		if (w && v->len == strlen(w) + 1 && !memcmp(v->data, w, v->len)) {
			*word = i;
			skip(v, v->len);
			return true;
		}
	}
	return false;
}

/* A list is taken whole or not at all */
static bool take_cells(const struct property *def, struct value *v, struct partition_config *p)
{
	u32 n = 0;
	while (n < CONFIG_MAX_VCPUS && take_cell(def, v, &p->cpus[n])) {
		n++;
	}
	p->nr_cpus = v->len ? 0 : n;
	return p->nr_cpus;
}

static bool take_texts(const struct property *def, struct value *v, struct partition_config *p)
{
	u32 n = 0;
	while (n < CONFIG_MAX_MODULES && take_text(def, v, &p->modules[n])) {
		n++;
	}
	p->nr_modules = v->len ? 0 : n;
	return p->nr_modules;
}

/* Store what @v says in @p. Return: false if it is not of @def's type or range, or too much. */
static bool take(const struct property *def, struct value v, struct partition_config *p)
{
	u32 number = 0;
	u64 stored;
	const char *text = NULL;
	bool ok = false;
	switch (def->kind) {
	case KIND_CELLS: return take_cells(def, &v, p);
	case KIND_TEXTS: return take_texts(def, &v, p);
	case KIND_CELL: ok = take_cell(def, &v, &number); break;
	case KIND_WORD: ok = take_word(def, &v, &number); break;
	case KIND_TEXT: ok = take_text(def, &v, &text); break;
	}
	if (!ok || v.len) {
		return false;
	}
	stored = def->kind == KIND_TEXT ? (u64)(uintptr_t)text : number;
	memcpy((u8 *)p + def->at, &stored, def->size); /* little-endian: the low bytes */
	return true;
}

/* Return: the row of @name in the table, or its size if there is none. */
static u32 property_find(const char *name)
{
	u32 i = 0;
	while (i < ARRAY_SIZE(properties) && strcmp(properties[i].name, name)) {
		i++;
	}
	return i;
}

static void parse_properties(const void *blob, int node, struct partition_config *p,
			     struct config_faults *faults)
{
	u32 seen = 0;
	int prop;
	fdt_for_each_property_offset(prop, blob, node) {
		const char *name;
		int len;
		const char *data = fdt_getprop_by_offset(blob, prop, &name, &len);
		u32 i = property_find(name);
		if (i == ARRAY_SIZE(properties)) {
			config_fault_add(faults, p->name, name, "unknown property");
			continue;
		}
		const struct property *def = &properties[i];
		seen |= 1u << i;
		if (!take(def, (struct value){ data, (size_t)len }, p)) {
			config_fault_add(faults, p->name, name, "expected %s", def->expected);
		} else if (def->has) {
			*((bool *)p + def->has) = true;
		}
	}
	for (u32 i = 0; i < ARRAY_SIZE(properties); i++) {
		if (properties[i].is_required && !(seen & 1u << i)) {
			config_fault_add(faults, p->name, properties[i].name,
					 "missing, expected %s", properties[i].expected);
		}
	}
}

static void parse_partition(const void *blob, int node, struct partition_config *p,
			    struct config_faults *faults)
{
	int child;
	*p = (struct partition_config){ .name = fdt_get_name(blob, node, NULL), .cmdline = "",
					.slice_us = 1000 };
	parse_properties(blob, node, p, faults);
	fdt_for_each_subnode(child, blob, node) {
		config_fault_add(faults, p->name, fdt_get_name(blob, child, NULL), "unknown node");
	}
}

static void parse_partitions(const void *blob, int node, struct system_config *out,
			     struct config_faults *faults)
{
	int prop, child;
	fdt_for_each_property_offset(prop, blob, node) {
		const char *name;
		fdt_getprop_by_offset(blob, prop, &name, NULL);
		config_fault_add(faults, "", name, "unknown property in /partitions");
	}
	fdt_for_each_subnode(child, blob, node) {
		if (out->nr_partitions == CONFIG_MAX_PARTITIONS) {
			config_fault_add(faults, fdt_get_name(blob, child, NULL), "",
					 "too many partitions: at most %d", CONFIG_MAX_PARTITIONS);
			return;
		}
		parse_partition(blob, child, &out->partitions[out->nr_partitions++], faults);
	}
}

static void parse_root(const void *blob, struct system_config *out, struct config_faults *faults)
{
	static const char system[] = "bulkhead,system-1";
	int prop, child, len = 0;
	const char *compatible = fdt_getprop(blob, 0, "compatible", &len);
	if (!compatible || len != sizeof(system) || memcmp(compatible, system, sizeof(system))) {
		config_fault_add(faults, "", "compatible", "expected \"%s\" in the root node", system);
	}
	fdt_for_each_property_offset(prop, blob, 0) {
		const char *name;
		fdt_getprop_by_offset(blob, prop, &name, NULL);
		if (strcmp(name, "compatible")) {
			config_fault_add(faults, "", name, "unknown property in the root node");
		}
	}
	fdt_for_each_subnode(child, blob, 0) {
		const char *name = fdt_get_name(blob, child, NULL);
		if (strcmp(name, "partitions")) {
			config_fault_add(faults, "", name, "unknown node, expected \"partitions\"");
		} else {
			parse_partitions(blob, child, out, faults);
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
