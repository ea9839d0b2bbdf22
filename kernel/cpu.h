/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical CPUs: per-CPU data found by GS, descriptor tables, IST stacks, bring-up of the others.
 * The owner of struct cpu is the CPU itself; others touch only what is marked shared.
 */
#ifndef BULKHEAD_CPU_H
#define BULKHEAD_CPU_H

#include "boot_info.h"
#include "drivers/acpi.h"
#include "mm/frames.h"
#include "vcpu.h"

#define MAX_CPUS 64

/* SDM 3A 7.7 "Task Management in 64-bit Mode" */
struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 iomap_base;
} __attribute__((packed));
static_assert(sizeof(struct tss) == 104, "SDM 3A figure 7-11");

#define NR_GDT 5 /* null, code, data, TSS (two entries) */

struct cpu {
	struct cpu *self; /* at GS:0 */
	u32 index;	  /* 0 = BSP, MADT order after it */
	u32 apic_id;
	bool is_started, is_online; /* shared, atomic: it runs our code; it has all it needs */
	bool is_kicked;	      /* shared, atomic: another CPU wants this one to look around */
	u64 nr_timer_irqs;
	void *sched;	      /* run loop's own data */
	u64 gdt[NR_GDT];
	struct tss tss;
};

/** this_cpu() - the calling CPU's struct. */
struct cpu *this_cpu(void);
struct cpu *cpu_by_index(u32 index);
u32 cpu_count(void);

/**
 * cpu_init_bsp() - GDT, TSS with IST stacks (NMI, #DF, #MC), IDT, GS, CR0/CR4/EFER/XCR0 hardening
 *
 * Optional features (NX, SMEP, SMAP, UMIP, XSAVE) are switched on where CPUID has them.
 */
void cpu_init_bsp(void);

/** cpu_init() - the same for @c, which is the calling CPU. IST stacks are tss.ist, set before. */
void cpu_init(struct cpu *c);

/** cpuid_has() - bit @bit of register @reg (0 = EAX) of @leaf; false if there is no such leaf. */
bool cpuid_has(u32 leaf, u32 reg, u32 bit);

/**
 * cpus_start() - INIT/SIPI every other enabled CPU of @acpi up to MAX_CPUS
 *
 * Each comes up in long mode on its own guarded stack, does what cpu_init_bsp() did, then calls
 * @entry, which must not return, and calls cpu_set_online(): until then the BSP waits, and nothing else
 * happens on the machine. CPUs that do not answer are logged and left out: the next one gets their index.
 * Context: BSP, after clock_begin(). Return: how many are online.
 */
u32 cpus_start(const struct acpi_info *acpi, void (*entry)(struct cpu *));

/** cpu_set_online() - the calling CPU has what it needs, and is to be counted. */
void cpu_set_online(struct cpu *c);

/** cpu_kick() - make CPU @index leave its guest or its HLT soon. */
void cpu_kick(u32 index);

/** cpu_poke() - make CPU @index look at the mailbox of what it runs; an interrupt, nothing more. */
void cpu_poke(u32 index);

/** cpu_notify() - tell CPU @index that the guest which runs there has posted requests (SDM 3C 30.6). */
void cpu_notify(u32 index);

/** cpus_freeze() - NMI all others into a halt: crash and power-off. */
void cpus_freeze(void);

/** cpu_nmi() - an NMI: does not come back if it is to freeze this CPU. The NMI gate. */
void cpu_nmi(void);

/** crash_init() - failed assertions end in a crash record too; exceptions do already. */
void crash_init(void);

/* Memory of the hypervisor itself, set up by kmain: frames, host page table, page source. */
struct host_memory {
	struct frames frames;
	struct page_source pages;  /* zeroed, from frames */
	struct page_source tables; /* likewise, for second-level tables, which are counted apart */
	u64 taken_bytes, table_bytes; /* so far, by those two and stack_alloc() */
	hpa record;		  /* where a crash leaves its record, see record.h; 0 = nowhere */
	hpa trampoline;		  /* a page below 1 MiB where other CPUs can start; 0 = none */
};
extern struct host_memory host_memory;

/**
 * host_memory_init() - frames from @info; own page tables: W^X, NX, identity, guard pages; load CR3
 *
 * Mapped: the image, all usable memory, the first MiB but for page 0, what is reserved below 4 GiB.
 */
void host_memory_init(const struct boot_info *info);

/**
 * host_memory_scratch() - a source of zeroed pages that stay free
 *
 * Whoever allocates by host_memory next may get them, and all is forgotten then. Context: kmain, while nobody else allocates.
 */
struct page_source *host_memory_scratch(void);

/**
 * host_memory_log() - one line: the image, what was taken for ourselves, second-level tables, what is free
 *
 * Two of them that are the same tell that between them nobody took a page.
 */
void host_memory_log(void);

/** mmio_map() - device registers, uncached, mapped before or not. Before other CPUs run. */
void mmio_map(u64 addr, u64 len);

/** host_is_mapped() - can all of [@addr, @addr+@len) be read? */
bool host_is_mapped(u64 addr, u64 len);

/** stack_alloc() - a stack of @len bytes with an unmapped guard page below. Return: its top. */
void *stack_alloc(u64 len);

#endif
