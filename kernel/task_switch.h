/* SPDX-License-Identifier: BSD-2-Clause */
/* Hardware task switches, which VT-x leaves to software. Pure. */
#ifndef BULKHEAD_TASK_SWITCH_H
#define BULKHEAD_TASK_SWITCH_H

#include "verdict.h"

/**
 * task_switch() - to the TSS of @e->task, by CALL, JMP, IRET or a task gate in the IDT
 *
 * The CPU has checked gate, privilege and the new TSS's descriptor before it exited.
 * Return: V_SWITCHED; or a fault, of the old task with nothing changed, or of the new task when its
 * state cannot be loaded.
 */
struct verdict task_switch(struct vcpu *v, const struct exit *e);

#endif
