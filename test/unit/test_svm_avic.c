/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AVIC: what the VMCB and the tables say, for which entries it is on, and what its two exits mean. Offsets and
 * bits are those of APM 2 15.29 and 16, not our names. The test plays the CPU.
 */
#include "svm/svm_vcpu.h"
#include "log.h"
#include "x86/regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PA    0x123456000ull
#define PLAIN 0xabc000ull
#define APIC  0xdef000ull
#define BAR   0xfee00000ull

static struct svm_vcpu *hw;
static struct svm_avic *tables;
static struct vmcb *b;
static struct vcpu v;
static struct exit e;
static bool enters_again; /* the exit was the backend's own affair */
static struct {
	u32 reg[1024];
} __attribute__((aligned(PAGE_SIZE))) page;

static void *page_ptr(struct page_source *self, hpa at)
{
	(void)self;
	assert_int_equal(at.v, 0x777000);
	return &page;
}

static int setup(void **state)
{
	static struct page_source pages = { .ptr = page_ptr };
	const struct vcpu_params p = { .second_level = HPA(PLAIN), .with_apic = HPA(APIC), .apic_page = HPA(0x777000),
				       .apic_base = GPA(BAR), .pages = &pages, .tag = 1 };
	(void)state;
	hw = aligned_alloc(PAGE_SIZE, sizeof(*hw) + sizeof(*tables));
	memset(hw, 0, sizeof(*hw));
	memset(&page, 0, sizeof(page));
	tables = (struct svm_avic *)(hw + 1);
	hw->pa = PA;
	svm_vcpu_setup(hw, &p, SVM_FEATURE_FLUSH_ASID | SVM_FEATURE_AVIC, 16);
	svm_avic_init(hw, &p);
	v = (struct vcpu){ .hw = hw, .has_apic = true };
	b = &hw->vmcb;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(hw);
	return 0;
}

static void show(enum apic_mode mode)
{
	svm_apic(&v, &(struct apic_view){ .mode = mode });
	assert_int_equal(v.delivers_irqs, mode == APIC_XAPIC);
	svm_request(&v, 0x61);
}

static void leave(u64 code)
{
	b->exit_code = code;
	enters_again = svm_exit_take(hw, &e);
}

static bool is_on(void)
{
	bool on = b->v_intr >> 31 & 1;
	assert_int_equal(b->n_cr3, on ? APIC : PLAIN);
	assert_int_equal(b->intercept[0] >> 8 & 1, !on);
	assert_int_equal(b->intercept[0] >> 24 & 1, !on);
	assert_true(!on || !(b->v_intr & BIT(8)));
	return on;
}

/* An entry and an exit; Return: had it AVIC on? */
static bool round_trip(void)
{
	svm_avic_enter(hw);
	bool on = is_on();
	leave(VMEXIT_HLT);
	return on;
}

/* Every destination is there, does not run, and has a page that is not a guest's */
static void test_tables(void **state)
{
	u64 pa = PA + sizeof(*hw);
	(void)state;
	assert_int_equal(b->avic_bar, BAR);
	assert_int_equal(b->avic_backing_page, 0x777000);
	assert_int_equal(b->avic_physical_table, pa | 0xfe);
	assert_int_equal(b->avic_logical_table, pa + 0x1000);
	for (u32 i = 0; i < 512; i++) {
		assert_int_equal(tables->physical[i], BIT(63) | (pa + 0x2000));
	}
	for (u32 i = 0; i < 1024; i++) {
		assert_int_equal(tables->logical[i], BIT(31));
	}
	assert_false(round_trip());
}

static void test_mode(void **state)
{
	static const enum apic_mode modes[] = { APIC_XAPIC, APIC_OFF, APIC_XAPIC, APIC_X2APIC };
	(void)state;
	round_trip();
	for (u32 i = 0; i < ARRAY_SIZE(modes); i++) {
		show(modes[i]);
		svm_avic_enter(hw);
		assert_int_equal(is_on(), modes[i] == APIC_XAPIC);
		assert_int_equal(b->tlb_control, 3); /* the other space */
		assert_false(b->clean & (BIT(0) | BIT(3) | BIT(4)));
		leave(VMEXIT_HLT);
		svm_avic_enter(hw); /* nothing has changed */
		assert_int_equal(b->tlb_control, 0);
		assert_int_equal(b->clean, 0x3ff);
		show(modes[i]);
		svm_avic_enter(hw);
		assert_int_equal(b->clean, 0x3ff);
	}
}

