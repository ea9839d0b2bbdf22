// SPDX-License-Identifier: BSD-2-Clause
/*
 * A plugin for QEMU's TCG (plugin API 1, QEMU 4.2 to 8): counts executed instructions, all and those whose virtual
 * address is within lo to hi (the hypervisor's code), from the first time that the one at `start` is executed to the
 * first time after that of the one at `stop`, and writes both numbers to `out`. Arguments: lo, hi, start, stop in
 * hexadecimal, out=FILE. Debian has no package with qemu-plugin.h; what is declared here is from
 * docs/devel/tcg-plugins.rst. For tools/bench_boot.py.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { NO_REGS = 0, INLINE_ADD_U64 = 0 };
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*cb)(unsigned vcpu, void *data),
					    int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *ptr, uint64_t imm);
EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

EXPORT int qemu_plugin_version = 1;

static uint64_t lo, hi, start, stop, all, within, all0, within0;
static const char *out = "count.log";
static enum { BEFORE, COUNTING, DONE } state;

static void at_start(unsigned vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	if (state == BEFORE) {
		all0 = all;
		within0 = within;
		state = COUNTING;
	}
}

static void at_stop(unsigned vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	if (state != COUNTING) {
		return;
	}
	state = DONE;
	FILE *f = fopen(out, "w");
	if (f) {
		fprintf(f, "all=%llu hypervisor=%llu\n", (unsigned long long)(all - all0),
			(unsigned long long)(within - within0));
		fclose(f);
	}
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t at = qemu_plugin_insn_vaddr(insn);
		qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &all, 1);
		if (at >= lo && at < hi) {
			qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &within, 1);
		}
		if (at == start) {
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_start, NO_REGS, NULL);
		}
		if (at == stop) {
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_stop, NO_REGS, NULL);
		}
	}
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	const struct {
		const char *key;
		uint64_t *value;
	} numbers[] = { { "lo=", &lo }, { "hi=", &hi }, { "start=", &start }, { "stop=", &stop } };
	(void)info;
	for (int i = 0; i < argc; i++) {
		for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
			if (!strncmp(argv[i], numbers[k].key, strlen(numbers[k].key))) {
				*numbers[k].value = strtoull(argv[i] + strlen(numbers[k].key), NULL, 16);
			}
		}
		if (!strncmp(argv[i], "out=", 4)) {
			out = argv[i] + 4;
		}
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
