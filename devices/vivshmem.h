/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One partition's end of a channel as a PCI function that is compatible with QEMU's ivshmem (revision 1,
 * with doorbells by INTx): registers in BAR 0, the shared memory in BAR 2. Knows neither the other ends
 * nor whose memory it is: both are injected. Pure. QEMU docs/specs/ivshmem-spec.txt.
 */
#ifndef BULKHEAD_VIVSHMEM_H
#define BULKHEAD_VIVSHMEM_H

#include "devices/vpci.h"

enum { VIVSHMEM_VENDOR = 0x1af4, VIVSHMEM_DEVICE = 0x1110, VIVSHMEM_BAR0_LEN = 256 };
enum { VIVSHMEM_MASK = 0, VIVSHMEM_STATUS = 4, VIVSHMEM_POSITION = 8, VIVSHMEM_DOORBELL = 12 };
#define VIVSHMEM_VECTORS 32 /* a bit in the status for each */

/**
 * struct vivshmem - one end
 * @status:    vectors that have been rung and not read; atomic, other CPUs set bits
 * @memory:    as the hypervisor reaches it, only for instructions that it emulates
 * @can_write: else writes are lost, as those to ROM
 * @ring:      a guest has rung @vector at the end in position @peer
 */
struct vivshmem {
	struct vpci_function pci;
	u32 mask, status, position;
	u8 *memory;
	bool can_write;
	struct irq_line irq;
	void (*ring)(void *ctx, u32 peer, u32 vector);
	void *ctx;
};

/* A vendor-specific capability (PCI 6.7, appendix H) with the channel's name, which ivshmem's do not have */
enum { VIVSHMEM_CAP = 0x40, VIVSHMEM_CAP_NAME = 3, VIVSHMEM_NAME_LEN = 32 };

/* Where an end is on its PCI bus: @base of the registers, @memory of BAR 2, of @len bytes; what it is called */
struct vivshmem_place {
	const char *name;
	u8 devfn;
	u64 base, memory, len;
};

/**
 * vivshmem_init() - the PCI function, BARs placed, memory space on; the caller adds it to a bus
 *
 * @d has its memory, can_write, position, irq, ring and ctx already. By the owner, while its guest does not run.
 */
void vivshmem_init(struct vivshmem *d, const struct vivshmem_place *at);

/**
 * vivshmem_raise() - somebody rings vector @n (below VIVSHMEM_VECTORS). From any CPU, no lock needed.
 *
 * Return: true if that is news: the owner has to call vivshmem_update(). Until its guest has read the
 * status, the same vector is no news, so a flood disturbs it once.
 */
bool must_check vivshmem_raise(struct vivshmem *d, u32 n);

/** vivshmem_update() - make the line what status, mask and command register say. By the owner, locked. */
void vivshmem_update(struct vivshmem *d);

#endif
