// SPDX-License-Identifier: BSD-2-Clause
/*
 * The emulator against this machine's CPU: instructions run natively on a buffer, and in the emulator on a
 * device at the same addresses that behaves as memory; registers, flags and memory must then agree. Each
 * form runs in each operand size, each addressing and in 64-, 32- and 16-bit code (the latter two by a far
 * jump, where the kernel gives us the segments), with fixed seeds. What user code cannot show (faults,
 * pages, REP batches, ports) is in test_emulate.c.
 */
#include "kernel/emulate.h"
#include "kernel/partition.h"
#include "fake.h"
#include "x86/regs.h"
#include <asm/ldt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define STATUS_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

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
static bool make_segments(void)
{
	struct user_desc cs = { .entry_number = 0, .base_addr = CODE, .limit = 0xffff,
				.contents = MODIFY_LDT_CONTENTS_CODE, .useable = 1 };
	struct user_desc ds = { .entry_number = 1, .base_addr = BUF, .limit = 0xffff, .useable = 1 };
	return !syscall(SYS_modify_ldt, 0x11, &cs, sizeof(cs)) &&
	       !syscall(SYS_modify_ldt, 0x11, &ds, sizeof(ds));
}

static void append(u8 **at, const void *bytes, size_t n)
{
	memcpy(*at, bytes, n);
	*at += n;
}

/* Behind the instruction: a jump to native_back. Before it: what native_run jumps to */
static void wrap(u8 *end, enum insn_mode mode)
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
static bool can_run(enum insn_mode mode)
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

/* ---- the emulated side ---- */

static u8 device[BUF_LEN]; /* the device's memory behind buf's address */
static u32 nr_reads, nr_writes;
static struct bus mmio, ports;
static struct gmem mem;
static struct insn_cache insns; /* the code changes all the time, at one address */
static struct vcpu_ops ops; /* the fake's, but EFER.LMA stays as the test set it */
static struct vcpu vcpu = { .ops = &ops };

static u64 device_read(void *self, u64 offset, u32 width)
{
	u64 v = 0;
	(void)self;
	nr_reads++;
	memcpy(&v, device + offset, width);
	return v | ~width_mask(width); /* upper bits are garbage */
}

static void device_write(void *self, u64 offset, u32 width, u64 value)
{
	(void)self;
	nr_writes++;
	memcpy(device + offset, &value, width);
}
static const struct vdev_ops device_ops = { .read = device_read, .write = device_write };

static void set_reg(struct vcpu *v, enum vreg r, u64 value)
{
	fake_of(v)->reg[r] = value;
}

static int setup(void **state)
{
	(void)state;
	ops = fake_ops;
	ops.set = set_reg;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	void *b = mmap(buf, BUF_LEN, PROT_READ | PROT_WRITE, flags, -1, 0);
	void *c = mmap(code, CODE_LEN, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0);
	if (b != buf || c != code || vcpu.ops->vcpu_init(&vcpu, NULL) != STATUS_OK) {
		return 1;
	}
	mem = (struct gmem){ .ext = { { GPA(CODE), HPA(CODE), CODE_LEN } }, .nr = 1 };
	nr_modes = can_run(MODE_32) ? make_segments() && can_run(MODE_16) ? 3 : 2 : 1;
	return bus_attach(&mmio, &(struct bus_range){ BUF, BUF_LEN, "device", &device_ops, NULL, NULL }) !=
	       STATUS_OK;
}

static int teardown(void **state)
{
	(void)state;
	free(vcpu.hw);
	return 0;
}

/* Paging off, which no 64-bit CPU has, but address arithmetic does not care */
static void set_mode(enum insn_mode mode)
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

/* ---- forms ---- */

#define ALL	     STATUS_FLAGS
#define LOGIC	     (ALL & ~RFLAGS_AF) /* AF is undefined (SDM 2A "AND") */
#define BIT_FLAGS    (RFLAGS_CF | RFLAGS_ZF) /* the others are undefined (SDM 2A "BT") */
#define ROTATE	     (ALL & ~RFLAGS_OF) /* OF is undefined unless by 1 (SDM 2B "RCL/RCR/ROL/ROR") */
#define SHIFT	     (LOGIC & ~RFLAGS_OF)

