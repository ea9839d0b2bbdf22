/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread level of CPUID's topology: leaf 0x1f or 0xb where there is one (SDM 2A "CPUID", SDM 3A 8.9.1),
 * AMD's 0x8000001e (APM 3 E.4.16), else the arithmetic of leaves 1 and 4. Pure; called at boot.
 */
#include "kernel/topology.h"

#define LEVEL_SMT 1
#define HTT	  BIT(28) /* leaf 1 EDX: leaf 1 EBX 23:16 means something */
#define TOPOEXT	  BIT(22) /* 0x80000001 ECX */

enum { EAX, EBX, ECX, EDX };

/* Bits that hold the numbers 0 to @nr - 1 */
static u32 bits_for(u32 nr)
{
	u32 bits = 0;
	while (bits < 31 && 1u << bits < nr) {
		bits++;
	}
	return bits;
}

/* Before leaf 0xb: IDs of a package by IDs of cores in it */
static u32 legacy_bits(void (*cpuid)(u32, u32, u32[4]), u32 max)
{
	u32 one[4], four[4] = { 0 };
	cpuid(1, 0, one);
	if (max >= 4) {
		cpuid(4, 0, four);
	}
	u32 package = bits_for(one[EBX] >> 16 & 0xff), cores = bits_for((four[EAX] >> 26) + 1);
	return one[EDX] & HTT && four[EAX] && package > cores ? package - cores : 0;
}

u32 topology_smt_bits(void (*cpuid)(u32 leaf, u32 subleaf, u32 out[4]))
{
	static const u32 leaves[] = { 0x1f, 0xb };
	u32 out[4], max;
	cpuid(0, 0, out);
	max = out[EAX];
	for (u32 i = 0; i < ARRAY_SIZE(leaves); i++) {
		if (max < leaves[i]) {
			continue;
		}
		cpuid(leaves[i], 0, out);
		if (out[EBX] && (out[ECX] >> 8 & 0xff) == LEVEL_SMT) {
			return (out[EBX] & 0xffff) > 1 ? out[EAX] & 0x1f : 0; /* Bochs 3.0: a bit for one thread */
		}
	}
	cpuid(0x80000000, 0, out);
	bool has_ext = out[EAX] >= 0x8000001e && out[EAX] < 0x80010000;
	cpuid(0x80000001, 0, out);
	if (has_ext && out[ECX] & TOPOEXT) {
		cpuid(0x8000001e, 0, out);
		return bits_for((out[EBX] >> 8 & 0xff) + 1);
	}
	return legacy_bits(cpuid, max);
}
