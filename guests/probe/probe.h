/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the hostile guest: each hammers at one surface and says what it saw. */
#ifndef PROBE_H
#define PROBE_H

#include "lib/guest.h"

extern uint64_t leaks;	  /* bytes read where there is nothing, that were not all ones */
extern uint64_t own_len;  /* of this guest's RAM, from 0 */

/* @step: 1 = each page, MSR, port, destination; more thins them out where the space is large and even */
void probe_memory(uint64_t step);
void probe_mmio(uint64_t unused);
void probe_instructions(uint64_t flood);
void probe_debug(uint64_t unused);
void probe_msrs(uint64_t step);
void probe_ports(uint64_t step);
void probe_interrupts(uint64_t step);

#endif
