// SPDX-License-Identifier: BSD-2-Clause
/*
 * The host's end of the config room: the very code that runs at boot says what is wrong with a
 * blob. tools/bulkhead calls it after dtc, with what it knows of the machine and of the files.
 * usage: config-check FILE.dtb [--cpus N] [--threads N] [--mem MiB] [name:length ...]
 * --threads N: CPUs 0 to N-1 are one core, and so on. Exit status: 0 no fault, 2 faults (one line each), 1 called wrongly.
 */
#include <stdio.h>
#include <stdlib.h>
#include "config/config_room.h"
#include "lib/lib.h"

#define MAX_BLOB (16 * MIB)
#define MAX_FILES 1024

static struct config_file files[MAX_FILES];
static struct config_machine machine = { .files = files };
static struct system_config cfg;
static struct config_faults faults;

static int usage(const char *what)
{
	fprintf(stderr, "config-check: %s\n"
		"usage: config-check FILE.dtb [--cpus N] [--threads N] [--mem MiB] [name:length ...]\n", what);
	return 1;
}

static void *load(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	void *blob = f ? malloc(MAX_BLOB) : NULL;
	if (blob) {
		*len = fread(blob, 1, MAX_BLOB, f);
	}
	if (f) {
		fclose(f);
	}
	return blob;
}

/* "name:length"; the name may hold colons itself, and is cut off in place */
static bool take_file(char *arg)
{
	char *colon = strrchr(arg, ':');
	struct config_file *f = &files[machine.nr_files];
	if (!colon || machine.nr_files == MAX_FILES || !str_to_u64(colon + 1, &f->len)) {
		return false;
	}
	*colon = 0;
	f->name = arg;
	machine.nr_files++;
	return true;
}

/* Threads of a core follow each other, @threads at a time */
static bool take_threads(u64 threads)
{
	static u8 core[CONFIG_MAX_CPUS];
	for (u32 i = 0; threads && i < CONFIG_MAX_CPUS; i++) {
		core[i] = (u8)(i - i % threads);
	}
	machine.core = core;
	return threads;
}

static bool take_args(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		u64 value;
		bool is_cpus = !strcmp(argv[i], "--cpus"), is_threads = !strcmp(argv[i], "--threads");
		if (!is_cpus && !is_threads && strcmp(argv[i], "--mem")) {
			if (!take_file(argv[i])) {
				return false;
			}
			continue;
		}
		if (++i == argc || !str_to_u64(argv[i], &value)) {
			return false;
		}
		if (is_threads) {
			if (!take_threads(value)) {
				return false;
			}
		} else if (is_cpus) {
			machine.nr_cpus = (u32)value;
		} else {
			machine.memory_mib = value;
		}
	}
	return true;
}

static void print_faults(void)
{
	char text[sizeof(struct config_fault) + 8];
	for (u32 i = 0; i < MIN(faults.nr, CONFIG_MAX_FAULTS); i++) {
		config_fault_text(&faults.fault[i], text, sizeof(text));
		printf("bulkhead: config: %s\n", text);
	}
	if (faults.nr > CONFIG_MAX_FAULTS) {
		printf("bulkhead: config: and %u more\n", faults.nr - CONFIG_MAX_FAULTS);
	}
}

static void print_partitions(void)
{
	for (u32 i = 0; i < cfg.nr_partitions; i++) {
		const struct partition_config *p = &cfg.partitions[i];
		printf("[%s] CPU", p->name);
		for (u32 k = 0; k < p->nr_cpus; k++) {
			printf(" %u", p->cpus[k]);
		}
		printf(", %u MiB, %s\n", p->memory_mib, p->kernel);
	}
	for (u32 i = 0; i < cfg.nr_channels; i++) {
		const struct channel_config *c = &cfg.channels[i];
		printf("channel %s, %u KiB:", c->name, c->size_kib);
		for (u32 k = 0; k < channel_nr_members(c); k++) {
			printf(" %s%s", channel_member(c, k), channel_can_write(c, k) ? " (writes)" : "");
		}
		printf("\n");
	}
	for (u32 cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++) {
		static char text[CONFIG_MAX_PARTITIONS * 128];
		if (config_timeline(&cfg, cpu, text, sizeof(text))) {
			printf("%s", text);
		}
	}
	printf("ok: %u partition%s\n", cfg.nr_partitions, cfg.nr_partitions == 1 ? "" : "s");
}

int main(int argc, char **argv)
{
	size_t len = 0;
	if (argc < 2 || !take_args(argc, argv)) {
		return usage("bad arguments");
	}
	void *blob = load(argv[1], &len);
	if (!blob) {
		return usage("cannot read the blob");
	}
	config_parse(blob, len, &cfg, &faults);
	config_check(&cfg, &machine, &faults);
	if (faults.nr) {
		print_faults();
	} else {
		print_partitions();
	}
	free(blob);
	return faults.nr ? 2 : 0;
}
