/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes the device tree out of the boot modules, has it checked against this machine, and builds its
 * partitions. Knows modules and memory in total; how one partition is built is partition.c's. kmain calls it.
 */
#include "kernel/system.h"
#include "config/config_room.h"
#include "kernel/topology.h"
#include "lib/lib.h"
#include "log.h"
#include "x86/insn.h"

#define FDT_MAGIC_BE 0xedfe0dd0u  /* 0xd00dfeed as stored, read little-endian */
#define OWN_RESERVE  (8 * MIB)	  /* second-level tables, VMCS/VMCB pages, vCPU state */

static struct system_config system_config;
static struct config_faults faults;
static struct channel channels[CONFIG_MAX_CHANNELS];
static u16 tags[MAX_CPUS];    /* ASIDs or VPIDs given out; one space on each CPU */
static u8 nr_on_cpu[MAX_CPUS]; /* vCPUs, of all partitions */

static const struct boot_module *find_config(const struct boot_info *info)
{
	for (u32 i = 0; i < info->nr_modules; i++) {
		const struct boot_module *m = &info->modules[i];
		if (m->len >= sizeof(u32) && *(const u32 *)phys_ptr(m->start) == FDT_MAGIC_BE) {
			return m;
		}
	}
	return NULL;
}

static u64 memory_for_partitions(void)
{
	u64 free = frames_free_bytes(&host_memory.frames);
	u64 tables = machine.max_page == PAGE_SIZE ? free / 512 : 0; /* 8 bytes for each page */
	return free > OWN_RESERVE + tables ? free - OWN_RESERVE - tables : 0;
}

static void log_faults(void)
{
	char text[sizeof(struct config_fault) + 8];
	for (u32 i = 0; i < MIN(faults.nr, CONFIG_MAX_FAULTS); i++) {
		config_fault_text(&faults.fault[i], text, sizeof(text));
		log("config: %s", text);
	}
	log("FATAL config faults=%u, nothing is started", faults.nr);
}

/* By CPU: the lowest one on the same core */
static const u8 *cores(void)
{
	static u8 core[MAX_CPUS];
	u32 bits = topology_smt_bits(cpuid), nr = 0;
	for (u32 i = 0; i < cpu_count(); i++) {
		u32 k = 0;
		while (cpu_by_index(k)->apic_id >> bits != cpu_by_index(i)->apic_id >> bits) {
			k++;
		}
		core[i] = (u8)k;
		nr += k == i;
	}
	log("smt threads=%u cores=%u", 1u << bits, nr);
	return core;
}

static bool check(const struct boot_info *info)
{
	struct config_file files[BOOT_MAX_MODULES];
	const struct config_machine m = { .nr_cpus = cpu_count(),
					  .memory_mib = memory_for_partitions() / MIB,
					  .files = files,
					  .nr_files = info->nr_modules,
					  .core = cores() };
	const struct boot_module *dtb = find_config(info);
	if (!dtb) {
		log("FATAL config: no module is a device tree blob (module2 FILE.dtb in grub.cfg)");
		return false;
	}
	for (u32 i = 0; i < info->nr_modules; i++) {
		files[i] = (struct config_file){ .name = info->modules[i].name,
						 .len = info->modules[i].len };
	}
	log("for partitions cpus=%u memory=%lu MiB", m.nr_cpus, m.memory_mib);
	config_parse(phys_ptr(dtb->start), dtb->len, &system_config, &faults);
	config_check(&system_config, &m, &faults);
	if (faults.nr > 0) {
		log_faults();
		return false;
	}
	return true;
}

/* The module whose name is the first word of @string; config_check() has seen that it exists. */
static struct blob find_file(const struct boot_info *info, const char *string)
{
	const char *blank = string ? strchr(string, ' ') : NULL;
	size_t len = !string ? 0 : blank ? (size_t)(blank - string) : strlen(string);
	for (u32 i = 0; len > 0 && i < info->nr_modules; i++) {
		const struct boot_module *m = &info->modules[i];
		if (strlen(m->name) == len && !memcmp(m->name, string, len)) {
			return (struct blob){ .data = phys_ptr(m->start), .len = m->len };
		}
	}
	return (struct blob){ .len = 0 };
}

static struct load_input files_of(const struct boot_info *info, const struct partition_config *cfg)
{
	struct load_input in = { .kernel = find_file(info, cfg->kernel),
				 .initrd = find_file(info, cfg->initrd),
				 .nr_modules = cfg->nr_modules };
	for (u32 i = 0; i < cfg->nr_modules; i++) {
		in.modules[i].file = find_file(info, cfg->modules[i]);
		in.modules[i].string = cfg->modules[i];
	}
	return in;
}

static u32 xsave_len(void)
{
	u32 out[4];
	if (machine.host_xcr0 == 0) {
		return 512; /* FXSAVE, SDM 1 10.5.1 */
	}
	cpuid(0xd, 0, out); /* EBX: for what XCR0 has on now, SDM 2A "CPUID" */
	return out[1];
}

static struct partition *new_partition(void)
{
	u64 pages = ALIGN_UP(sizeof(struct partition), PAGE_SIZE) / PAGE_SIZE;
	hpa at = host_memory.pages.alloc(&host_memory.pages, (u32)pages);
	return at.v ? host_memory.pages.ptr(&host_memory.pages, at) : NULL;
}

