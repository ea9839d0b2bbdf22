/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Intel VT-x backend. Beyond what include/vcpu.h says: probe() comes first, on the boot CPU; an
 * EXIT_TIMER may come before its deadline; by EXIT_NMI the host's NMI handler has run.
 */
#ifndef BULKHEAD_VMX_H
#define BULKHEAD_VMX_H

#include "vcpu.h"

extern const struct vcpu_ops vmx_ops;

#endif
