/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SVM exits as data: VMCBs filled as APM 2 chapter 15 says a CPU fills them, and as QEMU and Bochs
 * were seen to. The table of exit codes is checked against the list of what may be on.
 */
#include "svm/svm_vcpu.h"
#include "x86/regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct svm_vcpu hw;
static struct exit e;

static void take(u64 code, u64 info1, u64 info2)
{
	memset(&e, 0xee, sizeof(e));
	hw.vmcb.exit_code = code;
	hw.vmcb.exit_info1 = info1;
	hw.vmcb.exit_info2 = info2;
	svm_exit_decode(&hw, &e);
	assert_int_equal(e.reason, (u32)code);
	assert_int_equal(e.info[0], info1);
	assert_int_equal(e.info[1], info2);
	assert_int_equal(e.rip, hw.vmcb.rip);
}

static int setup(void **state)
{
	(void)state;
	memset(&hw, 0, sizeof(hw));
	hw.vmcb.rip = 0x1000;
	hw.vmcb.next_rip = 0x1002;
	return 0;
}

/* numbers as in APM 2 appendix C, not by our names */
static const struct {
	u32 code;
	enum exit_kind kind;
} always[] = {
	{ 0x08, EXIT_CR },	    { 0x14, EXIT_CR },	      { 0x18, EXIT_CR },
	{ 0x41, EXIT_EXCEPTION },   { 0x51, EXIT_EXCEPTION }, { 0x52, EXIT_MACHINE_CHECK },
	{ 0x60, EXIT_INTERRUPT },   { 0x61, EXIT_NMI },	      { 0x63, EXIT_INIT },
	{ 0x6f, EXIT_RDPMC },	    { 0x72, EXIT_CPUID },     { 0x76, EXIT_CACHE },
	{ 0x78, EXIT_HLT },	    { 0x7a, EXIT_UNDEFINED }, { 0x7b, EXIT_PIO },
	{ 0x7c, EXIT_RDMSR },	    { 0x7f, EXIT_TRIPLE_FAULT }, { 0x80, EXIT_UNDEFINED },
	{ 0x81, EXIT_HYPERCALL },   { 0x82, EXIT_UNDEFINED }, { 0x83, EXIT_UNDEFINED },
	{ 0x84, EXIT_UNDEFINED },   { 0x85, EXIT_UNDEFINED }, { 0x86, EXIT_UNDEFINED },
	{ 0x89, EXIT_CACHE },	    { 0x8a, EXIT_UNDEFINED }, { 0x8b, EXIT_UNDEFINED },
	{ 0x8c, EXIT_UNDEFINED },   { 0x8d, EXIT_XSETBV },    { 0x8e, EXIT_UNDEFINED },
};

static void test_table(void **state)
{
	u32 i = 0;
	(void)state;
	for (u32 code = 0; code < 0x420; code++) {
		bool on = code < 192 && svm_intercepts(code / 32) >> (code % 32) & 1;
		take(code, 0, 0);
		if (i < ARRAY_SIZE(always) && always[i].code == code) {
			assert_true(on);
			assert_int_equal(e.kind, always[i++].kind);
		} else if (code == 0x64 || code == 0x74 || code == 0x77 || code == 0x400) {
			/* VINTR, IRET, PAUSE, NPF */
			assert_false(on);
			assert_int_not_equal(e.kind, EXIT_UNEXPECTED);
		} else if (code >= 0x40 && code < 0x60 && code != 0x42) {
			assert_false(on);
			assert_int_equal(e.kind, EXIT_EXCEPTION);
			assert_int_equal(e.event.vector, code - 0x40);
		} else {
			assert_false(on);
			assert_int_equal(e.kind, EXIT_UNEXPECTED);
		}
	}
	assert_int_equal(i, ARRAY_SIZE(always));
}

/* Where the exit is written another one was before: nothing of it may look like an acknowledged vector */
static void test_interrupt_is_pending(void **state)
{
	(void)state;
	take(0x60, 0, 0);
	assert_int_equal(e.kind, EXIT_INTERRUPT);
	assert_int_equal(e.vector, 0);
}

static void test_invalid(void **state)
{
	(void)state;
	take(~0ull, 0, 0);
	assert_int_equal(e.kind, EXIT_ENTRY_FAILED);
	take(0xffffffff, 0, 0);
	assert_int_equal(e.kind, EXIT_ENTRY_FAILED);
	for (u64 code = -4ull; code < -1ull; code++) {
		take(code, 0, 0);
		assert_int_equal(e.kind, EXIT_UNEXPECTED);
	}
}

