/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partitions on a CPU that serves local APICs: what the kernel still injects, what it tells the CPU before
 * an entry and when, what the exits of such a CPU lead to. The CPU's part is played by hand.
 */
#include "kernel/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "kernel/exit.h"
#include "rig.h"
#include "x86/msr.h"
#include "x86/regs.h"

enum { TPR = 0x80, EOI = 0xb0, SVR = 0xf0, ISR = 0x100, TMR = 0x180, IRR = 0x200, ICR = 0x300, LVT0 = 0x350, TMICT = 0x380 };

static struct partition *part;
static struct core *c;
static struct fake *f;

static int setup_on(const struct vcpu_ops *ops)
{
	static struct partition_config cfg;
	cfg = rig_config;
	cfg.nr_vcpus = 2;
	rig.ops = ops;
	assert_null(rig_build(&cfg));
	part = rig.part;
	c = part->core[0];
	f = fake_of(&c->v);
	return 0;
}

static int setup_serving(void **state)
{
	(void)state;
	return setup_on(&fake_serving_ops);
}

static int setup_delivering(void **state)
{
	(void)state;
	return setup_on(&fake_delivering_ops);
}

static int setup_switching(void **state)
{
	(void)state;
	return setup_on(&fake_switching_ops);
}

static int teardown(void **state)
{
	(void)state;
	rig_fini();
	return 0;
}

static u32 *page(u32 offset)
{
	return &c->lapic.page.reg[offset / 16].value;
}

static u32 *word(u32 bank, u8 vector)
{
	return page(bank + vector / 32 * 16);
}

/* What the CPU does at a delivery */
static void deliver(u8 vector)
{
	*word(IRR, vector) &= ~(1u << vector % 32);
	*word(ISR, vector) |= 1u << vector % 32;
}

static void apic_write(u32 offset, u32 value)
{
	*page(offset) = value;
	rig_play(0, (struct exit){ .kind = EXIT_APIC_WRITE, .apic_offset = (u16)offset });
}

/* The APIC's address is mapped in one of two spaces, the memory in both; each vCPU is told of its page */
static void spaces(void **state)
{
	struct pt_leaf leaf;
	(void)state;
	assert_false(pt_lookup(&part->space, VLAPIC_BASE, &leaf));
	assert_true(pt_lookup(&part->space_apic, VLAPIC_BASE, &leaf));
	assert_int_equal(leaf.pa.v, part->apic_access.v);
	assert_int_equal(leaf.size, PAGE_SIZE);
	for (u64 at = 0; at < 6 * MIB; at += PAGE_SIZE) {
		struct pt_leaf other;
		assert_true(pt_lookup(&part->space, at, &leaf) && pt_lookup(&part->space_apic, at, &other));
		assert_int_equal(leaf.pa.v, other.pa.v);
	}
	assert_int_equal((uintptr_t)&c->lapic.page % PAGE_SIZE, 0);
}

static void first_entry_tells_the_mode(void **state)
{
	(void)state;
	vcpu_prepare(&c->v);
	assert_int_equal(f->nr_views, 1);
	assert_int_equal(f->view.mode, APIC_XAPIC);
	vcpu_prepare(&c->v); /* nothing has changed: not a word */
	assert_int_equal(f->nr_views, 1);
	apic_write(SVR, 0xff);
	vcpu_prepare(&c->v);
	assert_int_equal(f->view.mode, APIC_OFF);
	assert_int_equal(*page(SVR), 0xff);
}

