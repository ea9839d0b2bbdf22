// SPDX-License-Identifier: BSD-2-Clause
/*
 * The emulator against this machine's CPU: each instruction form runs natively on a buffer, and in the
 * emulator on a device at the same address that behaves as memory; registers, flags and memory must then
 * agree. What the CPU cannot show here (faults, pages, REP batches, ports, other modes) follows by hand.
 */
#include "kernel/emulate.h"
#include "fake.h"
#include "x86/regs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

/* ---- the native side ---- */

#define STATUS_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

u64 native_regs[16], native_flags, native_rsp;
void *native_code;
void native_run(void);

/* All GPRs but RSP from native_regs, flags, then native_code, which jumps back to native_back. */
#define EACH_REG(X) X(rax, 0) X(rcx, 1) X(rdx, 2) X(rbx, 3) X(rbp, 5) X(rsi, 6) X(rdi, 7) X(r8, 8) \
	X(r9, 9) X(r10, 10) X(r11, 11) X(r12, 12) X(r13, 13) X(r14, 14) X(r15, 15)
#define LOAD(r, n)  "mov native_regs + 8 * " #n "(%rip), %" #r "\n\t"
#define STORE(r, n) "mov %" #r ", native_regs + 8 * " #n "(%rip)\n\t"
void native_back(void);
__asm__(".text\n\t.globl native_run, native_back\n"
	"native_run:\n\t"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n\t"
	"mov %rsp, native_rsp(%rip)\n\t"
	"pushq native_flags(%rip); popf\n\t" EACH_REG(LOAD) "jmp *native_code(%rip)\n"
	"native_back:\n\t" EACH_REG(STORE) "mov native_rsp(%rip), %rsp\n\t"
	"pushf; popq native_flags(%rip)\n\t"
	"cld\n\t"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n\tret\n");

/* ---- the emulated side ---- */

#define BUF_LEN	 0x2000
#define CODE_LEN 0x1000
static u8 *buf, *code;	    /* where the CPU works; the same addresses are the guest's */
static u8 device[BUF_LEN];  /* the device's memory behind buf's address */
static u32 nr_reads, nr_writes, bytes_moved;
static u64 port_value, port_log[600];
static u32 nr_ports;
static struct bus mmio, ports;
static struct gmem mem;
static struct vcpu_ops ops; /* the fake's, but EFER.LMA stays as the test set it */
static struct vcpu vcpu = { .ops = &ops };

static u64 device_read(void *self, u64 offset, u32 width)
{
	u64 v = 0;
	(void)self;
	nr_reads++;
	bytes_moved += width;
	memcpy(&v, device + offset, width);
	return v | ~width_mask(width); /* upper bits are garbage */
}

static void device_write(void *self, u64 offset, u32 width, u64 value)
{
	(void)self;
	nr_writes++;
	bytes_moved += width;
	memcpy(device + offset, &value, width);
}
static const struct vdev_ops device_ops = { .read = device_read, .write = device_write };

static u64 port_read(void *self, u64 offset, u32 width)
{
	(void)self;
	(void)offset;
	(void)width;
	return port_value++;
}

static void port_write(void *self, u64 offset, u32 width, u64 value)
{
	(void)self;
	(void)offset;
	(void)width;
	port_log[nr_ports++ % ARRAY_SIZE(port_log)] = value;
}
static const struct vdev_ops port_ops = { .read = port_read, .write = port_write };

static struct emu emu(void)
{
	return (struct emu){ .v = &vcpu, .mem = &mem, .mmio = &mmio, .ports = &ports };
}

static u64 rng(void)
{
	static u64 s = 88172645463325252ull;
	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

/* 64-bit code, flat, paging off (which no CPU has, but address arithmetic does not care) */
static struct fake *long_mode(void)
{
	struct fake *f = fake_of(&vcpu);
	memset(f, 0, sizeof(*f));
	f->reg[VREG_CR0] = CR0_PE;
	f->reg[VREG_EFER] = EFER_LME | EFER_LMA;
	f->reg[VREG_RFLAGS] = RFLAGS_FIXED1;
	f->seg[SEG_CS] = (struct segment){ .attr = 0xa09b, .limit = ~0u };
	for (enum seg s = SEG_ES; s <= SEG_GS; s++) {
		if (s != SEG_CS) {
			f->seg[s] = (struct segment){ .attr = 0xc093, .limit = ~0u };
		}
	}
	return f;
}

/* RAM: only the code page. Device: buf's addresses */
static void only_code_is_ram(void)
{
	mem = (struct gmem){ .nr = 1 };
	mem.ext[0] = (struct mem_extent){ GPA((uintptr_t)code), HPA((uintptr_t)code), CODE_LEN };
	mmio.nr = 0;
	assert_int_equal(bus_attach(&mmio, &(struct bus_range){ (uintptr_t)buf, BUF_LEN, "device",
								&device_ops, NULL }), STATUS_OK);
}

static void set_reg(struct vcpu *v, enum vreg r, u64 value)
{
	fake_of(v)->reg[r] = value;
}

static int setup(void **state)
{
	(void)state;
	ops = fake_ops;
	ops.set = set_reg;
	/* below 2 GiB, so that disp32 and 32-bit addresses reach */
	buf = mmap((void *)0x30000000, BUF_LEN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	code = mmap((void *)0x31000000, CODE_LEN, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (buf == MAP_FAILED || code == MAP_FAILED) {
		return 1;
	}
	struct bus_range all = { 0x100, 0x100, "ports", &port_ops, NULL };
	return bus_attach(&ports, &all) != STATUS_OK ||
	       vcpu.ops->vcpu_init(&vcpu, NULL) != STATUS_OK;
}

static int teardown(void **state)
{
	(void)state;
	free(vcpu.hw);
	return 0;
}

/* ---- one form, both sides ---- */

#define LOGIC_FLAGS (STATUS_FLAGS & ~RFLAGS_AF) /* AF is undefined (SDM 2A "AND") */
#define BIT_FLAGS   RFLAGS_CF			/* the others are undefined but ZF (SDM 2A "BT") */

/*
 * RBX is an address in buf, RSI and RDI too for strings; all else is random. Byte 0xee in the pattern
 * is replaced by a random one (displacement 8 bits, immediates).
 */
struct form {
	const char *name;
	u8 bytes[13];
	u32 len;
	u64 flags; /* those that are defined */
};

static void put_code(const struct form *f)
{
	u8 back[14] = { 0xff, 0x25 };
	void (*target)(void) = native_back;
	memcpy(code, f->bytes, f->len);
	for (u32 i = 0; i < f->len; i++) {
		if (code[i] == 0xee) {
			code[i] = (u8)rng();
		}
	}
	memcpy(back + 6, &target, 8);
	memcpy(code + f->len, back, sizeof(back));
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

static void random_state(bool is_string)
{
	for (u32 i = 0; i < BUF_LEN; i += 8) {
		u64 v = operand();
		memcpy(buf + i, &v, 8);
	}
	for (u32 r = 0; r < 16; r++) {
		native_regs[r] = operand();
	}
	native_regs[GPR_RBX] = (uintptr_t)buf + BUF_LEN / 2 + rng() % 8;
	native_regs[GPR_R13] = native_regs[GPR_RBX];
	native_regs[GPR_R12] = rng() % 64; /* an index */
	if (rng() & 1) {
		memcpy(&native_regs[GPR_RAX], buf + native_regs[GPR_RBX] - (uintptr_t)buf, 8); /* CMPXCHG */
	}
	if (is_string) {
		native_regs[GPR_RSI] = (uintptr_t)buf + BUF_LEN / 2 + rng() % 256;
		native_regs[GPR_RDI] = (uintptr_t)buf + BUF_LEN / 2 + 256 + rng() % 256;
		native_regs[GPR_RCX] = 1 + rng() % 40;
	}
	native_flags = RFLAGS_FIXED1 | RFLAGS_IF | (rng() & STATUS_FLAGS);
	native_flags |= is_string && rng() & 1 ? RFLAGS_DF : 0;
}

static bool is_string_form(const struct form *f)
{
	return strstr(f->name, "string") != NULL;
}

/* A bit offset in a register reaches 2^28 bytes: keep those within the buffer */
static void tame_bit_offset(const struct form *f)
{
	if (strstr(f->name, "bit")) {
		native_regs[GPR_RCX] = (rng() % 8192) - 4096;
	}
}

static void agree(const struct form *f, const struct verdict *d, u64 before)
{
	struct fake *fake = fake_of(&vcpu);
	if (d->kind != V_ADVANCE || d->insn_len != f->len) {
		fail_msg("%s: verdict %d %s len %d", f->name, d->kind, d->why ?: "", d->insn_len);
	}
	for (u32 r = 0; r < 16; r++) {
		if (r != GPR_RSP && vcpu.regs[r] != native_regs[r]) {
			fail_msg("%s: reg %u is %llx, should be %llx", f->name, r,
				 (unsigned long long)vcpu.regs[r], (unsigned long long)native_regs[r]);
		}
	}
	u64 mask = f->flags | (before & RFLAGS_DF) | RFLAGS_IF | RFLAGS_FIXED1;
	if ((fake->reg[VREG_RFLAGS] ^ native_flags) & mask) {
		fail_msg("%s: flags %llx, should be %llx", f->name,
			 (unsigned long long)fake->reg[VREG_RFLAGS], (unsigned long long)native_flags);
	}
	if (memcmp(device, buf, BUF_LEN)) {
		fail_msg("%s: memory differs", f->name);
	}
}

static u64 first_touched(const struct form *f)
{
	struct insn in;
	assert_int_equal(insn_decode(code, f->len, MODE_64, &in), DECODE_OK);
	if (in.form == FORM_STRING) {
		bool has_source = in.op == OP_MOVS || in.op == OP_LODS || in.op == OP_CMPS;
		return native_regs[has_source ? GPR_RSI : GPR_RDI];
	}
	u64 addr = (u64)in.disp + (in.is_rip_relative ? (uintptr_t)code + in.len : 0);
	addr += in.base >= 0 ? native_regs[in.base] : 0;
	addr += in.index >= 0 ? native_regs[in.index] * in.scale : 0;
	if (strstr(f->name, "bit")) {
		addr += (u64)((s64)native_regs[GPR_RCX] >> 3) & ~7ull;
	}
	return addr;
}

static void run_form(const struct form *f, u32 runs)
{
	struct emu e = emu();
	for (u32 i = 0; i < runs; i++) {
		struct fake *fake = long_mode();
		put_code(f);
		random_state(is_string_form(f));
		tame_bit_offset(f);
		u64 before = native_flags;
		memcpy(vcpu.regs, native_regs, sizeof(native_regs));
		memcpy(device, buf, BUF_LEN);
		fake->reg[VREG_RIP] = (uintptr_t)code;
		fake->reg[VREG_RFLAGS] = before;
		struct exit_mmio x = { .addr = GPA(first_touched(f)) };
		nr_reads = nr_writes = 0;
		struct verdict d = emulate_mmio(&e, &x);
		native_code = code;
		native_run();
		agree(f, &d, before);
		/* device side effects: once per operand */
		bool crosses = x.addr.v % PAGE_SIZE > PAGE_SIZE - 8;
		assert_true(is_string_form(f) || crosses || (nr_reads <= 1 && nr_writes <= 1));
	}
}

#define ALL STATUS_FLAGS
#define F(n, flags, ...) { n, { __VA_ARGS__ }, sizeof((u8[]){ __VA_ARGS__ }), flags }
/* op [rbx + disp8], cl/cx/ecx/rcx; the reverse */
#define BOTH(n, b, flags)                                                                       \
	F(n " m8,r8", flags, (b), 0x4b, 0xee), F(n " m8,ch", flags, (b), 0x6b, 0xee),           \
	F(n " m8,bpl", flags, 0x40, (b), 0x6b, 0xee),                                           \
	F(n " m16,r16", flags, 0x66, (b) + 1, 0x4b, 0xee), F(n " m32,r32", flags, (b) + 1, 0x4b, 0xee), \
	F(n " m64,r64", flags, 0x48, (b) + 1, 0x4b, 0xee),                                      \
	F(n " r8,m8", flags, (b) + 2, 0x4b, 0xee), F(n " ch,m8", flags, (b) + 2, 0x6b, 0xee),   \
	F(n " r16,m16", flags, 0x66, (b) + 3, 0x4b, 0xee),                                      \
	F(n " r32,m32", flags, (b) + 3, 0x4b, 0xee), F(n " r64,m64", flags, 0x48, (b) + 3, 0x4b, 0xee), \
	F(n " r64,[r13+r12*4]", flags, 0x4f, (b) + 3, 0x44, 0xa5, 0xee)
#define IMM(n, r, flags)                                                                        \
	F(n " m8,i8", flags, 0x80, 0x43 | (r) << 3, 0xee, 0xee),                                 \
	F(n " m16,i16", flags, 0x66, 0x81, 0x43 | (r) << 3, 0xee, 0xee, 0xee),                   \
	F(n " m32,i32", flags, 0x81, 0x43 | (r) << 3, 0xee, 0xee, 0xee, 0xee, 0xee),             \
	F(n " m64,i32", flags, 0x48, 0x81, 0x43 | (r) << 3, 0xee, 0xee, 0xee, 0xee, 0xee),       \
	F(n " m16,i8", flags, 0x66, 0x83, 0x43 | (r) << 3, 0xee, 0xee),                          \
	F(n " m32,i8", flags, 0x83, 0x43 | (r) << 3, 0xee, 0xee),                                \
	F(n " m64,i8", flags, 0x48, 0x83, 0x43 | (r) << 3, 0xee, 0xee)
#define ARITH(n, r, flags) BOTH(n, (r) << 3, flags), IMM(n, r, flags)
#define UNARY(n, b, r, flags)                                                                   \
	F(n " m8", flags, (b), 0x43 | (r) << 3, 0xee), F(n " m16", flags, 0x66, (b) + 1, 0x43 | (r) << 3, 0xee), \
	F(n " m32", flags, (b) + 1, 0x43 | (r) << 3, 0xee),                                      \
	F(n " m64", flags, 0x48, (b) + 1, 0x43 | (r) << 3, 0xee)
#define TWO_BYTE(n, b, flags)                                                                   \
	F(n " m8", flags, 0x0f, (b), 0x4b, 0xee), F(n " m8,ch", flags, 0x0f, (b), 0x6b, 0xee),   \
	F(n " m16", flags, 0x66, 0x0f, (b) + 1, 0x4b, 0xee), F(n " m32", flags, 0x0f, (b) + 1, 0x4b, 0xee), \
	F(n " m64", flags, 0x48, 0x0f, (b) + 1, 0x4b, 0xee),                                     \
	F("lock " n " m32", flags, 0xf0, 0x0f, (b) + 1, 0x4b, 0xee)
#define EXTEND(n, b)                                                                            \
	F(n " r16,m8", ALL, 0x66, 0x0f, (b), 0x4b, 0xee), F(n " r32,m8", ALL, 0x0f, (b), 0x4b, 0xee),  \
	F(n " r64,m8", ALL, 0x48, 0x0f, (b), 0x4b, 0xee), F(n " r32,m16", ALL, 0x0f, (b) + 1, 0x4b, 0xee), \
	F(n " r64,m16", ALL, 0x48, 0x0f, (b) + 1, 0x4b, 0xee)
#define BITS_OF(n, b, r)                                                                        \
	F(n " bit m64,r64", BIT_FLAGS | RFLAGS_ZF, 0x48, 0x0f, (b), 0x0b),                       \
	F(n " m16,i8", BIT_FLAGS | RFLAGS_ZF, 0x66, 0x0f, 0xba, 0x43 | (r) << 3, 0xee, 0xee),    \
	F(n " m32,i8", BIT_FLAGS | RFLAGS_ZF, 0x0f, 0xba, 0x43 | (r) << 3, 0xee, 0xee),          \
	F(n " m64,i8", BIT_FLAGS | RFLAGS_ZF, 0x48, 0x0f, 0xba, 0x43 | (r) << 3, 0xee, 0xee)
#define STR(n, b, ...)                                                                          \
	F(n "b string", ALL, __VA_ARGS__ b), F(n "w string", ALL, __VA_ARGS__ 0x66, (b) + 1),    \
	F(n "d string", ALL, __VA_ARGS__ (b) + 1), F(n "q string", ALL, __VA_ARGS__ 0x48, (b) + 1), \
	F(n "d string a32", ALL, 0x67, __VA_ARGS__ (b) + 1)

static const struct form forms[] = {
	ARITH("add", 0, ALL), ARITH("or", 1, LOGIC_FLAGS), ARITH("adc", 2, ALL), ARITH("sbb", 3, ALL),
	ARITH("and", 4, LOGIC_FLAGS), ARITH("sub", 5, ALL), ARITH("xor", 6, LOGIC_FLAGS),
	ARITH("cmp", 7, ALL),
	F("lock add m32,r32", ALL, 0xf0, 0x01, 0x4b, 0xee),
	F("test m8,r8", LOGIC_FLAGS, 0x84, 0x4b, 0xee), F("test m32,r32", LOGIC_FLAGS, 0x85, 0x4b, 0xee),
	F("test m8,i8", LOGIC_FLAGS, 0xf6, 0x43, 0xee, 0xee),
	F("test m64,i32", LOGIC_FLAGS, 0x48, 0xf7, 0x43, 0xee, 0xee, 0xee, 0xee, 0xee),
	UNARY("xchg", 0x86, 1, ALL), F("xchg m8,ch", ALL, 0x86, 0x6b, 0xee),
	BOTH("mov", 0x88, ALL),
	F("mov m8,i8", ALL, 0xc6, 0x43, 0xee, 0xee), F("mov m16,i16", ALL, 0x66, 0xc7, 0x43, 0xee, 0xee, 0xee),
	F("mov m32,i32", ALL, 0xc7, 0x43, 0xee, 0xee, 0xee, 0xee, 0xee),
	F("mov m64,i32", ALL, 0x48, 0xc7, 0x43, 0xee, 0xee, 0xee, 0xee, 0xee),
	F("mov al,moffs64", ALL, 0xa0, 0x10, 0x10, 0x00, 0x30, 0, 0, 0, 0),
	F("mov rax,moffs64", ALL, 0x48, 0xa1, 0x10, 0x10, 0x00, 0x30, 0, 0, 0, 0),
	F("mov moffs32,eax", ALL, 0x67, 0xa3, 0x10, 0x10, 0x00, 0x30),
	F("mov moffs64,rax", ALL, 0x48, 0xa3, 0x10, 0x10, 0x00, 0x30, 0, 0, 0, 0),
	F("mov edx,[ebx]", ALL, 0x67, 0x8b, 0x53, 0xee), F("mov edx,[disp32]", ALL, 0x8b, 0x14, 0x25, 8, 8, 0, 0x30),
	F("mov edx,[rip]", ALL, 0x8b, 0x15, 0x00, 0x10, 0x00, 0xff), F("mov [rip],r9d", ALL, 0x44, 0x89, 0x0d, 0x00, 0x10, 0x00, 0xff),
	EXTEND("movzx", 0xb6), EXTEND("movsx", 0xbe), F("movsxd r64,m32", ALL, 0x48, 0x63, 0x4b, 0xee),
	UNARY("inc", 0xfe, 0, ALL), UNARY("dec", 0xfe, 1, ALL), UNARY("not", 0xf6, 2, ALL),
	UNARY("neg", 0xf6, 3, ALL),
	TWO_BYTE("cmpxchg", 0xb0, ALL), TWO_BYTE("xadd", 0xc0, ALL),
	F("xadd m64,rax", ALL, 0x48, 0x0f, 0xc1, 0x43, 0xee), F("cmpxchg m64,rax", ALL, 0x48, 0x0f, 0xb1, 0x43, 0xee),
	BITS_OF("bt", 0xa3, 4), BITS_OF("bts", 0xab, 5), BITS_OF("btr", 0xb3, 6), BITS_OF("btc", 0xbb, 7),
	STR("movs", 0xa4, ), STR("stos", 0xaa, ), STR("lods", 0xac, ), STR("cmps", 0xa6, ),
	STR("scas", 0xae, ), STR("rep movs", 0xa4, 0xf3, ), STR("rep stos", 0xaa, 0xf3, ),
	STR("rep lods", 0xac, 0xf3, ), STR("repe cmps", 0xa6, 0xf3, ), STR("repne cmps", 0xa6, 0xf2, ),
	STR("repe scas", 0xae, 0xf3, ), STR("repne scas", 0xae, 0xf2, ),
};

static void test_against_the_cpu(void **state)
{
	(void)state;
	only_code_is_ram();
	for (u32 i = 0; i < ARRAY_SIZE(forms); i++) {
		run_form(&forms[i], 150);
	}
	print_message("%zu forms\n", ARRAY_SIZE(forms));
}

/* ---- by hand ---- */

#define RAM 0x10000 /* 64 KiB from 0; above lies the device */
static u8 ram[RAM] __attribute__((aligned(4096)));

static struct fake *small_machine(void)
{
	mem = (struct gmem){ .ext = { { GPA(0), HPA((uintptr_t)ram), RAM } }, .nr = 1 };
	mmio.nr = 0;
	assert_int_equal(bus_attach(&mmio, &(struct bus_range){ RAM, BUF_LEN, "device",
								&device_ops, NULL }), STATUS_OK);
	memset(ram, 0, RAM);
	memset(vcpu.regs, 0, sizeof(vcpu.regs));
	for (u32 i = 0; i < BUF_LEN; i++) {
		device[i] = (u8)(i * 3 + 1);
	}
	nr_reads = nr_writes = bytes_moved = nr_ports = 0;
	port_value = 0x1122334455667788;
	struct fake *f = long_mode();
	f->reg[VREG_RIP] = 0x1000;
	return f;
}

/* What a CPU would say of the access: does the instruction write to the device? */
static bool writes(const struct insn *in)
{
	const u64 readers = BIT(OP_CMP) | BIT(OP_TEST) | BIT(OP_BT) | BIT(OP_LODS) | BIT(OP_SCAS) |
			    BIT(OP_CMPS) | BIT(OP_PUSH);
	if (in->op == OP_MOVS) {
		return vcpu.regs[GPR_RDI] - RAM < BUF_LEN;
	}
	return in->form != FORM_REG_RM && !(readers >> in->op & 1);
}

static bool no_shortcut; /* the exit says nothing that spares a walk */

static struct verdict run(const char *bytes, u32 n, u64 addr)
{
	struct emu e = emu();
	struct insn in;
	u64 cs = fake_of(&vcpu)->seg[SEG_CS].attr;
	bool is_long = cs & SEG_L && fake_of(&vcpu)->reg[VREG_EFER] & EFER_LMA;
	memcpy(ram + 0x1000, bytes, n);
	insn_decode((const u8 *)bytes, n, is_long ? MODE_64 : cs & SEG_DB ? MODE_32 : MODE_16, &in);
	return emulate_mmio(&e, &(struct exit_mmio){ .addr = GPA(addr), .is_write = writes(&in) != no_shortcut });
}
#define RUN(bytes, addr) run(bytes, sizeof(bytes) - 1, addr)

static u64 ram_u64(u64 at)
{
	u64 v;
	memcpy(&v, ram + at, 8);
	return v;
}

static void expect_kill(struct verdict d, const char *why)
{
	assert_int_equal(d.kind, V_KILL);
	assert_string_equal(d.why, why);
}

static void expect_ud(struct verdict d)
{
	assert_int_equal(d.kind, V_INJECT);
	assert_int_equal(d.event.vector, VEC_UD);
}

static void test_kills(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	struct emu e = emu();
	expect_kill(emulate_mmio(&e, &(struct exit_mmio){ .is_fetch = true }),
		    "instruction fetch outside memory");
	expect_kill(emulate_mmio(&e, &(struct exit_mmio){ .is_walk = true }),
		    "page tables outside memory");
	expect_kill(RUN("\x0f\x10\x00", RAM), "cannot emulate instruction at MMIO"); /* MOVUPS */
	expect_kill(RUN("\x01\xc0", RAM), "cannot emulate instruction at MMIO");     /* no memory */
	expect_kill(RUN("\x6c", RAM), "cannot emulate instruction at MMIO");	     /* INS */
	expect_kill(RUN("\x0f\x01\x38", RAM), "cannot emulate instruction at MMIO"); /* INVLPG */
	expect_kill(RUN("\xff\x10", RAM), "cannot emulate instruction at MMIO");     /* CALL [rax] */
	f->reg[VREG_RIP] = RAM;
	expect_kill(RUN("\x90", RAM), "code or page tables outside memory");
	assert_int_equal(nr_reads + nr_writes, 0);
}

/* Code that was rewritten after the fault: nothing happens, the guest goes again */
static void test_other_page_resumes(void **state)
{
	(void)state;
	small_machine();
	vcpu.regs[GPR_RBX] = vcpu.regs[GPR_RDI] = 0x2004;
	assert_int_equal(RUN("\x89\x03", RAM).kind, V_RESUME);
	assert_int_equal(RUN("\xaa", RAM).kind, V_RESUME);
	vcpu.regs[GPR_RBX] = RAM;
	assert_int_equal(RUN("\x89\x03", RAM + PAGE_SIZE + 4).kind, V_RESUME);
	assert_int_equal(nr_reads + nr_writes, 0);
}

static void test_page_crossing(void **state)
{
	(void)state;
	small_machine();
	vcpu.regs[GPR_RBX] = RAM - 3; /* 3 bytes of RAM, 5 of the device */
	vcpu.regs[GPR_RCX] = 0x8877665544332211;
	ram[RAM - 4] = 0xcc;
	device[5] = 0xdd;
	assert_int_equal(RUN("\x48\x89\x0b", RAM).kind, V_ADVANCE);
	assert_memory_equal(ram + RAM - 4, "\xcc\x11\x22\x33", 4);
	assert_memory_equal(device, "\x44\x55\x66\x77\x88\xdd", 6);
	assert_int_equal(nr_writes, 5);
	assert_int_equal(RUN("\x48\x8b\x13", RAM).kind, V_ADVANCE);
	assert_int_equal(vcpu.regs[GPR_RDX], 0x8877665544332211);
	vcpu.regs[GPR_RBX] = RAM + PAGE_SIZE - 1;
	assert_int_equal(RUN("\x66\x89\x0b", RAM + PAGE_SIZE).kind, V_ADVANCE); /* fault on page two */
	assert_memory_equal(device + PAGE_SIZE - 1, "\x11\x22", 2);
}

static void set_entry(u64 at, u64 entry)
{
	memcpy(ram + at, &entry, 8);
}

/* 4-level tables at 4000..7fff: the first 2 MiB one to one, by 4 KiB pages; the device's page at 11000 absent */
static void paged(struct fake *f)
{
	f->reg[VREG_CR0] |= CR0_PG | CR0_WP;
	f->reg[VREG_CR4] = CR4_PAE;
	f->reg[VREG_CR3] = 0x4000;
	set_entry(0x4000, 0x5007);
	set_entry(0x5000, 0x6007);
	set_entry(0x6000, 0x7007);
	for (u64 i = 0; i < 512; i++) {
		set_entry(0x7000 + 8 * i, i << 12 | (i == 0x11 ? 0 : 7));
	}
}

static void expect_fault(struct verdict d, u8 vector, u32 error, u64 cr2)
{
	assert_int_equal(d.kind, V_INJECT);
	assert_int_equal(d.event.vector, vector);
	assert_int_equal(d.event.error, error);
	if (vector == VEC_PF) {
		assert_int_equal(d.cr2, cr2);
	}
}

static void test_faults(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	paged(f);
	no_shortcut = true;
	vcpu.regs[GPR_RBX] = RAM + PAGE_SIZE - 3; /* second half absent: the first half must stay as it is */
	expect_fault(RUN("\x48\x89\x0b", RAM), VEC_PF, PF_W, RAM + PAGE_SIZE);
	vcpu.regs[GPR_RBX] = BIT(60);
	expect_fault(RUN("\x48\x89\x0b", RAM), VEC_GP, 0, 0);
	expect_fault(RUN("\x48\x89\x0c\x1c", RAM), VEC_SS, 0, 0); /* [rsp + rbx] */
	vcpu.regs[GPR_RSI] = RAM + 0x10;
	vcpu.regs[GPR_RDI] = RAM + PAGE_SIZE;
	expect_fault(RUN("\xa4", RAM), VEC_PF, PF_W, RAM + PAGE_SIZE);
	assert_int_equal(nr_reads + nr_writes, 0);
	set_entry(0x7000 + 8 * 0x10, RAM | 1); /* read-only: enough for SCAS and CMP, not for STOS and BTS */
	vcpu.regs[GPR_RBX] = vcpu.regs[GPR_RDI] = RAM;
	assert_int_equal(RUN("\xae", RAM).kind, V_ADVANCE);
	assert_int_equal(RUN("\x39\x03", RAM).kind, V_ADVANCE);
	assert_int_equal(RUN("\x0f\xa3\x03", RAM).kind, V_ADVANCE);
	vcpu.regs[GPR_RDI] = RAM;
	expect_fault(RUN("\xaa", RAM), VEC_PF, PF_P | PF_W, RAM);
	expect_fault(RUN("\x0f\xab\x03", RAM), VEC_PF, PF_P | PF_W, RAM);
	set_entry(0x7000 + 8 * 1, 0); /* the code page */
	expect_fault(RUN("\x90", RAM), VEC_PF, 0, 0x1000);
	f->reg[VREG_CR3] = RAM;
	expect_kill(RUN("\x90", RAM), "code or page tables outside memory");
	no_shortcut = false;
}

/* 16- and 32-bit code: addresses wrap at their own width, segments have bases */
static void test_other_modes(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	f->reg[VREG_EFER] = 0;
	f->reg[VREG_CR0] = 0;
	for (enum seg s = SEG_ES; s <= SEG_GS; s++) {
		f->seg[s] = (struct segment){ .base = s == SEG_CS ? 0 : 0xff00, .limit = 0xffff, .attr = 0x93 };
	}
	vcpu.regs[GPR_RBX] = 0x8000;
	vcpu.regs[GPR_RSI] = 0x8110;
	assert_int_equal(RUN("\x8b\x00", RAM).kind, V_ADVANCE); /* mov ax, [bx + si] = ff00 + 110 */
	assert_int_equal(vcpu.regs[GPR_RAX], device[0x10] | device[0x11] << 8);
	assert_int_equal(RUN("\x8a\x46\xff", RAM).kind, V_RESUME); /* [bp - 1] = ff00 + ffff */
	assert_int_equal(RUN("\x66\xa1\x20\x01", RAM).kind, V_ADVANCE);
	assert_int_equal(vcpu.regs[GPR_RAX], ((u32)device[0x23] << 24 | (u32)device[0x22] << 16 |
					      (u32)device[0x21] << 8 | device[0x20]));
	f->seg[SEG_CS].attr |= SEG_DB | SEG_L; /* L counts in long mode only */
	vcpu.regs[GPR_RBX] = 0xffffffffffff0110; /* upper half is nobody's in 32-bit code */
	vcpu.regs[GPR_RCX] = 0x10000;
	assert_int_equal(RUN("\x8a\x04\x0b", RAM).kind, V_ADVANCE);
	assert_int_equal(vcpu.regs[GPR_RAX] & 0xff, device[0x10]);
	vcpu.regs[GPR_RSI] = 0x0110;
	vcpu.regs[GPR_RDI] = 0xffff0130;
	vcpu.regs[GPR_RCX] = 0xffff0004;
	assert_int_equal(RUN("\x67\xf3\xa4", RAM).kind, V_ADVANCE); /* SI, DI, CX */
	assert_memory_equal(device + 0x30, device + 0x10, 4);
	assert_int_equal(vcpu.regs[GPR_RCX], 0xffff0000);
	assert_int_equal(vcpu.regs[GPR_RDI], 0xffff0134);
}

static void test_rep_batches(void **state)
{
	(void)state;
	small_machine();
	vcpu.regs[GPR_RDI] = RAM;
	vcpu.regs[GPR_RCX] = 600;
	vcpu.regs[GPR_RAX] = 0x5a;
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_RESUME);
	assert_int_equal(vcpu.regs[GPR_RCX], 600 - EMU_REP_BATCH);
	assert_int_equal(vcpu.regs[GPR_RDI], RAM + EMU_REP_BATCH);
	assert_int_equal(nr_writes, EMU_REP_BATCH);
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_RESUME);
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_ADVANCE);
	assert_int_equal(vcpu.regs[GPR_RCX], 0);
	assert_int_equal(nr_writes, 600);
	assert_int_equal(device[599], 0x5a);
	assert_int_equal(device[600], (u8)(600 * 3 + 1));
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_ADVANCE); /* nothing left */
	assert_int_equal(nr_writes, 600);
	/* RAM to device, upwards out of RAM: the CPU takes the RAM part, we the rest */
	vcpu.regs[GPR_RSI] = 0x2000;
	vcpu.regs[GPR_RDI] = RAM;
	vcpu.regs[GPR_RCX] = 3;
	memcpy(ram + 0x2000, "abcdefgh", 8);
	assert_int_equal(RUN("\xf3\x66\xa5", RAM).kind, V_ADVANCE);
	assert_memory_equal(device, "abcdef", 6);
	fake_of(&vcpu)->reg[VREG_RFLAGS] |= RFLAGS_DF;
	vcpu.regs[GPR_RDI] = RAM + 2;
	vcpu.regs[GPR_RCX] = 10;
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_RESUME); /* left the device downwards */
	assert_int_equal(vcpu.regs[GPR_RCX], 7);
	assert_int_equal(vcpu.regs[GPR_RDI], RAM - 1);
}

