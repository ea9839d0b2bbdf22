/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical local APIC of the calling CPU: xAPIC or, where CPUID has it, x2APIC mode.
 * SDM 3A chapter 11; APM 2 chapter 16. Never disables an APIC that was on.
 */
#ifndef BULKHEAD_LAPIC_H
#define BULKHEAD_LAPIC_H

#include "types.h"

/* Host vectors */
#define HOST_VEC_TIMER	  0xf0
#define HOST_VEC_KICK	  0xf1
#define HOST_VEC_POSTED	  0xf2 /* a running guest has got requests: the CPU may take them without an exit */
#define HOST_VEC_SPURIOUS 0xff

/**
 * lapic_init() - enable on this CPU, all LVTs masked but the timer (HOST_VEC_TIMER), TPR 0
 *
 * The caller has mapped 4 KiB at 0xfee00000, uncached, one to one (needed in xAPIC mode).
 */
void lapic_init(void);

/** lapic_is_x2apic() - which mode this machine's APICs are in. */
bool lapic_is_x2apic(void);

u32 lapic_id(void);
void lapic_eoi(void);

/* What lapic_send() can send: a fixed interrupt is its vector, the others are delivery modes. */
#define IPI_NMI		  0x400
#define IPI_INIT	  0x500
#define IPI_STARTUP(page) (0x600 | (page)) /* start at page * 4 KiB */

/** lapic_send() - @command to the CPU with @apic_id. */
void lapic_send(u32 apic_id, u32 command);

/** lapic_timer_begin() - the timer counts, to be measured, without an interrupt. Once, on the BSP. */
void lapic_timer_begin(void);

/** lapic_timer_finish() - learn the timer's rate against the TSC; waits if less than 10 ms have passed. */
void lapic_timer_finish(u64 tsc_hz);

/**
 * lapic_timer_arm() - one HOST_VEC_TIMER interrupt when the TSC reaches @deadline_tsc
 *
 * At once if that is past; NEVER disarms. May fire early (never late beyond the interrupt's own
 * latency) where the counter is narrower than the distance. TSC-deadline mode where CPUID has it.
 */
void lapic_timer_arm(u64 deadline_tsc);

#endif