static void test_length(void **state)
{
	(void)state;
	take(VMEXIT_CPUID, 0, 0);
	assert_int_equal(e.insn_len, 0);
	hw.features = SVM_FEATURE_NRIPS;
	take(VMEXIT_CPUID, 0, 0);
	assert_int_equal(e.insn_len, 2);
	take(VMEXIT_NPF, 0, 0); /* not an instruction intercept: nRIP means nothing */
	assert_int_equal(e.insn_len, 0);
	hw.vmcb.next_rip = 0x1010; /* longer than any instruction */
	take(VMEXIT_CPUID, 0, 0);
	assert_int_equal(e.insn_len, 0);
	hw.vmcb.next_rip = 0x1000;
	take(VMEXIT_CPUID, 0, 0);
	assert_int_equal(e.insn_len, 0);
}

static void test_pio(void **state)
{
	(void)state;
	take(VMEXIT_IOIO, 0x03f80010, 0x1001); /* OUT DX,AL as QEMU says it */
	assert_int_equal(e.kind, EXIT_PIO);
	assert_int_equal(e.insn_len, 1);
	assert_int_equal(e.pio.port, 0x3f8);
	assert_int_equal(e.pio.width, 1);
	assert_false(e.pio.is_in || e.pio.is_string || e.pio.is_rep);
	assert_int_equal(e.pio.addr_size, 0);
	take(VMEXIT_IOIO, 0x01f00000 | 0x1000 | 0x100 | 0x20 | 0xd, 0x1004); /* REP INSW, FS */
	assert_int_equal(e.pio.port, 0x1f0);
	assert_int_equal(e.pio.width, 2);
	assert_true(e.pio.is_in && e.pio.is_string && e.pio.is_rep);
	assert_int_equal(e.pio.addr_size, 0);
	hw.features = SVM_FEATURE_DECODE;
	for (u32 i = 0; i < 3; i++) {
		take(VMEXIT_IOIO, 0x01f00000 | 4 << 10 | 0x80u << i | 0x44, 0x1002);
		assert_int_equal(e.pio.width, 4);
		assert_int_equal(e.pio.addr_size, 2u << i);
		assert_int_equal(e.pio.seg, SEG_FS);
	}
}

static void test_msr_cr(void **state)
{
	(void)state;
	take(VMEXIT_MSR, 0, 0);
	assert_int_equal(e.kind, EXIT_RDMSR);
	take(VMEXIT_MSR, 1, 0);
	assert_int_equal(e.kind, EXIT_WRMSR);
	take(0x14, BIT(63) | 11, 0); /* without decode assists EXITINFO1 is not to be believed */
	assert_int_equal(e.cr.op, CR_DECODE);
	assert_int_equal(e.cr.num, 4);
	hw.features = SVM_FEATURE_DECODE;
	take(0x14, BIT(63) | 11, 0);
	assert_int_equal(e.cr.op, CR_MOV_TO);
	assert_int_equal(e.cr.gpr, GPR_R11);
	take(0x08, BIT(63) | 2, 0);
	assert_int_equal(e.cr.op, CR_MOV_FROM);
	assert_int_equal(e.cr.num, 8);
	assert_int_equal(e.cr.gpr, GPR_RDX);
	take(0x18, 0, 0);
	assert_int_equal(e.cr.op, CR_DECODE);
	assert_int_equal(e.cr.num, 8);
}

/* EXITINFO1 values as measured on QEMU: read, write, fetch; final translation or guest walk */
static void test_npf(void **state)
{
	(void)state;
	take(VMEXIT_NPF, 0x100000004, 0xfee000b0);
	assert_int_equal(e.kind, EXIT_MMIO);
	assert_int_equal(e.mmio.addr.v, 0xfee000b0);
	assert_false(e.mmio.is_write || e.mmio.is_fetch || e.mmio.is_walk);
	take(VMEXIT_NPF, 0x100000006, 0xfee000b0);
	assert_true(e.mmio.is_write && !e.mmio.is_fetch && !e.mmio.is_walk);
	take(VMEXIT_NPF, 0x100000014, 0xfee000b0);
	assert_true(!e.mmio.is_write && e.mmio.is_fetch && !e.mmio.is_walk);
	take(VMEXIT_NPF, 0x200000006, 0xfee000b0);
	assert_true(e.mmio.is_write && !e.mmio.is_fetch && e.mmio.is_walk);
	take(VMEXIT_NPF, 0x10000000c, 0x1000);
	assert_int_equal(e.kind, EXIT_MISCONFIG);
	take(VMEXIT_NPF, 0x10000000d, 0x1000); /* Bochs */
	assert_int_equal(e.kind, EXIT_MISCONFIG);
}

/* one #NPF for data, with this count in the VMCB. Return: what the exit says */
static u8 fetched(u8 count)
{
	hw.vmcb.nr_insn_bytes = count;
	take(VMEXIT_NPF, 0x100000006, 0xfee000b0);
	assert_int_equal(hw.vmcb.nr_insn_bytes, 0);
	return e.mmio.nr_fetched;
}

