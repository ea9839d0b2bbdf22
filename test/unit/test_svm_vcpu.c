/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SVM vCPU state: reset values, registers and segments by neutral names, clean bits, windows, and
 * the NMI blocking that software must follow. The test plays the CPU.
 */
#include "svm/svm_vcpu.h"
#include "log.h"
#include "x86/regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PA 0x123456000ull

static struct svm_vcpu *hw;
static struct vmcb *b;
static struct vcpu v;

static void make(u16 tag, u32 features, u32 nr_asids)
{
	static const u16 ports[] = { 0x3f8 };
	static const struct msr_range msrs[] = { { 0x174, 0x174, MSR_PASS_READ } };
	const struct vcpu_params p = { .second_level = HPA(0xabc000), .tag = tag, .msrs = msrs,
				       .nr_msrs = 1, .io_pass = ports, .nr_io_pass = 1 };
	memset(hw, 0, sizeof(*hw));
	hw->pa = PA;
	svm_vcpu_setup(hw, &p, features, nr_asids);
	v = (struct vcpu){ .hw = hw };
	b = &hw->vmcb;
}

static int setup(void **state)
{
	(void)state;
	hw = aligned_alloc(PAGE_SIZE, sizeof(*hw));
	make(1, SVM_FEATURE_FLUSH_ASID, 16);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(hw);
	return 0;
}

/* one #VMEXIT; Return: does the backend go in again by itself? */
static bool leave(u64 code, struct exit *e)
{
	b->exit_code = code;
	return svm_exit_take(hw, e);
}

static bool is_on(u32 code)
{
	return b->intercept[code / 32] >> (code % 32) & 1;
}

static void test_reset(void **state)
{
	struct segment s;
	(void)state;
	assert_int_equal(svm_get(&v, VREG_RIP), 0xfff0);
	assert_int_equal(svm_get(&v, VREG_CR0), 0x60000010);
	assert_int_equal(svm_get(&v, VREG_RFLAGS), 2);
	assert_int_equal(svm_get(&v, VREG_EFER), 0);
	assert_int_equal(svm_get(&v, VREG_DR6), 0xffff0ff0);
	assert_int_equal(svm_get(&v, VREG_DR7), 0x400);
	assert_int_equal(svm_get(&v, VREG_PAT), 0x0007040600070406ull);
	svm_get_seg(&v, SEG_CS, &s);
	assert_true(s.sel == 0xf000 && s.base == 0xffff0000 && s.limit == 0xffff && s.attr == 0x9b);
	for (enum seg i = SEG_ES; i <= SEG_GS; i++) {
		svm_get_seg(&v, i, &s);
		assert_true(i == SEG_CS || (s.sel == 0 && s.base == 0 && s.attr == 0x93));
	}
	svm_get_seg(&v, SEG_TR, &s);
	assert_int_equal(s.attr, 0x8b);
	assert_int_equal(b->msrpm_pa, PA + 0x1000);
	assert_int_equal(b->iopm_pa, PA + 0x3000);
	assert_int_equal(hw->iopm[0x3f8 / 8], 0xfe);
	assert_int_equal(b->n_cr3, 0xabc000);
	assert_int_equal(b->np_control, 1);
	assert_int_equal(b->v_intr, BIT(24));
	assert_int_equal(b->efer, BIT(12));
	assert_int_equal(b->clean, 0);
}

static void test_asid(void **state)
{
	(void)state;
	make(14, 0, 16);
	assert_true(b->asid == 14 && !hw->shares_asid);
	for (u16 tag = 15; tag < 40; tag++) {
		make(tag, 0, 16);
		assert_true(b->asid == 15 && hw->shares_asid);
	}
	make(1, 0, 2);
	assert_true(b->asid == 1 && hw->shares_asid);
}

static void test_flush(void **state)
{
	struct exit e;
	(void)state;
	assert_int_equal(b->tlb_control, 1); /* a new guest under a used ASID */
	leave(VMEXIT_HLT, &e);
	assert_int_equal(b->tlb_control, 0);
	svm_flush(&v);
	assert_int_equal(b->tlb_control, 3);
	hw->features = 0;
	svm_flush(&v);
	assert_int_equal(b->tlb_control, 1);
}

