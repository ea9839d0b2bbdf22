// SPDX-License-Identifier: BSD-2-Clause
/*
 * The emulator by hand: what test_native.c cannot show on this machine's CPU. Faults, pages, stacks, modes,
 * lengths. Repeated strings and ports are in test_emulate_strings.c.
 */
#include "kernel/emulate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "emulation.h"

static void test_kills(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	struct emu e = emu();
	expect_kill(emulate_mmio(&e, &(struct exit_mmio){ .is_fetch = true }),
		    "instruction fetch outside memory");
	expect_kill(emulate_mmio(&e, &(struct exit_mmio){ .is_walk = true }),
		    "page tables outside memory");
	expect_kill(RUN("\x0f\x10\x00", RAM), "cannot emulate instruction at MMIO"); /* MOVUPS */
	expect_kill(RUN("\x01\xc0", RAM), "cannot emulate instruction at MMIO");     /* no memory */
	expect_kill(RUN("\x6c", RAM), "cannot emulate instruction at MMIO");	     /* INS */
	expect_kill(RUN("\x0f\x01\x38", RAM), "cannot emulate instruction at MMIO"); /* INVLPG */
	expect_kill(RUN("\xff\x10", RAM), "cannot emulate instruction at MMIO");     /* CALL [rax] */
	f->reg[VREG_RIP] = RAM;
	expect_kill(RUN("\x90", RAM), "code or page tables outside memory");
	assert_int_equal(nr_reads + nr_writes, 0);
}

/* Code that was rewritten after the fault: nothing happens, the guest goes again */
static void test_other_page_resumes(void **state)
{
	(void)state;
	small_machine();
	vcpu.regs[GPR_RBX] = vcpu.regs[GPR_RDI] = 0x2004;
	assert_int_equal(RUN("\x89\x03", RAM).kind, V_RESUME);
	assert_int_equal(RUN("\xaa", RAM).kind, V_RESUME);
	vcpu.regs[GPR_RBX] = RAM;
	assert_int_equal(RUN("\x89\x03", RAM + PAGE_SIZE + 4).kind, V_RESUME);
	assert_int_equal(nr_reads + nr_writes, 0);
}

static void test_page_crossing(void **state)
{
	(void)state;
	small_machine();
	vcpu.regs[GPR_RBX] = RAM - 3; /* 3 bytes of RAM, 5 of the device */
	vcpu.regs[GPR_RCX] = 0x8877665544332211;
	ram[RAM - 4] = 0xcc;
	device[5] = 0xdd;
	assert_int_equal(RUN("\x48\x89\x0b", RAM).kind, V_ADVANCE);
	assert_memory_equal(ram + RAM - 4, "\xcc\x11\x22\x33", 4);
	assert_memory_equal(device, "\x44\x55\x66\x77\x88\xdd", 6);
	assert_int_equal(nr_writes, 5);
	assert_int_equal(RUN("\x48\x8b\x13", RAM).kind, V_ADVANCE);
	assert_int_equal(vcpu.regs[GPR_RDX], 0x8877665544332211);
	vcpu.regs[GPR_RBX] = RAM + PAGE_SIZE - 1;
	assert_int_equal(RUN("\x66\x89\x0b", RAM + PAGE_SIZE).kind, V_ADVANCE); /* fault on page two */
	assert_memory_equal(device + PAGE_SIZE - 1, "\x11\x22", 2);
}

