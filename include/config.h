/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system as its author described it: what config parses out of the device tree blob.
 * Const once kmain starts. The binding is docs/config.md; strings point into the blob.
 */
#ifndef BULKHEAD_CONFIG_H
#define BULKHEAD_CONFIG_H

#include "abi/health.h"
#include "types.h"

#define CONFIG_MAX_PARTITIONS 64
#define CONFIG_MAX_CPUS	      64 /* physical CPUs */
#define CONFIG_MAX_VCPUS      16 /* of one partition */
#define CONFIG_MAX_PER_CPU    64 /* vCPUs of all partitions on one CPU */
#define CONFIG_MAX_MODULES    16 /* of one partition, for its guest */
#define CONFIG_MAX_SCHEDULES  16
#define CONFIG_MAX_WINDOWS    64 /* of one schedule */
#define CONFIG_MIN_WINDOW_US  50  /* a switch of vCPUs and one exit stay small in it */
#define CONFIG_CONSOLE_US     100 /* of slack that CPU 0 needs: kernel/run.c, CHORE_NS */
#define CONFIG_NAME_MAX	      31 /* partition name length */
#define CONFIG_FILE_MAX	      127 /* file name length */
#define CONFIG_CMDLINE_MAX    2047
#define CONFIG_MAX_CHANNELS   32 /* in the system */
#define CONFIG_MAX_MEMBERS    8	 /* of one channel */
#define CONFIG_MAX_ENDS	      8	 /* channels of one partition */
#define CONFIG_CHANNEL_KIB    32768 /* largest channel */

enum boot_protocol { BOOT_NONE, BOOT_LINUX, BOOT_MULTIBOOT, BOOT_PVH, BOOT_FLAT };
enum on_exit { ON_EXIT_STOP, ON_EXIT_SHUTDOWN };
enum flat_mode { FLAT_NONE, FLAT_REAL, FLAT_PROTECTED, FLAT_LONG };
enum console_port { CONSOLE_SHARED, CONSOLE_COM1, CONSOLE_COM2 };

/**
 * struct health_config - what to do about each event
 * @action:        HEALTH_DEFAULT = the partition's on-exit, but for the watchdog: restart
 * @restart_limit: so many restarts within @period_ms; the next death is the last
 */
struct health_config {
	enum health_action action[NR_HEALTH_EVENTS];
	u32 restart_limit;
	u32 period_ms;
};

struct partition_config {
	const char *name;
	u32 cpus[CONFIG_MAX_VCPUS];
	u32 nr_cpus;
	u32 nr_vcpus; /* 0 = one for each CPU */
	u32 memory_mib;
	enum boot_protocol boot;
	const char *kernel;	 /* module name */
	const char *initrd;	 /* module name or NULL */
	const char *cmdline;	 /* "" if none */
	const char *modules[CONFIG_MAX_MODULES]; /* "file args" each */
	u32 nr_modules;
	enum on_exit on_exit;
	enum console_port console;
	bool has_debug_exit;
	u16 debug_exit;
	bool has_test_device, has_watchdog;
	bool has_post_port; /* the machine's port 0x80 */
	bool allows_smt_sharing;
	bool is_background; /* runs in the slack of its CPUs' schedules */
	u32 slice_us;
	bool has_load_address, has_flat_mode; /* given: flat only */
	u64 load_address;
	enum flat_mode flat_mode;
	struct health_config health;
};

/**
 * struct channel_config - memory that several partitions share
 *
 * Either @writer and @readers, or @both_ways. A member's position is its place in that list; the
 * writer's is 0, and readers follow.
 */
struct channel_config {
	const char *name;
	u32 size_kib; /* a power of two; 0 = missing, or refused */
	const char *writer; /* partition's name or NULL */
	const char *readers[CONFIG_MAX_MEMBERS - 1];
	u32 nr_readers;
	const char *both_ways[CONFIG_MAX_MEMBERS];
	u32 nr_both_ways;
	bool has_writer, has_readers, has_both_ways; /* given, if only a refused value */
};

struct window_config {
	const char *name;
	const char *partition;
	bool has_vcpu;
	u32 vcpu; /* else all that the partition has on this CPU */
	u32 offset_us, length_us; /* refused: CONFIG_NO_OFFSET, 0 */
};
#define CONFIG_NO_OFFSET UINT32_MAX

/* The same cyclic table for each of its CPUs */
struct schedule_config {
	const char *name;
	u32 cpus[CONFIG_MAX_CPUS];
	u32 nr_cpus;
	u32 frame_us; /* 0 = refused */
	struct window_config windows[CONFIG_MAX_WINDOWS]; /* by offset */
	u32 nr_windows;
};

struct system_config {
	struct schedule_config schedules[CONFIG_MAX_SCHEDULES];
	u32 nr_schedules;
	struct partition_config partitions[CONFIG_MAX_PARTITIONS];
	u32 nr_partitions;
	struct channel_config channels[CONFIG_MAX_CHANNELS];
	u32 nr_channels;
};

/** channel_nr_members() - how many partitions share @c. */
static inline u32 channel_nr_members(const struct channel_config *c)
{
	return c->nr_both_ways ? c->nr_both_ways : c->nr_readers + 1;
}

/** channel_member() - name of the partition at @position, below channel_nr_members(); may be NULL before the check. */
static inline const char *channel_member(const struct channel_config *c, u32 position)
{
	return c->nr_both_ways ? c->both_ways[position] : position ? c->readers[position - 1] : c->writer;
}

/** channel_can_write() - may the partition at @position write? */
static inline bool channel_can_write(const struct channel_config *c, u32 position)
{
	return c->nr_both_ways || position == 0;
}

/* One fault in a configuration; partition (or schedule and window) and property may be "" */
struct config_fault {
	char partition[2 * CONFIG_NAME_MAX + 16];
	char property[32];
	char text[96];
};
#define CONFIG_MAX_FAULTS 64

struct config_faults {
	struct config_fault fault[CONFIG_MAX_FAULTS];
	u32 nr; /* may exceed the table: then the rest were only counted */
};

/* A file that the system can name: a GRUB module at boot, a file on the host. */
struct config_file {
	const char *name;
	u64 len;
};

/**
 * struct config_machine - what the machine has, for config_check()
 * @nr_cpus:    0 = not known (host tool without --cpus): CPU numbers are not checked
 * @core:       by CPU, the lowest CPU that is a thread of the same core; NULL = not known: not checked
 * @memory_mib: what partitions can have in all; 0 = not known
 */
struct config_machine {
	u32 nr_cpus;
	u64 memory_mib;
	const struct config_file *files;
	u32 nr_files;
	const u8 *core;
};

#endif
