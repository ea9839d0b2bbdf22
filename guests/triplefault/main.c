/* SPDX-License-Identifier: BSD-2-Clause */
/* No IDT, and an exception: a triple fault ends the partition by this name, with a post-mortem. */
#include "lib/guest.h"

int main(const char *cmdline)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };
	(void)cmdline;
	print("no IDT any more\n");
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
	print("FAIL still alive\n");
	return 1;
}
