/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mail between the cores of one partition: messages of their local APICs, of the I/O APIC and of the 8259,
 * each to the cores that it names, merged on its way and taken once.
 */
#include "kernel/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "cores.h"

struct route {
	u32 from, dest, icr, targets;
};

static void expect_routes(const struct route *r, u32 nr, void (*sender)(u32, u32, u32))
{
	for (u32 i = 0; i < nr; i++) {
		const u8 vector = (u8)(0x40 + i);
		sender(r[i].from, r[i].dest, r[i].icr | ASSERT | vector);
		assert_int_equal(with_mail(), r[i].targets & ~(1u << r[i].from));
		take_all();
		assert_int_equal(with_vector(IRR, vector), r[i].targets);
		assert_int_equal(with_vector(TMR, vector), 0); /* IPIs are edges */
	}
}

/* SDM 3A 11.6.2.1 "Physical Destination Mode", 11.6.2.2 "Logical Destination Mode", 11.6.2.3 */
static void fixed_messages_find_their_cores(void **state)
{
	static const struct route flat[] = {
		{ 0, 2, 0, 4 },		 { 1, 1, 0, 2 },	       { 3, 4, 0, 0 },
		{ 1, 0xff, 0, ALL },	 { 0, 5, LOGICAL, 5 },	       { 3, 0xff, LOGICAL, ALL },
		{ 3, 0xf0, LOGICAL, 0 }, { 2, 0, TO_SELF, 4 },	       { 2, 0, TO_ALL, ALL },
		{ 2, 0, TO_OTHERS, 0xb }, { 0, 1, TO_OTHERS | LOGICAL, 0xe },
	};
	static const struct route cluster[] = {
		{ 0, 0x01, LOGICAL, 1 }, { 0, 0x03, LOGICAL, 3 }, { 0, 0x13, LOGICAL, 0xc },
		{ 2, 0x12, LOGICAL, 8 }, { 2, 0x2f, LOGICAL, 0 }, { 1, 0xff, LOGICAL, ALL },
	};
	(void)state;
	expect_routes(flat, ARRAY_SIZE(flat), send);
	for (u32 i = 0; i < NR; i++) { /* two clusters of two */
		serve(i);
		lapic_write(i, DFR, 0x0fffffff);
		lapic_write(i, LDR, (i / 2) << 28 | 1u << (24 + i % 2));
	}
	expect_routes(cluster, ARRAY_SIZE(cluster), send);
}

static void send_x2(u32 from, u32 dest, u32 icr)
{
	assert_true(vlapic_wrmsr(&part->core[from]->lapic, 0x830, (u64)dest << 32 | icr));
}

static u32 requested_x2(u8 vector)
{
	u32 set = 0;
	for (u32 i = 0; i < NR; i++) {
		u64 bits;
		assert_true(vlapic_rdmsr(&part->core[i]->lapic, 0x820 + vector / 32, &bits));
		set |= (u32)(bits >> vector % 32 & 1) << i;
	}
	return set;
}

/* SDM 3A 11.12.9 "ICR Operation in x2APIC Mode", 11.12.10 "Determining IPI Destination in x2APIC Mode" */
static void x2apic_messages_find_their_cores(void **state)
{
	static const struct route x2[] = {
		{ 0, 3, 0, 8 },		       { 0, 0xff, 0, 0 },	       { 0, 0xffffffff, 0, ALL },
		{ 1, 0x00000006, LOGICAL, 6 }, { 1, 0x00010006, LOGICAL, 0 }, { 2, 0, TO_OTHERS, 0xb },
		{ 3, 0x103, 0, 0 },	       { 3, 0xffffffff, LOGICAL, ALL },
	};
	(void)state;
	for (u32 i = 0; i < NR; i++) {
		assert_true(vlapic_wrmsr(&part->core[i]->lapic, MSR_APIC_BASE,
					 part->core[i]->lapic.apic_base | BIT(10)));
	}
	for (u32 i = 0; i < ARRAY_SIZE(x2); i++) {
		send_x2(x2[i].from, x2[i].dest, x2[i].icr | (0x50 + i));
		assert_int_equal(with_mail(), x2[i].targets & ~(1u << x2[i].from));
		take_all();
		assert_int_equal(requested_x2((u8)(0x50 + i)), x2[i].targets);
	}
	assert_true(vlapic_wrmsr(&part->core[1]->lapic, 0x83f, 0x99)); /* SELF IPI */
	assert_int_equal(with_mail(), 0);
	assert_int_equal(requested_x2(0x99), 2);
}

