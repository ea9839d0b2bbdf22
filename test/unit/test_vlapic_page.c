/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC with a CPU that serves it (SDM 3C chapter 30): that CPU is played by hand here. What it
 * writes into the page has to come to the same as an access that exited; what it must know it is told.
 */
#include "devices/vlapic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "lapic.h"

static const struct vlapic_env served = { .now_ns = env_now,
					  .tsc_to_ns = env_tsc_to_ns,
					  .guest_tsc = env_tsc,
					  .send_ipi = env_ipi,
					  .eoi_broadcast = env_eoi,
					  .is_cpu_serving = true };
static struct vlapic_env delivered;

static int setup_with(const struct vlapic_env *e)
{
	setup(NULL);
	vlapic_init(&a, e, 3, true, true);
	wr(SVR, 0x1ff);
	return 0;
}

static int setup_served(void **state)
{
	(void)state;
	return setup_with(&served);
}

static int setup_delivered(void **state)
{
	(void)state;
	delivered = served;
	delivered.is_cpu_delivering = true;
	return setup_with(&delivered);
}

static struct apic_view look(void)
{
	struct apic_view view;
	vlapic_look(&a, &view);
	return view;
}

/* As an APIC-write exit has it: the page has the new value already */
static void cpu_writes(u32 offset, u32 value)
{
	a.page.reg[offset / 16].value = value;
	vlapic_written(&a, offset);
}

static void set_word(u32 bank, u8 vector, bool is_set)
{
	u32 *word = &a.page.reg[bank / 16 + vector / 32].value;
	*word = is_set ? *word | 1u << vector % 32 : *word & ~(1u << vector % 32);
}

static void same_state(const struct vlapic *x, const struct vlapic *y)
{
	assert_memory_equal(x->reg, y->reg, sizeof(x->reg));
	assert_memory_equal(&x->page, &y->page, sizeof(x->page));
	assert_int_equal(x->timer_expiry_ns, y->timer_expiry_ns);
	assert_int_equal(x->deadline_ns, y->deadline_ns);
	assert_int_equal(x->tsc_deadline, y->tsc_deadline);
	assert_int_equal(x->esr_pending, y->esr_pending);
}

/*
 * Whatever register gets whatever value, one after the other, a twin by exits says the same. The list is that
 * of SDM 3C 30.4.3.1 "Determining Whether a Write Access is Virtualized".
 */
static void test_written(void **state)
{
	static const u32 values[] = { 0, 0x61, 0x200f3, 0xffffffff, 0x10000, 0x40031, 0x8700, 0x1000, 0x5a5a5a5a };
	static const u32 written[] = { ID, TPR, EOI, LDR, DFR, SVR, ESR, ICR, ICR2, LVTT, LVTTHMR, LVTPC, LVT0,
				       LVT1, LVTERR, TMICT, TDCR };
	static struct vlapic before, by_exits;
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
		for (u32 r = 0; r < ARRAY_SIZE(written); r++) {
			before = a;
			wr(written[r], values[i]);
			by_exits = a;
			a = before;
			cpu_writes(written[r], values[i]);
			same_state(&a, &by_exits);
			now_ns += 777;
		}
		wr(SVR, 0x1ff);
	}
	before = a;
	vlapic_written(&a, 0x400); /* beyond the registers: nothing */
	vlapic_written(&a, 0xff0);
	same_state(&a, &before);
}

/* SDM 3C 30.4.3.2: of ICR the upper half is taken without an exit */
static void test_icr(void **state)
{
	(void)state;
	a.page.reg[ICR2 / 16].value = 0x05000000;
	cpu_writes(ICR, 0x4061);
	assert_int_equal(nr_ipis, 1);
	assert_int_equal(ipi.dest, 5);
	assert_int_equal(ipi.vector, 0x61);
	assert_int_equal(rd(ICR2), 0x05000000);
	assert_int_equal(rd(ICR), 0x4061);
}

static void test_modes(void **state)
{
	(void)state;
	assert_int_equal(look().mode, APIC_XAPIC);
	cpu_writes(SVR, 0xff);
	assert_true(vlapic_has_request(&a)); /* somebody has to say so before the next entry */
	assert_int_equal(look().mode, APIC_OFF);
	assert_false(vlapic_has_request(&a));
	wr(SVR, 0x1ff);
	assert_true(wrmsr(MSR_APIC_BASE, BASE | EN | EXTD | BSP));
	assert_true(vlapic_has_request(&a));
	assert_int_equal(look().mode, APIC_X2APIC);
	assert_int_equal(a.page.reg[ID / 16].value, 3);
	assert_int_equal(a.page.reg[LDR / 16].value, 8);
	vlapic_reset_by_init(&a);
	assert_true(vlapic_has_request(&a));
	assert_int_equal(look().mode, APIC_OFF); /* by software */
	assert_int_equal(a.page.reg[ID / 16].value, 3);
	assert_true(wrmsr(MSR_APIC_BASE, BASE | BSP));
	assert_int_equal(look().mode, APIC_OFF);
	assert_true(wrmsr(MSR_APIC_BASE, BASE | EN | BSP));
	assert_int_equal(a.page.reg[ID / 16].value, 3u << 24);
	assert_int_equal(a.page.reg[LDR / 16].value, 0);
}

