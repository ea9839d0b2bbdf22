/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events whose delivery is cut short by second-level faults: the test device takes away the page of
 * the IDT, GDT, TSS, stack or handler just before the event, or all of them, so that one delivery
 * exits up to five times. The event comes exactly once, with the right frame. Each with and without IST.
 */
#include "lib/guest.h"

#define FLUSH_PORT 0xe4
#define LATCH	   0xe0
#define VECTOR_IRQ 0x60
#define VECTOR_INT 0x61
#define SELF	   0x40000
#define NMI_TO_ME  0x4400
#define NOWHERE	   0x8000000000ull /* a page that is not present */

struct gate {
	uint16_t offset_lo, selector, attr, offset_mid;
	uint32_t offset_hi, zero;
};
struct pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* each on a page of its own */
static struct gate my_idt[256] __attribute__((aligned(4096)));
static uint64_t my_gdt[512] __attribute__((aligned(4096)));
static uint32_t my_tss[1024] __attribute__((aligned(4096)));
static char my_stack[4096] __attribute__((aligned(4096))), my_ist[4096] __attribute__((aligned(4096)));
extern char handler_plain[], handler_error[];

volatile uint64_t seen[7]; /* by the handlers: CR2, error code, RIP, CS, RFLAGS, RSP, SS */
volatile uint32_t hits, is_fault;
volatile uint64_t first, last; /* RIPs: of the instruction that raises it, and behind it */
static uint32_t to_flush[8] __attribute__((aligned(4096))); /* not among those flushed */

/* On my_stack, which nobody touches between the flush and the event */
#define RAISE(insn, ...)                                                                        \
	__asm__ volatile("leaq 4f(%%rip), %%rax\n\tmovq %%rax, first\n\t"                       \
			 "leaq 5f(%%rip), %%rax\n\tmovq %%rax, last\n\t"                        \
			 "movq %%rsp, %%r12\n\tmovq %0, %%rsp\n\t"                              \
			 "1:\tmovl (%%rsi), %%eax\n\ttestl %%eax, %%eax\n\tjz 2f\n\t"           \
			 "outl %%eax, %%dx\n\taddq $4, %%rsi\n\tjmp 1b\n\t"                     \
			 "2:\tmovq %%rdi, %%rax\n\t4:\t" insn "\n\t5:\tcli\n\tmovq %%r12, %%rsp" \
			 : : "r"(&my_stack[4096]), "S"(to_flush), "d"(FLUSH_PORT), ##__VA_ARGS__ \
			 : "rax", "r12", "memory", "cc")

static void raise_ud(void)
{
	RAISE("ud2", "D"(0ull));
}
static void raise_gp(void)
{
	RAISE("movl (%%rax), %%eax", "D"(1ull << 63));
}
/* This one is the hypervisor's to inject: the WRMSR exits */
static void raise_gp_msr(void)
{
	RAISE("wrmsr", "D"(0ull), "c"(0x12345678));
}
static void raise_pf(void)
{
	RAISE("movl %%eax, (%%rax)", "D"(NOWHERE + 0x123));
}
static void raise_int(void)
{
	RAISE("int $0x61", "D"(0ull));
}
static void raise_int3(void)
{
	RAISE("int3", "D"(0ull));
}
static void raise_irq(void)
{
	lapic_write(APIC_ICR, SELF | VECTOR_IRQ);
	RAISE("sti\n\tnop\n\tnop\n\tnop", "D"(0ull));
	lapic_write(APIC_EOI, 0);
}
static void raise_nmi(void)
{
	RAISE("movl %%eax, (%%rcx)\n\tmovl $1000000, %%eax\n\t"
	      "6:\tpause\n\tcmpl $0, hits\n\tjne 5f\n\tdecl %%eax\n\tjnz 6b", "D"((uint64_t)NMI_TO_ME), "c"(LAPIC + APIC_ICR));
}

/* @is_fault: the frame's RIP is the instruction's own. Of the other two it is somewhere behind it */
static const struct event {
	const char *name;
	uint8_t vector;
	bool is_fault, is_exact, has_error;
	uint32_t error;
	uint64_t cr2;
	void (*raise)(void);
} events[] = {
	{ "#UD", 6, true, true, false, 0, 0, raise_ud },
	{ "#GP", 13, true, true, true, 0, 0, raise_gp },
	{ "#GP of WRMSR", 13, true, true, true, 0, 0, raise_gp_msr },
	{ "#PF", 14, true, true, true, 2, NOWHERE + 0x123, raise_pf },
	{ "INT n", VECTOR_INT, false, true, false, 0, 0, raise_int },
	{ "INT3", 3, false, true, false, 0, 0, raise_int3 },
	{ "IRQ", VECTOR_IRQ, false, false, false, 0, 0, raise_irq },
	{ "NMI", 2, false, false, false, 0, 0, raise_nmi },
};

static const struct {
	const char *name;
	const void *at;
} pages[] = {
	{ "IDT", my_idt }, { "GDT", my_gdt }, { "TSS", my_tss }, { "stack", my_stack },
	{ "IST stack", my_ist }, { "handler", handler_plain },
};
#define NR_PAGES (sizeof(pages) / sizeof(pages[0]))

