/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What our bare-metal guests share: console, traps that can be expected, interrupts, timers, and the end.
 * A guest's main() returns its verdict: 0 is OK. Shares nothing with the hypervisor but include/abi.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEBUG_EXIT 0xf4 /* the .dts gives this port to debug-exit */
#define COM1	   0x3f8

struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

int main(const char *cmdline);
void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);

/* console */
void putch(char c);
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* %s %c %d %u %x %lx %lu, width, 0 */

/** arg() - number after "key=" in @cmdline, or @fallback */
uint64_t arg(const char *cmdline, const char *key, uint64_t fallback);

/** end() - write @code to the debug-exit port, then halt. */
void end(uint32_t code) __attribute__((noreturn));

/**
 * TRY() - run one instruction and say which exception it raised, -1 if none
 *
 * TRY("rdmsr", : "=a"(lo), "=d"(hi) : "c"(msr)): operands as in asm, after the comma. What the
 * instruction raised, and where, is in try_frame; execution goes on behind it.
 */
extern volatile uint64_t try_resume;
extern volatile int try_vector;
extern volatile struct trap_frame try_frame;
#define TRY(insn, ...)                                                                      \
	({                                                                                  \
		__asm__ volatile("movl $-1, try_vector\n\tmovq $77f, try_resume\n\t" insn    \
				 "\n77:\tmovq $0, try_resume" __VA_ARGS__);                 \
		try_vector;                                                                 \
	})

/** user_run() - run @fn in user mode until it raises an exception or INT 0x80. Return: the vector. */
int user_run(void (*fn)(void));
extern uint64_t user_rflags; /* RFLAGS that it begins with: 2, so IF is 0 */
#define USER_RETURN 0x80 /* INT of this vector ends user_run() */

/** idt_load() - this CPU takes the library's IDT; the first one has it already. */
void idt_load(void);

/** ist_stack() - vector @v gets a stack of its own from now on (IST 1). */
void ist_stack(uint8_t v);

/** is_hosted() - does CPUID say that Bulkhead is below us? */
bool is_hosted(void);

/** hypercall() - @nr of abi/hypercall.h by this vendor's instruction; only where is_hosted(). Return: RAX. */
int64_t hypercall(uint64_t nr, uint64_t rbx, uint64_t rcx);
bool is_intel(void);

/** is_lax() - a CPU of QEMU's TCG by its brand: it leaves out checks that no exit lets us add */
bool is_lax(void);

/** cpu_has() - bit @bit of register @reg (0 EAX .. 3 EDX) of CPUID leaf @leaf */
bool cpu_has(uint32_t leaf, unsigned reg, unsigned bit);

/** is_nested() - QEMU's CPU, but with TSC_ADJUST, which TCG has not: KVM stands between it and Bulkhead */
static inline bool is_nested(void)
{
	return is_lax() && cpu_has(7, 1, 1);
}

/** is_bochs_svm() - an AMD CPU that is not QEMU's: among our beds, Bochs's */
static inline bool is_bochs_svm(void)
{
	return !is_intel() && !is_lax();
}

/** skip() - say that @what is not shown here, and why */
void skip(const char *what, const char *why);

/** udelay() - busy wait by the PM-independent PIT: channel 2 counts @us microseconds (at most 50000) */
void udelay(unsigned us);

/** on_interrupt() - @handler runs at each interrupt on @vector, before the end of interrupt */
void on_interrupt(uint8_t vector, void (*handler)(struct trap_frame *f));

/* 8259 pair at 0x20 and 0x28, everything masked; end of interrupt is sent by the library */
void pic_init(void);
void pic_unmask(unsigned irq);
#define PIC_VECTOR(irq) (0x20 + (irq))

/** pit_periodic() - channel 0 at @hz by IRQ 0 */
void pit_periodic(unsigned hz);

/** CHECK() - print and count a failure, on any CPU; the verdict is `failures` */
extern unsigned failures, checks;
void check_failed(const char *file, int line, const char *cond, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define CHECK(cond, ...)                                                       \
	do {                                                                   \
		__atomic_add_fetch(&checks, 1, __ATOMIC_RELAXED);              \
		if (!(cond)) {                                                 \
			check_failed(__FILE__, __LINE__, #cond, __VA_ARGS__);  \
		}                                                              \
	} while (0)

extern uint64_t boot_info, boot_magic; /* EBX and EAX at the first instruction */
extern uint64_t pml4[], pdpt[], pd[];   /* low 4 GiB one to one, 2 MiB pages, all for user mode too */

/* Local APIC by MMIO */
#define LAPIC 0xfee00000ull
static inline uint32_t lapic_read(uint32_t reg)
{
	return *(volatile uint32_t *)(LAPIC + reg);
}
static inline void lapic_write(uint32_t reg, uint32_t v)
{
	*(volatile uint32_t *)(LAPIC + reg) = v;
}
enum {
	APIC_ID = 0x20, APIC_VERSION = 0x30, APIC_TPR = 0x80, APIC_PPR = 0xa0, APIC_EOI = 0xb0, APIC_SVR = 0xf0,
	APIC_ISR = 0x100, APIC_IRR = 0x200, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310, APIC_TIMER = 0x320,
	APIC_LINT0 = 0x350, APIC_INIT_COUNT = 0x380, APIC_COUNT = 0x390, APIC_DIVIDE = 0x3e0
};

#define cli() __asm__ volatile("cli" : : : "memory")
#define sti() __asm__ volatile("sti; nop" : : : "memory")
#define sti_hlt_cli() __asm__ volatile("sti; hlt; cli" : : : "memory")

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}
static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}
static inline uint8_t inb(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline uint16_t inw(uint16_t port)
{
	uint16_t v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline uint32_t inl(uint16_t port)
{
	uint32_t v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}
static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(sub));
}
static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

#endif