static void test_insn_bytes(void **state)
{
	(void)state;
	for (u32 count = 0; count < 256; count++) {
		hw.features = ~(u32)SVM_FEATURE_DECODE;
		assert_int_equal(fetched((u8)count), 0); /* reserved, without the feature */
		hw.features = SVM_FEATURE_DECODE;
		assert_int_equal(fetched((u8)count), count <= 15 ? count : 0);
		take(VMEXIT_NPF, 0x100000006, 0xfee000b0); /* an exit that has not written it */
		assert_int_equal(e.mmio.nr_fetched, 0);
	}
}

/* A #PF that is intercepted, while an IRET is stepped over, writes it too: no later exit may see that */
static void test_insn_bytes_of_pf(void **state)
{
	(void)state;
	hw.features = SVM_FEATURE_DECODE;
	hw.vmcb.nr_insn_bytes = 15;
	take(0x4e, 0, 0x1000);
	hw.is_stepping = true;
	assert_true(svm_exit_settle(&hw, &e));
	assert_int_equal(hw.vmcb.nr_insn_bytes, 0);
}

static void test_exception(void **state)
{
	(void)state;
	take(0x51, 0, 0);
	assert_true(e.event.type == EVENT_EXCEPTION && e.event.has_error && e.event.error == 0);
	take(0x4d, 0x1238, 0);
	assert_true(e.event.has_error && e.event.error == 0x1238 && e.event.vector == VEC_GP);
	take(0x41, 0x77, 0); /* undefined for #DB */
	assert_true(!e.event.has_error && e.event.error == 0);
}

static void vector(u64 info)
{
	hw.vmcb.exit_int_info = info;
	take(VMEXIT_NPF, 0, 0);
}

static void test_vectoring(void **state)
{
	(void)state;
	vector(0x77777777); /* garbage without the V bit */
	assert_int_equal(e.vectoring.type, EVENT_NONE);
	vector(0x80000030);
	assert_true(e.vectoring.type == EVENT_EXTINT && e.vectoring.vector == 0x30);
	vector(0x80000202);
	assert_int_equal(e.vectoring.type, EVENT_NMI);
	vector(0x000000048000030eull | BIT(11));
	assert_true(e.vectoring.type == EVENT_EXCEPTION && e.vectoring.vector == VEC_PF);
	assert_true(e.vectoring.has_error && e.vectoring.error == 4);
	vector(0x80000303);
	assert_int_equal(e.vectoring.type, EVENT_SOFTEXC);
	vector(0x80000304);
	assert_int_equal(e.vectoring.type, EVENT_SOFTEXC);
	vector(0x80000480);
	assert_true(e.vectoring.type == EVENT_SOFTINT && e.vectoring.vector == 0x80);
	vector(0x80000700);
	assert_int_equal(e.vectoring.type, EVENT_NONE);
}

static void test_encode(void **state)
{
	const struct event irq = { .type = EVENT_EXTINT, .vector = 0xef };
	const struct event nmi = { .type = EVENT_NMI, .vector = 2 };
	const struct event pf = {
		.type = EVENT_EXCEPTION, .vector = 14, .has_error = true, .error = 0xb
	};
	const struct event ud = { .type = EVENT_EXCEPTION, .vector = 6 };
	const struct event soft = { .type = EVENT_SOFTINT, .vector = 0x80, .insn_len = 2 };
	const struct event bp = { .type = EVENT_SOFTEXC, .vector = 3, .insn_len = 1 };
	(void)state;
	assert_int_equal(svm_event_encode(&irq), 0x800000ef);
	assert_int_equal(svm_event_encode(&nmi), 0x80000202);
	assert_int_equal(svm_event_encode(&pf), 0x0000000b80000b0eull);
	assert_int_equal(svm_event_encode(&ud), 0x80000306);
	assert_int_equal(svm_event_encode(&soft), 0);
	assert_int_equal(svm_event_encode(&bp), 0);
	assert_int_equal(svm_event_encode(&(struct event){ .type = EVENT_NONE }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_table, setup),
		cmocka_unit_test_setup(test_interrupt_is_pending, setup),
		cmocka_unit_test_setup(test_invalid, setup),
		cmocka_unit_test_setup(test_length, setup),
		cmocka_unit_test_setup(test_pio, setup),
		cmocka_unit_test_setup(test_msr_cr, setup),
		cmocka_unit_test_setup(test_npf, setup),
		cmocka_unit_test_setup(test_insn_bytes, setup),
		cmocka_unit_test_setup(test_insn_bytes_of_pf, setup),
		cmocka_unit_test_setup(test_exception, setup),
		cmocka_unit_test_setup(test_vectoring, setup),
		cmocka_unit_test_setup(test_encode, setup),
	};
	return cmocka_run_group_tests_name("svm exit", tests, NULL, NULL);
}
