/* SPDX-License-Identifier: BSD-2-Clause */
/* The one hypercall that answers in more registers than RAX; for all others there is hypercall(). */
#ifndef GUEST_HYPERCALL_H
#define GUEST_HYPERCALL_H

#include "abi/hypercall.h"
#include "lib/guest.h"

/* One window of this vCPU, in TSC ticks; @start: this vCPU's TSC when the present frame began */
struct window {
	uint64_t offset, len, frame, start;
};

/** hypercall_schedule() - the @index-th window of this vCPU into @w. Return: how many it has */
static inline uint64_t hypercall_schedule(uint64_t index, struct window *w)
{
	uint64_t nr = HC_SCHEDULE_INFO;
	if (is_intel()) {
		__asm__ volatile("vmcall" : "+a"(nr), "=b"(w->offset), "=c"(w->len), "=d"(w->frame), "=S"(w->start)
				 : "1"(index) : "memory");
	} else {
		__asm__ volatile("vmmcall" : "+a"(nr), "=b"(w->offset), "=c"(w->len), "=d"(w->frame), "=S"(w->start)
				 : "1"(index) : "memory");
	}
	return nr;
}

#endif
