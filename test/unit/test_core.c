/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cores of one partition: startup, sleep and who wakes whom, time, the lock of what they share, the end.
 * Their mail and interrupts from one to another are in test_core_mail.c.
 */
#include "kernel/core.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "cores.h"

/* SDM 3A 8.4.1 "BSP and AP Processors"; 8.4.3: until SIPI an AP does nothing, whatever comes */
static void application_cores_wait_for_startup(void **state)
{
	(void)state;
	assert_int_equal(part->core[0]->state, CORE_RUNNING);
	assert_true(core_is_runnable(part->core[0]));
	send(0, 0, TO_OTHERS | NMI | ASSERT);
	send(0, 0, TO_OTHERS | ASSERT | 0x40);
	for (u32 i = 1; i < NR; i++) {
		assert_false(core_is_runnable(part->core[i]));
		assert_int_equal(part->core[i]->state, CORE_WAITING);
		assert_int_equal(with_vector(IRR, 0x40), 0);
	}
	assert_false(part->end.is_set);
}

/* What a kernel would have changed since */
static void spoil(u32 n)
{
	struct vcpu *v = &part->core[n]->v;
	struct fake *f = fake(n);
	memset(v->regs, 0xa5, sizeof(v->regs));
	fake_ops.set(v, VREG_EFER, EFER_LME | EFER_NXE);
	fake_ops.set(v, VREG_CR0, CR0_PG | CR0_PE | CR0_WP | CR0_TS | CR0_ET);
	f->reg[VREG_CR2] = f->reg[VREG_CR3] = 0x1234000;
	f->reg[VREG_CR4] = CR4_PAE | CR4_PGE;
	f->reg[VREG_RIP] = f->reg[VREG_RSP] = 0xffffffff81000000;
	f->reg[VREG_RFLAGS] = RFLAGS_IF | RFLAGS_FIXED1;
	f->reg[VREG_DR6] = DR6_FIXED1 | DR6_BS;
	f->reg[VREG_DR7] = DR7_FIXED1 | 3;
	f->reg[VREG_INT_SHADOW] = f->reg[VREG_NMI_BLOCKED] = 1;
	for (u32 s = 0; s < NR_SEGS; s++) {
		f->seg[s] = (struct segment){ .base = 0x77000, .limit = 0x67, .attr = SEG_UNUSABLE, .sel = 0x18 };
	}
	v->pending.type = EVENT_EXTINT;
	v->nmi_pending = v->is_halted = true;
}

static void expect_segment(u32 n, enum seg s, u16 sel, u64 base, u32 attr)
{
	const struct segment *have = &fake(n)->seg[s];
	assert_int_equal(have->sel, sel);
	assert_int_equal(have->base, base);
	assert_int_equal(have->limit, 0xffff);
	if (s != SEG_GDTR && s != SEG_IDTR) {
		assert_int_equal(have->attr, attr);
	}
}

/* The column INIT of SDM 3A table 10-1; CS as RESET has it, or as SIPI does */
static void expect_init_state(u32 n, u16 cs, u64 cs_base, u64 rip)
{
	const struct vcpu *v = &part->core[n]->v;
	const struct fake *f = fake(n);
	static const struct {
		enum vreg reg;
		u64 value;
	} regs[] = { { VREG_RFLAGS, 2 },   { VREG_CR2, 0 },	   { VREG_CR3, 0 },	  { VREG_CR4, 0 },
		     { VREG_EFER, 0 },	   { VREG_RSP, 0 },	   { VREG_DR6, 0xffff0ff0 }, { VREG_DR7, 0x400 },
		     { VREG_INT_SHADOW, 0 }, { VREG_NMI_BLOCKED, 0 } };
	for (u32 i = 0; i < ARRAY_SIZE(regs); i++) {
		assert_int_equal(f->reg[regs[i].reg], regs[i].value);
	}
	assert_int_equal(f->reg[VREG_RIP], rip);
	for (u32 i = 0; i < NR_GPRS; i++) {
		assert_int_equal(v->regs[i], i == GPR_RDX ? 0x800f12 : 0); /* EDX: CPUID.1:EAX */
	}
	expect_segment(n, SEG_CS, cs, cs_base, 0x9b);
	const enum seg data[] = { SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS };
	for (u32 i = 0; i < ARRAY_SIZE(data); i++) {
		expect_segment(n, data[i], 0, 0, 0x93);
	}
	expect_segment(n, SEG_GDTR, 0, 0, 0);
	expect_segment(n, SEG_IDTR, 0, 0, 0);
	expect_segment(n, SEG_LDTR, 0, 0, 0x82);
	expect_segment(n, SEG_TR, 0, 0, 0x8b);
	assert_int_equal(v->pending.type, EVENT_NONE);
	assert_false(v->nmi_pending || v->is_halted);
}