static u32 lowest(u32 from, u32 dest, u8 vector)
{
	send(from, dest, LOWEST | LOGICAL | ASSERT | vector);
	take_all();
	return with_vector(IRR, vector);
}

/* SDM 3A 11.6.2.4 "Lowest Priority Delivery Mode" */
static void lowest_priority_goes_to_one(void **state)
{
	static const u8 tpr[NR] = { 0x30, 0x20, 0x40, 0x10 };
	(void)state;
	for (u32 i = 0; i < NR; i++) {
		lapic_write(i, TPR, tpr[i]);
	}
	assert_int_equal(lowest(0, ALL, 0x60), 8);
	assert_int_equal(lowest(0, 7, 0x68), 2);
	assert_int_equal(lowest(0, 0x10, 0x69), 0); /* nobody */
	assert_int_equal(lowest(3, ALL, 0x60), 8); /* the focus: requested already */
	assert_int_equal(lowest(3, ALL, 0x61), 1 << 0); /* core 3 and 1 have 0x60 in IRR: their APR is higher */
}

static void equal_cores_take_turns(void **state)
{
	u32 seen = 0;
	(void)state;
	for (u32 i = 0; i < NR; i++) {
		u32 set = lowest(0, ALL, 0x60);
		assert_int_equal(__builtin_popcount(set), 1);
		seen |= set;
		take_all();
		serve((u32)__builtin_ctz(set));
	}
	assert_int_equal(seen, ALL);
}

/* SDM 3A 11.4.7.2: software-disabled, it answers INIT, NMI and SIPI only. So it is no candidate. */
static void lowest_priority_avoids_an_apic_that_is_off(void **state)
{
	(void)state;
	lapic_write(1, SVR, 0xff);
	send(0, 3, INIT | ASSERT); /* and one that has it reset */
	core_take_mail(part->core[3], MAIL_ALL);
	for (u8 i = 0; i < 8; i++) {
		u32 set = lowest(0, 0xff, (u8)(0x60 + i));
		assert_true(set == 1 || set == 4);
	}
}

/* SDM 3A 11.6.1: the vector of an NMI is ignored; it waits in the CPU, not in the IRR */
static void nmi_goes_to_the_cpu(void **state)
{
	(void)state;
	send(1, 0, TO_OTHERS | NMI | ASSERT | 0x40);
	assert_int_equal(with_mail(), 0xd);
	take_all();
	for (u32 i = 0; i < NR; i++) {
		assert_int_equal(part->core[i]->v.nmi_pending, i != 1);
	}
	assert_int_equal(with_vector(IRR, 0x40), 0);
	rig_play(0, (struct exit){ .kind = EXIT_INTERRUPT });
	assert_int_equal(fake(0)->nr_injected, 1);
	assert_int_equal(fake(0)->injected[0].type, EVENT_NMI);
}

/* As an IRR merges: SDM 3A 11.8.4 "Interrupt Acceptance for Fixed Interrupts" */
static void mail_merges_pokes_once_and_is_taken_once(void **state)
{
	struct core *c = part->core[1];
	(void)state;
	for (u32 i = 0; i < 100; i++) {
		send(0, 1, ASSERT | (0x40 + i % 2 * 0x60));
	}
	core_post(c, MAIL_LOOK);
	core_post_vector(c, 0xf0, true);
	assert_true(rig.notes[1] == 1 && rig.pokes[1] == 1); /* a note is not enough for what is not posted */
	core_take_mail(c, MAIL_ALL);
	assert_int_equal(with_mail(), 0);
	assert_int_equal(c->due_tsc, 0);
	assert_int_equal(with_vector(IRR, 0x40) & with_vector(IRR, 0xa0) & with_vector(IRR, 0xf0), 2);
	assert_int_equal(with_vector(TMR, 0xf0), 2);
	assert_int_equal(with_vector(TMR, 0x40), 0);
	serve(1);
	core_take_mail(c, MAIL_ALL);
	assert_int_equal(with_vector(IRR, 0x40) | with_vector(IRR, 0xa0), 0);
	core_post_vector(c, 0xf0, false); /* the same vector may become an edge */
	core_take_mail(c, MAIL_ALL);
	assert_int_equal(with_vector(TMR, 0xf0), 0);
	assert_int_equal(rig.pokes[1], 2);
	core_post(c, MAIL_FLUSH);
	core_take_mail(c, MAIL_ALL);
	assert_int_equal(fake(1)->nr_flushes, 1);
}

