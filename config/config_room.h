/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device tree blob to struct system_config, and what is wrong with it. Pure: the boot path and
 * `tools/bulkhead check` run this very code. Binding: docs/config.md.
 */
#ifndef BULKHEAD_CONFIG_ROOM_H
#define BULKHEAD_CONFIG_ROOM_H

#include "config.h"

/**
 * config_parse() - @blob of @len bytes, not trusted, to @out; faults of form go to @faults
 *
 * Strings of @out point into @blob. Faults: not a blob, wrong compatible, unknown property or node,
 * wrong type, bad value, too many. What can be parsed is parsed, so that config_check() can add.
 */
void config_parse(const void *blob, size_t len, struct system_config *out,
		  struct config_faults *faults);

/** config_check() - all faults of meaning: names, CPUs, memory, files, contradictions. Appends. */
void config_check(const struct system_config *cfg, const struct config_machine *machine,
		  struct config_faults *faults);

/** config_schedule_of() - the schedule of CPU @cpu, NULL if it has none. */
const struct schedule_config *config_schedule_of(const struct system_config *cfg, u32 cpu);

/** config_window_is_of() - is @w for vCPU @vcpu of @partition, if that is on this CPU? */
bool config_window_is_of(const struct window_config *w, const char *partition, u32 vcpu);

/**
 * config_timeline() - the schedule of CPU @cpu in words and as a picture, a row for each partition there
 *
 * A column is # where the partition has any of it. For a configuration without faults. Return: length;
 * 0 = the CPU has no schedule.
 */
size_t config_timeline(const struct system_config *cfg, u32 cpu, char *buf, size_t size);
#define CONFIG_TIMELINE_COLUMNS 60

/** config_fault_add() - one more fault; when the table is full it is only counted. */
void config_fault_add(struct config_faults *faults, const char *partition, const char *property,
		      const char *fmt, ...) printf_like(4, 5);

/** config_channel_where() - what faults call @c: "channels/NAME". */
void config_channel_where(const struct channel_config *c, char *buf, size_t size);

/** config_name_is_valid() - 1 to 31 of a-z, 0-9 and '-'? */
bool config_name_is_valid(const char *name);

/**
 * config_check_channels() - faults of the channels alone, for config_check()
 * @left_kib: memory that partitions leave; NEVER = not known
 */
void config_check_channels(const struct system_config *cfg, u64 left_kib, struct config_faults *faults);

/** config_fault_text() - "[partition] property: text", for log lines. Return: length. */
size_t config_fault_text(const struct config_fault *f, char *buf, size_t size);

#endif
