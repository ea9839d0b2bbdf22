// SPDX-License-Identifier: BSD-2-Clause
/*
 * Schedules: which partition has a CPU when. The form of /schedules, and what is wrong with its meaning:
 * windows that meet, vCPUs that could never run. Called by parse.c and check.c.
 */
#include <libfdt.h>
#include "config_room.h"
#include "lib/lib.h"
#include "property.h"

#define MAX_FRAME_US 10000000

static const struct property schedule_properties[] = {
	{ "cpus", property_cell, PROPERTY_LIST(struct schedule_config, cpus, nr_cpus), .is_required = true,
	  .max = CONFIG_MAX_CPUS - 1, .expected = "1 to 64 CPU numbers from 0 to 63, as in <0>" },
	{ "frame-us", property_cell, PROPERTY_FIELD(struct schedule_config, frame_us), .is_required = true,
	  .min = CONFIG_MIN_WINDOW_US, .max = MAX_FRAME_US,
	  .expected = "microseconds as a number from 50 to 10000000" },
};

static const struct property window_properties[] = {
	{ "partition", property_text, PROPERTY_FIELD(struct window_config, partition), .is_required = true,
	  .min = 1, .max = CONFIG_NAME_MAX, .expected = "the name of a partition" },
	{ "vcpu", property_cell, PROPERTY_FIELD(struct window_config, vcpu),
	  PROPERTY_COUNT(struct window_config, has_vcpu), .max = CONFIG_MAX_VCPUS - 1,
	  .expected = "a number from 0 to 15" },
	{ "offset-us", property_cell, PROPERTY_FIELD(struct window_config, offset_us), .is_required = true,
	  .max = MAX_FRAME_US, .expected = "microseconds as a number from 0 to 10000000" },
	{ "length-us", property_cell, PROPERTY_FIELD(struct window_config, length_us), .is_required = true,
	  .min = CONFIG_MIN_WINDOW_US, .max = MAX_FRAME_US,
	  .expected = "microseconds as a number from 50 to 10000000" },
};

/* The name under which faults blame a window (NULL: the schedule itself) */
#define PATH_MAX_LEN (2 * CONFIG_NAME_MAX + 16)

static const char *path_of(char *buf, const struct schedule_config *s, const struct window_config *w)
{
	const int max = CONFIG_NAME_MAX;
	format(buf, PATH_MAX_LEN, "schedules/%.*s%s%.*s", max, s->name, w ? "/" : "", max, w ? w->name : "");
	return buf;
}

static void no_nodes(const void *blob, int node, const char *path, struct config_faults *faults)
{
	int child;
	fdt_for_each_subnode(child, blob, node) {
		config_fault_add(faults, path, fdt_get_name(blob, child, NULL), "unknown node");
	}
}

/* Into its place by offset */
static void insert(struct schedule_config *s, const struct window_config *w)
{
	u32 at = s->nr_windows++;
	for (; at > 0 && s->windows[at - 1].offset_us > w->offset_us; at--) {
		s->windows[at] = s->windows[at - 1];
	}
	s->windows[at] = *w;
}

static void parse_window(const void *blob, int node, struct schedule_config *s, struct config_faults *faults)
{
	char path[PATH_MAX_LEN];
	struct window_config w = { .name = fdt_get_name(blob, node, NULL), .offset_us = CONFIG_NO_OFFSET };
	path_of(path, s, &w);
	properties_parse(&(struct property_table){ .properties = window_properties,
						   .nr = ARRAY_SIZE(window_properties),
						   .owner = path, .faults = faults },
			 blob, node, &w);
	no_nodes(blob, node, path, faults);
	if (s->nr_windows == CONFIG_MAX_WINDOWS) {
		config_fault_add(faults, path, "", "too many windows: at most %d", CONFIG_MAX_WINDOWS);
		return;
	}
	insert(s, &w);
}

static void parse_schedule(const void *blob, int node, struct schedule_config *s, struct config_faults *faults)
{
	char path[PATH_MAX_LEN];
	int child;
	s->name = fdt_get_name(blob, node, NULL);
	properties_parse(&(struct property_table){ .properties = schedule_properties,
						   .nr = ARRAY_SIZE(schedule_properties),
						   .owner = path_of(path, s, NULL), .faults = faults },
			 blob, node, s);
	fdt_for_each_subnode(child, blob, node) {
		parse_window(blob, child, s, faults);
	}
}

