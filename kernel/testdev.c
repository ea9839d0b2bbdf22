/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the test device asks of the platform. A page leaves the second-level tables, and so every vCPU's
 * TLB; what touches it next, an event's delivery perhaps, exits and finds it back. The memory itself
 * stays the partition's. Called through the bus and by exit.c; space_lock() serializes the tables.
 */
#include "kernel/testdev.h"
#include "kernel/space.h"
#include "lib/lib.h"

void testdev_flush_page(void *ctx, gpa page)
{
	struct partition *p = container_of(ctx, struct partition, pc);
	if (!gmem_ptr(&p->mem, page, PAGE_SIZE)) {
		return;
	}
	space_lock();
	enum status s = pt_unmap(&p->space, page.v, PAGE_SIZE);
	if (s == STATUS_OK && p->space_apic.root.v) {
		s = pt_unmap(&p->space_apic, page.v, PAGE_SIZE);
	}
	space_unlock();
	if (s != STATUS_OK) {
		return; /* no page left to split a large one: it stays */
	}
	for (u32 i = 0; i < p->nr_cores; i++) {
		core_post(p->core[i], MAIL_FLUSH);
	}
}

enum status testdev_attach(struct partition *p, const struct vtestdev_ops *ops)
{
	struct pc *pc = &p->pc;
	struct page_source *pages = p->space.pages;
	u8 *ram = pc->testdev.ram; /* of the life before, which may have hidden pages: they come back at a touch */
	if (!ram) {
		hpa at = pages->alloc(pages, VTESTDEV_RAM_LEN / PAGE_SIZE);
		if (!at.v) {
			return STATUS_NO_MEMORY;
		}
		ram = pages->ptr(pages, at);
	}
	memset(ram, 0, VTESTDEV_RAM_LEN);
	pc->testdev = (struct vtestdev){ .ops = ops, .ctx = pc, .ram = ram };
	enum status s = bus_attach(&pc->ports, &(struct bus_range){ VTESTDEV_PORTS, VTESTDEV_PORTS_LEN,
				   "testdev", &vtestdev_port_ops, &pc->testdev, NULL });
	return s != STATUS_OK ? s : bus_attach(&pc->ports, &(struct bus_range){ VTESTDEV_LINES,
				    VTESTDEV_NR_LINES, "testdev-irq", &vtestdev_line_ops, &pc->testdev, NULL });
}

static bool map_page(struct pt *space, gpa page, void *host)
{
	enum status s = STATUS_OK;
	if (space->root.v) {
		s = pt_map(space, page.v, HPA((uintptr_t)host), PAGE_SIZE, PT_R | PT_W | PT_X);
	}
	return s == STATUS_OK || s == STATUS_OVERLAP; /* a sibling was quicker, or it has not been unmapped */
}

bool testdev_remap(struct partition *p, gpa addr)
{
	gpa page = GPA(ALIGN_DOWN(addr.v, PAGE_SIZE));
	void *host = p->cfg->has_test_device ? gmem_ptr(&p->mem, page, PAGE_SIZE) : NULL;
	if (!host) {
		return false;
	}
	space_lock();
	bool is_ok = map_page(&p->space, page, host) && map_page(&p->space_apic, page, host);
	space_unlock();
	return is_ok;
}