static void test_regs(void **state)
{
	static const struct {
		enum vreg r;
		u32 offset; /* APM 2 table B-1 and B-2 */
		u32 clean;
	} t[] = {
		{ VREG_RIP, 0x578, 0 },		  { VREG_RSP, 0x5d8, 0 },
		{ VREG_CR2, 0x640, 1 << 9 },	  { VREG_CR3, 0x550, 1 << 5 },
		{ VREG_CR4, 0x548, 1 << 5 },	  { VREG_DR6, 0x568, 1 << 6 },
		{ VREG_DR7, 0x560, 1 << 6 },	  { VREG_PAT, 0x668, 1 << 4 },
		{ VREG_SYSENTER_CS, 0x628, 0 },	  { VREG_SYSENTER_ESP, 0x630, 0 },
		{ VREG_SYSENTER_EIP, 0x638, 0 },  { VREG_TSC_OFFSET, 0x50, 1 << 0 },
	};
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		u64 in_vmcb, value = 0x1122334455667788ull + i;
		b->clean = 0x3ff;
		svm_set(&v, t[i].r, value);
		memcpy(&in_vmcb, (char *)b + t[i].offset, 8);
		assert_int_equal(in_vmcb, value);
		assert_int_equal(svm_get(&v, t[i].r), value);
		assert_int_equal(b->clean, 0x3ff & ~t[i].clean);
	}
	svm_set(&v, VREG_PDPTE0, 5);
	assert_int_equal(svm_get(&v, VREG_PDPTE0), 0);
	svm_set(&v, VREG_RFLAGS, 0x200);
	assert_int_equal(b->rflags, 0x202);
	svm_set(&v, VREG_INT_SHADOW, 1);
	assert_int_equal(b->int_shadow, 1);
	svm_set(&v, VREG_INT_SHADOW, 0);
	assert_int_equal(svm_get(&v, VREG_INT_SHADOW), 0);
	b->clean = 0x3ff;
	svm_set(&v, VREG_CR8, 0x1a);
	assert_true(svm_get(&v, VREG_CR8) == 0xa && b->clean == 0x3f7);
	assert_int_equal(b->v_intr, BIT(24) | 0xa);
}

static void test_long_mode(void **state)
{
	(void)state;
	b->clean = 0x3ff;
	svm_set(&v, VREG_EFER, EFER_LME | EFER_NXE);
	assert_int_equal(b->efer, EFER_SVME | EFER_LME | EFER_NXE);
	assert_int_equal(b->clean, 0x3df);
	svm_set(&v, VREG_CR0, CR0_PE | CR0_PG);
	assert_int_equal(svm_get(&v, VREG_EFER), EFER_LME | EFER_LMA | EFER_NXE);
	svm_set(&v, VREG_EFER, EFER_LMA); /* LMA is not for the guest to set */
	assert_int_equal(svm_get(&v, VREG_EFER), 0);
	svm_set(&v, VREG_EFER, EFER_LME);
	svm_set(&v, VREG_CR0, CR0_PE);
	assert_int_equal(svm_get(&v, VREG_EFER), EFER_LME);
}

