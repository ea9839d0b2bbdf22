// SPDX-License-Identifier: BSD-2-Clause
/*
 * The meaning of a configuration: does this machine have what it asks for, and do its parts agree?
 * Every fault is reported, once each: a value that parse.c has refused is left alone here.
 * Called after config_parse(), by the boot path and by tools/config-check.c.
 */
#include "config_room.h"
#include "lib/lib.h"
#include "property.h"

struct check {
	const struct system_config *cfg;
	const struct config_machine *machine;
	struct config_faults *faults;
	const struct partition_config *p; /* the one at hand */
	u64 left_mib;			  /* what partitions before it have left */
	u32 nr_on_cpu[CONFIG_MAX_CPUS];	  /* virtual CPUs, those of @p included */
};

#define FAULT(c, property, ...) config_fault_add((c)->faults, (c)->p->name, property, __VA_ARGS__)

bool config_name_is_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t len = 0;
	while (name[len] && strchr(allowed, name[len])) {
		len++;
	}
	return len && !name[len] && len <= CONFIG_NAME_MAX;
}

static void check_name(struct check *c)
{
	const char *name = c->p->name;
	if (!config_name_is_valid(name)) {
		FAULT(c, "", "a partition's name is 1 to 31 of a-z, 0-9 and '-'");
	}
	for (const struct partition_config *q = c->cfg->partitions; q < c->p; q++) {
		if (!strcmp(q->name, name)) {
			FAULT(c, "", "two partitions have this name");
			break;
		}
	}
}

static void check_cpus(struct check *c)
{
	const struct partition_config *p = c->p;
	u32 nr = c->machine->nr_cpus;
	for (u32 i = 0; i < p->nr_cpus; i++) {
		if (nr && p->cpus[i] >= nr) {
			FAULT(c, "cpus", "no CPU %u: this machine has %u, numbered from 0",
			      p->cpus[i], nr);
		}
		for (u32 k = 0; k < i; k++) {
			if (p->cpus[k] == p->cpus[i]) {
				FAULT(c, "cpus", "CPU %u is named twice", p->cpus[i]);
				break;
			}
		}
	}
	if (p->nr_vcpus && p->nr_vcpus < p->nr_cpus) {
		FAULT(c, "vcpus", "%u are too few for %u CPUs", p->nr_vcpus, p->nr_cpus);
	}
	for (u32 i = 0; i < p->nr_cpus; i++) {
		u32 before = c->nr_on_cpu[p->cpus[i]], nr_vcpus = MAX(p->nr_vcpus, p->nr_cpus);
		c->nr_on_cpu[p->cpus[i]] += (nr_vcpus - i + p->nr_cpus - 1) / p->nr_cpus;
		if (before <= CONFIG_MAX_PER_CPU && c->nr_on_cpu[p->cpus[i]] > CONFIG_MAX_PER_CPU) {
			FAULT(c, "cpus", "more than %d virtual CPUs on CPU %u", CONFIG_MAX_PER_CPU,
			      p->cpus[i]);
		}
	}
}

/* A CPU that the machine has not is a fault of its own, and has no core */
static bool is_there(const struct check *c, u32 cpu)
{
	return !c->machine->nr_cpus || cpu < c->machine->nr_cpus;
}

/* Return: a CPU of @q that is another thread of @cpu's core, or CONFIG_MAX_CPUS */
static u32 find_sibling(const struct check *c, const struct partition_config *q, u32 cpu)
{
	const u8 *core = c->machine->core;
	for (u32 i = 0; i < q->nr_cpus && is_there(c, cpu); i++) {
		if (q->cpus[i] != cpu && is_there(c, q->cpus[i]) && core[q->cpus[i]] == core[cpu]) {
			return q->cpus[i];
		}
	}
	return CONFIG_MAX_CPUS;
}

/* Threads of a core share what no second-level table divides, and no flush between turns reaches */
static void check_threads(struct check *c)
{
	const struct partition_config *p = c->p;
	for (u32 i = 0; c->machine->core && i < p->nr_cpus; i++) {
		for (const struct partition_config *q = c->cfg->partitions; q < p; q++) {
			u32 sibling = find_sibling(c, q, p->cpus[i]);
			if (sibling < CONFIG_MAX_CPUS && !(p->allows_smt_sharing && q->allows_smt_sharing)) {
				FAULT(c, "cpus", "CPU %u shares a core with CPU %u of %s; see allow-smt-sharing",
				      p->cpus[i], sibling, q->name);
				break;
			}
		}
	}
}

static void check_memory(struct check *c)
{
	if (c->machine->memory_mib && c->p->memory_mib > c->left_mib) {
		FAULT(c, "memory", "%u MiB wanted, %lu MiB available (%lu for all partitions)",
		      c->p->memory_mib, c->left_mib, c->machine->memory_mib);
	} else {
		c->left_mib -= c->p->memory_mib;
	}
}

/* Return: length of the file that the first @len bytes of @name name; 0 after a fault. */
static u64 check_file(struct check *c, const char *property, const char *name, size_t len)
{
	const struct config_machine *m = c->machine;
	for (u32 i = 0; i < m->nr_files; i++) {
		if (strlen(m->files[i].name) == len && !memcmp(m->files[i].name, name, len)) {
			if (!m->files[i].len) {
				FAULT(c, property, "the file \"%.*s\" is empty", (int)len, name);
			}
			return m->files[i].len;
		}
	}
	FAULT(c, property, "no file \"%.*s\" among the boot modules", (int)len, name);
	return 0;
}

