/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few operations of a backend that most exits need, called by name. There are two backends, and one branch
 * tells them apart: cheaper than an indirect call, which is a retpoline where CPUs need it, and what is called is
 * inlined with its constants. All other calls, and all of the host's tests with their fake backend, go by the table.
 */
#ifndef BULKHEAD_BACKEND_H
#define BULKHEAD_BACKEND_H

#include "svm/svm.h"
#include "vmx/vmx.h"

#ifdef HOST_TEST
#define BACKEND_CALL(v, op, ...) ((v)->ops->op)(__VA_ARGS__)
#else
#define BACKEND_CALL(v, op, ...) \
	((v)->ops == &vmx_ops ? vmx_##op(__VA_ARGS__) : svm_##op(__VA_ARGS__))
#endif

/** backend_enter(), backend_get(), backend_set(), backend_skip() - as struct vcpu_ops says. */
static inline void backend_enter(struct vcpu *v, struct exit *e)
{
	BACKEND_CALL(v, enter, v, e);
}

static inline u64 backend_get(struct vcpu *v, enum vreg r)
{
	return BACKEND_CALL(v, get, v, r);
}

static inline void backend_set(struct vcpu *v, enum vreg r, u64 value)
{
	BACKEND_CALL(v, set, v, r, value);
}

static inline u64 backend_skip(struct vcpu *v, u64 rip, u32 len)
{
	return BACKEND_CALL(v, skip, v, rip, len);
}


#endif
