/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A CPU that says what it has read of an instruction that touches a device (AMD's decode assists), which no emulator
 * here is. Memory says something else in nearly all of these tests, as it can when another core of the guest changes
 * code or tables meanwhile: so it is seen which of the two is taken.
 */
#include "kernel/exit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "rig.h"
#include "x86/regs.h"

#define NO_TABLES 0x500000 /* guest memory that holds zeroes: as CR3, nothing is mapped */

static struct partition *part;
static struct vcpu *v;
static u8 vmcb_bytes[15];
static u32 withheld; /* how many of the bytes the count leaves out, though they are there */

static int setup(void **state)
{
	(void)state;
	assert_null(rig_build(&rig_config));
	part = rig.part;
	v = &part->core[0]->v;
	v->insn_bytes = vmcb_bytes;
	withheld = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini();
	return 0;
}

/* The guest's code in memory, as of now */
static void put_code(const char *code, u32 len)
{
	assert_true(gmem_write(&part->mem, GPA(RIG_LOAD_ADDR), code, len));
}
#define CODE(s) put_code(s, sizeof(s) - 1)

/* [RBX] is register @offset of the local APIC: one exit there, of an instruction at RIG_LOAD_ADDR. Return: RIP, relative */
static u64 touch(u32 offset, bool is_write, const char *bytes, u32 nr)
{
	memset(vmcb_bytes, 0xcc, sizeof(vmcb_bytes)); /* what is behind the count means nothing */
	memcpy(vmcb_bytes, bytes, nr);
	v->regs[GPR_RBX] = VLAPIC_BASE + offset;
	v->regs[GPR_RAX] = v->regs[GPR_RDX] = 0;
	v->pending.type = EVENT_NONE;
	fake_of(v)->reg[VREG_RIP] = RIG_LOAD_ADDR;
	rig_play(0, (struct exit){ .kind = EXIT_MMIO, .mmio = { .addr = GPA(VLAPIC_BASE + offset),
				   .is_write = is_write, .nr_fetched = (u8)(nr - withheld) } });
	return fake_of(v)->reg[VREG_RIP] - RIG_LOAD_ADDR;
}
#define READ(s)	 touch(0x30, false, s, sizeof(s) - 1)
#define WRITE(s) touch(0xf0, true, s, sizeof(s) - 1)

#define EAX_RBX "\x8b\x03"
#define EDX_RBX "\x8b\x13"
#define LONG_EDX_RBX "\x8b\x93\0\0\0\0" /* the same with a displacement */

static void expect(u64 eax, u64 edx)
{
	assert_int_equal(v->regs[GPR_RAX], eax);
	assert_int_equal(v->regs[GPR_RDX], edx);
}

/* The first time by decoding, then by what is remembered; whatever has just been executed at that RIP */
static void what_the_cpu_read_is_carried_out(void **state)
{
	(void)state;
	CODE("\x0f\x0b"); /* UD2 */
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(READ(EAX_RBX), 2);
		expect(VLAPIC_VERSION, 0);
		assert_int_equal(READ(EAX_RBX "\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90"), 2);
		expect(VLAPIC_VERSION, 0);
		assert_int_equal(READ(LONG_EDX_RBX), 6);
		expect(0, VLAPIC_VERSION);
	}
	assert_int_equal(part->state, PARTITION_RUNNING);
}

static u32 svr(void)
{
	return part->core[0]->lapic.reg[0xf0 / 16];
}

/* Two instructions of eleven bytes, which differ in the ninth */
static void all_bytes_are_compared(void **state)
{
	(void)state;
	CODE("\x0f\x0b");
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(WRITE("\x40\xc7\x83\0\0\0\0\x3f\x01\0\0"), 11);
		assert_int_equal(svr(), 0x13f);
		assert_int_equal(WRITE("\x40\xc7\x83\0\0\0\0\x3f\x03\0\0"), 11);
		assert_int_equal(svr(), 0x33f);
	}
}

