/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's exit path on the host: a partition built by partition_build() out of a flat image, its
 * vCPU driven by the scripted backend. What the guest would see is read back from the fake.
 */
#include "kernel/exit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "abi/hypercall.h"
#include "rig.h"
#include "x86/msr.h"
#include "x86/regs.h"

static struct partition *part;

static int setup(void **state)
{
	(void)state;
	assert_null(rig_build(&rig_config));
	part = rig.part;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini();
	return 0;
}

static bool play(struct exit e)
{
	return rig_play(0, e);
}

static struct fake *fake(void)
{
	return fake_of(&part->core[0]->v);
}

static u64 rip(void)
{
	return fake()->reg[VREG_RIP];
}

static void expect_fault(u8 vector)
{
	struct vcpu *v = &part->core[0]->v;
	assert_int_equal(v->pending.type, EVENT_EXCEPTION);
	assert_int_equal(v->pending.vector, vector);
	assert_int_equal(rip(), RIG_LOAD_ADDR); /* a fault points at its instruction */
}

static void built_guest_starts_as_flat_long(void **state)
{
	(void)state;
	struct pt_leaf leaf;
	assert_int_equal(rip(), RIG_LOAD_ADDR);
	assert_true(fake()->reg[VREG_EFER] & EFER_LMA);
	assert_true(fake()->seg[SEG_CS].attr & SEG_L);
	assert_true(pt_lookup(&part->space, 0, &leaf));
	assert_int_equal(leaf.size, SIZE_2M);
	assert_true(pt_lookup(&part->space, 6 * MIB - 1, &leaf));
	assert_false(pt_lookup(&part->space, 6 * MIB, &leaf));
	assert_int_equal(fake()->reg[VREG_TSC_OFFSET], 0 - 1000ull);
	rig.tsc = 5000;
	assert_int_equal(partition_now_ns(part), 4000);
}

static void cpuid_is_decoded_and_skipped(void **state)
{
	(void)state;
	part->core[0]->v.regs[GPR_RAX] = BULKHEAD_CPUID_BASE;
	assert_false(play((struct exit){ .kind = EXIT_CPUID }));
	assert_int_equal(part->core[0]->v.regs[GPR_RBX], BULKHEAD_CPUID_EBX);
	assert_int_equal(rip(), RIG_LOAD_ADDR + 2);
	assert_false(play((struct exit){ .kind = EXIT_CPUID, .insn_len = 3 }));
	assert_int_equal(rip(), RIG_LOAD_ADDR + 5);
	assert_int_equal(part->core[0]->v.nr_exits, 2);
	assert_int_equal(part->core[0]->v.exits[1].rip, RIG_LOAD_ADDR + 2);
}

static void unknown_msr_is_general_protection(void **state)
{
	(void)state;
	part->core[0]->v.regs[GPR_RCX] = 0x12345;
	play((struct exit){ .kind = EXIT_RDMSR, .insn_len = 2 });
	expect_fault(VEC_GP);
	assert_true(part->core[0]->v.pending.has_error);
	play((struct exit){ .kind = EXIT_WRMSR, .insn_len = 2 });
	expect_fault(VEC_GP);
}

static void msr_results_go_to_edx_eax(void **state)
{
	(void)state;
	rig.tsc = 1000 + 0x123456789a;
	part->core[0]->v.regs[GPR_RCX] = MSR_TSC;
	part->core[0]->v.regs[GPR_RAX] = part->core[0]->v.regs[GPR_RDX] = ~0ull;
	play((struct exit){ .kind = EXIT_RDMSR, .insn_len = 2 });
	assert_int_equal(part->core[0]->v.regs[GPR_RAX], 0x3456789a);
	assert_int_equal(part->core[0]->v.regs[GPR_RDX], 0x12);
}

static void undefined_rdpmc_and_reflected_exceptions(void **state)
{
	(void)state;
	play((struct exit){ .kind = EXIT_UNDEFINED });
	expect_fault(VEC_UD);
	play((struct exit){ .kind = EXIT_RDPMC });
	expect_fault(VEC_GP);
	play((struct exit){ .kind = EXIT_EXCEPTION,
			    .event = { .type = EVENT_EXCEPTION, .vector = VEC_AC, .has_error = true } });
	expect_fault(VEC_AC);
}

