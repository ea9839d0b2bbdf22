/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations of main.c as other programs would do them: other leaves, ports, widths, registers, addressing
 * modes and instructions, in random order, at random distances, now and then some times in a row. A path that
 * is fast only for the one instruction that main.c repeats would show here. Values that are written are those
 * that were there, or reach nothing.
 */
#include "bench.h"

#define PER_FORM 512 /* samples that are kept */

#define ANY	0
#define INTEL	(1 << 0)
#define AMD	(1 << 1)
#define XSAVE	(1 << 2)
#define MTRR	(1 << 3)

#define FORM(id, ...)                               \
	static void id(void)                        \
	{                                           \
		__asm__ volatile(__VA_ARGS__);      \
	}
#define CPUID(id, leaf, sub)                        \
	static void id(void)                        \
	{                                           \
		uint32_t r[4];                      \
		cpuid(leaf, sub, r);                \
	}
#define RDMSR(id, msr)                              \
	static void id(void)                        \
	{                                           \
		rdmsr(msr);                         \
	}
/* RBX and RSI: where nothing is; RDI: the local APIC; RCX: an index */
#define MMIO(id, insn)                                                                                   \
	FORM(id, insn : : "a"(0), "b"(0xfd000000ul), "S"(0xfd000010ul), "c"(8ul), "D"(LAPIC)             \
	     : "rdx", "r8", "r15", "cc", "memory")

CPUID(cpuid_0, 0, 0)
CPUID(cpuid_1, 1, 0)
CPUID(cpuid_2, 2, 0)
CPUID(cpuid_4_1, 4, 1)
CPUID(cpuid_7, 7, 0)
CPUID(cpuid_b_1, 0xb, 1)
CPUID(cpuid_d_0, 0xd, 0)
CPUID(cpuid_d_1, 0xd, 1)
CPUID(cpuid_hv, 0x40000000, 0)
CPUID(cpuid_ext, 0x80000000, 0)
CPUID(cpuid_brand, 0x80000003, 0)
CPUID(cpuid_size, 0x80000008, 0)
CPUID(cpuid_none, 0x8fffffff, 7)
RDMSR(rdmsr_apicbase, 0x1b)
RDMSR(rdmsr_pat, 0x277)
RDMSR(rdmsr_efer, 0xc0000080)
RDMSR(rdmsr_mtrrcap, 0xfe)
RDMSR(rdmsr_tsc, 0x10)

static void wrmsr_pat(void)
{
	wrmsr(0x277, 0x0007040600070406);
}

FORM(in_al_imm8_pic, "inb $0x21, %%al" : : : "rax")
FORM(in_al_dx_pic, "inb %%dx, %%al" : : "d"(0xa1) : "rax")
FORM(in_al_dx_lsr, "inb %%dx, %%al" : : "d"(COM1 + 5) : "rax")
FORM(in_al_dx_iir, "inb %%dx, %%al" : : "d"(COM1 + 2) : "rax")
FORM(in_al_imm8_pit, "inb $0x40, %%al" : : : "rax")
FORM(in_al_imm8_61, "inb $0x61, %%al" : : : "rax")
FORM(in_al_imm8_rtc, "inb $0x71, %%al" : : : "rax")
FORM(in_al_imm8_80, "inb $0x80, %%al" : : : "rax")
FORM(in_ax_imm8_80, "inw $0x80, %%ax" : : : "rax")
FORM(in_eax_imm8_80, "inl $0x80, %%eax" : : : "rax")
FORM(in_al_dx_none, "inb %%dx, %%al" : : "d"(0x1e1) : "rax")
FORM(in_ax_dx_none, "inw %%dx, %%ax" : : "d"(0x1e2) : "rax")
FORM(in_eax_dx_none, "inl %%dx, %%eax" : : "d"(0x1e4) : "rax")
FORM(in_eax_dx_pci, "inl %%dx, %%eax" : : "d"(0xcfc) : "rax")
FORM(in_ax_dx_pci, "inw %%dx, %%ax" : : "d"(0xcfe) : "rax")
FORM(out_imm8_al_80, "outb %%al, $0x80" : : "a"(1))
FORM(out_imm8_ax_80, "outw %%ax, $0x80" : : "a"(2))
FORM(out_imm8_eax_80, "outl %%eax, $0x80" : : "a"(3))
FORM(out_dx_al_80, "outb %%al, %%dx" : : "a"(4), "d"(0x80))
FORM(out_imm8_al_pic, "outb %%al, $0x21" : : "a"(0xff))
FORM(out_dx_al_scratch, "outb %%al, %%dx" : : "a"(0x5a), "d"(COM1 + 7))
FORM(out_dx_eax_pci, "outl %%eax, %%dx" : : "a"(0x80000000), "d"(0xcf8))

