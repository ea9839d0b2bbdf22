/* SPDX-License-Identifier: BSD-2-Clause */
/* CLI; HLT: nothing can wake it, so this is its end, named "halted", and no one is blamed but itself. */
#include "lib/guest.h"

int main(const char *cmdline)
{
	(void)cmdline;
	print("halting for ever\n");
	__asm__ volatile("cli; hlt");
	print("FAIL woken\n");
	return 1;
}
