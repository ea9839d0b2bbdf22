/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A partition: its memory, its cores, and the PC around them. Built once at boot, born
 * as often as its health table says. While it lives each core belongs to its CPU, the devices to whoever
 * holds pc.lock, and the rest is const but for the atomics.
 */
#ifndef BULKHEAD_PARTITION_H
#define BULKHEAD_PARTITION_H

#include "bus.h"
#include "config.h"
#include "devices/vacpi.h"
#include "devices/vioapic.h"
#include "devices/vpci.h"
#include "devices/vpic.h"
#include "devices/vpit.h"
#include "devices/vrtc.h"
#include "devices/vtestdev.h"
#include "devices/vuart.h"
#include "devices/vwatchdog.h"
#include "kernel/birth.h"
#include "kernel/channel.h"
#include "kernel/console.h"
#include "kernel/core.h"
#include "kernel/gmem.h"
#include "kernel/host.h"
#include "kernel/life.h"
#include "kernel/loader.h"
#include "lock.h"
#include "mm/frames.h"
#include "mm/pt.h"
#include "vcpu.h"

/*
 * The PC of one partition: devices that all cores share, their wiring, and when one of them next wants
 * attention. The buses take the lock where there are several cores; core 0's CPU polls.
 */
struct pc {
	struct lock lock;
	struct console_source console; /* outlives the guest, as do the next two: peers may ring at any time */
	struct channel_end end[CONFIG_MAX_ENDS];
	u32 nr_ends;
	struct bus ports;	       /* from here on a new life finds zeroes: pc_init() */
	struct bus_stray stray_port, stray_mmio;
	struct vclock clock;
	struct vuart uart;
	struct vuart_backend uart_backend;
	struct vpic pic;
	struct vpit pit;
	struct vrtc rtc;
	struct vacpi acpi;
	struct vpci pci;
	struct vioapic ioapic;
	struct vwatchdog watchdog; /* if configured, as is */
	struct vtestdev testdev;
	u64 watchdog_ns; /* atomic: when HC_WATCHDOG fires; NEVER = it is off */
	u64 console_ns;	 /* when an unfinished line is due */
	u64 exits_at_tx; /* of the partition, at the last byte sent */
	bool has_line;	 /* one has begun since the last poll */
	u64 deadline_ns; /* atomic: no pc_poll() needed before */
	struct core *by; /* under the lock: it is on this CPU, and takes interrupts at once; NULL = by mail */
	u32 next_lowest; /* lowest priority delivery begins here among equals */
};

#define LOW_RAM_TOP   (3 * GIB) /* above it the PC's device hole, up to 4 GiB */
#define HIGH_RAM_BASE (4 * GIB)

enum partition_state {
	PARTITION_NONE,
	PARTITION_RUNNING,
	PARTITION_BIRTH, /* its cores are parked, core 0's CPU makes its next life */
	PARTITION_STOPPED,
};

/* How a life of a partition ended */
struct partition_end {
	bool is_claimed, is_set; /* atomic: somebody writes this; it is written */
	enum health_event event;
	const char *why; /* "poweroff", "exit", "triple fault", ... */
	u64 code;
};

struct partition {
	const struct partition_config *cfg;
	const struct host *host;
	u32 index;
	enum partition_state state; /* atomic */
	struct partition_end end;
	struct life life;
	struct birth birth;
	struct load_input files; /* what each life is loaded from: modules, which stay */
	u32 xsave_len;
	struct gmem mem;
	struct pt space;
	struct pt space_apic; /* the same, and a page at the local APIC's address, if the CPU serves that */
	hpa apic_access;      /* that page: no guest reads or writes it */
	struct pc pc;
	const struct policy *policy;
	struct core *core[CONFIG_MAX_VCPUS];
	u32 nr_cores;
	u32 nr_parked; /* atomic: cores that have stopped for good */
	u32 nr_posts;  /* atomic: messages to its cores so far */
	u64 birth_tsc; /* written before any other core can run */
};

