/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual pair of 8259A interrupt controllers with ELCR (Intel 8259A data sheet). Pure. */
#ifndef BULKHEAD_VPIC_H
#define BULKHEAD_VPIC_H

#include "bus.h"

struct vpic_chip {
	u8 irr; /* rising edges not yet acknowledged; falls with the line */
	u8 isr, imr, lines, elcr;
	u8 icw_step; /* the ICW expected next at the odd port, 0 = none: operation */
	u8 vector_base, icw4;
	u8 priority; /* lowest-priority level */
	bool auto_rotate, special_mask, poll, reads_isr, needs_icw4, is_single;
};

struct vpic {
	struct vpic_chip chip[2]; /* master, slave */
	bool is_pending;	  /* the INT output of the master */
};
extern const struct vdev_ops vpic_master_ops, vpic_slave_ops, vpic_elcr_ops;
/* self = struct vpic; ports 0x20-0x21, 0xa0-0xa1, 0x4d0-0x4d1 */

void vpic_init(struct vpic *p);

/** vpic_set_line() - IRQ input 0 to 15 changes. */
void vpic_set_line(struct vpic *p, u32 irq, bool level);

/** vpic_is_pending() - the INT output of the master. One load; from any CPU. */
static inline bool vpic_is_pending(const struct vpic *p)
{
	return __atomic_load_n(&p->is_pending, __ATOMIC_RELAXED);
}

/** vpic_ack() - the INTA cycle. Return: the vector (spurious IRQ7/15 if the request went away). */
u8 vpic_ack(struct vpic *p);

#endif