MMIO(mmio_mov_r32_m, "mov 0x20(%%rbx), %%edx")
MMIO(mmio_mov_r8_m, "mov 0x21(%%rbx), %%dl")
MMIO(mmio_mov_r16_m, "mov (%%rbx), %%dx")
MMIO(mmio_mov_r64_m, "mov 0x100(%%rsi), %%r15")
MMIO(mmio_mov_r32_sib, "mov (%%rbx,%%rcx,4), %%r8d")
MMIO(mmio_mov_r32_sib_disp, "mov 0x1000(%%rsi,%%rcx,1), %%edx")
MMIO(mmio_movzx_b, "movzbl 0x3(%%rsi), %%edx")
MMIO(mmio_movzx_w, "movzwl 0x8(%%rsi), %%r15d")
MMIO(mmio_movsx_b, "movsbq (%%rbx,%%rcx), %%r8")
MMIO(mmio_cmp_r_m, "cmp (%%rsi), %%edx")
MMIO(mmio_cmp_m_imm8, "cmpl $5, 0x40(%%rbx)")
MMIO(mmio_test_m_imm, "testb $0x80, 0x7(%%rbx)")
MMIO(mmio_add_r_m, "add (%%rbx), %%rdx")
MMIO(mmio_bt_m, "btl $3, 0x44(%%rsi)")
MMIO(mmio_mov_m_r32, "mov %%eax, 0x10(%%rbx)")
MMIO(mmio_mov_m_r8, "mov %%al, (%%rsi,%%rcx,2)")
MMIO(mmio_mov_m_imm, "movl $0x1234, 0x80(%%rbx)")
MMIO(mmio_or_m_imm8, "orl $1, 0x14(%%rbx)")
MMIO(mmio_and_m_r, "and %%eax, (%%rsi)")
MMIO(mmio_xchg_m, "xchg %%edx, 0x18(%%rbx)")
MMIO(lapic_movzx_version, "movzwl 0x30(%%rdi), %%edx")
MMIO(lapic_cmp_tpr, "cmpl $0, 0x80(%%rdi)")
MMIO(lapic_or_tpr, "orl $0, 0x80(%%rdi)")
MMIO(lapic_mov_isr, "mov 0x100(%%rdi), %%r8d")
MMIO(lapic_mov_dcr, "movl $0xb, 0x3e0(%%rdi)")
MMIO(lapic_mov_count, "mov 0x390(%%rdi), %%edx")
FORM(ioapic_mov_window, "mov 0x10(%0), %%r10d" : : "r"(0xfec00000ul) : "r10", "memory")
FORM(lapic_mov_moffs, "movabs 0xfee00030, %%eax" : : : "rax", "memory")

FORM(cr0_wp_rbx, "mov %%cr0, %%rbx; btc $16, %%rbx; mov %%rbx, %%cr0; "
	"btc $16, %%rbx; mov %%rbx, %%cr0" : : : "rbx", "cc", "memory")
FORM(cr0_wp_r9, "mov %%cr0, %%r9; btc $16, %%r9; mov %%r9, %%cr0; "
	"btc $16, %%r9; mov %%r9, %%cr0" : : : "r9", "cc", "memory")
FORM(cr3_reload, "mov %%cr3, %%rdx; mov %%rdx, %%cr3" : : : "rdx", "memory")
FORM(cr4_pge_r10, "mov %%cr4, %%r10; btc $7, %%r10; mov %%r10, %%cr4; "
	"btc $7, %%r10; mov %%r10, %%cr4" : : : "r10", "cc", "memory")
FORM(cr8_write, "mov %%rdx, %%cr8" : : "d"(0))
FORM(clts, "clts" : : : "memory")
FORM(invlpg, "invlpg (%%rdx)" : : "d"(0x200000ul) : "memory")
FORM(wbinvd, "wbinvd" : : : "memory")
FORM(rdtsc_alone, "rdtsc" : : : "rax", "rdx")
FORM(xsetbv_1, "xsetbv" : : "a"(1), "d"(0), "c"(0))
FORM(xsetbv_3, "xsetbv" : : "a"(3), "d"(0), "c"(0))

