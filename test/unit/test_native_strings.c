// SPDX-License-Identifier: BSD-2-Clause
/* The emulator against this machine's CPU: strings, and MOV with an absolute address. */
#include "kernel/emulate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "native.h"

static void test_absolute(void **state)
{
	(void)state;
	static const struct form f = { .name = "mov moffs", .flags = ALL };
	for (u32 i = 0; i < 2000; i++) {
		struct trial t = { .f = &f, .mode = modes[i % nr_modes] };
		bool is_67 = rng() & 1, is_64 = t.mode == MODE_64;
		u32 addr_size = is_67 ? (is_64 ? 4 : 6 - t.mode) : t.mode;
		u8 opcode = (u8)(0xa0 + pick(4));
		t.target = BUF + BUF_LEN / 2 + rng() % 64;
		u64 address = t.target - (t.mode == MODE_16 ? BUF : 0);
		if (t.mode == MODE_32 && addr_size == 2) {
			continue; /* below 64 KiB: nothing is there */
		}
		u8 *end = t.bytes;
		append(&end, "\x67", is_67);
		append(&end, "\x66", rng() & 1);
		append(&end, "\x48", is_64 && rng() & 1);
		append(&end, &opcode, 1);
		append(&end, &address, addr_size);
		t.len = (u32)(end - t.bytes);
		random_regs(&t);
		run(&t, t.target, opcode & 2);
	}
}

static void test_strings(void **state)
{
	(void)state;
	static const struct form rows[] = {
		{ .name = "movs", .opcode = 0xa4, .flags = ALL }, { .name = "cmps", .opcode = 0xa6, .flags = ALL },
		{ .name = "stos", .opcode = 0xaa, .flags = ALL }, { .name = "lods", .opcode = 0xac, .flags = ALL },
		{ .name = "scas", .opcode = 0xae, .flags = ALL },
	};
	for (u32 i = 0; i < 6000; i++) {
		const struct form *f = &rows[i % ARRAY_SIZE(rows)];
		struct trial t = { .f = f, .mode = modes[rng() % nr_modes] };
		bool is_64 = t.mode == MODE_64, is_67 = pick(4) == 0 && t.mode != MODE_32;
		bool has_rep = rng() & 1, has_source = f->opcode != 0xaa && f->opcode != 0xae;
		u64 from = t.mode == MODE_16 ? 0 : BUF, upper = is_64 && is_67 ? operand() << 32 : 0;
		u8 opcode = (u8)(f->opcode | (rng() & 1)), rep = (u8)(0xf2 + (rng() & 1)), *end = t.bytes;
		append(&end, "\x67", is_67);
		append(&end, &rep, has_rep);
		append(&end, "\x66", pick(3) == 0);
		append(&end, "\x48", is_64 && pick(3) == 0);
		append(&end, &opcode, 1);
		t.len = (u32)(end - t.bytes);
		random_regs(&t);
		u64 source = BUF_LEN / 2 + rng() % 256, dest = BUF_LEN / 2 + rng() % 256;
		native_regs[GPR_RSI] = (from + source) | upper;
		native_regs[GPR_RDI] = (from + dest) | upper;
		native_regs[GPR_RCX] = (1 + rng() % 40) | upper;
		native_flags |= rng() & RFLAGS_DF;
		for (u32 b = 0; b < 1024; b++) { /* long runs of the same, for REPE */
			buf[BUF_LEN / 2 - 512 + b] = device[BUF_LEN / 2 - 512 + b] = (u8)(pick(8) == 0);
		}
		native_regs[GPR_RAX] &= rng() & 1 ? ~0xffull : ~0ull;
		run(&t, BUF + (has_source ? source : dest), !has_source && f->opcode == 0xaa);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_absolute),
		cmocka_unit_test(test_strings),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
