/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PAUSE in long loops, with interrupts on and off: at most time passes. Long is more than PAUSES_IN_SPIN in
 * svm/vcpu.c and PLE_WINDOW in vmx/vcpu.c: three instructions each.
 */
#include "lib/guest.h"

static void pauses(void)
{
	for (unsigned i = 0; i < 8000; i++) {
		__asm__ volatile("pause");
	}
}

static void in_user(void)
{
	pauses();
	__asm__ volatile("int $0x80");
}

int main(const char *cmdline)
{
	(void)cmdline;
	pauses();
	CHECK(user_run(in_user) == USER_RETURN, "in user mode");
	pic_init();
	sti();
	pauses();
	cli();
	CHECK(true, "never");
	return (int)failures;
}