static struct verdict pio(const struct exit_pio *x, u8 insn_len)
{
	struct emu e = emu();
	return emulate_pio(&e, &(struct exit){ .kind = EXIT_PIO, .insn_len = insn_len, .pio = *x });
}

static void test_in_out(void **state)
{
	(void)state;
	small_machine();
	const u64 merged[] = { 0, 0xffffffffffffff88, 0xffffffffffff7788, 0, 0x55667788 };
	for (u8 w = 1; w <= 4; w = (u8)(w * 2)) {
		port_value = 0x1122334455667788;
		vcpu.regs[GPR_RAX] = ~0ull;
		struct verdict d = pio(&(struct exit_pio){ .port = 0x120, .width = w, .is_in = true }, 2);
		assert_int_equal(d.kind, V_ADVANCE);
		assert_int_equal(d.insn_len, 2);
		assert_int_equal(vcpu.regs[GPR_RAX], merged[w]);
	}
	vcpu.regs[GPR_RAX] = 0x1122334455667788;
	fake_of(&vcpu)->reg[VREG_RIP] = BIT(60); /* no fetch: nothing is there */
	assert_int_equal(pio(&(struct exit_pio){ .port = 0x120, .width = 2 }, 1).insn_len, 1);
	assert_int_equal(port_log[0], 0x7788);
	pio(&(struct exit_pio){ .port = 0x80, .width = 4, .is_in = true }, 1); /* nobody: all ones */
	assert_int_equal(vcpu.regs[GPR_RAX], 0xffffffff);
	/* no length: the instruction says */
	fake_of(&vcpu)->reg[VREG_RIP] = 0x1000;
	memcpy(ram + 0x1000, "\x66\xe7\x20", 3);
	assert_int_equal(pio(&(struct exit_pio){ .port = 0x120, .width = 2 }, 0).insn_len, 3);
	assert_int_equal(nr_ports, 2);
	memcpy(ram + 0x1000, "\xec", 1);
	vcpu.regs[GPR_RAX] = 0;
	port_value = 0x7f;
	assert_int_equal(pio(&(struct exit_pio){ .port = 0x120, .width = 1, .is_in = true }, 0).insn_len, 1);
	assert_int_equal(vcpu.regs[GPR_RAX], 0x7f);
	expect_ud(pio(&(struct exit_pio){ .port = 0x120, .width = 4 }, 0));
	expect_ud(pio(&(struct exit_pio){ .port = 0x120, .width = 1 }, 0));
	memcpy(ram + 0x1000, "\x0f\x0b", 2);
	expect_ud(pio(&(struct exit_pio){ .port = 0x120, .width = 2 }, 0));
	fake_of(&vcpu)->reg[VREG_RIP] = BIT(60);
	expect_fault(pio(&(struct exit_pio){ .port = 0x120, .width = 2 }, 0), VEC_GP, 0, 0);
	assert_int_equal(nr_ports, 2);
}