void schedules_parse(const void *blob, int node, struct system_config *out, struct config_faults *faults)
{
	int child;
	properties_refuse(blob, node, "", "/schedules", faults);
	fdt_for_each_subnode(child, blob, node) {
		if (out->nr_schedules == CONFIG_MAX_SCHEDULES) {
			config_fault_add(faults, "schedules", fdt_get_name(blob, child, NULL),
					 "too many schedules: at most %d", CONFIG_MAX_SCHEDULES);
			return;
		}
		parse_schedule(blob, child, &out->schedules[out->nr_schedules++], faults);
	}
}

struct check {
	const struct system_config *cfg;
	const struct config_machine *machine;
	struct config_faults *faults;
	const struct schedule_config *s; /* the one at hand */
	const struct window_config *w;	 /* likewise; NULL = none */
};

static void fault(struct check *c, const char *property, const char *fmt, ...) printf_like(3, 4);
static void fault(struct check *c, const char *property, const char *fmt, ...)
{
	char path[PATH_MAX_LEN], text[96];
	va_list ap;
	va_start(ap, fmt);
	vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	config_fault_add(c->faults, path_of(path, c->s, c->w), property, "%s", text);
}

static u32 nr_vcpus(const struct partition_config *p)
{
	return MAX(p->nr_vcpus, p->nr_cpus);
}

/* vCPUs go round the CPUs that the partition has, as in kernel/partition.c */
static bool is_on(const struct partition_config *p, u32 vcpu, u32 cpu)
{
	return p->nr_cpus && vcpu < nr_vcpus(p) && p->cpus[vcpu % p->nr_cpus] == cpu;
}

const struct schedule_config *config_schedule_of(const struct system_config *cfg, u32 cpu)
{
	for (u32 i = 0; i < cfg->nr_schedules; i++) {
		for (u32 k = 0; k < cfg->schedules[i].nr_cpus; k++) {
			if (cfg->schedules[i].cpus[k] == cpu) {
				return &cfg->schedules[i];
			}
		}
	}
	return NULL;
}

bool config_window_is_of(const struct window_config *w, const char *partition, u32 vcpu)
{
	return w->partition && !strcmp(w->partition, partition) && (!w->has_vcpu || w->vcpu == vcpu);
}

static void check_cpus(struct check *c)
{
	const struct schedule_config *s = c->s;
	u32 nr = c->machine->nr_cpus;
	for (u32 i = 0; i < s->nr_cpus; i++) {
		const struct schedule_config *first = config_schedule_of(c->cfg, s->cpus[i]);
		u32 k = 0;
		while (s->cpus[k] != s->cpus[i]) {
			k++;
		}
		if (nr && s->cpus[i] >= nr) {
			fault(c, "cpus", "no CPU %u: this machine has %u, numbered from 0", s->cpus[i], nr);
		}
		if (k < i) {
			fault(c, "cpus", "CPU %u is named twice", s->cpus[i]);
		} else if (first != s) {
			fault(c, "cpus", "CPU %u has a schedule already: %.*s", s->cpus[i], CONFIG_NAME_MAX,
			      first->name);
		}
	}
}

static const struct partition_config *find_partition(const struct check *c)
{
	for (u32 i = 0; i < c->cfg->nr_partitions; i++) {
		if (!strcmp(c->cfg->partitions[i].name, c->w->partition)) {
			return &c->cfg->partitions[i];
		}
	}
	return NULL;
}

/* Is there somebody for this window on @cpu? */
static void check_owner(struct check *c, const struct partition_config *p, u32 cpu)
{
	bool is_there = false;
	for (u32 i = 0; i < nr_vcpus(p); i++) {
		is_there |= is_on(p, i, cpu) && (!c->w->has_vcpu || c->w->vcpu == i);
	}
	if (!is_there && c->w->has_vcpu) {
		fault(c, "vcpu", "vCPU %u of %s is not on CPU %u", c->w->vcpu, p->name, cpu);
	} else if (!is_there) {
		fault(c, "partition", "%s has no vCPU on CPU %u", p->name, cpu);
	}
}

/* A refused number takes part in no comparison */
static bool has_place(const struct window_config *w)
{
	return w->offset_us != CONFIG_NO_OFFSET && w->length_us;
}

