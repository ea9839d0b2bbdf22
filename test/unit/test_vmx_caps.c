/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x capabilities: a made-up CPU that has exactly what is needed, then one bit less at a time.
 * Bit numbers are the manual's (SDM 3C 25.6 to 25.8), not our names.
 */
#include "vmx/vmx_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const struct {
	u32 word;
	u8 bits[12];
	u32 nr;
	bool is_required;
} table[] = {
	{ WORD_PIN, { 0, 3, 5, 6 }, 4, true },
	{ WORD_PIN, { 7 }, 1, false },
	{ WORD_PROC, { 2, 3, 7, 10, 11, 19, 20, 22, 25, 28, 29, 31 }, 12, true },
	{ WORD_PROC, { 21 }, 1, false },
	{ WORD_PROC2, { 1, 3, 5, 7 }, 4, true },
	{ WORD_PROC2, { 0, 4, 6, 8, 9, 10, 12, 15 }, 8, false },
	{ WORD_EXIT, { 2, 9, 18, 19, 20, 21 }, 6, true },
	{ WORD_EXIT, { 15 }, 1, false },
	{ WORD_ENTRY, { 2, 9, 14, 15 }, 4, true },
	{ WORD_EPT, { 6, 14, 16, 20, 25, 26 }, 6, true },
	{ WORD_EPT, { 17 }, 1, false },
	{ WORD_BASIC, { 54 - 32, 55 - 32 }, 2, true },
};

static struct vmx_caps good(void)
{
	struct vmx_caps c = { .has_vmx = true, .feature_control = 5 };
	for (u32 i = 0; i < ARRAY_SIZE(table); i++) {
		for (u32 b = 0; b < table[i].nr; b++) {
			c.word[table[i].word] |= BIT(32 + table[i].bits[b]);
		}
	}
	return c;
}

static u32 missing(const struct vmx_caps *c, bool fatal_only, const char **name)
{
	struct feature f[MAX_FEATURES];
	u32 count = 0, nr = vmx_features(c, f, MAX_FEATURES);
	assert_true(nr > 0 && nr <= MAX_FEATURES);
	for (u32 i = 0; i < nr; i++) {
		if (!f[i].is_present && (!fatal_only || f[i].reason)) {
			*name = f[i].name;
			count++;
		}
	}
	return count;
}

static void test_adjust(void **state)
{
	u32 out;
	(void)state;
	/* must: bit 1; may: bits 1, 2, 3 */
	const u64 cap = (u64)0xe << 32 | 0x2;
	assert_true(vmx_ctl_adjust(cap, 0x4, 0x18, &out));
	assert_int_equal(out, 0x2 | 0x4 | 0x8);
	assert_true(vmx_ctl_adjust(cap, 0, 0, &out));
	assert_int_equal(out, 0x2);
	assert_false(vmx_ctl_adjust(cap, 0x11, 0, &out));
	assert_true(vmx_ctl_adjust(~0ull, 0, 0, &out));
	assert_int_equal(out, 0xffffffff);
}

static void test_good(void **state)
{
	struct vmx_caps c = good();
	const char *name = "";
	u32 ctl[NR_WORDS];
	(void)state;
	assert_true(vmx_controls_choose(&c, ctl));
	assert_int_equal(missing(&c, false, &name), 0);
	assert_int_equal(ctl[WORD_PIN], 0xe9);
	/* windows and IA-32e mode are allowed, but not on at the start */
	assert_int_equal(ctl[WORD_PROC], 0xb2200c88);
	assert_int_equal(ctl[WORD_PROC2], 0x97fb);
	assert_int_equal(ctl[WORD_EXIT], 0x3c8204);
	assert_int_equal(ctl[WORD_ENTRY], 0xc004);
}

