/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device for guests that test a machine: a latch, a way to lose one's own pages, interrupt lines, and
 * memory where each access exits. Port-compatible with QEMU's pc-testdev. Off unless configured. Pure:
 * page tables and interrupt controllers are injected.
 */
#ifndef BULKHEAD_VTESTDEV_H
#define BULKHEAD_VTESTDEV_H

#include "bus.h"

#define VTESTDEV_PORTS	   0xe0 /* +0..3 latch; +4 takes the address of a page to flush */
#define VTESTDEV_PORTS_LEN 8
#define VTESTDEV_LINES	   0x2000 /* +n: level of line n */
#define VTESTDEV_NR_LINES  24
#define VTESTDEV_RAM	   0xff000000ull
#define VTESTDEV_RAM_LEN   0x10000

/**
 * struct vtestdev_ops - what it asks of the platform
 * @flush_page: the page at @page leaves the second-level tables; the next touch brings it back
 * @irq:        line @line, numbered as the I/O APIC's pins are wired, takes @level
 */
struct vtestdev_ops {
	void (*flush_page)(void *ctx, gpa page);
	void (*irq)(void *ctx, u32 line, bool level);
};

struct vtestdev {
	const struct vtestdev_ops *ops;
	void *ctx;
	u8 latch[4];
	u8 *ram; /* VTESTDEV_RAM_LEN bytes */
};
extern const struct vdev_ops vtestdev_port_ops, vtestdev_line_ops, vtestdev_ram_ops;

#endif