static void test_faults(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	paged(f);
	no_shortcut = true;
	vcpu.regs[GPR_RBX] = RAM + PAGE_SIZE - 3; /* second half absent: the first half must stay as it is */
	expect_fault(RUN("\x48\x89\x0b", RAM), VEC_PF, PF_W, RAM + PAGE_SIZE);
	vcpu.regs[GPR_RBX] = BIT(60);
	expect_fault(RUN("\x48\x89\x0b", RAM), VEC_GP, 0, 0);
	expect_fault(RUN("\x48\x89\x0c\x1c", RAM), VEC_SS, 0, 0); /* [rsp + rbx] */
	vcpu.regs[GPR_RSI] = RAM + 0x10;
	vcpu.regs[GPR_RDI] = RAM + PAGE_SIZE;
	expect_fault(RUN("\xa4", RAM), VEC_PF, PF_W, RAM + PAGE_SIZE);
	assert_int_equal(nr_reads + nr_writes, 0);
	set_entry(0x7000 + 8 * 0x10, RAM | 1); /* read-only: enough for SCAS and CMP, not for STOS and BTS */
	vcpu.regs[GPR_RBX] = vcpu.regs[GPR_RDI] = RAM;
	assert_int_equal(RUN("\xae", RAM).kind, V_ADVANCE);
	assert_int_equal(RUN("\x39\x03", RAM).kind, V_ADVANCE);
	assert_int_equal(RUN("\x0f\xa3\x03", RAM).kind, V_ADVANCE);
	vcpu.regs[GPR_RDI] = RAM;
	expect_fault(RUN("\xaa", RAM), VEC_PF, PF_P | PF_W, RAM);
	expect_fault(RUN("\x0f\xab\x03", RAM), VEC_PF, PF_P | PF_W, RAM);
	set_entry(0x7000 + 8 * 1, 0); /* the code page */
	expect_fault(RUN("\x90", RAM), VEC_PF, 0, 0x1000);
	f->reg[VREG_CR3] = RAM;
	expect_kill(RUN("\x90", RAM), "code or page tables outside memory");
	no_shortcut = false;
}

/* SDM 3A 6.15 "Interrupt 17": CR0.AM, RFLAGS.AC and CPL 3, all of them; a page fault comes first */
static void test_alignment_check(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	f->seg[SEG_SS].attr |= SEG_DPL;
	f->reg[VREG_CR0] |= CR0_AM;
	f->reg[VREG_RFLAGS] |= RFLAGS_AC;
	vcpu.regs[GPR_RBX] = RAM + 2;
	vcpu.regs[GPR_RSI] = RAM + 6;
	expect_fault(RUN("\x8b\x03", RAM + 2), VEC_AC, 0, 0); /* 4 bytes at 2 */
	expect_fault(RUN("\x48\x89\x03", RAM + 2), VEC_AC, 0, 0);
	expect_fault(RUN("\xa5", RAM + 6), VEC_AC, 0, 0);
	assert_int_equal(nr_reads + nr_writes, 0);
	assert_int_equal(RUN("\x66\x8b\x03", RAM + 2).kind, V_ADVANCE);
	vcpu.regs[GPR_RBX] = RAM + PAGE_SIZE - 2;
	paged(f);
	expect_fault(RUN("\x8b\x03", RAM + PAGE_SIZE - 2), VEC_PF, PF_U, RAM + PAGE_SIZE);
	vcpu.regs[GPR_RBX] = RAM + 1;
	f->reg[VREG_CR0] &= ~CR0_AM;
	assert_int_equal(RUN("\x8b\x03", RAM + 1).kind, V_ADVANCE);
	f->reg[VREG_CR0] |= CR0_AM;
	f->reg[VREG_RFLAGS] &= ~RFLAGS_AC;
	assert_int_equal(RUN("\x8b\x03", RAM + 1).kind, V_ADVANCE);
	f->reg[VREG_RFLAGS] |= RFLAGS_AC;
	f->seg[SEG_SS].attr &= ~(u32)SEG_DPL;
	assert_int_equal(RUN("\x8b\x03", RAM + 1).kind, V_ADVANCE);
}

