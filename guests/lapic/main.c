/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC by MMIO: which bits registers have, IPIs to itself by shorthand, ID, flat and cluster
 * sets, which of them are legal, priorities by TPR, CR8 and in-service bits, order of EOIs, errors, what
 * software disable does. The timer: one-shot, periodic, by TSC deadline, and from one to another.
 */
#include "lib/guest.h"

#define LOW   0x41
#define HIGH  0x91
#define TIMER 0x61
#define ERROR 0x71
#define SELF  0x40000

enum { LDR = 0xd0, DFR = 0xe0, TMR = 0x180, ESR = 0x280, THERMAL = 0x330, LINT1 = 0x360, LVT_ERROR = 0x370 };

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

/* A pattern of all ones leaves the bits that exist (SDM 3A 11.4 to 11.6), on a P6 family CPU and later */
static void registers(void)
{
	static const struct {
		uint16_t reg;
		uint32_t ones, bits, zero;
	} t[] = {
		{ APIC_TPR, 0xff, 0xff, 0 },
		{ LDR, 0xffffffff, 0xff000000, 0 },
		{ DFR, 0, 0x0fffffff, 0xffffffff },
		{ APIC_ICR_HIGH, 0xffffffff, 0xff000000, 0 },
		{ APIC_TIMER, 0xfffbffff, 0x300ff, 0x10000 },
		{ THERMAL, 0xffffffff, 0x107ff, 0x10000 },
		{ LINT1, 0xffffffff, 0x1a7ff, 0x10000 },
		{ LVT_ERROR, 0xffffffff, 0x100ff, 0x10000 },
		{ APIC_DIVIDE, 0xffffffff, 0xb, 0 },
		{ APIC_VERSION, 0, 0x50014, 0 },
		{ APIC_ID, 0xffffffff, 0, 0 },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]) && is_hosted(); i++) {
		lapic_write(t[i].reg, t[i].ones);
		CHECK(lapic_read(t[i].reg) == t[i].bits, "%x: %x", t[i].reg, lapic_read(t[i].reg));
		lapic_write(t[i].reg, t[i].zero);
	}
	CHECK((lapic_read(APIC_VERSION) & 0xf0) == 0x10 && lapic_read(APIC_VERSION) >> 16 >= 3, "version %x",
	      lapic_read(APIC_VERSION));
}

static void send(uint8_t dest, uint32_t icr, unsigned expected, const char *what)
{
	hits[LOW] = 0;
	lapic_write(APIC_ICR_HIGH, (uint32_t)dest << 24);
	lapic_write(APIC_ICR, icr | LOW);
	open_window();
	CHECK(hits[LOW] == expected, "%s: %u", what, hits[LOW]);
}

/* SDM 3A 11.6.2 "Determining IPI Destination" */
static void destinations(void)
{
	send(1, 0, 0, "ID of somebody else");
	send(0xff, 0, 1, "physical broadcast");
	lapic_write(DFR, 0xffffffff);
	lapic_write(LDR, 0x24000000);
	send(0x04, 0x800, 1, "flat, one bit");
	send(0xfb, 0x800, 1, "flat, the other bit among others");
	send(0xdb, 0x800, 0, "flat, neither");
	send(0xff, 0x800, 1, "flat broadcast");
	send(0x20, 0x900, 1, "lowest priority");
	lapic_write(DFR, 0x0fffffff);
	send(0x26, 0x800, 1, "cluster 2");
	send(0x2b, 0x800, 0, "cluster 2, others of it");
	send(0x14, 0x800, 0, "cluster 1");
	lapic_write(DFR, 0xffffffff);
	lapic_write(LDR, 0);
	send(0x01, 0x800, 0, "logical ID 0");
	send(0, 0x80000, 1, "all including itself");
	send(0, 0x88500, 0, "INIT level de-assert to all");
	if (is_hosted()) {
		lapic_write(DFR, 0x0fffffff); /* QEMU has no broadcast here */
		send(0xff, 0x800, 1, "cluster broadcast");
		lapic_write(DFR, 0xffffffff);
		send(0, SELF | 0x8000, 1, "level-triggered is an edge");
		CHECK(lapic_read(TMR + 0x20) == 0, "TMR %x", lapic_read(TMR + 0x20));
		send(0, SELF | 0x400, 0, "NMI to itself by shorthand: illegal");
		send(0, SELF | 0x500, 0, "INIT to itself: illegal");
		send(0, 0x80600, 0, "start-up to all including itself: illegal");
		send(0, 0x300, 0, "mode 3: reserved");
	}
	hits[LOW] = 0;
}

