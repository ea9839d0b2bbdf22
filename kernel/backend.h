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

enum backend { BACKEND_VMX, BACKEND_SVM };

#ifdef HOST_TEST
#define BACKEND_CALL(b, v, op, ...) ((void)(b), ((v)->ops->op)(__VA_ARGS__))
#else
#define BACKEND_CALL(b, v, op, ...) ((b) == BACKEND_VMX ? vmx_##op(__VA_ARGS__) : svm_##op(__VA_ARGS__))
#endif

/** backend_of() - for the next four, which a caller may ask once for many. */
static inline enum backend backend_of(const struct vcpu *v)
{
#ifdef HOST_TEST
	(void)v;
	return BACKEND_SVM; /* nobody looks */
#else
	return v->ops == &vmx_ops ? BACKEND_VMX : BACKEND_SVM;
#endif
}

/** enter_by(), get_by(), set_by(), skip_by() - as struct vcpu_ops says, by a backend that is known. */
static always_inline void enter_by(enum backend b, struct vcpu *v, struct exit *e)
{
	BACKEND_CALL(b, v, enter, v, e);
}

static always_inline u64 get_by(enum backend b, struct vcpu *v, enum vreg r)
{
	return BACKEND_CALL(b, v, get, v, r);
}

static always_inline void set_by(enum backend b, struct vcpu *v, enum vreg r, u64 value)
{
	BACKEND_CALL(b, v, set, v, r, value);
}

static always_inline u64 skip_by(enum backend b, struct vcpu *v, u64 rip, u32 len)
{
	return BACKEND_CALL(b, v, skip, v, rip, len);
}

/** is_late_by() - is @v's deadline behind us? Always false where the backend sees to it at the next entry. */
static always_inline bool is_late_by(enum backend b, const struct vcpu *v)
{
#ifdef HOST_TEST
	(void)b, (void)v;
	return false;
#else
	return b == BACKEND_SVM && svm_is_late(v);
#endif
}

/** backend_get(), backend_set(), backend_skip() - the same of whichever @v has. */
static inline u64 backend_get(struct vcpu *v, enum vreg r)
{
	return get_by(backend_of(v), v, r);
}

static inline void backend_set(struct vcpu *v, enum vreg r, u64 value)
{
	set_by(backend_of(v), v, r, value);
}

static inline u64 backend_skip(struct vcpu *v, u64 rip, u32 len)
{
	return skip_by(backend_of(v), v, rip, len);
}

#endif