static void requests_are_told_not_injected(void **state)
{
	(void)state;
	f->reg[VREG_RFLAGS] |= RFLAGS_IF;
	core_post_vector(c, 0x61, false);
	core_take_mail(c, MAIL_ALL);
	vcpu_prepare(&c->v);
	assert_int_equal(f->view.requested, 0x61);
	assert_int_equal(f->nr_injected, 0);
	assert_false(f->wants_window);
	deliver(0x61);
	core_post_vector(c, 0x52, true);
	core_take_mail(c, MAIL_ALL);
	vcpu_prepare(&c->v);
	assert_int_equal(f->view.in_service, 0x61);
	assert_int_equal(f->view.requested, 0x52);
	assert_int_equal(f->view.level[0x52 / 32], 1u << 0x52 % 32);
	core_post(c, MAIL_INIT);
	core_take_mail(c, MAIL_ALL);
	vcpu_prepare(&c->v);
	assert_true(f->view.in_service == 0 && f->view.requested == 0);
	assert_int_equal(f->view.mode, APIC_OFF);
}

/* The 8259 is no part of what the CPU serves, and goes first */
static void extint_is_injected(void **state)
{
	(void)state;
	bus_write(&part->pc.ports, 0x20, 1, 0x11);
	bus_write(&part->pc.ports, 0x21, 1, 0x30);
	bus_write(&part->pc.ports, 0x21, 1, 0x04);
	bus_write(&part->pc.ports, 0x21, 1, 0x01);
	bus_write(&part->pc.ports, 0x21, 1, 0x00);
	vpic_set_line(&part->pc.pic, 3, true);
	vlapic_accept(&c->lapic, 0x91, false);
	vcpu_prepare(&c->v);
	assert_true(f->wants_window); /* IF is 0 */
	assert_int_equal(f->view.requested, 0x91);
	f->reg[VREG_RFLAGS] |= RFLAGS_IF;
	vcpu_prepare(&c->v);
	assert_int_equal(f->nr_injected, 1);
	assert_int_equal(f->injected[0].vector, 0x33);
	assert_int_equal(f->view.requested, 0x91);
}

static void a_request_ends_hlt(void **state)
{
	(void)state;
	f->reg[VREG_RFLAGS] |= RFLAGS_IF;
	rig_play(0, (struct exit){ .kind = EXIT_HLT, .insn_len = 1 });
	assert_true(c->v.is_halted && !core_is_runnable(c));
	vlapic_accept(&c->lapic, 0x61, false);
	assert_true(core_is_runnable(c));
	vcpu_prepare(&c->v);
	assert_true(f->nr_injected == 0 && f->view.requested == 0x61);
	deliver(0x61);
	*word(IRR, 0x62) |= 1u << 0x62 % 32; /* an IPI to itself, within the handler: same class */
	rig_play(0, (struct exit){ .kind = EXIT_HLT, .insn_len = 1 });
	assert_true(c->v.is_halted && !core_is_runnable(c));
	*word(IRR, 0x72) |= 1u << 0x72 % 32;
	assert_true(core_is_runnable(c));
}

/* As SDM 3C 30.6 "Posted-Interrupt Processing" has it. Return: what the descriptor said of others. */
static u32 cpu_takes_posts(struct core *to)
{
	u32 flags = __atomic_fetch_and(&to->mail.flags, ~1u, __ATOMIC_SEQ_CST);
	for (u32 i = 0; i < 8; i++) {
		*page(IRR + 16 * i) |= __atomic_exchange_n(&to->mail.posted[i], 0, __ATOMIC_SEQ_CST);
	}
	return flags & ~1u;
}

