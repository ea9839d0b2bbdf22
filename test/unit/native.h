/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bench for the emulator against this machine's CPU: run() has an instruction run natively on a buffer, and
 * in the emulator on a device at the same addresses that behaves as memory; registers, flags and memory must
 * then agree. In 64-, 32- and 16-bit code (the latter two by a far jump, where the kernel gives us the
 * segments), from values with fixed seeds. Include after cmocka.h, in one file of a program; what a test does
 * not use is no error.
 */
#ifndef BULKHEAD_TEST_NATIVE_H
#define BULKHEAD_TEST_NATIVE_H

#include <asm/ldt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"
#include "kernel/emulate.h"
#include "x86/regs.h"

#define STATUS_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define ALL	     STATUS_FLAGS /* of an instruction that leaves none undefined */

/* ---- the native side ---- */

u64 native_regs[16], native_flags, native_rsp;
u32 native_data; /* selector for DS, ES, SS, 0 = leave them: 64-bit code does not look at them */
void *native_code;
void native_run(void), native_back(void);

/* All GPRs from native_regs, flags, then native_code, which jumps back to native_back */
#define EACH_REG(X) X(rax, 0) X(rcx, 1) X(rdx, 2) X(rbx, 3) X(rbp, 5) X(rsi, 6) X(rdi, 7) X(r8, 8) \
	X(r9, 9) X(r10, 10) X(r11, 11) X(r12, 12) X(r13, 13) X(r14, 14) X(r15, 15) X(rsp, 4)
