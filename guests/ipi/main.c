/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts between CPUs: each delivery mode, shorthand and destination format reaches the CPUs it
 * names, once, and nobody else. NMI and INIT reach CPUs that take no interrupts; a startup IPI counts
 * only after INIT. x2apic=1: by MSRs, else by MMIO. What emulated hardware itself gets wrong is
 * asked of a hypervisor only.
 */
#include "lib/smp.h"

#define V1	0x41
#define V2	0x91
#define NOBODY	0u
#define NMI	2
#define FLAT	0xffffffff
#define CLUSTER 0x0fffffff

static volatile bool is_spinning, may_go;

static uint32_t everybody(void)
{
	return (1u << nr_cpus) - 1;
}

static unsigned nr_of(uint32_t set)
{
	unsigned n = 0;
	for (; set; set &= set - 1) {
		n++;
	}
	return n;
}

static uint32_t who_took(uint8_t v)
{
	uint32_t set = 0;
	for (unsigned i = 0; i < nr_cpus; i++) {
		set |= cpus[i].taken[v] ? 1u << i : 0;
	}
	return set;
}

/* @icr to @dest is taken by exactly the CPUs in @want, once each */
static void expect(const char *what, uint32_t dest, uint32_t icr, uint32_t want)
{
	uint8_t v = (icr & 0x700) == IPI_NMI ? NMI : (uint8_t)icr;
	taken_clear();
	sti();
	ipi_send(dest, icr);
	WAIT(who_took(v) == want, want ? 1000 : 1);
	udelay(300); /* for those that must not come */
	cli();
	CHECK(who_took(v) == want, "%s to %x: taken by %x, not %x", what, dest, who_took(v), want);
	CHECK(taken(v) == nr_of(want), "%s to %x: %u times", what, dest, taken(v));
}

static void physical(void)
{
	for (unsigned i = 0; i < nr_cpus; i++) {
		expect("physical", cpus[i].apic_id, V1, 1u << i);
		expect("NMI", cpus[i].apic_id, IPI_NMI, 1u << i);
		if (is_hosted()) { /* Bochs drops it */
			expect("lowest priority, physical", cpus[i].apic_id, IPI_LOWEST | V2, 1u << i);
		}
	}
	expect("physical, absent", 0xee, V1, NOBODY);
	expect("physical broadcast", smp_is_x2apic ? 0xffffffff : 0xff, V1, everybody());
}

static void shorthands(void)
{
	expect("self", 0, IPI_SELF | V1, 1);
	expect("all", 0, IPI_ALL | V1, everybody());
	expect("others", 0, IPI_OTHERS | V1, everybody() & ~1u);
	expect("NMI to others", 0, IPI_OTHERS | IPI_NMI, everybody() & ~1u);
}

/* Exactly one of those named takes it: which one is the CPU's own business */
static void lowest(const char *what, uint32_t dest, uint32_t may)
{
	taken_clear();
	sti();
	for (unsigned i = 1; i <= 8; i++) {
		ipi_send(dest, IPI_LOGICAL | IPI_LOWEST | V1);
		CHECK(WAIT(taken(V1) >= i, 1000), "%s: lost", what);
	}
	udelay(300);
	cli();
	CHECK(taken(V1) == 8 && !(who_took(V1) & ~may), "%s: %u times, by %x", what, taken(V1), who_took(V1));
}

static uint32_t ldr_of(const struct cpu *c, uint32_t dfr)
{
	return dfr == FLAT ? 1u << c->index : (c->index / 2) << 4 | 1u << c->index % 2;
}

static void set_model(void *arg)
{
	uint32_t dfr = *(uint32_t *)arg;
	apic_write(APIC_DFR, dfr);
	apic_write(APIC_LDR, ldr_of(this_cpu(), dfr) << 24);
}

static void flat(void)
{
	uint32_t dfr = FLAT;
	CHECK(smp_all(set_model, &dfr, 1000), "flat model");
	for (uint32_t set = 0; set <= everybody(); set++) {
		expect("logical flat", set, IPI_LOGICAL | V1, set);
	}
	expect("logical flat", 0xff, IPI_LOGICAL | V1, everybody());
	expect("logical NMI", 0x03, IPI_LOGICAL | IPI_NMI, 3);
	lowest("lowest priority, flat", 0xff, everybody());
	lowest("lowest priority, flat", 0x02, 2);
}

