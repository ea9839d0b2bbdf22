/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trial of what a CPU does for local APICs: a right CPU passes, in each way that is right; one that differs at any
 * step, in any respect, does not. The CPU is a list of what it does.
 */
#include "kernel/apic_trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "devices/vlapic.h"
#include "fake.h"
#include "log.h"
#include "pool.h"

enum { TPR = 0x80, EOI = 0xb0, ISR = 0x120, TMR = 0x1a0, IRR = 0x220, ICR = 0x300, LVT = 0x320 };
#define BIT_HOST (1u << TRIAL_HOST_VECTOR % 32)

/* What this side of the trial says it is; the guest itself does not run here */
const u8 apic_trial_guest[] = { 0x11, 0x22, 0x33 };
__asm__(".globl apic_trial_guest_end\n.set apic_trial_guest_end, apic_trial_guest + 3");

/* One exit: what the guest has in a register by then, and what the CPU has done to the page */
struct act {
	struct exit e;
	enum gpr gpr;
	u32 value;
	u16 reg;
	u32 in_page;
};

#define PIO(n) .e = { .kind = EXIT_PIO, .insn_len = 2, .pio = { .port = n, .width = 1 } }
#define IN(r, v) .gpr = r, .value = v
#define WRITE(at, v) .e = { .kind = EXIT_APIC_WRITE, .apic_offset = at }, .reg = at, .in_page = v
static const struct act right[] = {
	{ PIO(1), IN(GPR_RAX, 0x50014) },
	{ PIO(2), IN(GPR_RAX, TRIAL_TPR) },
	{ PIO(3), IN(GPR_RSI, 1) },
	{ WRITE(ICR, TRIAL_ICR | 1 << 12) },
	{ PIO(4) },
	{ WRITE(LVT, TRIAL_LVT) },
	{ .e = { .kind = EXIT_MMIO, .mmio = { .addr = { VLAPIC_BASE + 0x390 } } } },
	{ PIO(5) },
	{ PIO(6), IN(GPR_RDI, 0) },
	{ .e = { .kind = EXIT_EOI, .vector = TRIAL_HOST_VECTOR }, IN(GPR_RDI, 1) },
	{ PIO(7), IN(GPR_RDI, 1) },
	{ PIO(8), IN(GPR_RDI, 1) },
	{ PIO(9), IN(GPR_RDI, 2) },
};
#define NR ARRAY_SIZE(right)
#define AT_LEVEL 8  /* the exit behind which a request has come */
#define AT_EOI	 9
#define AT_EDGE	 11

static struct act acts[NR + 4];
static u32 at, nr_acts, nr_foreign, nr_taken;
static hpa apic_page;
static struct vcpu_params shown;

static u32 *reg(u32 offset)
{
	return (u32 *)pool_pages.ptr(&pool_pages, apic_page) + offset / 4;
}

static void look(struct vcpu *v, u32 n)
{
	if (n == AT_LEVEL) {
		assert_true(*reg(IRR) & *reg(TMR) & BIT_HOST);
		assert_true(fake_of(v)->view.level[2] & BIT_HOST);
	} else if (n == AT_EDGE) {
		assert_true(*reg(IRR) & BIT_HOST);
		assert_false((*reg(TMR) | fake_of(v)->view.level[2]) & BIT_HOST);
	}
	if (n == AT_LEVEL || n == AT_EDGE) {
		assert_int_equal(fake_of(v)->view.mode, APIC_XAPIC);
		assert_int_equal(fake_of(v)->view.requested, TRIAL_HOST_VECTOR);
	}
}

static void cpu_enter(struct vcpu *v, struct exit *e)
{
	if (nr_foreign) {
		static const enum exit_kind kinds[] = { EXIT_INTERRUPT, EXIT_TIMER, EXIT_NMI };
		*e = (struct exit){ .kind = kinds[nr_foreign-- % 3], .vector = 0xf0 };
		return;
	}
	assert_true(at < nr_acts);
	look(v, at);
	const struct act *a = &acts[at++];
	*e = a->e;
	if (a->gpr || a->value) {
		v->regs[a->gpr] = a->value;
	}
	if (a->reg) {
		*reg(a->reg) = a->in_page;
	}
}

static struct vcpu_ops ops;
static enum status (*fake_init)(struct vcpu *v, const struct vcpu_params *p);

static enum status cpu_init(struct vcpu *v, const struct vcpu_params *p)
{
	static struct fake hw;
	shown = *p;
	apic_page = p->apic_page;
	v->hw = &hw;
	return fake_init(v, p);
}

static void take(u8 vector)
{
	assert_int_equal(vector, 0xf0);
	nr_taken++;
}

static void use(const struct vcpu_ops *backend)
{
	ops = *backend;
	fake_init = ops.vcpu_init;
	ops.vcpu_init = cpu_init;
	ops.enter = cpu_enter;
}

static int setup(void **state)
{
	(void)state;
	pool_start();
	at = nr_foreign = nr_taken = 0;
	memcpy(acts, right, sizeof(right));
	nr_acts = NR;
	use(&fake_delivering_ops);
	return 0;
}

