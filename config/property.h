/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within the config room: a node's properties by a table, and who parses which node. Types and ranges
 * of single values are said in the table; nothing here knows what they mean.
 */
#ifndef BULKHEAD_CONFIG_PROPERTY_H
#define BULKHEAD_CONFIG_PROPERTY_H

#include "config.h"

/*
 * @read: takes one element from @len bytes at @data. Return: how many it used; 0 = this is not its
 *	  type or range. NULL: a flag, which has no value
 * @at, @size, @room: where elements go in the struct of the node, how large, how many at most
 * @count: where their number goes, or the bool that says "given"; 0 = nobody asks
 * @given: a bool that says "given", if only a refused value; 0 = nobody asks
 */
struct property {
	const char *name;
	size_t (*read)(const struct property *def, const char *data, size_t len, u64 *out);
	u16 at, size, room, count, given;
	bool is_required;
	u32 min, max;
	const char *expected;
	const char *words[6];
};
#define PROPERTY_MAX 64 /* elements of one */

#define PROPERTY_MEMBER(type, f)   ((type *)0)->f
#define PROPERTY_FIELD(type, f)	   .at = offsetof(type, f), .size = sizeof(PROPERTY_MEMBER(type, f)), .room = 1
#define PROPERTY_COUNT(type, f)	   .count = offsetof(type, f)
#define PROPERTY_GIVEN(type, f)	   .given = offsetof(type, f)
#define PROPERTY_LIST(type, f, nr) .at = offsetof(type, f), .size = sizeof(PROPERTY_MEMBER(type, f)[0]), \
				   .room = ARRAY_SIZE(PROPERTY_MEMBER(type, f)), PROPERTY_COUNT(type, nr)

/* Kinds of elements: a number from min to max, a string of min to max bytes, the index of one of words */
size_t property_cell(const struct property *def, const char *data, size_t len, u64 *out);
size_t property_text(const struct property *def, const char *data, size_t len, u64 *out);
size_t property_word(const struct property *def, const char *data, size_t len, u64 *out);

struct property_table {
	const struct property *properties;
	u32 nr;
	const char *owner; /* whom faults blame */
	struct config_faults *faults;
};

/** properties_parse() - all of @node's into the struct at @to; unknown, bad and missing ones are faults. */
void properties_parse(const struct property_table *t, const void *blob, int node, void *to);

/** properties_refuse() - every property of @node is a fault but @known. */
void properties_refuse(const void *blob, int node, const char *known, const char *where,
		       struct config_faults *faults);

/** schedules_parse() - the node /schedules. */
void schedules_parse(const void *blob, int node, struct system_config *out, struct config_faults *faults);

/** schedules_check() - what the schedules mean, with partitions and machine. Part of config_check(). */
void schedules_check(const struct system_config *cfg, const struct config_machine *machine,
		     struct config_faults *faults);

#endif
