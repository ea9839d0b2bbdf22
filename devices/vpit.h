/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual 8254 timer, 3 channels at 1193182 Hz, and system control port B (0x61). Pure. */
#ifndef BULKHEAD_VPIT_H
#define BULKHEAD_VPIT_H

#include "bus.h"

#define PIT_HZ 1193182ull

/* The counting element is never stepped: it follows from the pulses since start_ns; one loads it. */
struct vpit_channel {
	u64 start_ns;	 /* when the count was written, or the gate triggered */
	u64 held_pulses; /* since then when the gate closed: counting resumes from here */
	u64 switch_ns;	 /* modes 2 and 3: when next_reload takes over */
	u32 reload;	 /* 1 to 65536; 0 = none written yet */
	u32 next_reload; /* written, not yet in the counting element; 0 = none */
	u8 control;	 /* bits 5:0 of the control word */
	u8 mode;	 /* 0 to 5: 6 and 7 are 2 and 3 */
	bool is_switch_low; /* mode 3: next_reload begins with its low half */
	bool is_loaded, gate, is_write_high, is_read_high, has_latched_status;
	u8 write_latch, latched_status;
	u8 latched_bytes; /* of latched_count not yet read; 0 = not latched */
	u16 latched_count;
};

struct vpit {
	struct vpit_channel ch[3];
	const struct vclock *clock;
	struct irq_line irq; /* channel 0 */
	u64 deadline_ns;     /* channel 0's next edge; NEVER = none */
	u8 port61;
};
extern const struct vdev_ops vpit_ops;	    /* ports 0x40-0x43, self = struct vpit */
extern const struct vdev_ops vpit_port61_ops; /* port 0x61, self = struct vpit */

void vpit_init(struct vpit *p, const struct vclock *clock, struct irq_line irq);

/**
 * vpit_poll() - raise channel 0's edge if due at @now_ns. Return: the next deadline, or NEVER.
 *
 * Edges missed by more than one period are dropped, not bunched.
 */
u64 vpit_poll(struct vpit *p, u64 now_ns);

#endif