static void test_segments(void **state)
{
	const struct segment code64 = { .base = 0x11, .limit = ~0u, .attr = 0xa09b, .sel = 8 };
	const struct segment data = { .limit = ~0u, .attr = 0xd0f3, .sel = 0x23 };
	const struct segment null = { .attr = SEG_UNUSABLE | 0x10 | 0x60 | 0x80, .sel = 3 };
	const struct segment gdt = { .base = 0xfffff000, .limit = 0x7f };
	struct segment s;
	(void)state;
	b->clean = 0x3ff;
	svm_set_seg(&v, SEG_CS, &code64);
	assert_int_equal(b->cs.attr, 0xa9b); /* G=1 D=0 L=1 AVL=0 */
	assert_int_equal(b->clean, 0x2ff);
	svm_get_seg(&v, SEG_CS, &s);
	assert_true(s.attr == code64.attr && s.base == 0x11 && s.limit == ~0u && s.sel == 8);
	svm_set_seg(&v, SEG_SS, &data);
	assert_int_equal(b->ss.attr, 0xdf3);
	assert_int_equal(b->cpl, 3);
	b->cpl = 0; /* the guest went to CPL 0 by SYSCALL: SS in the VMCB may lag behind */
	svm_get_seg(&v, SEG_SS, &s);
	assert_int_equal(s.attr, 0xd093);
	b->clean = 0x3ff;
	svm_set_seg(&v, SEG_FS, &null);
	assert_int_equal(b->fs.attr & 0x80, 0);
	assert_int_equal(b->clean, 0x3ff);
	svm_get_seg(&v, SEG_FS, &s);
	assert_true(s.attr & SEG_UNUSABLE);
	svm_set_seg(&v, SEG_SS, &null);
	svm_get_seg(&v, SEG_SS, &s);
	assert_true(b->cpl == 3 && (s.attr & SEG_UNUSABLE) && (s.attr & SEG_DPL) == 0x60);
	b->clean = 0x3ff;
	svm_set_seg(&v, SEG_GDTR, &gdt);
	assert_true(b->gdtr.base == 0xfffff000 && b->gdtr.limit == 0x7f && b->clean == 0x37f);
	svm_get_seg(&v, SEG_GDTR, &s);
	assert_true(s.base == 0xfffff000 && s.limit == 0x7f && s.attr == 0); /* has no P bit */
}

static void test_window(void **state)
{
	const struct event irq = { .type = EVENT_EXTINT, .vector = 0x31 };
	struct exit e;
	(void)state;
	svm_set(&v, VREG_CR8, 5);
	b->clean = 0x3ff;
	svm_window(&v, false);
	svm_window(&v, false);
	assert_true(is_on(0x64) && b->clean == 0x3f6);
	assert_int_equal(b->v_intr, BIT(24) | BIT(20) | 0xf0000 | BIT(8) | 5);
	assert_false(leave(VMEXIT_VINTR, &e));
	assert_int_equal(e.kind, EXIT_WINDOW);
	assert_true(!is_on(0x64) && b->v_intr == (BIT(24) | 5));
	svm_window(&v, false);
	assert_false(leave(VMEXIT_HLT, &e));
	assert_true(is_on(0x64)); /* other exits leave it open */
	svm_inject(&v, &irq);
	assert_true(!is_on(0x64) && b->event_inj == 0x80000031);
	assert_false(leave(VMEXIT_HLT, &e));
	assert_int_equal(b->event_inj, 0);
}

static const struct event nmi = { .type = EVENT_NMI, .vector = 2 };

/* NMI, its handler's IRET, one step: then the window */
static void test_nmi(void **state)
{
	struct exit e;
	(void)state;
	svm_window(&v, true); /* behind an interrupt shadow */
	assert_true(is_on(0x64));
	leave(VMEXIT_VINTR, &e);
	svm_inject(&v, &nmi);
	assert_true(svm_get(&v, VREG_NMI_BLOCKED) && is_on(0x74));
	assert_false(leave(VMEXIT_HLT, &e));
	svm_window(&v, true);
	assert_false(is_on(0x64));
	b->rip = 0x100;
	b->dr6 = 0xffff0ff0;
	b->clean = 0x3ff;
	assert_true(leave(VMEXIT_IRET, &e));
	assert_true((b->rflags & RFLAGS_TF) && !is_on(0x74) && b->intercept[2] == 0xfffffffb);
	assert_false(b->clean & 1);
	b->rip = 0x4000;
	b->rflags = 0x202; /* popped */
	b->dr6 |= DR6_BS;
	assert_false(leave(0x41, &e));
	assert_int_equal(e.kind, EXIT_NMI_WINDOW);
	assert_int_equal(b->dr6, 0xffff0ff0);
	assert_int_equal(b->intercept[2], svm_intercepts(2));
	assert_true(!svm_get(&v, VREG_NMI_BLOCKED) && !is_on(0x74) && b->rflags == 0x202);
}

