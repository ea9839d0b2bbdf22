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

struct cpu {
	struct cpu *self; /* at GS:0 */
	u32 index;	  /* 0 = BSP, MADT order after it */
	u32 apic_id;
	bool is_online;	      /* shared, atomic */
	bool is_kicked;	      /* shared, atomic: another CPU wants this one to look around */
	u64 nr_timer_irqs, nr_kicks, nr_nmis, nr_spurious;
	void *sched;	      /* run loop's own data */
	u8 opaque[];	      /* GDT, TSS: cpu.c's own */
};

/** this_cpu() - the calling CPU's struct. */
struct cpu *this_cpu(void);
struct cpu *cpu_by_index(u32 index);
u32 cpu_count(void);

/** cpu_init_bsp() - GDT, TSS with IST stacks (NMI, #DF, #MC), IDT, GS, CR0/CR4/EFER hardening. */
void cpu_init_bsp(void);

/**
 * cpus_start() - INIT/SIPI every other enabled CPU of @acpi up to MAX_CPUS
 *
 * Each comes up in long mode on its own guarded stack, does what cpu_init_bsp() did, then calls @entry,
 * which must not return. CPUs that do not answer are logged and left out. Return: how many are online.
 */
u32 cpus_start(const struct acpi_info *acpi, u64 tsc_hz, void (*entry)(struct cpu *));

/** cpu_kick() - make CPU @index leave its guest or its HLT soon. */
void cpu_kick(u32 index);

/** cpus_freeze() - NMI all others into a halt: crash and power-off. */
void cpus_freeze(void);

/** rdmsr_safe(), wrmsr_safe() - Return: false if the access raised #GP. */
bool rdmsr_safe(u32 msr, u64 *value);
bool wrmsr_safe(u32 msr, u64 value);

/* Memory of the hypervisor itself, set up by kmain: frames, host page table, page source. */
struct host_memory {
	struct frames frames;
	struct page_source pages; /* zeroed, from frames */
};
extern struct host_memory host_memory;

/** host_memory_init() - frames from @info; own page tables: W^X, NX, identity, guard pages; load CR3.
 * mmio_map() adds device pages (uncached) later. */
void host_memory_init(const struct boot_info *info);
void mmio_map(u64 addr, u64 len);

/** stack_alloc() - a stack of @len bytes with an unmapped guard page below. Return: its top. */
void *stack_alloc(u64 len);

#endif
