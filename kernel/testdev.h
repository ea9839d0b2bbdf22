/* SPDX-License-Identifier: BSD-2-Clause */
/* The platform's side of the test device: pages that go, and come back when they are touched. Pure. */
#ifndef BULKHEAD_TESTDEV_H
#define BULKHEAD_TESTDEV_H

#include "kernel/partition.h"

/** testdev_attach() - a test device for @p, on the bus of its ports. Boot. Return: as bus_attach(), or STATUS_NO_MEMORY. */
enum status must_check testdev_attach(struct partition *p, const struct vtestdev_ops *ops);

/** testdev_flush_page() - struct vtestdev_ops; @ctx is the struct pc. */
void testdev_flush_page(void *ctx, gpa page);

/** testdev_remap() - bring back the page of @addr. Return: false if no test device can have taken it. */
bool testdev_remap(struct partition *p, gpa addr);

#endif
