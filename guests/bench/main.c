/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long an exit takes, seen by the guest: each operation timed by the TSC, one line each:
 * "EXITBENCH name n=.. min=.. med=.. p99=.. max=.." in TSC ticks, the cost of RDTSC itself not subtracted.
 * Arguments: n=<samples>, at most 4096; mixed=1: then the operations in many forms and random order (mixed.c).
 * It asks for nothing of Bulkhead's but the port that ends it: any loader of multiboot (version 1) can run it,
 * "qemu-system-x86_64 -accel kvm -vga none -device isa-debug-exit -kernel bench.elf -append n=1000" too.
 */
#include "bench.h"

#define SELF_VEC   0x61
#define X2SELF_VEC 0x62
#define TIMER_VEC  0x63
#define LONG_US	   2000

static uint32_t samples[MAX_N];
volatile unsigned hits; /* bench_*_self: in assembly below */
static volatile uint64_t hit_tsc;
static uint64_t tsc_per_ms, lapic_per_ms, cr0, cr4;

static void on_timer(struct trap_frame *f)
{
	(void)f;
	hit_tsc = rdtsc();
	hits++;
	lapic_write(APIC_EOI, 0);
}

/* Handlers of an IPI to itself that do no more than they must: what is measured is not the library's frame */
void bench_self(void);
void bench_x2self(void);
__asm__("bench_self:\n\t"
	"pushq %rax; movl $0xfee000b0, %eax; movl $0, (%rax); incl hits; popq %rax; iretq\n"
	"bench_x2self:\n\t"
	"pushq %rax; pushq %rcx; pushq %rdx; xorl %eax, %eax; xorl %edx, %edx; movl $0x80b, %ecx; wrmsr\n\t"
	"incl hits; popq %rdx; popq %rcx; popq %rax; iretq\n");

/* The gate of @vector in the library's IDT leads to @handler from now on (SDM 3A figure 6-8) */
static void set_gate(uint8_t vector, void (*handler)(void))
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idt;
	__asm__ volatile("sidt %0" : "=m"(idt));
	uint64_t at = (uintptr_t)handler, *gate = (uint64_t *)idt.base + 2 * vector;
	gate[0] = (gate[0] & 0x0000ffffffff0000) | (at & 0xffff) | (at >> 16 & 0xffff) << 48;
	gate[1] = at >> 32;
}

static void empty(void)
{
}

static void cpuid0(void)
{
	uint32_t r[4];
	cpuid(0, 0, r);
}

void hypercall_intel(void)
{
	uint64_t a = ~0ull;
	__asm__ volatile("vmcall" : "+a"(a) : : "memory");
}

void hypercall_amd(void)
{
	uint64_t a = ~0ull;
	__asm__ volatile("vmmcall" : "+a"(a) : : "memory");
}

static void rdmsr_apicbase(void)
{
	rdmsr(0x1b);
}

static void wbinvd(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}

static void xsetbv(void)
{
	__asm__ volatile("xsetbv" : : "a"(3), "d"(0), "c"(0));
}

static void in_uart_lsr(void)
{
	inb(COM1 + 5);
}

static void in_pic(void)
{
	inb(0x21);
}

static void out_80(void)
{
	outb(0x80, 0);
}

static void in_unclaimed(void)
{
	inb(0x1e0);
}

static void mmio_version(void)
{
	lapic_read(APIC_VERSION);
}

static void mmio_tpr(void)
{
	lapic_write(APIC_TPR, 0);
}

static void mmio_unclaimed(void)
{
	*(volatile uint32_t *)0xfd000000;
}

static void x2apic_version(void)
{
	rdmsr(0x803);
}

static void x2apic_tpr(void)
{
	wrmsr(0x808, 0);
}

static void wait_hit(unsigned before)
{
	__asm__ volatile("sti; nop" : : : "memory"); /* STI's shadow is one instruction */
	while (hits == before) {
	}
	cli();
}

void ipi_self(void)
{
	unsigned before = hits;
	lapic_write(APIC_ICR, 0x40000 | SELF_VEC);
	wait_hit(before);
}

static void x2apic_ipi_self(void)
{
	unsigned before = hits;
	wrmsr(0x830, 0x40000 | X2SELF_VEC);
	wait_hit(before);
}

static void cr0_wp(void)
{
	cr0 ^= 1 << 16;
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
}