/* SDM 3A 8.4.4.1 "Typical BSP Initialization Sequence": INIT, SIPI, SIPI; a SIPI starts at 000VV000H */
static void init_and_startup_start_a_core(void **state)
{
	struct core *c = part->core[2];
	(void)state;
	spoil(2);
	lapic_write(2, TPR, 0x50);
	send(0, 2, INIT | LEVEL | ASSERT);
	send(0, 2, INIT | LEVEL); /* de-assert */
	assert_int_equal(with_mail(), 1 << 2);
	assert_false(core_is_runnable(c));
	assert_int_equal(c->state, CORE_WAITING);
	expect_init_state(2, 0xf000, 0xffff0000, 0xfff0);
	assert_int_equal(lapic_read(2, TPR), 0); /* SDM 3A 11.4.7.3 */
	assert_int_equal(lapic_read(2, SVR), 0xff);
	assert_int_equal(lapic_read(2, 0x20), 2u << 24);
	send(0, 2, STARTUP | ASSERT | 0x9f);
	assert_true(core_is_runnable(c));
	assert_int_equal(c->state, CORE_RUNNING);
	expect_init_state(2, 0x9f00, 0x9f000, 0);
	fake(2)->reg[VREG_RIP] = 0x44;
	send(0, 2, STARTUP | ASSERT | 0x33); /* the second one comes to a core that runs: nothing */
	assert_true(core_is_runnable(c));
	expect_init_state(2, 0x9f00, 0x9f000, 0x44);
	assert_int_equal(rig.pokes[2], 3);
	assert_int_equal(rig.pokes[0] + rig.pokes[1] + rig.pokes[3], 0);
}

/* SDM 3A table 10-1, note 2: INIT leaves CD and NW as they are, sets ET and clears the rest */
static void init_keeps_the_cache_bits_of_cr0(void **state)
{
	(void)state;
	spoil(1);
	send(0, 1, INIT | ASSERT);
	core_take_mail(part->core[1], MAIL_ALL);
	assert_int_equal(fake(1)->reg[VREG_CR0], CR0_ET);
	fake(1)->reg[VREG_CR0] = CR0_ET | CR0_CD | CR0_NW;
	send(0, 1, INIT | ASSERT);
	core_take_mail(part->core[1], MAIL_ALL);
	assert_int_equal(fake(1)->reg[VREG_CR0], 0x60000010);
}

/* Sent one after the other, taken at once: the last word counts */
static void init_and_startup_merge_in_their_order(void **state)
{
	struct core *c = part->core[1];
	(void)state;
	send(0, 1, INIT | ASSERT);
	send(0, 1, STARTUP | ASSERT | 0x20);
	core_take_mail(c, MAIL_ALL);
	expect_init_state(1, 0x2000, 0x20000, 0);
	assert_int_equal(c->state, CORE_RUNNING);
	send(0, 1, INIT | ASSERT);
	send(0, 1, STARTUP | ASSERT | 0x30);
	send(0, 1, INIT | ASSERT);
	core_take_mail(c, MAIL_ALL);
	assert_int_equal(c->state, CORE_WAITING);
	send(0, 1, STARTUP | ASSERT | 0x40);
	send(0, 1, STARTUP | ASSERT | 0x41);
	core_take_mail(c, MAIL_ALL);
	assert_int_equal(fake(1)->seg[SEG_CS].base, 0x41000);
}

