/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls: what a guest asks of Bulkhead by VMCALL or VMMCALL. A const table by number; numbers and
 * errors are in abi/hypercall.h.
 */
#ifndef BULKHEAD_HYPERCALL_H
#define BULKHEAD_HYPERCALL_H

#include "vcpu.h"

/** hypercall_is_known() - is there one with this number? Else the answer is HC_ENOSYS. */
bool hypercall_is_known(u64 nr);

/**
 * hypercall() - answer one that is known, from ring 0 of @v
 *
 * Arguments are in RBX, RCX and RDX, the result goes to RAX. Context: the vCPU's own CPU, after an exit.
 */
void hypercall(struct vcpu *v);

#endif
