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

/* 0x10 to 0x1f: the partition and its life */
#define HC_PARTITION_INFO 0x10 /* RBX = HC_INFO_*; RAX = its value */
#define HC_INFO_INDEX	  0    /* of this partition in the system, from 0 */
#define HC_INFO_RESTARTS  1    /* lives before this one */
#define HC_INFO_LAST	  2    /* event that ended the one before: enum health_event, 0 = none */
#define HC_INFO_VCPUS	  3
#define HC_INFO_MEMORY	  4 /* MiB */
#define HC_WATCHDOG	  0x11 /* RBX = microseconds until the watchdog fires, from now; 0 = off */
#define HC_HEALTH	  0x12 /* RBX = code: an error of the guest's own, event "report" */
#define HC_CONSOLE	  0x13 /* RBX = byte for the console; RAX = 0, or HC_EAGAIN */
#define HC_CHANNEL_INFO 0x20 /* RBX = index from 0, RCX = where a struct bulkhead_channel goes (abi/channel.h) */
#define HC_DOORBELL	0x21 /* RBX = index, RCX = position << 16 | vector, a vector below 32 */
#define HC_TEST_CRASH 0x41 /* with test-device only: the hypervisor crashes by RBX = HC_CRASH_* */
#define HC_CRASH_BUG  0
#define HC_CRASH_NMI  1
#define HC_CRASH_DF   2
#define HC_CRASH_MC   3
#define HC_SPACE_CHECK 0x40 /* with test-device only: RAX = leaks between partitions, 0 = none */
/*
 * RBX = which window of this vCPU in its CPU's major frame. RAX = how many it has; 0: no schedule, or only what
 * others leave. If RBX < RAX then RBX = offset, RCX = length, RDX = length of the frame, in TSC ticks;
 * RSI = this vCPU's TSC when the present frame began.
 */
#define HC_SCHEDULE_INFO 0x30

#define HC_ABI_VERSION 1
#define HC_EINVAL      (-22) /* RAX: an argument makes no sense */
#define HC_ENOENT      (-2)  /* RAX: no such channel, or nobody at that position */
#define HC_ENOSYS      (-38) /* RAX for an unknown number */
#define HC_EAGAIN      (-11) /* not now */

#endif