/* SDM 3A 8.4.2: INIT makes an AP wait; the BSP begins at the reset vector */
static void init_of_a_running_core(void **state)
{
	(void)state;
	core_post_vector(part->core[1], 0x40, false); /* on its way: lost */
	send(0, 1, INIT | ASSERT);
	core_take_mail(part->core[1], MAIL_ALL);
	assert_int_equal(part->core[1]->state, CORE_WAITING);
	assert_int_equal(with_vector(IRR, 0x40), 0);
	spoil(0);
	send(2, 0, INIT | ASSERT);
	assert_true(core_is_runnable(part->core[0]));
	assert_int_equal(part->core[0]->state, CORE_RUNNING);
	expect_init_state(0, 0xf000, 0xffff0000, 0xfff0);
	assert_true(part->core[0]->v.is_dr_reset && part->core[1]->v.is_dr_reset);
	send(2, 3, INIT | LEVEL); /* de-assert: no effect since the P6 (SDM 3A 11.6.1) */
	assert_int_equal(with_mail(), 0);
}


/*
 * The partition has halted for ever only if no core runs or has mail. A core that has taken its mail but
 * is not yet on its way runs: so it does not end when the sender halts in that moment.
 */
static void halted_cores_wake_each_other(void **state)
{
	struct core *c0 = part->core[0], *c1 = part->core[1];
	(void)state;
	core_post(c1, MAIL_SIPI);
	core_take_mail(c1, MAIL_ALL);
	core_sleep(c0, CORE_DEAD);
	assert_false(part->end.is_set);
	core_sleep(c1, CORE_DEAD);
	assert_true(part->end.is_set);
	part->end.is_set = part->end.is_claimed = false;
	core_post(c1, MAIL_NMI);
	core_sleep(c0, CORE_DEAD);
	core_take_mail(c1, MAIL_ALL);
	core_sleep(c0, CORE_DEAD);
	assert_false(part->end.is_set);
	core_post(c0, MAIL_NMI); /* and so the two go on */
	core_sleep(c1, CORE_DEAD);
	core_take_mail(c0, MAIL_ALL);
	core_sleep(c1, CORE_DEAD);
	assert_false(part->end.is_set);
	core_post(c1, MAIL_FIXED); /* no way to wake a core whose interrupts are off */
	core_sleep(c0, CORE_DEAD);
	assert_false(part->end.is_set);
	core_take_mail(c1, MAIL_ALL);
	assert_true(part->end.is_set);
}

/* HLT with IF=0: SDM 2A "HLT" wakes for NMI and INIT, and for interrupts only if they are enabled */
static void a_dead_core_is_woken_by_nmi_and_init_only(void **state)
{
	struct core *c = part->core[1];
	(void)state;
	rig_play(1, (struct exit){ .kind = EXIT_HLT, .insn_len = 1 });
	assert_int_equal(c->state, CORE_DEAD);
	assert_false(core_is_runnable(c));
	send(0, 1, ASSERT | 0x40);
	assert_false(core_is_runnable(c));
	assert_int_equal(c->state, CORE_DEAD);
	send(0, 1, NMI | ASSERT);
	assert_true(core_is_runnable(c));
	assert_int_equal(c->state, CORE_RUNNING);
	rig_play(1, (struct exit){ .kind = EXIT_HLT, .insn_len = 1 }); /* takes the NMI; then dies anew */
	assert_int_equal(fake(1)->injected[0].type, EVENT_NMI);
	assert_int_equal(c->state, CORE_DEAD);
	fake(1)->reg[VREG_NMI_BLOCKED] = 1; /* a HLT within the handler: another NMI waits for its end */
	send(0, 1, NMI | ASSERT);
	assert_false(core_is_runnable(c));
	assert_int_equal(c->state, CORE_DEAD);
	send(0, 1, INIT | ASSERT);
	assert_false(core_is_runnable(c));
	assert_int_equal(c->state, CORE_WAITING);
	assert_false(part->end.is_set);
}

static void halted_with_interrupts_on_any_message_wakes(void **state)
{
	struct core *c = part->core[1];
	(void)state;
	fake(1)->reg[VREG_RFLAGS] |= RFLAGS_IF;
	assert_true(rig_play(1, (struct exit){ .kind = EXIT_HLT, .insn_len = 1 }));
	assert_int_equal(c->state, CORE_RUNNING);
	assert_false(core_is_runnable(c));
	core_post(c, MAIL_LOOK); /* nothing to see */
	assert_false(core_is_runnable(c));
	send(3, 2, LOGICAL | ASSERT | 0x40);
	assert_true(core_is_runnable(c));
	c->is_parked = true;
	assert_false(core_is_runnable(c));
}