static void set_cr8(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr8" : : "r"(v) : "memory");
}

static uint64_t cr8(void)
{
	uint64_t v;
	__asm__ volatile("mov %%cr8, %0" : "=r"(v));
	return v;
}

static void on_ppr(struct trap_frame *f)
{
	(void)f;
	hits[LOW]++;
	CHECK(lapic_read(APIC_PPR) == (LOW & 0xf0), "PPR in service %x", lapic_read(APIC_PPR));
	CHECK(lapic_read(APIC_ISR + 0x20) == 1 << (LOW - 64), "ISR %x", lapic_read(APIC_ISR + 0x20));
	CHECK(lapic_read(APIC_IRR + 0x20) == 0, "IRR %x", lapic_read(APIC_IRR + 0x20));
	lapic_write(APIC_TPR, 0x93);
	CHECK(lapic_read(APIC_PPR) == 0x93, "PPR by TPR %x", lapic_read(APIC_PPR));
	lapic_write(APIC_TPR, 0x23);
	CHECK(lapic_read(APIC_PPR) == (LOW & 0xf0), "PPR by ISR %x", lapic_read(APIC_PPR));
	lapic_write(APIC_EOI, 0);
	CHECK(lapic_read(APIC_ISR + 0x20) == 0, "ISR after EOI %x", lapic_read(APIC_ISR + 0x20));
	CHECK(lapic_read(APIC_PPR) == 0x23, "PPR after EOI %x", lapic_read(APIC_PPR));
}

