/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels: memory that several partitions share, and the doorbells between its ends. Built at boot, const
 * afterwards but for what each end's owner does with its own device. An end is rung without a lock.
 */
#ifndef BULKHEAD_CHANNEL_H
#define BULKHEAD_CHANNEL_H

#include "config.h"
#include "devices/vivshmem.h"
#include "kernel/verdict.h"
#include "mm/frames.h"

struct partition;

/* One partition's end; within its struct pc */
struct channel_end {
	struct vivshmem dev;
	struct channel *channel;
	struct partition *owner;
	u32 index; /* among its owner's: says where in the PC it is */
};

struct channel {
	const struct channel_config *cfg;
	hpa memory;
	struct channel_end *member[CONFIG_MAX_MEMBERS]; /* by position; all there once partitions run */
};

/*
 * Where a partition's channels are: number i is PCI device 3 + i, interrupts by I/O APIC pin 16 + i (_PRT
 * agrees), has its registers in the i-th page of the window for BARs and its memory in the slot i + 1.
 */
#define CHANNEL_DEVICE0 3
#define CHANNEL_PIN0	16
#define CHANNEL_SLOT	((u64)CONFIG_CHANNEL_KIB << 10)
static_assert((CONFIG_MAX_ENDS + 1) * CHANNEL_SLOT <= VPCI_MMIO_LEN, "all fit into the window");

/** channels_alloc() - memory for all channels of @cfg, cleared, into @out. Boot. Return: NULL or why not. */
const char *must_check channels_alloc(struct channel out[CONFIG_MAX_CHANNELS], const struct system_config *cfg,
				      struct frames *frames);

/**
 * channels_attach() - the ends that @p has of those @nr channels: second-level mappings with their rights,
 * never executable. Boot. Return: NULL or why not.
 */
const char *must_check channels_attach(struct partition *p, struct channel *channels, u32 nr);

/**
 * channels_reset() - all ends of @p as PCI functions in reset state, nothing rung. After pc_init().
 *
 * Peers may ring meanwhile; the owner looks once it lives. Return: NULL or why not.
 */
const char *must_check channels_reset(struct partition *p);

/** channels_look() - somebody has rung: let the lines of @p follow. On core 0's CPU, no lock held. */
void channels_look(struct partition *p);

/** hc_channel_info(), hc_doorbell() - HC_CHANNEL_INFO and HC_DOORBELL (abi/hypercall.h). Return: RAX. */
s64 hc_channel_info(struct vcpu *v);
s64 hc_doorbell(struct vcpu *v);

#endif