static void pending_event_is_injected_before_interrupts(void **state)
{
	(void)state;
	play((struct exit){ .kind = EXIT_UNDEFINED });
	vlapic_wrmsr(&part->core[0]->lapic, MSR_APIC_BASE, 0xfee00900);
	vlapic_accept(&part->core[0]->lapic, 0x40, false);
	play((struct exit){ .kind = EXIT_INTERRUPT });
	assert_int_equal(fake()->nr_injected, 1);
	assert_int_equal(fake()->injected[0].vector, VEC_UD);
	assert_true(fake()->wants_window);
}

static void interrupt_waits_for_if_then_is_delivered(void **state)
{
	(void)state;
	vlapic_accept(&part->core[0]->lapic, 0x40, false);
	play((struct exit){ .kind = EXIT_INTERRUPT });
	assert_int_equal(fake()->nr_injected, 0);
	assert_true(fake()->wants_window);
	fake()->reg[VREG_RFLAGS] |= RFLAGS_IF;
	play((struct exit){ .kind = EXIT_WINDOW });
	assert_int_equal(fake()->nr_injected, 1);
	assert_int_equal(fake()->injected[0].vector, 0x40);
	assert_int_equal(fake()->injected[0].type, EVENT_EXTINT);
	assert_true(vlapic_pending(&part->core[0]->lapic) < 0);
}

static void nmi_waits_for_iret(void **state)
{
	(void)state;
	part->core[0]->v.nmi_pending = true;
	fake()->reg[VREG_NMI_BLOCKED] = 1;
	play((struct exit){ .kind = EXIT_INTERRUPT });
	assert_true(fake()->wants_nmi_window);
	assert_int_equal(fake()->nr_injected, 0);
	fake()->reg[VREG_NMI_BLOCKED] = 0;
	play((struct exit){ .kind = EXIT_NMI_WINDOW });
	assert_int_equal(fake()->injected[0].type, EVENT_NMI);
	assert_false(part->core[0]->v.nmi_pending);
}

static void hlt_blocks_until_an_interrupt(void **state)
{
	(void)state;
	struct vcpu *v = &part->core[0]->v;
	fake()->reg[VREG_RFLAGS] |= RFLAGS_IF;
	fake()->reg[VREG_INT_SHADOW] = 1;
	assert_true(play((struct exit){ .kind = EXIT_HLT, .insn_len = 1 }));
	assert_true(v->is_halted);
	assert_int_equal(fake()->reg[VREG_INT_SHADOW], 0);
	assert_false(core_is_runnable(core_of(v)));
	vlapic_accept(&part->core[0]->lapic, 0x50, false);
	assert_true(core_is_runnable(core_of(v)));
}

static void hlt_with_interrupts_off_ends_the_partition(void **state)
{
	(void)state;
	assert_true(play((struct exit){ .kind = EXIT_HLT, .insn_len = 1 }));
	assert_true(part->end.is_set);
	assert_false(health_is_ok(part->end.event));
	assert_non_null(strstr(rig.log, "halted with interrupts off for ever rip=0x200001"));
}

static void interrupted_delivery_is_queued_again(void **state)
{
	(void)state;
	const struct event irq = { .type = EVENT_EXTINT, .vector = 0x31 };
	play((struct exit){ .kind = EXIT_INTERRUPT, .vectoring = irq });
	play((struct exit){ .kind = EXIT_INTERRUPT });
	assert_int_equal(fake()->injected[0].type, EVENT_EXTINT);
	assert_int_equal(fake()->injected[0].vector, 0x31);
}

