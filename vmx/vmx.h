/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Intel VT-x backend. Beyond what include/vcpu.h says: probe() comes first, on the boot CPU; an
 * EXIT_TIMER may come before its deadline; by EXIT_NMI the host's NMI handler has run.
 */
#ifndef BULKHEAD_VMX_H
#define BULKHEAD_VMX_H

#include "vcpu.h"

extern const struct vcpu_ops vmx_ops;

/* Its commonest entries, for callers that know which backend it is: kernel/backend.h */
void vmx_enter(struct vcpu *v, struct exit *e);
u64 vmx_get(struct vcpu *v, enum vreg r);
void vmx_set(struct vcpu *v, enum vreg r, u64 value);
u64 vmx_skip(struct vcpu *v, u64 rip, u32 len);

#endif
