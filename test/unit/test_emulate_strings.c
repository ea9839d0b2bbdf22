// SPDX-License-Identifier: BSD-2-Clause
/* The emulator by hand: REP in batches and until a deadline, ports, strings to and from them. */
#include "kernel/emulate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "emulation.h"

static u64 now;

static u64 tick(void)
{
	return now++;
}

/* One look at the clock for each element; what was begun is counted, and at least one is done */
static void test_rep_ends_with_the_deadline(void **state)
{
	(void)state;
	small_machine();
	vcpu.regs[GPR_RDI] = RAM;
	vcpu.regs[GPR_RCX] = 60;
	now = 1000;
	vcpu.deadline_tsc = 1009;
	clock_of_emu = tick;
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_RESUME);
	assert_int_equal(vcpu.regs[GPR_RCX], 50);
	assert_int_equal(nr_writes, 10);
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_RESUME);
	assert_int_equal(vcpu.regs[GPR_RCX], 49);
	vcpu.deadline_tsc = NEVER;
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_ADVANCE);
	clock_of_emu = NULL;
	assert_int_equal(vcpu.regs[GPR_RCX], 0);
	assert_int_equal(nr_writes, 60);
}

static void test_rep_batches(void **state)
{
	(void)state;
	small_machine();
	vcpu.regs[GPR_RDI] = RAM;
	vcpu.regs[GPR_RCX] = 600;
	vcpu.regs[GPR_RAX] = 0x5a;
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_RESUME);
	assert_int_equal(vcpu.regs[GPR_RCX], 600 - EMU_REP_BATCH);
	assert_int_equal(vcpu.regs[GPR_RDI], RAM + EMU_REP_BATCH);
	assert_int_equal(nr_writes, EMU_REP_BATCH);
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_RESUME);
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_ADVANCE);
	assert_int_equal(vcpu.regs[GPR_RCX], 0);
	assert_int_equal(nr_writes, 600);
	assert_int_equal(device[599], 0x5a);
	assert_int_equal(device[600], (u8)(600 * 3 + 1));
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_ADVANCE); /* nothing left */
	assert_int_equal(nr_writes, 600);
	/* RAM to device, upwards out of RAM: the CPU takes the RAM part, we the rest */
	vcpu.regs[GPR_RSI] = 0x2000;
	vcpu.regs[GPR_RDI] = RAM;
	vcpu.regs[GPR_RCX] = 3;
	memcpy(ram + 0x2000, "abcdefgh", 8);
	assert_int_equal(RUN("\xf3\x66\xa5", RAM).kind, V_ADVANCE);
	assert_memory_equal(device, "abcdef", 6);
	fake_of(&vcpu)->reg[VREG_RFLAGS] |= RFLAGS_DF;
	vcpu.regs[GPR_RDI] = RAM + 2;
	vcpu.regs[GPR_RCX] = 10;
	assert_int_equal(RUN("\xf3\xaa", RAM).kind, V_RESUME); /* left the device downwards */
	assert_int_equal(vcpu.regs[GPR_RCX], 7);
	assert_int_equal(vcpu.regs[GPR_RDI], RAM - 1);
}

static struct verdict pio(const struct exit_pio *x, u8 insn_len)
{
	struct emu e = emu();
	return emulate_pio(&e, &(struct exit){ .kind = EXIT_PIO, .insn_len = insn_len, .pio = *x });
}

static void test_in_out(void **state)
{
	(void)state;
	small_machine();
	const u64 merged[] = { 0, 0xffffffffffffff88, 0xffffffffffff7788, 0, 0x55667788 };
	for (u8 w = 1; w <= 4; w = (u8)(w * 2)) {
		port_value = 0x1122334455667788;
		vcpu.regs[GPR_RAX] = ~0ull;
		struct verdict d = pio(&(struct exit_pio){ .port = 0x120, .width = w, .is_in = true }, 2);
		assert_int_equal(d.kind, V_ADVANCE);
		assert_int_equal(d.insn_len, 2);
		assert_int_equal(vcpu.regs[GPR_RAX], merged[w]);
	}
	vcpu.regs[GPR_RAX] = 0x1122334455667788;
	fake_of(&vcpu)->reg[VREG_RIP] = BIT(60); /* no fetch: nothing is there */
	assert_int_equal(pio(&(struct exit_pio){ .port = 0x120, .width = 2 }, 1).insn_len, 1);
	assert_int_equal(port_log[0], 0x7788);
	pio(&(struct exit_pio){ .port = 0x80, .width = 4, .is_in = true }, 1); /* nobody: all ones */
	assert_int_equal(vcpu.regs[GPR_RAX], 0xffffffff);
	/* no length: the instruction says */
	fake_of(&vcpu)->reg[VREG_RIP] = 0x1000;
	memcpy(ram + 0x1000, "\x66\xe7\x20", 3);
	assert_int_equal(pio(&(struct exit_pio){ .port = 0x120, .width = 2 }, 0).insn_len, 3);
	assert_int_equal(nr_ports, 2);
	memcpy(ram + 0x1000, "\xec", 1);
	vcpu.regs[GPR_RAX] = 0;
	port_value = 0x7f;
	assert_int_equal(pio(&(struct exit_pio){ .port = 0x120, .width = 1, .is_in = true }, 0).insn_len, 1);
	assert_int_equal(vcpu.regs[GPR_RAX], 0x7f);
	expect_ud(pio(&(struct exit_pio){ .port = 0x120, .width = 4 }, 0));
	expect_ud(pio(&(struct exit_pio){ .port = 0x120, .width = 1 }, 0));
	memcpy(ram + 0x1000, "\x0f\x0b", 2);
	expect_ud(pio(&(struct exit_pio){ .port = 0x120, .width = 2 }, 0));
	fake_of(&vcpu)->reg[VREG_RIP] = BIT(60);
	expect_fault(pio(&(struct exit_pio){ .port = 0x120, .width = 2 }, 0), VEC_GP, 0, 0);
	assert_int_equal(nr_ports, 2);
}

