/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One life after the other, each of which ends in a different way. Each looks whether anything of the one
 * before is left: in memory, in registers that reset defines, in the devices it left behind programmed.
 * Command line: lives=<n> (the last one ends well), quiet=<n> (say only each n-th life), smp=1 (all CPUs are
 * started, and every second life dies on the last of them), ways=<n> (5: no triple fault, which Bochs as an
 * SVM host does not intercept).
 */
#include "abi/hypercall.h"
#include "abi/health.h"
#include "lib/smp.h"

#define MARK	 0x6b72616d2d646c6full /* what each life leaves all over its memory */
#define MSR_STAR 0xc0000081
#define LVT_TIMER 0x320
#define TIMER_INITIAL 0x380

extern char bss_end[];

static uint64_t *memory_end(void)
{
	return (uint64_t *)(hypercall(HC_PARTITION_INFO, HC_INFO_MEMORY, 0) << 20);
}

/* Image, stack and tables lie below */
static uint64_t *free_begin(void)
{
	return (uint64_t *)(((uintptr_t)bss_end + 7) & ~7ull);
}

static void look_at_memory(void)
{
	uint64_t marks = 0, *end = memory_end();
	for (uint64_t *at = free_begin(); at < end; at++) {
		marks += *at == MARK;
	}
	CHECK(marks == 0, "%lu words of the life before", marks);
}

static uint64_t read_msr(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static void look_at_devices(void)
{
	uint64_t dr0;
	__asm__ volatile("mov %%dr0, %0" : "=r"(dr0));
	CHECK(dr0 == 0, "DR0 is %lx", dr0);
	CHECK(read_msr(MSR_STAR) == 0, "STAR is %lx", read_msr(MSR_STAR));
	CHECK(lapic_read(LVT_TIMER) == 0x10000, "LVT timer is %x", lapic_read(LVT_TIMER));
	CHECK(lapic_read(TIMER_INITIAL) == 0, "timer's count is %x", lapic_read(TIMER_INITIAL));
	CHECK(inb(COM1 + 7) == 0, "scratch register is %x", inb(COM1 + 7));
	CHECK(inb(0x21) == 0xff, "8259's mask is %x", inb(0x21));
}

static void leave_traces(void)
{
	uint64_t *end = memory_end();
	for (uint64_t *at = free_begin(); at < end; at++) {
		*at = MARK;
	}
	__asm__ volatile("mov %0, %%dr0" : : "r"(MARK));
	__asm__ volatile("wrmsr" : : "c"(MSR_STAR), "a"((uint32_t)MARK), "d"((uint32_t)(MARK >> 32)));
	lapic_write(LVT_TIMER, 0x30040); /* periodic, masked */
	lapic_write(TIMER_INITIAL, 100000);
	outb(COM1 + 7, 0x5a);
	outb(0x21, 0xa5);
}

static const struct {
	const char *name;
	enum health_event event;
} ways[] = {
	{ "reset by 0xcf9", HEALTH_RESET }, { "jump out of memory", HEALTH_VIOLATION },
	{ "halt", HEALTH_HALTED },	    { "exit code 3", HEALTH_EXIT_FAILED },
	{ "watchdog", HEALTH_WATCHDOG },    { "triple fault", HEALTH_TRIPLE_FAULT },
};
#define NR_WAYS (sizeof(ways) / sizeof(ways[0]))

static void triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

/* Ends the partition, or comes back */
static void die(unsigned way)
{
	switch (way) {
	case 0:
		outb(0xcf9, 2);
		outb(0xcf9, 6);
		break;
	case 1: __asm__ volatile("jmp *%0" : : "r"(0xd0000000ull)); break;
	case 2: __asm__ volatile("cli; hlt"); break;
	case 3: hypercall(HC_EXIT, 3, 0); break;
	case 4:
		hypercall(HC_WATCHDOG, 1000, 0);
		for (;;) {
			__asm__ volatile("pause");
		}
	default: triple_fault(); break;
	}
	CHECK(false, "alive after %s", ways[way].name);
}

static void die_there(void *way)
{
	die((unsigned)(uintptr_t)way);
}

static void halt_there(void *unused)
{
	(void)unused;
	__asm__ volatile("cli; hlt");
}

static void die_on_some_cpu(uint64_t life, unsigned way)
{
	void *arg = (void *)(uintptr_t)way;
	if (nr_cpus > 1 && ways[way].event == HEALTH_HALTED) {
		smp_all(halt_there, NULL, 1000);
	} else if (nr_cpus > 1 && life & 1) {
		smp_call(&cpus[nr_cpus - 1], die_there, arg);
		smp_wait(&cpus[nr_cpus - 1], 10000);
	} else {
		die(way);
	}
}

int main(const char *cmdline)
{
	uint64_t lives = arg(cmdline, "lives", 13), quiet = arg(cmdline, "quiet", 1);
	uint64_t nr_ways = arg(cmdline, "ways", NR_WAYS);
	bool is_smp = arg(cmdline, "smp", 0);
	uint64_t life = (uint64_t)hypercall(HC_PARTITION_INFO, HC_INFO_RESTARTS, 0);
	uint64_t last = (uint64_t)hypercall(HC_PARTITION_INFO, HC_INFO_LAST, 0);
	unsigned way = life % nr_ways, before = (life + nr_ways - 1) % nr_ways;
	CHECK(last == (life ? ways[before].event : 0), "life %lu: event %lu ended the one before", life, last);
	look_at_memory();
	look_at_devices();
	CHECK(!is_smp || (smp_start(false) && nr_cpus > 1), "not all CPUs came");
	if (life + 1 < lives && failures == 0) {
		if (life % quiet == 0) {
			print("life %lu: %s\n", life, ways[way].name);
		}
		leave_traces();
		die_on_some_cpu(life, way);
	}
	print("life %lu: the last\n", life);
	return failures != 0;
}