static void double_and_triple_faults(void **state)
{
	(void)state;
	struct event pf = { .type = EVENT_EXCEPTION, .vector = VEC_PF, .has_error = true };
	struct event gp = { .type = EVENT_EXCEPTION, .vector = VEC_GP, .has_error = true };
	struct event df = { .type = EVENT_EXCEPTION, .vector = VEC_DF, .has_error = true };
	struct event db = { .type = EVENT_EXCEPTION, .vector = VEC_DB };
	struct event e = gp;
	assert_true(event_combine(&pf, &e));
	assert_int_equal(e.vector, VEC_DF);
	e = pf;
	assert_true(event_combine(&gp, &e)); /* contributory then #PF: in turn */
	assert_int_equal(e.vector, VEC_PF);
	e = gp;
	assert_false(event_combine(&df, &e));
	e = gp;
	assert_true(event_combine(&db, &e));
	assert_int_equal(e.vector, VEC_GP);
	play((struct exit){ .kind = EXIT_RDPMC, .vectoring = df });
	assert_string_equal(part->end.why, "triple fault");
}

static void xsetbv_is_checked(void **state)
{
	(void)state;
	struct vcpu *v = &part->core[0]->v;
	v->regs[GPR_RAX] = XCR0_X87 | XCR0_SSE | XCR0_AVX;
	play((struct exit){ .kind = EXIT_XSETBV, .insn_len = 3 });
	expect_fault(VEC_UD);
	v->pending.type = EVENT_NONE;
	fake()->reg[VREG_CR4] |= CR4_OSXSAVE;
	play((struct exit){ .kind = EXIT_XSETBV, .insn_len = 3 });
	assert_int_equal(rig.xcr0, 7);
	assert_int_equal(rip(), RIG_LOAD_ADDR + 3);
	fake()->reg[VREG_RIP] = RIG_LOAD_ADDR;
	const u64 bad[] = { 0, XCR0_X87 | XCR0_AVX, XCR0_SSE, XCR0_X87 | BIT(40), XCR0_X87 | XCR0_OPMASK };
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		v->pending.type = EVENT_NONE;
		v->regs[GPR_RAX] = (u32)bad[i];
		v->regs[GPR_RDX] = bad[i] >> 32;
		play((struct exit){ .kind = EXIT_XSETBV, .insn_len = 3 });
		expect_fault(VEC_GP);
		assert_int_equal(rig.xcr0, 7);
	}
	v->regs[GPR_RAX] = 1;
	v->regs[GPR_RCX] = 1;
	play((struct exit){ .kind = EXIT_XSETBV, .insn_len = 3 });
	expect_fault(VEC_GP);
	v->pending.type = EVENT_NONE;
	v->regs[GPR_RCX] = 0;
	v->regs[GPR_RDX] = 0;
	fake()->seg[SEG_SS].attr |= SEG_DPL;
	play((struct exit){ .kind = EXIT_XSETBV, .insn_len = 3 });
	expect_fault(VEC_GP);
	assert_int_equal(rig.xcr0, 7);
}

static void hypercalls(void **state)
{
	(void)state;
	struct vcpu *v = &part->core[0]->v;
	v->regs[GPR_RAX] = HC_VERSION;
	play((struct exit){ .kind = EXIT_HYPERCALL, .insn_len = 3 });
	assert_int_equal(v->regs[GPR_RAX], HC_ABI_VERSION);
	v->regs[GPR_RAX] = 77;
	play((struct exit){ .kind = EXIT_HYPERCALL, .insn_len = 3 });
	assert_true(v->regs[GPR_RAX] == (u64)HC_ENOSYS);
	v->regs[GPR_RAX] = HC_YIELD;
	assert_true(play((struct exit){ .kind = EXIT_HYPERCALL, .insn_len = 3 }));
	fake()->reg[VREG_RIP] = RIG_LOAD_ADDR;
	fake()->seg[SEG_SS].attr |= SEG_DPL;
	play((struct exit){ .kind = EXIT_HYPERCALL, .insn_len = 3 });
	expect_fault(VEC_UD);
	fake()->seg[SEG_SS].attr &= ~(u32)SEG_DPL;
	v->regs[GPR_RAX] = HC_EXIT;
	v->regs[GPR_RBX] = 0;
	assert_true(play((struct exit){ .kind = EXIT_HYPERCALL, .insn_len = 3 }));
	assert_true(part->end.is_set && health_is_ok(part->end.event));
}

static void debug_exit_port_carries_the_verdict(void **state)
{
	(void)state;
	part->core[0]->v.regs[GPR_RAX] = 5;
	assert_true(play((struct exit){ .kind = EXIT_PIO,
					.insn_len = 1,
					.pio = { .port = 0xf4, .width = 4 } }));
	assert_true(part->end.is_set);
	assert_false(health_is_ok(part->end.event));
	assert_int_equal(part->end.code, 5);
}

