/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What guests may ask of Bulkhead: VMCALL on Intel, VMMCALL on AMD; number in RAX, arguments in
 * RBX, RCX, RDX; result in RAX. Shared with guests and their assembly: plain numbers only.
 */
#ifndef BULKHEAD_ABI_HYPERCALL_H
#define BULKHEAD_ABI_HYPERCALL_H

/* CPUID 0x40000000: EBX, ECX, EDX spell "BulkheadHV  "; EAX = highest leaf of this range */
#define BULKHEAD_CPUID_BASE 0x40000000
#define BULKHEAD_CPUID_EBX  0x6b6c7542 /* "Bulk" */
#define BULKHEAD_CPUID_ECX  0x64616568 /* "head" */
#define BULKHEAD_CPUID_EDX  0x20205648 /* "HV  " */

#define HC_VERSION 0 /* RAX = ABI version */
#define HC_EXIT	   1 /* RBX = exit code: this partition ends, 0 = verdict OK */
#define HC_YIELD   2 /* give the rest of the time slice away */

/*
 * RBX = which window of this vCPU in its CPU's major frame. RAX = how many it has; 0: no schedule, or only what
 * others leave. If RBX < RAX then RBX = offset, RCX = length, RDX = length of the frame, in TSC ticks;
 * RSI = this vCPU's TSC when the present frame began.
 */
#define HC_SCHEDULE_INFO 0x30

#define HC_ABI_VERSION 1
#define HC_ENOSYS      (-38) /* RAX for an unknown number */

#endif
