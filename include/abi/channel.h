/* SPDX-License-Identifier: BSD-2-Clause */
/* What HC_CHANNEL_INFO writes into a guest's memory. Little-endian, no padding; shared with guests. */
#ifndef BULKHEAD_ABI_CHANNEL_H
#define BULKHEAD_ABI_CHANNEL_H

#define BULKHEAD_CHANNEL_READ  1
#define BULKHEAD_CHANNEL_WRITE 2

/**
 * struct bulkhead_channel - a partition's end of one channel
 * @memory:    guest-physical address of the shared memory
 * @size:      its length in bytes
 * @registers: guest-physical address of the end's registers: 32-bit IntrMask, IntrStatus, IVPosition, Doorbell
 * @rights:    BULKHEAD_CHANNEL_*
 * @position:  this end's place among the members, from 0
 * @members:   how many partitions share the memory
 * @pin:       I/O APIC pin of its interrupt, level-triggered
 * @name:      as configured, padded with zeroes
 */
struct bulkhead_channel {
	unsigned long long memory, size, registers;
	unsigned int rights, position, members, pin;
	char name[32];
};

#endif
