/* SPDX-License-Identifier: BSD-2-Clause */
/* STI; HLT for ever, all interrupts masked: a partition that is there and does nothing (tools/bench_partitions.py). */
#include "lib/guest.h"

int main(const char *cmdline)
{
	(void)cmdline;
	for (;;) {
		sti_hlt_cli();
	}
}