static void cr4_pge(void)
{
	cr4 ^= 1 << 7;
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

static void cr4_pse(void)
{
	cr4 ^= 1 << 4;
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

static void arm_oneshot(void)
{
	lapic_write(APIC_INIT_COUNT, 0x7fffffff);
}

static const struct op {
	const char *name;
	void (*run)(void);
} ops[] = {
	{ "empty", empty },
	{ "cpuid0", cpuid0 },
	{ "hypercall_enosys", NULL },
	{ "rdmsr_apicbase", rdmsr_apicbase },
	{ "wbinvd", wbinvd },
	{ "xsetbv", xsetbv },
	{ "in_uart_lsr", in_uart_lsr },
	{ "in_pic_0x21", in_pic },
	{ "out_0x80", out_80 },
	{ "in_unclaimed_0x1e0", in_unclaimed },
	{ "mmio_lapic_version_r", mmio_version },
	{ "mmio_lapic_tpr_w", mmio_tpr },
	{ "mmio_unclaimed_r", mmio_unclaimed },
	{ "ipi_self_whole", ipi_self },
	{ "cr0_wp_toggle", cr0_wp },
	{ "cr4_pge_toggle", cr4_pge },
	{ "cr4_pse_toggle", cr4_pse },
	{ "arm_oneshot", arm_oneshot },
};

void sort(uint32_t *a, unsigned n)
{
	for (unsigned gap = n / 2; gap > 0; gap /= 2) {
		for (unsigned i = gap; i < n; i++) {
			uint32_t v = a[i];
			unsigned k = i;
			for (; k >= gap && a[k - gap] > v; k -= gap) {
				a[k] = a[k - gap];
			}
			a[k] = v;
		}
	}
}

static void report(const char *name, uint32_t *a, unsigned n)
{
	sort(a, n);
	print("EXITBENCH %s n=%u min=%u med=%u p99=%u max=%u\n", name, n, a[0], a[n / 2], a[n * 99 / 100], a[n - 1]);
}

static void time(const char *name, void (*run)(void), unsigned n)
{
	run();
	for (unsigned i = 0; i < n; i++) {
		uint64_t start = rdtsc();
		run();
		samples[i] = (uint32_t)(rdtsc() - start);
	}
	report(name, samples, n);
}

/* How much later than asked for the handler runs when HLT sleeps for 2 ms */
static void hlt_until(const char *name, void (*arm)(uint64_t due), unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned before = hits;
		uint64_t due = rdtsc() + LONG_US * tsc_per_ms / 1000;
		arm(due);
		while (hits == before) {
			sti_hlt_cli();
		}
		samples[i] = hit_tsc > due ? (uint32_t)(hit_tsc - due) : 0;
	}
	lapic_write(APIC_TIMER, 0x10000);
	report(name, samples, n);
}

static void arm_count(uint64_t due)
{
	(void)due;
	lapic_write(APIC_INIT_COUNT, (uint32_t)(LONG_US * lapic_per_ms / 1000));
}

static void arm_deadline(uint64_t due)
{
	wrmsr(0x6e0, due);
}

static void hlt_timers(unsigned n)
{
	lapic_write(APIC_INIT_COUNT, 0);
	lapic_write(APIC_TIMER, TIMER_VEC);
	hlt_until("hlt_oneshot_long_late", arm_count, n);
	if (!cpu_has(1, 2, 24)) {
		skip("hlt_deadline_long_late", "no TSC deadline");
		return;
	}
	lapic_write(APIC_TIMER, 0x40000 | TIMER_VEC);
	__asm__ volatile("mfence" : : : "memory");
	hlt_until("hlt_deadline_long_late", arm_deadline, n);
}

/* Stays in x2APIC mode: the way back leads through an APIC that is off */
static void x2apic(unsigned n)
{
	if (!cpu_has(1, 2, 21)) {
		skip("x2apic", "not on this CPU");
		return;
	}
	wrmsr(0x1b, rdmsr(0x1b) | 0x400);
	time("x2apic_version_r", x2apic_version, n);
	time("x2apic_tpr_w", x2apic_tpr, n);
	time("x2apic_ipi_self_whole", x2apic_ipi_self, n);
}

static void calibrate(void)
{
	lapic_write(APIC_DIVIDE, 0xb);
	lapic_write(APIC_TIMER, 0x10000);
	lapic_write(APIC_INIT_COUNT, 0xffffffff);
	uint64_t start = rdtsc();
	udelay(50000);
	lapic_per_ms = (0xffffffff - lapic_read(APIC_COUNT)) / 50;
	tsc_per_ms = (rdtsc() - start) / 50;
	print("EXITBENCH tsc_khz=%lu vendor=%s\n", tsc_per_ms, is_intel() ? "Intel" : "AMD");
}

static void bench(const struct op *o, unsigned n)
{
	void (*run)(void) = o->run;
	if (!run) {
		run = is_intel() ? hypercall_intel : hypercall_amd;
	}
	if (run == xsetbv && !cpu_has(1, 2, 26)) {
		skip(o->name, "no XSAVE");
		return;
	}
	time(o->name, run, n);
}

int main(const char *cmdline)
{
	unsigned n = (unsigned)arg(cmdline, "n", 1000);
	n = n > MAX_N ? MAX_N : n < 1 ? 1 : n;
	on_interrupt(TIMER_VEC, on_timer);
	set_gate(SELF_VEC, bench_self);
	set_gate(X2SELF_VEC, bench_x2self);
	pic_init();
	lapic_write(APIC_SVR, 0x1ff);
	calibrate();
	__asm__ volatile("mov %%cr0, %0; mov %%cr4, %1" : "=r"(cr0), "=r"(cr4));
	if (cpu_has(1, 2, 26)) {
		cr4 |= 1 << 18;
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
	}
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		bench(&ops[i], n);
	}
	hlt_timers(n < 100 ? n : 100);
	if (arg(cmdline, "mixed", 0)) {
		mixed(arg(cmdline, "seed", 1), n);
	}
	x2apic(n);
	return 0;
}
