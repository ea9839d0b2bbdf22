/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end by our own fault: freeze the other CPUs, write one record, halt. Trusts nothing but the
 * log and its own stack. trap.c and failed assertions lead here.
 */
#include "console.h"
#include "cpu.h"
#include "lib/lib.h"
#include "log.h"
#include "trap.h"
#include "x86/insn.h"

#define NR_STACK_WORDS 16

static const char *const reg_names[NR_TRAP_REGS] = {
	"r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8",
	"rdi", "rsi", "rbp", "rbx", "rdx", "rcx", "rax",
};

static bool is_crashing; /* atomic: the first one writes */

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

void crash(const struct trap_frame *f)
{
	if (__atomic_exchange_n(&is_crashing, true, __ATOMIC_ACQ_REL)) {
		cpu_stop();
	}
	cpus_freeze();
	console_sync(true);
	log("crash: cpu=%u vector=%lu error=%lx rip=%lx rsp=%lx rflags=%lx cr2=%lx",
	    this_cpu()->index, f->vector, f->error, f->rip, f->rsp, f->rflags, read_cr2());
	log_words(reg_names, f->regs, NR_TRAP_REGS);
	if (host_is_mapped(f->rsp, NR_STACK_WORDS * sizeof(u64))) {
		log_words(NULL, (const u64 *)f->rsp, NR_STACK_WORDS);
	}
	console_sync(true);
	cpu_stop();
}

/* Through #UD, so that the record shows the registers of the one who asked */
static void on_bug(const char *file, u32 line, const char *what)
{
	log("crash: BUG_ON(%s) at %s:%u", what, file, line);
	__asm__ volatile("ud2");
}

void crash_init(void)
{
	bug_set_handler(on_bug);
}
