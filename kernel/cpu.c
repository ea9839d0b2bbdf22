/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One CPU's own state: descriptor tables, control registers, per-CPU data behind GS. Knows
 * nothing of other CPUs; smp.c brings those up and has them call cpu_init().
 */
#include "cpu.h"
#include "boot/boot.h"
#include "trap.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/regs.h"

#define GDT_CODE64  0x00af9b000000ffffull
#define GDT_DATA    0x00cf93000000ffffull
#define GDT_TSS     0x0000890000000000ull /* available 64-bit TSS, DPL 0 */
#define PAT_DEFAULT 0x0007040600070406ull /* SDM 3A 11.12.4: WB WT UC- UC, twice */

enum { EAX, EBX, ECX, EDX };

bool cpuid_has(u32 leaf, u32 reg, u32 bit)
{
	u32 out[4];

	cpuid(leaf & 0xffff0000, 0, out);
	if (out[EAX] < leaf) {
		return false;
	}
	cpuid(leaf, 0, out);
	return out[reg] & BIT(bit);
}

struct cpu *this_cpu(void)
{
	struct cpu *c;
	__asm__("mov %%gs:0, %0" : "=r"(c));
	return c;
}

/*
 * XCR0 has all that the CPU supports, so that a guest's registers can be saved whatever it uses.
 * The hypervisor itself has no x87 or vector instruction, but for libfdt at boot.
 */
static void control_registers_init(void)
{
	bool has_xsave = cpuid_has(1, ECX, 26);
	u64 cr4 = CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	u32 xcr0[4];

	cr4 |= (has_xsave ? CR4_OSXSAVE : 0) | (cpuid_has(7, EBX, 7) ? CR4_SMEP : 0);
	cr4 |= (cpuid_has(7, EBX, 20) ? CR4_SMAP : 0) | (cpuid_has(7, ECX, 2) ? CR4_UMIP : 0);
	cr4 |= cpuid_has(7, ECX, 3) ? CR4_PKE : 0; /* for RDPKRU: the emulator asks for a guest's */
	write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
	write_cr4(cr4);
	if (has_xsave) {
		cpuid(0xd, 0, xcr0);
		xsetbv(0, (u64)xcr0[EDX] << 32 | xcr0[EAX]);
	}
	if (cpuid_has(0x80000001, EDX, 20)) {
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	}
	wrmsr(MSR_PAT, PAT_DEFAULT);
}

static void tables_init(struct cpu *c)
{
	u64 tss = (uintptr_t)&c->tss;
	struct table_ptr gdt = { .limit = sizeof(c->gdt) - 1, .base = (uintptr_t)c->gdt };

	c->tss.iomap_base = sizeof(c->tss); /* none */
	c->gdt[1] = GDT_CODE64;
	c->gdt[2] = GDT_DATA;
	c->gdt[3] = GDT_TSS | (sizeof(c->tss) - 1) | (tss & BITS(23, 0)) << 16 |
		    (tss & BITS(31, 24)) << 32;
	c->gdt[4] = tss >> 32;
	cpu_load_tables(&gdt, idt_ptr());
}

void cpu_init(struct cpu *c)
{
	/* libfdt.a of the distribution has stack protectors: their canary is at FS:0x28 */
	static const u64 canary[6] = { [5] = 0x2f6b1e00c3a7d95aull };

	c->self = c;
	tables_init(c);
	wrmsr(MSR_FS_BASE, (uintptr_t)canary);
	wrmsr(MSR_GS_BASE, (uintptr_t)c);
	control_registers_init();
}

void cpu_init_bsp(void)
{
	struct cpu *c = cpu_by_index(0);

	for (u32 i = 1; i < NR_BOOT_STACKS; i++) {
		c->tss.ist[i - 1] = (uintptr_t)boot_stacks[i].bytes + STACK_SIZE;
	}
	/* Firmware may have left the 8259s open, on vectors that are exceptions to us */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	cpu_init(c);
	c->is_online = true;
}