/* The CPU has translated the access that exited: tables that say otherwise by now do not count */
static void test_no_second_walk(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	paged(f);
	vcpu.regs[GPR_RBX] = RAM + PAGE_SIZE + 0x10; /* absent by now */
	vcpu.regs[GPR_RDI] = RAM + PAGE_SIZE + 0x10;
	vcpu.regs[GPR_RCX] = 8;
	assert_int_equal(RUN("\x89\x03", RAM + 0x10).kind, V_ADVANCE);
	assert_int_equal(RUN("\xf3\xab", RAM + 0x10).kind, V_ADVANCE); /* nor for the next elements */
	assert_int_equal(nr_writes, 9);
	vcpu.regs[GPR_RBX] += 4; /* another access than the one that exited: walked */
	expect_fault(RUN("\x89\x03", RAM + 0x10), VEC_PF, PF_W, RAM + PAGE_SIZE + 0x14);
	vcpu.regs[GPR_RSI] = vcpu.regs[GPR_RDI] = RAM + PAGE_SIZE + 0x10; /* CMPS: which of the two? */
	expect_fault(RUN("\xa6", RAM + 0x10), VEC_PF, 0, RAM + PAGE_SIZE + 0x10);
}

/* A remembered instruction is forgotten when its code, any table entry on its way, or CR3 changes */
static void test_instruction_cache(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	paged(f);
	memcpy(ram + 0x2000, "\x8a\x03", 2); /* mov al, [rbx]; at 1000: mov cl, [rbx] */
	vcpu.regs[GPR_RBX] = RAM + 5;
	for (u32 i = 0; i < 3; i++) {
		vcpu.regs[GPR_RCX] = 0;
		assert_int_equal(RUN("\x8a\x0b", RAM + 5).kind, V_ADVANCE);
		assert_int_equal(vcpu.regs[GPR_RCX], device[5]);
	}
	assert_int_equal(RUN("\x8a\x13", RAM + 5).kind, V_ADVANCE); /* other code */
	assert_int_equal(vcpu.regs[GPR_RDX], device[5]);
	set_entry(0x7000 + 8 * 1, 0x2007); /* another page, absent accessed bit */
	assert_int_equal(RUN("\x8a\x13", RAM + 5).kind, V_ADVANCE);
	assert_int_equal(vcpu.regs[GPR_RAX], device[5]);
	assert_int_equal(ram_u64(0x7008), 0x2027);
	vcpu.regs[GPR_RAX] = 0;
	set_entry(0x8000, 0x5007); /* another root, the same tables */
	f->reg[VREG_CR3] = 0x8000;
	assert_int_equal(RUN("\x8a\x13", RAM + 5).kind, V_ADVANCE);
	assert_int_equal(vcpu.regs[GPR_RAX], device[5]);
	assert_int_equal(ram_u64(0x8000), 0x5027);
	for (u32 level = 0; level < 4; level++) { /* gone at each level */
		u64 at = level == 0 ? 0x8000 : level == 3 ? 0x7008 : 0x4000 + 0x1000 * level, old = ram_u64(at);
		set_entry(at, 0);
		expect_fault(RUN("\x8a\x13", RAM + 5), VEC_PF, 0, 0x1000);
		set_entry(at, old);
		assert_int_equal(RUN("\x8a\x13", RAM + 5).kind, V_ADVANCE);
	}
	/* long ones count to their last byte, wherever they are */
	set_entry(0x7008, 0x1007);
	for (u64 at = 0x1fe0; at < 0x1ff8; at++) {
		f->reg[VREG_RIP] = at;
		for (u8 last = 1; last < 4; last++) {
			memcpy(ram + at, "\xc7\x83\0\0\0\0\x11\x22\x33", 9);
			ram[at + 9] = last; /* mov dword [rbx + 0], imm32 */
			struct emu e = emu();
			const struct exit_mmio x = { .addr = GPA(RAM + 5), .is_write = true };
			assert_int_equal(emulate_mmio(&e, &x).kind, V_ADVANCE);
			assert_int_equal(device[8], last);
		}
	}
}

static u32 deny_all(void)
{
	return ~0u;
}

static void test_protection_keys(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	struct emu e = emu();
	e.pkru = deny_all;
	paged(f);
	vcpu.regs[GPR_RBX] = RAM;
	memcpy(ram + 0x1000, "\x89\x03", 2);
	const struct exit_mmio x = { .addr = GPA(RAM) }; /* reading: not what MOV does here */
	assert_int_equal(emulate_mmio(&e, &x).kind, V_ADVANCE);
	f->reg[VREG_CR4] |= CR4_PKE;
	expect_fault(emulate_mmio(&e, &x), VEC_PF, PF_P | PF_W | PF_PK, RAM);
	e.pkru = NULL;
	assert_int_equal(emulate_mmio(&e, &x).kind, V_ADVANCE);
}

