/* SPDX-License-Identifier: BSD-2-Clause */
/* Speculation on this machine: what kernel/speculation.h has planned is done here. */
#ifndef BULKHEAD_SPECULATION_HOST_H
#define BULKHEAD_SPECULATION_HOST_H

#include "kernel/speculation.h"

/**
 * speculation_start() - judge this CPU, log each issue, choose what indirect branches are
 *
 * "mitigations=auto" (default) or "off" on @cmdline. Context: BSP, before host_memory_init() takes away
 * the right to write to code. Return: false if @cmdline has another word.
 */
bool must_check speculation_start(const char *cmdline, bool is_vmx);

/** speculation_cpu() - what the calling CPU needs once. */
void speculation_cpu(void);

/** speculation_switch() - the calling CPU has left one partition and will enter another one. */
void speculation_switch(void);

/** speculation_small_pages() - may the second level use nothing but 4 KiB pages? */
bool speculation_small_pages(void);

#endif
