/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMX exits as data: fields filled as SDM 3C chapter 28 says, and as Bochs was seen to. The table
 * of reasons is checked against appendix C, by its numbers.
 */
#include "vmx/vmx_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct vmx_raw raw;
static struct exit e;

static void take(u32 reason, u64 qual)
{
	memset(&e, 0xee, sizeof(e));
	raw.reason = reason;
	raw.qual = qual;
	raw.rip = 0x1000;
	vmx_exit_decode(&raw, &e);
	assert_int_equal(e.reason, reason);
	assert_int_equal(e.info[0], qual);
	assert_int_equal(e.info[1], raw.phys);
	assert_int_equal(e.rip, 0x1000);
	assert_int_equal(e.insn_len, raw.insn_len);
}

static int setup(void **state)
{
	(void)state;
	memset(&raw, 0, sizeof(raw));
	return 0;
}

/* Reasons that our controls let happen, and those that exit whatever the controls are */
static const struct {
	u8 reason;
	u8 kind;
	u8 needs;
} possible[] = {
	{ 0, EXIT_EXCEPTION, NEEDS_QUAL | NEEDS_INTR | NEEDS_VECTORING },
	{ 1, EXIT_INTERRUPT, NEEDS_INTR },
	{ 2, EXIT_TRIPLE_FAULT, 0 },
	{ 3, EXIT_INIT, 0 },
	{ 4, EXIT_SIPI, NEEDS_QUAL },
	{ 7, EXIT_WINDOW, 0 },
	{ 8, EXIT_NMI_WINDOW, 0 },
	{ 9, EXIT_TASK_SWITCH, NEEDS_LEN | NEEDS_QUAL | NEEDS_VECTORING },
	{ 10, EXIT_CPUID, NEEDS_LEN },
	{ 12, EXIT_HLT, NEEDS_LEN },
	{ 13, EXIT_CACHE, NEEDS_LEN },
	{ 15, EXIT_RDPMC, NEEDS_LEN },
	{ 18, EXIT_HYPERCALL, NEEDS_LEN },
	{ 28, EXIT_CR, NEEDS_LEN | NEEDS_QUAL },
	{ 30, EXIT_PIO, NEEDS_LEN | NEEDS_QUAL | NEEDS_INSN_INFO },
	{ 31, EXIT_RDMSR, NEEDS_LEN },
	{ 32, EXIT_WRMSR, NEEDS_LEN },
	{ 33, EXIT_ENTRY_FAILED, NEEDS_QUAL },
	{ 34, EXIT_ENTRY_FAILED, NEEDS_QUAL },
	{ 40, EXIT_PAUSE, NEEDS_LEN },
	{ 41, EXIT_MACHINE_CHECK, 0 },
	{ 43, EXIT_TPR, 0 },
	{ 44, EXIT_MMIO, NEEDS_QUAL | NEEDS_VECTORING },
	{ 45, EXIT_EOI, NEEDS_QUAL },
	{ 48, EXIT_MMIO, NEEDS_QUAL | NEEDS_PHYS | NEEDS_VECTORING },
	{ 49, EXIT_MISCONFIG, NEEDS_PHYS | NEEDS_VECTORING },
	{ 52, EXIT_TIMER, 0 },
	{ 54, EXIT_CACHE, NEEDS_LEN },
	{ 55, EXIT_XSETBV, NEEDS_LEN },
	{ 56, EXIT_APIC_WRITE, NEEDS_QUAL },
};

/* GETSEC, VMX, MWAIT, MONITOR, INVEPT, INVVPID, RDRAND, VMFUNC, ENCLS, RDSEED, XSAVES ... */
static const u8 undefined[] = { 11, 19, 20, 21, 22, 23, 24, 25, 26, 27, 36, 39, 50, 53, 57, 59, 60,
				61, 63, 64, 65, 67, 68, 69, 70, 72, 73, 76, 77, 78, 79 };

static void test_table(void **state)
{
	u32 p = 0, u = 0;
	(void)state;
	for (u32 reason = 0; reason < 0x10000; reason++) {
		const struct vmx_reason *row = vmx_reason(reason);
		assert_non_null(row->name);
		if (p < ARRAY_SIZE(possible) && possible[p].reason == reason) {
			assert_int_equal(row->kind, possible[p].kind);
			assert_int_equal(row->needs, possible[p++].needs);
		} else if (u < ARRAY_SIZE(undefined) && undefined[u] == reason) {
			assert_int_equal(row->kind, EXIT_UNDEFINED);
			assert_int_equal(row->needs, 0);
			u++;
		} else {
			assert_int_equal(row->kind, EXIT_UNEXPECTED);
		}
	}
	assert_int_equal(p + u, ARRAY_SIZE(possible) + ARRAY_SIZE(undefined));
}

