/* SPDX-License-Identifier: BSD-2-Clause */
/* What the hypervisor needs of the CPU, and which backend drives it. */
#ifndef BULKHEAD_FEATURES_H
#define BULKHEAD_FEATURES_H

#include "vcpu.h"

/** cpu_vendor() - CPUID's vendor as people write it: "AMD", "Intel", else the 12 characters. */
const char *cpu_vendor(void);

/**
 * backend_pick() - the ops that CPUID has the hardware for, or NULL
 *
 * "avic=off" (default) or "on" on @cmdline: may AMD's CPUs serve local APICs? Return: false for another word.
 */
bool must_check backend_pick(const char *cmdline, const struct vcpu_ops **ops);

/**
 * features_check() - log every feature as present or absent, and each absent need as FATAL
 *
 * @ops: the backend, whose own needs are listed too; NULL is itself an absent need.
 * Return: true if nothing is missing.
 */
bool must_check features_check(const struct vcpu_ops *ops);

/** feature_has() - was the feature of this name found present? After features_check(). */
bool feature_has(const char *name);

#endif