static void test_string_io(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	struct exit_pio outs = { .port = 0x120, .width = 1, .is_string = true, .is_rep = true,
				 .seg = SEG_FS, .addr_size = 8 };
	memcpy(ram + 0x2000, "console", 7);
	f->seg[SEG_FS].base = 0x1000;
	vcpu.regs[GPR_RSI] = 0x1000;
	vcpu.regs[GPR_RCX] = 7;
	f->reg[VREG_RIP] = BIT(60); /* the exit says it all */
	assert_int_equal(pio(&outs, 2).kind, V_ADVANCE);
	for (u32 i = 0; i < 7; i++) {
		assert_int_equal(port_log[i], "console"[i]);
	}
	assert_int_equal(vcpu.regs[GPR_RSI], 0x1007);
	/* decode: segment, address size and length */
	f->reg[VREG_RIP] = 0x1000;
	memcpy(ram + 0x1000, "\x64\x67\xf3\x6e", 4);
	vcpu.regs[GPR_RSI] = BIT(32) | 0x1000;
	vcpu.regs[GPR_RCX] = BIT(32) | 2;
	outs.addr_size = 0;
	assert_int_equal(pio(&outs, 4).insn_len, 4);
	assert_int_equal(nr_ports, 9);
	assert_int_equal(vcpu.regs[GPR_RSI], 0x1002);
	assert_int_equal(vcpu.regs[GPR_RCX], 0);
	struct exit_pio ins = { .port = 0x120, .width = 4, .is_string = true, .is_in = true };
	memcpy(ram + 0x1000, "\xf3\x6d", 2);
	vcpu.regs[GPR_RDI] = 0x3000;
	vcpu.regs[GPR_RCX] = 300;
	port_value = 0;
	assert_int_equal(pio(&ins, 0).kind, V_RESUME);
	assert_int_equal(vcpu.regs[GPR_RCX], 300 - EMU_REP_BATCH);
	assert_int_equal(pio(&ins, 0).kind, V_ADVANCE);
	for (u32 i = 0; i < 300; i += 2) {
		assert_int_equal(ram_u64(0x3000 + 4 * i), i | (u64)(i + 1) << 32);
	}
	/* the exit says it all, downwards */
	f->reg[VREG_RIP] = BIT(60);
	f->reg[VREG_RFLAGS] |= RFLAGS_DF;
	ins.addr_size = 8;
	ins.is_rep = false;
	vcpu.regs[GPR_RDI] = 0x3008;
	port_value = 0xabcd;
	assert_int_equal(pio(&ins, 1).kind, V_ADVANCE);
	assert_int_equal(ram_u64(0x3008) & 0xffffffff, 0xabcd);
	assert_int_equal(vcpu.regs[GPR_RDI], 0x3004);
	assert_int_equal(vcpu.regs[GPR_RCX], 0);
	f->reg[VREG_RIP] = 0x1000;
	ins.addr_size = 0;
	paged(f); /* not writable: the port must not be read */
	set_entry(0x7000 + 8 * 3, 0x3001);
	vcpu.regs[GPR_RDI] = 0x3000;
	vcpu.regs[GPR_RCX] = 1;
	u64 before = port_value;
	expect_fault(pio(&ins, 0), VEC_PF, PF_P | PF_W, 0x3000);
	assert_int_equal(port_value, before);
	memcpy(ram + 0x1000, "\x90\x90", 2);
	expect_ud(pio(&ins, 0));
}