#define F(id) { #id, id, ANY }
static const struct form {
	const char *name;
	void (*run)(void);
	unsigned needs;
} forms[] = {
	F(cpuid_0), F(cpuid_1), F(cpuid_2), F(cpuid_4_1), F(cpuid_7), F(cpuid_b_1), F(cpuid_d_0), F(cpuid_d_1),
	F(cpuid_hv), F(cpuid_ext), F(cpuid_brand), F(cpuid_size), F(cpuid_none),
	F(rdmsr_apicbase), F(rdmsr_pat), F(rdmsr_efer), { "rdmsr_mtrrcap", rdmsr_mtrrcap, MTRR }, F(rdmsr_tsc),
	F(wrmsr_pat), F(in_al_imm8_pic), F(in_al_dx_pic), F(in_al_dx_lsr), F(in_al_dx_iir), F(in_al_imm8_pit),
	F(in_al_imm8_61), F(in_al_imm8_rtc), F(in_al_imm8_80), F(in_ax_imm8_80), F(in_eax_imm8_80),
	F(in_al_dx_none), F(in_ax_dx_none), F(in_eax_dx_none), F(in_eax_dx_pci), F(in_ax_dx_pci),
	F(out_imm8_al_80), F(out_imm8_ax_80), F(out_imm8_eax_80), F(out_dx_al_80), F(out_imm8_al_pic),
	F(out_dx_al_scratch), F(out_dx_eax_pci),
	F(mmio_mov_r32_m), F(mmio_mov_r8_m), F(mmio_mov_r16_m), F(mmio_mov_r64_m), F(mmio_mov_r32_sib),
	F(mmio_mov_r32_sib_disp), F(mmio_movzx_b), F(mmio_movzx_w), F(mmio_movsx_b), F(mmio_cmp_r_m),
	F(mmio_cmp_m_imm8), F(mmio_test_m_imm), F(mmio_add_r_m), F(mmio_bt_m), F(mmio_mov_m_r32),
	F(mmio_mov_m_r8), F(mmio_mov_m_imm), F(mmio_or_m_imm8), F(mmio_and_m_r), F(mmio_xchg_m),
	F(lapic_movzx_version), F(lapic_cmp_tpr), F(lapic_or_tpr), F(lapic_mov_isr), F(lapic_mov_dcr),
	F(lapic_mov_count), F(lapic_mov_moffs), F(ioapic_mov_window), F(ipi_self),
	F(cr0_wp_rbx), F(cr0_wp_r9), F(cr3_reload), F(cr4_pge_r10), F(cr8_write), F(clts), F(invlpg), F(wbinvd),
	F(rdtsc_alone), { "xsetbv_1", xsetbv_1, XSAVE }, { "xsetbv_3", xsetbv_3, XSAVE },
	{ "vmcall", hypercall_intel, INTEL }, { "vmmcall", hypercall_amd, AMD },
};
#define NR_FORMS (sizeof(forms) / sizeof(forms[0]))

static uint32_t ticks[NR_FORMS][PER_FORM];
static unsigned taken[NR_FORMS];
static uint64_t state;

/* xorshift64: the same seed, the same order */
static unsigned draw(unsigned below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)((state >> 20) % below);
}

static unsigned available(void)
{
	return (is_intel() ? INTEL : AMD) | (cpu_has(1, 2, 26) ? XSAVE : 0) | (cpu_has(1, 3, 12) ? MTRR : 0);
}

static void once(unsigned k, unsigned n)
{
	uint64_t start = rdtsc();
	forms[k].run();
	uint64_t end = rdtsc();
	if (taken[k] < n) {
		ticks[k][taken[k]++] = (uint32_t)(end - start);
	}
}

/* Between two operations: often nothing, else up to some thousand instructions */
static void gap(void)
{
	for (volatile unsigned i = draw(2) ? draw(500) : 0; i > 0; i--) {
	}
}

static void report_mixed(const char *name, uint32_t *a, unsigned n)
{
	sort(a, n);
	print("MIXED %s n=%u min=%u med=%u p99=%u max=%u\n", name, n, a[0], a[n / 2], a[n * 99 / 100], a[n - 1]);
}

void mixed(uint64_t seed, unsigned n)
{
	unsigned has = available();
	n = n > PER_FORM ? PER_FORM : n;
	state = seed * 0x9e3779b97f4a7c15 + 1;
	for (unsigned left = n * NR_FORMS; left > 0; left--) {
		unsigned k = draw(NR_FORMS), row = draw(16) ? 1 : 1 + draw(8);
		if (forms[k].needs & ~has) {
			continue;
		}
		for (unsigned i = 0; i < row; i++) {
			once(k, n);
		}
		gap();
	}
	for (unsigned k = 0; k < NR_FORMS; k++) {
		if (forms[k].needs & ~has) {
			skip(forms[k].name, "not on this CPU");
		} else if (taken[k]) {
			report_mixed(forms[k].name, ticks[k], taken[k]);
		}
	}
}