static void ioapic_write(u32 pin, u32 dest, u32 low)
{
	const struct bus *b = &part->core[1]->mmio;
	bus_write(b, VIOAPIC_BASE, 4, 0x11 + 2 * pin);
	bus_write(b, VIOAPIC_BASE + 0x10, 4, dest << 24);
	bus_write(b, VIOAPIC_BASE, 4, 0x10 + 2 * pin);
	bus_write(b, VIOAPIC_BASE + 0x10, 4, low);
}

static u32 ioapic_read(u32 pin)
{
	bus_write(&part->core[1]->mmio, VIOAPIC_BASE, 4, 0x10 + 2 * pin);
	return (u32)bus_read(&part->core[1]->mmio, VIOAPIC_BASE + 0x10, 4);
}

/* 82093AA 3.2.4: remote IRR is set when a local APIC takes a level interrupt, and cleared by its EOI */
static void ioapic_lines_reach_several_cores(void **state)
{
	struct vioapic *io = &part->pc.ioapic;
	(void)state;
	ioapic_write(20, 0x6, LOGICAL | 0x51);
	vioapic_set_line(io, 20, true);
	assert_int_equal(with_mail(), 6);
	take_all();
	assert_int_equal(with_vector(IRR, 0x51), 6);
	ioapic_write(21, 0x9, LOGICAL | LEVEL | 0x71);
	vioapic_set_line(io, 21, true);
	take_all();
	assert_int_equal(with_vector(IRR, 0x71), 9);
	assert_int_equal(with_vector(TMR, 0x71), 9);
	assert_true(ioapic_read(21) & BIT(14));
	serve(0); /* the line is still high: once more to both */
	assert_true(ioapic_read(21) & BIT(14));
	assert_int_equal(with_mail(), 9);
	vioapic_set_line(io, 21, false);
	take_all();
	serve(0);
	serve(3);
	assert_false(ioapic_read(21) & BIT(14));
	take_all();
	assert_int_equal(with_vector(IRR, 0x71) | with_vector(ISR, 0x71), 0);
	ioapic_write(22, 2, NMI);
	vioapic_set_line(io, 22, true);
	take_all();
	assert_true(part->core[2]->v.nmi_pending);
	ioapic_write(23, 1, 0x700 | 0x33); /* ExtINT comes by LINT0 only */
	vioapic_set_line(io, 23, true);
	assert_int_equal(with_mail(), 0);
}

/* 8259A data sheet, "Initialization Command Words": edge-triggered, vectors from 0x20, IRQ1 unmasked */
static void start_pic(void)
{
	static const u16 steps[][2] = { { 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 4 }, { 0x21, 1 }, { 0x21, 0xfd } };
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
		out(0, steps[i][0], steps[i][1]);
	}
}

/* MultiProcessor Specification 3.6.2.2 "Virtual Wire Mode", but to another core than the BSP */
static void the_8259_interrupts_whoever_takes_extint(void **state)
{
	(void)state;
	start_pic();
	lapic_write(0, LVT0, MASKED | 0x700);
	lapic_write(2, LVT0, 0x700);
	lapic_write(3, LVT0, 0x700);
	vpic_set_line(&part->pc.pic, 1, true);
	pc_touched(part->core[0]);
	assert_int_equal(with_mail(), 0xc);
	assert_int_equal(part->core[2]->mail.flags, MAIL_LOOK);
	take_all();
	assert_false(core_pending_irq(part->core[0]) >= 0);
	assert_false(core_pending_irq(part->core[1]) >= 0);
	assert_true(core_pending_irq(part->core[2]) >= 0);
	assert_true(core_pending_irq(part->core[3]) >= 0);
	u32 before = part->pc.lock.next;
	assert_int_equal(core_ack_irq(part->core[2], core_pending_irq(part->core[2])), 0x21);
	assert_int_equal(part->pc.lock.next, before + 1);
	assert_int_equal(part->pc.lock.owner, before + 1);
	assert_false(core_pending_irq(part->core[3]) >= 0); /* and if it had begun: the 8259's spurious vector */
	assert_int_equal(core_ack_irq(part->core[3], CORE_EXTINT), 0x27);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUNNING(fixed_messages_find_their_cores),
		RUNNING(x2apic_messages_find_their_cores),
		RUNNING(lowest_priority_goes_to_one),
		RUNNING(equal_cores_take_turns),
		RUNNING(lowest_priority_avoids_an_apic_that_is_off),
		RUNNING(nmi_goes_to_the_cpu),
		RUNNING(mail_merges_pokes_once_and_is_taken_once),
		RUNNING(ioapic_lines_reach_several_cores),
		RUNNING(the_8259_interrupts_whoever_takes_extint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