static void check_files(struct check *c)
{
	const struct partition_config *p = c->p;
	u64 memory = p->memory_mib * MIB;
	u64 kernel = p->kernel ? check_file(c, "kernel", p->kernel, strlen(p->kernel)) : 0;
	u64 others = p->initrd ? check_file(c, "initrd", p->initrd, strlen(p->initrd)) : 0;
	for (u32 i = 0; i < p->nr_modules; i++) {
		const char *blank = strchr(p->modules[i], ' ');
		size_t len = blank ? (size_t)(blank - p->modules[i]) : strlen(p->modules[i]);
		others += check_file(c, "modules", p->modules[i], len);
	}
	if (memory && kernel > memory) {
		FAULT(c, "kernel", "a file of %lu KiB does not fit into %u MiB of memory",
		      kernel >> 10, p->memory_mib);
	} else if (memory && kernel + others > memory) {
		FAULT(c, "memory", "kernel, initrd and modules of %lu KiB do not fit into %u MiB",
		      (kernel + others) >> 10, p->memory_mib);
	}
	if (memory && p->boot == BOOT_FLAT && p->has_load_address && kernel <= memory &&
	    p->load_address > MIN(memory, 3 * GIB) - MIN(kernel, 3 * GIB)) {
		FAULT(c, "load-address", "the kernel would not end within %u MiB, nor below 3 GiB",
		      p->memory_mib);
	}
}

/* Which properties go with which protocols; what only a flat image takes, it needs */
static void check_boot(struct check *c)
{
	const struct partition_config *p = c->p;
	const struct {
		const char *property;
		bool is_given;
		u64 protocols;
		const char *only;
	} rules[] = {
		{ "initrd", p->initrd, BIT(BOOT_LINUX), "\"linux\"; others take modules" },
		{ "modules", p->nr_modules, BIT(BOOT_MULTIBOOT) | BIT(BOOT_PVH),
		  "\"multiboot\" or \"pvh\"" },
		{ "load-address", p->has_load_address, BIT(BOOT_FLAT), "\"flat\"" },
		{ "flat-mode", p->has_flat_mode, BIT(BOOT_FLAT), "\"flat\"" },
	};
	for (u32 i = 0; i < ARRAY_SIZE(rules) && p->boot != BOOT_NONE; i++) {
		bool fits = rules[i].protocols & BIT(p->boot);
		if (rules[i].is_given && !fits) {
			FAULT(c, rules[i].property, "only for boot = %s", rules[i].only);
		} else if (!rules[i].is_given && fits && p->boot == BOOT_FLAT) {
			FAULT(c, rules[i].property, "missing: boot = \"flat\" needs it");
		}
	}
	if (p->boot == BOOT_FLAT && p->has_load_address && p->has_flat_mode &&
	    p->flat_mode == FLAT_REAL && p->load_address >= MIB) {
		FAULT(c, "load-address", "real mode reaches only the first MiB");
	}
}

/* Ports of the virtual platform, where a debug exit would hide a device (docs/config.md) */
static const struct {
	u16 first, last;
	const char *name;
} platform_ports[] = {
	{ 0x20, 0x21, "interrupt controller" },	  { 0x40, 0x43, "interval timer" },
	{ 0x60, 0x64, "keyboard controller" },	  { 0x70, 0x71, "real-time clock" },
	{ 0x80, 0x80, "POST code" },		  { 0x92, 0x92, "system control" },
	{ 0xa0, 0xa1, "interrupt controller" },	  { 0x3f8, 0x3ff, "serial port" },
	{ 0x4d0, 0x4d1, "interrupt controller" }, { 0x600, 0x60f, "ACPI" },
	{ 0xcf8, 0xcff, "PCI and reset" },
	{ 0xe0, 0xe7, "test device" },		  { 0x2000, 0x2017, "test device" },
};

static void check_debug_exit(struct check *c)
{
	/* the last two are there only if asked for */
	u32 nr = ARRAY_SIZE(platform_ports) - (c->p->has_test_device ? 0 : 2);
	for (u32 i = 0; i < nr && c->p->has_debug_exit; i++) {
		if (c->p->debug_exit >= platform_ports[i].first &&
		    c->p->debug_exit <= platform_ports[i].last) {
			FAULT(c, "debug-exit",
			      "port 0x%x belongs to the platform (%s); a free one is 0xf4",
			      c->p->debug_exit, platform_ports[i].name);
		}
	}
}

static void check_console(struct check *c)
{
	const struct partition_config *q = c->cfg->partitions;
	for (; q < c->p && c->p->console != CONSOLE_SHARED; q++) {
		if (q->console == c->p->console) {
			FAULT(c, "console", "partition %s has this port already", q->name);
			break;
		}
	}
}

/* What one wrote there another could read */
static void check_post_port(struct check *c)
{
	const struct partition_config *q = c->cfg->partitions;
	for (; q < c->p && c->p->has_post_port; q++) {
		if (q->has_post_port) {
			FAULT(c, "post-port", "partition %s has this port already", q->name);
			break;
		}
	}
}

void config_check(const struct system_config *cfg, const struct config_machine *machine,
		  struct config_faults *faults)
{
	struct check c = { .cfg = cfg, .machine = machine, .faults = faults,
			   .left_mib = machine->memory_mib };
	if (!cfg->nr_partitions && !faults->nr) {
		config_fault_add(faults, "", "partitions", "there is none: nothing to run");
	}
	for (u32 i = 0; i < cfg->nr_partitions; i++) {
		c.p = &cfg->partitions[i];
		check_name(&c);
		check_cpus(&c);
		check_threads(&c);
		check_memory(&c);
		check_files(&c);
		check_boot(&c);
		check_debug_exit(&c);
		check_console(&c);
		check_post_port(&c);
	}
	config_check_channels(cfg, machine->memory_mib ? c.left_mib << 10 : NEVER, faults);
	schedules_check(cfg, machine, faults);
}