/* What partition_build() needs beside the configuration */
struct partition_resources {
	const struct host *host;
	const struct vcpu_ops *ops;
	const struct pt_format *space_format;
	u64 max_page;
	struct frames *frames;
	struct page_source *pages, *tables; /* for all else; for second-level tables */
	u32 xsave_len;
	struct load_input files; /* cfg is filled in by partition_reserve() */
	u16 *tags;		 /* by CPU: the last one given out */
	const u8 *nr_on_cpu;	 /* by CPU: vCPUs of all partitions */
	struct channel *channels;
	u32 nr_channels;
};

/**
 * partition_reserve() - which memory is @p's, the first step; it is not touched
 *
 * This and the next two: context: boot, BSP. Return: NULL, or why not ("kernel truncated", "out of memory", ...).
 */
const char *must_check partition_reserve(struct partition *p, const struct partition_config *cfg,
					 const struct partition_resources *res);

/** partition_build() - second-level tables, cores, channels. Its memory may be cleared meanwhile. */
const char *must_check partition_build(struct partition *p, const struct partition_resources *res);

/** partition_first_life() - all of it but the start. In root mode, when its memory is clear. */
const char *must_check partition_first_life(struct partition *p);

/** partition_start() - clock and TSC start from zero, cores may run. On core 0's CPU, after birth. */
void partition_start(struct partition *p);

/** partition_now_ns() - nanoseconds since birth. */
u64 partition_now_ns(const struct partition *p);

/** partition_end() - this life is over: remember the first reason. From any CPU. The run loop acts. */
void partition_end(struct partition *p, enum health_event what, const char *why, u64 code);

/** partition_exits() - of all cores in this life. */
u64 partition_exits(const struct partition *p);

/** partition_has_end() - has partition_end() been called? From any CPU. */
static inline bool partition_has_end(const struct partition *p)
{
	return __atomic_load_n(&p->end.is_set, __ATOMIC_ACQUIRE);
}

/* The lock of the devices, where more than one CPU can come to them */
static inline void pc_lock(struct partition *p)
{
	if (p->nr_cores > 1) {
		lock_take(&p->pc.lock);
	}
}

static inline void pc_unlock(struct partition *p)
{
	if (p->nr_cores > 1) {
		lock_drop(&p->pc.lock);
	}
}

/** core_has_event() - is there one to deliver, or has the 8259's line moved? But for requests to the local APIC. By the owner. */
static inline bool core_has_event(const struct core *c)
{
	return c->v.pending.type != EVENT_NONE || c->v.nmi_pending || c->lapic.nmi_pending || (c->lapic.lint & 1) ||
	       vpic_is_pending(&c->v.part->pc.pic);
}

/** core_is_quiet() - nor such a request: so it is before most entries. By the owner. */
static inline bool core_is_quiet(const struct core *c)
{
	return !vlapic_has_request(&c->lapic) && !core_has_event(c);
}

/** pc_init() - all devices in reset state, wired, on their buses. Return: STATUS_OVERLAP and the like. */
enum status must_check pc_init(struct partition *p);

/** pc_irq() - input @line of the interrupt controllers: an ISA IRQ, or from 16 on a pin of the I/O APIC. */
struct irq_line pc_irq(struct pc *pc, u32 line);

/** pc_attach_core() - the MMIO devices as @c sees them. */
enum status must_check pc_attach_core(struct core *c);

/** pc_init_lapic() - the local APIC of @c, wired. */
void pc_init_lapic(struct core *c);

/** pc_console_tx() - a byte for the partition's console, which has room. Under pc.lock. */
void pc_console_tx(struct partition *p, u8 byte);

/** pc_poll() - let the devices act that time drives; from core 0's CPU. Return: pc.deadline_ns. */
u64 pc_poll(struct partition *p, u64 now_ns);

/**
 * pc_touched() - core @by has used a port or a device: keep pc.deadline_ns true
 *
 * Wakes core 0's CPU if that is sooner than it knows, and whoever takes the 8259's interrupts.
 */
void pc_touched(struct core *by);

#endif
