/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The debug exceptions that the CPU would have raised, had it performed the instruction itself. Knows
 * DR6, DR7 and RFLAGS; DR0 to DR3 stay in the CPU while a guest is loaded, so the host is asked for
 * them. Called by the emulator as it resolves operands, and by apply.c. Pure.
 */
#include "kernel/debug.h"
#include "kernel/partition.h"
#include "x86/regs.h"

/* SDM 3B 17.2.4 "Debug Control Register (DR7)": sets of accesses by R/W, lengths by LEN */
static bool watches(u64 dr7, u32 n, enum debug_access what)
{
	static const u8 sets[] = { 0, BIT(DEBUG_WRITE), BIT(DEBUG_IO), BIT(DEBUG_READ) | BIT(DEBUG_WRITE) };
	return dr7 >> (2 * n) & 3 && sets[dr7 >> (16 + 4 * n) & 3] >> what & 1;
}

u32 debug_compare(struct vcpu *v, u64 dr7, enum debug_access what, u64 addr, u32 len)
{
	static const u8 lengths[] = { 1, 2, 8, 4 };
	u32 hits = 0;
	if (len == 0 || (what == DEBUG_IO && !(backend_get(v, VREG_CR4) & CR4_DE))) {
		return 0;
	}
	for (u32 n = 0; n < 4; n++) {
		u64 size = lengths[dr7 >> (18 + 4 * n) & 3];
		u64 first = ALIGN_DOWN(v->part->host->debug_address(n), size);
		if (watches(dr7, n, what) && first <= addr + len - 1 && addr <= first + size - 1) {
			hits |= 1u << n;
		}
	}
	return hits;
}

/* SDM 3B 17.3.1.4 "Single-Step Exception Condition"; B0 to B3 tell of this exception only */
void debug_trap(struct vcpu *v, u64 rflags, u64 causes)
{
	causes |= rflags & RFLAGS_TF ? DR6_BS : 0;
	if (causes) {
		backend_set(v, VREG_DR6, (backend_get(v, VREG_DR6) & ~DR6_B) | causes);
		v->pending = (struct event){ .type = EVENT_EXCEPTION, .vector = VEC_DB };
	}
}

/* SDM 3A table 6-1: the faults; #DB says itself which it was. RF: SDM 3B 17.3.1.1 */
void debug_mark_fault(struct vcpu *v, const struct event *e)
{
	const u32 faults = BIT(VEC_DE) | BITS(VEC_NM, 5) | BITS(VEC_PF, VEC_TS) | BITS(VEC_AC, VEC_MF) |
			   BITS(VEC_CP, VEC_XM);
	if (e->type == EVENT_EXCEPTION && faults >> (e->vector & 31) & 1) {
		backend_set(v, VREG_RFLAGS, backend_get(v, VREG_RFLAGS) | RFLAGS_RF);
	}
}