static void the_cpu_takes_posts(void **state)
{
	(void)state;
	assert_int_equal(c->params.posts.v % 64, 0);
	assert_ptr_equal(phys_ptr(c->params.posts), c->mail.posted);
	memset(rig.pokes, 0, sizeof(rig.pokes));
	core_post_vector(c, 0x61, false);
	core_post_vector(c, 0x10, false);
	assert_true(rig.notes[0] == 1 && rig.pokes[0] == 0);
	assert_int_equal(cpu_takes_posts(c), 0);
	assert_false(core_has_mail(c));
	assert_int_equal(vlapic_pending(&c->lapic), 0x61);
	core_post_vector(c, 0xff, false); /* and so again */
	core_post_vector(c, 0x52, true);
	core_post(c, MAIL_NMI);
	assert_true(rig.notes[0] == 2 && rig.pokes[0] == 1);
	assert_int_equal(cpu_takes_posts(c), MAIL_FIXED | MAIL_NMI);
	assert_true(core_has_mail(c)); /* the interrupt of the poke exits */
	assert_int_equal(*word(IRR, 0x52) >> 0x52 % 32 & 1, 0);
	core_take_mail(c, MAIL_ALL);
	assert_int_equal(*word(IRR, 0x52) >> 0x52 % 32 & 1, 1);
	core_post(c, MAIL_LOOK);
	core_post_vector(c, 0x71, false); /* who looks for that leaves this to the CPU, which so must be told */
	assert_int_equal(rig.notes[0], 3);
	core_post(c, MAIL_NMI);
	core_take_mail(c, ~(u32)MAIL_POSTED); /* the CPU has been told of it, and will take it */
	assert_int_equal(core_has_mail(c), MAIL_POSTED);
	assert_int_equal(*word(IRR, 0x71) >> 0x71 % 32 & 1, 0);
	core_take_mail(c, MAIL_ALL); /* not in the guest: by the owner */
	assert_int_equal(*word(IRR, 0x71) >> 0x71 % 32 & 1, 1);
	core_post_vector(c, 0x72, false);
	core_post(c, MAIL_INIT);
	core_take_mail(c, MAIL_ALL);
	assert_int_equal(c->mail.posted[0x72 / 32] | *word(IRR, 0x72), 0);
}

/* Nothing may go to IRR behind our back that is more than a bit there */
static void not_all_is_posted(void **state)
{
	(void)state;
	core_post_vector(c, 15, false); /* illegal: an error, no interrupt */
	assert_int_equal(c->mail.posted[0], 0);
	core_post_vector(c, 0x52, true);
	core_take_mail(c, MAIL_ALL);
	core_post_vector(c, 0x52, false); /* its bit in TMR is to be cleared */
	assert_int_equal(c->mail.posted[0x52 / 32], 0);
	core_take_mail(c, MAIL_ALL);
	assert_int_equal(*word(TMR, 0x52) >> 0x52 % 32 & 1, 0);
	core_post_vector(c, 0x52, false);
	assert_int_equal(c->mail.posted[0x52 / 32], 1u << 0x52 % 32);
	core_take_mail(c, MAIL_ALL);
	apic_write(SVR, 0xff); /* software-disabled: takes none */
	core_post_vector(c, 0x99, false);
	assert_int_equal(c->mail.posted[0x99 / 32], 0);
	core_take_mail(c, MAIL_ALL);
	assert_int_equal(*word(IRR, 0x99) >> 0x99 % 32 & 1, 0);
	assert_int_equal(rig.notes[0], 1);
}

static void writes_behind_the_instruction(void **state)
{
	u64 rip = f->reg[VREG_RIP];
	(void)state;
	bus_write(&part->core[1]->mmio, VLAPIC_BASE + SVR, 4, 0x1ff);
	*page(ICR + 0x10) = 1u << 24;
	apic_write(ICR, 0x4061);
	assert_int_equal(part->core[1]->mail.posted[0x61 / 32], 1u << 0x61 % 32);
	c->due_tsc = NEVER;
	c->lapic_due_ns = c->lapic.deadline_ns;
	*page(0x320) = 0x40;
	apic_write(0x320, 0x40);
	apic_write(TMICT, 1000000);
	assert_int_equal(c->due_tsc, 0); /* there is a deadline to find out */
	rig_play(0, (struct exit){ .kind = EXIT_APIC_WRITE, .apic_offset = 0xfff });
	assert_int_equal(f->reg[VREG_RIP], rip); /* it was the CPU that moved it */
	assert_false(partition_has_end(part));
}

