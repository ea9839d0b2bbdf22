// SPDX-License-Identifier: BSD-2-Clause
/*
 * Configurations, written as a line each ("name: property=<cells>; property=string|string"), go
 * through libfdt's writer into a blob; what is checked is the parsed struct or the exact text of
 * the faults.
 */
#include "config/config_room.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <libfdt.h>

static char blob[32768];
static struct system_config cfg;
static struct config_faults faults;

static const struct config_file files[] = {
	{ "vmlinuz", 8 << 20 }, { "initrd.img", 4 << 20 }, { "k.elf", 65536 },
	{ "m1", 100 },		{ "empty", 0 },		   { "huge", 600ull << 20 },
};
static const struct config_machine machine = { 2, 1000, files, 6, NULL };

static void add_property(char *text)
{
	char *value = strchr(text, '='), data[4096];
	size_t len = 0;
	if (!value) {
		fdt_property(blob, text, NULL, 0);
		return;
	}
	*value++ = 0;
	if (*value == '<') {
		for (char *p = value + 1; *p && *p != '>';) {
			fdt32_t cell = cpu_to_fdt32((uint32_t)strtoul(p, &p, 0));
			memcpy(data + len, &cell, 4);
			len += 4;
			p += strspn(p, " ");
		}
	} else {
		len = strlen(value) + 1;
		memcpy(data, value, len);
		for (char *p = data; p < data + len; p++) {
			if (*p == '|') {
				*p = 0;
			}
		}
	}
	fdt_property(blob, text, data, (int)len);
}

static void add_partition(char *line)
{
	char *colon = strchr(line, ':'), *save;
	*colon = 0;
	fdt_begin_node(blob, line);
	for (char *p = strtok_r(colon + 1, ";", &save); p; p = strtok_r(NULL, ";", &save)) {
		add_property(p + strspn(p, " "));
	}
	fdt_end_node(blob);
}

static size_t build(const char *spec)
{
	char copy[16384], *save;
	bool has_channels = false;
	snprintf(copy, sizeof(copy), "%s", spec);
	fdt_create(blob, sizeof(blob));
	fdt_finish_reservemap(blob);
	fdt_begin_node(blob, "");
	fdt_property_string(blob, "compatible", "bulkhead,system-1");
	fdt_begin_node(blob, "partitions");
	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (*l == '@' && !has_channels) { /* this line and those after it are channels */
			has_channels = true;
			fdt_end_node(blob);
			fdt_begin_node(blob, "channels");
		}
		add_partition(l + has_channels);
	}
	fdt_end_node(blob);
	fdt_end_node(blob);
	assert_int_equal(fdt_finish(blob), 0);
	return fdt_totalsize(blob);
}

static const char *texts(void)
{
	static char out[16384];
	char line[256];
	out[0] = 0;
	for (u32 i = 0; i < faults.nr && i < CONFIG_MAX_FAULTS; i++) {
		size_t n = config_fault_text(&faults.fault[i], line, sizeof(line));
		assert_int_equal(n, strlen(line));
		strcat(strcat(out, i ? "\n" : ""), line);
	}
	return out;
}

static void parse(const void *data, size_t len)
{
	memset(&faults, 0, sizeof(faults));
	config_parse(data, len, &cfg, &faults);
}

static const char *verdict(const char *spec)
{
	size_t len = build(spec);
	parse(blob, len);
	config_check(&cfg, &machine, &faults);
	return texts();
}

#define LINUX "linux: cpus=<0>; memory=<512>; boot=linux; kernel=vmlinuz"
#define MB    "mb: cpus=<1>; memory=<4>; boot=multiboot; kernel=k.elf"
#define FLAT  "f: cpus=<1>; memory=<4>; boot=flat; kernel=k.elf"