static void test_push_pop(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	u64 first;
	memcpy(&first, device, 8);
	f->reg[VREG_RSP] = 0x2000;
	vcpu.regs[GPR_RBX] = RAM;
	assert_int_equal(RUN("\xff\x33", RAM).kind, V_ADVANCE); /* push [rbx] */
	assert_int_equal(f->reg[VREG_RSP], 0x1ff8);
	assert_int_equal(ram_u64(0x1ff8), first);
	f->reg[VREG_RSP] = RAM - 8; /* pop [rsp + 8]: RSP after */
	assert_int_equal(RUN("\x8f\x44\x24\x08", RAM + 8).kind, V_ADVANCE);
	assert_int_equal(f->reg[VREG_RSP], RAM);
	assert_int_equal(device[8], 0);
	f->reg[VREG_RSP] = RAM + 0x20; /* a stack in the device */
	vcpu.regs[GPR_RBX] = 0x3000;
	memcpy(ram + 0x3000, "\1\2\3\4\5\6\7\10", 8);
	assert_int_equal(RUN("\x66\xff\x33", RAM + 0x1e).kind, V_ADVANCE);
	assert_memory_equal(device + 0x1e, "\1\2\x61", 3);
	assert_int_equal(f->reg[VREG_RSP], RAM + 0x1e);
	assert_int_equal(RUN("\x8f\x03", RAM + 0x1e).kind, V_ADVANCE);
	assert_memory_equal(ram + 0x3000, device + 0x1e, 8);
	f->reg[VREG_RSP] = BIT(60); /* no stack: nothing is read */
	vcpu.regs[GPR_RBX] = RAM;
	nr_reads = 0;
	expect_fault(RUN("\xff\x33", RAM), VEC_SS, 0, 0);
	f->reg[VREG_RSP] = 0x2000;
	vcpu.regs[GPR_RBX] = 0x3004;
	assert_int_equal(RUN("\xff\x33", RAM).kind, V_RESUME); /* no device by now */
	assert_int_equal(nr_reads, 0);
	f->reg[VREG_EFER] = 0; /* 32-bit code on a 16-bit stack */
	f->seg[SEG_CS].attr = 0xc09b;
	f->seg[SEG_SS].attr = 0x93;
	vcpu.regs[GPR_RBX] = RAM + 4;
	f->reg[VREG_RSP] = 0xabcd2004;
	assert_int_equal(RUN("\xff\x33", RAM + 4).kind, V_ADVANCE);
	assert_int_equal(f->reg[VREG_RSP], 0xabcd2000);
	assert_memory_equal(ram + 0x2000, device + 4, 4);
}