static void check_place(struct check *c)
{
	const struct window_config *w = c->w;
	if (!has_place(w)) {
		return;
	}
	if (c->s->frame_us && w->offset_us + w->length_us > c->s->frame_us) {
		fault(c, "", "ends at %u us, outside the frame of %u us", w->offset_us + w->length_us,
		      c->s->frame_us);
	}
	for (const struct window_config *v = c->s->windows; v < w; v++) {
		if (has_place(v) && v->offset_us + v->length_us > w->offset_us) {
			fault(c, "", "begins at %u us, before window %.*s ends at %u us", w->offset_us,
			      CONFIG_NAME_MAX, v->name, v->offset_us + v->length_us);
			break;
		}
	}
}

static void check_window(struct check *c)
{
	const struct partition_config *p = c->w->partition ? find_partition(c) : NULL;
	if (c->w->partition && !p) {
		fault(c, "partition", "there is no partition %s", c->w->partition);
	}
	for (u32 i = 0; p && p->nr_cpus && i < c->s->nr_cpus; i++) {
		if (!c->machine->nr_cpus || c->s->cpus[i] < c->machine->nr_cpus) {
			check_owner(c, p, c->s->cpus[i]);
		}
	}
	check_place(c);
}

/* The hypervisor writes the console in CPU 0's slack */
static void check_slack(struct check *c)
{
	u32 end = 0, longest = 0;
	for (const struct window_config *w = c->s->windows; w < c->s->windows + c->s->nr_windows; w++) {
		if (!has_place(w)) {
			return;
		}
		longest = MAX(longest, w->offset_us > end ? w->offset_us - end : 0);
		end = MAX(end, w->offset_us + w->length_us);
	}
	longest = MAX(longest, c->s->frame_us > end ? c->s->frame_us - end : 0);
	if (c->s->frame_us && longest < CONFIG_CONSOLE_US) {
		fault(c, "", "no gap of %d us between windows: CPU 0 writes the console there",
		      CONFIG_CONSOLE_US);
	}
}

static void check_schedule(struct check *c)
{
	check_cpus(c);
	for (u32 i = 0; i < c->s->nr_windows; i++) {
		c->w = &c->s->windows[i];
		check_window(c);
	}
	c->w = NULL;
	for (u32 i = 0; i < c->s->nr_cpus; i++) {
		if (c->s->cpus[i] == 0) {
			check_slack(c);
			break;
		}
	}
}

/* Each vCPU has a window in its CPU's schedule, or takes what is left */
static bool can_run(const struct schedule_config *s, const struct partition_config *p, u32 vcpu)
{
	bool can = p->is_background;
	for (u32 i = 0; i < s->nr_windows; i++) {
		can |= config_window_is_of(&s->windows[i], p->name, vcpu);
	}
	return can;
}

static bool are_aligned(u32 a, u32 b)
{
	return !a || !b || a % b == 0 || b % a == 0;
}

static void check_partition(struct check *c, const struct partition_config *p)
{
	const struct schedule_config *first = NULL;
	for (u32 i = 0; p->nr_cpus && i < nr_vcpus(p); i++) {
		u32 cpu = p->cpus[i % p->nr_cpus];
		const struct schedule_config *s = config_schedule_of(c->cfg, cpu);
		if (s && !can_run(s, p, i)) {
			config_fault_add(c->faults, p->name, "cpus",
					 "vCPU %u would never run: no window on CPU %u, nor background", i, cpu);
		}
		first = first ? first : s;
		if (s && !are_aligned(first->frame_us, s->frame_us)) {
			config_fault_add(c->faults, p->name, "cpus",
					 "frames of %u us and %u us: neither is a multiple of the other",
					 first->frame_us, s->frame_us);
			break;
		}
	}
	if (p->is_background && p->nr_cpus && !first) {
		config_fault_add(c->faults, p->name, "background", "none of its CPUs has a schedule");
	}
}

void schedules_check(const struct system_config *cfg, const struct config_machine *machine,
		     struct config_faults *faults)
{
	struct check c = { .cfg = cfg, .machine = machine, .faults = faults };
	for (u32 i = 0; i < cfg->nr_schedules; i++) {
		c.s = &cfg->schedules[i];
		check_schedule(&c);
	}
	for (u32 i = 0; i < cfg->nr_partitions; i++) {
		check_partition(&c, &cfg->partitions[i]);
	}
}