#define LOAD(r, n)  "mov native_regs + 8 * " #n "(%rip), %" #r "\n\t"
#define STORE(r, n) "mov %" #r ", native_regs + 8 * " #n "(%rip)\n\t"
#define DATA_SEGS   "mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n\t"
__asm__(".text\n\t.globl native_run, native_back\n"
	"native_run:\n\t"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n\t"
	"mov %rsp, native_rsp(%rip)\n\t"
	"mov native_data(%rip), %eax; mov %eax, %ecx; jecxz 1f\n\t" DATA_SEGS
	"1:\n\t"
	"mov native_rsp(%rip), %rsp\n\t"
	"pushq native_flags(%rip); popf\n\t" EACH_REG(LOAD) "jmp *native_code(%rip)\n"
	"native_back:\n\t" EACH_REG(STORE) "mov native_data(%rip), %ecx; jecxz 1f\n\t"
	"mov $0x2b, %eax\n\t" DATA_SEGS
	"1:\n\t"
	"mov native_rsp(%rip), %rsp\n\t"
	"pushf; popq native_flags(%rip)\n\t"
	"cld\n\t"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n\tret\n");

#define BUF	  0x30000000ull /* below 2 GiB, so that disp32 and 32-bit addresses reach */
#define BUF_LEN	  0x4000
#define CODE	  0x31000000ull
#define CODE_LEN  0x1000
#define FAR_PTR	  0x800 /* in the code page: where native_code's jump goes in 32- and 16-bit code */
#define FAR_JUMP  0x810
#define BACK_JUMP 0x820
#define SEL_32	  0x23 /* Linux' own for 32-bit code, 64-bit code and data */
#define SEL_64	  0x33
#define SEL_DATA  0x2b
#define SEL_LDT(n) ((n) << 3 | 7)
static u8 *const buf = (u8 *)BUF, *const code = (u8 *)CODE;
static const enum insn_mode modes[] = { MODE_64, MODE_32, MODE_16 };
static u32 nr_modes; /* those that this kernel lets programs run in */

/* 16-bit segments: code at CODE, data at BUF; without them there is no test of 16-bit code */
static maybe_unused bool make_segments(void)
{
	struct user_desc cs = { .entry_number = 0, .base_addr = CODE, .limit = 0xffff,
				.contents = MODIFY_LDT_CONTENTS_CODE, .useable = 1 };
	struct user_desc ds = { .entry_number = 1, .base_addr = BUF, .limit = 0xffff, .useable = 1 };
	return !syscall(SYS_modify_ldt, 0x11, &cs, sizeof(cs)) &&
	       !syscall(SYS_modify_ldt, 0x11, &ds, sizeof(ds));
}

static maybe_unused void append(u8 **at, const void *bytes, size_t n)
{
	memcpy(*at, bytes, n);
	*at += n;
}

/* Behind the instruction: a jump to native_back. Before it: what native_run jumps to */
static maybe_unused void wrap(u8 *end, enum insn_mode mode)
{
	void (*back)(void) = native_back;
	u32 far = CODE + FAR_PTR, back_jump = CODE + BACK_JUMP;
	struct {
		u32 offset;
		u16 sel;
	} target = { mode == MODE_16 ? 0 : CODE, mode == MODE_16 ? SEL_LDT(0) : SEL_32 };
	u16 sel_64 = SEL_64;
	u8 *at = code + BACK_JUMP;
	append(&at, "\xff\x25\0\0\0\0", 6); /* jmp [rip] */
	append(&at, &back, 8);
	memcpy(code + FAR_PTR, &target, 6);
	at = code + FAR_JUMP;
	append(&at, "\xff\x2c\x25", 3); /* jmp far [disp32] */
	append(&at, &far, 4);
	if (mode == MODE_64) {
		append(&end, "\xff\x25\0\0\0\0", 6);
		append(&end, &back, 8);
	} else {
		append(&end, "\x66\xea", 2); /* jmp 0x33:BACK_JUMP, 32-bit offset */
		end -= mode == MODE_32 ? 2 : 0;
		append(&end, "\xea", mode == MODE_32);
		append(&end, &back_jump, 4);
		append(&end, &sel_64, 2);
	}
	native_code = code + (mode == MODE_64 ? 0 : FAR_JUMP);
	native_data = nr_modes == 1 ? 0 : mode == MODE_16 ? SEL_LDT(1) : SEL_DATA;
}

/*
 * Do the far jumps work? A kernel under a hypervisor that keeps no 32-bit segments for it (PVM) may kill
 * who takes them, not each time: so a child goes first, and often.
 */
static maybe_unused bool can_run(enum insn_mode mode)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		for (u32 i = 0; i < 50000; i++) {
			wrap(code, mode);
			native_run();
		}
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/*
 * Does a program live through an interrupt while RSP is not canonical? IRET takes it (SDM 2A "IRET"), but a kernel under PVM
 * cannot go back to it. Some hundred milliseconds, so that interrupts come.
 */
static maybe_unused bool can_hold_wild_rsp(void)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		__asm__ volatile("mov %%rsp, native_rsp(%%rip); mov %0, %%rsp; mov $300000000, %%ecx; 1: dec %%ecx; jnz 1b\n\t"
				 "mov native_rsp(%%rip), %%rsp" : : "r"(0xe1990803a4df463aull) : "rcx", "memory");
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool has_wild_rsp;

static maybe_unused bool is_wild(u64 rsp)
{
	return !has_wild_rsp && (u64)((s64)(rsp << 16) >> 16) != rsp;
}

/* ---- the emulated side ---- */

static u8 device[BUF_LEN]; /* the device's memory behind buf's address */
static u32 nr_reads, nr_writes;
static struct bus mmio, ports;
static struct gmem mem;
static struct insn_cache insns; /* the code changes all the time, at one address */
static struct vcpu_ops ops; /* the fake's, but EFER.LMA stays as the test set it */
static struct vcpu vcpu = { .ops = &ops };

static maybe_unused u64 device_read(void *self, u64 offset, u32 width)
{
	u64 v = 0;
	(void)self;
	nr_reads++;
	memcpy(&v, device + offset, width);
	return v | ~width_mask(width); /* upper bits are garbage */
}

static maybe_unused void device_write(void *self, u64 offset, u32 width, u64 value)
{
	(void)self;
	nr_writes++;
	memcpy(device + offset, &value, width);
}
static const struct vdev_ops device_ops = { .read = device_read, .write = device_write };

static maybe_unused int setup(void **state)
{
	(void)state;
	ops = fake_ops;
	ops.set = fake_set_raw;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	void *b = mmap(buf, BUF_LEN, PROT_READ | PROT_WRITE, flags, -1, 0);
	void *c = mmap(code, CODE_LEN, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0);
	if (b != buf || c != code || vcpu.ops->vcpu_init(&vcpu, NULL) != STATUS_OK) {
		return 1;
	}
	mem = (struct gmem){ .ext = { { GPA(CODE), HPA(CODE), CODE_LEN } }, .nr = 1 };
	has_wild_rsp = can_hold_wild_rsp();
	nr_modes = can_run(MODE_32) ? make_segments() && can_run(MODE_16) ? 3 : 2 : 1;
	return bus_attach(&mmio, &(struct bus_range){ BUF, BUF_LEN, "device", &device_ops, NULL, NULL }) !=
	       STATUS_OK;
}

static maybe_unused int teardown(void **state)
{
	(void)state;
	free(vcpu.hw);
	return 0;
}

/* Paging off, which no 64-bit CPU has, but address arithmetic does not care */
static maybe_unused void set_mode(enum insn_mode mode)
{
	struct fake *f = fake_of(&vcpu);
	u32 attr = mode == MODE_64 ? SEG_L : mode == MODE_32 ? SEG_DB : 0;
	u32 limit = mode == MODE_16 ? 0xffff : ~0u;
	memset(f, 0, sizeof(*f));
	f->reg[VREG_CR0] = CR0_PE;
	f->reg[VREG_EFER] = mode == MODE_64 ? EFER_LME | EFER_LMA : 0;
	u16 sel = mode == MODE_16 ? SEL_LDT(1) : SEL_DATA;
	for (enum seg s = SEG_ES; s <= SEG_GS; s++) {
		f->seg[s] = (struct segment){ .base = mode == MODE_16 ? BUF : 0, .limit = limit,
					      .attr = 0xf3 | attr,
					      .sel = nr_modes == 1 && s != SEG_SS ? 0 : sel };
	}
	f->seg[SEG_CS] = (struct segment){ .base = mode == MODE_16 ? CODE : 0, .limit = limit,
					   .attr = 0xfb | attr };
	f->reg[VREG_RIP] = mode == MODE_16 ? 0 : CODE;
}

/* ---- one against the other ---- */

/* @ext: ModRM.reg; -1: a register. @imm: 1, or 4 for one of the operand size. @map: 0, 0x0f, 0x38 */
struct form {
	const char *name;
	u8 map, opcode;
	s8 ext;
	u8 imm;
	u32 kind;
	u64 flags;
};

/* One encoding of a form, and where it reaches */
struct trial {
	const struct form *f;
	enum insn_mode mode;
	u32 size;
	u8 bytes[24];
	u32 len;
	u64 target; /* linear: of the operand, without BT's offset */
	u64 before; /* flags */
};

static maybe_unused u64 rng(void)
{
	static u64 s = 88172645463325252ull;
	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

static maybe_unused u32 pick(u32 n)
{
	return (u32)(rng() % n);
}

/* Small, large, equal: values at which flags change */
static maybe_unused u64 operand(void)
{
	static const u64 edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
				     0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000,
				     0xffffffffffffffff };
	u64 r = rng();
	return r & 1 ? edges[r / 2 % ARRAY_SIZE(edges)] : rng();
}

static maybe_unused void random_regs(const struct trial *t)
{
	for (u32 r = 0; r < 16; r++) {
		native_regs[r] = t->mode == MODE_64 ? operand() : r < 8 ? (u32)operand() : 0;
	}
	native_flags = RFLAGS_FIXED1 | RFLAGS_IF | (rng() & STATUS_FLAGS);
}

static maybe_unused void agree(const struct trial *t, const struct verdict *d)
{
	char text[64] = "";
	for (u32 i = 0; i < t->len; i++) {
		sprintf(text + 3 * i, "%02x ", t->bytes[i]);
	}
	if (d->kind != V_ADVANCE || d->insn_len != t->len) {
		fail_msg("%u-bit %s: %s: verdict %d %s len %u", t->mode * 8, t->f->name, text, d->kind, d->kind == V_KILL ? d->why : "",
			 d->insn_len);
	}
	for (u32 r = 0; r < 16; r++) {
		u64 mine = r == GPR_RSP ? fake_of(&vcpu)->reg[VREG_RSP] : vcpu.regs[r];
		if ((mine ^ native_regs[r]) & (t->mode == MODE_64 ? ~0ull : ~0u)) {
			fail_msg("%u-bit %s: %s: reg %u is %llx, should be %llx", t->mode * 8, t->f->name, text, r,
				 (unsigned long long)mine, (unsigned long long)native_regs[r]);
		}
	}
	u64 flags = fake_of(&vcpu)->reg[VREG_RFLAGS], mask = t->f->flags | RFLAGS_DF | RFLAGS_IF | RFLAGS_FIXED1;
	if ((flags ^ native_flags) & mask) {
		fail_msg("%u-bit %s: %s: flags %llx, should be %llx", t->mode * 8, t->f->name, text,
			 (unsigned long long)flags, (unsigned long long)native_flags);
	}
	if (memcmp(device, buf, BUF_LEN)) {
		fail_msg("%u-bit %s: %s: memory differs", t->mode * 8, t->f->name, text);
	}
}

/* Natively and emulated, from the same registers, flags and memory */
static maybe_unused void run(struct trial *t, u64 touched, bool is_write)
{
	struct emu e = { .v = &vcpu, .mem = &mem, .mmio = &mmio, .ports = &ports, .insns = &insns };
	struct exit_mmio x = { .addr = GPA(touched), .is_write = is_write };
	set_mode(t->mode);
	if (is_wild(native_regs[GPR_RSP])) {
		native_regs[GPR_RSP] &= BITS(46, 0);
	}
	memcpy(code, t->bytes, t->len);
	wrap(code + t->len, t->mode);
	memcpy(vcpu.regs, native_regs, sizeof(native_regs));
	fake_of(&vcpu)->reg[VREG_RSP] = native_regs[GPR_RSP];
	fake_of(&vcpu)->reg[VREG_RFLAGS] = native_flags;
	nr_reads = nr_writes = 0;
	struct verdict d = emulate_mmio(&e, &x);
	if (is_wild(fake_of(&vcpu)->reg[VREG_RSP])) {
		memcpy(buf, device, BUF_LEN);
		return;
	}
	native_run();
	agree(t, &d);
}

#endif
