// SPDX-License-Identifier: BSD-2-Clause
/*
 * Schedules in a configuration: parsed, sorted, judged, drawn. The trees are written by libfdt; a window is
 * a line of text. Bad systems as files are in test/config/bad.
 */
#include "config/config_room.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <libfdt.h>

static char blob[65536];
static struct system_config cfg;
static struct config_faults faults;
static const struct config_file files[] = { { "k", 1000 } };
static const struct config_machine machine = { .nr_cpus = 4, .memory_mib = 1000, .files = files, .nr_files = 1 };

struct win {
	const char *name, *partition;
	int vcpu; /* -1 = any */
	u32 offset, length;
};

struct sched {
	const char *name;
	u32 cpus[4], nr_cpus, frame;
	struct win win[4];
};

struct part {
	const char *name;
	u32 cpus[4], nr_cpus, vcpus;
	bool is_background;
};

static void cells(const char *name, const u32 *value, u32 nr)
{
	fdt32_t data[4];
	for (u32 i = 0; i < nr; i++) {
		data[i] = cpu_to_fdt32(value[i]);
	}
	fdt_property(blob, name, data, (int)(4 * nr));
}

static void write_window(const struct win *w)
{
	fdt_begin_node(blob, w->name);
	fdt_property(blob, "partition", w->partition, (int)strlen(w->partition) + 1);
	if (w->vcpu >= 0) {
		fdt_property_u32(blob, "vcpu", (u32)w->vcpu);
	}
	fdt_property_u32(blob, "offset-us", w->offset);
	fdt_property_u32(blob, "length-us", w->length);
	fdt_end_node(blob);
}

static void write_schedules(const struct sched *s, u32 nr)
{
	fdt_begin_node(blob, "schedules");
	for (u32 i = 0; i < nr; i++) {
		fdt_begin_node(blob, s[i].name);
		cells("cpus", s[i].cpus, s[i].nr_cpus);
		fdt_property_u32(blob, "frame-us", s[i].frame);
		for (u32 k = 0; k < 4 && s[i].win[k].name; k++) {
			write_window(&s[i].win[k]);
		}
		fdt_end_node(blob);
	}
	fdt_end_node(blob);
}

static void write_partitions(const struct part *p, u32 nr)
{
	fdt_begin_node(blob, "partitions");
	for (u32 i = 0; i < nr; i++) {
		fdt_begin_node(blob, p[i].name);
		cells("cpus", p[i].cpus, p[i].nr_cpus);
		if (p[i].vcpus) {
			fdt_property_u32(blob, "vcpus", p[i].vcpus);
		}
		if (p[i].is_background) {
			fdt_property(blob, "background", NULL, 0);
		}
		fdt_property_u32(blob, "memory", 4);
		fdt_property_string(blob, "boot", "pvh");
		fdt_property_string(blob, "kernel", "k");
		fdt_end_node(blob);
	}
	fdt_end_node(blob);
}

/* Return: the faults, a line each */
static const char *judge(const struct sched *s, u32 nr_s, const struct part *p, u32 nr_p)
{
	static char out[8192];
	char line[256];
	fdt_create(blob, sizeof(blob));
	fdt_finish_reservemap(blob);
	fdt_begin_node(blob, "");
	fdt_property_string(blob, "compatible", "bulkhead,system-1");
	write_schedules(s, nr_s);
	write_partitions(p, nr_p);
	fdt_end_node(blob);
	assert_int_equal(fdt_finish(blob), 0);
	memset(&faults, 0, sizeof(faults));
	config_parse(blob, fdt_totalsize(blob), &cfg, &faults);
	config_check(&cfg, &machine, &faults);
	out[0] = 0;
	for (u32 i = 0; i < MIN(faults.nr, CONFIG_MAX_FAULTS); i++) {
		config_fault_text(&faults.fault[i], line, sizeof(line));
		strcat(strcat(out, line), "\n");
	}
	return out;
}

static const struct part one[] = { { "a", { 0 }, 1, 0, false } };
static const struct part two[] = { { "a", { 0 }, 1, 0, false }, { "b", { 0 }, 1, 0, false } };

static void test_good(void **state)
{
	static const struct sched s[] = {
		{ "late", { 1 }, 1, 2000, { { "x", "c", -1, 0, 2000 } } },
		{ "s", { 0 }, 1, 1000, { { "w1", "b", -1, 500, 250 }, { "w0", "a", 0, 0, 500 } } },
	};
	static const struct part p[] = { { "a", { 0 }, 1, 0, false }, { "b", { 0 }, 1, 0, false },
					 { "c", { 1 }, 1, 0, false }, { "d", { 0, 1 }, 2, 3, true },
					 { "e", { 2 }, 1, 0, false } };
	(void)state;
	assert_string_equal(judge(s, 2, p, 5), "");
	assert_int_equal(cfg.nr_schedules, 2);
	const struct schedule_config *first = config_schedule_of(&cfg, 0);
	assert_string_equal(first->name, "s");
	assert_int_equal(first->frame_us, 1000);
	assert_int_equal(first->nr_windows, 2);
	assert_string_equal(first->windows[0].name, "w0"); /* by offset */
	assert_true(first->windows[0].has_vcpu);
	assert_false(first->windows[1].has_vcpu);
	assert_int_equal(first->windows[1].length_us, 250);
	assert_true(config_window_is_of(&first->windows[0], "a", 0));
	assert_false(config_window_is_of(&first->windows[0], "a", 1));
	assert_false(config_window_is_of(&first->windows[0], "b", 0));
	assert_true(config_window_is_of(&first->windows[1], "b", 7));
	assert_null(config_schedule_of(&cfg, 2));
	assert_true(cfg.partitions[3].is_background);
	assert_false(cfg.partitions[0].is_background);
}

