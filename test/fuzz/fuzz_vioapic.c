// SPDX-License-Identifier: BSD-2-Clause
/* I/O APIC as an access script of 4-byte steps; after each the redirection table must be consistent. */
#include "devices/vioapic.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

static void sink(void *ctx, const struct vioapic_message *m)
{
	struct vioapic *a = ctx;
	require(0xb7 >> m->mode & 1 && !(m->is_level && m->mode > 1));
	if (m->vector & 1) { /* some guests end an interrupt at once, from within */
		a->index ^= 1;
	}
}

static void check(const struct vioapic *a)
{
	for (u32 i = 0; i < VIOAPIC_PINS; i++) {
		u64 r = a->redir[i];
		bool is_level = (r & BIT(15)) && (r >> 8 & 7) <= 1, is_masked = r & BIT(16);
		require(!(r & (BITS(55, 17) | BIT(12))));
		require(is_level || !(r & BIT(14)));
		require(!is_level || is_masked || !(a->lines & BIT(i)) || (r & BIT(14)));
	}
}

static void step(struct vioapic *a, const u8 d[4])
{
	static const u32 widths[] = { 1, 2, 4, 8 };
	static const u64 bases[] = { 0x00, 0x10, 0x40, 0xff0 };
	u64 value = d[2] | (u64)d[3] << 8 | (u64)d[2] << 24 | (u64)d[3] << 56;
	u64 offset = bases[d[0] >> 3 & 3] + (d[0] & 0x80 ? d[1] & 7 : 0);
	u32 width = widths[d[0] >> 5 & 3];
	switch (d[0] & 7) {
	case 0:
	case 1: vioapic_set_line(a, d[1] % VIOAPIC_PINS, d[2] & 1); break;
	case 2: vioapic_eoi(a, d[2]); break;
	case 3: (void)vioapic_ops.read(a, offset, width); break;
	case 4: vioapic_ops.write(a, 0, 4, d[1] % 0x44); break;
	default: vioapic_ops.write(a, offset, width, value & width_mask(width)); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vioapic a;
	vioapic_init(&a, 1, sink, &a);
	for (size_t i = 0; i + 4 <= size; i += 4) {
		step(&a, data + i);
		check(&a);
	}
	return 0;
}
