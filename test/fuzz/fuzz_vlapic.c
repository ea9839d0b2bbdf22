// SPDX-License-Identifier: BSD-2-Clause
/*
 * Local APIC as an access script of 6-byte steps; after each its state must be one that can be, priorities
 * must be what a scan of all bits says, and IRR and ISR may have lost and gained only what the step allows.
 * Half of the scripts have a CPU that serves the APIC: it must be told of all that it has not done itself.
 */
#include "devices/vlapic.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static u64 now_ns;

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

static u64 env_now(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static u64 env_tsc(void *ctx)
{
	(void)ctx;
	return 3 * now_ns;
}

static u64 env_tsc_to_ns(void *ctx, u64 tsc)
{
	(void)ctx;
	return tsc / 3;
}

/* An I/O APIC whose line is still high answers an EOI with the same interrupt; IPIs come back */
static void env_eoi(void *ctx, u8 vector)
{
	if (vector & 1) {
		vlapic_accept(ctx, vector, true);
	}
}

static void env_ipi(void *ctx, const struct vlapic_ipi *i)
{
	require(i->mode > 1 || i->vector >= 16);
	if (vlapic_matches(ctx, i->dest, i->is_logical, i->is_x2apic)) {
		vlapic_accept(ctx, i->vector, false);
	}
}

enum { ISR = 0x10, TMR = 0x18, IRR = 0x20, TPR = 0x08 };

static void copy_words(const struct vlapic *a, u32 out[24])
{
	for (u32 i = 0; i < 24; i++) {
		out[i] = a->page.reg[ISR + i].value;
	}
}

static bool has(const u32 *words, int v)
{
	return words[v / 32] >> v % 32 & 1;
}

static int highest(const u32 *words)
{
	int v = 255;
	while (v >= 0 && !has(words, v)) {
		v--;
	}
	return v;
}

/* SDM 3A 11.8.3 and 11.6.2.4, one bit after the other */
static void check_priorities(const struct vlapic *a)
{
	u32 words[24];
	copy_words(a, words);
	int irr = highest(words + 16), isr = highest(words), tpr = (int)a->page.reg[TPR].value;
	int irr_class = irr < 0 ? 0 : irr / 16, isr_class = isr < 0 ? 0 : isr / 16;
	bool can_come = (a->apic_base & 0x800) && irr_class > tpr / 16 && irr_class > isr_class;
	require(vlapic_pending(a) == (can_come ? irr : -1));
	require(vlapic_has_request(a) || irr < 0 || a->env->is_cpu_delivering);
	bool by_tpr = tpr / 16 >= irr_class && tpr / 16 > isr_class;
	require(vlapic_arbitration_priority(a) == (by_tpr ? tpr : MAX(irr_class, isr_class) * 16));
	for (int v = 0; v < 256; v += 5) {
		bool is_known = has(words + 16, v) || has(words, v);
		require(vlapic_is_focus(a, (u8)v) == (is_known && !(a->reg[0x0f] & 0x200)));
	}
	for (u32 i = 0; i < 24 && !a->env->is_cpu_delivering; i++) {
		require((a->used_words[i / 8] >> i % 8 & 1) || words[i] == 0);
	}
}

/* @acked: vector that went into service in this step, or -1 */
static void check_step(const u32 *before, const u32 *after, int acked)
{
	int eoi = highest(before);
	for (int v = 0; v < 256; v++) {
		bool was_isr = has(before, v), is_isr = has(after, v);
		require(is_isr || !was_isr || v == eoi);
		require(was_isr || !is_isr || v == acked);
		require(!has(before + 16, v) || has(after + 16, v) || v == acked);
	}
}

static void check(struct vlapic *a)
{
	int pending = vlapic_pending(a);
	require(pending == -1 || pending >= 16);
	check_priorities(a);
	require(!((a->page.reg[0x10].value | a->page.reg[0x18].value | a->page.reg[0x20].value) & 0xffff));
	for (u32 i = 0x32; i < 0x38; i++) {
		require((a->reg[0x0f] & 0x100) || (a->reg[i] & 0x10000)); /* SVR, LVTs */
	}
	require((a->apic_base & 0xc00) != 0x400);
	u64 next = vlapic_poll(a, now_ns);
	require(next > now_ns && next == a->deadline_ns);
	require(vlapic_poll(a, now_ns) == next);
	u64 count = vlapic_mmio_ops.read(a, 0x390, 4);
	require((a->apic_base & 0xc00) != 0x800 || count <= a->reg[0x38]);
}

/* Return: the vector that went into service, or -1 */
static int ack(struct vlapic *a)
{
	int pending = vlapic_pending(a);
	u8 got = vlapic_ack(a);
	require(got == (pending >= 0 ? pending : (u8)a->reg[0x0f]));
	return pending;
}

/* Registers whose writes a CPU takes: SDM 3C 30.4.3.1; not in x2APIC mode */
static void cpu_writes(struct vlapic *a, u32 offset, u32 value)
{
	static const u16 taken[] = { 0x20, 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x320, 0x330, 0x340,
				     0x350, 0x360, 0x370, 0x380, 0x3e0 };
	u32 at = taken[offset / 16 % ARRAY_SIZE(taken)];
	if ((a->apic_base & 0xc00) == 0x800) {
		a->page.reg[at / 16].value = at == 0x80 ? value & 0xff : value;
		vlapic_written(a, at);
	}
}

static void cpu_set(struct vlapic *a, u32 bank, int v, bool is_set)
{
	u32 *word = &a->page.reg[bank + (u32)v / 32].value;
	*word = is_set ? *word | 1u << v % 32 : *word & ~(1u << v % 32);
}

/* Delivery, EOI, an IPI to itself; Return: the vector that went into service, or -1 */
static int cpu_acts(struct vlapic *a, u8 what, u8 vector)
{
	u32 words[24];
	copy_words(a, words);
	int pending = vlapic_pending(a), served = highest(words);
	if (what % 3 == 0 && pending >= 0) {
		cpu_set(a, IRR, pending, false);
		cpu_set(a, ISR, pending, true);
		return pending;
	}
	if (what % 3 == 1 && served >= 0) {
		cpu_set(a, ISR, served, false);
		if (has(words + 8, served)) {
			vlapic_eoi_done(a, (u8)served);
		}
	} else if (what % 3 == 2 && vector >= 16) {
		cpu_set(a, IRR, vector, true);
	}
	return -1;
}

static struct apic_view shown;

/* What a CPU keeps up itself are the two vectors */
static bool is_same(const struct apic_view *x, const struct apic_view *y, bool by_cpu)
{
	return x->mode == y->mode && !memcmp(x->level, y->level, sizeof(x->level)) &&
	       (by_cpu || (x->requested == y->requested && x->in_service == y->in_service));
}

static void check_shown(struct vlapic *a, bool by_cpu)
{
	struct apic_view view;
	u8 vector = a->env->is_cpu_delivering ? vlapic_take_request(a) : 0;
	bool is_told = vlapic_has_request(a);
	shown.requested = MAX(shown.requested, vector); /* as the backend does */
	vlapic_look(a, &view);
	require(is_told || is_same(&view, &shown, by_cpu));
	require(!vlapic_has_request(a) || !a->env->is_cpu_delivering);
	shown = view;
}

static int step(struct vlapic *a, const u8 d[6])
{
	static const u32 widths[] = { 1, 2, 4, 8, 4, 4, 4, 4 };
	u64 value = d[2] | (u64)d[3] << 8 | (u64)d[4] << 16 | (u64)d[5] << 24;
	u64 offset = (u64)(d[1] & 0x3f) << 4 | (d[0] & 0x80 ? d[5] & 7 : 0);
	u32 width = widths[d[0] >> 4 & 7], msr = d[1] & 0x80 ? 0x6e0 : 0x800u + (d[1] & 0x3f);
	u64 v;
	switch (d[0] & 15) {
	case 0: vlapic_accept(a, d[1], d[2] & 1); break;
	case 1: a->env->eoi_broadcast(a, d[1]); break;
	case 2: now_ns += value >> (d[1] & 31); break;
	case 3: (void)vlapic_wrmsr(a, 0x1b, VLAPIC_BASE | (value & 0xd00)); break;
	case 4: (void)vlapic_wrmsr(a, msr, d[1] & 0x40 ? value : value << 8 | d[2]); break;
	case 5: (void)vlapic_rdmsr(a, msr, &v); break;
	case 6: vlapic_set_cr8(a, d[2]); break;
	case 7: vlapic_mmio_ops.write(a, 0xf0, 4, 0x1ff); break;
	case 8: (void)vlapic_mmio_ops.read(a, offset, width); break;
	case 9:
		return ack(a);
	case 12: cpu_writes(a, d[1] * 16u, (u32)value); break;
	case 13: return a->env->is_cpu_delivering ? cpu_acts(a, d[1], d[2]) : -1;
	case 10: vlapic_set_lint(a, d[1] & 1, d[2] & 1); break;
	case 11:
		if (d[1] < 8) {
			vlapic_reset_by_init(a);
		}
		break;
	default: vlapic_mmio_ops.write(a, offset, width, value & width_mask(width)); break;
	}
	return -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vlapic a;
	bool is_served = size && data[0] & 1;
	const struct vlapic_env env = { .is_cpu_serving = is_served,
					.is_cpu_delivering = is_served,
					.now_ns = env_now,
					.tsc_to_ns = env_tsc_to_ns,
					.guest_tsc = env_tsc,
					.send_ipi = env_ipi,
					.eoi_broadcast = env_eoi,
					.ctx = &a };
	now_ns = 1;
	vlapic_init(&a, &env, size ? data[0] : 0, true, true);
	vlapic_look(&a, &shown);
	for (size_t i = 0; i + 6 <= size; i += 6) {
		u32 before[24], after[24];
		copy_words(&a, before);
		int acked = step(&a, data + i);
		if ((data[i] & 15) != 3 && (data[i] & 15) != 11) { /* not a reset */
			copy_words(&a, after);
			check_step(before, after, acked);
		}
		check(&a);
		if (is_served) {
			check_shown(&a, (data[i] & 15) == 13);
		}
	}
	return 0;
}