static void eoi_of_a_level(void **state)
{
	(void)state;
	bus_write(&c->mmio, VLAPIC_BASE + LVT0, 4, 0x8055);
	vlapic_set_lint(&c->lapic, 0, true);
	vcpu_prepare(&c->v);
	/* the pin follows the 8259, which is quiet: low again */
	assert_int_equal(f->view.requested, 0x55);
	assert_int_equal(f->view.level[0x55 / 32], 1u << 0x55 % 32);
	assert_int_equal(*page(LVT0), 0xc055);
	deliver(0x55);
	*word(ISR, 0x55) = 0;
	rig_play(0, (struct exit){ .kind = EXIT_EOI, .vector = 0x55 });
	assert_int_equal(*page(LVT0), 0x8055);
}

/* Only TPR is served: the kernel delivers, and has the CPU watch for a TPR that lets through what waits */
static void tpr_only(void **state)
{
	(void)state;
	f->reg[VREG_RFLAGS] |= RFLAGS_IF;
	*page(TPR) = 0x60;
	vlapic_accept(&c->lapic, 0x61, false);
	vcpu_prepare(&c->v);
	assert_int_equal(f->view.blocked_class, 0x60);
	assert_true(f->nr_injected == 0 && !f->wants_window);
	*page(TPR) = 0x50;
	rig_play(0, (struct exit){ .kind = EXIT_TPR });
	vcpu_prepare(&c->v);
	assert_int_equal(f->nr_injected, 1);
	assert_int_equal(f->injected[0].vector, 0x61);
	assert_int_equal(f->view.blocked_class, 0);
	assert_int_equal(*word(ISR, 0x61), 1u << 0x61 % 32);
}

/* What the CPU has not delivered when the mode changes is the kernel's to deliver, at the first moment */
static void injected_after(u8 vector)
{
	vcpu_prepare(&c->v);
	assert_false(c->v.delivers_irqs);
	assert_true(f->wants_window && f->nr_injected == 0);
	f->reg[VREG_RFLAGS] |= RFLAGS_IF;
	rig_play(0, (struct exit){ .kind = EXIT_WINDOW });
	vcpu_prepare(&c->v);
	assert_int_equal(f->nr_injected, 1);
	assert_int_equal(f->injected[0].vector, vector);
	assert_int_equal(*word(IRR, vector), 0);
	assert_int_equal(*word(ISR, vector), 1u << vector % 32);
}

static void to_x2apic(void **state)
{
	(void)state;
	vcpu_prepare(&c->v);
	assert_true(c->v.delivers_irqs);
	vlapic_accept(&c->lapic, 0x61, false);
	vlapic_accept(&c->lapic, 0x41, false);
	vcpu_prepare(&c->v);
	assert_int_equal(f->view.requested, 0x61);
	assert_false(f->wants_window);
	deliver(0x41); /* by the CPU */
	assert_true(vlapic_wrmsr(&c->lapic, MSR_APIC_BASE, c->lapic.apic_base | BIT(10)));
	injected_after(0x61);
	assert_true(vlapic_wrmsr(&c->lapic, 0x80b, 0)); /* EOI of 0x61; then 0x41 is still in service */
	vlapic_accept(&c->lapic, 0x42, false);
	assert_int_equal(core_pending_irq(c), -1);
	assert_true(vlapic_wrmsr(&c->lapic, 0x80b, 0));
	assert_int_equal(core_pending_irq(c), 0x42);
}

/* Disabled by software it keeps what it has (SDM 3A 11.4.7.2); enabled, the CPU goes on with it */
static void off_and_on(void **state)
{
	(void)state;
	vcpu_prepare(&c->v);
	vlapic_accept(&c->lapic, 0x61, false);
	vcpu_prepare(&c->v);
	apic_write(SVR, 0xff);
	injected_after(0x61);
	apic_write(SVR, 0x1ff);
	vcpu_prepare(&c->v);
	assert_true(c->v.delivers_irqs && f->view.mode == APIC_XAPIC);
	*word(IRR, 0x62) |= 1u << 0x62 % 32; /* by the CPU: one of its own IPIs */
	assert_true(core_is_quiet(c) && core_pending_irq(c) == -1);
	apic_write(EOI, 0);
	assert_int_equal(*word(ISR, 0x61), 0);
	assert_int_equal(vlapic_pending(&c->lapic), 0x62);
	core_post(c, MAIL_INIT);
	core_take_mail(c, MAIL_ALL);
	vcpu_prepare(&c->v);
	assert_false(c->v.delivers_irqs);
	assert_int_equal(core_pending_irq(c), -1);
}

