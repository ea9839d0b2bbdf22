/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The debug-exit port: its value is the partition's verdict, in each width. Arguments: width=<1, 2, 4>, code=<n>;
 * read=1 reads the port first.
 */
#include "lib/guest.h"

int main(const char *cmdline)
{
	uint64_t width = arg(cmdline, "width", 1), code = arg(cmdline, "code", 0);
	if (arg(cmdline, "read", 0)) {
		inb(DEBUG_EXIT);
	}
	print("exit width=%lu code=%lu\n", width, code);
	switch (width) {
	case 1: outb(DEBUG_EXIT, (uint8_t)code); break;
	case 2: outw(DEBUG_EXIT, (uint16_t)code); break;
	default: outl(DEBUG_EXIT, (uint32_t)code); break;
	}
	print("FAIL still running\n");
	return 1;
}
