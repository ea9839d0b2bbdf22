/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's paravirtual clock, which stock guests look for: two MSRs name guest memory, and what is
 * published there turns the guest's TSC into nanoseconds since the partition's birth. Called by msr.c. Pure.
 */
#ifndef BULKHEAD_KVMCLOCK_H
#define BULKHEAD_KVMCLOCK_H

#include "vcpu.h"

#define MSR_KVM_WALL_CLOCK  0x4b564d00
#define MSR_KVM_SYSTEM_TIME 0x4b564d01

/* CPUID: a second hypervisor range, behind Bulkhead's own; guests try bases in steps of 0x100 */
#define KVM_CPUID_BASE	   0x40000100
#define KVM_CPUID_FEATURES 0x40000101 /* EAX: the bits below */
#define KVM_CPUID_EBX	   0x4b4d564b /* "KVMK" */
#define KVM_CPUID_ECX	   0x564b4d56 /* "VMKV" */
#define KVM_CPUID_EDX	   0x0000004d /* "M" */
#define KVM_NOP_IO_DELAY   BIT(1)  /* devices need no pause between two accesses: ours do not */
#define KVM_CLOCKSOURCE2   BIT(3)  /* the two MSRs */
#define KVM_CLOCK_STABLE   BIT(24) /* their time never goes back from one vCPU to another */

/* The two MSRs as the guest wrote them; one pair per vCPU */
struct kvmclock {
	u64 msr[2];
};

/**
 * kvmclock_write() - WRMSR: remember @value, and publish at the address it names
 *
 * Return: false = #GP(0), nothing done: the address is not aligned to 4, not RAM, or too near a page's end.
 */
bool must_check kvmclock_write(struct vcpu *v, struct kvmclock *k, u32 msr, u64 value);

/** kvmclock_publish() - system time once more: the guest has moved its TSC. */
void kvmclock_publish(struct vcpu *v, const struct kvmclock *k);

#endif