/* SDM 3C 28.2.2: with "acknowledge interrupt on exit" the vector is there, else nothing is valid */
static void test_interrupt(void **state)
{
	(void)state;
	raw = (struct vmx_raw){ .reason = 1, .intr_info = 0x800000f1 };
	vmx_exit_decode(&raw, &e);
	assert_int_equal(e.kind, EXIT_INTERRUPT);
	assert_int_equal(e.vector, 0xf1);
	raw.intr_info = 0xf1;
	vmx_exit_decode(&raw, &e);
	assert_int_equal(e.kind, EXIT_INTERRUPT);
	assert_int_equal(e.vector, 0);
}

static void test_entry_failed(void **state)
{
	(void)state;
	take(0x80000021, 4);
	assert_int_equal(e.kind, EXIT_ENTRY_FAILED);
	take(0x80000022, 1);
	assert_int_equal(e.kind, EXIT_ENTRY_FAILED);
	take(0x8000000a, 0); /* no such, but it says that entry failed */
	assert_int_equal(e.kind, EXIT_ENTRY_FAILED);
	take(0x80000029, 0);
	assert_int_equal(e.kind, EXIT_MACHINE_CHECK);
}

static void test_pio(void **state)
{
	(void)state;
	raw.insn_len = 2;
	take(30, 0x00800040); /* OUT 80h, AL */
	assert_int_equal(e.kind, EXIT_PIO);
	assert_int_equal(e.pio.port, 0x80);
	assert_int_equal(e.pio.width, 1);
	assert_false(e.pio.is_in || e.pio.is_string || e.pio.is_rep);
	take(30, 0xcf8000b); /* IN EAX, DX */
	assert_int_equal(e.pio.port, 0xcf8);
	assert_int_equal(e.pio.width, 4);
	assert_true(e.pio.is_in && !e.pio.is_string);
	assert_int_equal(e.pio.addr_size, 0);
}

static void test_pio_string(void **state)
{
	(void)state;
	raw.insn_info = 1 << 7 | 4 << 15; /* 32-bit addresses, FS */
	take(30, 0x03f80030); /* REP OUTSB */
	assert_true(e.pio.is_string && e.pio.is_rep && !e.pio.is_in);
	assert_int_equal(e.pio.addr_size, 4);
	assert_int_equal(e.pio.seg, SEG_FS);
	raw.insn_info = 2 << 7 | 5 << 15; /* INS: the segment field is undefined */
	take(30, 0x01f00039);
	assert_true(e.pio.is_in);
	assert_int_equal(e.pio.width, 2);
	assert_int_equal(e.pio.addr_size, 8);
	assert_int_equal(e.pio.seg, SEG_ES);
	raw.insn_info = 0; /* 16-bit INS */
	take(30, 0x01f00039);
	assert_int_equal(e.pio.addr_size, 2);
}

/* Qualifications as Bochs gives them */
static void test_mmio(void **state)
{
	static const struct {
		u32 qual;
		bool is_write, is_fetch, is_walk;
	} row[] = {
		{ 0x181, false, false, false }, { 0x182, true, false, false },
		{ 0x184, false, true, false },	{ 0x1aa, true, false, false },
		{ 0x19c, false, true, false },	{ 0x81, false, false, true },
		{ 0x83, true, false, true },	{ 0x01, false, false, false },
	};
	(void)state;
	raw.phys = 0xfee000b0;
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		take(48, row[i].qual);
		assert_int_equal(e.kind, EXIT_MMIO);
		assert_int_equal(e.mmio.addr.v, 0xfee000b0);
		assert_int_equal(e.mmio.is_write, row[i].is_write);
		assert_int_equal(e.mmio.is_fetch, row[i].is_fetch);
		assert_int_equal(e.mmio.is_walk, row[i].is_walk);
	}
}

/* SDM 3C table 28-6: the access's kind is in bits 15:12; the address is known from elsewhere */
static void test_apic(void **state)
{
	static const struct {
		u32 qual;
		bool is_write, is_fetch, is_walk;
	} row[] = {
		{ 0x0390, false, false, false }, { 0x1390, true, false, false }, { 0x2390, false, true, false },
		{ 0x3390, false, false, false }, { 0xf390, false, false, true },
	};
	(void)state;
	raw.apic_base = 0xfee00000;
	raw.phys = 0x1234;
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		take(44, row[i].qual);
		assert_int_equal(e.kind, EXIT_MMIO);
		assert_int_equal(e.mmio.addr.v, 0xfee00390);
		assert_int_equal(e.mmio.is_write, row[i].is_write);
		assert_int_equal(e.mmio.is_fetch, row[i].is_fetch);
		assert_int_equal(e.mmio.is_walk, row[i].is_walk);
	}
	assert_false(vmx_exit_unblocked_nmi(&raw, &e));
	take(45, 0xffffff61);
	assert_int_equal(e.vector, 0x61);
	take(56, 0xf380);
	assert_int_equal(e.apic_offset, 0x380);
}