static void poweroff_by_acpi_is_a_clean_end(void **state)
{
	(void)state;
	part->core[0]->v.regs[GPR_RAX] = BIT(13) | VACPI_S5_TYP << 10;
	assert_true(play((struct exit){ .kind = EXIT_PIO,
					.insn_len = 1,
					.pio = { .port = VACPI_PM1_CNT, .width = 2 } }));
	assert_true(part->end.is_set && health_is_ok(part->end.event));
	assert_string_equal(part->end.why, "poweroff");
}

static void unclaimed_port_reads_all_ones(void **state)
{
	(void)state;
	part->core[0]->v.regs[GPR_RAX] = 0x1122334455667788;
	play((struct exit){ .kind = EXIT_PIO,
			    .insn_len = 1,
			    .pio = { .port = 0x1e0, .width = 2, .is_in = true } });
	assert_true(part->core[0]->v.regs[GPR_RAX] == 0x112233445566ffff);
}

static void control_registers(void **state)
{
	(void)state;
	struct vcpu *v = &part->core[0]->v;
	struct exit e = { .kind = EXIT_CR, .insn_len = 3, .cr = { .num = 4, .gpr = GPR_RBX } };
	v->regs[GPR_RBX] = CR4_PAE | CR4_PGE;
	play(e);
	assert_int_equal(fake()->reg[VREG_CR4], CR4_PAE | CR4_PGE);
	assert_int_equal(fake()->nr_flushes, 1);
	fake()->reg[VREG_RIP] = RIG_LOAD_ADDR;
	const u64 bad_cr4[] = { CR4_PGE /* PAE off in long mode */, CR4_PAE | CR4_VMXE, CR4_PAE | BIT(40) };
	for (u32 i = 0; i < ARRAY_SIZE(bad_cr4); i++) {
		v->pending.type = EVENT_NONE;
		v->regs[GPR_RBX] = bad_cr4[i];
		play(e);
		expect_fault(VEC_GP);
	}
	e.cr.num = 0;
	const u64 bad_cr0[] = { CR0_PG | CR0_ET, CR0_PE | CR0_NW, BIT(33) | CR0_PE | CR0_PG, CR0_PE };
	for (u32 i = 0; i < ARRAY_SIZE(bad_cr0); i++) {
		v->pending.type = EVENT_NONE;
		v->regs[GPR_RBX] = bad_cr0[i];
		play(e);
		expect_fault(VEC_GP);
	}
	v->pending.type = EVENT_NONE;
	v->regs[GPR_RBX] = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_TS;
	play(e);
	assert_int_equal(fake()->reg[VREG_CR0], v->regs[GPR_RBX] | CR0_ET);
	e.cr = (struct exit_cr){ .op = CR_CLTS };
	play(e);
	assert_false(fake()->reg[VREG_CR0] & CR0_TS);
	e.cr = (struct exit_cr){ .op = CR_LMSW, .lmsw = CR0_TS };
	play(e);
	assert_true(fake()->reg[VREG_CR0] & CR0_TS);
	assert_true(fake()->reg[VREG_CR0] & CR0_PE);
}

static void cr8_is_the_task_priority(void **state)
{
	(void)state;
	struct vcpu *v = &part->core[0]->v;
	struct exit e = { .kind = EXIT_CR, .insn_len = 4, .cr = { .num = 8, .gpr = GPR_R9 } };
	v->regs[GPR_R9] = 9;
	play(e);
	assert_int_equal(vlapic_cr8(&part->core[0]->lapic), 9);
	e.cr.op = CR_MOV_FROM;
	e.cr.gpr = GPR_RCX;
	play(e);
	assert_int_equal(v->regs[GPR_RCX], 9);
	fake()->reg[VREG_RIP] = RIG_LOAD_ADDR;
	e.cr = (struct exit_cr){ .op = CR_MOV_TO, .num = 8, .gpr = GPR_RDX };
	v->regs[GPR_RDX] = 16;
	play(e);
	expect_fault(VEC_GP);
}

