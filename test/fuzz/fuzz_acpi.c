// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hostile firmware: the input is what lies from e0000 upward. Each table is handed out as a copy of
 * exactly its size, so that ASan sees an overrun, and with its checksum put right.
 */
#include "drivers/acpi.h"
#include "log.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE 0xe0000u
#define AREA 0x20000u
#define MAPS 512
static struct input {
	const uint8_t *data;
	size_t size;
	void *copy[MAPS];
	unsigned nr;
} in;

static const void *map(void *ctx, u64 addr, u64 len)
{
	struct input *i = ctx;
	u64 at = addr - BASE;
	if (addr < BASE || at > AREA || len > AREA - at || i->nr == MAPS) {
		return NULL;
	}
	u8 *p = calloc(1, len ? len : 1), sum = 0;
	i->copy[i->nr++] = p;
	if (at < i->size) {
		memcpy(p, i->data + at, MIN(len, i->size - at));
	}
	for (u64 k = 0; k < len && len < AREA; k++) {
		sum = (u8)(sum + p[k]);
	}
	if (len >= 36 && len < AREA) {
		p[9] = (u8)(p[9] - sum);
	}
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct acpi_memory mem = { map, &in };
	struct acpi_info info;
	u8 rsdp[36];

	in = (struct input){ .data = data, .size = size };
	u32 len = acpi_find_rsdp(&mem, rsdp);
	BUG_ON(len != 0 && len != 20 && len != 36);
	if (len && acpi_parse(&mem, rsdp, len, &info) == STATUS_OK) {
		BUG_ON(!info.nr_cpus || info.nr_cpus > ACPI_MAX_CPUS);
		BUG_ON(info.s5_typ_a > 7 || info.s5_typ_b > 7);
	}
	while (in.nr) {
		free(in.copy[--in.nr]);
	}
	return 0;
}
