/* SPDX-License-Identifier: BSD-2-Clause */
/* What the hypervisor needs of the CPU, and which backend drives it. */
#ifndef BULKHEAD_FEATURES_H
#define BULKHEAD_FEATURES_H

#include "vcpu.h"

/** cpu_vendor() - CPUID's vendor as people write it: "AMD", "Intel", else the 12 characters. */
const char *cpu_vendor(void);

/* "apic=" on the command line: what a CPU can do for local APICs is used if it passes a trial, is used, or is not used */
enum apic_use { APIC_AUTO /* a trial if the backend wants one */, APIC_TRY, APIC_TRUST, APIC_EXITS, NR_APIC_USES };

/** apic_use() - the one of @cmdline; NR_APIC_USES: none of them. */
enum apic_use apic_use(const char *cmdline);

/** backend_pick() - the ops that CPUID has the hardware for, or NULL. */
const struct vcpu_ops *backend_pick(void);

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