/* Nobody is left to send anything: not the APs that never started */
static void waiting_cores_keep_nobody_alive(void **state)
{
	(void)state;
	rig_play(0, (struct exit){ .kind = EXIT_HLT, .insn_len = 1 });
	assert_true(part->end.is_set);
	assert_string_equal(part->end.why, "halted");
	assert_non_null(strstr(rig.log, "halted with interrupts off for ever"));
}

/* 8254: counter 0, mode 2, low byte then high byte; 1.193 MHz */
static void start_pit(u32 n, u16 count)
{
	out(n, 0x43, 0x34);
	out(n, 0x40, (u8)count);
	out(n, 0x40, count >> 8);
}

static void core_0_hears_of_a_sooner_deadline(void **state)
{
	(void)state;
	pc_poll(part, partition_now_ns(part));
	u64 before = part->pc.deadline_ns;
	start_pit(1, 1193);
	assert_true(part->pc.deadline_ns < before && part->pc.deadline_ns <= 2 * NSEC_PER_MSEC);
	assert_int_equal(part->core[0]->mail.flags, MAIL_LOOK);
	assert_int_equal(with_mail(), 1);
	assert_int_equal(rig.pokes[0], 1);
	assert_int_equal(part->core[1]->due_tsc, 0);
	core_take_mail(part->core[0], MAIL_ALL);
	assert_int_equal(part->core[0]->due_tsc, 0);
	part->core[0]->due_tsc = part->core[1]->due_tsc = NEVER;
	out(1, 0x80, 0); /* moves nothing */
	out(1, 0x61, 0);
	assert_int_equal(with_mail(), 0);
	assert_int_equal(part->core[1]->due_tsc, NEVER);
	out(1, 0x43, 0x34); /* stops it: core 0 will find out when it polls */
	assert_int_equal(with_mail(), 0);
	start_pit(0, 100); /* its own doing: no mail */
	assert_int_equal(with_mail(), 0);
	assert_int_equal(part->core[0]->due_tsc, 0);
}

/* docs/locks.md: pc.deadline_ns is written under pc.lock, else an older minimum could win */
static void deadlines_move_under_the_lock(void **state)
{
	struct lock *l = &part->pc.lock;
	(void)state;
	pc_poll(part, partition_now_ns(part));
	u32 before = l->next;
	pc_touched(part->core[1]);
	assert_int_equal(l->next, before);
	part->pc.pit.deadline_ns = 1; /* as an access would leave it */
	pc_touched(part->core[1]);
	assert_int_equal(part->pc.deadline_ns, 1);
	assert_int_equal(l->next, before + 1);
	assert_int_equal(l->owner, l->next);
}

static void own_timer_is_nobody_elses_business(void **state)
{
	struct core *c = part->core[2];
	(void)state;
	pc_poll(part, partition_now_ns(part));
	lapic_write(2, 0x3e0, 0xb);
	lapic_write(2, LVT_TIMER, 0x45);
	lapic_write(2, TMICT, 1000);
	pc_touched(c);
	assert_int_equal(c->due_tsc, 0);
	assert_int_equal(with_mail(), 0);
}

static void shared_devices_are_locked_local_apics_are_not(void **state)
{
	struct lock *l = &part->pc.lock;
	const struct bus *mmio = &part->core[2]->mmio;
	(void)state;
	u32 n = l->next;
	lapic_read(2, TPR);
	lapic_write(2, TPR, 0x10);
	bus_read(&part->pc.ports, 0x5000, 1); /* no device */
	assert_int_equal(l->next, n);
	bus_read(mmio, VIOAPIC_BASE, 4);
	bus_write(mmio, VIOAPIC_BASE, 4, 1);
	bus_read(&part->pc.ports, 0x40, 1);
	bus_write(&part->pc.ports, 0x21, 1, 0xff);
	assert_int_equal(l->next, n + 4);
	pc_poll(part, partition_now_ns(part));
	assert_int_equal(l->next, n + 5);
	assert_int_equal(l->owner, l->next);
	rig_fini();
	assert_null(rig_build(&rig_config)); /* one core: no lock */
	part = rig.part;
	bus_read(&part->pc.ports, 0x40, 1);
	pc_poll(part, partition_now_ns(part));
	assert_int_equal(part->pc.lock.next, 0);
}