static void test_cr(void **state)
{
	(void)state;
	take(28, 0x918); /* MOV R9, CR8 */
	assert_int_equal(e.cr.op, CR_MOV_FROM);
	assert_int_equal(e.cr.num, 8);
	assert_int_equal(e.cr.gpr, GPR_R9);
	take(28, 0x404); /* MOV CR4, RSP */
	assert_int_equal(e.cr.op, CR_MOV_TO);
	assert_int_equal(e.cr.num, 4);
	assert_int_equal(e.cr.gpr, GPR_RSP);
	take(28, 0x20);
	assert_int_equal(e.cr.op, CR_CLTS);
	take(28, 0xabcd0030);
	assert_int_equal(e.cr.op, CR_LMSW);
	assert_int_equal(e.cr.lmsw, 0xabcd);
	take(9, 0xc0000028);
	assert_int_equal(e.task.sel, 0x28);
	assert_int_equal(e.task.source, 3);
}

static void test_exceptions(void **state)
{
	(void)state;
	raw.intr_info = 0x80000301; /* #DB */
	take(0, 0x4000);
	assert_int_equal(e.kind, EXIT_EXCEPTION);
	assert_int_equal(e.event.type, EVENT_EXCEPTION);
	assert_int_equal(e.event.vector, 1);
	assert_false(e.event.has_error);
	raw.intr_info = 0x80000b11; /* #AC with its error code */
	raw.intr_error = 7;
	take(0, 0);
	assert_true(e.event.has_error);
	assert_int_equal(e.event.error, 7);
	raw.intr_info = 0x80000202;
	take(0, 0);
	assert_int_equal(e.kind, EXIT_NMI);
	raw.intr_info = 0x80000312;
	take(0, 0);
	assert_int_equal(e.kind, EXIT_MACHINE_CHECK);
}

/* What an exit interrupted goes back in as it came out, for every kind of event */
static void test_vectoring(void **state)
{
	static const struct {
		u32 info;
		enum event_type type;
	} row[] = {
		{ 0x80000030, EVENT_EXTINT },	 { 0x80000202, EVENT_NMI },
		{ 0x80000b0d, EVENT_EXCEPTION }, { 0x80000306, EVENT_EXCEPTION },
		{ 0x80000480, EVENT_SOFTINT },	 { 0x80000603, EVENT_SOFTEXC },
		{ 0x80000501, EVENT_SOFTEXC },
	};
	(void)state;
	take(48, 0x181);
	assert_int_equal(e.vectoring.type, EVENT_NONE);
	raw.insn_len = 2;
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		bool is_soft = row[i].type == EVENT_SOFTINT || row[i].type == EVENT_SOFTEXC;
		raw.vectoring_info = row[i].info;
		raw.vectoring_error = 0x1234;
		take(48, 0x181);
		assert_int_equal(e.vectoring.type, row[i].type);
		assert_int_equal(e.vectoring.vector, row[i].info & 0xff);
		assert_int_equal(e.vectoring.insn_len, is_soft ? 2 : 0);
		assert_int_equal(e.vectoring.error, e.vectoring.has_error ? 0x1234 : 0);
		assert_int_equal(vmx_event_encode(&e.vectoring, true), row[i].info);
	}
}

static void test_encode_in_real_mode(void **state)
{
	const struct event gp = { EVENT_EXCEPTION, 13, .has_error = true };
	(void)state;
	assert_int_equal(vmx_event_encode(&gp, true), 0x80000b0d);
	assert_int_equal(vmx_event_encode(&gp, false), 0x8000030d);
}

static bool unblocked(u32 reason, u64 qual, u32 intr, u32 vectoring)
{
	raw.intr_info = intr;
	raw.vectoring_info = vectoring;
	take(reason, qual);
	return vmx_exit_unblocked_nmi(&raw, &e);
}

static void test_nmi_unblocking(void **state)
{
	(void)state;
	assert_true(unblocked(48, 0x1181, 0, 0));
	assert_false(unblocked(48, 0x181, 0, 0));
	assert_false(unblocked(48, 0x1181, 0, 0x80000030)); /* undefined during a delivery */
	assert_false(unblocked(44, 0x1390, 0, 0)); /* bit 12 is a write there */
	assert_true(unblocked(0, 0, 0x80001b11, 0));
	assert_false(unblocked(0, 0, 0x80000b11, 0));
	assert_false(unblocked(0, 0, 0x80001b08, 0)); /* undefined for #DF */
	assert_false(unblocked(30, 0x10000000 | BIT(12), 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test_setup(test_interrupt, setup),
		cmocka_unit_test_setup(test_entry_failed, setup),
		cmocka_unit_test_setup(test_pio, setup),
		cmocka_unit_test_setup(test_pio_string, setup),
		cmocka_unit_test_setup(test_mmio, setup),
		cmocka_unit_test_setup(test_apic, setup),
		cmocka_unit_test_setup(test_cr, setup),
		cmocka_unit_test_setup(test_exceptions, setup),
		cmocka_unit_test_setup(test_vectoring, setup),
		cmocka_unit_test(test_encode_in_real_mode),
		cmocka_unit_test_setup(test_nmi_unblocking, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
