/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses of a guest to ports and memory that nobody has. They are answered as on a PC, all ones and lost
 * writes; this only tells of them. Knows ports that software probes on each PC; knows no device. The buses
 * call it, and only those of a partition that asks for it. Pure.
 */
#include "kernel/stray.h"
#include "kernel/backend.h"
#include "kernel/partition.h"
#include "log.h"

/* Where PCs had devices at fixed places, so that software asks there without being told of any */
static const struct {
	u16 first, last;
} silent[] = {
	{ 0x00, 0x1f },	  /* DMA controller */
	{ 0x22, 0x23 },	  /* IMCR, chipset index */
	{ 0x2e, 0x2f },	  /* Super I/O */
	{ 0x4e, 0x4f },
	{ 0x62, 0x62 },	  /* ACPI embedded controller */
	{ 0x66, 0x66 },
	{ 0x72, 0x77 },	  /* second bank of CMOS */
	{ 0x80, 0x8f },	  /* POST code, I/O delay; DMA pages */
	{ 0xb2, 0xb3 },	  /* SMI command */
	{ 0xc0, 0xdf },	  /* second DMA controller */
	{ 0xed, 0xed },	  /* Linux' other I/O delay */
	{ 0xf0, 0xf1 },	  /* coprocessor's IGNNE# */
	{ 0x170, 0x177 }, /* IDE */
	{ 0x1f0, 0x1f7 },
	{ 0x278, 0x27f }, /* parallel port; ISA PnP address */
	{ 0x2e8, 0x2ef }, /* COM4, COM2 */
	{ 0x2f8, 0x2ff },
	{ 0x376, 0x377 }, /* IDE */
	{ 0x378, 0x37f }, /* parallel port */
	{ 0x3b0, 0x3df }, /* monochrome, EGA, VGA, CGA */
	{ 0x3e8, 0x3ef }, /* COM3 */
	{ 0x3f0, 0x3f7 }, /* floppy disk; IDE */
	{ 0xa79, 0xa79 }, /* ISA PnP data */
	{ 0xc80, 0xc83 }, /* EISA's identity of the board */
};

bool stray_is_silent(u64 port)
{
	for (u32 i = 0; i < ARRAY_SIZE(silent); i++) {
		if (port >= silent[i].first && port <= silent[i].last) {
			return true;
		}
	}
	return false;
}

struct stray {
	const char *where;
	u64 addr;
	u32 width;
	bool is_write;
};

static void tell(struct partition *p, enum health_event what, const struct stray *s)
{
	if (partition_has_end(p) || !life_may_log(p, what)) {
		return;
	}
	struct vcpu *v = p->host->loaded();
	log("[%s] event=%s %s=0x%lx width=%u %s cpu=%u rip=0x%lx", p->cfg->name, health_name(what), s->where,
	    s->addr, s->width, s->is_write ? "write" : "read", v->id, backend_get(v, VREG_RIP));
	if (life_action(p, what) != HEALTH_LOG) {
		partition_end(p, what, health_name(what), s->addr);
	}
}

static void port_seen(void *ctx, u64 addr, u32 width, bool is_write)
{
	if (!stray_is_silent(addr)) {
		tell(ctx, HEALTH_IO_VIOLATION, &(struct stray){ "port", addr, width, is_write });
	}
}

static void mmio_seen(void *ctx, u64 addr, u32 width, bool is_write)
{
	tell(ctx, HEALTH_MEMORY_VIOLATION, &(struct stray){ "address", addr, width, is_write });
}

static bool is_watched(const struct partition *p, enum health_event what)
{
	return life_action(p, what) != HEALTH_IGNORE;
}

void stray_watch(struct partition *p)
{
	struct pc *pc = &p->pc;
	if (is_watched(p, HEALTH_IO_VIOLATION)) {
		pc->stray_port = (struct bus_stray){ port_seen, p };
		pc->ports.stray = &pc->stray_port;
	}
	if (is_watched(p, HEALTH_MEMORY_VIOLATION)) {
		pc->stray_mmio = (struct bus_stray){ mmio_seen, p };
		pc->pci.stray = &pc->stray_mmio;
	}
}
