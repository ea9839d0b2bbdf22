/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All CPUs: the table of them, how the others are started, how one gets another's attention or
 * stops it. Knows the local APIC's IPIs and boot's trampoline, not what a CPU then does.
 */
#include "cpu.h"
#include "boot/boot.h"
#include "drivers/clock.h"
#include "drivers/lapic.h"
#include "gmem.h"
#include "lib/lib.h"
#include "log.h"
#include "x86/insn.h"

static struct cpu cpus[MAX_CPUS];
static u32 nr_cpus = 1;
static bool is_freezing; /* atomic */
static u32 nr_frozen;	 /* atomic */
static void (*ap_entry)(struct cpu *);

struct cpu *cpu_by_index(u32 index)
{
	return &cpus[index];
}

u32 cpu_count(void)
{
	return __atomic_load_n(&nr_cpus, __ATOMIC_ACQUIRE);
}

/* A started CPU, on its own stack */
static void ap_main(void *arg)
{
	struct cpu *c = arg;

	__atomic_store_n(&c->is_started, true, __ATOMIC_RELEASE); /* pairs with startup() */
	cpu_init(c);
	lapic_init();
	ap_entry(c);
}

void cpu_set_online(struct cpu *c)
{
	__atomic_store_n(&c->is_online, true, __ATOMIC_RELEASE); /* pairs with ap_start_one() */
}

/* A startup IPI. Return: true if the CPU came within @us. */
static bool startup(const struct cpu *c, u64 us)
{
	lapic_send(c->apic_id, IPI_STARTUP((u32)(host_memory.trampoline.v >> PAGE_SHIFT)));
	for (; us && !__atomic_load_n(&c->is_started, __ATOMIC_ACQUIRE); us -= 50) {
		clock_wait_us(50);
	}
	return us;
}

/*
 * SDM 3A 8.4.4.1 "Typical BSP Initialization Sequence": INIT, 10 ms, SIPI, 200 us, SIPI. No CPU with VT-x or
 * SVM needs these 10 ms (Linux's smp_quirk_init_udelay() has waited for none of them since 2015): they are spent
 * on a second attempt only. An emulator's CPU may have to wait for its turn; one that does not come at all
 * must not wake later.
 */
static bool ap_try(struct cpu *c, u64 init_us, u64 patience_us)
{
	lapic_send(c->apic_id, IPI_INIT);
	clock_wait_us(init_us);
	__atomic_store_n(&c->is_started, false, __ATOMIC_RELEASE); /* a late one of the attempt before */
	return startup(c, 200) || startup(c, patience_us);
}

static bool ap_start_one(struct cpu *c)
{
	for (u32 i = 0; i < NR_BOOT_STACKS - 1 && !c->tss.ist[i]; i++) {
		c->tss.ist[i] = (uintptr_t)stack_alloc(STACK_SIZE);
	}
	ap_start = (struct ap_start){ .cr3 = read_cr3(),
				      .stack = (uintptr_t)stack_alloc(STACK_SIZE),
				      .arg = (uintptr_t)c,
				      .entry = ap_main };
	if (ap_try(c, 10, 20000) || ap_try(c, 10000, 1000000)) {
		while (!__atomic_load_n(&c->is_online, __ATOMIC_ACQUIRE)) {
			clock_wait_us(50); /* it comes, or says why not and halts all */
		}
		return true;
	}
	lapic_send(c->apic_id, IPI_INIT);
	return false;
}

u32 cpus_start(const struct acpi_info *acpi, void (*entry)(struct cpu *))
{
	void *page = phys_ptr(host_memory.trampoline);

	ap_entry = entry;
	cpus[0].apic_id = lapic_id();
	if (!page) {
		log("smp: no free page below 1 MiB, only one CPU is used");
		return nr_cpus;
	}
	memcpy(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	for (u32 i = 0; i < acpi->nr_cpus && nr_cpus < MAX_CPUS; i++) {
		struct cpu *c = &cpus[nr_cpus];
		if (acpi->apic_id[i] == cpus[0].apic_id) {
			continue;
		}
		c->index = nr_cpus;
		c->apic_id = acpi->apic_id[i];
		if (ap_start_one(c)) {
			__atomic_store_n(&nr_cpus, nr_cpus + 1, __ATOMIC_RELEASE);
		} else {
			log("smp: CPU with APIC ID %u does not answer", c->apic_id);
		}
	}
	return nr_cpus;
}

void cpu_poke(u32 index)
{
	lapic_send(cpus[index].apic_id, HOST_VEC_KICK);
}

void cpu_notify(u32 index)
{
	lapic_send(cpus[index].apic_id, HOST_VEC_POSTED);
}

void cpu_kick(u32 index)
{
	__atomic_store_n(&cpus[index].is_kicked, true, __ATOMIC_RELEASE);
	if (&cpus[index] != this_cpu()) {
		cpu_poke(index);
	}
}

void cpu_nmi(void)
{
	if (__atomic_load_n(&is_freezing, __ATOMIC_ACQUIRE)) {
		__atomic_fetch_add(&nr_frozen, 1, __ATOMIC_RELEASE);
		cpu_stop();
	}
}

/* A CPU that has itself crashed is never frozen: do not wait for ever. */
void cpus_freeze(void)
{
	__atomic_store_n(&is_freezing, true, __ATOMIC_RELEASE); /* pairs with cpu_nmi() */
	for (u32 i = 0; i < cpu_count(); i++) {
		if (&cpus[i] != this_cpu()) {
			lapic_send(cpus[i].apic_id, IPI_NMI);
		}
	}
	u32 rest = cpu_count() - 1;
	for (u32 i = 0; i < 10000000 && __atomic_load_n(&nr_frozen, __ATOMIC_ACQUIRE) < rest; i++) {
		cpu_pause();
	}
}