static void task_priority(void)
{
	hits[LOW] = 0;
	on_interrupt(LOW, on_ppr);
	lapic_write(APIC_ICR, SELF | LOW);
	open_window();
	CHECK(hits[LOW] == 1, "%u", hits[LOW]);
	on_interrupt(LOW, on_vector);
	if (cr8() != 2 && is_lax()) {
		skip("CR8 of TPR", "QEMU 10 as an SVM host ignores the intercept of its reads");
	} else {
		CHECK(cr8() == 2, "CR8 of TPR 23: %lx", cr8());
	}
	set_cr8(4);
	CHECK(lapic_read(APIC_TPR) == 0x40 && cr8() == 4, "TPR of CR8 4: %x", lapic_read(APIC_TPR));
	lapic_write(APIC_ICR, SELF | LOW); /* same class: waits */
	open_window();
	CHECK(hits[LOW] == 1, "%u", hits[LOW]);
	set_cr8(3);
	open_window();
	CHECK(hits[LOW] == 2, "%u", hits[LOW]);
	set_cr8(0);
	lapic_write(APIC_EOI, 0); /* nothing in service: nothing happens */
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

/* What is written while the timer runs */
static void timer_changes(void)
{
	lapic_write(APIC_TIMER, 0x10000 | TIMER);
	lapic_write(APIC_DIVIDE, 0xa); /* by 128 */
	lapic_write(APIC_INIT_COUNT, 0xf0000000);
	udelay(1000);
	uint32_t left = lapic_read(APIC_COUNT);
	CHECK(left > 0xe0000000 && left < 0xf0000000, "count %x", left);
	CHECK(lapic_read(APIC_INIT_COUNT) == 0xf0000000, "initial count %x", lapic_read(APIC_INIT_COUNT));
	lapic_write(APIC_COUNT, 5); /* read-only */
	lapic_write(APIC_TIMER, 0x30000 | TIMER); /* periodic: goes on counting */
	uint32_t now = lapic_read(APIC_COUNT);
	CHECK(now <= left && now > left - 0x8000000, "periodic: %x after %x", now, left);
	if (is_hosted()) { /* where the counter goes on with the new divisor from where it is */
		lapic_write(APIC_DIVIDE, 0x9);
		left = lapic_read(APIC_COUNT);
		CHECK(left <= now && left > now - 0x8000000, "divisor: %x after %x", left, now);
	}
	lapic_write(APIC_INIT_COUNT, 0);
	CHECK(lapic_read(APIC_COUNT) == 0, "stopped: %x", lapic_read(APIC_COUNT));
	lapic_write(APIC_DIVIDE, 0xb);
}

/* TSC deadline on and off: each switch disarms, and each half of the timer is dead in the other's mode */
static void timer_modes(uint64_t ms)
{
	hits[TIMER] = 0;
	lapic_write(APIC_TIMER, 0x40000 | TIMER);
	wrmsr(0x6e0, rdtsc() + 20 * ms);
	lapic_write(APIC_TIMER, TIMER);
	CHECK(rdmsr(0x6e0) == 0, "deadline left: %lx", rdmsr(0x6e0));
	wrmsr(0x6e0, rdtsc() + ms);
	CHECK(rdmsr(0x6e0) == 0, "deadline in one-shot mode: %lx", rdmsr(0x6e0));
	lapic_write(APIC_INIT_COUNT, 20000000);
	lapic_write(APIC_TIMER, 0x40000 | TIMER);
	CHECK(lapic_read(APIC_COUNT) == 0, "count in deadline mode: %x", lapic_read(APIC_COUNT));
	lapic_write(APIC_INIT_COUNT, 1000);
	CHECK(lapic_read(APIC_COUNT) == 0, "count in deadline mode: %x", lapic_read(APIC_COUNT));
	sti();
	udelay(25000);
	cli();
	CHECK(hits[TIMER] == 0, "disarmed, but %u", hits[TIMER]);
	lapic_write(APIC_TIMER, 0x50000 | TIMER);
	uint64_t at = rdtsc() + ms / 4;
	wrmsr(0x6e0, at);
	while (rdtsc() < at) {
		__asm__ volatile("pause");
	}
	CHECK(rdmsr(0x6e0) == 0, "masked, it expires too: %lx", rdmsr(0x6e0));
	wrmsr(0x6e0, ~0ull); /* in some centuries */
	CHECK(rdmsr(0x6e0) == ~0ull, "%lx", rdmsr(0x6e0));
	wrmsr(0x6e0, 0);
	sti();
	lapic_write(APIC_TIMER, 0x40000 | TIMER);
	udelay(1000);
	cli();
	CHECK(hits[TIMER] == 0, "expired while masked, but %u", hits[TIMER]);
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
	wrmsr(0x6e0, rdtsc() + 20 * ms);
	wrmsr(0x6e0, 0);
	sti();
	udelay(25000);
	cli();
	CHECK(hits[TIMER] == 2, "disarmed");
	timer_modes(ms);
	lapic_write(APIC_TIMER, 0x10000);
}

/* Takes the interrupt from the 8259 by its poll command, which lets its output fall */
static void poll_pic(void)
{
	outb(0x20, 0x0c);
	inb(0x20);
	outb(0x20, 0x20);
}

static void on_lint0(struct trap_frame *f)
{
	hits[f->vector]++;
	poll_pic();
	if (f->vector != 2) {
		lapic_write(APIC_EOI, 0);
	}
}

static void lint0_as(uint32_t lvt, uint8_t vector, const char *what)
{
	hits[vector] = 0;
	lapic_write(APIC_LINT0, lvt);
	poll_pic(); /* a line that is high already has no edge */
	sti();
	for (unsigned i = 0; i < 1000 && hits[vector] < 2; i++) {
		udelay(500);
	}
	cli();
	lapic_write(APIC_LINT0, 0x10000);
	CHECK(hits[vector] >= 2, "LINT0 as %s: %u", what, hits[vector]);
}

/* LINT0 is the 8259's output, whatever its entry makes of it; the PIT is behind */
static void lint0(void)
{
	on_interrupt(LOW, on_lint0);
	on_interrupt(2, on_lint0);
	lapic_write(APIC_LINT0, 0x10000);
	pit_periodic(100);
	pic_unmask(0);
	lint0_as(0x8000 | LOW, LOW, "level");
	CHECK(!(lapic_read(APIC_LINT0) & 0x4000), "remote IRR left");
	lint0_as(LOW, LOW, "edge");
	lint0_as(0x400, 2, "NMI");
	hits[LOW] = hits[2] = 0;
	lapic_write(APIC_LINT0, 0x10000 | LOW);
	sti();
	udelay(30000);
	cli();
	CHECK(hits[LOW] == 0 && hits[2] == 0, "masked");
	pic_init();
	on_interrupt(LOW, on_vector);
}

/* An error shows when ESR is written, and interrupts once until then (SDM 3A 11.5.3) */
static void errors(void)
{
	hits[ERROR] = 0;
	lapic_write(LVT_ERROR, ERROR);
	lapic_write(ESR, 0);
	lapic_write(APIC_ICR_HIGH, 0);
	lapic_write(APIC_ICR, 5);
	CHECK(lapic_read(ESR) == 0, "ESR before its write %x", lapic_read(ESR));
	open_window();
	CHECK(hits[ERROR] == 1, "%u error interrupts", hits[ERROR]);
	lapic_read(0x40); /* no such register */
	open_window();
	CHECK(hits[ERROR] == 1, "%u error interrupts", hits[ERROR]);
	lapic_write(ESR, 0);
	CHECK(lapic_read(ESR) == 0xa0, "ESR %x", lapic_read(ESR));
	lapic_write(ESR, 0);
	CHECK(lapic_read(ESR) == 0, "ESR %x", lapic_read(ESR));
	lapic_write(APIC_DIVIDE, 0xb);
	lapic_write(APIC_TIMER, 5); /* an illegal vector in the table */
	lapic_write(APIC_INIT_COUNT, 1);
	udelay(10);
	open_window();
	CHECK(hits[ERROR] == 2, "%u error interrupts", hits[ERROR]);
	lapic_write(ESR, 0);
	CHECK(lapic_read(ESR) == 0x40, "ESR %x", lapic_read(ESR));
	lapic_write(APIC_TIMER, 0x10000);
	lapic_write(LVT_ERROR, 0x10000);
}

/* Software disable: LVTs are masked, IPIs go nowhere, but what was requested stays (SDM 3A 11.4.7.2) */
static void disabled(void)
{
	hits[LOW] = hits[HIGH] = 0;
	lapic_write(APIC_ICR, SELF | HIGH);
	lapic_write(APIC_SVR, 0xff);
	lapic_write(APIC_TIMER, TIMER);
	CHECK(lapic_read(APIC_TIMER) == (0x10000 | TIMER), "LVT %x", lapic_read(APIC_TIMER));
	lapic_write(APIC_ICR, SELF | LOW);
	open_window();
	CHECK(hits[LOW] == 0, "delivered though disabled");
	lapic_write(APIC_SVR, 0x1ff);
	open_window();
	CHECK(hits[HIGH] == 1, "requested before: %u", hits[HIGH]);
	CHECK(lapic_read(APIC_TIMER) == (0x10000 | TIMER), "enabling unmasks nothing %x",
	      lapic_read(APIC_TIMER));
}

int main(const char *cmdline)
{
	(void)cmdline;
	on_interrupt(LOW, on_vector);
	on_interrupt(HIGH, on_vector);
	on_interrupt(TIMER, on_vector);
	on_interrupt(ERROR, on_vector);
	pic_init();
	lapic_write(APIC_SVR, 0x1ff);
	lapic_write(APIC_TPR, 0);
	registers();
	self_ipi();
	destinations();
	priorities();
	task_priority();
	timer();
	timer_changes();
	deadline();
	if (is_hosted()) {
		lint0(); /* QEMU's own acknowledges the 8259 in all its modes */
		errors();
		disabled();
	}
	return (int)failures;
}
