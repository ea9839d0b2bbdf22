/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual MC146818 CMOS clock: ports 0x70-0x71, periodic, alarm and update interrupts. Pure. */
#ifndef BULKHEAD_VRTC_H
#define BULKHEAD_VRTC_H

#include "bus.h"

#define VRTC_RAM     128
#define VRTC_CENTURY 0x32 /* what the FADT must say */

struct vrtc {
	u8 ram[VRTC_RAM]; /* time registers are brought up to date when somebody looks */
	u8 index;
	const struct vclock *clock;
	struct irq_line irq;
	s64 base_seconds; /* wall time (1970) when the divider chain was 0 */
	u64 phase_ns;	  /* divider chain = partition clock + this; grows at each reset by below 1 s */
	u64 synced_ns;	  /* the chain when flags were last brought up to date */
	u64 deadline_ns;  /* no vrtc_poll() needed before; NEVER = none */
	u8 weekday_shift; /* a guest may call any day a Sunday */
};
extern const struct vdev_ops vrtc_ops; /* self = struct vrtc */

/** vrtc_init() - @wall_seconds: UTC since 1970 at birth */
void vrtc_init(struct vrtc *r, const struct vclock *clock, struct irq_line irq, u64 wall_seconds);

/** vrtc_set_memory() - sizes in bytes, told by the CMOS bytes 15-18, 30-31, 34-35, 5b-5d. */
void vrtc_set_memory(struct vrtc *r, u64 below_4g, u64 above_4g);

/** vrtc_poll() - do what is due at @now_ns. Return: the next deadline, or NEVER. */
u64 vrtc_poll(struct vrtc *r, u64 now_ns);

#endif
