/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways in which a guest switches its machine off or on again; each ends the partition, and no instruction runs
 * after it. Argument: how=<1 keyboard controller, 2 port 0xcf9, 3 ACPI S5, 4 port 0x92>.
 */
#include "lib/guest.h"

#define PM1_CNT 0x604
#define S5	(5 << 10 | 1 << 13) /* SLP_TYP of \_S5, SLP_EN */

int main(const char *cmdline)
{
	uint64_t how = arg(cmdline, "how", 0);
	print("by way %lu\n", how);
	switch (how) {
	case 1:
		while (inb(0x64) & 2) {
			__asm__ volatile("pause");
		}
		outb(0x64, 0xfe);
		break;
	case 2:
		outb(0xcf9, 2);
		outb(0xcf9, 6);
		break;
	case 3: outw(PM1_CNT, S5); break;
	case 4: outb(0x92, (uint8_t)(inb(0x92) | 1)); break;
	default: break;
	}
	print("FAIL still running\n");
	return 1;
}
