/* SPDX-License-Identifier: BSD-2-Clause */
/* The AMD-V backend, as the kernel sees it. */
#ifndef BULKHEAD_SVM_H
#define BULKHEAD_SVM_H

#include "vcpu.h"

/* The second has AVIC serve local APICs (APM 2 15.29): for CPUs that have it, if that is asked for */
extern const struct vcpu_ops svm_ops, svm_avic_ops;

/* Its commonest entries, for callers that know which backend it is: kernel/backend.h */
void svm_enter(struct vcpu *v, struct exit *e);
u64 svm_get(struct vcpu *v, enum vreg r);
void svm_set(struct vcpu *v, enum vreg r, u64 value);
u64 svm_skip(struct vcpu *v, u64 rip, u32 len);

/** svm_is_late() - is @v's deadline behind us? */
bool svm_is_late(const struct vcpu *v);

#endif