static void test_example(void **state)
{
	(void)state;
	assert_string_equal(verdict(LINUX "; initrd=initrd.img; cmdline=console=ttyS0; on-exit=shutdown\n"
				    MB "; debug-exit=<0xf4>; modules=m1 a b|k.elf; console=com2; "
				    "slice-us=<500>\n"
				    FLAT "; load-address=<0x100000>; flat-mode=long"), "");
	assert_int_equal(cfg.nr_partitions, 3);
	const struct partition_config *p = &cfg.partitions[0];
	assert_string_equal(p->name, "linux");
	assert_int_equal(p->nr_cpus, 1);
	assert_int_equal(p->cpus[0], 0);
	assert_int_equal(p->memory_mib, 512);
	assert_int_equal(p->boot, BOOT_LINUX);
	assert_string_equal(p->kernel, "vmlinuz");
	assert_string_equal(p->initrd, "initrd.img");
	assert_string_equal(p->cmdline, "console=ttyS0");
	assert_int_equal(p->on_exit, ON_EXIT_SHUTDOWN);
	assert_int_equal(p->console, CONSOLE_SHARED);
	assert_int_equal(p->slice_us, 1000);
	assert_false(p->has_debug_exit);
	assert_int_equal(p->nr_modules, 0);
	p++;
	assert_string_equal(p->name, "mb");
	assert_int_equal(p->cpus[0], 1);
	assert_int_equal(p->boot, BOOT_MULTIBOOT);
	assert_null(p->initrd);
	assert_string_equal(p->cmdline, "");
	assert_true(p->has_debug_exit);
	assert_int_equal(p->debug_exit, 0xf4);
	assert_int_equal(p->nr_modules, 2);
	assert_string_equal(p->modules[0], "m1 a b");
	assert_string_equal(p->modules[1], "k.elf");
	assert_int_equal(p->console, CONSOLE_COM2);
	assert_int_equal(p->slice_us, 500);
	assert_int_equal(p->on_exit, ON_EXIT_STOP);
	assert_false(p->has_load_address);
	p++;
	assert_int_equal(p->boot, BOOT_FLAT);
	assert_true(p->has_load_address);
	assert_int_equal(p->load_address, 0x100000);
	assert_int_equal(p->flat_mode, FLAT_LONG);
}

