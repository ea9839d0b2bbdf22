/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two readings of one #VMEXIT: the quick one of the commonest, and the one that is complete. All exit codes,
 * with fields drawn at random (always the same) and from their borders: which ones the quick one takes is said
 * here once more, by number, and whatever it takes or leaves, exit and VMCB are those of the complete one.
 */
#include "svm/svm_vcpu.h"
#include "x86/regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define NR_ROUNDS 400
static struct svm_vcpu quick, full, taker;
static u64 seed;

/* xorshift64* */
static u64 draw(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1dull;
}

static bool one_in(u32 n)
{
	return draw() % n == 0;
}

static u64 draw_border(void)
{
	static const u64 border[] = { 0, 1, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff, 0x100000000, ~0ull >> 1, ~0ull };
	return one_in(3) ? border[draw() % ARRAY_SIZE(border)] : draw() >> draw() % 64;
}

/* Behind an instruction at @rip, or not quite: its length is 1 to 15 */
static u64 draw_next(u64 rip)
{
	return one_in(4) ? draw_border() : rip + draw() % 20 - 2;
}

static void draw_fields(struct svm_vcpu *hw, u64 code)
{
	struct vmcb *b = &hw->vmcb;
	hw->features = (u32)draw();
	hw->irq_is_queued = one_in(4);
	hw->nmi_blocked = one_in(4);
	hw->is_stepping = one_in(8);
	hw->had_tf = one_in(2);
	b->exit_code = code;
	b->rip = draw_border();
	b->next_rip = draw_next(b->rip);
	b->exit_info1 = draw_border();
	b->exit_info2 = draw_next(b->rip);
	b->exit_int_info = one_in(4) ? draw() | SVM_EVENT_V : draw() & ~SVM_EVENT_V;
	b->v_intr = draw();
	b->rflags = draw();
	b->dr6 = draw();
	hw->step_rip = one_in(2) ? b->rip : draw();
	b->intercept[2] = (u32)draw();
	b->intercept[3] = (u32)draw();
	b->clean = (u32)draw();
	b->tlb_control = (u8)draw();
	b->event_inj = draw();
	b->nr_insn_bytes = one_in(2) ? 0 : (u8)(draw() % 18);
}

static void assert_same(const struct exit *a, const struct exit *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->insn_len, b->insn_len);
	assert_int_equal(a->reason, b->reason);
	assert_int_equal(a->info[0], b->info[0]);
	assert_int_equal(a->info[1], b->info[1]);
	assert_int_equal(a->rip, b->rip);
	assert_int_equal(a->vectoring.type, b->vectoring.type);
	if (a->vectoring.type != EVENT_NONE) {
		assert_memory_equal(&a->vectoring, &b->vectoring, sizeof(a->vectoring));
	}
	if (a->kind == EXIT_PIO) {
		assert_memory_equal(&a->pio, &b->pio, sizeof(a->pio));
	} else if (a->kind == EXIT_MMIO || a->kind == EXIT_MISCONFIG) {
		assert_int_equal(a->mmio.addr.v, b->mmio.addr.v);
		assert_int_equal(a->mmio.is_write, b->mmio.is_write);
		assert_int_equal(a->mmio.is_fetch, b->mmio.is_fetch);
		assert_int_equal(a->mmio.is_walk, b->mmio.is_walk);
		assert_int_equal(a->mmio.nr_fetched, b->mmio.nr_fetched);
	} else if (a->kind == EXIT_CR) {
		assert_int_equal(a->cr.op, b->cr.op);
		assert_int_equal(a->cr.num, b->cr.num);
	} else if (a->kind == EXIT_EXCEPTION) {
		assert_memory_equal(&a->event, &b->event, sizeof(a->event));
	}
}

/* Numbers as in APM 2 appendix C: CPUID, INVD, HLT, IOIO, MSR, VMMCALL, WBINVD, XSETBV, VINTR, NPF */
static bool is_common(u32 code)
{
	static const u32 common[] = { 0x72, 0x76, 0x78, 0x7b, 0x7c, 0x81, 0x89, 0x8d, 0x64, 0x400 };
	for (u32 i = 0; i < ARRAY_SIZE(common); i++) {
		if (common[i] == code) {
			return true;
		}
	}
	return false;
}

/* No event's delivery was cut short, by EXITINTINFO or by a V_IRQ that is still there, and no step has ended */
static bool is_plain(const struct svm_vcpu *hw)
{
	return is_common((u32)hw->vmcb.exit_code) && !(hw->vmcb.exit_int_info & SVM_EVENT_V) && !hw->is_stepping &&
	       !(hw->irq_is_queued && hw->vmcb.v_intr & V_IRQ);
}

static u32 nr_taken, nr_left;

static void compare(u64 code)
{
	struct exit a, b, c;
	draw_fields(&quick, code);
	full = taker = quick;
	u8 nr_bytes = quick.vmcb.nr_insn_bytes;
	memset(&a, 0x11, sizeof(a));
	memset(&b, 0x22, sizeof(b));
	bool is_taken = svm_exit_plain(&taker, &c), wants_again = svm_exit_take(&quick, &a);
	assert_int_equal(is_taken, is_plain(&full));
	full.vmcb.clean = (u32)CLEAN_ALL;
	full.vmcb.tlb_control = 0;
	full.vmcb.event_inj = 0;
	svm_exit_decode(&full, &b);
	assert_int_equal(svm_exit_settle(&full, &b), wants_again);
	assert_same(&a, &b);
	if (is_taken) {
		assert_false(wants_again);
		assert_same(&a, &c);
		quick.vmcb.exit_int_info = 0; /* it said nothing, and says so still */
		assert_int_equal(quick.vmcb.nr_insn_bytes, (u32)code == VMEXIT_NPF ? 0 : nr_bytes);
		quick.vmcb.nr_insn_bytes = 0; /* no other of these exits writes it */
		nr_taken++;
	} else {
		nr_left++;
	}
	assert_memory_equal(&quick, &full, sizeof(full));
}

static void rounds(u64 code)
{
	for (u32 i = 0; i < NR_ROUNDS; i++) {
		compare(code);
	}
}

static void test_both(void **state)
{
	(void)state;
	seed = 0x42756c6b68656164;
	for (u64 code = 0; code < 0xc0; code++) {
		rounds(code);
	}
	for (u64 code = 0x3ff; code < 0x405; code++) {
		rounds(code);
	}
	for (u64 code = ~0ull - 4; code; code++) {
		rounds(code);
		rounds((u32)code); /* as QEMU writes them */
	}
	rounds(0x500000000 | VMEXIT_CPUID); /* the upper half says nothing */
	rounds(BIT(63) | VMEXIT_NPF);
	assert_true(nr_taken > 3 * NR_ROUNDS && nr_left > 100 * NR_ROUNDS); /* of 12 common codes most, of 200 others all */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_both) };
	return cmocka_run_group_tests_name("svm plain exits", tests, NULL, NULL);
}
