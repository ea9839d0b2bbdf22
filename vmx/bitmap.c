/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small encodings on the way into a VMCS: MSR and I/O bitmaps from the kernel's neutral tables, the
 * preemption timer from a deadline, segments that pass the checks of VM entry. Pure.
 */
#include "lib/lib.h"
#include "vmx/vmx_room.h"

static void clear_bit(u8 *bitmap, u32 n)
{
	bitmap[n / 8] &= (u8) ~(1u << n % 8);
}

/*
 * SDM 3C 25.6.9 "MSR-Bitmap Address": four bitmaps of 1 KiB each: reads of 0 to 1fff and of
 * c0000000 to c0001fff, then the same for writes. An MSR outside both ranges always exits.
 */
#define HALF_BITS    0x2000
#define HIGH_FIRST   0xc0000000u
#define WRITE_BITMAP (2 * HALF_BITS)

static void pass_msr(u8 *bitmap, u32 msr, u32 pass)
{
	u32 bit = msr % HALF_BITS + (msr >= HIGH_FIRST ? HALF_BITS : 0);
	bool has_bit = msr % HIGH_FIRST < HALF_BITS;

	if (has_bit && (pass & MSR_PASS_READ)) {
		clear_bit(bitmap, bit);
	}
	if (has_bit && (pass & MSR_PASS_WRITE)) {
		clear_bit(bitmap, WRITE_BITMAP + bit);
	}
}

void vmx_msr_bitmap_build(u8 bitmap[PAGE_SIZE], const struct msr_range *pass, u32 nr)
{
	memset(bitmap, 0xff, PAGE_SIZE);
	for (u32 i = 0; i < nr; i++) {
		for (u64 msr = pass[i].first; msr <= pass[i].last; msr++) {
			pass_msr(bitmap, (u32)msr, pass[i].pass);
		}
	}
}

/* SDM 3C 30.5 "Virtualizing MSR-Based APIC Accesses": all these controls must be on */
static const struct {
	u16 first, last;
	u16 read, write; /* 0: never */
} x2apic_served[] = {
	{ 0x802, 0x803, PROC2_APIC_REGISTERS, 0 },		  /* ID, version */
	{ 0x808, 0x808, PROC2_X2APIC, PROC2_X2APIC },		  /* TPR */
	{ 0x80a, 0x80a, PROC2_APIC_REGISTERS | PROC2_VIRQ_DELIVERY, 0 }, /* PPR, which the latter keeps true */
	{ 0x80b, 0x80b, 0, PROC2_VIRQ_DELIVERY },		  /* EOI */
	{ 0x80d, 0x80d, PROC2_APIC_REGISTERS, 0 },		  /* LDR */
	{ 0x80f, 0x828, PROC2_APIC_REGISTERS, 0 },		  /* SVR, ISR, TMR, IRR, ESR */
	{ 0x832, 0x838, PROC2_APIC_REGISTERS, 0 },		  /* LVT, initial count; ICR has two halves */
	{ 0x83e, 0x83e, PROC2_APIC_REGISTERS, 0 },		  /* divide configuration */
	{ 0x83f, 0x83f, 0, PROC2_VIRQ_DELIVERY },		  /* self IPI */
};
#define X2APIC_FIRST 0x800
#define X2APIC_LAST  0x8ff

static bool is_served(u32 needs, u32 ctl2)
{
	return needs && (ctl2 & PROC2_X2APIC) && (ctl2 & needs) == needs;
}

void vmx_x2apic_pass(u8 bitmap[PAGE_SIZE], u32 ctl2)
{
	const u32 len = (X2APIC_LAST + 1 - X2APIC_FIRST) / 8;

	memset(bitmap + X2APIC_FIRST / 8, 0xff, len);
	memset(bitmap + (WRITE_BITMAP + X2APIC_FIRST) / 8, 0xff, len);
	for (u32 i = 0; i < ARRAY_SIZE(x2apic_served); i++) {
		u32 pass = (is_served(x2apic_served[i].read, ctl2) ? MSR_PASS_READ : 0) |
			   (is_served(x2apic_served[i].write, ctl2) ? MSR_PASS_WRITE : 0);

		for (u32 msr = x2apic_served[i].first; msr <= x2apic_served[i].last; msr++) {
			pass_msr(bitmap, msr, pass);
		}
	}
}

void vmx_io_bitmap_build(u8 bitmap[2 * PAGE_SIZE], const u16 *pass, u32 nr)
{
	memset(bitmap, 0xff, 2 * PAGE_SIZE);
	for (u32 i = 0; i < nr; i++) {
		clear_bit(bitmap, pass[i]);
	}
}

/*
 * SDM 3C 26.5.1 "VMX-Preemption Timer": counts down each time bit @rate of the TSC changes. Never
 * off and never far away: Bochs 2.7 and 3.0 lose the exit for a host interrupt if an entry loads
 * IF=0, and the timer then bounds how long nobody looks. Rounded down, so never late.
 */
#define TIMER_MAX_TSC BIT(30)

u32 vmx_timer_ticks(u64 deadline, u64 now, u32 rate)
{
	u64 left = deadline > now ? deadline - now : 0;

	return (u32)(MIN(left, TIMER_MAX_TSC) >> rate);
}

/*
 * SDM 3C 27.3.1.2 "Checks on Guest Segment Registers": G must be 0 unless limit bits 11:0 are all
 * ones, and must be 1 if any of limit bits 31:20 is.
 */
struct segment vmx_segment_fix(const struct segment *in)
{
	struct segment s = *in;

	if (s.limit > 0xfffff) {
		s.limit |= 0xfff;
		s.attr |= SEG_G;
	} else if ((s.limit & 0xfff) != 0xfff) {
		s.attr &= ~(u32)SEG_G;
	}
	return s;
}
