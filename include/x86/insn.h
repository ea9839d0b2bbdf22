/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every privileged or machine-touching instruction, one inline function each (SDM 2, APM 3).
 * Including this header makes a file impure: host builds refuse it.
 */
#ifndef BULKHEAD_X86_INSN_H
#define BULKHEAD_X86_INSN_H

#ifdef HOST_TEST
#error "x86/insn.h in a host build: this file is not pure"
#endif

#include "types.h"

static inline u8 inb(u16 port)
{
	u8 v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline u16 inw(u16 port)
{
	u16 v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline u32 inl(u16 port)
{
	u32 v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

/*
 * An instruction that may raise #GP leaves a pair in section __ex_table: its own address and the
 * address to go on at. The trap handler looks it up and changes nothing but RIP.
 */
#define EX_TABLE(from, to) \
	".pushsection __ex_table, \"a\"\n\t.balign 8\n\t.quad " from ", " to "\n\t.popsection\n"

/** rdmsr_try() - Return: false, and *@v is 0, if the CPU does not know @msr. */
static inline bool rdmsr_try(u32 msr, u64 *v)
{
	u32 lo = 0, hi = 0, ok = 0;
	__asm__ volatile("1: rdmsr\n\tmovl $1, %2\n2:\n" EX_TABLE("1b", "2b")
			 : "+a"(lo), "+d"(hi), "+r"(ok) : "c"(msr));
	*v = (u64)hi << 32 | lo;
	return ok;
}

/** wrmsr_try() - Return: false if the CPU refused it. */
static inline bool wrmsr_try(u32 msr, u64 v)
{
	u32 ok = 0;
	__asm__ volatile("1: wrmsr\n\tmovl $1, %0\n2:\n" EX_TABLE("1b", "2b")
			 : "+r"(ok) : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
	return ok;
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

/** rdtsc_ordered() - TSC after all earlier loads (SDM 2 "RDTSC") */
static inline u64 rdtsc_ordered(void)
{
	__asm__ volatile("lfence" : : : "memory");
	return rdtsc();
}

/** verw() - where CPUID has MD_CLEAR or its like: empties the CPU's buffers (SDM 3A "VERW" of the memory form) */
static inline void verw(void)
{
	static const u16 data_segment = 0x10;
	__asm__ volatile("verw %0" : : "m"(data_segment) : "cc", "memory");
}

/** cpuid() - @out is EAX, EBX, ECX, EDX. */
static inline void cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(subleaf));
}

#define CR_ACCESSORS(n)                                                      \
	static inline u64 read_cr##n(void)                                   \
	{                                                                    \
		u64 v;                                                       \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v) : : "memory"); \
		return v;                                                    \
	}                                                                    \
	static inline void write_cr##n(u64 v)                                \
	{                                                                    \
		__asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");   \
	}
CR_ACCESSORS(0)
CR_ACCESSORS(2)
CR_ACCESSORS(3)
CR_ACCESSORS(4)
#undef CR_ACCESSORS

#define DR_ACCESSORS(n)                                                      \
	static inline u64 read_dr##n(void)                                   \
	{                                                                    \
		u64 v;                                                       \
		__asm__ volatile("mov %%dr" #n ", %0" : "=r"(v));            \
		return v;                                                    \
	}                                                                    \
	static inline void write_dr##n(u64 v)                                \
	{                                                                    \
		__asm__ volatile("mov %0, %%dr" #n : : "r"(v));              \
	}
DR_ACCESSORS(0)
DR_ACCESSORS(1)
DR_ACCESSORS(2)
DR_ACCESSORS(3)
DR_ACCESSORS(6)
DR_ACCESSORS(7)
#undef DR_ACCESSORS

static inline u64 xgetbv(u32 xcr)
{
	u32 lo, hi;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(xcr));
	return (u64)hi << 32 | lo;
}

/* The register is not switched at VM exits: it is the guest's */
static inline u32 rdpkru(void)
{
	u32 lo, hi;
	__asm__ volatile("rdpkru" : "=a"(lo), "=d"(hi) : "c"(0));
	return lo;
}

static inline void xsetbv(u32 xcr, u64 v)
{
	__asm__ volatile("xsetbv" : : "c"(xcr), "a"((u32)v), "d"((u32)(v >> 32)));
}

/** xsave() - all components of @mask into @area (64-byte aligned) */
static inline void xsave(void *area, u64 mask)
{
	__asm__ volatile("xsave64 (%0)"
			 : : "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32)) : "memory");
}

static inline void xrstor(const void *area, u64 mask)
{
	__asm__ volatile("xrstor64 (%0)"
			 : : "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32)) : "memory");
}

static inline void fxsave(void *area)
{
	__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static inline void fxrstor(const void *area)
{
	__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/** irq_window() - take whatever host interrupts are pending, then IF=0 again. */
static inline void irq_window(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
}

static inline void wbinvd(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}

static inline void invlpg(u64 addr)
{
	__asm__ volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

/** vmsave() - FS, GS, TR, LDTR and the system call MSRs into the VMCB at @pa (APM 3 "VMSAVE") */
static inline void vmsave(u64 pa)
{
	__asm__ volatile("vmsave %0" : : "a"(pa) : "memory");
}

/** cpu_stop() - the end of this CPU. */
static inline void noreturn_fn cpu_stop(void)
{
	for (;;) {
		__asm__ volatile("cli; hlt");
	}
}

#endif
