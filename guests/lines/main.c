/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbered lines as fast as the serial port takes them: whoever reads the console sees whether any is
 * lost, torn or out of order. Arguments: lines=<n>, fill=<n> letters in each.
 */
#include "lib/guest.h"

int main(const char *cmdline)
{
	uint64_t lines = arg(cmdline, "lines", 10000), fill = arg(cmdline, "fill", 20);
	for (uint64_t i = 1; i <= lines; i++) {
		print("line %05lu ", i);
		for (uint64_t k = 0; k < fill; k++) {
			putch((char)('a' + (i + k) % 26));
		}
		print(" end\n");
	}
	return 0;
}
