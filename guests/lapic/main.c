/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC by MMIO: timer one-shot, periodic and by TSC deadline, IPIs to itself, priorities
 * by TPR and in-service bits, order of EOIs, errors, and what software disable does.
 */
#include "lib/guest.h"

#define LOW   0x41
#define HIGH  0x91
#define TIMER 0x61
#define SELF  0x40000

static volatile unsigned hits[256], order[16], nr_order;
static volatile bool raises_high;

static void on_vector(struct trap_frame *f)
{
	hits[f->vector]++;
	if (nr_order < 16) {
		order[nr_order++] = (unsigned)f->vector;
	}
	if (f->vector == LOW && raises_high) {
		raises_high = false;
		lapic_write(APIC_ICR, SELF | HIGH);
		lapic_write(APIC_ICR, SELF | LOW); /* itself: has to wait for the EOI */
		sti();
		inb(0x61);
		cli();
		CHECK(hits[HIGH] == 1 && hits[LOW] == 1, "nesting: %u, %u", hits[HIGH], hits[LOW]);
	}
	lapic_write(APIC_EOI, 0);
}

static void open_window(void)
{
	sti();
	inb(0x61);
	cli();
}

static void self_ipi(void)
{
	lapic_write(APIC_ICR, SELF | LOW);
	CHECK(lapic_read(APIC_IRR + 0x20) == 1 << (LOW - 64), "IRR %x", lapic_read(APIC_IRR + 0x20));
	lapic_write(APIC_ICR, SELF | LOW); /* again: collapses into one */
	open_window();
	CHECK(hits[LOW] == 1, "%u", hits[LOW]);
	lapic_write(APIC_ICR_HIGH, 0);
	lapic_write(APIC_ICR, LOW); /* by its ID */
	open_window();
	CHECK(hits[LOW] == 2, "%u", hits[LOW]);
	lapic_write(APIC_ICR, 0xc0000 | LOW); /* all but itself: nobody */
	open_window();
	CHECK(hits[LOW] == 2, "%u", hits[LOW]);
	hits[LOW] = 0;
}

static void priorities(void)
{
	nr_order = 0;
	lapic_write(APIC_ICR, SELF | LOW);
	lapic_write(APIC_ICR, SELF | HIGH);
	open_window();
	CHECK(nr_order == 2 && order[0] == HIGH && order[1] == LOW, "%x, %x", order[0], order[1]);
	lapic_write(APIC_TPR, 0x50);
	lapic_write(APIC_ICR, SELF | LOW);
	lapic_write(APIC_ICR, SELF | HIGH);
	open_window();
	CHECK(nr_order == 3 && order[2] == HIGH, "TPR 0x50: %u, %x", nr_order, order[2]);
	lapic_write(APIC_TPR, 0);
	open_window();
	CHECK(nr_order == 4 && order[3] == LOW, "TPR 0: %u, %x", nr_order, order[3]);
	hits[LOW] = hits[HIGH] = 0;
	raises_high = true;
	lapic_write(APIC_ICR, SELF | LOW);
	open_window();
	CHECK(hits[LOW] == 2, "LOW after its EOI: %u", hits[LOW]);
}

/* Up to 200 ms for @n timer interrupts */
static void wait_for(unsigned n)
{
	sti();
	for (unsigned i = 0; i < 400 && hits[TIMER] < n; i++) {
		udelay(500);
	}
	cli();
	CHECK(hits[TIMER] >= n, "%u timer interrupts, not %u", hits[TIMER], n);
}

static void timer(void)
{
	lapic_write(APIC_DIVIDE, 0xb); /* by 1 */
	lapic_write(APIC_TIMER, TIMER);
	lapic_write(APIC_INIT_COUNT, 0xffffffff);
	udelay(10000);
	uint32_t per_ms = (0xffffffff - lapic_read(APIC_COUNT)) / 10;
	lapic_write(APIC_INIT_COUNT, per_ms * 2);
	wait_for(1);
	udelay(5000);
	CHECK(hits[TIMER] == 1 && lapic_read(APIC_COUNT) == 0, "one-shot: %u", hits[TIMER]);
	hits[TIMER] = 0;
	lapic_write(APIC_TIMER, 0x20000 | TIMER);
	lapic_write(APIC_INIT_COUNT, per_ms);
	wait_for(10);
	lapic_write(APIC_TIMER, 0x10000 | TIMER);
	open_window(); /* one may still wait in IRR */
	hits[TIMER] = 0;
	sti();
	udelay(3000);
	cli();
	CHECK(hits[TIMER] == 0, "masked");
	lapic_write(APIC_INIT_COUNT, 0);
}

static void deadline(void)
{
	if (!cpu_has(1, 2, 24)) {
		skip("TSC deadline", "not on this CPU");
		return;
	}
	hits[TIMER] = 0;
	lapic_write(APIC_TIMER, 0x40000 | TIMER);
	uint64_t start = rdtsc();
	udelay(1000);
	uint64_t ms = rdtsc() - start, at = rdtsc() + 2 * ms;
	wrmsr(0x6e0, at);
	uint64_t armed = rdmsr(0x6e0);
	CHECK(armed == at || (armed == 0 && rdtsc() >= at), "%lx, not %lx", armed, at);
	while (rdtsc() < at - ms / 2) {
		CHECK(!(lapic_read(APIC_IRR + 0x30) >> (TIMER - 96) & 1) || rdtsc() >= at, "early");
		udelay(50);
	}
	wait_for(1);
	CHECK(rdtsc() >= at && rdmsr(0x6e0) == 0, "deadline left: %lx", rdmsr(0x6e0));
	wrmsr(0x6e0, 1); /* long ago: at once */
	wait_for(2);
	wrmsr(0x6e0, rdtsc() + 2 * ms);
	wrmsr(0x6e0, 0);
	sti();
	udelay(4000);
	cli();
	CHECK(hits[TIMER] == 2, "disarmed");
	lapic_write(APIC_TIMER, 0x10000);
}

/* An illegal vector; then software disable: LVTs are masked, IPIs go nowhere */
static void errors(void)
{
	lapic_write(0x280, 0);
	lapic_write(APIC_ICR, SELF | 5);
	lapic_write(0x280, 0);
	CHECK(lapic_read(0x280) & 0x60, "ESR %x", lapic_read(0x280));
	lapic_write(APIC_SVR, 0xff);
	lapic_write(APIC_TIMER, TIMER);
	CHECK(lapic_read(APIC_TIMER) == (0x10000 | TIMER), "LVT %x", lapic_read(APIC_TIMER));
	hits[LOW] = 0;
	lapic_write(APIC_ICR, SELF | LOW);
	open_window();
	CHECK(hits[LOW] == 0, "delivered though disabled");
	lapic_write(APIC_SVR, 0x1ff);
}

int main(const char *cmdline)
{
	(void)cmdline;
	on_interrupt(LOW, on_vector);
	on_interrupt(HIGH, on_vector);
	on_interrupt(TIMER, on_vector);
	pic_init();
	lapic_write(APIC_SVR, 0x1ff);
	lapic_write(APIC_TPR, 0);
	self_ipi();
	priorities();
	timer();
	deadline();
	if (is_hosted()) {
		errors();
	}
	return (int)failures;
}