static void test_each_bit(void **state)
{
	u32 ctl[NR_WORDS];
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(table); i++) {
		for (u32 b = 0; b < table[i].nr; b++) {
			const char *name = "";
			struct vmx_caps c = good();
			c.word[table[i].word] &= ~BIT(32 + table[i].bits[b]);
			assert_int_equal(vmx_controls_choose(&c, ctl), !table[i].is_required);
			assert_int_equal(missing(&c, false, &name), 1);
			assert_int_equal(missing(&c, true, &name), table[i].is_required);
			if (!table[i].is_required) {
				assert_false(ctl[table[i].word] >> table[i].bits[b] & 1);
			}
		}
	}
}

/* SDM 3C 27.2.1.1: without a TPR shadow no other part of the APIC may be served, and CR8 has to exit */
static void test_no_tpr_shadow(void **state)
{
	struct vmx_caps c = good();
	u32 ctl[NR_WORDS];
	(void)state;
	c.word[WORD_PROC] &= ~BIT(32 + 21);
	assert_true(vmx_controls_choose(&c, ctl));
	assert_int_equal(ctl[WORD_PROC], 0xb2180c88);
	assert_int_equal(ctl[WORD_PROC2], 0x94ea);
	assert_int_equal(ctl[WORD_PIN], 0x69);
	assert_int_equal(ctl[WORD_EXIT], 0x3c0204);
	c = good();
	c.word[WORD_PROC] |= BIT(19); /* a CPU that insists on exits at writes of CR8 */
	assert_true(vmx_controls_choose(&c, ctl));
	assert_int_equal(ctl[WORD_PROC], 0xb2280c88);
}

/* SDM 3C 27.2.1.1: posted interrupts want virtual-interrupt delivery and acknowledgment on exit, which nobody else wants */
static void test_posted_interrupts(void **state)
{
	const struct {
		u32 word, bit;
	} parts[] = { { WORD_PIN, 7 }, { WORD_EXIT, 15 }, { WORD_PROC2, 9 } };
	u32 ctl[NR_WORDS];
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(parts); i++) {
		struct vmx_caps c = good();
		c.word[parts[i].word] &= ~BIT(32 + parts[i].bit);
		assert_true(vmx_controls_choose(&c, ctl));
		assert_int_equal(ctl[WORD_PIN], 0x69);
		assert_int_equal(ctl[WORD_EXIT], 0x3c0204);
	}
	struct vmx_caps c = good();
	c.word[WORD_PIN] &= ~BIT(32 + 7);
	c.word[WORD_EXIT] |= BIT(15); /* a CPU that always acknowledges: so be it */
	assert_true(vmx_controls_choose(&c, ctl));
	assert_int_equal(ctl[WORD_EXIT], 0x3c8204);
}

static void test_forced_bits_are_taken(void **state)
{
	struct vmx_caps c = good();
	u32 ctl[NR_WORDS];
	(void)state;
	c.word[WORD_PIN] |= 0x16 | (u64)0x16 << 32;
	assert_true(vmx_controls_choose(&c, ctl));
	assert_int_equal(ctl[WORD_PIN], 0xff);
}

static void test_off(void **state)
{
	struct vmx_caps c = { .has_vmx = false };
	struct feature f[MAX_FEATURES];
	const char *name;
	u32 ctl[NR_WORDS];
	(void)state;
	assert_false(vmx_controls_choose(&c, ctl));
	vmx_features(&c, f, MAX_FEATURES);
	assert_string_equal(f[0].name, "vt-x");
	assert_string_equal(f[0].reason, "the CPU has no VT-x");
	assert_false(f[1].is_present);

	c = good();
	c.feature_control = 1; /* locked without VMXON */
	assert_int_equal(missing(&c, true, &name), 1);
	assert_string_equal(name, "vt-x-enabled");
	vmx_features(&c, f, MAX_FEATURES);
	assert_string_equal(f[1].reason, "VT-x is locked off in firmware setup");
	c.feature_control = 0; /* not locked: we switch it on */
	assert_int_equal(missing(&c, true, &name), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adjust),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_each_bit),
		cmocka_unit_test(test_no_tpr_shadow),
		cmocka_unit_test(test_posted_interrupts),
		cmocka_unit_test(test_forced_bits_are_taken),
		cmocka_unit_test(test_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
