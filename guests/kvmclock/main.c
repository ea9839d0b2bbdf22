/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's clock, found and read as a stock kernel does: by CPUID, two MSRs, and a page of its own memory. It
 * starts at birth, never goes back, agrees with PM timer and RTC, and does not jump when the TSC does.
 * cpus=<n>: nor does it go back from one CPU to the next, each with a page of its own.
 */
#include "lib/smp.h"

#define PM_TIMER    0x608
#define WALL_CLOCK  0x4b564d00
#define SYSTEM_TIME 0x4b564d01

static struct pv {
	volatile uint32_t version, pad0;
	volatile uint64_t tsc_timestamp, system_time;
	volatile uint32_t mul;
	volatile int8_t shift;
	volatile uint8_t flags, pad[2];
} __attribute__((aligned(64))) pvs[SMP_MAX];

static struct {
	volatile uint32_t version, sec, nsec;
} wall;

/* Bases are tried in steps of 0x100. Return: the features, 0 if there is no such hypervisor */
static uint32_t find(void)
{
	for (uint32_t base = 0x40000000; base < 0x40010000; base += 0x100) {
		uint32_t r[4];
		cpuid(base, 0, r);
		if (r[1] == 0x4b4d564b && r[2] == 0x564b4d56 && r[3] == 0x4d) {
			CHECK(base == 0x40000100 && r[0] == base + 1, "base %x, last leaf %x", base, r[0]);
			cpuid(base + 1, 0, r);
			return r[0];
		}
	}
	return 0;
}

static uint64_t read_ns(const struct pv *p)
{
	uint32_t version;
	uint64_t ns;
	do {
		version = p->version;
		__asm__ volatile("lfence" : : : "memory");
		uint64_t ticks = rdtsc() - p->tsc_timestamp;
		ticks = p->shift < 0 ? ticks >> -p->shift : ticks << p->shift;
		ns = p->system_time + (uint64_t)(((unsigned __int128)ticks * p->mul) >> 32);
	} while (version & 1 || version != p->version);
	return ns;
}

static uint64_t now_ns(void)
{
	return read_ns(&pvs[0]);
}

static int try_wrmsr(uint32_t msr, uint64_t v)
{
	return TRY("wrmsr", : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static void refusals(void)
{
	static const uint64_t bad[] = { 0xfee00000, 1ull << 40, 3 << 20 | 2, (3 << 20) - 16, 4 << 20 };
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(try_wrmsr(SYSTEM_TIME, bad[i] | 1) == 13, "system time at %lx", bad[i]);
	}
	CHECK(try_wrmsr(WALL_CLOCK, 1) == 13, "wall clock at 1");
	CHECK(rdmsr(SYSTEM_TIME) == 0 && rdmsr(WALL_CLOCK) == 0, "a refused value was kept");
}

#define PM_NS(ticks) ((uint64_t)(ticks) * 1000000000 / 3579545)

struct reading {
	uint32_t before, after; /* PM timer */
	uint64_t ns;
};

static struct reading take(void)
{
	struct reading r = { .before = inl(PM_TIMER) };
	r.ns = now_ns();
	r.after = inl(PM_TIMER);
	return r;
}

/* 100 ms and more; the PM timer says between which bounds, however long other work delays a reading */
static void rate(void)
{
	struct reading a = take(), b;
	do {
		b = take();
	} while (((b.before - a.after) & 0xffffff) < 357954);
	uint64_t least = PM_NS((b.before - a.after) & 0xffffff), most = PM_NS((b.after - a.before) & 0xffffff);
	uint64_t ns = b.ns - a.ns;
	CHECK(ns > least / 1000 * 990 && ns < most / 1000 * 1010, "%lu ns in %lu to %lu", ns, least, most);
	uint32_t r[4];
	cpuid(0x40000010, 0, r);
	uint64_t scaled = (1000000ull << 32) / pvs[0].mul;
	uint64_t khz = pvs[0].shift < 0 ? scaled << -pvs[0].shift : scaled >> pvs[0].shift;
	CHECK(khz + 1 >= r[0] && khz <= r[0] + 1, "%lu kHz, CPUID says %u", khz, r[0]);
}

static void monotonic(void)
{
	unsigned back = 0;
	uint64_t last = now_ns();
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t now = i % 10 ? now_ns() : (inb(0x1e0), now_ns());
		back += now < last;
		last = now;
	}
	CHECK(back == 0, "%u steps back", back);
	CHECK(pvs[0].version == 2, "published again: version %u", pvs[0].version);
}