/* Whatever the guest has written where: no partition ends of it */
static void any_write(void **state)
{
	u32 x = 1;
	(void)state;
	for (u32 i = 0; i < 50000; i++) {
		x = x * 1664525 + 1013904223;
		u32 offset = x >> 20;
		x = x * 1664525 + 1013904223;
		*page(offset & 0xff0) = x;
		rig_play(0, (struct exit){ .kind = EXIT_APIC_WRITE, .apic_offset = (u16)offset });
		rig_play(0, (struct exit){ .kind = EXIT_EOI, .vector = (u8)(x >> 8) });
		core_take_mail(c, MAIL_ALL);
		core_take_mail(part->core[1], MAIL_ALL);
		assert_false(partition_has_end(part));
		vlapic_set_virtual_wire(&c->lapic);
	}
}

/* A CPU that could not serve x2APIC mode: no guest is told of it, nor gets into it */
static void only_xapic(void **state)
{
	static struct vcpu_ops ops;
	const struct vcpu_ops *all[] = { &fake_switching_ops, &ops };
	(void)state;
	ops = fake_switching_ops;
	ops.only_xapic = true;
	for (u32 i = 0; i < ARRAY_SIZE(all); i++) {
		u32 out[4];
		setup_on(all[i]);
		cpuid_emulate(&c->cpuid, 1, 0, out);
		assert_int_equal(out[2] >> 21 & 1, i == 0);
		assert_int_equal(vlapic_wrmsr(&c->lapic, MSR_APIC_BASE, c->lapic.apic_base | BIT(10)), i == 0);
		rig_fini();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(spaces, setup_serving, teardown),
		cmocka_unit_test_setup_teardown(first_entry_tells_the_mode, setup_serving, teardown),
		cmocka_unit_test_setup_teardown(first_entry_tells_the_mode, setup_delivering, teardown),
		cmocka_unit_test_setup_teardown(requests_are_told_not_injected, setup_delivering, teardown),
		cmocka_unit_test_setup_teardown(extint_is_injected, setup_delivering, teardown),
		cmocka_unit_test_setup_teardown(a_request_ends_hlt, setup_delivering, teardown),
		cmocka_unit_test_setup_teardown(the_cpu_takes_posts, setup_delivering, teardown),
		cmocka_unit_test_setup_teardown(not_all_is_posted, setup_delivering, teardown),
		cmocka_unit_test_setup_teardown(writes_behind_the_instruction, setup_delivering, teardown),
		cmocka_unit_test_setup_teardown(eoi_of_a_level, setup_delivering, teardown),
		cmocka_unit_test(only_xapic),
		cmocka_unit_test_setup_teardown(tpr_only, setup_serving, teardown),
		cmocka_unit_test_setup_teardown(first_entry_tells_the_mode, setup_switching, teardown),
		cmocka_unit_test_setup_teardown(extint_is_injected, setup_switching, teardown),
		cmocka_unit_test_setup_teardown(a_request_ends_hlt, setup_switching, teardown),
		cmocka_unit_test_setup_teardown(eoi_of_a_level, setup_switching, teardown),
		cmocka_unit_test_setup_teardown(to_x2apic, setup_switching, teardown),
		cmocka_unit_test_setup_teardown(off_and_on, setup_switching, teardown),
		cmocka_unit_test_setup_teardown(any_write, setup_delivering, teardown),
		cmocka_unit_test_setup_teardown(any_write, setup_switching, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
