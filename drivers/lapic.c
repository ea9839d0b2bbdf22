// SPDX-License-Identifier: BSD-2-Clause
/*
 * The calling CPU's physical local APIC in xAPIC or x2APIC mode, and its timer as a TSC deadline.
 * Knows no guest and no CPU but by APIC ID. The mode is machine-wide: each CPU's lapic_init() finds
 * the same. Called by the kernel.
 */
#include "drivers/lapic.h"
#include "x86/insn.h"
#include "x86/msr.h"

#define XAPIC_BASE    0xfee00000ull
#define APIC_BASE_X2  BIT(10)
#define APIC_BASE_EN  BIT(11)
#define CPUID1_X2APIC BIT(21) /* CPUID.1:ECX */
#define CPUID1_TSC_DL BIT(24)

/* SDM 3A table 11-1 "Local APIC Register Address Map"; the x2APIC MSR is 0x800 + offset / 16 */
#define APIC_ID		 0x020
#define APIC_VERSION	 0x030
#define APIC_TPR	 0x080
#define APIC_EOI	 0x0b0
#define APIC_SVR	 0x0f0
#define APIC_ESR	 0x280
#define APIC_LVT_CMCI	 0x2f0
#define APIC_ICR	 0x300
#define APIC_ICR_HI	 0x310 /* xAPIC only */
#define APIC_LVT_TIMER	 0x320
#define APIC_LVT_THERMAL 0x330
#define APIC_LVT_PERF	 0x340
#define APIC_LVT_LINT0	 0x350
#define APIC_LVT_LINT1	 0x360
#define APIC_LVT_ERROR	 0x370
#define APIC_TIMER_INIT	 0x380
#define APIC_TIMER_COUNT 0x390
#define APIC_TIMER_DIV	 0x3e0

#define SVR_ENABLE   BIT(8)
#define LVT_MASKED   BIT(16)
#define LVT_DEADLINE BIT(18)
#define TIMER_DIV_1  0xb
#define ICR_PENDING  BIT(12) /* xAPIC only */
#define ICR_ASSERT   BIT(14)

static bool is_x2, has_deadline;
static u64 timer_start;	  /* TSC */
static u64 ticks_per_tsc; /* timer ticks per TSC tick, times 2^32 */

static u64 reg_read(u32 reg)
{
	return is_x2 ? rdmsr(MSR_X2APIC_FIRST + reg / 16) : *(volatile u32 *)(XAPIC_BASE + reg);
}

static void reg_write(u32 reg, u64 value)
{
	if (is_x2) {
		wrmsr(MSR_X2APIC_FIRST + reg / 16, value);
	} else {
		*(volatile u32 *)(XAPIC_BASE + reg) = (u32)value;
	}
}

/*
 * WRMSR to x2APIC registers and to TSC_DEADLINE does not wait for earlier stores to be seen:
 * SDM 3A 11.12.3 "MSR Access in x2APIC Mode", 11.5.4.1 "TSC-Deadline Mode".
 */
static void order_before_msr(void)
{
	__asm__ volatile("mfence; lfence" : : : "memory");
}

/*
 * From disabled to x2APIC leads over xAPIC (SDM 3A figure 11-27 "Local x2APIC State Transitions");
 * the way back would need a global disable, from which emulated APICs do not return.
 */
static void enable(void)
{
	u32 id[4];
	u64 base = rdmsr(MSR_APIC_BASE);

	cpuid(1, 0, id);
	has_deadline = id[2] & CPUID1_TSC_DL;
	is_x2 = id[2] & CPUID1_X2APIC;
	if (!(base & APIC_BASE_X2)) {
		base = (base & (PAGE_SIZE - 1)) | XAPIC_BASE | APIC_BASE_EN;
		wrmsr(MSR_APIC_BASE, base);
		wrmsr(MSR_APIC_BASE, base | (is_x2 ? APIC_BASE_X2 : 0));
	}
}