/* Every row: a configuration and all that is wrong with it */
static const struct {
	const char *spec, *faults;
} rows[] = {
	/* form */
	{ LINUX "; colour=red", "[linux] colour: unknown property" },
	{ "a:", "[a] cpus: missing, expected 1 to 16 CPU numbers from 0 to 63, as in <0>\n"
		"[a] memory: missing, expected MiB as a number from 1 to 1048576, as in <512>\n"
		"[a] boot: missing, expected \"linux\", \"multiboot\", \"pvh\" or \"flat\"\n"
		"[a] kernel: missing, expected a file name of 1 to 127 characters" },
	{ "a: cpus=<64>; memory=<4>; boot=pvh; kernel=k.elf",
	  "[a] cpus: expected 1 to 16 CPU numbers from 0 to 63, as in <0>" },
	{ "a: cpus; memory=<4>; boot=pvh; kernel=k.elf",
	  "[a] cpus: expected 1 to 16 CPU numbers from 0 to 63, as in <0>" },
	{ "a: cpus=x; memory=<4>; boot=pvh; kernel=k.elf",
	  "[a] cpus: expected 1 to 16 CPU numbers from 0 to 63, as in <0>" },
	{ "a: cpus=<0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16>; memory=<4>; boot=pvh; kernel=k.elf",
	  "[a] cpus: expected 1 to 16 CPU numbers from 0 to 63, as in <0>" },
	{ "a: cpus=<0 64>; memory=<4>; boot=pvh; kernel=k.elf",
	  "[a] cpus: expected 1 to 16 CPU numbers from 0 to 63, as in <0>" },
	{ "a: cpus=<0>; memory=<0>; boot=pvh; kernel=k.elf",
	  "[a] memory: expected MiB as a number from 1 to 1048576, as in <512>" },
	{ "a: cpus=<0>; memory=<1 2>; boot=pvh; kernel=k.elf",
	  "[a] memory: expected MiB as a number from 1 to 1048576, as in <512>" },
	{ "a: cpus=<0>; memory=<0x100001>; boot=pvh; kernel=k.elf",
	  "[a] memory: expected MiB as a number from 1 to 1048576, as in <512>" },
	{ "a: cpus=<0>; memory=big; boot=pvh; kernel=k.elf",
	  "[a] memory: expected MiB as a number from 1 to 1048576, as in <512>" },
	{ "a: cpus=<0>; memory=<4>; boot=grub; kernel=k.elf",
	  "[a] boot: expected \"linux\", \"multiboot\", \"pvh\" or \"flat\"" },
	{ "a: cpus=<0>; memory=<4>; boot=lin; kernel=k.elf",
	  "[a] boot: expected \"linux\", \"multiboot\", \"pvh\" or \"flat\"" },
	{ "a: cpus=<0>; memory=<4>; boot=<1>; kernel=k.elf",
	  "[a] boot: expected \"linux\", \"multiboot\", \"pvh\" or \"flat\"" },
	{ "a: cpus=<0>; memory=<4>; boot=pvh; kernel=",
	  "[a] kernel: expected a file name of 1 to 127 characters" },
	{ "a: cpus=<0>; memory=<4>; boot=pvh; kernel=k.elf|vmlinuz",
	  "[a] kernel: expected a file name of 1 to 127 characters" },
	{ "a: cpus=<0>; memory=<4>; boot=pvh; kernel=<5>",
	  "[a] kernel: expected a file name of 1 to 127 characters" },
	{ MB "; modules", "[mb] modules: expected 1 to 16 strings \"file args\" of at most 255 characters" },
	{ MB "; modules=m1|m1|m1|m1|m1|m1|m1|m1|m1|m1|m1|m1|m1|m1|m1|m1|m1",
	  "[mb] modules: expected 1 to 16 strings \"file args\" of at most 255 characters" },
	{ LINUX "; cmdline=a\tb", "[linux] cmdline: expected a string of at most 2047 characters" },
	{ LINUX "; on-exit=reboot", "[linux] on-exit: expected \"stop\" or \"shutdown\"" },
	{ LINUX "; console=com3", "[linux] console: expected \"com1\" or \"com2\"" },
	{ LINUX "; slice-us=<99>", "[linux] slice-us: expected microseconds as a number from 100 to 1000000" },
	{ LINUX "; debug-exit=<0x10000>", "[linux] debug-exit: expected a port from 0 to 0xffff, as in <0xf4>" },
	{ FLAT "; load-address=<0>; flat-mode=smm", 
	  "[f] flat-mode: expected \"real\", \"protected\" or \"long\"" },
	/* meaning */
	{ "", "partitions: there is none: nothing to run" },
	{ "A: cpus=<0>; memory=<4>; boot=pvh; kernel=k.elf",
	  "[A] a partition's name is 1 to 31 of a-z, 0-9 and '-'" },
	{ "a@1: cpus=<0>; memory=<4>; boot=pvh; kernel=k.elf",
	  "[a@1] a partition's name is 1 to 31 of a-z, 0-9 and '-'" },
	{ "abcdefghijabcdefghijabcdefghij-1: cpus=<0>; memory=<4>; boot=pvh; kernel=k.elf",
	  "[abcdefghijabcdefghijabcdefghij-1] a partition's name is 1 to 31 of a-z, 0-9 and '-'" },
	{ "a\x1b" "b: cpus=<0>; memory=<4>; boot=pvh; kernel=k.elf",
	  "[a?b] a partition's name is 1 to 31 of a-z, 0-9 and '-'" },
	{ MB "\n" MB, "[mb] two partitions have this name" },
	{ "a: cpus=<2>; memory=<4>; boot=pvh; kernel=k.elf",
	  "[a] cpus: no CPU 2: this machine has 2, numbered from 0" },
	{ "a: cpus=<0 0>; memory=<4>; boot=pvh; kernel=k.elf",
	  "[a] cpus: CPU 0 is named twice" },
	{ "a: cpus=<0>; memory=<900>; boot=pvh; kernel=k.elf\n" LINUX "\n" MB,
	  "[linux] memory: 512 MiB wanted, 100 MiB available (1000 for all partitions)" },
	{ "a: cpus=<0>; memory=<4>; boot=pvh; kernel=nix",
	  "[a] kernel: no file \"nix\" among the boot modules" },
	{ "a: cpus=<0>; memory=<4>; boot=pvh; kernel=k.el",
	  "[a] kernel: no file \"k.el\" among the boot modules" },
	{ "a: cpus=<0>; memory=<4>; boot=pvh; kernel=empty", "[a] kernel: the file \"empty\" is empty" },
	{ LINUX "; initrd=nix", "[linux] initrd: no file \"nix\" among the boot modules" },
	{ MB "; modules=m1 x|nix y z", "[mb] modules: no file \"nix\" among the boot modules" },
	{ "a: cpus=<0>; memory=<4>; boot=linux; kernel=vmlinuz",
	  "[a] kernel: a file of 8192 KiB does not fit into 4 MiB of memory" },
	{ LINUX "; initrd=huge",
	  "[linux] memory: kernel, initrd and modules of 622592 KiB do not fit into 512 MiB" },
	{ MB "; initrd=m1", "[mb] initrd: only for boot = \"linux\"; others take modules" },
	{ LINUX "; modules=m1", "[linux] modules: only for boot = \"multiboot\" or \"pvh\"" },
	{ FLAT "; modules=m1; load-address=<0>; flat-mode=real",
	  "[f] modules: only for boot = \"multiboot\" or \"pvh\"" },
	{ MB "; load-address=<0>; flat-mode=real",
	  "[mb] load-address: only for boot = \"flat\"\n[mb] flat-mode: only for boot = \"flat\"" },
	{ FLAT, "[f] load-address: missing: boot = \"flat\" needs it\n"
		"[f] flat-mode: missing: boot = \"flat\" needs it" },
	{ FLAT "; load-address=<0x100000>; flat-mode=real",
	  "[f] load-address: real mode reaches only the first MiB" },
	{ FLAT "; load-address=<0x3f0001>; flat-mode=long",
	  "[f] load-address: the kernel would not end within 4 MiB, nor below 3 GiB" },
	{ FLAT "; load-address=<0x3f0000>; flat-mode=long", "" },
	{ "a: cpus=<0>; memory=<1>; boot=flat; kernel=huge; load-address=<0>; flat-mode=long",
	  "[a] kernel: a file of 614400 KiB does not fit into 1 MiB of memory" },
	{ MB "; console=com1\na: cpus=<0>; memory=<4>; boot=pvh; kernel=k.elf; console=com1",
	  "[a] console: partition mb has this port already" },
	{ MB "; console=com1\na: cpus=<0>; memory=<4>; boot=pvh; kernel=k.elf; console=com2", "" },
	{ MB "; debug-exit=<0x60f>", "[mb] debug-exit: port 0x60f belongs to the platform (ACPI); a free one is 0xf4" },
	{ MB "; debug-exit=<0xe7>; test-device",
	  "[mb] debug-exit: port 0xe7 belongs to the platform (test device); a free one is 0xf4" },
	{ MB "; debug-exit=<0x2017>; test-device",
	  "[mb] debug-exit: port 0x2017 belongs to the platform (test device); a free one is 0xf4" },
	{ MB "; debug-exit=<0x2018>; test-device", "" },
	{ MB "; test-device=<1>", "[mb] test-device: expected no value, as in test-device;" },
};

