/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of hypercalls. Knows numbers and registers; what a call does belongs to the room it comes
 * from. Pure.
 */
#include "kernel/hypercall.h"
#include "abi/hypercall.h"
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

/* The frame is this CPU's own, and was sought before the entry: what it says holds now */
static struct verdict hc_schedule_info(struct vcpu *v)
{
	const struct sched_frame *f = core_of(v)->frame;
	u64 wanted = v->regs[GPR_RBX], nr = 0;
	for (u32 i = 0; f && i < f->nr; i++) {
		const struct sched_slot *s = &f->slot[i];
		if (!(s->owners & core_of(v)->sched_bit)) {
			continue;
		}
		if (nr++ == wanted) {
			v->regs[GPR_RBX] = s->offset;
			v->regs[GPR_RCX] = s->len;
			v->regs[GPR_RDX] = ns_to_tsc(f->time, f->len_ns);
			v->regs[GPR_RSI] = f->start + v->ops->get(v, VREG_TSC_OFFSET);
		}
	}
	return answer(v, (s64)nr);
}

typedef struct verdict hypercall_fn(struct vcpu *v);

/* Numbers with holes: each group has sixteen */
static hypercall_fn *const calls[] = {
	[HC_VERSION] = hc_version,
	[HC_EXIT] = hc_exit,
	[HC_YIELD] = hc_yield,
	[HC_SCHEDULE_INFO] = hc_schedule_info,
};

struct verdict hypercall(struct vcpu *v)
{
	u64 nr = v->regs[GPR_RAX];
	if (nr >= ARRAY_SIZE(calls) || !calls[nr]) {
		return answer(v, HC_ENOSYS);
	}
	return calls[nr](v);
}