/* V_IRQ is ignored under AVIC: what needs it has it off, and then it is on again by itself */
static void test_windows(void **state)
{
	(void)state;
	show(APIC_XAPIC);
	assert_true(round_trip());
	for (u32 nmi = 0; nmi < 2; nmi++) {
		svm_window(&v, nmi);
		assert_false(round_trip());
		assert_false(round_trip()); /* as long as it is wanted */
		svm_avic_enter(hw);
		assert_true(b->v_intr & BIT(8));
		leave(0x64);
		assert_int_equal(e.kind, EXIT_WINDOW);
		assert_true(round_trip());
	}
	svm_window(&v, false);
	svm_inject(&v, &(struct event){ .type = EVENT_EXTINT, .vector = 0x30 });
	assert_int_equal(b->event_inj, BIT(31) | 0x30);
	assert_true(round_trip());
	svm_inject(&v, &(struct event){ .type = EVENT_NMI, .vector = VEC_NMI });
	svm_window(&v, true); /* IRET will make it */
	assert_true(round_trip());
}

/* The step over an IRET ends an NMI's handler: an interrupt before it would push the step's RFLAGS.TF */
static void test_step(void **state)
{
	(void)state;
	show(APIC_XAPIC);
	svm_inject(&v, &(struct event){ .type = EVENT_NMI, .vector = VEC_NMI });
	assert_true(round_trip());
	svm_avic_enter(hw);
	b->rflags = RFLAGS_FIXED1 | RFLAGS_IF;
	b->rip = 0x1000;
	leave(0x74);
	assert_true(enters_again && hw->is_stepping && b->rflags & RFLAGS_TF);
	svm_avic_enter(hw);
	assert_false(is_on());
	b->rip = 0x2000;
	b->dr6 |= BIT(14);
	leave(0x41);
	assert_false(enters_again);
	assert_int_equal(e.kind, EXIT_NMI_WINDOW);
	assert_true(round_trip());
}

/* As QEMU's own CPU has it: see svm_inject() */
static void test_queued(void **state)
{
	(void)state;
	hw->irq_by_v_irq = true;
	show(APIC_XAPIC);
	assert_true(round_trip());
	for (u32 got_in = 0; got_in < 2; got_in++) {
		svm_inject(&v, &(struct event){ .type = EVENT_EXTINT, .vector = 0x30 });
		svm_avic_enter(hw);
		assert_false(is_on());
		assert_int_equal(b->v_intr >> 32 & 0xff, 0x30);
		b->v_intr &= got_in ? ~BIT(8) : ~0ull;
		leave(VMEXIT_HLT);
		assert_int_equal(e.vectoring.type, got_in ? EVENT_NONE : EVENT_EXTINT);
		assert_true(round_trip());
	}
}

/* What a CPU may leave in V_IRQ is none of ours; TPR is followed, whoever has written it */
static void test_tpr(void **state)
{
	(void)state;
	show(APIC_XAPIC);
	page.reg[0x80 / 4] = 0x65;
	assert_true(round_trip());
	assert_int_equal(b->v_intr, BIT(31) | BIT(24) | 6);
	b->v_intr |= BIT(8);
	page.reg[0x80 / 4] = 0xffffff1f;
	svm_avic_enter(hw);
	assert_int_equal(b->v_intr, BIT(31) | BIT(24) | 1);
	assert_false(b->clean & BIT(3));
	assert_true(is_on());
	leave(VMEXIT_HLT);
	show(APIC_X2APIC);
	svm_set(&v, VREG_CR8, 9);
	assert_false(round_trip());
	assert_int_equal(svm_get(&v, VREG_CR8), 9);
}