/* 16- and 32-bit code: addresses wrap at their own width, segments have bases */
static void test_other_modes(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	f->reg[VREG_EFER] = 0;
	f->reg[VREG_CR0] = 0;
	for (enum seg s = SEG_ES; s <= SEG_GS; s++) {
		f->seg[s] = (struct segment){ .base = s == SEG_CS ? 0 : 0xff00, .limit = 0xffff, .attr = 0x93 };
	}
	vcpu.regs[GPR_RBX] = 0x8000;
	vcpu.regs[GPR_RSI] = 0x8110;
	assert_int_equal(RUN("\x8b\x00", RAM).kind, V_ADVANCE); /* mov ax, [bx + si] = ff00 + 110 */
	assert_int_equal(vcpu.regs[GPR_RAX], device[0x10] | device[0x11] << 8);
	assert_int_equal(RUN("\x8a\x46\xff", RAM).kind, V_RESUME); /* [bp - 1] = ff00 + ffff */
	assert_int_equal(RUN("\x66\xa1\x20\x01", RAM).kind, V_ADVANCE);
	assert_int_equal(vcpu.regs[GPR_RAX], ((u32)device[0x23] << 24 | (u32)device[0x22] << 16 |
					      (u32)device[0x21] << 8 | device[0x20]));
	f->seg[SEG_CS].attr |= SEG_DB | SEG_L; /* L counts in long mode only */
	vcpu.regs[GPR_RBX] = 0xffffffffffff0110; /* upper half is nobody's in 32-bit code */
	vcpu.regs[GPR_RCX] = 0x10000;
	assert_int_equal(RUN("\x8a\x04\x0b", RAM).kind, V_ADVANCE);
	assert_int_equal(vcpu.regs[GPR_RAX] & 0xff, device[0x10]);
	vcpu.regs[GPR_RSI] = 0x0110;
	vcpu.regs[GPR_RDI] = 0xffff0130;
	vcpu.regs[GPR_RCX] = 0xffff0004;
	assert_int_equal(RUN("\x67\xf3\xa4", RAM).kind, V_ADVANCE); /* SI, DI, CX */
	assert_memory_equal(device + 0x30, device + 0x10, 4);
	assert_int_equal(vcpu.regs[GPR_RCX], 0xffff0000);
	assert_int_equal(vcpu.regs[GPR_RDI], 0xffff0134);
}

/* In compatibility mode the byte after ffffffff is at 0, though the tables could reach further */
static void test_wrap_at_4g(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	paged(f);
	set_entry(0x5018, 0x6007); /* c0000000 is 0 again, and so is 100000000 but for its first page */
	set_entry(0x6ff8, 0x7007);
	set_entry(0x7ff8, RAM | 7); /* fffff000 */
	f->seg[SEG_CS].attr = 0xc09b;
	f->seg[SEG_DS].base = 0xfffff000;
	vcpu.regs[GPR_RBX] = 0xffe;
	memcpy(ram, "\x11\x22", 2);
	assert_int_equal(RUN("\x8b\x03", RAM + 0xffe).kind, V_ADVANCE);
	assert_int_equal(vcpu.regs[GPR_RAX], 0x22110000 | device[0xfff] << 8 | device[0xffe]);
	set_entry(0x7000, 0);
	expect_fault(RUN("\x8b\x03", RAM + 0xffe), VEC_PF, 0, 0);
}

static void test_length(void **state)
{
	(void)state;
	struct fake *f = small_machine();
	struct insn in;
	struct event fault;
	struct emu e = emu();
	memcpy(ram + 0x1000, "\x0f\xa2", 2);
	assert_int_equal(emulate_length(&e, OP_CPUID, &in, &fault), 2);
	assert_int_equal(emulate_length(&e, OP_NONE, &in, &fault), 2);
	assert_int_equal(in.op, OP_CPUID);
	assert_int_equal(emulate_length(&e, OP_HLT, &in, &fault), 0);
	assert_int_equal(fault.type, EVENT_NONE);
	paged(f);
	set_entry(0x7000 + 8 * 2, 0);
	f->reg[VREG_RIP] = 0x1fff; /* the next page is absent: only asked for if needed */
	ram[0x1fff] = 0xf4;
	assert_int_equal(emulate_length(&e, OP_HLT, &in, &fault), 1);
	ram[0x1fff] = 0x0f;
	assert_int_equal(emulate_length(&e, OP_NONE, &in, &fault), 0);
	assert_int_equal(fault.vector, VEC_PF);
	set_entry(0x7000 + 8 * 2, 0x2007);
	ram[0x2000] = 0xa2;
	assert_int_equal(emulate_length(&e, OP_CPUID, &in, &fault), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kills),
		cmocka_unit_test(test_other_page_resumes),
		cmocka_unit_test(test_page_crossing),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_alignment_check),
		cmocka_unit_test(test_no_second_walk),
		cmocka_unit_test(test_instruction_cache),
		cmocka_unit_test(test_protection_keys),
		cmocka_unit_test(test_push_pop),
		cmocka_unit_test(test_other_modes),
		cmocka_unit_test(test_wrap_at_4g),
		cmocka_unit_test(test_length),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
