/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system as its author described it: what config parses out of the device tree blob.
 * Const once kmain starts. The binding is docs/config.md; strings point into the blob.
 */
#ifndef BULKHEAD_CONFIG_H
#define BULKHEAD_CONFIG_H

#include "types.h"

#define CONFIG_MAX_PARTITIONS 64
#define CONFIG_MAX_CPUS	      64 /* physical CPUs */
#define CONFIG_MAX_VCPUS      16 /* of one partition */
#define CONFIG_MAX_PER_CPU    64 /* vCPUs of all partitions on one CPU */
#define CONFIG_MAX_MODULES    16 /* of one partition, for its guest */
#define CONFIG_NAME_MAX	      31 /* partition name length */
#define CONFIG_FILE_MAX	      127 /* file name length */
#define CONFIG_CMDLINE_MAX    2047

enum boot_protocol { BOOT_NONE, BOOT_LINUX, BOOT_MULTIBOOT, BOOT_PVH, BOOT_FLAT };
enum on_exit { ON_EXIT_STOP, ON_EXIT_SHUTDOWN };
enum flat_mode { FLAT_NONE, FLAT_REAL, FLAT_PROTECTED, FLAT_LONG };
enum console_port { CONSOLE_SHARED, CONSOLE_COM1, CONSOLE_COM2 };

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
	bool has_test_device;
	bool allows_smt_sharing;
	u32 slice_us;
	bool has_load_address, has_flat_mode; /* given: flat only */
	u64 load_address;
	enum flat_mode flat_mode;
};

struct system_config {
	struct partition_config partitions[CONFIG_MAX_PARTITIONS];
	u32 nr_partitions;
};

/* One fault in a configuration; partition and property may be "" when none is to blame. */
struct config_fault {
	char partition[CONFIG_NAME_MAX + 1];
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
