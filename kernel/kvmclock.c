/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock's origin is the partition's birth, and its rate is the time base's own factor. So what is
 * published depends on the TSC offset alone: it never goes stale, agrees with all devices, and is the
 * same on each vCPU. Linux: Documentation/virt/kvm/x86/msr.rst; include/asm/pvclock-abi.h.
 */
#include "kernel/kvmclock.h"
#include "kernel/partition.h"

enum { WALL_CLOCK, SYSTEM_TIME }; /* in kvmclock.msr */
static_assert(MSR_KVM_SYSTEM_TIME - MSR_KVM_WALL_CLOCK == SYSTEM_TIME, "consecutive");

#define ENABLE	   BIT(0) /* in the MSR of system time */
#define TSC_STABLE BIT(0) /* in flags: the TSCs of all vCPUs are in step */

/* Aligned to 4 only. The version is odd while the rest changes */
struct pvclock_time {
	u32 version, pad0;
	u64 tsc_timestamp, system_time;
	u32 tsc_to_system_mul;
	s8 tsc_shift;
	u8 flags, pad[2];
} __attribute__((packed, aligned(4)));
static_assert(sizeof(struct pvclock_time) == 32, "struct pvclock_vcpu_time_info");

struct pvclock_wall {
	u32 version, sec, nsec;
};
static_assert(sizeof(struct pvclock_wall) == 12, "struct pvclock_wall_clock");

/* Where a value of the MSR wants it; 0 = nowhere */
static u64 address(u32 which, u64 value)
{
	return which == WALL_CLOCK ? value : value & ENABLE ? value & ~ENABLE : 0;
}

/* On one page: or a guest could see how the host's memory is cut up */
static void *area(const struct vcpu *v, u32 which, u64 value)
{
	u64 addr = address(which, value);
	u64 len = which == WALL_CLOCK ? sizeof(struct pvclock_wall) : sizeof(struct pvclock_time);
	bool is_bad = addr == 0 || addr % 4 || addr % PAGE_SIZE + len > PAGE_SIZE;
	return is_bad ? NULL : gmem_ptr(&v->part->mem, GPA(addr), len);
}

/* Other vCPUs may be reading. Return: the version to end with, behind whatever the guest left there */
static u32 begin(u32 *version)
{
	u32 odd = __atomic_load_n(version, __ATOMIC_RELAXED) | 1;
	__atomic_store_n(version, odd, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return odd + 1;
}

static void end(u32 *version, u32 even)
{
	__atomic_store_n(version, even, __ATOMIC_RELEASE);
}

/* ns = (ticks << shift) * mul >> 32: the 32.32 factor of the time base with its top bit moved to bit 31 */
static void set_rate(struct pvclock_time *t, u64 ns_per_tick_q32)
{
	s32 shift = 32 - __builtin_clzll(ns_per_tick_q32);
	t->tsc_shift = (s8)shift;
	t->tsc_to_system_mul = (u32)(shift > 0 ? ns_per_tick_q32 >> shift : ns_per_tick_q32 << -shift);
}

void kvmclock_publish(struct vcpu *v, const struct kvmclock *k)
{
	const struct partition *p = v->part;
	struct pvclock_time *t = area(v, SYSTEM_TIME, k->msr[SYSTEM_TIME]);
	if (!t) {
		return;
	}
	u32 even = begin(&t->version);
	t->tsc_timestamp = p->birth_tsc + v->ops->get(v, VREG_TSC_OFFSET);
	t->system_time = 0;
	set_rate(t, p->host->time.ns_per_tick_q32);
	/* who moves one TSC does without the promise */
	t->flags = t->tsc_timestamp == 0 ? TSC_STABLE : 0;
	end(&t->version, even);
}

/* The wall clock's time at birth */
static void publish_wall(const struct partition *p, struct pvclock_wall *w)
{
	u64 since = tsc_to_ns(&p->host->time, p->birth_tsc - p->host->wall_tsc);
	u32 even = begin(&w->version);
	w->sec = (u32)(p->host->wall_seconds + since / NSEC_PER_SEC);
	w->nsec = (u32)(since % NSEC_PER_SEC);
	end(&w->version, even);
}

bool kvmclock_write(struct vcpu *v, struct kvmclock *k, u32 msr, u64 value)
{
	u32 which = msr - MSR_KVM_WALL_CLOCK;
	void *at = area(v, which, value);
	if (!at && address(which, value)) {
		return false;
	}
	k->msr[which] = value;
	if (which == SYSTEM_TIME) {
		kvmclock_publish(v, k);
	} else if (at) {
		publish_wall(v->part, at);
	}
	return true;
}
