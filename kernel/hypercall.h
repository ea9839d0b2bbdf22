/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls: what a guest asks of Bulkhead by VMCALL or VMMCALL. A const table by number; numbers and
 * errors are in abi/hypercall.h.
 */
#ifndef BULKHEAD_HYPERCALL_H
#define BULKHEAD_HYPERCALL_H

#include "kernel/verdict.h"
#include "vcpu.h"

/**
 * hypercall() - answer one, from ring 0 of @v
 *
 * Arguments are in RBX, RCX and RDX, the result goes to RAX. Context: the vCPU's own CPU, after an exit.
 */
struct verdict hypercall(struct vcpu *v);

#endif