#define THREE LINUX "\n" MB "\nc: cpus=<0>; memory=<4>; boot=multiboot; kernel=k.elf\n"
#define WAYS  "size=<64>; both-ways=linux|mb"

static void test_channels(void **state)
{
	(void)state;
	assert_string_equal(verdict(THREE "@to-mb: size=<1024>; writer=linux; readers=mb|c\n"
				    "@all: size=<4>; both-ways=c|mb|linux"), "");
	assert_int_equal(cfg.nr_channels, 2);
	const struct channel_config *c = &cfg.channels[0];
	assert_string_equal(c->name, "to-mb");
	assert_int_equal(c->size_kib, 1024);
	assert_int_equal(channel_nr_members(c), 3);
	assert_string_equal(channel_member(c, 0), "linux");
	assert_string_equal(channel_member(c, 2), "c");
	assert_true(channel_can_write(c, 0));
	assert_false(channel_can_write(c, 1));
	c++;
	assert_int_equal(channel_nr_members(c), 3);
	assert_string_equal(channel_member(c, 0), "c");
	assert_string_equal(channel_member(c, 2), "linux");
	assert_true(channel_can_write(c, 2));
	assert_string_equal(verdict(MB), "");
	assert_int_equal(cfg.nr_channels, 0);
}

static const struct {
	const char *spec, *faults;
} channel_rows[] = {
	{ "@x:", "[channels/x] size: missing, expected KiB as a number from 4 to 32768, as in <64>\n"
		 "[channels/x] writer: missing: a channel has a writer, or both-ways" },
	{ "@x: size=<2>; both-ways=linux|mb",
	  "[channels/x] size: expected KiB as a number from 4 to 32768, as in <64>" },
	{ "@x: size=<65536>; both-ways=linux|mb",
	  "[channels/x] size: expected KiB as a number from 4 to 32768, as in <64>" },
	{ "@x: size=<12>; both-ways=linux|mb", "[channels/x] size: 12 KiB are not a power of two" },
	{ "@x: size=<64>; writer=linux", "[channels/x] readers: missing: nobody would see what is written" },
	{ "@x: size=<64>; readers=linux", "[channels/x] writer: missing: a channel has a writer, or both-ways" },
	{ "@x: size=<64>; writer=linux; readers=linux", "[channels/x] readers: partition linux is the writer" },
	{ "@x: size=<64>; writer=linux; readers=mb|mb", "[channels/x] readers: partition mb is named twice" },
	{ "@x: size=<64>; writer=nobody; readers=mb|some",
	  "[channels/x] writer: no partition \"nobody\"\n[channels/x] readers: no partition \"some\"" },
	{ "@x: size=<64>; both-ways=linux", "[channels/x] both-ways: one partition alone has nobody to share with" },
	{ "@x: size=<64>; both-ways=linux|linux", "[channels/x] both-ways: partition linux is named twice" },
	{ "@x: " WAYS "; writer=c; readers=linux", "[channels/x] both-ways: not together with writer and readers" },
	{ "@x: size=<64>; writer=linux|mb; readers=c", "[channels/x] writer: expected a partition's name" },
	{ "@x: size=<64>; writer=linux; readers=<1>", "[channels/x] readers: expected 1 to 7 names of partitions" },
	{ "@x: size=<64>; both-ways=a|b|c|d|e|f|g|h|i",
	  "[channels/x] both-ways: expected 2 to 8 names of partitions" },
	{ "@x: " WAYS "; reader=c", "[channels/x] reader: unknown property" },
	{ "@X: " WAYS, "[channels/X] a channel's name is 1 to 31 of a-z, 0-9 and '-'" },
	{ "@x: " WAYS "\n@x: " WAYS, "[channels/x] two channels have this name" },
};

