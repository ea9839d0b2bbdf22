/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract between a virtual local APIC and a CPU that can serve it without exits (SDM 3C chapter
 * 30 "APIC Virtualization and Virtual Interrupts"): registers are a page in the manual's layout, and
 * before an entry the CPU is told what it goes by. No vendor's bits are here.
 */
#ifndef BULKHEAD_APIC_H
#define BULKHEAD_APIC_H

#include "types.h"

/* How a CPU can serve it: not while it is off, by hardware or by software; by MMIO; by MSRs */
enum apic_mode { APIC_OFF, APIC_XAPIC, APIC_X2APIC };

/**
 * struct apic_view - what a CPU that serves the APIC itself goes by
 * @blocked_class: bits 7:4 of the highest request if TPR alone keeps it back, else 0
 * @requested, @in_service: highest vectors of IRR and ISR, 0 for none
 * @level: vectors whose EOI must exit, 256 bits as in TMR
 */
struct apic_view {
	enum apic_mode mode;
	u8 blocked_class, requested, in_service;
	u32 level[8];
};

#endif
