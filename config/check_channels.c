// SPDX-License-Identifier: BSD-2-Clause
/*
 * The meaning of the channels: are their members partitions, does each have one writer and somebody
 * who reads, and is there memory for them? Knows no addresses: kernel/channel.c places them. Called
 * by config_check(), so by the boot path and the host tool alike.
 */
#include "config_room.h"
#include "lib/lib.h"

struct check {
	const struct system_config *cfg;
	struct config_faults *faults;
	const struct channel_config *ch; /* the one at hand */
	char where[CONFIG_NAME_MAX + 10];
	u64 left_kib;			 /* NEVER = not known */
	u8 nr_ends[CONFIG_MAX_PARTITIONS];
};

#define FAULT(c, property, ...) config_fault_add((c)->faults, (c)->where, property, __VA_ARGS__)

static void check_name(struct check *c)
{
	const char *name = c->ch->name;
	if (!config_name_is_valid(name)) {
		FAULT(c, "", "a channel's name is 1 to 31 of a-z, 0-9 and '-'");
	}
	for (const struct channel_config *other = c->cfg->channels; other < c->ch; other++) {
		if (!strcmp(other->name, name)) {
			FAULT(c, "", "two channels have this name");
			break;
		}
	}
}

static void check_size(struct check *c)
{
	u32 size = c->ch->size_kib;
	if (size & (size - 1)) {
		FAULT(c, "size", "%u KiB are not a power of two", size);
	} else if (size > c->left_kib) {
		FAULT(c, "size", "%u KiB wanted, partitions and channels before leave %lu KiB", size,
		      c->left_kib);
	} else if (c->left_kib != NEVER) {
		c->left_kib -= size;
	}
}

/* Either a writer and readers, or both ways. What is given but was refused is not missed as well. */
static void check_direction(struct check *c)
{
	const struct channel_config *ch = c->ch;
	bool has_one_way = ch->has_writer || ch->has_readers;
	if (ch->has_both_ways && has_one_way) {
		FAULT(c, "both-ways", "not together with writer and readers");
	} else if (!ch->has_both_ways && !ch->has_writer) {
		FAULT(c, "writer", "missing: a channel has a writer, or both-ways");
	} else if (!ch->has_both_ways && !ch->has_readers) {
		FAULT(c, "readers", "missing: nobody would see what is written");
	} else if (ch->nr_both_ways == 1) {
		FAULT(c, "both-ways", "one partition alone has nobody to share with");
	}
}

/* Return: index of the partition @name, after a fault nr_partitions */
static u32 find_partition(struct check *c, const char *property, const char *name)
{
	u32 i = 0;
	while (i < c->cfg->nr_partitions && strcmp(c->cfg->partitions[i].name, name)) {
		i++;
	}
	if (i == c->cfg->nr_partitions) {
		FAULT(c, property, "no partition \"%s\"", name);
	}
	return i;
}

static void check_member(struct check *c, const char *property, const char *name)
{
	u32 i = find_partition(c, property, name);
	if (i < c->cfg->nr_partitions && c->nr_ends[i]++ == CONFIG_MAX_ENDS) {
		FAULT(c, property, "partition %s is in more than %d channels", name, CONFIG_MAX_ENDS);
	}
}

static void check_members(struct check *c, const char *property, const char *const names[], u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		bool is_twice = false;
		for (u32 k = 0; k < i && !is_twice; k++) {
			is_twice = !strcmp(names[k], names[i]);
		}
		if (is_twice) {
			FAULT(c, property, "partition %s is named twice", names[i]);
		} else if (c->ch->writer && !strcmp(names[i], c->ch->writer)) {
			FAULT(c, property, "partition %s is the writer", names[i]);
		} else {
			check_member(c, property, names[i]);
		}
	}
}

void config_check_channels(const struct system_config *cfg, u64 left_kib, struct config_faults *faults)
{
	struct check c = { .cfg = cfg, .faults = faults, .left_kib = left_kib };
	for (u32 i = 0; i < cfg->nr_channels; i++) {
		const struct channel_config *ch = c.ch = &cfg->channels[i];
		config_channel_where(ch, c.where, sizeof(c.where));
		check_name(&c);
		check_size(&c);
		check_direction(&c);
		if (ch->writer) {
			check_member(&c, "writer", ch->writer);
		}
		check_members(&c, "readers", ch->readers, ch->nr_readers);
		check_members(&c, "both-ways", ch->both_ways, ch->nr_both_ways);
	}
}