static void cluster(void)
{
	uint32_t dfr = CLUSTER;
	CHECK(smp_all(set_model, &dfr, 1000), "cluster model");
	for (unsigned i = 0; i < nr_cpus; i += 2) {
		uint32_t id = i / 2 << 4, pair = 3u << i & everybody();
		expect("cluster", id | 1, IPI_LOGICAL | V1, 1u << i);
		expect("cluster", id | 2, IPI_LOGICAL | V1, 2u << i & everybody());
		expect("cluster", id | 3, IPI_LOGICAL | V2, pair);
		expect("cluster", id, IPI_LOGICAL | V1, NOBODY);
		lowest("lowest priority, cluster", id | 3, pair);
	}
	expect("cluster, absent", 0x71, IPI_LOGICAL | V1, NOBODY);
	if (is_hosted()) { /* QEMU drops it */
		expect("cluster broadcast", 0xff, IPI_LOGICAL | V1, everybody());
	}
	dfr = FLAT;
	CHECK(smp_all(set_model, &dfr, 1000), "flat model");
}

/* SDM 3A 11.12.10.2 "Deriving Logical x2APIC ID from the Local x2APIC ID" */
static void x2_logical(void)
{
	CHECK(apic_read(APIC_LDR) == ((cpus[0].apic_id >> 4) << 16 | 1u << (cpus[0].apic_id & 15)), "LDR %x",
	      apic_read(APIC_LDR));
	for (uint32_t set = 1; set <= everybody(); set++) {
		uint32_t dest = 0;
		for (unsigned i = 0; i < nr_cpus; i++) {
			dest |= set >> i & 1 ? 1u << cpus[i].apic_id : 0;
		}
		expect("x2APIC logical", dest, IPI_LOGICAL | V1, set);
	}
	expect("x2APIC logical, other cluster", 0x10001, IPI_LOGICAL | V1, NOBODY);
	expect("x2APIC logical broadcast", 0xffffffff, IPI_LOGICAL | V1, everybody());
	lowest("lowest priority, x2APIC", 3, 3);
	taken_clear();
	wrmsr(0x83f, V1); /* SELF IPI */
	sti();
	WAIT(taken(V1), 1000);
	cli();
	CHECK(who_took(V1) == 1, "self IPI register: %x", who_took(V1));
}

static void set_tpr(void *arg)
{
	apic_write(APIC_TPR, *(uint32_t *)arg);
}

static void priorities(struct cpu *c)
{
	uint32_t tpr = 0x50;
	smp_call(c, set_tpr, &tpr);
	CHECK(smp_wait(c, 1000), "TPR");
	expect("below TPR", c->apic_id, V1, NOBODY);
	expect("above TPR", c->apic_id, V2, 1u << c->index);
	tpr = 0;
	smp_call(c, set_tpr, &tpr);
	CHECK(smp_wait(c, 1000) && WAIT(c->taken[V1] == 1, 1000), "pended: %u", c->taken[V1]);
}

static void spin(void *arg)
{
	(void)arg;
	cli();
	is_spinning = true;
	while (!may_go) {
		pause();
	}
	sti();
}

static void halt(void *arg)
{
	(void)arg;
	__asm__ volatile("cli" : : : "memory");
	is_spinning = true;
	__asm__ volatile("hlt" : : : "memory");
}

static void start_call(struct cpu *c, void (*fn)(void *))
{
	is_spinning = may_go = false;
	smp_call(c, fn, NULL);
	CHECK(WAIT(is_spinning, 1000), "CPU %u does not come", c->index);
	udelay(100);
}

/*
 * With an interrupt already waiting for the CPU's STI. Bochs as a host keeps our own kick from a guest
 * that was entered with IF=0, so there it waits as well.
 */
static void expect_last_nmi(const struct cpu *c)
{
	uint32_t fixed = c->taken[V1];
	if (!is_lax()) { /* among our beds: Bochs */
		skip("NMI behind a waiting interrupt", "Bochs as a host loses interrupts after an entry with IF=0");
		return;
	}
	expect("NMI, IF=0, behind a fixed one", c->apic_id, IPI_NMI, 1u << c->index);
	CHECK(c->taken[V1] == fixed, "fixed with IF=0");
}

/* A CPU with IF=0 keeps an interrupt until STI, and takes an NMI at once, out of HLT too */
static void interrupts_off(struct cpu *c)
{
	start_call(c, spin);
	expect("NMI, IF=0", c->apic_id, IPI_NMI, 1u << c->index);
	expect("fixed, IF=0", c->apic_id, V1, NOBODY);
	expect_last_nmi(c);
	may_go = true;
	CHECK(smp_wait(c, 1000) && WAIT(c->taken[V1] == 1, 1000), "after STI: %u", c->taken[V1]);
	start_call(c, halt);
	expect("NMI, halted with IF=0", c->apic_id, IPI_NMI, 1u << c->index);
	CHECK(smp_wait(c, 1000), "still halted");
}

