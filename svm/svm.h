/* SPDX-License-Identifier: BSD-2-Clause */
/* The AMD-V backend, as the kernel sees it. */
#ifndef BULKHEAD_SVM_H
#define BULKHEAD_SVM_H

#include "vcpu.h"

extern const struct vcpu_ops svm_ops;

#endif
