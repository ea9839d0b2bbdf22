// SPDX-License-Identifier: BSD-2-Clause
/* A device tree blob of any bytes: parsed, checked, and every fault printed. */
#include "config/config_room.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct system_config cfg;
	static struct config_faults faults;
	static const struct config_file files[] = { { "vmlinuz", 1 << 23 }, { "k.elf", 4096 }, { "z", 0 } };
	static const struct config_machine machine = { 2, 1000, files, 3, NULL };
	char text[200];
	memset(&faults, 0, sizeof(faults));
	config_parse(data, size, &cfg, &faults);
	config_check(&cfg, &machine, &faults);
	for (u32 i = 0; i < faults.nr && i < CONFIG_MAX_FAULTS; i++) {
		if (config_fault_text(&faults.fault[i], text, sizeof(text)) >= sizeof(text)) {
			abort();
		}
		for (const char *p = text; *p; p++) {
			if (*p < ' ' || *p > '~') {
				abort();
			}
		}
	}
	/* what has no fault has all that a partition needs */
	for (u32 i = 0; i < cfg.nr_partitions && !faults.nr; i++) {
		const struct partition_config *p = &cfg.partitions[i];
		if (!p->nr_cpus || !p->memory_mib || !p->boot || !p->kernel || !p->cmdline) {
			abort();
		}
	}
	return 0;
}
