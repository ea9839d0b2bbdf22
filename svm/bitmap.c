/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two permission maps of a VMCB, from the kernel's pass-through tables. Everything exits
 * unless a table says otherwise. Pure; called when a vCPU is made.
 */
#include "svm_vcpu.h"
#include "lib/lib.h"

/* MSRs per part of the map; two bits each, read below write (APM 2 15.11 "MSR Intercepts") */
#define PART_MSRS 0x2000u
static const u32 part_base[] = { 0x00000000, 0xc0000000, 0xc0010000 };

static void pass_msr(u8 *map, u32 msr, u32 pass)
{
	for (u32 part = 0; part < ARRAY_SIZE(part_base); part++) {
		u32 index = msr - part_base[part];
		if (index < PART_MSRS) {
			u32 bit = 2 * (part * PART_MSRS + index);
			map[bit / 8] &= (u8) ~(pass << (bit % 8));
		}
	}
}

void svm_msrpm_build(u8 map[SVM_MSRPM_SIZE], const struct msr_range *msrs, u32 nr)
{
	static_assert(MSR_PASS_READ == 1 && MSR_PASS_WRITE == 2, "as the map's bit pairs");
	memset(map, 0xff, SVM_MSRPM_SIZE);
	for (u32 i = 0; i < nr; i++) {
		for (u64 msr = msrs[i].first; msr <= msrs[i].last; msr++) {
			pass_msr(map, (u32)msr, msrs[i].pass);
		}
	}
}

/* The bits behind port ffff catch accesses that wrap: they stay set. */
void svm_iopm_build(u8 map[SVM_IOPM_SIZE], const u16 *ports, u32 nr)
{
	memset(map, 0xff, SVM_IOPM_SIZE);
	for (u32 i = 0; i < nr; i++) {
		map[ports[i] / 8] &= (u8) ~(1u << (ports[i] % 8));
	}
}
