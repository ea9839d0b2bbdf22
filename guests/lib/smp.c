/* SPDX-License-Identifier: BSD-2-Clause */
/* The SMP half of the guests' runtime; see smp.h. */
#include "smp.h"

#define AP_STACK   8192
#define APIC_BASE  0x1b
#define X2APIC_ON  0xc00
#define GS_BASE	   0xc0000101
#define MADT_LAPIC 0
#define MADT_X2    9

struct cpu cpus[SMP_MAX];
unsigned nr_cpus;
bool smp_is_madt, smp_is_x2apic;
extern char ap_start[], ap_end[];
uint8_t ap_index[256]; /* by initial APIC ID */
char ap_stacks[SMP_MAX][AP_STACK] __attribute__((aligned(16)));

void ap_main(uint32_t index, uint32_t cr0, uint32_t edx, uint32_t cs);

uint32_t apic_read(uint32_t reg)
{
	return smp_is_x2apic ? (uint32_t)rdmsr(0x800 + reg / 16) : lapic_read(reg);
}

void apic_write(uint32_t reg, uint32_t v)
{
	if (smp_is_x2apic) {
		wrmsr(0x800 + reg / 16, v);
	} else {
		lapic_write(reg, v);
	}
}

/* x2APIC's ICR is one MSR; xAPIC's is two words, of which the low one sends */
void ipi_send(uint32_t dest, uint32_t icr)
{
	icr |= 0x4000; /* assert: only INIT's de-assertion, long gone, lacks it */
	if (smp_is_x2apic) {
		__asm__ volatile("mfence" : : : "memory"); /* WRMSR to the APIC does not order stores */
		wrmsr(0x830, (uint64_t)dest << 32 | icr);
		return;
	}
	while (lapic_read(APIC_ICR) & 0x1000) {
		pause();
	}
	lapic_write(APIC_ICR_HIGH, dest << 24);
	lapic_write(APIC_ICR, icr);
}

void count_irq(struct trap_frame *f)
{
	this_cpu()->taken[f->vector]++;
	apic_write(APIC_EOI, 0);
}

void count_nmi(struct trap_frame *f)
{
	this_cpu()->taken[f->vector]++;
}

unsigned taken(uint8_t v)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < nr_cpus; i++) {
		sum += cpus[i].taken[v];
	}
	return sum;
}

void taken_clear(void)
{
	for (unsigned i = 0; i < nr_cpus; i++) {
		for (unsigned v = 0; v < 256; v++) {
			cpus[i].taken[v] = 0;
		}
	}
}

void lock(struct spinlock *l)
{
	uint32_t mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != mine) {
		pause();
	}
}

void unlock(struct spinlock *l)
{
	__atomic_store_n(&l->serving, l->serving + 1, __ATOMIC_RELEASE);
}

void barrier(struct barrier *b, unsigned nr)
{
	uint32_t round = __atomic_load_n(&b->round, __ATOMIC_ACQUIRE);
	if (__atomic_add_fetch(&b->here, 1, __ATOMIC_ACQ_REL) == nr) {
		b->here = 0;
		__atomic_store_n(&b->round, round + 1, __ATOMIC_RELEASE);
	}
	while (__atomic_load_n(&b->round, __ATOMIC_ACQUIRE) == round) {
		pause();
	}
}

static uint32_t word(uint64_t at)
{
	uint32_t v;
	memcpy(&v, (const void *)at, sizeof(v));
	return v;
}

static uint64_t find_rsdp(void)
{
	for (uint64_t at = 0xe0000; at < 0x100000; at += 16) {
		if (word(at) == 0x20445352 && word(at + 4) == 0x20525450) { /* "RSD PTR " */
			return at;
		}
	}
	return 0;
}

static uint64_t find_madt(void)
{
	uint64_t rsdp = find_rsdp();
	uint64_t rsdt = rsdp ? word(rsdp + 16) : 0;
	for (uint64_t at = rsdt + 36; rsdt && at < rsdt + word(rsdt + 4); at += 4) {
		if (word(word(at)) == 0x43495041) { /* "APIC" */
			return word(at);
		}
	}
	return 0;
}

static void add_cpu(uint32_t apic_id)
{
	if (nr_cpus < SMP_MAX && apic_id < 256) {
		ap_index[apic_id] = (uint8_t)nr_cpus;
		cpus[nr_cpus] = (struct cpu){ &cpus[nr_cpus], .index = nr_cpus, .apic_id = apic_id };
		nr_cpus++;
	}
}

