/* SPDX-License-Identifier: BSD-2-Clause */
/* The test device, see vtestdev.h. Attached by the platform where a partition has it. */
#include "vtestdev.h"
#include "lib/lib.h"

#define FLUSH 4 /* offset of the port after the latch */

static u64 port_read(void *self, u64 offset, u32 width)
{
	const struct vtestdev *d = self;
	u64 value = ~0ull;
	if (offset < FLUSH) {
		memcpy(&value, &d->latch[offset], MIN(width, FLUSH - offset));
	}
	return value;
}

static void port_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vtestdev *d = self;
	if (offset < FLUSH) {
		memcpy(&d->latch[offset], &value, MIN(width, FLUSH - offset));
	} else if (offset == FLUSH) {
		d->ops->flush_page(d->ctx, GPA(ALIGN_DOWN(value, PAGE_SIZE)));
	}
}

static u64 line_read(void *self, u64 offset, u32 width)
{
	(void)self, (void)offset, (void)width;
	return ~0ull;
}

static void line_write(void *self, u64 offset, u32 width, u64 value)
{
	const struct vtestdev *d = self;
	(void)width;
	d->ops->irq(d->ctx, (u32)offset, value != 0);
}

static u64 ram_read(void *self, u64 offset, u32 width)
{
	const struct vtestdev *d = self;
	u64 value = 0;
	memcpy(&value, d->ram + offset, width);
	return value;
}

static void ram_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vtestdev *d = self;
	memcpy(d->ram + offset, &value, width);
}

const struct vdev_ops vtestdev_port_ops = { .read = port_read, .write = port_write };
const struct vdev_ops vtestdev_line_ops = { .read = line_read, .write = line_write };
const struct vdev_ops vtestdev_ram_ops = { .read = ram_read, .write = ram_write };