static void test_ppr(void **state)
{
	static const struct {
		u8 tpr, vector, ppr;
	} rows[] = { { 0, 0, 0 }, { 0x23, 0, 0x23 }, { 0x23, 0x31, 0x30 }, { 0x35, 0x31, 0x35 }, { 0x41, 0x31, 0x41 },
		     { 0, 0xff, 0xf0 }, { 0xf1, 0xff, 0xf1 } };
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		u32 *word = &page.reg[(0x100 + rows[i].vector / 32 * 16) / 4];
		*word |= rows[i].vector ? 1u << rows[i].vector % 32 : 0;
		page.reg[0x80 / 4] = rows[i].tpr;
		show(APIC_XAPIC);
		assert_int_equal(page.reg[0xa0 / 4], rows[i].ppr);
	}
}

static void take(u64 code, u64 info1, u64 info2)
{
	memset(&e, 0xee, sizeof(e));
	b->exit_code = code;
	b->exit_info1 = info1;
	b->exit_info2 = info2;
	svm_exit_decode(hw, &e);
	assert_int_equal(e.reason, code);
	assert_int_equal(e.insn_len, 0);
}

static bool is_trap(u32 offset)
{
	static const u16 traps[] = { 0x20, 0xb0, 0xc0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x320, 0x330, 0x340, 0x350, 0x360,
				     0x370, 0x380, 0x3e0 };
	for (u32 i = 0; i < ARRAY_SIZE(traps); i++) {
		if (traps[i] == offset) {
			return true;
		}
	}
	return false;
}

/* Every offset, read and written; bits that say nothing do not count */
static void test_noaccel(void **state)
{
	const u64 junk[] = { 0, 0xfffffffeffff000full };
	(void)state;
	show(APIC_XAPIC);
	svm_avic_enter(hw);
	for (u32 i = 0; i < 2 * 2 * 256; i++) {
		u32 offset = i / 4 * 16;
		bool is_write = i & 1;
		take(0x402, offset | (is_write ? BIT(32) : 0) | junk[i / 2 % 2], 0);
		if (is_write && is_trap(offset)) {
			assert_int_equal(e.kind, EXIT_APIC_WRITE);
			assert_int_equal(e.apic_offset, offset);
		} else {
			assert_int_equal(e.kind, EXIT_MMIO);
			assert_int_equal(e.mmio.addr.v, BAR + offset);
			assert_int_equal(e.mmio.is_write, is_write);
			assert_false(e.mmio.is_fetch || e.mmio.is_walk);
		}
	}
}

/* In service until now, or already ended; vectors that there are not are no reason to trust a bit */
static void test_eoi(void **state)
{
	(void)state;
	show(APIC_XAPIC);
	svm_avic_enter(hw);
	for (u32 vector = 0; vector < 256; vector++) {
		u32 *word = &page.reg[(0x100 + vector / 32 * 16) / 4];
		*word = 1u << vector % 32;
		take(0x402, BIT(32) | 0xb0, vector);
		assert_int_equal(e.kind, EXIT_APIC_WRITE);
		assert_int_equal(e.apic_offset, 0xb0);
		*word = ~*word;
		take(0x402, BIT(32) | 0xb0, vector | ~0xffull);
		assert_int_equal(e.kind, vector < 16 ? EXIT_APIC_WRITE : EXIT_EOI);
		assert_int_equal(vector < 16 ? vector : e.vector, vector);
		*word = 0;
	}
}

/* All reasons, those that there are not yet too: ICR is to be acted on as it was written */
static void test_incomplete(void **state)
{
	(void)state;
	show(APIC_XAPIC);
	svm_avic_enter(hw);
	for (u64 reason = 0; reason < 8; reason++) {
		take(0x401, ~0ull, reason << 32 | 0xff);
		assert_int_equal(e.kind, EXIT_APIC_WRITE);
		assert_int_equal(e.apic_offset, 0x300);
	}
}

/* A CPU has no such exits then */
static void test_off(void **state)
{
	(void)state;
	show(APIC_X2APIC);
	svm_avic_enter(hw);
	take(0x401, 0x4061, 0);
	assert_int_equal(e.kind, EXIT_UNEXPECTED);
	take(0x402, BIT(32) | 0xf0, 0);
	assert_int_equal(e.kind, EXIT_UNEXPECTED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_tables), TEST(test_mode), TEST(test_windows), TEST(test_step), TEST(test_queued), TEST(test_tpr),
		TEST(test_ppr), TEST(test_noaccel), TEST(test_eoi), TEST(test_incomplete), TEST(test_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
