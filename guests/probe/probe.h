/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the hostile guest: each hammers at one surface and says what it saw. */
#ifndef PROBE_H
#define PROBE_H

#include "lib/guest.h"

extern uint64_t leaks;	  /* bytes read where there is nothing, that were not all ones */
extern uint64_t own_len;  /* of this guest's RAM, from 0 */

void probe_memory(void);
void probe_mmio(void);
void probe_ports(uint64_t step);
void probe_msrs(void);
void probe_interrupts(uint64_t step);
void probe_instructions(void);

#endif
