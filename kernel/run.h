/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop in which every physical CPU spends its life. */
#ifndef BULKHEAD_RUN_H
#define BULKHEAD_RUN_H

#include "kernel/cpu.h"
#include "kernel/partition.h"
#include "kernel/scrub.h"

/* The whole machine as run time sees it; built by kmain, const but for the atomics */
struct machine {
	struct acpi_info acpi;
	struct host host;
	const struct vcpu_ops *ops;
	const struct system_config *config;
	struct partition *partition[CONFIG_MAX_PARTITIONS];
	u32 nr_partitions;
	u32 nr_running;	     /* atomic */
	bool is_released;    /* atomic: all partitions are built, CPUs may run them */
	bool is_ending;	     /* atomic: an on-exit = "shutdown" partition ended */
	u64 max_page;	     /* largest second-level leaf */
	u64 host_xcr0;	     /* all that the host has; 0 = no XSAVE */
	u64 epoch_tsc;	     /* all CPUs' major frames begin here */
	struct scrub scrub;  /* shared */
};
extern struct machine machine;

/** run_init() - room for the run loops of all CPUs. Boot. Return: false if out of memory. */
bool must_check run_init(void);

/** run_cpu() - run the partitions pinned to the calling CPU until the machine ends. */
void run_cpu(struct cpu *c) noreturn_fn;

/** host_poke() - struct host's poke: the CPU of @v looks at its mailbox, soon. From any CPU. */
void host_poke(const struct vcpu *v);

/** host_notify() - struct host's notify: the same for posted requests, which may need no exit. From any CPU. */
void host_notify(const struct vcpu *v);

/** host_loaded() - struct host's loaded. While an exit is handled. */
struct vcpu *host_loaded(void);

#endif