/* Without delivery: which class a falling TPR would let through */
static void test_blocked(void **state)
{
	(void)state;
	assert_int_equal(look().blocked_class, 0);
	a.page.reg[TPR / 16].value = 0x63; /* by the CPU */
	vlapic_accept(&a, 0x61, false);
	assert_int_equal(vlapic_pending(&a), -1);
	assert_int_equal(look().blocked_class, 0x60);
	assert_true(vlapic_has_request(&a)); /* software delivers: it looks as long as one waits */
	a.page.reg[TPR / 16].value = 0x5f;
	assert_int_equal(look().blocked_class, 0);
	assert_int_equal(vlapic_ack(&a), 0x61);
	assert_false(vlapic_has_request(&a));
	vlapic_accept(&a, 0x55, false);
	a.page.reg[TPR / 16].value = 0x70;
	assert_int_equal(look().blocked_class, 0); /* the EOI comes first, which exits */
	wr(EOI, 0);
	assert_int_equal(look().blocked_class, 0x50);
	vlapic_reset_by_init(&a);
	assert_true(vlapic_has_request(&a));
	assert_int_equal(look().blocked_class, 0);
}

/* With delivery: the CPU is told of each request, and what it has done itself is known here */
static void test_delivery(void **state)
{
	(void)state;
	look();
	assert_false(vlapic_has_request(&a));
	vlapic_accept(&a, 0x91, false);
	vlapic_accept(&a, 0x41, true);
	assert_true(vlapic_has_request(&a));
	struct apic_view view = look();
	assert_int_equal(view.requested, 0x91);
	assert_int_equal(view.in_service, 0);
	assert_int_equal(view.level[0x41 / 32], 1u << 0x41 % 32);
	assert_false(vlapic_has_request(&a));
	set_word(IRR, 0x91, false); /* the CPU delivers */
	set_word(ISR, 0x91, true);
	assert_int_equal(vlapic_pending(&a), -1);
	assert_int_equal(rd(PPR), 0x90);
	set_word(IRR, 0xa2, true); /* it sends itself an IPI */
	assert_int_equal(vlapic_pending(&a), 0xa2);
	assert_int_equal(vlapic_arbitration_priority(&a), 0xa0);
	assert_false(vlapic_has_request(&a));
	view = look();
	assert_int_equal(view.requested, 0xa2);
	assert_int_equal(view.in_service, 0x91);
	set_word(IRR, 0xa2, false);
	wr(EOI, 0); /* one that exited */
	assert_true(vlapic_has_request(&a));
	view = look();
	assert_int_equal(view.requested, 0x41);
	assert_int_equal(view.in_service, 0);
	vlapic_accept(&a, 0x41, false); /* an edge now */
	assert_int_equal(look().level[0x41 / 32], 0);
}

/* Behind an EOI that the CPU has done only a level-triggered vector leaves work */
static void test_eoi(void **state)
{
	(void)state;
	vlapic_accept(&a, 0x41, true);
	set_word(IRR, 0x41, false);
	vlapic_eoi_done(&a, 0x42);
	assert_int_equal(nr_eois, 0);
	vlapic_eoi_done(&a, 0x41);
	assert_int_equal(nr_eois, 1);
	assert_int_equal(eoi_vector, 0x41);
	wr(LVT0, 0x8055); /* LINT0, level */
	vlapic_set_lint(&a, 0, true);
	assert_int_equal(a.page.reg[LVT0 / 16].value & 0x4000, 0x4000);
	cpu_writes(LVT0, 0x8055);
	assert_int_equal(rd(LVT0), 0xc055); /* what cannot be written stays */
	set_word(IRR, 0x55, false);
	vlapic_eoi_done(&a, 0x55);
	assert_int_equal(vlapic_pending(&a), 0x55); /* still high: again */
	vlapic_set_lint(&a, 0, false);
	set_word(IRR, 0x55, false);
	vlapic_eoi_done(&a, 0x55);
	assert_int_equal(vlapic_pending(&a), -1);
	assert_int_equal(rd(LVT0), 0x8055);
}

/* The CPU delivers, or no longer: the same page, and what is known of it follows */
static void test_recount(void **state)
{
	(void)state;
	look();
	set_word(IRR, 0x41, true); /* by the CPU */
	set_word(ISR, 0x81, true);
	assert_false(vlapic_has_request(&a));
	delivered.is_cpu_delivering = false;
	vlapic_recount(&a);
	assert_true(vlapic_has_request(&a));
	assert_int_equal(vlapic_pending(&a), -1);
	assert_int_equal(rd(PPR), 0x80);
	wr(EOI, 0);
	assert_int_equal(vlapic_ack(&a), 0x41);
	assert_false(vlapic_has_request(&a));
	vlapic_accept(&a, 0xf1, false);
	delivered.is_cpu_delivering = true;
	vlapic_recount(&a);
	assert_false(vlapic_has_request(&a));
	assert_int_equal(vlapic_take_request(&a), 0);
	assert_int_equal(vlapic_pending(&a), 0xf1);
	vlapic_accept(&a, 0xf2, false);
	assert_int_equal(vlapic_take_request(&a), 0xf2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_written, setup_served),
		cmocka_unit_test_setup(test_icr, setup_served),
		cmocka_unit_test_setup(test_modes, setup_delivered),
		cmocka_unit_test_setup(test_modes, setup_served),
		cmocka_unit_test_setup(test_blocked, setup_served),
		cmocka_unit_test_setup(test_delivery, setup_delivered),
		cmocka_unit_test_setup(test_eoi, setup_delivered),
		cmocka_unit_test_setup(test_recount, setup_delivered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