enum kind {
	BYTES = 1,  /* the form exists for bytes */
	WORDS = 2,  /* and for operand sizes 2, 4, 8 */
	EVEN = 4,   /* bit 0 of the opcode chooses between them */
	BY_BIT = 8, /* a register is a bit offset, and reaches beyond the operand */
	LONG = 16,  /* 4 and 8 only */
	LOCKED = 32, /* LOCK is legal */
	WRITES = 64,
	PAIR = 128, /* CMPXCHG8B */
	STACK = 256,
	ONLY_64 = 512,
	FIXED = 1024, /* the operand size changes nothing in memory: MOV from a segment register */
};
#define BOTH  (BYTES | WORDS | EVEN)
#define STORE_ (BOTH | WRITES | LOCKED)

/* @ext: ModRM.reg; -1: a register. @imm: 1, or 4 for one of the operand size. @map: 0, 0x0f, 0x38 */
static const struct form {
	const char *name;
	u8 map, opcode;
	s8 ext;
	u8 imm;
	u32 kind;
	u64 flags;
} forms[] = {
#define ARITH(n, i, flags, st)                                                                            \
	{ n " m,r", 0, 8 * (i), -1, 0, BOTH | (st), flags }, { n " r,m", 0, 8 * (i) + 2, -1, 0, BOTH, flags }, \
	{ n " m,imm", 0, 0x80, i, 4, BOTH | (st), flags }, { n " m,imm8", 0, 0x83, i, 1, WORDS | (st), flags }
	ARITH("add", 0, ALL, WRITES | LOCKED), ARITH("or", 1, LOGIC, WRITES | LOCKED),
	ARITH("adc", 2, ALL, WRITES | LOCKED), ARITH("sbb", 3, ALL, WRITES | LOCKED),
	ARITH("and", 4, LOGIC, WRITES | LOCKED), ARITH("sub", 5, ALL, WRITES | LOCKED),
	ARITH("xor", 6, LOGIC, WRITES | LOCKED), ARITH("cmp", 7, ALL, 0),
	{ "test m,r", 0, 0x84, -1, 0, BOTH, LOGIC }, { "test m,imm", 0, 0xf6, 0, 4, BOTH, LOGIC },
	{ "xchg", 0, 0x86, -1, 0, STORE_, ALL }, { "mov m,r", 0, 0x88, -1, 0, BOTH | WRITES, ALL },
	{ "mov r,m", 0, 0x8a, -1, 0, BOTH, ALL }, { "mov m,imm", 0, 0xc6, 0, 4, BOTH | WRITES, ALL },
	{ "not", 0, 0xf6, 2, 0, STORE_, ALL }, { "neg", 0, 0xf6, 3, 0, STORE_, ALL },
	{ "inc", 0, 0xfe, 0, 0, STORE_, ALL }, { "dec", 0, 0xfe, 1, 0, STORE_, ALL },
	{ "movsxd", 0, 0x63, -1, 0, LONG | ONLY_64, ALL },
	{ "movzx r,m8", 0x0f, 0xb6, -1, 0, WORDS, ALL }, { "movzx r,m16", 0x0f, 0xb7, -1, 0, WORDS, ALL },
	{ "movsx r,m8", 0x0f, 0xbe, -1, 0, WORDS, ALL }, { "movsx r,m16", 0x0f, 0xbf, -1, 0, WORDS, ALL },
	{ "cmpxchg", 0x0f, 0xb0, -1, 0, STORE_, ALL }, { "xadd", 0x0f, 0xc0, -1, 0, STORE_, ALL },
	{ "cmpxchg8b", 0x0f, 0xc7, 1, 0, WRITES | LOCKED | PAIR, ALL },
	{ "movnti", 0x0f, 0xc3, -1, 0, LONG | WRITES, ALL },
	{ "movbe r,m", 0x38, 0xf0, -1, 0, WORDS, ALL }, { "movbe m,r", 0x38, 0xf1, -1, 0, WORDS | WRITES, ALL },
#define BITOP(n, op, i, st)                                                       \
	{ n " m,r", 0x0f, op, -1, 0, WORDS | BY_BIT | (st), BIT_FLAGS }, \
	{ n " m,imm8", 0x0f, 0xba, i, 1, WORDS | (st), BIT_FLAGS }
	BITOP("bt", 0xa3, 4, 0), BITOP("bts", 0xab, 5, WRITES | LOCKED),
	BITOP("btr", 0xb3, 6, WRITES | LOCKED), BITOP("btc", 0xbb, 7, WRITES | LOCKED),
#define SHIFTS(n, i, flags)                                                                           \
	{ n " m,1", 0, 0xd0, i, 0, BOTH | WRITES, (flags) | RFLAGS_OF }, \
	{ n " m,cl", 0, 0xd2, i, 0, BOTH | WRITES, flags }, { n " m,imm8", 0, 0xc0, i, 1, BOTH | WRITES, flags }
	SHIFTS("rol", 0, ROTATE), SHIFTS("ror", 1, ROTATE), SHIFTS("rcl", 2, ROTATE), SHIFTS("rcr", 3, ROTATE),
	SHIFTS("shl", 4, SHIFT), SHIFTS("shr", 5, SHIFT), SHIFTS("sar", 7, SHIFT),
	{ "push m", 0, 0xff, 6, 0, WORDS | STACK, ALL }, { "pop m", 0, 0x8f, 0, 0, WORDS | STACK | WRITES, ALL },
	{ "mov m,ds", 0, 0x8c, SEG_DS, 0, FIXED | WRITES, ALL },
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

static u64 rng(void)
{
	static u64 s = 88172645463325252ull;
	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

static u32 pick(u32 n)
{
	return (u32)(rng() % n);
}

/* Small, large, equal: values at which flags change */
static u64 operand(void)
{
	static const u64 edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
				     0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000,
				     0xffffffffffffffff };
	u64 r = rng();
	return r & 1 ? edges[r / 2 % ARRAY_SIZE(edges)] : rng();
}

static u32 has_reg(const struct form *f)
{
	return f->ext < 0;
}

/*
 * Registers are random, but those of the address, which give @t->target; returns ModRM, SIB and
 * displacement in @out. 16-bit addresses are relative to a segment at BUF.
 */
static u32 address_16(struct trial *t, u8 *out, u8 reg)
{
	static const s8 base[8] = { GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP, GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX };
	static const s8 index[8] = { GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI, -1, -1, -1, -1 };
	u32 mod = pick(3), rm = pick(8), n = 1;
	u16 offset = (u16)(t->target - BUF), disp = (u16)rng();
	disp = mod == 1 ? (u16)(s8)disp : mod == 2 ? disp : 0;
	out[0] = (u8)(mod << 6 | reg << 3 | rm);
	if (mod == 0 && rm == 6) {
		disp = offset;
		mod = 2;
	} else {
		u16 rest = (u16)(offset - disp), part = index[rm] >= 0 ? (u16)rng() : 0;
		native_regs[base[rm]] = (native_regs[base[rm]] & ~0xffffull) | (u16)(rest - part);
		if (index[rm] >= 0) {
			native_regs[index[rm]] = (native_regs[index[rm]] & ~0xffffull) | part;
		}
	}
	memcpy(out + n, &disp, mod);
	return n + mod;
}

/* @addr_size 4 or 8; sets REX.X and REX.B in *@rex. @room: bytes of the instruction behind these */
static u32 address_32(struct trial *t, u8 *out, u8 reg, u8 *rex, u32 addr_size, u32 room, u32 before)
{
	bool is_64 = t->mode == MODE_64;
	u32 mod = pick(3), nr = is_64 ? 16 : 8, n = 1;
	u32 base = pick(nr), index = pick(nr), scale = pick(4);
	bool has_sib = rng() & 1 || (base & 7) == GPR_RSP;
	bool has_index = has_sib && index != GPR_RSP, no_base = mod == 0 && (base & 7) == GPR_RBP;
	s32 disp = mod == 1 ? (s8)rng() : (s32)rng();
	u64 mask = width_mask(addr_size), offset = t->target - (t->mode == MODE_16 ? BUF : 0);
	if (has_index && index == base && !no_base) {
		has_index = false;
		index = GPR_RSP;
	}
	disp = mod == 0 ? 0 : disp;
	u64 part = has_index ? (rng() & 0xff) << scale : 0;
	if (has_index) {
		native_regs[index] = part >> scale;
		native_regs[index] |= addr_size == 4 && is_64 ? operand() << 32 : 0;
	}
	if (no_base) {
		bool is_rip = is_64 && !has_sib;
		disp = (s32)(offset - part - (is_rip ? CODE + before + 5 + room : 0));
	} else {
		u64 value = (offset - part - (u64)(s64)disp) & mask;
		native_regs[base] = addr_size == 4 && is_64 ? value | operand() << 32 : value;
	}
	*rex |= (u8)((has_sib && index >= 8) << 1 | (base >= 8));
	out[0] = (u8)(mod << 6 | reg << 3 | (has_sib ? GPR_RSP : base & 7));
	if (has_sib) {
		out[n++] = (u8)(scale << 6 | (index & 7) << 3 | (base & 7));
	}
	u32 len = no_base || mod == 2 ? 4 : mod;
	memcpy(out + n, &disp, len);
	return n + len;
}

/* BT with a register: an offset that stays in the buffer, in a register that is not of the address */
static bool tame_bit_offset(struct trial *t, u8 reg)
{
	struct insn in;
	s64 bit = (s64)(rng() % 8192) - 4096;
	if (insn_decode(t->bytes, t->len, t->mode, &in) != DECODE_OK || in.base == reg || in.index == reg) {
		return false;
	}
	native_regs[reg] = t->mode == MODE_64 ? (u64)bit : (u32)bit;
	if (t->size == 2) {
		native_regs[reg] = (u16)bit | (operand() & 0xffffffff0000 & width_mask(t->mode == MODE_64 ? 8 : 4));
	}
	t->target += (u64)(bit >> 3) & ~(u64)(t->size - 1);
	return true;
}

static u32 imm_len(const struct trial *t)
{
	return t->f->imm == 4 ? MIN(t->size, 4u) : t->f->imm;
}

/* Prefixes, opcode, address, immediate. Return: false if this draw cannot be built */
static bool build(struct trial *t)
{
	const struct form *f = t->f;
	bool is_64 = t->mode == MODE_64, is_67 = t->mode != MODE_32 && pick(4) == 0, has_66, is_wide;
	u32 addr_size = is_67 ? (is_64 ? 4 : 6 - t->mode) : t->mode, n = 0;
	u8 reg = (u8)(has_reg(f) ? rng() % (is_64 ? 16 : 8) : (u32)f->ext), rex = 0, tail[16];
	has_66 = t->size > 1 && t->size < 8 && !(f->kind & (PAIR | FIXED)) &&
		 (t->size == 2) != (t->mode == MODE_16);
	is_wide = t->size == 8 && !(f->kind & (PAIR | STACK | FIXED));
	rex = is_wide ? 8 : 0;
	rex |= reg >= 8 ? 4 : 0;
	u8 *b = t->bytes;
	u32 opcode_len = f->map == 0x38 ? 3 : f->map ? 2 : 1;
	bool is_locked = f->kind & LOCKED && pick(4) == 0;
	bool wants_rex = is_64 && (rng() & 1);
	u32 before = is_67 + has_66 + is_locked + 1 + opcode_len; /* with REX, which RIP-relative ones then have */
	u32 tail_len = addr_size == 2 ? address_16(t, tail, reg & 7) :
					address_32(t, tail, reg & 7, &rex, addr_size, imm_len(t), before);
	bool is_rip = is_64 && (tail[0] & 0xc7) == 5;
	wants_rex |= is_rip || rex;
	if (is_67) {
		b[n++] = 0x67;
	}
	if (has_66) {
		b[n++] = 0x66;
	}
	if (is_locked) {
		b[n++] = 0xf0;
	}
	if (wants_rex) {
		b[n++] = 0x40 | rex;
	}
	if (f->map) {
		b[n++] = 0x0f;
	}
	if (f->map == 0x38) {
		b[n++] = 0x38;
	}
	b[n++] = (u8)(f->opcode | (f->kind & EVEN && t->size > 1));
	memcpy(b + n, tail, tail_len);
	n += tail_len;
	for (u32 i = 0; i < imm_len(t); i++) {
		b[n++] = (u8)operand();
	}
	t->len = n;
	return !(f->kind & BY_BIT) || tame_bit_offset(t, reg);
}

static void random_regs(const struct trial *t)
{
	for (u32 r = 0; r < 16; r++) {
		native_regs[r] = t->mode == MODE_64 ? operand() : r < 8 ? (u32)operand() : 0;
	}
	native_flags = RFLAGS_FIXED1 | RFLAGS_IF | (rng() & STATUS_FLAGS);
}

/* Values for CMPXCHG, or a stack, after all registers are known */
static bool settle(const struct trial *t)
{
	u64 value;
	if (t->f->kind & STACK) {
		u64 sp = BUF_LEN - 0x800 + rng() % 64;
		struct insn in;
		if (insn_decode(t->bytes, t->len, t->mode, &in) != DECODE_OK || in.base == GPR_RSP) {
			return false; /* by hand in test_emulate.c */
		}
		native_regs[GPR_RSP] = t->mode == MODE_16 ? sp : BUF + sp;
	}
	for (u32 i = 0; i < 32; i += 8) {
		value = operand();
		memcpy(buf + ((t->target - BUF) & ~7ull) + i, &value, 8);
		memcpy(device + ((t->target - BUF) & ~7ull) + i, &value, 8);
	}
	struct insn in;
	bool compares = t->f->map == 0x0f && (t->f->opcode == 0xb0 || t->f->kind & PAIR);
	if (compares && rng() & 1 && insn_decode(t->bytes, t->len, t->mode, &in) == DECODE_OK &&
	    in.base > GPR_RDX && (in.index < 0 || in.index > GPR_RDX)) {
		memcpy(&value, buf + (t->target - BUF), 8);
		native_regs[GPR_RAX] = t->mode == MODE_64 ? value : (u32)value;
		if (t->f->kind & PAIR) {
			native_regs[GPR_RAX] = (u32)value;
			native_regs[GPR_RDX] = value >> 32;
		}
	}
	return true;
}

static void agree(const struct trial *t, const struct verdict *d)
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
static void run(struct trial *t, u64 touched, bool is_write)
{
	struct emu e = { .v = &vcpu, .mem = &mem, .mmio = &mmio, .ports = &ports, .insns = &insns };
	struct exit_mmio x = { .addr = GPA(touched), .is_write = is_write };
	set_mode(t->mode);
	memcpy(code, t->bytes, t->len);
	wrap(code + t->len, t->mode);
	memcpy(vcpu.regs, native_regs, sizeof(native_regs));
	fake_of(&vcpu)->reg[VREG_RSP] = native_regs[GPR_RSP];
	fake_of(&vcpu)->reg[VREG_RFLAGS] = native_flags;
	nr_reads = nr_writes = 0;
	struct verdict d = emulate_mmio(&e, &x);
	native_run();
	agree(t, &d);
}

static u32 run_form(const struct form *f, enum insn_mode mode, u32 size, u32 wanted)
{
	u32 done = 0;
	for (u32 i = 0; i < 4 * wanted && done < wanted; i++) {
		/* in the middle of the buffer, also across its page boundary */
		struct trial t = { .f = f, .mode = mode, .size = size,
				   .target = BUF + BUF_LEN / 2 + rng() % 64 - 32 };
		random_regs(&t);
		if (!build(&t) || !settle(&t)) {
			continue;
		}
		bool crosses = t.target % PAGE_SIZE > PAGE_SIZE - 8;
		bool is_write = f->kind & WRITES;
		run(&t, t.target, pick(4) ? is_write : !is_write);
		/* device side effects: once per operand */
		assert_true(crosses || f->kind & STACK || (nr_reads <= 1 && nr_writes <= 1));
		done++;
	}
	return done;
}

static bool has_size(const struct form *f, enum insn_mode mode, u32 size)
{
	bool is_64 = mode == MODE_64;
	if (f->kind & ONLY_64 && !is_64) {
		return false;
	}
	if (f->kind & PAIR) {
		return size == 8;
	}
	if (f->kind & FIXED) {
		return size == 2;
	}
	if (f->kind & STACK && is_64) {
		return size == 2 || size == 8;
	}
	if (size == 8 && !is_64) {
		return false;
	}
	if (f->kind & LONG) {
		return size >= 4 && (mode != MODE_16 || f->map != 0x0f);
	}
	return f->kind & (size == 1 ? BYTES : WORDS);
}

static void all_forms(enum insn_mode mode)
{
	u32 total = 0;
	for (u32 i = 0; i < ARRAY_SIZE(forms); i++) {
		for (u32 size = 1; size <= 8; size *= 2) {
			if (has_size(&forms[i], mode, size)) {
				u32 done = run_form(&forms[i], mode, size, 60);
				assert_true(done > 10);
				total += done;
			}
		}
	}
	print_message("%u instructions agree\n", total);
}

static void test_64_bit(void **state)
{
	(void)state;
	all_forms(MODE_64);
}

static void test_32_bit(void **state)
{
	(void)state;
	if (nr_modes < 2) {
		print_message("this kernel kills 32-bit code\n");
		skip();
	}
	all_forms(MODE_32);
}

static void test_16_bit(void **state)
{
	(void)state;
	if (nr_modes < 3) {
		print_message("no 16-bit code here\n");
		skip();
	}
	all_forms(MODE_16);
}

/* ---- absolute addresses and strings ---- */

static void test_absolute(void **state)
{
	(void)state;
	static const struct form f = { .name = "mov moffs", .flags = ALL };
	for (u32 i = 0; i < 2000; i++) {
		struct trial t = { .f = &f, .mode = modes[i % nr_modes] };
		bool is_67 = rng() & 1, is_64 = t.mode == MODE_64;
		u32 addr_size = is_67 ? (is_64 ? 4 : 6 - t.mode) : t.mode;
		u8 opcode = (u8)(0xa0 + pick(4));
		t.target = BUF + BUF_LEN / 2 + rng() % 64;
		u64 address = t.target - (t.mode == MODE_16 ? BUF : 0);
		if (t.mode == MODE_32 && addr_size == 2) {
			continue; /* below 64 KiB: nothing is there */
		}
		u8 *end = t.bytes;
		append(&end, "\x67", is_67);
		append(&end, "\x66", rng() & 1);
		append(&end, "\x48", is_64 && rng() & 1);
		append(&end, &opcode, 1);
		append(&end, &address, addr_size);
		t.len = (u32)(end - t.bytes);
		random_regs(&t);
		run(&t, t.target, opcode & 2);
	}
}

static void test_strings(void **state)
{
	(void)state;
	static const struct form rows[] = {
		{ .name = "movs", .opcode = 0xa4, .flags = ALL }, { .name = "cmps", .opcode = 0xa6, .flags = ALL },
		{ .name = "stos", .opcode = 0xaa, .flags = ALL }, { .name = "lods", .opcode = 0xac, .flags = ALL },
		{ .name = "scas", .opcode = 0xae, .flags = ALL },
	};
	for (u32 i = 0; i < 6000; i++) {
		const struct form *f = &rows[i % ARRAY_SIZE(rows)];
		struct trial t = { .f = f, .mode = modes[rng() % nr_modes] };
		bool is_64 = t.mode == MODE_64, is_67 = pick(4) == 0 && t.mode != MODE_32;
		bool has_rep = rng() & 1, has_source = f->opcode != 0xaa && f->opcode != 0xae;
		u64 from = t.mode == MODE_16 ? 0 : BUF, upper = is_64 && is_67 ? operand() << 32 : 0;
		u8 opcode = (u8)(f->opcode | (rng() & 1)), rep = (u8)(0xf2 + (rng() & 1)), *end = t.bytes;
		append(&end, "\x67", is_67);
		append(&end, &rep, has_rep);
		append(&end, "\x66", pick(3) == 0);
		append(&end, "\x48", is_64 && pick(3) == 0);
		append(&end, &opcode, 1);
		t.len = (u32)(end - t.bytes);
		random_regs(&t);
		u64 source = BUF_LEN / 2 + rng() % 256, dest = BUF_LEN / 2 + rng() % 256;
		native_regs[GPR_RSI] = (from + source) | upper;
		native_regs[GPR_RDI] = (from + dest) | upper;
		native_regs[GPR_RCX] = (1 + rng() % 40) | upper;
		native_flags |= rng() & RFLAGS_DF;
		for (u32 b = 0; b < 1024; b++) { /* long runs of the same, for REPE */
			buf[BUF_LEN / 2 - 512 + b] = device[BUF_LEN / 2 - 512 + b] = (u8)(pick(8) == 0);
		}
		native_regs[GPR_RAX] &= rng() & 1 ? ~0xffull : ~0ull;
		run(&t, BUF + (has_source ? source : dest), !has_source && f->opcode == 0xaa);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_64_bit), cmocka_unit_test(test_32_bit), cmocka_unit_test(test_16_bit),
		cmocka_unit_test(test_absolute), cmocka_unit_test(test_strings),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
