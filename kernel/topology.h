/* SPDX-License-Identifier: BSD-2-Clause */
/* Which CPUs are threads of one core: out of CPUID and APIC IDs. Pure. */
#ifndef BULKHEAD_TOPOLOGY_H
#define BULKHEAD_TOPOLOGY_H

#include "types.h"

/**
 * topology_smt_bits() - how many low bits of an APIC ID tell the threads of a core apart
 * @cpuid: of any CPU of the machine
 *
 * Two CPUs share a core if their APIC IDs are equal without these bits. Return: 0 = no core has a second thread.
 */
u32 topology_smt_bits(void (*cpuid)(u32 leaf, u32 subleaf, u32 out[4]));

#endif
