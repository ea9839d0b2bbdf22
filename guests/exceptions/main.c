/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions reach the guest as the CPU raises them: error codes, CR2, where RIP points; single
 * step over instructions that the hypervisor performs; a fault while delivering one is #DF on its own stack.
 */
#include "lib/guest.h"

#define NOBODY	  0x1e0
#define TF	  0x100
#define UNMAPPED  0x40000000ull /* its page directory entry is cleared */

static volatile unsigned steps;
static volatile uint64_t step_rip[64], step_dr6;

static void on_db(struct trap_frame *f)
{
	uint64_t dr6;
	__asm__ volatile("mov %%dr6, %0; mov %1, %%dr6" : "=&r"(dr6) : "r"(0xffff0ff0ull));
	step_dr6 = dr6;
	if (steps < 64) {
		step_rip[steps] = f->rip;
	}
	steps++;
}

extern char step1[], step2[], step3[], step4[], step5[];

/* One #DB behind each instruction: plain, CPUID, IN, MMIO, RDMSR */
static void single_step(void)
{
	const uint64_t want[] = { (uint64_t)step1, (uint64_t)step2, (uint64_t)step3, (uint64_t)step4,
				  (uint64_t)step5 };
	on_interrupt(1, on_db);
	steps = 0;
	__asm__ volatile("movl $0, %%eax\n\tmovl $0x277, %%ecx\n\tmovq $0xfee00030, %%rsi\n\t"
			 "pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t"
			 "nop\n"
			 "step1:\tcpuid\n"
			 "step2:\tinb $0x61, %%al\n"
			 "step3:\tmovl $0x277, %%ecx\n"
			 "step4:\trdmsr\n"
			 "step5:\tmovl 0xfee00030, %%eax\n\t"
			 "pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq"
			 : : : "rax", "rbx", "rcx", "rdx", "rsi", "memory", "cc");
	CHECK(steps >= 9 && steps <= 10, "%u steps", steps);
	for (unsigned i = 0; i < 5; i++) {
		CHECK(step_rip[i] == want[i], "step %u at %lx, not %lx", i, step_rip[i], want[i]);
	}
	CHECK(step_dr6 & 1 << 14, "DR6 %lx without BS", step_dr6);
	on_interrupt(1, NULL);
}

/* A REP traps behind each iteration: RIP stays at it until the last; on a port, then on a device's memory */
static void step_rep(uint16_t port, void *to)
{
	unsigned at = 0;
	uint64_t n = 3;
	on_interrupt(1, on_db);
	steps = 0;
	__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop\n\t"
			 "testw %%dx, %%dx\n\tjz 1f\n\t"
			 "rep insl\n\tjmp 2f\n"
			 "1:\trep stosl\n"
			 "2:\tpushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq"
			 : "+D"(to), "+c"(n) : "d"(port), "a"(0) : "memory", "cc");
	on_interrupt(1, NULL);
	for (unsigned i = 1; i < steps && i < 64; i++) {
		at += step_rip[i] == step_rip[i - 1];
	}
	CHECK(n == 0 && at == 2, "REP: %u steps, %u of them where the one before was", steps, at);
}

static void simple(void)
{
	uint64_t rip;
	CHECK(TRY("ud2", : : : "memory") == 6, "#UD");
	CHECK(TRY("int3", : : : "memory") == 3, "#BP");
	rip = try_frame.rip;
	CHECK(((uint8_t *)rip)[-1] == 0xcc, "#BP is a trap: RIP is behind it");
	CHECK(TRY("divl %%ecx", : : "a"(1), "d"(0), "c"(0) : "memory", "cc") == 0, "#DE");
	CHECK(((uint8_t *)try_frame.rip)[0] == 0xf7, "#DE is a fault: RIP is at it");
	CHECK(TRY("mov %0, %%ss", : : "r"(0x33) : "memory") == 13 && try_frame.error == 0x30, "#GP(30): %lx",
	      try_frame.error);
	CHECK(TRY("mov %0, %%ds", : : "r"(0x78) : "memory") == 13 && try_frame.error == 0x78, "#GP(78): %lx",
	      try_frame.error);
	CHECK(TRY("movb (%0), %%al", : : "r"(1ull << 47) : "al", "memory") == 13, "non-canonical");
	CHECK(TRY(".byte 0xf1", : : : "memory") == 1 || is_lax(), "INT1"); /* QEMU: #UD under SVM */
	__asm__ volatile("mov %%cr0, %%rax; orq $8, %%rax; mov %%rax, %%cr0" : : : "rax");
	CHECK(TRY("fnop", : : : "memory") == 7, "#NM");
	__asm__ volatile("clts");
	CHECK(TRY("fnop", : : : "memory") == -1, "CLTS");
}

#define RF 0x10000

/* What the handler finds in RF (SDM 3B 17.3.1.1): 1 for faults that the hypervisor injects, 0 for traps */
static void resume_flag(void)
{
	uint32_t lo = 0;
	CHECK(TRY("rdmsr", : "+a"(lo) : "c"(0x12345) : "edx", "memory") == 13 || !is_hosted(), "no #GP");
	CHECK(try_frame.rflags & RF || !is_hosted(), "#GP at RDMSR without RF");
	CHECK(TRY("vmxoff", : : : "memory") == 6 && (try_frame.rflags & RF || !is_intel()), "#UD at VMXOFF without RF");
	CHECK(TRY("rdpmc", : "+a"(lo) : "c"(0) : "edx", "memory") == 13 || !is_hosted(), "no #GP");
	CHECK(try_frame.rflags & RF || !is_hosted(), "#GP at RDPMC without RF");
	CHECK(TRY("int3", : : : "memory") == 3 && !(try_frame.rflags & RF), "#BP with RF");
	cli();
}