static void test_nmi_step_interrupted(void **state)
{
	struct exit e;
	(void)state;
	svm_inject(&v, &nmi);
	assert_true(leave(VMEXIT_IRET, &e));
	assert_false(leave(VMEXIT_INTR, &e));
	assert_int_equal(e.kind, EXIT_INTERRUPT);
	assert_true(svm_get(&v, VREG_NMI_BLOCKED) && is_on(0x74) && !(b->rflags & RFLAGS_TF));
	assert_int_equal(b->intercept[2], svm_intercepts(2));
	svm_window(&v, false); /* handlers of NMIs may turn interrupts on */
	assert_true(leave(VMEXIT_IRET, &e));
	assert_false(leave(VMEXIT_VINTR, &e));
	assert_true(e.kind == EXIT_WINDOW && !is_on(0x64) && is_on(0x74));
	b->rflags |= RFLAGS_TF; /* now a guest that steps itself */
	assert_true(leave(VMEXIT_IRET, &e));
	assert_false(leave(VMEXIT_NPF, &e));
	assert_true(b->rflags & RFLAGS_TF);
	assert_true(leave(VMEXIT_IRET, &e));
	b->dr6 |= DR6_BS;
	assert_false(leave(0x41, &e));
	assert_true(e.kind == EXIT_EXCEPTION && e.event.vector == VEC_DB && b->dr6 & DR6_BS);
	assert_false(svm_get(&v, VREG_NMI_BLOCKED));
}

static void test_nmi_iret_faults(void **state)
{
	struct exit e;
	(void)state;
	svm_inject(&v, &nmi);
	assert_true(leave(VMEXIT_IRET, &e));
	b->exit_info1 = 2;
	b->exit_info2 = 0xdead000;
	assert_true(leave(0x4e, &e)); /* its #PF goes in at once, with the guest's own flags */
	assert_int_equal(b->event_inj, 0x0000000280000b0eull);
	assert_int_equal(b->cr2, 0xdead000);
	assert_false(b->rflags & RFLAGS_TF);
	assert_true(svm_get(&v, VREG_NMI_BLOCKED) && is_on(0x74));
	assert_int_equal(b->intercept[2], svm_intercepts(2));
}

/* A breakpoint on the IRET itself, and DR6.BS still set from an earlier step of the guest's own */
static void test_nmi_iret_breakpoint(void **state)
{
	struct exit e;
	(void)state;
	svm_inject(&v, &nmi);
	b->dr6 = DR6_FIXED1 | DR6_BS;
	assert_true(leave(VMEXIT_IRET, &e));
	b->dr6 |= 1;
	assert_true(leave(0x41, &e));
	assert_int_equal(b->event_inj, 0x80000301);
	assert_int_equal(b->dr6, DR6_FIXED1 | DR6_BS | 1);
	assert_true(svm_get(&v, VREG_NMI_BLOCKED) && is_on(0x74));
}

static void test_nmi_cut_short(void **state)
{
	struct exit e;
	(void)state;
	svm_inject(&v, &nmi);
	b->exit_int_info = 0x80000202;
	assert_false(leave(VMEXIT_NPF, &e));
	assert_int_equal(e.vectoring.type, EVENT_NMI);
	assert_false(svm_get(&v, VREG_NMI_BLOCKED));
	assert_int_equal(b->exit_int_info, 0); /* lest a refused entry report it again */
	svm_set(&v, VREG_NMI_BLOCKED, 1);
	assert_true(is_on(0x74));
}

static u32 nr_lines;

static void count_line(void *self, const char *text, size_t len)
{
	(void)self;
	assert_true(len > 0 && len < 160 && text[0]);
	nr_lines++;
}

static void test_dump(void **state)
{
	const struct log_sink sink = { .line = count_line };
	(void)state;
	log_set_sink(&sink);
	svm_dump(&v);
	assert_int_equal(nr_lines, 5);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_reset), T(test_asid), T(test_flush), T(test_regs), T(test_long_mode),
		T(test_segments), T(test_window), T(test_nmi), T(test_nmi_step_interrupted),
		T(test_nmi_iret_faults), T(test_nmi_iret_breakpoint), T(test_nmi_cut_short),
		T(test_dump),
	};
	return cmocka_run_group_tests_name("svm vcpu", tests, NULL, NULL);
}