/* The CPU of each vCPU, in their order */
static void log_partition(const struct partition *p)
{
	char cpus[3 * CONFIG_MAX_VCPUS + 1];
	size_t at = 0;
	for (u32 i = 0; i < p->nr_cores; i++) {
		at += format(cpus + at, sizeof(cpus) - at, i ? ",%u" : "%u", p->core[i]->v.cpu);
	}
	log("[%s] cpu=%s memory=%u MiB kernel=%s", p->cfg->name, cpus, p->cfg->memory_mib,
	    p->cfg->kernel);
}

static struct partition_resources resources(void)
{
	const bool is_vmx = !strcmp(machine.ops->name, "vmx");
	return (struct partition_resources){
		.host = &machine.host,
		.ops = machine.ops,
		.space_format = is_vmx ? &pt_ept : &pt_npt,
		.max_page = machine.max_page,
		.frames = &host_memory.frames,
		.pages = &host_memory.pages,
		.tables = &host_memory.tables,
		.xsave_len = xsave_len(),
		.tags = tags,
		.nr_on_cpu = nr_on_cpu,
		.channels = channels,
		.nr_channels = system_config.nr_channels,
	};
}

static const char *reserve_one(const struct boot_info *info, const struct partition_config *cfg)
{
	struct partition_resources res = resources();
	res.files = files_of(info, cfg);
	struct partition *p = new_partition();
	if (!p) {
		return "out of memory";
	}
	p->index = machine.nr_partitions;
	console_add(&p->pc.console, cfg->name,
		    cfg->console == CONSOLE_COM1 ? 0x3f8 : cfg->console == CONSOLE_COM2 ? 0x2f8 : 0);
	machine.partition[machine.nr_partitions++] = p;
	return partition_reserve(p, cfg, &res);
}

static void log_channel(const struct channel_config *c)
{
	char members[CONFIG_MAX_MEMBERS * (CONFIG_NAME_MAX + 1) + 1];
	size_t at = 0;
	for (u32 i = 0; i < channel_nr_members(c); i++) {
		at += format(members + at, sizeof(members) - at, i ? ",%s" : "%s", channel_member(c, i));
	}
	log("channel %s size=%u KiB members=%s writer=%s", c->name, c->size_kib, members,
	    c->nr_both_ways ? "all" : c->writer);
}

/* Before partitions: each is one run of memory, which partitions need not be */
static bool build_channels(void)
{
	const char *why = channels_alloc(channels, &system_config, &host_memory.frames);
	if (why) {
		log("FATAL config %s", why);
	}
	for (u32 i = 0; i < system_config.nr_channels && !why; i++) {
		log_channel(&system_config.channels[i]);
	}
	return !why;
}

static u64 index_bit(const char *name)
{
	for (u32 i = 0; i < system_config.nr_partitions; i++) {
		if (!strcmp(system_config.partitions[i].name, name)) {
			return BIT(i);
		}
	}
	return 0;
}

u32 system_shared(struct space_shared out[SPACE_MAX_SHARED])
{
	for (u32 i = 0; i < system_config.nr_channels; i++) {
		const struct channel_config *c = &system_config.channels[i];
		out[i] = (struct space_shared){ .host = channels[i].memory, .len = (u64)c->size_kib * KIB };
		for (u32 k = 0; k < channel_nr_members(c); k++) {
			u64 bit = index_bit(channel_member(c, k));
			out[i].who |= bit;
			out[i].writers |= channel_can_write(c, k) ? bit : 0;
		}
	}
	return system_config.nr_channels;
}

static bool is_good(const char *name, const char *why)
{
	if (why) {
		log("FATAL config [%s] %s", name, why);
	}
	return !why;
}

static void count_vcpus(void)
{
	for (u32 i = 0; i < system_config.nr_partitions; i++) {
		const struct partition_config *cfg = &system_config.partitions[i];
		for (u32 k = 0; k < MAX(cfg->nr_vcpus, cfg->nr_cpus); k++) {
			nr_on_cpu[cfg->cpus[k % cfg->nr_cpus]]++;
		}
	}
}

bool system_reserve(const struct boot_info *info)
{
	if (!check(info) || !build_channels()) {
		return false;
	}
	bool is_ok = true;
	count_vcpus();
	for (u32 i = 0; i < system_config.nr_partitions; i++) {
		const struct partition_config *cfg = &system_config.partitions[i];
		is_ok &= is_good(cfg->name, reserve_one(info, cfg));
	}
	return is_ok;
}

bool system_build(void)
{
	const struct partition_resources res = resources();
	bool is_ok = true;
	for (u32 i = 0; i < machine.nr_partitions; i++) {
		struct partition *p = machine.partition[i];
		is_ok &= is_good(p->cfg->name, partition_build(p, &res));
	}
	return is_ok;
}

bool system_first_life(void)
{
	bool is_ok = true;
	for (u32 i = 0; i < machine.nr_partitions; i++) {
		struct partition *p = machine.partition[i];
		const char *why = partition_first_life(p);
		is_ok &= is_good(p->cfg->name, why);
		if (!why) {
			log_partition(p);
		}
	}
	machine.config = &system_config;
	machine.nr_running = machine.nr_partitions;
	return is_ok;
}