static void cr_access_is_decoded_where_hardware_is_silent(void **state)
{
	(void)state;
	static const u8 mov_cr4_rax[] = { 0x0f, 0x22, 0xe0 };
	assert_true(gmem_write(&part->mem, GPA(RIG_LOAD_ADDR), mov_cr4_rax, sizeof(mov_cr4_rax)));
	part->core[0]->v.regs[GPR_RAX] = CR4_PAE | CR4_OSFXSR;
	play((struct exit){ .kind = EXIT_CR, .cr = { .op = CR_DECODE, .num = 4 } });
	assert_int_equal(fake()->reg[VREG_CR4], CR4_PAE | CR4_OSFXSR);
	assert_int_equal(rip(), RIG_LOAD_ADDR + 3);
}

static void pae_pdptes_are_loaded_and_checked(void **state)
{
	(void)state;
	u64 pdpte[4] = { 0x5001, 0x6001, 0, 0x7001 };
	struct vcpu *v = &part->core[0]->v;
	fake()->reg[VREG_CR0] = CR0_PE | CR0_ET;
	fake()->reg[VREG_CR3] = 0x3000;
	fake_ops.set(v, VREG_EFER, 0);
	assert_true(gmem_write(&part->mem, GPA(0x3000), pdpte, sizeof(pdpte)));
	rig.is_intel = true;
	struct exit e = { .kind = EXIT_CR, .insn_len = 3, .cr = { .num = 0, .gpr = GPR_RAX } };
	v->regs[GPR_RAX] = CR0_PE | CR0_PG;
	play(e);
	assert_int_equal(fake()->reg[VREG_PDPTE1], 0x6001);
	assert_int_equal(fake()->reg[VREG_PDPTE3], 0x7001);
	fake()->reg[VREG_RIP] = RIG_LOAD_ADDR;
	pdpte[2] = 0x8007; /* R/W and U/S are reserved there */
	assert_true(gmem_write(&part->mem, GPA(0x3000), pdpte, sizeof(pdpte)));
	e.cr.num = 4;
	v->regs[GPR_RAX] = CR4_PAE | CR4_PGE;
	play(e);
	expect_fault(VEC_GP);
	rig.is_intel = false; /* an AMD CPU looks at them when it walks: APM 2 15.25.10 */
	v->pending.type = EVENT_NONE;
	fake()->reg[VREG_RIP] = RIG_LOAD_ADDR;
	play(e);
	assert_int_equal(fake()->reg[VREG_CR4], CR4_PAE | CR4_PGE);
}

static void lapic_mmio_goes_through_the_decoder(void **state)
{
	(void)state;
	static const u8 mov_eax_rbx[] = { 0x8b, 0x03 };
	assert_true(gmem_write(&part->mem, GPA(RIG_LOAD_ADDR), mov_eax_rbx, sizeof(mov_eax_rbx)));
	part->core[0]->v.regs[GPR_RBX] = VLAPIC_BASE + 0x30;
	play((struct exit){ .kind = EXIT_MMIO, .mmio = { .addr = GPA(VLAPIC_BASE + 0x30) } });
	assert_int_equal(part->core[0]->v.regs[GPR_RAX], VLAPIC_VERSION);
	assert_int_equal(rip(), RIG_LOAD_ADDR + 2);
}

static void uart_output_reaches_the_console_and_pit_ticks(void **state)
{
	(void)state;
	part->core[0]->v.regs[GPR_RAX] = 'x';
	play((struct exit){ .kind = EXIT_PIO, .insn_len = 1, .pio = { .port = 0x3f8, .width = 1 } });
	assert_int_equal(part->pc.console.len, 1);
	assert_int_equal(part->pc.console.line[0], 'x');
	rig.tsc += 200 * NSEC_PER_MSEC;
	assert_true(pc_poll(part, partition_now_ns(part)) > 0);
}