static enum apic_trial try(void)
{
	const struct apic_trial_env env = { .ops = &ops, .space_format = &pt_npt, .pages = &pool_pages, .host_irq = take };
	return apic_trial(&env);
}

static void right_cpu_passes(void **state)
{
	(void)state;
	assert_int_equal(try(), APIC_TRIAL_PASSED);
	assert_int_equal(at, NR);
	struct pt space = { .fmt = &pt_npt, .pages = &pool_pages, .root = shown.second_level, .max_page = PAGE_SIZE };
	struct pt_leaf leaf;
	assert_true(pt_lookup(&space, 0, &leaf));
	assert_memory_equal(pool_pages.ptr(&pool_pages, leaf.pa), apic_trial_guest, 3);
	assert_true(pt_lookup(&space, VLAPIC_BASE, &leaf));
	assert_int_equal(leaf.pa.v, shown.apic_access.v);
	assert_int_equal(shown.with_apic.v, shown.second_level.v);
}

/* As AVIC: only in xAPIC mode, and it may leave the end of a level to software */
static void right_in_another_way(void **state)
{
	(void)state;
	use(&fake_switching_ops);
	acts[AT_EOI].e = (struct exit){ .kind = EXIT_APIC_WRITE, .apic_offset = EOI };
	acts[AT_EOI].reg = ISR;
	acts[AT_EOI].in_page = BIT_HOST | 1;
	acts[3].in_page = TRIAL_ICR;
	assert_int_equal(try(), APIC_TRIAL_PASSED);
	assert_int_equal(*reg(ISR), 1);
}

static void foreign_exits_do_not_count(void **state)
{
	(void)state;
	nr_foreign = 99;
	assert_int_equal(try(), APIC_TRIAL_PASSED);
	assert_int_equal(nr_taken, 33);
	setup(NULL);
	nr_foreign = UINT32_MAX;
	assert_int_equal(try(), APIC_TRIAL_FAILED);
}

static void fails_at(u32 step)
{
	assert_int_equal(try(), APIC_TRIAL_FAILED);
	assert_int_equal(at, step + 1);
	setup(NULL);
}

static void any_other_exit_fails(void **state)
{
	(void)state;
	for (u32 i = 0; i < NR; i++) {
		acts[i].e = (struct exit){ .kind = EXIT_TRIPLE_FAULT };
		fails_at(i);
		acts[i].e.vectoring.type = EVENT_EXTINT;
		fails_at(i);
		memmove(&acts[i + 1], &right[i], (NR - i) * sizeof(right[0])); /* an exit where there is none */
		acts[i] = (struct act){ .e = { .kind = EXIT_MMIO, .mmio = { .addr = { VLAPIC_BASE + TPR } } } };
		fails_at(i);
		if (i + 1 < NR) { /* none where there is one */
			memmove(&acts[i], &right[i + 1], (NR - i - 1) * sizeof(right[0]));
			fails_at(i);
		}
	}
}

/* The same exit, of another port, register or vector */
static void any_other_detail_fails(void **state)
{
	(void)state;
	for (u32 i = 0; i < NR; i++) {
		switch (right[i].e.kind) {
		case EXIT_PIO: acts[i].e.pio.port ^= 0x10; break;
		case EXIT_EOI: acts[i].e.vector ^= 1; break;
		case EXIT_APIC_WRITE: acts[i].e.apic_offset ^= 0x10; break;
		default: acts[i].e.mmio.addr.v ^= 0x10; break;
		}
		fails_at(i);
	}
	acts[6].e.mmio.is_write = true;
	fails_at(6);
}

static void any_other_value_fails(void **state)
{
	(void)state;
	for (u32 i = 0; i < NR; i++) {
		if (right[i].reg) {
			acts[i].in_page ^= 1;
			fails_at(i);
		} else if (right[i].gpr) {
			acts[i].value ^= 1;
			fails_at(i);
		}
	}
	for (u32 i = 0; i < 2; i++) { /* version and TPR are in RAX, which is number 0 */
		acts[i].value ^= 1;
		fails_at(i);
	}
}

static void needless_without_delivery(void **state)
{
	(void)state;
	use(&fake_ops);
	assert_int_equal(try(), APIC_TRIAL_NEEDLESS);
	use(&fake_serving_ops);
	assert_int_equal(try(), APIC_TRIAL_NEEDLESS);
	assert_int_equal(at, 0);
}

static void no_memory_is_a_failure(void **state)
{
	(void)state;
	u32 limit = 0;
	assert_int_equal(try(), APIC_TRIAL_PASSED);
	for (u32 needs = pool_used; limit < needs; limit++) {
		setup(NULL);
		pool_limit = limit;
		assert_int_equal(try(), APIC_TRIAL_FAILED);
		assert_int_equal(at, 0);
	}
	assert_in_range(limit, 10, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup(f, setup)
		TEST(right_cpu_passes),		     TEST(right_in_another_way),
		TEST(foreign_exits_do_not_count),    TEST(any_other_exit_fails),
		TEST(any_other_detail_fails),	     TEST(any_other_value_fails),
		TEST(needless_without_delivery),     TEST(no_memory_is_a_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
