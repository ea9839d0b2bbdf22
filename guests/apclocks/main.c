/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time never goes back, whichever CPU one asks: all CPUs take turns under a lock at reading the TSC, the
 * ACPI timer, and KVM's clock where CPUID has it; each reading is at or after the one before. n=N: turns each.
 */
#include "lib/smp.h"

#define PM_TIMER   0x608
#define KVM_CPUID  0x40000100
#define KVM_CLOCK  0x4b564d01

/* KVM's ABI, Documentation/virt/kvm/x86/msr.rst: nanoseconds = base + (tsc - stamp) << shift * factor >> 32 */
static volatile struct kvm_clock {
	uint32_t version, pad;
	uint64_t stamp, base;
	uint32_t factor;
	int8_t shift;
	uint8_t flags, more[2];
} __attribute__((packed, aligned(64))) clocks[SMP_MAX];

static uint64_t read_tsc(void)
{
	__asm__ volatile("lfence" : : : "memory");
	return rdtsc();
}

/* 24 bits, continued by what was read before */
static uint64_t read_pm(uint64_t last)
{
	uint64_t step = (inl(PM_TIMER) - last) & 0xffffff;
	return step < 0x800000 ? last + step : last - (0x1000000 - step);
}

static uint64_t read_kvm(void)
{
	volatile struct kvm_clock *c = &clocks[this_cpu()->index];
	uint32_t version;
	uint64_t ns;
	do {
		version = c->version;
		uint64_t ticks = read_tsc() - c->stamp;
		ticks = c->shift < 0 ? ticks >> -c->shift : ticks << c->shift;
		ns = c->base + (uint64_t)((unsigned __int128)ticks * c->factor >> 32);
	} while (version != c->version || version & 1);
	return ns;
}

static struct spinlock turn;
static volatile uint64_t tsc, pm, kvm; /* last readings, by @turn */
static uint32_t n;
static bool has_kvm, has_pm;

static void work(void *arg)
{
	(void)arg;
	uint32_t self = this_cpu()->index, back[3] = { 0 };
	if (has_kvm) {
		wrmsr(KVM_CLOCK, (uint64_t)&clocks[self] | 1);
	}
	for (uint32_t i = 0; i < n; i++) {
		lock(&turn);
		uint64_t now = read_tsc();
		back[0] += now < tsc;
		tsc = now;
		now = has_pm ? read_pm(pm) : pm;
		back[1] += now < pm;
		pm = now;
		now = has_kvm ? read_kvm() : kvm;
		back[2] += now < kvm;
		kvm = now;
		unlock(&turn);
	}
	CHECK(back[0] == 0, "CPU %u: TSC went back %u times", self, back[0]);
	CHECK(back[1] == 0, "CPU %u: PM timer went back %u times", self, back[1]);
	CHECK(back[2] == 0, "CPU %u: KVM's clock went back %u times", self, back[2]);
}

int main(const char *cmdline)
{
	uint32_t r[4];
	cpuid(KVM_CPUID, 0, r);
	has_kvm = r[1] == 0x4b4d564b; /* "KVMK" */
	has_pm = is_hosted() || is_lax();
	pm = has_pm ? inl(PM_TIMER) & 0xffffff : 0;
	n = (uint32_t)arg(cmdline, "n", 500);
	CHECK(smp_start(false), "not all CPUs came");
	if (!failures) {
		CHECK(smp_all(work, NULL, 60000), "not all ended");
	}
	CHECK(!is_hosted() || has_kvm, "no KVM clock");
	print("%u CPUs, %u turns each\n", nr_cpus, n);
	return (int)failures;
}