/* The caller comes first */
static void find_cpus(void)
{
	uint32_t r[4];
	cpuid(1, 0, r);
	uint32_t self = r[1] >> 24, nr = cpu_has(1, 3, 28) ? r[1] >> 16 & 0xff : 1;
	uint64_t madt = find_madt(), end = madt ? madt + word(madt + 4) : 0;
	add_cpu(self);
	for (uint64_t at = madt + 44; at < end; at += *(uint8_t *)(at + 1)) {
		uint8_t type = *(uint8_t *)at;
		uint32_t id = type == MADT_X2 ? word(at + 4) : *(uint8_t *)(at + 3);
		bool is_enabled = word(at + (type == MADT_X2 ? 8 : 4)) & 1;
		if ((type == MADT_LAPIC || type == MADT_X2) && is_enabled && id != self) {
			add_cpu(id);
		}
	}
	smp_is_madt = madt;
	for (uint32_t id = 0; !madt && id < nr; id++) {
		if (id != self) {
			add_cpu(id);
		}
	}
}

void apic_enable(void)
{
	if (smp_is_x2apic) {
		wrmsr(APIC_BASE, rdmsr(APIC_BASE) | X2APIC_ON);
	}
	apic_write(APIC_SVR, 0x100 | VECTOR_SPURIOUS);
}

static void on_wake(struct trap_frame *f)
{
	(void)f;
	apic_write(APIC_EOI, 0);
}

static void be_cpu(struct cpu *c)
{
	wrmsr(GS_BASE, (uint64_t)c);
	apic_enable();
}

void ap_main(uint32_t index, uint32_t cr0, uint32_t edx, uint32_t cs)
{
	struct cpu *c = &cpus[index];
	idt_load();
	be_cpu(c);
	c->cr0 = cr0;
	c->edx = edx;
	c->cs = cs;
	__atomic_add_fetch(&c->starts, 1, __ATOMIC_RELEASE);
	for (;;) {
		void (*work)(void *) = __atomic_load_n(&c->work, __ATOMIC_ACQUIRE);
		if (!work) {
			sti_hlt_cli();
			continue;
		}
		sti();
		work(c->arg);
		cli();
		__atomic_store_n(&c->work, NULL, __ATOMIC_RELEASE);
	}
}

/* SDM 3A 9.4.4.1 "Typical BSP Initialization Sequence"; the second one is for CPUs that missed the first */
bool smp_boot(struct cpu *c)
{
	uint32_t before = c->starts;
	c->work = NULL;
	ipi_send(c->apic_id, IPI_INIT);
	udelay(10000);
	ipi_send(c->apic_id, IPI_SIPI | AP_PAGE >> 12);
	if (!WAIT(c->starts != before, 10)) {
		ipi_send(c->apic_id, IPI_SIPI | AP_PAGE >> 12);
	}
	return WAIT(c->starts != before, 1000);
}

bool smp_start(bool x2apic)
{
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	find_cpus();
	smp_is_x2apic = x2apic && cpu_has(1, 2, 21);
	on_interrupt(VECTOR_WAKE, on_wake);
	on_interrupt(VECTOR_SPURIOUS, count_nmi); /* no end of interrupt for a spurious one */
	be_cpu(&cpus[0]);
	memcpy((void *)AP_PAGE, ap_start, (size_t)(ap_end - ap_start));
	bool is_all = true;
	for (unsigned i = 1; i < nr_cpus; i++) {
		is_all &= smp_boot(&cpus[i]);
	}
	return is_all;
}

void smp_call(struct cpu *c, void (*fn)(void *), void *arg)
{
	c->arg = arg;
	__atomic_store_n(&c->work, fn, __ATOMIC_RELEASE);
	ipi_send(c->apic_id, VECTOR_WAKE);
}

bool smp_wait(struct cpu *c, unsigned ms)
{
	return WAIT(!__atomic_load_n(&c->work, __ATOMIC_ACQUIRE), ms);
}

bool smp_all(void (*fn)(void *), void *arg, unsigned ms)
{
	bool is_all = true;
	for (unsigned i = 1; i < nr_cpus; i++) {
		smp_call(&cpus[i], fn, arg);
	}
	sti(); /* until all have ended: others may want an answer of this CPU */
	fn(arg);
	for (unsigned i = 1; i < nr_cpus; i++) {
		is_all &= smp_wait(&cpus[i], ms);
	}
	cli();
	return is_all;
}