static void the_first_end_counts(void **state)
{
	(void)state;
	part->core[1]->v.regs[GPR_RAX] = 3;
	assert_true(rig_play(1, (struct exit){ .kind = EXIT_PIO, .insn_len = 1,
					       .pio = { .port = 0xf4, .width = 4 } }));
	assert_true(rig.kicks[0] > 0 && rig.kicks[1] > 0);
	assert_true(rig_play(2, (struct exit){ .kind = EXIT_TRIPLE_FAULT }));
	assert_true(partition_has_end(part));
	assert_false(health_is_ok(part->end.event));
	assert_string_equal(part->end.why, "exit");
	assert_int_equal(part->end.code, 3);
	assert_true(rig_play(3, (struct exit){ .kind = EXIT_CPUID, .insn_len = 2 })); /* nobody goes on */
}

static void vcpus_go_round_the_cpus(void **state)
{
	(void)state;
	assert_int_equal(part->nr_cores, NR);
	for (u32 i = 0; i < NR; i++) {
		assert_int_equal(part->core[i]->v.id, i);
		assert_int_equal(part->core[i]->v.cpu, i % 2);
		assert_int_equal(lapic_read(i, 0x20) >> 24, i);
		assert_int_equal(fake(i)->reg[VREG_TSC_OFFSET], 0 - (u64)RIG_BIRTH);
		assert_int_equal(part->core[i]->lapic.apic_base >> 8 & 1, i == 0); /* BSP */
	}
	assert_int_equal(rig.tags[0], 2); /* one for each vCPU of a CPU */
	assert_int_equal(rig.tags[1], 2);
}

#define NR_HANDOFFS 40000

static time_t started;

/* A core that does nothing but wake the next one by NMI and halt: often enough, or as a busy host lets it */
static void *hand_on(void *arg)
{
	struct core *c = arg, *next = part->core[(c->v.id + 1) % NR];
	u32 left = NR_HANDOFFS / NR;
	while (left && !partition_has_end(part) && time(NULL) - started < 2) {
		if (core_has_mail(c)) {
			core_take_mail(c, MAIL_ALL);
			left--;
			core_post(next, MAIL_NMI);
			core_sleep(c, CORE_DEAD);
		} else {
			sched_yield();
		}
	}
	return NULL;
}

/* At every moment one core runs or has mail, wherever it is when a sibling looks */
static void no_moment_looks_like_the_end(void **state)
{
	pthread_t thread[NR];
	(void)state;
	for (u32 i = 0; i < NR; i++) {
		part->core[i]->state = CORE_DEAD;
	}
	core_post(part->core[0], MAIL_NMI);
	started = time(NULL);
	for (u32 i = 0; i < NR; i++) {
		assert_int_equal(pthread_create(&thread[i], NULL, hand_on, part->core[i]), 0);
	}
	for (u32 i = 0; i < NR; i++) {
		pthread_join(thread[i], NULL);
	}
	assert_false(partition_has_end(part));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(application_cores_wait_for_startup),
		RUNNING(init_and_startup_start_a_core),
		RUNNING(init_keeps_the_cache_bits_of_cr0),
		RUNNING(init_and_startup_merge_in_their_order),
		RUNNING(init_of_a_running_core),
		TEST(halted_cores_wake_each_other),
		RUNNING(no_moment_looks_like_the_end),
		RUNNING(a_dead_core_is_woken_by_nmi_and_init_only),
		RUNNING(halted_with_interrupts_on_any_message_wakes),
		TEST(waiting_cores_keep_nobody_alive),
		RUNNING(core_0_hears_of_a_sooner_deadline),
		RUNNING(deadlines_move_under_the_lock),
		RUNNING(own_timer_is_nobody_elses_business),
		RUNNING(shared_devices_are_locked_local_apics_are_not),
		RUNNING(the_first_end_counts),
		TEST(vcpus_go_round_the_cpus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