static void read_tpr(void *arg)
{
	*(volatile uint32_t *)arg = apic_read(APIC_TPR);
}

/* SDM 3A table 10-1: INIT clears DR0 to DR3, and leaves XMM registers alone */
static void set_registers(void *arg)
{
	const uint64_t *value = arg;
	__asm__ volatile("mov %0, %%dr0; mov %0, %%dr3; movq %0, %%xmm5" : : "r"(*value));
}

static void read_registers(void *arg)
{
	uint64_t *value = arg;
	__asm__ volatile("mov %%dr0, %0; mov %%dr3, %1; movq %%xmm5, %2"
			 : "=r"(value[0]), "=r"(value[1]), "=r"(value[2]));
}

static void registers_after_init(struct cpu *c)
{
	uint64_t value[3] = { 0x12345678 };
	smp_call(c, set_registers, value);
	CHECK(smp_wait(c, 1000), "registers not set");
	CHECK(smp_boot(c), "no restart");
	value[0] = value[1] = 1;
	smp_call(c, read_registers, value);
	CHECK(smp_wait(c, 1000), "registers not read");
	CHECK(value[0] == 0 && value[1] == 0, "DR0 %lx DR3 %lx after INIT", value[0], value[1]);
	CHECK(value[2] == 0x12345678, "XMM5 %lx after INIT", value[2]);
}

/* INIT stops a CPU whatever it does and resets its APIC; a startup IPI to a running one is ignored */
static void init(struct cpu *c)
{
	uint32_t tpr = 0x20, starts = c->starts;
	smp_call(c, set_tpr, &tpr);
	CHECK(smp_wait(c, 1000), "TPR");
	ipi_send(c->apic_id, IPI_SIPI | AP_PAGE >> 12);
	udelay(1000);
	CHECK(c->starts == starts, "startup IPI restarts a running CPU");
	expect("fixed after a startup IPI", c->apic_id, V1, 1u << c->index);
	ipi_send(c->apic_id, IPI_INIT);
	udelay(1000);
	expect("fixed, waiting for a startup IPI", c->apic_id, V1, NOBODY);
	CHECK(smp_boot(c), "no restart out of HLT");
	smp_call(c, read_tpr, &tpr);
	CHECK(smp_wait(c, 1000) && tpr == 0, "TPR %x after INIT", tpr);
	expect("fixed after INIT", c->apic_id, V1, 1u << c->index);
	start_call(c, spin);
	CHECK(smp_boot(c), "no restart out of a loop with IF=0");
	expect("NMI after INIT", c->apic_id, IPI_NMI, 1u << c->index);
	CHECK(c->starts == starts + 2, "%u starts", c->starts - starts);
	registers_after_init(c);
}

static void init_all(void)
{
	unsigned before = 0, now = 0;
	for (unsigned i = 1; i < nr_cpus; i++) {
		before += cpus[i].starts;
	}
	ipi_send(0, IPI_OTHERS | IPI_INIT);
	udelay(10000);
	ipi_send(0, IPI_OTHERS | IPI_SIPI | AP_PAGE >> 12);
	for (unsigned ms = 0; ms < 1000 && now != before + nr_cpus - 1; ms++) {
		udelay(1000);
		now = 0;
		for (unsigned i = 1; i < nr_cpus; i++) {
			now += cpus[i].starts;
		}
	}
	CHECK(now == before + nr_cpus - 1, "%u starts by shorthand", now - before);
	expect("others, restarted", 0, IPI_OTHERS | V2, everybody() & ~1u);
}

int main(const char *cmdline)
{
	bool wants_x2 = arg(cmdline, "x2apic", 0);
	if (wants_x2 && !cpu_has(1, 2, 21)) {
		skip("x2APIC", "CPUID has none");
		return 0;
	}
	on_interrupt(V1, count_irq);
	on_interrupt(V2, count_irq);
	on_interrupt(NMI, count_nmi);
	if (!smp_start(wants_x2) || nr_cpus < 2) {
		CHECK(false, "%u CPUs, not all came", nr_cpus);
		return (int)failures;
	}
	physical();
	shorthands();
	if (smp_is_x2apic && !is_hosted()) {
		skip("x2APIC logical destinations", "Bochs itself has no LDR then");
	} else if (smp_is_x2apic) {
		x2_logical();
	} else {
		flat();
		cluster();
	}
	priorities(&cpus[nr_cpus - 1]);
	interrupts_off(&cpus[1]);
	for (unsigned i = 1; i < nr_cpus; i++) {
		init(&cpus[i]);
	}
	init_all();
	CHECK(taken(VECTOR_SPURIOUS) == 0, "%u spurious interrupts", taken(VECTOR_SPURIOUS));
	return (int)failures;
}