static void test_length(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	struct insn in;
	struct event fault;
	memcpy(ram + 0x1000, "\x0f\xa2", 2);
	assert_int_equal(emulate_length(&vcpu, &mem, OP_CPUID, &in, &fault), 2);
	assert_int_equal(emulate_length(&vcpu, &mem, OP_NONE, &in, &fault), 2);
	assert_int_equal(in.op, OP_CPUID);
	assert_int_equal(emulate_length(&vcpu, &mem, OP_HLT, &in, &fault), 0);
	assert_int_equal(fault.type, EVENT_NONE);
	paged(f);
	set_entry(0x7000 + 8 * 2, 0);
	f->reg[VREG_RIP] = 0x1fff; /* the next page is absent: only asked for if needed */
	ram[0x1fff] = 0xf4;
	assert_int_equal(emulate_length(&vcpu, &mem, OP_HLT, &in, &fault), 1);
	ram[0x1fff] = 0x0f;
	assert_int_equal(emulate_length(&vcpu, &mem, OP_NONE, &in, &fault), 0);
	assert_int_equal(fault.vector, VEC_PF);
	set_entry(0x7000 + 8 * 2, 0x2007);
	ram[0x2000] = 0xa2;
	assert_int_equal(emulate_length(&vcpu, &mem, OP_CPUID, &in, &fault), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_the_cpu), cmocka_unit_test(test_kills),
		cmocka_unit_test(test_other_page_resumes), cmocka_unit_test(test_page_crossing),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_other_modes), cmocka_unit_test(test_rep_batches),
		cmocka_unit_test(test_in_out), cmocka_unit_test(test_string_io),
		cmocka_unit_test(test_length),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