static volatile uint32_t turn, back;
static volatile uint64_t last_ns;

/* The CPUs read the time in turns */
static void relay(void *arg)
{
	struct pv *mine = &pvs[this_cpu()->index];
	(void)arg;
	wrmsr(SYSTEM_TIME, (uintptr_t)mine | 1);
	for (uint32_t round = 0; round < 500; round++) {
		while (turn != round * nr_cpus + this_cpu()->index) {
			pause();
		}
		uint64_t ns = read_ns(mine);
		back += ns < last_ns;
		last_ns = ns;
		turn++;
	}
}

static void from_cpu_to_cpu(unsigned count)
{
	CHECK(smp_start(false) && nr_cpus == count, "%u CPUs", nr_cpus);
	CHECK(smp_all(relay, NULL, 5000), "turn %u", turn);
	CHECK(back == 0, "%u steps back in %u", back, turn);
	for (unsigned i = 0; i < nr_cpus; i++) {
		CHECK(pvs[i].flags == 1 && pvs[i].tsc_timestamp == pvs[0].tsc_timestamp, "CPU %u: flags %x, from %lu",
		      i, pvs[i].flags, pvs[i].tsc_timestamp);
	}
}

static void moved(void)
{
	static const uint64_t tsc[] = { 1ull << 50, 0, 5 };
	for (unsigned i = 0; i < 3; i++) {
		uint64_t before = now_ns();
		wrmsr(0x10, tsc[i]);
		uint64_t after = now_ns();
		CHECK(after >= before && after - before < 1000000000, "%lu to %lu", before, after);
		CHECK(pvs[0].flags == 0, "still called stable");
	}
}

static unsigned bcd(uint8_t reg)
{
	outb(0x70, reg);
	uint8_t v = inb(0x71);
	return (v >> 4) * 10 + (v & 15);
}

/* Seconds of the hour are enough to see that both mean the same moment */
static void wall_clock(void)
{
	wrmsr(WALL_CLOCK, (uintptr_t)&wall);
	uint64_t now = (wall.sec * 1000000000ull + wall.nsec + now_ns()) / 1000000000;
	unsigned rtc = bcd(2) * 60 + bcd(0);
	unsigned ahead = (unsigned)(now + 3600 + 10 - rtc) % 3600;
	CHECK(!(wall.version & 1) && wall.nsec < 1000000000, "version %u, %u ns", wall.version, wall.nsec);
	CHECK(ahead <= 20, "wall clock %lu s, RTC %u s into the hour", now, rtc);
}

int main(const char *cmdline)
{
	unsigned count = (unsigned)arg(cmdline, "cpus", 1);
	uint32_t features = find();
	if (!is_hosted()) {
		return (int)failures;
	}
	CHECK(features == (1 << 1 | 1 << 3 | 1 << 24), "features %x", features);
	refusals();
	wrmsr(SYSTEM_TIME, (uintptr_t)&pvs[0] | 1);
	CHECK(pvs[0].version == 2 && pvs[0].flags == 1, "version %u, flags %x", pvs[0].version, pvs[0].flags);
	CHECK(now_ns() < 60000000000ull, "%lu ns at birth", now_ns());
	monotonic();
	rate();
	wall_clock();
	if (count > 1) {
		from_cpu_to_cpu(count);
	}
	uint32_t version = pvs[0].version;
	moved();
	wrmsr(SYSTEM_TIME, 0);
	wrmsr(0x10, 0);
	CHECK(pvs[0].version == version + 6, "touched after it was switched off: version %u", pvs[0].version);
	return (int)failures;
}