static void test_string_io(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	struct exit_pio outs = { .port = 0x120, .width = 1, .is_string = true, .is_rep = true,
				 .seg = SEG_FS, .addr_size = 8 };
	memcpy(ram + 0x2000, "console", 7);
	f->seg[SEG_FS].base = 0x1000;
	vcpu.regs[GPR_RSI] = 0x1000;
	vcpu.regs[GPR_RCX] = 7;
	f->reg[VREG_RIP] = BIT(60); /* the exit says it all */
	assert_int_equal(pio(&outs, 2).kind, V_ADVANCE);
	for (u32 i = 0; i < 7; i++) {
		assert_int_equal(port_log[i], "console"[i]);
	}
	assert_int_equal(vcpu.regs[GPR_RSI], 0x1007);
	/* decode: segment, address size and length */
	f->reg[VREG_RIP] = 0x1000;
	memcpy(ram + 0x1000, "\x64\x67\xf3\x6e", 4);
	vcpu.regs[GPR_RSI] = BIT(32) | 0x1000;
	vcpu.regs[GPR_RCX] = BIT(32) | 2;
	outs.addr_size = 0;
	assert_int_equal(pio(&outs, 4).insn_len, 4);
	assert_int_equal(nr_ports, 9);
	assert_int_equal(vcpu.regs[GPR_RSI], 0x1002);
	assert_int_equal(vcpu.regs[GPR_RCX], 0);
	struct exit_pio ins = { .port = 0x120, .width = 4, .is_string = true, .is_in = true };
	memcpy(ram + 0x1000, "\xf3\x6d", 2);
	vcpu.regs[GPR_RDI] = 0x3000;
	vcpu.regs[GPR_RCX] = 300;
	port_value = 0;
	assert_int_equal(pio(&ins, 0).kind, V_RESUME);
	assert_int_equal(vcpu.regs[GPR_RCX], 300 - EMU_REP_BATCH);
	assert_int_equal(pio(&ins, 0).kind, V_ADVANCE);
	for (u32 i = 0; i < 300; i += 2) {
		assert_int_equal(ram_u64(0x3000 + 4 * i), i | (u64)(i + 1) << 32);
	}
	/* the exit says it all, downwards */
	f->reg[VREG_RIP] = BIT(60);
	f->reg[VREG_RFLAGS] |= RFLAGS_DF;
	ins.addr_size = 8;
	ins.is_rep = false;
	vcpu.regs[GPR_RDI] = 0x3008;
	port_value = 0xabcd;
	assert_int_equal(pio(&ins, 1).kind, V_ADVANCE);
	assert_int_equal(ram_u64(0x3008) & 0xffffffff, 0xabcd);
	assert_int_equal(vcpu.regs[GPR_RDI], 0x3004);
	assert_int_equal(vcpu.regs[GPR_RCX], 0);
	f->reg[VREG_RIP] = 0x1000;
	ins.addr_size = 0;
	paged(f); /* not writable: the port must not be read */
	set_entry(0x7000 + 8 * 3, 0x3001);
	vcpu.regs[GPR_RDI] = 0x3000;
	vcpu.regs[GPR_RCX] = 1;
	u64 before = port_value;
	expect_fault(pio(&ins, 0), VEC_PF, PF_P | PF_W, 0x3000);
	assert_int_equal(port_value, before);
	memcpy(ram + 0x1000, "\x90\x90", 2);
	expect_ud(pio(&ins, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rep_ends_with_the_deadline),
		cmocka_unit_test(test_rep_batches),
		cmocka_unit_test(test_in_out),
		cmocka_unit_test(test_string_io),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