static uint64_t cr2(void)
{
	uint64_t v;
	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

static void user_read(void)
{
	*(volatile uint32_t *)(UNMAPPED + 0x200000);
	__asm__ volatile("int $0x80");
}

static void user_write(void)
{
	*(volatile uint32_t *)(UNMAPPED + 0x200010) = 0;
	__asm__ volatile("int $0x80");
}

static void page_faults(void)
{
	uint64_t *absent = &pd[UNMAPPED >> 21], *supervisor = absent + 1, *read_only = absent + 2, *reserved = absent + 3;
	*absent = 0;
	*supervisor = 0x83;
	*read_only = 0x85;
	*reserved = 0x2087;
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
	CHECK(TRY("movl (%0), %%eax", : : "r"(UNMAPPED + 0x123) : "eax", "memory") == 14, "#PF");
	CHECK(try_frame.error == 0 && cr2() == UNMAPPED + 0x123, "error %lx CR2 %lx", try_frame.error, cr2());
	CHECK(TRY("movl %%eax, (%0)", : : "r"(UNMAPPED + 0x456) : "memory") == 14, "#PF");
	CHECK(try_frame.error == 2 && cr2() == UNMAPPED + 0x456, "error %lx CR2 %lx", try_frame.error, cr2());
	CHECK(TRY("movl %%eax, (%0)", : : "r"(UNMAPPED + 0x400008) : "memory") == 14, "WP");
	CHECK(try_frame.error == 3 && cr2() == UNMAPPED + 0x400008, "error %lx CR2 %lx", try_frame.error, cr2());
	CHECK(TRY("movl (%0), %%eax", : : "r"(UNMAPPED + 0x600000) : "eax", "memory") == 14, "reserved bit");
	/* QEMU forgets the P bit here */
	CHECK(try_frame.error == 9 || (is_lax() && try_frame.error == 8), "error %lx", try_frame.error);
	CHECK(user_run(user_read) == 14 && try_frame.error == 5, "user read: error %lx", try_frame.error);
	CHECK(user_run(user_write) == 14 && try_frame.error == 7, "user write: error %lx", try_frame.error);
	CHECK(cr2() == UNMAPPED + 0x200010, "CR2 %lx", cr2());
	CHECK(TRY("movsl", : : "S"(LAPIC + 0x30), "D"(UNMAPPED + 0x20) : "memory") == 14 && try_frame.error == 2,
	      "from a device: error %lx", try_frame.error);
	CHECK(cr2() == UNMAPPED + 0x20, "CR2 %lx", cr2());
	CHECK(try_frame.rflags & RF || !is_hosted(), "#PF by the hypervisor without RF");
	CHECK(user_run(user_write) == 14, "user write");
	inb(NOBODY);
	CHECK(cr2() == UNMAPPED + 0x200010, "CR2 after an exit %lx", cr2());
}

static void unaligned(void)
{
	__asm__ volatile("pushfq; orq $0x40000, (%%rsp); popfq" : : : "memory", "cc");
	__asm__ volatile("movl user_rsp + 1, %%eax; int $0x80" : : : "eax", "memory");
}

static void alignment(void)
{
	__asm__ volatile("mov %%cr0, %%rax; orq $0x40000, %%rax; mov %%rax, %%cr0" : : : "rax");
	int vector = user_run(unaligned);
	if (vector == USER_RETURN && is_lax()) {
		skip("#AC", "QEMU does not check alignment");
		return;
	}
	CHECK(vector == 17 && try_frame.error == 0, "#AC: vector %d error %lx", vector, try_frame.error);
}

extern char nested_end[];
static volatile uint64_t df_error, df_rsp;

static void on_df(struct trap_frame *f)
{
	df_error = f->error;
	df_rsp = (uint64_t)f;
	f->rip = (uint64_t)nested_end;
}

/* #UD with a stack that is not there: #PF while delivering it, the same again: #DF, on the IST stack */
static void double_fault(void)
{
	ist_stack(8);
	on_interrupt(8, on_df);
	__asm__ volatile("movq %%rsp, saved_rsp\n\tmovq %0, %%rsp\n\tud2\n"
			 "nested_end:\tmovq saved_rsp, %%rsp"
			 : : "r"(UNMAPPED + 0x1000) : "memory");
	CHECK(df_error == 0 && df_rsp, "error %lx", df_error);
	on_interrupt(8, NULL);
}
uint64_t saved_rsp;

int main(const char *cmdline)
{
	(void)cmdline;
	simple();
	if (is_bochs_svm()) {
		skip("single step", "Bochs raises #DB in the host when a stepped instruction exits (SVM)");
	} else {
		static uint32_t buf[3];
		single_step();
		step_rep(NOBODY, buf);
		step_rep(0, (void *)0xfee00210); /* three words of the APIC that cannot be written */
	}
	resume_flag();
	page_faults();
	double_fault();
	alignment();
	return (int)failures;
}
