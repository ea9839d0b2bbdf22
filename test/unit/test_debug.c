// SPDX-License-Identifier: BSD-2-Clause
/*
 * Debugging across instructions that the hypervisor performs: which breakpoints hit, when #DB is due, what
 * RF a handler finds, and that the length of the instruction is known before anything is done.
 * SDM 3B chapter 17 is the oracle.
 */
#include "kernel/debug.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fake.h"
#include "kernel/emulate.h"
#include "kernel/exit.h"
#include "x86/regs.h"

#define CODE 0x1000

static u64 dr[4];
static u8 ram[2 * PAGE_SIZE] __attribute__((aligned(4096)));

static u64 debug_address(u32 n)
{
	return dr[n];
}

static const struct host host = { .debug_address = debug_address };
static struct partition part;
static struct core core;
static struct vcpu *const v = &core.v;
static u32 nr_moves;

static u64 ones(void *self, u64 offset, u32 width)
{
	(void)self, (void)offset, (void)width;
	nr_moves++;
	return ~0ull;
}

static void lose(void *self, u64 offset, u32 width, u64 value)
{
	(void)self, (void)offset, (void)width, (void)value;
	nr_moves++;
}
static const struct vdev_ops device = { .read = ones, .write = lose };

/* 32-bit protected mode, flat, no paging; RAM is two pages */
static int setup(void **state)
{
	(void)state;
	memset(&part, 0, sizeof(part));
	memset(ram, 0, sizeof(ram));
	memset(dr, 0, sizeof(dr));
	free(core.v.hw);
	core.v.hw = NULL;
	core.v = (struct vcpu){ .ops = &fake_ops, .part = &part };
	part.host = &host;
	part.mem = (struct gmem){ .nr = 1 };
	part.mem.ext[0] = (struct mem_extent){ GPA(0), HPA((uintptr_t)ram), sizeof(ram) };
	assert_int_equal(fake_ops.vcpu_init(v, NULL), STATUS_OK);
	struct fake *f = fake_of(v);
	for (u32 s = SEG_ES; s <= SEG_GS; s++) {
		f->seg[s] = (struct segment){ .limit = ~0u, .attr = s == SEG_CS ? 0xc09b : 0xc093 };
	}
	f->reg[VREG_CR0] = CR0_PE;
	f->reg[VREG_RIP] = CODE;
	nr_moves = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(core.v.hw);
	core.v.hw = NULL;
	core.v.hw = NULL;
	return 0;
}

static void set(enum vreg r, u64 value)
{
	fake_of(v)->reg[r] = value;
}

static u64 get(enum vreg r)
{
	return fake_of(v)->reg[r];
}

enum { RW_EXEC, RW_WRITE, RW_IO, RW_ACCESS };
enum { LEN_1, LEN_2, LEN_8, LEN_4 };

static u64 dr7(u32 n, u64 rw, u64 len)
{
	return 1ull << (2 * n) | (rw | len << 2) << (16 + 4 * n);
}

/* Every length at every distance, and each kind of access against each R/W */
static void breakpoints_match(void **state)
{
	(void)state;
	static const u8 bytes[] = { [LEN_1] = 1, [LEN_2] = 2, [LEN_8] = 8, [LEN_4] = 4 };
	set(VREG_CR4, CR4_DE);
	for (u32 n = 0; n < 4; n++) {
		for (u32 len = 0; len < 4; len++) {
			dr[n] = 0x2000;
			for (u32 width = 1; width <= 8; width *= 2) {
				for (u64 at = 0x1ff0; at < 0x2010; at++) {
					bool want = at < 0x2000u + bytes[len] && at + width > 0x2000;
					set(VREG_DR7, dr7(n, RW_WRITE, len));
					assert_int_equal(debug_hits(v, DEBUG_WRITE, at, width), want << n);
					assert_int_equal(debug_hits(v, DEBUG_READ, at, width), 0);
					assert_int_equal(debug_hits(v, DEBUG_IO, at, width), 0);
					set(VREG_DR7, dr7(n, RW_ACCESS, len));
					assert_int_equal(debug_hits(v, DEBUG_WRITE, at, width), want << n);
					assert_int_equal(debug_hits(v, DEBUG_READ, at, width), want << n);
					set(VREG_DR7, dr7(n, RW_IO, len));
					assert_int_equal(debug_hits(v, DEBUG_IO, at, width), want << n);
					assert_int_equal(debug_hits(v, DEBUG_WRITE, at, width), 0);
					set(VREG_DR7, dr7(n, RW_EXEC, len));
					assert_int_equal(debug_hits(v, DEBUG_READ, at, width), 0);
				}
			}
		}
	}
	set(VREG_DR7, dr7(0, RW_IO, LEN_1));
	set(VREG_CR4, 0); /* R/W = 2 is undefined without CR4.DE */
	assert_int_equal(debug_hits(v, DEBUG_IO, 0x2000, 1), 0);
	set(VREG_DR7, dr7(0, RW_WRITE, LEN_4) << 1 & 0xff); /* G0 alone enables too: here R/W is 0 */
	assert_int_equal(debug_hits(v, DEBUG_WRITE, 0x2000, 1), 0);
	set(VREG_DR7, 2 | (dr7(0, RW_WRITE, LEN_4) & ~0xffull));
	assert_int_equal(debug_hits(v, DEBUG_WRITE, 0x2003, 1), 1);
	assert_int_equal(debug_hits(v, DEBUG_WRITE, 0x2003, 0), 0);
	dr[0] = ~0ull; /* the last byte there is */
	assert_int_equal(debug_hits(v, DEBUG_WRITE, 0, 4), 0);
	assert_int_equal(debug_hits(v, DEBUG_WRITE, ~0ull, 1), 1);
	dr[0] = 0x2002; /* the CPU ignores low bits */
	assert_int_equal(debug_hits(v, DEBUG_WRITE, 0x2000, 1), 1);
}