static void a_prompt_comes_out_when_the_guest_idles_a_slow_line_does_not(void **state)
{
	(void)state;
	part->core[0]->v.regs[GPR_RAX] = '#';
	play((struct exit){ .kind = EXIT_PIO, .insn_len = 1, .pio = { .port = 0x3f8, .width = 1 } });
	for (u32 i = 0; i < 9; i++) {
		rig.tsc += 100 * NSEC_PER_MSEC;
		pc_poll(part, partition_now_ns(part));
	}
	assert_int_equal(part->pc.console.len, 1); /* busy: still waits for the rest of its line */
	part->core[0]->v.is_halted = true;
	for (u32 i = 0; i < 3; i++) {
		rig.tsc += 60 * NSEC_PER_MSEC;
		pc_poll(part, partition_now_ns(part));
	}
	assert_int_equal(part->pc.console.len, 0);
}

/* It has the CPU for so little of the time that its next byte is seconds away; one that polls its UART waits for a key */
static void a_line_of_a_busy_guest_waits_for_its_progress(void **state)
{
	(void)state;
	part->core[0]->v.regs[GPR_RAX] = '#';
	play((struct exit){ .kind = EXIT_PIO, .insn_len = 1, .pio = { .port = 0x3f8, .width = 1 } });
	for (u32 i = 0; i < 50; i++) {
		rig.tsc += 100 * NSEC_PER_MSEC;
		part->core[0]->v.nr_exits += 50; /* its slices end before it gets anywhere */
		pc_poll(part, partition_now_ns(part));
	}
	assert_int_equal(part->pc.console.len, 1);
	part->core[0]->v.nr_exits += 5000;
	for (u32 i = 0; i < 3; i++) { /* a pause counts if it is seen twice */
		rig.tsc += 600 * NSEC_PER_MSEC;
		pc_poll(part, partition_now_ns(part));
	}
	assert_int_equal(part->pc.console.len, 0);
	play((struct exit){ .kind = EXIT_PIO, .insn_len = 1, .pio = { .port = 0x3f8, .width = 1 } });
	for (u32 i = 0; i < 210; i++) {
		rig.tsc += 100 * NSEC_PER_MSEC;
		pc_poll(part, partition_now_ns(part));
	}
	assert_int_equal(part->pc.console.len, 0); /* nor is it kept for ever */
}

static void what_nobody_expects_kills_with_a_postmortem(void **state)
{
	(void)state;
	const enum exit_kind deadly[] = { EXIT_TRIPLE_FAULT, EXIT_MACHINE_CHECK,
					  EXIT_ENTRY_FAILED, EXIT_MISCONFIG,   EXIT_UNEXPECTED };
	for (u32 i = 0; i < ARRAY_SIZE(deadly); i++) {
		part->end = (struct partition_end){ 0 };
		part->life.nr_deaths = 0;
		rig.log[0] = 0;
		assert_true(play((struct exit){ .kind = deadly[i], .reason = 0x77 }));
		assert_true(part->end.is_set);
		assert_false(health_is_ok(part->end.event));
		assert_non_null(strstr(rig.log, "killed: "));
		assert_non_null(strstr(rig.log, "reason=0x77"));
		assert_non_null(strstr(rig.log, "code: 0f a2 f4"));
		assert_int_equal(fake()->nr_dumps, i + 1);
	}
	assert_string_equal(exit_kind_name(EXIT_MISCONFIG), "misconfig");
	assert_string_equal(exit_kind_name(9999), "?");
}

static void schedule_info_tells_windows(void **state)
{
	(void)state;
	struct core *c = part->core[0];
	struct vcpu *v = &c->v;
	const struct exit call = { .kind = EXIT_HYPERCALL, .insn_len = 3 };
	v->regs[GPR_RAX] = HC_SCHEDULE_INFO;
	v->regs[GPR_RBX] = 0;
	play(call);
	assert_int_equal(v->regs[GPR_RAX], 0); /* no schedule */
	static struct sched_frame f;
	sched_frame_init(&f, &part->host->time, 1000000, 500000);
	sched_frame_add(&f, 0, 100000, BIT(5));
	sched_frame_add(&f, 100000, 200000, BIT(3));
	sched_frame_add(&f, 400000, 50000, BIT(3) | BIT(5));
	sched_frame_seek(&f, 3600000);
	c->frame = &f;
	c->sched_bit = BIT(3);
	v->regs[GPR_RAX] = HC_SCHEDULE_INFO;
	v->regs[GPR_RBX] = 1;
	play(call);
	assert_int_equal(v->regs[GPR_RAX], 2);
	assert_in_range(v->regs[GPR_RBX], 400000, 400002);
	assert_in_range(v->regs[GPR_RCX], 50000, 50002);
	assert_in_range(v->regs[GPR_RDX], 1000000, 1000002);
	assert_int_equal(v->regs[GPR_RSI], f.start - RIG_BIRTH);
	v->regs[GPR_RAX] = HC_SCHEDULE_INFO;
	v->regs[GPR_RBX] = 2; /* none: registers stay */
	play(call);
	assert_int_equal(v->regs[GPR_RAX], 2);
	assert_int_equal(v->regs[GPR_RBX], 2);
	assert_in_range(v->regs[GPR_RCX], 50000, 50002);
	c->frame = NULL;
}

