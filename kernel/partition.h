/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A partition: its memory, its one vCPU, and the PC around it. Built once at boot by partition_build(),
 * then frozen but for what the running vCPU changes; owner is the CPU of that vCPU. Other CPUs touch
 * only state and stop_request, with atomics.
 */
#ifndef BULKHEAD_PARTITION_H
#define BULKHEAD_PARTITION_H

#include "bus.h"
#include "config.h"
#include "devices/vacpi.h"
#include "devices/vioapic.h"
#include "devices/vlapic.h"
#include "devices/vpic.h"
#include "devices/vpit.h"
#include "devices/vrtc.h"
#include "devices/vuart.h"
#include "kernel/console.h"
#include "kernel/gmem.h"
#include "kernel/host.h"
#include "kernel/loader.h"
#include "kernel/msr.h"
#include "mm/frames.h"
#include "mm/pt.h"
#include "vcpu.h"

/* The PC of one partition: devices, their wiring, and when one of them next wants attention */
struct pc {
	struct bus ports, mmio;
	struct vclock clock;
	struct vuart uart;
	struct vuart_backend uart_backend;
	struct vpic pic;
	struct vpit pit;
	struct vrtc rtc;
	struct vacpi acpi;
	struct vioapic ioapic;
	struct vlapic lapic;
	struct vlapic_env lapic_env;
	struct console_source console;
	u64 deadline_ns; /* no device needs pc_poll() before; 0 = a device was touched */
};

enum partition_state { PARTITION_NONE, PARTITION_RUNNING, PARTITION_STOPPED };

/* How a partition ended */
struct partition_end {
	bool is_set, is_ok;
	const char *why; /* "poweroff", "exit", "triple fault", ... */
	u64 code;
};

struct partition {
	const struct partition_config *cfg;
	const struct host *host;
	u32 index;
	enum partition_state state; /* atomic */
	bool stop_request;	    /* atomic: the machine shuts down */
	struct partition_end end;
	struct gmem mem;
	struct pt space;
	struct pc pc;
	struct vcpu vcpu;
	struct msr_state msrs;
	const struct policy *policy;
	struct cpuid_env cpuid;
	u64 birth_tsc;
	u64 scrub_ticks; /* TSC ticks that clearing its memory took */
};

/* What partition_build() needs beside the configuration */
struct partition_resources {
	const struct host *host;
	const struct vcpu_ops *ops;
	const struct pt_format *space_format;
	u64 max_page;
	struct frames *frames;
	struct page_source *pages;
	u32 xsave_len;
	struct load_input files; /* cfg is filled in by partition_build() */
	u16 tag;
};

/**
 * partition_build() - memory, second-level tables, PC, guest image, vCPU in its first state
 *
 * Context: boot, BSP in root mode. Return: NULL, or why not ("kernel truncated", "out of memory", ...).
 */
const char *must_check partition_build(struct partition *p, const struct partition_config *cfg,
				       const struct partition_resources *res);

/** partition_start() - birth: the partition's clock and TSC start from zero. On the vCPU's own CPU. */
void partition_start(struct partition *p);

/** partition_now_ns() - nanoseconds since birth. */
u64 partition_now_ns(const struct partition *p);

/** partition_end() - the guest's own doing, or a kill: remember the first reason. The run loop acts. */
void partition_end(struct partition *p, bool is_ok, const char *why, u64 code);

/** pc_init() - all devices in reset state, wired, on their buses. Return: STATUS_OVERLAP and the like. */
enum status must_check pc_init(struct partition *p);

/** pc_poll() - let time-driven devices act. Return: when to call again, ns since birth, or NEVER. */
u64 pc_poll(struct partition *p, u64 now_ns);

/** pc_has_irq() - would the vCPU take an interrupt if RFLAGS.IF were 1? */
bool pc_has_irq(const struct pc *pc);

/** pc_ack_irq() - the interrupt acknowledge cycle. Return: the vector. */
u8 pc_ack_irq(struct pc *pc);

#endif
