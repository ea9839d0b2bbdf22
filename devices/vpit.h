/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual 8254 timer, 3 channels at 1193182 Hz, and system control port B (0x61). Pure; time is injected. */
#ifndef BULKHEAD_VPIT_H
#define BULKHEAD_VPIT_H

#include "bus.h"

#define PIT_HZ 1193182ull

/*
 * The counting element is never stepped: it follows from the clock pulses since start_ns. The first
 * pulse loads it, so that @reload is in it at pulse 1.
 */
struct vpit_channel {
	u64 start_ns;	   /* when the count was written, or the gate triggered */
	u64 held_ticks;	   /* pulses since then when the gate closed: counting resumes from here */
	u64 switch_ns;	   /* modes 2 and 3: when next_reload replaces reload */
	u32 reload;	   /* 1 to 65536 */
	u32 next_reload;   /* written, not yet in the counting element; 0 = none */
	u8 control;	   /* bits 5:0 of the control word */
	u8 mode;	   /* 0 to 5: 6 and 7 are 2 and 3 */
	bool is_loaded, gate, is_write_high, is_read_high;
	bool is_switch_low; /* mode 3: the new count begins with the low half */
	u8 write_latch;
	bool has_latched_status;
	u8 latched_status;
	u16 latched_count;
	u8 latched_bytes; /* of latched_count not yet read; 0 = not latched */
};

struct vpit {
	struct vpit_channel ch[3];
	const struct vclock *clock;
	struct irq_line irq; /* channel 0 */
	u64 next_edge_ns;    /* NEVER = none */
	u8 port61;
};
extern const struct vdev_ops vpit_ops;	    /* ports 0x40-0x43, self = struct vpit */
extern const struct vdev_ops vpit_port61_ops; /* port 0x61, self = struct vpit */

void vpit_init(struct vpit *p, const struct vclock *clock, struct irq_line irq);

/** vpit_poll() - raise channel 0's edges that are due at @now_ns. Return: the next deadline, or NEVER.
 * Edges missed by more than one period are dropped, not bunched. */
u64 vpit_poll(struct vpit *p, u64 now_ns);

#endif