static void caches_are_not_for_applications(void **state)
{
	(void)state;
	play((struct exit){ .kind = EXIT_CACHE, .insn_len = 2 });
	assert_int_equal(rip(), RIG_LOAD_ADDR + 2);
	fake()->reg[VREG_RIP] = RIG_LOAD_ADDR;
	fake()->seg[SEG_SS].attr |= SEG_DPL;
	play((struct exit){ .kind = EXIT_CACHE, .insn_len = 2 });
	expect_fault(VEC_GP);
}

static void single_step_traps_after_an_emulated_instruction(void **state)
{
	(void)state;
	fake()->reg[VREG_RFLAGS] |= RFLAGS_TF;
	play((struct exit){ .kind = EXIT_CACHE, .insn_len = 2 });
	assert_int_equal(part->core[0]->v.pending.vector, VEC_DB);
	assert_true(fake()->reg[VREG_DR6] & DR6_BS);
}

static void time_base_is_exact_and_saturates(void **state)
{
	(void)state;
	struct timebase t;
	timebase_init(&t, 2399876543);
	u64 year_ticks = 2399876543ull * 86400 * 365;
	u64 ns = tsc_to_ns(&t, year_ticks);
	u64 want = 86400ull * 365 * NSEC_PER_SEC;
	assert_true(want - ns < NSEC_PER_SEC);
	assert_true(ns_to_tsc(&t, NEVER) == NEVER);
	for (u64 n = 1; n < NSEC_PER_SEC; n = n * 3 + 1) {
		assert_true(tsc_to_ns(&t, ns_to_tsc(&t, n)) >= n);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(built_guest_starts_as_flat_long),
		TEST(cpuid_is_decoded_and_skipped),
		TEST(unknown_msr_is_general_protection),
		TEST(msr_results_go_to_edx_eax),
		TEST(undefined_rdpmc_and_reflected_exceptions),
		TEST(pending_event_is_injected_before_interrupts),
		TEST(interrupt_waits_for_if_then_is_delivered),
		TEST(nmi_waits_for_iret),
		TEST(hlt_blocks_until_an_interrupt),
		TEST(hlt_with_interrupts_off_ends_the_partition),
		TEST(interrupted_delivery_is_queued_again),
		TEST(double_and_triple_faults),
		TEST(xsetbv_is_checked),
		TEST(caches_are_not_for_applications),
		TEST(hypercalls),
		TEST(schedule_info_tells_windows),
		TEST(debug_exit_port_carries_the_verdict),
		TEST(poweroff_by_acpi_is_a_clean_end),
		TEST(unclaimed_port_reads_all_ones),
		TEST(control_registers),
		TEST(cr8_is_the_task_priority),
		TEST(cr_access_is_decoded_where_hardware_is_silent),
		TEST(pae_pdptes_are_loaded_and_checked),
		TEST(lapic_mmio_goes_through_the_decoder),
		TEST(uart_output_reaches_the_console_and_pit_ticks),
		TEST(a_prompt_comes_out_when_the_guest_idles_a_slow_line_does_not),
		TEST(a_line_of_a_busy_guest_waits_for_its_progress),
		TEST(what_nobody_expects_kills_with_a_postmortem),
		TEST(single_step_traps_after_an_emulated_instruction),
		cmocka_unit_test(time_base_is_exact_and_saturates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