static void test_windows(void **state)
{
	static const struct sched meet[] = { { "s", { 0 }, 1, 1000, { { "w0", "a", -1, 0, 300 },
								       { "w1", "a", -1, 299, 50 },
								       { "w2", "a", -1, 400, 601 } } } };
	static const struct sched who[] = { { "s", { 0 }, 1, 1000, { { "w0", "a", -1, 0, 300 },
								      { "w1", "c", -1, 300, 50 },
								      { "w2", "a", 1, 400, 60 } } } };
	static const struct sched full[] = { { "s", { 0 }, 1, 1000, { { "w0", "a", -1, 99, 802 } } } };
	(void)state;
	assert_string_equal(judge(meet, 1, one, 1),
			    "[schedules/s/w1] begins at 299 us, before window w0 ends at 300 us\n"
			    "[schedules/s/w2] ends at 1001 us, outside the frame of 1000 us\n"
			    "[schedules/s] no gap of 100 us between windows: CPU 0 writes the console there\n");
	assert_string_equal(judge(who, 1, one, 1), "[schedules/s/w1] partition: there is no partition c\n"
						   "[schedules/s/w2] vcpu: vCPU 1 of a is not on CPU 0\n");
	assert_string_equal(judge(full, 1, one, 1),
			    "[schedules/s] no gap of 100 us between windows: CPU 0 writes the console there\n");
}

static void test_cpus(void **state)
{
	static const struct sched s[] = {
		{ "s", { 0, 4, 0 }, 3, 1000, { { "w", "a", -1, 0, 300 } } },
		{ "t", { 0, 1 }, 2, 1000, { { "w", "b", -1, 0, 300 } } },
	};
	static const struct sched frames[] = {
		{ "s", { 0 }, 1, 1000, { { "w", "a", -1, 0, 300 } } },
		{ "t", { 1 }, 1, 2000, { { "w", "a", -1, 0, 300 } } },
		{ "u", { 2 }, 1, 1500, { { "w", "a", -1, 0, 300 } } },
	};
	static const struct part p[] = { { "a", { 0, 1, 2 }, 3, 0, false } };
	(void)state;
	assert_string_equal(judge(s, 2, two, 2),
			    "[schedules/s] cpus: no CPU 4: this machine has 4, numbered from 0\n"
			    "[schedules/s] cpus: CPU 0 is named twice\n"
			    "[schedules/t] cpus: CPU 0 has a schedule already: s\n"
			    "[schedules/t/w] partition: b has no vCPU on CPU 1\n"
			    "[b] cpus: vCPU 0 would never run: no window on CPU 0, nor background\n");
	assert_string_equal(judge(frames, 3, p, 1),
			    "[a] cpus: frames of 1000 us and 1500 us: neither is a multiple of the other\n");
}

static void test_never(void **state)
{
	static const struct sched s[] = { { "s", { 0 }, 1, 1000, { { "w", "a", 1, 0, 300 } } } };
	static const struct part p[] = { { "a", { 0 }, 1, 3, false }, { "b", { 1 }, 1, 0, true } };
	(void)state;
	assert_string_equal(judge(s, 1, p, 2),
			    "[a] cpus: vCPU 0 would never run: no window on CPU 0, nor background\n"
			    "[a] cpus: vCPU 2 would never run: no window on CPU 0, nor background\n"
			    "[b] background: none of its CPUs has a schedule\n");
}

/* What parse.c refuses takes part in no comparison; each limit is a fault once */
static void test_limits(void **state)
{
	static struct sched s[65];
	static const struct sched bad[] = { { "s", { 0 }, 1, 0, { { "w", "a", -1, 0, 49 }, { "v", "a", -1, 0, 90 } } } };
	static char names[65][4];
	(void)state;
	assert_string_equal(judge(bad, 1, one, 1),
			    "[schedules/s] frame-us: expected microseconds as a number from 50 to 10000000\n"
			    "[schedules/s/w] length-us: expected microseconds as a number from 50 to 10000000\n");
	for (u32 i = 0; i < 65; i++) {
		sprintf(names[i], "s%u", i);
		s[i] = (struct sched){ names[i], { 1 }, 1, 1000, { { "w", "b", -1, 0, 300 } } };
	}
	const char *text = judge(s, 65, one, 1);
	assert_non_null(strstr(text, "[schedules] s16: too many schedules: at most 16\n"));
}

static void test_timeline(void **state)
{
	static const struct sched s[] = { { "s", { 0, 1 }, 2, 6000, { { "w0", "a", -1, 0, 1000 },
								       { "w1", "b", -1, 1000, 50 },
								       { "w2", "a", -1, 1950, 150 } } } };
	static const struct part p[] = { { "a", { 0, 1 }, 2, 0, false }, { "b", { 0, 1 }, 2, 0, false },
					 { "c", { 1 }, 1, 0, true } };
	char text[1024];
	(void)state;
	assert_string_equal(judge(s, 1, p, 3), "");
	assert_int_equal(config_timeline(&cfg, 2, text, sizeof(text)), 0);
	size_t len = config_timeline(&cfg, 1, text, sizeof(text));
	assert_int_equal(len, strlen(text));
	assert_string_equal(text, "CPU 1: frame 6000 us, 3 windows, 20.0 % used\n"
				  "##########.........##.......................................  a\n"
				  "..........#.................................................  b\n"
				  "............................................................  c, background\n");
	config_timeline(&cfg, 0, text, sizeof(text));
	assert_null(strstr(text, "background"));
	char small[50];
	assert_true(config_timeline(&cfg, 0, small, sizeof(small)) < sizeof(small));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),   cmocka_unit_test(test_windows),	cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_never),  cmocka_unit_test(test_limits), cmocka_unit_test(test_timeline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