static void expect_db(u64 dr6)
{
	assert_int_equal(core.v.pending.type, EVENT_EXCEPTION);
	assert_int_equal(core.v.pending.vector, VEC_DB);
	assert_int_equal(get(VREG_DR6), dr6);
	core.v.pending.type = EVENT_NONE;
}

static void traps(void **state)
{
	(void)state;
	set(VREG_DR6, DR6_FIXED1 | 0xa);
	debug_trap(v, 0, 0);
	assert_int_equal(core.v.pending.type, EVENT_NONE);
	assert_int_equal(get(VREG_DR6), DR6_FIXED1 | 0xa);
	debug_trap(v, 0, 4);
	expect_db(DR6_FIXED1 | 4);
	debug_trap(v, RFLAGS_TF, 1);
	expect_db(DR6_FIXED1 | DR6_BS | 1);
}

static void apply(const struct exit *e, struct verdict d)
{
	core.v.pending.type = EVENT_NONE;
	set(VREG_RFLAGS, RFLAGS_FIXED1);
	vcpu_apply(v, e, &d);
}

/* SDM 3B 17.3.1.1: RF is 1 in what a fault pushes, 0 after traps, interrupts and aborts, and #DB's own */
static void faults_push_rf(void **state)
{
	(void)state;
	static const u8 faults[] = { 0, 5, 6, 7, 10, 11, 12, 13, 14, 16, 17, 19, 20, 21 };
	u32 want = 0;
	for (u32 i = 0; i < ARRAY_SIZE(faults); i++) {
		want |= 1u << faults[i];
	}
	for (u8 vector = 0; vector < 32; vector++) {
		const struct exit e = { .kind = EXIT_UNDEFINED, .rip = CODE };
		const struct event event = { .type = EVENT_EXCEPTION, .vector = vector };
		apply(&e, verdict_event(&event, 0));
		assert_int_equal(!!(get(VREG_RFLAGS) & RFLAGS_RF), want >> vector & 1);
		const struct exit cut = { .kind = EXIT_INTERRUPT, .vectoring = event };
		apply(&cut, verdict(V_RESUME)); /* delivery that an exit interrupted is done again */
		assert_int_equal(!!(get(VREG_RFLAGS) & RFLAGS_RF), want >> vector & 1);
	}
	const struct exit irq = { .kind = EXIT_INTERRUPT, .vectoring = { .type = EVENT_EXTINT, .vector = 14 } };
	apply(&irq, verdict(V_RESUME));
	assert_false(get(VREG_RFLAGS) & RFLAGS_RF);
}

static struct emu emu_with_devices(void)
{
	const struct bus_range range = { 0x10000, 0x100, "device", &device, NULL, NULL };
	core.mmio.nr = part.pc.ports.nr = 0;
	assert_int_equal(bus_attach(&core.mmio, &range), STATUS_OK);
	assert_int_equal(bus_attach(&part.pc.ports, &(struct bus_range){ 0x60, 4, "port", &device, NULL, NULL }), STATUS_OK);
	return (struct emu){ .v = v, .mem = &part.mem, .mmio = &core.mmio, .ports = &part.pc.ports };
}