/*
 * Which LVT entries exist follows from the highest one's number (SDM 3A 11.4.8, 11.5.1). What
 * firmware left in service would block our lower vectors: as many EOIs as there can be of those.
 */
void lapic_init(void)
{
	static const u16 lvt[] = { APIC_LVT_LINT0, APIC_LVT_LINT1,   APIC_LVT_ERROR,
				   APIC_LVT_PERF,  APIC_LVT_THERMAL, APIC_LVT_CMCI };

	enable();
	reg_write(APIC_SVR, SVR_ENABLE | HOST_VEC_SPURIOUS);
	u64 max = field_get(BITS(23, 16), reg_read(APIC_VERSION));
	for (u32 i = 0; i < MIN(max, ARRAY_SIZE(lvt)); i++) {
		reg_write(lvt[i], LVT_MASKED);
	}
	reg_write(APIC_TPR, 0);
	for (u32 i = 0; i < 256; i++) {
		lapic_eoi();
	}
	reg_write(APIC_ESR, 0);
	reg_write(APIC_TIMER_INIT, 0);
	reg_write(APIC_TIMER_DIV, TIMER_DIV_1);
	reg_write(APIC_LVT_TIMER, HOST_VEC_TIMER | (has_deadline ? LVT_DEADLINE : 0));
	order_before_msr();
}

bool lapic_is_x2apic(void)
{
	return is_x2;
}

u32 lapic_id(void)
{
	u64 id = reg_read(APIC_ID);
	return (u32)(is_x2 ? id : id >> 24);
}

void lapic_eoi(void)
{
	reg_write(APIC_EOI, 0);
}

void lapic_send(u32 apic_id, u32 command)
{
	if (is_x2) {
		order_before_msr();
		reg_write(APIC_ICR, (u64)apic_id << 32 | ICR_ASSERT | command);
		return;
	}
	for (u32 i = 0; i < 100000 && reg_read(APIC_ICR) & ICR_PENDING; i++) {
		cpu_pause();
	}
	reg_write(APIC_ICR_HI, (u64)apic_id << 24);
	reg_write(APIC_ICR, ICR_ASSERT | command);
}

void lapic_timer_begin(void)
{
	if (!has_deadline) {
		reg_write(APIC_LVT_TIMER, HOST_VEC_TIMER | LVT_MASKED);
		reg_write(APIC_TIMER_INIT, UINT32_MAX);
		timer_start = rdtsc_ordered();
	}
}

/* A count of 0 says that it is over, not for how long */
void lapic_timer_finish(u64 tsc_hz)
{
	if (has_deadline) {
		return;
	}
	u64 now = rdtsc_ordered(), count = reg_read(APIC_TIMER_COUNT);
	if (count == 0) {
		lapic_timer_begin();
	}
	while (now - timer_start < tsc_hz / 100) {
		now = rdtsc_ordered();
		count = reg_read(APIC_TIMER_COUNT);
	}
	ticks_per_tsc = ((UINT32_MAX - count) << 32) / (now - timer_start);
	reg_write(APIC_TIMER_INIT, 0);
	reg_write(APIC_LVT_TIMER, HOST_VEC_TIMER);
}

/* In both modes, 0 disarms: SDM 3A 11.5.4 "APIC Timer". */
void lapic_timer_arm(u64 deadline_tsc)
{
	u64 now = rdtsc(), left = deadline_tsc > now ? deadline_tsc - now : 0;
	u128 ticks = (u128)left * ticks_per_tsc >> 32;

	if (has_deadline) {
		wrmsr(MSR_TSC_DEADLINE, deadline_tsc == NEVER ? 0 : MAX(deadline_tsc, 1ull));
	} else {
		ticks = MIN(MAX(ticks, 1u), UINT32_MAX);
		reg_write(APIC_TIMER_INIT, deadline_tsc == NEVER ? 0 : (u64)ticks);
	}
}
