/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual I/O APIC, 24 pins, version 0x20 with EOI register (Intel 82093AA; ICH9 13.5). Pure. */
#ifndef BULKHEAD_VIOAPIC_H
#define BULKHEAD_VIOAPIC_H

#include "bus.h"

#define VIOAPIC_BASE 0xfec00000ull
#define VIOAPIC_PINS 24

/* A message to the local APICs; mode as in redirection table bits 10:8 */
struct vioapic_message {
	u8 dest, vector, mode;
	bool is_logical, is_level;
};

struct vioapic {
	u64 redir[VIOAPIC_PINS];
	u32 lines; /* level of each pin */
	u8 index, id;
	void (*deliver)(void *ctx, const struct vioapic_message *m);
	void *ctx;
};
extern const struct vdev_ops vioapic_ops; /* 4 KiB, self = struct vioapic */

void vioapic_init(struct vioapic *a, u8 id, void (*deliver)(void *, const struct vioapic_message *),
		  void *ctx);
void vioapic_set_line(struct vioapic *a, u32 pin, bool level);

/** vioapic_eoi() - EOI of @vector: clears remote IRR, delivers again while the line is high. */
void vioapic_eoi(struct vioapic *a, u8 vector);

#endif
