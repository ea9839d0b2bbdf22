/* SPDX-License-Identifier: BSD-2-Clause */
/* Between trap.S, trap.c and crash.c: what an interrupt or exception leaves on the stack. */
#ifndef BULKHEAD_TRAP_H
#define BULKHEAD_TRAP_H

#include "types.h"

#define NR_TRAP_REGS 15
struct trap_frame {
	u64 regs[NR_TRAP_REGS]; /* r15 .. r8, rdi, rsi, rbp, rbx, rdx, rcx, rax */
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss; /* pushed by the CPU */
};
static_assert(sizeof(struct trap_frame) == 22 * 8, "trap.S");

struct table_ptr { /* operand of LGDT and LIDT */
	u16 limit;
	u64 base;
} __attribute__((packed));

#define TRAP_STUB_SIZE 16
extern const u8 trap_stubs[256][TRAP_STUB_SIZE];

/* An instruction that may raise #GP, and where to go on: written by x86/insn.h */
struct ex_entry {
	u64 insn, resume;
};
extern const struct ex_entry ex_table[], ex_table_end[];

/** irq_wait() - HLT until a host interrupt came and was handled; IF=0 before and after. In trap.S. */
void irq_wait(void);
extern const u8 irq_wait_hlt[]; /* the HLT in it, one byte */

/** irq_take() - a host interrupt has made a VM exit: what the CPU has acknowledged; 0: it is still pending. IF=0. */
void irq_take(u8 vector);

/** trap_handle() - called by trap.S for every vector. */
void trap_handle(struct trap_frame *f);

/** cpu_load_tables() - LGDT, LIDT, LTR; reloads CS, SS, DS, ES. In trap.S. */
void cpu_load_tables(const struct table_ptr *gdt, const struct table_ptr *idt);

/** idt_ptr() - the IDT, built at the first call. */
const struct table_ptr *idt_ptr(void);

/**
 * crash() - the record of an exception that nobody expected, on the console and for the next boot; then
 * the end of all CPUs, or with crash=reset on the command line a reset of the machine
 */
void crash(const struct trap_frame *f) noreturn_fn;

/** crash_find() - log what the last boot's crash has left, if any. Once, when memory is there. */
void crash_find(const char *cmdline);

/**
 * crash_test() - HC_TEST_CRASH: crash by @kind, HC_CRASH_*
 *
 * Not if there was a crash before this boot: a machine that resets must not do so for ever. Return: HC_EAGAIN
 * then, or HC_EINVAL.
 */
s64 crash_test(u64 kind);

#endif