static void test_channel_faults(void **state)
{
	char spec[1024];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(channel_rows); i++) {
		snprintf(spec, sizeof(spec), THREE "%s", channel_rows[i].spec);
		assert_string_equal(verdict(spec), channel_rows[i].faults);
	}
}

/* 9 channels in one partition, 33 in all; 1000 MiB less what partitions have */
static void test_channel_limits(void **state)
{
	char spec[8192] = THREE;
	(void)state;
	for (int i = 0; i < 9; i++) {
		sprintf(spec + strlen(spec), "@c%d: size=<4>; writer=mb; readers=%s\n", i, i < 8 ? "c" : "linux");
	}
	assert_string_equal(verdict(spec), "[channels/c8] writer: partition mb is in more than 8 channels");
	strcpy(spec, THREE);
	for (int i = 0; i < 33; i++) {
		sprintf(spec + strlen(spec), "@c%d: size=<4>; writer=mb; readers=c\n", i);
	}
	verdict(spec);
	assert_string_equal(faults.fault[0].text, "too many: at most 32");
	assert_int_equal(cfg.nr_channels, 32);
	assert_string_equal(verdict("mb: cpus=<0>; memory=<999>; boot=pvh; kernel=k.elf\n"
				    "c: cpus=<0>; memory=<1>; boot=pvh; kernel=k.elf\n"
				    "@x: size=<4>; both-ways=c|mb"),
			    "[channels/x] size: 4 KiB wanted, partitions and channels before leave 0 KiB");
	assert_string_equal(verdict("mb: cpus=<0>; memory=<998>; boot=pvh; kernel=k.elf\n"
				    "c: cpus=<0>; memory=<1>; boot=pvh; kernel=k.elf\n"
				    "@x: size=<1024>; both-ways=c|mb\n@y: size=<4>; both-ways=c|mb"),
			    "[channels/y] size: 4 KiB wanted, partitions and channels before leave 0 KiB");
}

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_string_equal(verdict(rows[i].spec), rows[i].faults);
	}
}