static void set_gate(const struct event *e, bool ist)
{
	uint64_t at = (uint64_t)(e->has_error ? handler_error : handler_plain);
	my_idt[e->vector] = (struct gate){ (uint16_t)at, 8, (uint16_t)(0x8e00 | ist), (uint16_t)(at >> 16),
					   (uint32_t)(at >> 32), 0 };
}

static void check(const struct event *e, const char *page, bool ist)
{
	uint64_t cr2 = e->cr2 ? e->cr2 : seen[0];
	uint64_t low = e->is_fault || !e->is_exact ? first : last, high = e->is_fault ? first : last;
	CHECK(hits == 1, "%s, %s, IST %u: came %u times", e->name, page, ist, hits);
	CHECK(seen[2] >= low && seen[2] <= high, "%s, %s: RIP %lx, not %lx to %lx", e->name, page, seen[2], low, high);
	CHECK(seen[1] == e->error && seen[0] == cr2, "%s, %s: error code %lx, CR2 %lx", e->name, page, seen[1], seen[0]);
	CHECK(seen[3] == 8 && seen[6] == 0x10 && seen[5] == (uint64_t)&my_stack[4096],
	      "%s, %s: CS %lx SS %lx RSP %lx", e->name, page, seen[3], seen[6], seen[5]);
	CHECK((seen[4] & 0x302) == (e->vector == VECTOR_IRQ ? 0x202 : 2), "%s, %s: RFLAGS %lx", e->name, page, seen[4]);
}

static bool can_show(const struct event *e)
{
	if (e->raise == raise_gp_msr && !is_hosted()) {
		return false; /* an emulator alone knows more MSRs than we, or tells nobody */
	}
	if (e->raise == raise_int && is_bochs_svm() && is_hosted()) {
		skip(e->name, "Bochs's EXITINTINFO then holds the event before it");
		return false;
	}
	return true;
}

/* @set: which pages go */
static void shoot(const struct event *e, uint32_t set, const char *name, bool ist)
{
	unsigned n = 0;
	for (unsigned i = 0; i < NR_PAGES; i++) {
		if (set >> i & 1) {
			to_flush[n++] = (uint32_t)(uint64_t)pages[i].at;
		}
	}
	to_flush[n] = 0;
	hits = 0;
	set_gate(e, ist);
	is_fault = e->is_fault;
	e->raise();
	check(e, name, ist);
}

/* Data and code that were there before are there again, whoever touches them first */
static void plain_touches(void)
{
	static uint32_t words[1024] __attribute__((aligned(4096)));
	words[5] = 0xcafe;
	outl(FLUSH_PORT, (uint32_t)(uint64_t)words + 123); /* anywhere in the page */
	CHECK(words[5] == 0xcafe, "read: %x", words[5]);
	outl(FLUSH_PORT, (uint32_t)(uint64_t)words);
	__atomic_add_fetch(&words[5], 1, __ATOMIC_SEQ_CST);
	CHECK(words[5] == 0xcaff, "locked add: %x", words[5]);
	outl(FLUSH_PORT, (uint32_t)(uint64_t)plain_touches);
	outl(FLUSH_PORT, (uint32_t)(uint64_t)pml4);
	CHECK(words[5] == 0xcaff, "after page tables and code: %x", words[5]);
	if (is_hosted()) {
		outl(FLUSH_PORT, 0xfffff000); /* not RAM: nothing happens */
	}
}

static void take_tables(void)
{
	struct pointer idtr, gdtr;
	__asm__ volatile("sidt %0\n\tsgdt %1" : "=m"(idtr), "=m"(gdtr));
	memcpy(my_idt, (void *)idtr.base, idtr.limit + 1u);
	memcpy(my_gdt, (void *)gdtr.base, gdtr.limit + 1u);
	uint64_t tss = (uint64_t)my_tss, ist = (uint64_t)&my_ist[4096];
	memcpy(&my_tss[9], &ist, 8); /* IST1 */
	my_gdt[8] = 0x67 | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
	my_gdt[9] = tss >> 32;
	idtr.base = (uint64_t)my_idt;
	gdtr.base = (uint64_t)my_gdt;
	__asm__ volatile("lidt %0\n\tlgdt %1\n\tltr %w2" : : "m"(idtr), "m"(gdtr), "r"(0x40));
}

int main(const char *cmdline)
{
	(void)cmdline;
	outl(LATCH, 0x600df00d);
	CHECK(inl(LATCH) == 0x600df00d && inw(LATCH + 1) == 0x0df0, "no test device: latch %x", inl(LATCH));
	*(volatile uint32_t *)0xff000004 = 0x12345678;
	CHECK(*(volatile uint16_t *)0xff000006 == 0x1234, "memory that exits: %x", *(volatile uint16_t *)0xff000006);
	plain_touches();
	take_tables();
	lapic_write(APIC_SVR, 0x1ff);
	for (unsigned i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		bool shows = can_show(&events[i]);
		for (unsigned ist = 0; shows && ist < 2; ist++) {
			for (unsigned p = 0; p < NR_PAGES; p++) {
				shoot(&events[i], 1u << p, pages[p].name, ist);
			}
			shoot(&events[i], (1u << NR_PAGES) - 1, "all", ist);
		}
	}
	return (int)failures;
}
