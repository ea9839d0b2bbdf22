/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of hypercalls. Knows numbers and registers; what a call does belongs to the room it comes
 * from. Pure.
 */
#include "kernel/hypercall.h"
#include "abi/hypercall.h"
#include "kernel/channel.h"
#include "kernel/partition.h"

static struct verdict answer(struct vcpu *v, s64 result)
{
	v->regs[GPR_RAX] = (u64)result;
	return verdict(V_ADVANCE);
}

static struct verdict hc_version(struct vcpu *v)
{
	return answer(v, HC_ABI_VERSION);
}

static struct verdict hc_exit(struct vcpu *v)
{
	partition_end(v->part, v->regs[GPR_RBX] == 0, "exit", v->regs[GPR_RBX]);
	return verdict(V_ADVANCE);
}

static struct verdict hc_yield(struct vcpu *v)
{
	v->regs[GPR_RAX] = 0;
	return verdict(V_YIELD);
}

static struct verdict channel_info(struct vcpu *v)
{
	return answer(v, hc_channel_info(v));
}

static struct verdict doorbell(struct vcpu *v)
{
	return answer(v, hc_doorbell(v));
}

typedef struct verdict hypercall_fn(struct vcpu *v);

/* Numbers with holes: each group has sixteen */
static hypercall_fn *const calls[] = {
	[HC_VERSION] = hc_version,
	[HC_EXIT] = hc_exit,
	[HC_YIELD] = hc_yield,
	[HC_CHANNEL_INFO] = channel_info,
	[HC_DOORBELL] = doorbell,
};

struct verdict hypercall(struct vcpu *v)
{
	u64 nr = v->regs[GPR_RAX];
	if (nr >= ARRAY_SIZE(calls) || !calls[nr]) {
		return answer(v, HC_ENOSYS);
	}
	return calls[nr](v);
}