/* The ports where the virtual platform answers, spelled out once more */
static void test_debug_exit_ports(void **state)
{
	static const u16 taken[][2] = { { 0x20, 2 },  { 0x40, 4 }, { 0x60, 5 },	 { 0x70, 2 },
					{ 0x80, 1 },  { 0x92, 1 }, { 0xa0, 2 },	 { 0x3f8, 8 },
					{ 0x4d0, 2 }, { 0x600, 16 }, { 0xcf8, 8 } };
	static bool is_taken[0x1000];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		memset(is_taken + taken[i][0], 1, taken[i][1]);
	}
	verdict(MB "; debug-exit=<0>");
	for (u16 port = 0; port < 0x1000; port++) {
		memset(&faults, 0, sizeof(faults));
		cfg.partitions[0].debug_exit = port;
		config_check(&cfg, &machine, &faults);
		assert_int_equal(faults.nr, is_taken[port]);
	}
}

static void test_flag(void **state)
{
	(void)state;
	verdict(MB);
	assert_false(cfg.partitions[0].has_test_device);
	verdict(MB "; test-device");
	assert_true(cfg.partitions[0].has_test_device);
	assert_false(cfg.partitions[0].has_post_port);
	verdict(MB "; post-port");
	assert_true(cfg.partitions[0].has_post_port);
}

/* CPUs 0 and 2 are one core, 1 and 3 another: as firmware often numbers them */
static void test_threads(void **state)
{
	static const u8 core[CONFIG_MAX_CPUS] = { 0, 1, 0, 1 };
	static const struct {
		const char *a, *b, *fault;
	} row[] = {
		{ "<0>", "<1>", "" }, { "<0>", "<0>", "" }, { "<0 2>", "<1 3>", "" },
		{ "<0>; allow-smt-sharing", "<2>; allow-smt-sharing", "" },
		{ "<0>", "<2>", "[b] cpus: CPU 2 shares a core with CPU 0 of a; see allow-smt-sharing" },
		{ "<3>; allow-smt-sharing", "<0 1>",
		  "[b] cpus: CPU 1 shares a core with CPU 3 of a; see allow-smt-sharing" },
		{ "<3>", "<1>; allow-smt-sharing",
		  "[b] cpus: CPU 1 shares a core with CPU 3 of a; see allow-smt-sharing" },
	};
	struct config_machine m = machine;
	(void)state;
	m.nr_cpus = 4;
	for (u32 i = 0; i < ARRAY_SIZE(row) * 2; i++) {
		char text[256];
		snprintf(text, sizeof(text), "a: memory=<4>; boot=pvh; kernel=k.elf; cpus=%s\n"
			 "b: memory=<4>; boot=pvh; kernel=k.elf; cpus=%s", row[i / 2].a, row[i / 2].b);
		m.core = i & 1 ? core : NULL; /* not known: not judged */
		parse(blob, build(text));
		config_check(&cfg, &m, &faults);
		assert_string_equal(texts(), i & 1 ? row[i / 2].fault : "");
	}
	/* the table says nothing of a CPU that is not there */
	parse(blob, build("a: memory=<4>; boot=pvh; kernel=k.elf; cpus=<0>\nb: memory=<4>; boot=pvh; kernel=k.elf; cpus=<4>"));
	config_check(&cfg, &m, &faults);
	assert_string_equal(texts(), "[b] cpus: no CPU 4: this machine has 4, numbered from 0");
}

