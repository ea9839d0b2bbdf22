/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two halves of the benchmark share: main.c times one operation at a time, mixed.c all of them. */
#ifndef BENCH_H
#define BENCH_H

#include "lib/guest.h"

#define MAX_N 4096

/** sort() - @n ticks in @a, ascending; Shell's: short, no recursion */
void sort(uint32_t *a, unsigned n);

/** ipi_self() - an IPI to oneself by the ICR in MMIO, until its handler has run */
void ipi_self(void);

void hypercall_intel(void);
void hypercall_amd(void);

/** mixed() - each form of each operation about @n times, in an order that @seed decides; xAPIC mode */
void mixed(uint64_t seed, unsigned n);

#endif
