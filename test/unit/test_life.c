/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lives of a partition: what its health table decides about each event, how many restarts it allows,
 * and that a new life has nothing of the last one: memory, registers, devices, mail.
 */
#include <string.h>
#include "abi/hypercall.h"
#include "kernel/life.h"
#include "kernel/stray.h"
#include "rig.h"
#include "x86/regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MEMORY (6 * MIB)

static struct partition_config cfg;

static struct partition *start(void)
{
	assert_null(rig_build(&cfg));
	return rig.part;
}

static int setup(void **state)
{
	(void)state;
	cfg = rig_config;
	cfg.health = (struct health_config){ .restart_limit = 2, .period_ms = 1000 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini();
	return 0;
}

static enum health_action judge(enum health_event what)
{
	rig.part->end = (struct partition_end){ 0 };
	partition_end(rig.part, what, health_name(what), 0);
	return life_judge(rig.part);
}

static void defaults(void **state)
{
	(void)state;
	start();
	for (enum health_event e = HEALTH_POWEROFF; e < NR_HEALTH_EVENTS; e++) {
		bool is_special = e == HEALTH_WATCHDOG || e == HEALTH_REPORT || e == HEALTH_OVERRUN ||
				  e == HEALTH_IO_VIOLATION || e == HEALTH_MEMORY_VIOLATION;
		assert_true(is_special || judge(e) == HEALTH_STOP);
		assert_string_not_equal(health_name(e), "none");
	}
	cfg.on_exit = ON_EXIT_SHUTDOWN;
	assert_int_equal(judge(HEALTH_TRIPLE_FAULT), HEALTH_SHUTDOWN);
	assert_int_equal(judge(HEALTH_STOPPED), HEALTH_STOP); /* it is being shut down already */
	assert_int_equal(judge(HEALTH_WATCHDOG), HEALTH_RESTART);
}

static void what_is_a_success(void **state)
{
	(void)state;
	start();
	for (enum health_event e = 0; e < NR_HEALTH_EVENTS; e++) {
		bool is_ok = e == HEALTH_POWEROFF || e == HEALTH_EXIT || e == HEALTH_STOPPED;
		assert_int_equal(health_is_ok(e), is_ok);
	}
}

static void limit_of_restarts(void **state)
{
	(void)state;
	cfg.health.action[HEALTH_RESET] = HEALTH_RESTART;
	struct partition *p = start();
	rig.tsc = RIG_BIRTH + 1;
	assert_int_equal(judge(HEALTH_RESET), HEALTH_RESTART);
	rig.tsc += 999 * NSEC_PER_MSEC;
	assert_int_equal(judge(HEALTH_RESET), HEALTH_RESTART);
	assert_int_equal(p->life.nr, 2);
	assert_int_equal(p->life.last, HEALTH_RESET);
	assert_int_equal(judge(HEALTH_RESET), HEALTH_STOP);
	assert_non_null(strstr(rig.log, "[guest] restart-limit: 2 restarts within 1000 ms"));
	rig.tsc += 2 * NSEC_PER_MSEC; /* the period is over */
	assert_int_equal(judge(HEALTH_RESET), HEALTH_RESTART);
	assert_int_equal(p->life.nr, 3);
	cfg.on_exit = ON_EXIT_SHUTDOWN;
	assert_int_equal(judge(HEALTH_RESET), HEALTH_RESTART);
	assert_int_equal(judge(HEALTH_RESET), HEALTH_SHUTDOWN);
}

static u32 count(const char *what)
{
	u32 n = 0;
	for (const char *at = rig.log; (at = strstr(at, what)); at++) {
		n++;
	}
	return n;
}

static u64 call(u64 nr, u64 arg)
{
	struct vcpu *v = &rig.part->core[0]->v;
	v->regs[GPR_RAX] = nr;
	v->regs[GPR_RBX] = arg;
	rig_play(0, (struct exit){ .kind = EXIT_HYPERCALL, .insn_len = 3 });
	return v->regs[GPR_RAX];
}

static void reports_are_logged_a_few_times_or_end_it(void **state)
{
	(void)state;
	struct partition *p = start();
	for (u32 i = 0; i < 100; i++) {
		assert_int_equal(call(HC_HEALTH, 7), 0);
	}
	assert_int_equal(count("[guest] event=report code=7"), 8);
	assert_false(partition_has_end(p));
	cfg.health.action[HEALTH_REPORT] = HEALTH_STOP;
	call(HC_HEALTH, 9);
	assert_true(partition_has_end(p));
	assert_int_equal(p->end.event, HEALTH_REPORT);
	assert_int_equal(p->end.code, 9);
}

static void port(u16 at, u8 width, bool is_in)
{
	rig_play(0, (struct exit){ .kind = EXIT_PIO, .insn_len = 1,
				   .pio = { .port = at, .width = width, .is_in = is_in } });
}

/* @at: read as a byte */
static void memory(u64 at)
{
	static const u8 load[] = { 0x8a, 0x03, 0xf4 }; /* MOV (RBX), AL; HLT */
	struct vcpu *v = &rig.part->core[0]->v;
	memcpy(gmem_ptr(&rig.part->mem, GPA(RIG_LOAD_ADDR), sizeof(load)), load, sizeof(load));
	v->ops->set(v, VREG_RIP, RIG_LOAD_ADDR);
	v->regs[GPR_RBX] = at;
	rig_play(0, (struct exit){ .kind = EXIT_MMIO, .rip = RIG_LOAD_ADDR, .mmio = { .addr = GPA(at) } });
	assert_int_equal(v->ops->get(v, VREG_RIP), RIG_LOAD_ADDR + (partition_has_end(rig.part) ? 0 : 2));
	assert_int_equal(v->regs[GPR_RAX] & 0xff, 0xff);
}

static void nobody_is_told_of_strays(void **state)
{
	(void)state;
	struct partition *p = start();
	assert_null(p->pc.ports.stray);
	assert_null(p->core[0]->mmio.stray);
	port(0x1e0, 2, true);
	memory(0xe8000000);
	cfg.health.action[HEALTH_IO_VIOLATION] = cfg.health.action[HEALTH_MEMORY_VIOLATION] = HEALTH_IGNORE;
	rig_fini();
	p = start();
	assert_null(p->pc.ports.stray);
	assert_null(p->core[0]->mmio.stray);
	assert_false(partition_has_end(p));
	assert_null(strstr(rig.log, "violation"));
}

static void strays_are_logged(void **state)
{
	(void)state;
	cfg.health.action[HEALTH_IO_VIOLATION] = cfg.health.action[HEALTH_MEMORY_VIOLATION] = HEALTH_LOG;
	struct partition *p = start();
	struct vcpu *v = &p->core[0]->v;
	v->ops->set(v, VREG_RIP, 0x4321);
	port(0x1e0, 2, true);
	assert_non_null(strstr(rig.log,
			       "[guest] event=io-violation port=0x1e0 width=2 read cpu=0 rip=0x4321"));
	assert_int_equal(v->regs[GPR_RAX] & 0xffff, 0xffff);
	for (u32 i = 0; i < 100; i++) {
		port((u16)(0x7000 + i), 4, false);
	}
	assert_int_equal(count("event=io-violation port=0x7"), 7);
	assert_int_equal(count("write cpu=0"), 7);
	memory(0xe8000001); /* a line of its own, whatever ports had */
	assert_int_equal(count("event=memory-violation address=0xe8000001 width=1 read cpu=0 rip=0x200000"), 1);
	memory(0xd0000000); /* where BARs may decode, and none does */
	assert_int_equal(count("event=memory-violation address=0xd0000000 width=1 read cpu=0 rip=0x200000"), 1);
	memory(0xe0008000); /* configuration space of a device that is absent */
	assert_int_equal(count("event=memory-violation"), 2);
	port(0x80, 1, false);
	port(0xf4 - 1, 1, true);
	assert_false(partition_has_end(p));
	memset(rig.log, 0, sizeof(rig.log));
	cfg.health.action[HEALTH_RESET] = HEALTH_RESTART;
	judge(HEALTH_RESET);
	p->end = (struct partition_end){ 0 };
	port(0x1e0, 1, true); /* in a new life */
	assert_int_equal(count("event=io-violation port=0x1e0"), 1);
}

static void strays_end_it(void **state)
{
	(void)state;
	cfg.health.action[HEALTH_IO_VIOLATION] = HEALTH_RESTART;
	cfg.health.action[HEALTH_MEMORY_VIOLATION] = HEALTH_SHUTDOWN;
	struct partition *p = start();
	port(0x80, 1, false); /* silent on each PC */
	port(0xf4, 1, true);  /* somebody's */
	assert_false(partition_has_end(p));
	port(0x1e0, 1, false);
	assert_true(partition_has_end(p));
	assert_int_equal(p->end.event, HEALTH_IO_VIOLATION);
	assert_string_equal(p->end.why, "io-violation");
	assert_int_equal(p->end.code, 0x1e0);
	port(0x1e0, 1, false); /* it has ended: no more of it */
	assert_int_equal(count("event="), 1);
	assert_int_equal(life_judge(p), HEALTH_RESTART);
	p->end = (struct partition_end){ 0 };
	memory(0x123456789a);
	assert_int_equal(p->end.event, HEALTH_MEMORY_VIOLATION);
	assert_int_equal(life_judge(p), HEALTH_SHUTDOWN);
}

/* What devices have is never silent by the table: that would be a row too many */
static void silent_ports(void **state)
{
	(void)state;
	struct partition *p = start();
	u32 nr = 0;
	for (u64 at = 0; at < 0x10000; at++) {
		nr += stray_is_silent(at);
		assert_false(stray_is_silent(at) && bus_find(&p->pc.ports, at, 1));
	}
	assert_true(nr > 100 && nr < 300);
	assert_false(stray_is_silent(0x1e0));
	assert_false(stray_is_silent(0x10080)); /* no port */
}

static void watchdog(void **state)
{
	(void)state;
	struct partition *p = start();
	u64 now = partition_now_ns(p);
	assert_int_equal(call(HC_WATCHDOG, 1000), 0);
	assert_true(p->pc.deadline_ns <= now + 1000000);
	rig.tsc += 900 * NSEC_PER_USEC;
	assert_int_equal(call(HC_WATCHDOG, 1000), 0); /* served in time */
	rig.tsc += 900 * NSEC_PER_USEC;
	assert_true(pc_poll(p, partition_now_ns(p)) <= partition_now_ns(p) + 100000);
	assert_false(partition_has_end(p));
	rig.tsc += 100 * NSEC_PER_USEC;
	pc_poll(p, partition_now_ns(p));
	assert_true(partition_has_end(p));
	assert_int_equal(p->end.event, HEALTH_WATCHDOG);
}

static void watchdog_off_and_far_away(void **state)
{
	(void)state;
	struct partition *p = start();
	call(HC_WATCHDOG, 1);
	call(HC_WATCHDOG, 0);
	rig.tsc += NSEC_PER_SEC;
	pc_poll(p, partition_now_ns(p));
	call(HC_WATCHDOG, ~0ull); /* beyond the end of time */
	assert_true(p->pc.watchdog_ns == NEVER);
	call(HC_WATCHDOG, ~0ull / 1000);
	assert_true(p->pc.watchdog_ns > partition_now_ns(p));
	pc_poll(p, partition_now_ns(p));
	assert_false(partition_has_end(p));
	cfg.health.action[HEALTH_WATCHDOG] = HEALTH_LOG;
	call(HC_WATCHDOG, 1);
	rig.tsc += NSEC_PER_SEC;
	pc_poll(p, partition_now_ns(p));
	assert_false(partition_has_end(p));
	assert_true(p->pc.watchdog_ns == NEVER); /* fires once */
	assert_non_null(strstr(rig.log, "[guest] event=watchdog"));
}

static void information(void **state)
{
	(void)state;
	struct partition *p = start();
	p->index = 5;
	p->life.nr = 3;
	p->life.last = HEALTH_RESET;
	const u64 want[] = { [HC_INFO_INDEX] = 5, [HC_INFO_RESTARTS] = 3, [HC_INFO_LAST] = HEALTH_RESET,
			     [HC_INFO_VCPUS] = 1, [HC_INFO_MEMORY] = 6 };
	for (u64 i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(call(HC_PARTITION_INFO, i), want[i]);
	}
	assert_true(call(HC_PARTITION_INFO, ARRAY_SIZE(want)) == (u64)HC_EINVAL);
}

static void console(void **state)
{
	(void)state;
	start();
	assert_int_equal(call(HC_CONSOLE, 'h'), 0);
	assert_int_equal(call(HC_CONSOLE, 'i'), 0);
	assert_int_equal(rig.part->pc.console.len, 2);
}

static void dirty(struct partition *p)
{
	struct core *c = p->core[1];
	for (u32 i = 0; i < p->mem.nr; i++) {
		memset(phys_ptr(p->mem.ext[i].host), 0x5a, p->mem.ext[i].len);
	}
	for (u32 i = 0; i < p->nr_cores; i++) {
		struct vcpu *v = &p->core[i]->v;
		memset(v->regs, 0x5a, sizeof(v->regs));
		memset(v->dr, 0x5a, sizeof(v->dr));
		memset(v->xsave, 0x5a, 832);
		v->xcr0 = XCR0_X87 | XCR0_SSE;
		v->pending = (struct event){ .type = EVENT_NMI };
		v->is_halted = v->nmi_pending = true;
		v->nr_exits = 77;
		memset(fake_of(v)->reg, 0x5a, sizeof(fake_of(v)->reg));
	}
	core_post_vector(c, 0x55, false);
	core_post(c, MAIL_NMI | MAIL_INIT);
	c->state = CORE_DEAD;
	c->lapic.deadline_ns = 5;
	c->msrs.misc_enable = 0x5a;
	bus_write(&p->pc.ports, 0x3f8 + 7, 1, 0x5a);
	bus_write(&p->pc.ports, 0x21, 1, 0x5a);
	life_watchdog(p, 1000);
}

static void look_clean(struct partition *p)
{
	u64 zeroes = 0, sum = 0;
	for (u32 i = 0; i < p->mem.nr; i++) {
		const u8 *at = phys_ptr(p->mem.ext[i].host);
		for (u64 k = 0; k < p->mem.ext[i].len; k++) {
			zeroes += at[k] == 0;
			sum += at[k] == 0x5a;
		}
	}
	assert_true(zeroes > MEMORY - 64 * KIB); /* image, ACPI, BIOS data and page tables are the rest */
	assert_true(sum < 32);
	for (u32 i = 0; i < p->nr_cores; i++) {
		const struct core *c = p->core[i];
		assert_int_equal(c->v.dr[0] | c->v.nr_exits | c->mail.flags | c->mail.request[2], 0);
		assert_int_equal(c->v.pending.type, EVENT_NONE);
		assert_false(c->v.is_halted || c->v.nmi_pending);
		assert_int_equal(c->v.xcr0, XCR0_X87);
		assert_int_equal(((const u8 *)c->v.xsave)[831], 0);
		assert_int_equal(c->state, i ? CORE_WAITING : CORE_RUNNING);
		assert_true(c->lapic.deadline_ns == NEVER);
		assert_int_not_equal(c->msrs.misc_enable, 0x5a);
		assert_int_equal(fake_of(&p->core[i]->v)->reg[VREG_CR2], 0);
	}
	assert_int_equal(p->core[0]->v.ops->get(&p->core[0]->v, VREG_RIP), RIG_LOAD_ADDR);
	assert_int_equal(bus_read(&p->pc.ports, 0x3f8 + 7, 1), 0);
	assert_int_not_equal(bus_read(&p->pc.ports, 0x21, 1), 0x5a);
	assert_true(p->pc.watchdog_ns == NEVER);
}

/* The only port that may go to the machine's own, and only if asked for */
static void only_the_post_port_passes(void **state)
{
	(void)state;
	assert_int_equal(start()->core[0]->params.nr_io_pass, 0);
	rig_fini();
	cfg.has_post_port = true;
	const struct vcpu_params *params = &start()->core[0]->params;
	assert_int_equal(params->nr_io_pass, 1);
	assert_int_equal(params->io_pass[0], 0x80);
}

static void a_new_life_has_nothing_of_the_old_one(void **state)
{
	(void)state;
	cfg.nr_vcpus = 2;
	struct partition *p = start();
	u64 free = frames_free_bytes(&rig.frames);
	const char *name = p->pc.console.name;
	for (u32 life = 0; life < 3; life++) {
		dirty(p);
		for (u32 i = 0; i < p->nr_cores; i++) {
			p->core[i]->is_parked = true;
		}
		p->nr_parked = p->nr_cores;
		partition_end(p, HEALTH_RESET, "reset", 0);
		birth_begin(p, BIRTH_SCRUB);
		u32 steps = 0;
		while (birth_step(p)) {
			steps++;
		}
		assert_null(p->birth.why);
		assert_true(steps >= MEMORY / BIRTH_CHUNK); /* so none of them is long */
		assert_true(p->core[0]->is_parked && p->core[1]->is_parked);
		look_clean(p);
		partition_start(p);
		assert_false(core_is_parked(p->core[0]) || core_is_parked(p->core[1]));
		assert_false(partition_has_end(p));
		assert_int_equal(p->nr_parked, 0);
		assert_ptr_equal(p->pc.console.name, name);
		assert_int_equal(frames_free_bytes(&rig.frames), free); /* no frame is lost */
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(defaults),
		TEST(what_is_a_success),
		TEST(limit_of_restarts),
		TEST(reports_are_logged_a_few_times_or_end_it),
		TEST(nobody_is_told_of_strays),
		TEST(strays_are_logged),
		TEST(strays_end_it),
		TEST(silent_ports),
		TEST(watchdog),
		TEST(watchdog_off_and_far_away),
		TEST(information),
		TEST(console),
		TEST(only_the_post_port_passes),
		TEST(a_new_life_has_nothing_of_the_old_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