static void test_unknown_machine(void **state)
{
	struct config_machine unknown = machine;
	(void)state;
	unknown.nr_cpus = 0;
	unknown.memory_mib = 0;
	parse(blob, build("a: cpus=<63>; memory=<9999>; boot=pvh; kernel=k.elf"));
	config_check(&cfg, &unknown, &faults);
	assert_string_equal(texts(), "");
}

/* Trees that our own writer above does not make */
static const char *raw(void (*body)(void))
{
	fdt_create(blob, sizeof(blob));
	fdt_finish_reservemap(blob);
	fdt_begin_node(blob, "");
	body();
	fdt_end_node(blob);
	assert_int_equal(fdt_finish(blob), 0);
	parse(blob, fdt_totalsize(blob));
	return texts();
}

static void body_empty(void)
{
}

static void body_strange(void)
{
	fdt_property_string(blob, "compatible", "bulkhead,system-2");
	fdt_property_u32(blob, "version", 1);
	fdt_begin_node(blob, "partitions");
	fdt_property_u32(blob, "all", 1);
	fdt_begin_node(blob, "a");
	fdt_begin_node(blob, "sub");
	fdt_end_node(blob);
	fdt_end_node(blob);
	fdt_end_node(blob);
	fdt_begin_node(blob, "cpus");
	fdt_end_node(blob);
}

static void test_strange_trees(void **state)
{
	(void)state;
	assert_string_equal(raw(body_empty),
			    "compatible: expected \"bulkhead,system-1\" in the root node");
	const char *text = raw(body_strange);
	assert_non_null(strstr(text, "compatible: expected \"bulkhead,system-1\" in the root node\n"));
	assert_non_null(strstr(text, "\nversion: unknown property in the root node\n"));
	assert_non_null(strstr(text, "\nall: unknown property in /partitions\n"));
	assert_non_null(strstr(text, "\n[a] sub: unknown node\n"));
	assert_non_null(strstr(text, "\ncpus: unknown node, expected \"partitions\", \"schedules\" or \"channels\""));
}

static void test_limits(void **state)
{
	static char spec[8192];
	(void)state;
	for (int i = 0; i < 66; i++) {
		sprintf(spec + strlen(spec), "p%d: cpus=<0>; memory=<1>; boot=pvh; kernel=k.elf\n", i);
	}
	assert_string_equal(verdict(spec), "[p64] too many partitions: at most 64");
	assert_int_equal(cfg.nr_partitions, 64);
	spec[0] = 0;
	for (int i = 0; i < 20; i++) {
		sprintf(spec + strlen(spec), "p%d:\n", i);
	}
	verdict(spec);
	assert_int_equal(faults.nr, 80); /* the table holds 64, the rest is counted */
	assert_string_equal(faults.fault[63].property, "kernel");
}

static void test_damaged(void **state)
{
	static char bad[sizeof(blob)];
	size_t len = build(LINUX "; initrd=initrd.img\n" MB "; modules=m1|m1\n"
			   "@a: size=<64>; writer=linux; readers=mb\n@b: size=<4>; both-ways=mb|linux");
	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		char *exact = malloc(cut ? cut : 1);
		memcpy(exact, blob, cut);
		parse(exact, cut);
		assert_int_equal(faults.nr, 1);
		assert_non_null(strstr(texts(), "not a device tree blob, or damaged: "));
		assert_int_equal(cfg.nr_partitions, 0);
		free(exact);
	}
	for (size_t bit = 0; bit < 8 * len; bit++) {
		memcpy(bad, blob, len);
		bad[bit / 8] ^= (char)(1 << bit % 8);
		parse(bad, len);
		config_check(&cfg, &machine, &faults);
	}
	memcpy(bad, blob, len);
	fdt_set_version(bad, 16);
	fdt_set_last_comp_version(bad, 16);
	parse(bad, len);
	assert_string_equal(texts(), "device tree blob of version 16, expected 17");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),	       cmocka_unit_test(test_faults),
		cmocka_unit_test(test_debug_exit_ports), cmocka_unit_test(test_flag), cmocka_unit_test(test_unknown_machine), cmocka_unit_test(test_threads),
		cmocka_unit_test(test_strange_trees),  cmocka_unit_test(test_limits),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_channels),       cmocka_unit_test(test_channel_faults),
		cmocka_unit_test(test_channel_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