static void mmio_and_ports_hit(void **state)
{
	(void)state;
	struct emu emu = emu_with_devices();
	memcpy(ram + CODE, "\x89\x03", 2); /* MOV [EBX], EAX */
	core.v.regs[GPR_RBX] = 0x10010;
	dr[2] = 0x10010;
	set(VREG_DR7, dr7(2, RW_WRITE, LEN_4));
	struct verdict d = emulate_mmio(&emu, &(struct exit_mmio){ .addr = GPA(0x10010), .is_write = true });
	assert_int_equal(d.kind, V_ADVANCE);
	assert_int_equal(d.debug, 4);
	assert_int_equal(nr_moves, 1);
	const struct exit e = { .kind = EXIT_MMIO, .rip = CODE };
	set(VREG_DR6, DR6_FIXED1);
	apply(&e, d);
	expect_db(DR6_FIXED1 | 4);
	assert_int_equal(get(VREG_RIP), CODE + 2);
	dr[0] = 0x61;
	set(VREG_DR7, dr7(0, RW_IO, LEN_1));
	set(VREG_CR4, CR4_DE);
	const struct exit out = { .kind = EXIT_PIO, .insn_len = 1, .pio = { .port = 0x60, .width = 2 } };
	assert_int_equal(emulate_pio(&emu, &out).debug, 1);
	const struct exit byte = { .kind = EXIT_PIO, .insn_len = 1, .pio = { .port = 0x60, .width = 1 } };
	assert_int_equal(emulate_pio(&emu, &byte).debug, 0);
}

/* Single step and breakpoints are between iterations of a REP; without them it runs to its end */
static void strings_stop_for_them(void **state)
{
	(void)state;
	struct emu emu = emu_with_devices();
	struct exit e = { .kind = EXIT_PIO, .insn_len = 2, .rip = CODE,
			  .pio = { .port = 0x60, .width = 1, .is_string = true, .is_rep = true,
				   .seg = SEG_DS, .addr_size = 4 } };
	core.v.regs[GPR_RCX] = 3;
	set(VREG_RFLAGS, RFLAGS_FIXED1 | RFLAGS_TF);
	struct verdict d = emulate_pio(&emu, &e);
	assert_int_equal(d.kind, V_REPEAT);
	assert_int_equal(core.v.regs[GPR_RCX], 2);
	set(VREG_DR6, DR6_FIXED1);
	vcpu_apply(v, &e, &d);
	expect_db(DR6_FIXED1 | DR6_BS);
	assert_int_equal(get(VREG_RIP), CODE);
	assert_true(get(VREG_RFLAGS) & RFLAGS_RF);
	set(VREG_RFLAGS, RFLAGS_FIXED1);
	dr[1] = 1; /* the second byte of the source */
	set(VREG_DR7, dr7(1, RW_ACCESS, LEN_1));
	d = emulate_pio(&emu, &e);
	assert_int_equal(d.kind, V_REPEAT);
	assert_int_equal(d.debug, 2);
	assert_int_equal(core.v.regs[GPR_RSI], 2);
	d = emulate_pio(&emu, &e);
	assert_int_equal(d.kind, V_ADVANCE);
	assert_int_equal(d.debug, 0);
	assert_int_equal(nr_moves, 3);
	dr[1] = 0x60; /* the port itself: at each iteration, the last one included */
	set(VREG_CR4, CR4_DE);
	set(VREG_DR7, dr7(1, RW_IO, LEN_1));
	core.v.regs[GPR_RCX] = 2;
	assert_int_equal(emulate_pio(&emu, &e).kind, V_REPEAT);
	d = emulate_pio(&emu, &e);
	assert_int_equal(d.kind, V_ADVANCE);
	assert_int_equal(d.debug, 2);
}

/* Without nRIP: before the handler has done anything; what no CPU executes is #UD and no end */
static void lengths_come_first(void **state)
{
	(void)state;
	static const u8 kinds[] = { EXIT_CPUID, EXIT_RDMSR, EXIT_WRMSR, EXIT_HLT, EXIT_HYPERCALL, EXIT_XSETBV,
				    EXIT_CACHE, EXIT_PAUSE };
	struct verdict d;
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct exit e = { .kind = kinds[i], .rip = CODE };
		memcpy(ram + CODE, "\x66\x0f\xa2", 3);
		assert_true(exit_measure(v, &e, &d));
		assert_int_equal(e.insn_len, 3);
		e.insn_len = 0;
		memcpy(ram + CODE, "\xf0\x0f\xa2", 3); /* LOCK CPUID */
		assert_false(exit_measure(v, &e, &d));
		assert_int_equal(d.kind, V_INJECT);
		assert_int_equal(d.event.vector, VEC_UD);
		e.insn_len = 2;
		assert_true(exit_measure(v, &e, &d)); /* the hardware knows */
	}
	struct exit e = { .kind = EXIT_CPUID, .rip = CODE };
	fake_of(v)->seg[SEG_CS].limit = CODE; /* its second byte is outside */
	assert_false(exit_measure(v, &e, &d));
	assert_int_equal(d.event.vector, VEC_GP);
	e = (struct exit){ .kind = EXIT_MMIO };
	assert_true(exit_measure(v, &e, &d));
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(breakpoints_match), TEST(traps), TEST(faults_push_rf), TEST(mmio_and_ports_hit),
		TEST(strings_stop_for_them), TEST(lengths_come_first),
	};
	return cmocka_run_group_tests_name("debug", tests, NULL, teardown);
}
