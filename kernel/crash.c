/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end by our own fault: freeze the other CPUs, write one record, halt or reset. Trusts nothing but the
 * log and its own stack. trap.c and failed assertions lead here. What the record of the last boot says is
 * told by this one.
 */
#include "abi/hypercall.h"
#include "console.h"
#include "cpu.h"
#include "drivers/lapic.h"
#include "drivers/reset.h"
#include "lib/lib.h"
#include "log.h"
#include "record.h"
#include "run.h"
#include "trap.h"
#include "x86/insn.h"

#define NR_STACK_WORDS 16

static const char *const reg_names[NR_TRAP_REGS] = {
	"r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8",
	"rdi", "rsi", "rbp", "rbx", "rdx", "rcx", "rax",
};

static bool is_crashing; /* atomic: the first one writes */
static struct record *record; /* NULL = nowhere */
static bool had_crash, resets; /* before this boot; after the next one */

/* @words of 64 bits with their names, or without, four a line */
static void log_words(const char *const *names, const u64 *words, u32 nr)
{
	char line[160];

	for (u32 i = 0; i < nr; i += 4) {
		size_t len = 0;
		for (u32 k = i; k < nr && k < i + 4; k++) {
			len += format(line + len, sizeof(line) - len, " %s=%016lx",
				      names ? names[k] : "stack", words[k]);
		}
		log("crash:%s", line);
	}
}

static void to_both(void *self, const char *text, size_t len)
{
	(void)self;
	record_add(record, text, len);
	console_line(text, len);
}

/* From now on the log goes into the record too. A BUG_ON has begun it, and its line is in it. */
static void keep_record(void)
{
	static const struct log_sink both = { .line = to_both };
	static bool is_kept;

	if (record && !is_kept) {
		is_kept = true;
		record_begin(record);
		log_set_sink(&both);
	}
}

void crash(const struct trap_frame *f)
{
	if (__atomic_exchange_n(&is_crashing, true, __ATOMIC_ACQ_REL)) {
		cpu_stop();
	}
	cpus_freeze();
	console_sync(true);
	keep_record();
	log("crash: cpu=%u vector=%lu error=%lx rip=%lx rsp=%lx rflags=%lx cr2=%lx",
	    this_cpu()->index, f->vector, f->error, f->rip, f->rsp, f->rflags, read_cr2());
	log_words(reg_names, f->regs, NR_TRAP_REGS);
	if (host_is_mapped(f->rsp, NR_STACK_WORDS * sizeof(u64))) {
		log_words(NULL, (const u64 *)f->rsp, NR_STACK_WORDS);
	}
	if (record) {
		record_seal(record);
	}
	console_sync(true);
	if (resets) {
		machine_reset(&machine.acpi, machine.host.time.tsc_hz);
	}
	cpu_stop();
}

/* Through #UD, so that the record shows the registers of the one who asked */
static void on_bug(const char *file, u32 line, const char *what)
{
	keep_record();
	log("crash: BUG_ON(%s) at %s:%u", what, file, line);
	__asm__ volatile("ud2");
}

void crash_init(void)
{
	bug_set_handler(on_bug);
}

/* Each line as it was, but that it says "previous" */
static void tell(const struct record *r)
{
	const char *at = r->text, *end = r->text + r->len;

	while (at < end) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		const char *text = strchr(at, ' '); /* behind our name */
		if (!nl || !text || text > nl) {
			return;
		}
		log("previous%.*s", (int)(nl - text), text);
		at = nl + 1;
	}
}

void crash_find(const char *cmdline)
{
	const char *value;
	int len = arg_find(cmdline, "crash", &value);

	resets = len == 5 && !memcmp(value, "reset", 5);
	record = host_memory.record.v ? phys_ptr(host_memory.record) : NULL;
	if (record && record_find(record)) {
		had_crash = true;
		tell(record);
	}
	if (record) {
		record_begin(record);
	}
}

/* No stack: pushing the page fault's frame faults as well */
static void double_fault(void)
{
	__asm__ volatile("xor %%esp, %%esp; push %%rax" : : : "memory");
}

s64 crash_test(u64 kind)
{
	if (had_crash) {
		return HC_EAGAIN;
	}
	switch (kind) {
	case HC_CRASH_BUG: BUG_ON(kind == HC_CRASH_BUG); break;
	case HC_CRASH_NMI: lapic_send(this_cpu()->apic_id, IPI_NMI); break;
	case HC_CRASH_DF: double_fault(); break;
	case HC_CRASH_MC: __asm__ volatile("int $18"); break;
	default: return HC_EINVAL;
	}
	return 0;
}