/* Another core has taken the page of the code away behind the fetch */
static void page_tables_do_not_matter(void **state)
{
	(void)state;
	CODE(EAX_RBX);
	u64 cr3 = fake_of(v)->reg[VREG_CR3];
	fake_of(v)->reg[VREG_CR0] |= CR0_PG;
	for (u32 i = 0; i < 2; i++) {
		fake_of(v)->reg[VREG_CR3] = NO_TABLES;
		assert_int_equal(READ(EDX_RBX), 2);
		expect(0, VLAPIC_VERSION);
		assert_int_equal(READ(""), 0); /* a CPU that could read nothing: so the tables are asked */
		assert_int_equal(v->pending.type, EVENT_EXCEPTION);
		assert_int_equal(v->pending.vector, VEC_PF);
		fake_of(v)->reg[VREG_CR3] = cr3;
		assert_int_equal(READ(""), 2);
		expect(VLAPIC_VERSION, 0);
	}
}

/* Nor is what is remembered of an earlier execution taken then, though the bytes in the VMCB are still like it */
static void too_few_bytes_are_none(void **state)
{
	(void)state;
	CODE(EAX_RBX);
	for (u32 n = 1; n <= sizeof(LONG_EDX_RBX) - 1; n++) {
		withheld = 0;
		assert_int_equal(READ(LONG_EDX_RBX), 6);
		expect(0, VLAPIC_VERSION);
		withheld = n;
		assert_int_equal(READ(LONG_EDX_RBX), 2);
		expect(VLAPIC_VERSION, 0);
	}
}

static void a_cpu_that_does_not_tell_is_not_asked(void **state)
{
	(void)state;
	CODE(EAX_RBX);
	v->insn_bytes = NULL;
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(READ(EDX_RBX), 2); /* so the count is anything */
		expect(VLAPIC_VERSION, 0);
	}
}

/* What was remembered by bytes is not taken for what memory holds, and the reverse */
static void memory_and_bytes_are_not_mixed_up(void **state)
{
	(void)state;
	CODE(EAX_RBX);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(READ(""), 2);
		expect(VLAPIC_VERSION, 0);
		assert_int_equal(READ(EDX_RBX), 2);
		expect(0, VLAPIC_VERSION);
	}
}

/* In 64-bit code MOV with a REX that says nothing, in 32-bit code INC EAX, which touches no device */
static void code_of_32_bits_is_decoded_as_such(void **state)
{
	(void)state;
	CODE("\x0f\x0b");
	assert_int_equal(READ("\x40" EDX_RBX), 3);
	assert_int_equal(READ("\x40" EDX_RBX), 3);
	fake_of(v)->reg[VREG_EFER] = 0;
	fake_of(v)->reg[VREG_CR0] &= ~CR0_PG;
	fake_of(v)->seg[SEG_CS].attr = 0xc09b;
	assert_int_equal(READ(EDX_RBX), 2);
	expect(0, VLAPIC_VERSION);
	READ("\x40" EDX_RBX);
	assert_non_null(strstr(rig.log, "cannot emulate instruction at MMIO"));
}

static void nothing_is_known_at_first(void **state)
{
	(void)state;
	static const struct insn_cache empty;
	const struct exit e = { .kind = EXIT_MMIO, .rip = 0, .mmio = { .nr_fetched = 15 } };
	memset(vmcb_bytes, 0, sizeof(vmcb_bytes)); /* ADD [RAX], AL: not an empty row at RIP 0 */
	assert_null(emulate_executed(v, &empty, &e));
}

static void what_cannot_be_carried_out_ends_it_by_name(void **state)
{
	(void)state;
	CODE(EAX_RBX);
	READ("\x0f\x10\x03"); /* MOVUPS */
	assert_non_null(strstr(rig.log, "cannot emulate instruction at MMIO"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_the_cpu_read_is_carried_out), T(all_bytes_are_compared), T(page_tables_do_not_matter),
		T(too_few_bytes_are_none), T(a_cpu_that_does_not_tell_is_not_asked),
		T(memory_and_bytes_are_not_mixed_up), T(code_of_32_bits_is_decoded_as_such), T(nothing_is_known_at_first),
		T(what_cannot_be_carried_out_ends_it_by_name),
	};
	return cmocka_run_group_tests_name("insn bytes", tests, NULL, NULL);
}
