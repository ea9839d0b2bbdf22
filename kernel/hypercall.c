/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of hypercalls. Knows numbers and registers; what a call does belongs to the room it comes
 * from. Pure.
 */
#include "kernel/hypercall.h"
#include "abi/hypercall.h"
#include "kernel/channel.h"
#include "kernel/partition.h"
#include "kernel/space.h"

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
	u64 code = v->regs[GPR_RBX];
	partition_end(v->part, code ? HEALTH_EXIT_FAILED : HEALTH_EXIT, "exit", code);
	return verdict(V_ADVANCE);
}

static struct verdict hc_yield(struct vcpu *v)
{
	v->regs[GPR_RAX] = 0;
	return verdict(V_YIELD);
}

static struct verdict hc_partition_info(struct vcpu *v)
{
	const struct partition *p = v->part;
	switch (v->regs[GPR_RBX]) {
	case HC_INFO_INDEX: return answer(v, p->index);
	case HC_INFO_RESTARTS: return answer(v, p->life.nr);
	case HC_INFO_LAST: return answer(v, p->life.last);
	case HC_INFO_VCPUS: return answer(v, p->nr_cores);
	case HC_INFO_MEMORY: return answer(v, p->cfg->memory_mib);
	default: return answer(v, HC_EINVAL);
	}
}

static struct verdict hc_watchdog(struct vcpu *v)
{
	life_watchdog(v->part, v->regs[GPR_RBX]);
	pc_touched(core_of(v));
	return answer(v, 0);
}

static struct verdict hc_health(struct vcpu *v)
{
	life_event(v->part, HEALTH_REPORT, "report", v->regs[GPR_RBX]);
	return answer(v, 0);
}

static struct verdict hc_console(struct vcpu *v)
{
	struct partition *p = v->part;
	pc_lock(p);
	bool has_room = console_source_room(&p->pc.console) > 0;
	if (has_room) {
		pc_console_tx(p, (u8)v->regs[GPR_RBX]);
	}
	pc_unlock(p);
	pc_touched(core_of(v));
	return answer(v, has_room ? 0 : HC_EAGAIN);
}

static struct verdict channel_info(struct vcpu *v)
{
	return answer(v, hc_channel_info(v));
}

static struct verdict doorbell(struct vcpu *v)
{
	return answer(v, hc_doorbell(v));
}

static struct verdict space_check_call(struct vcpu *v)
{
	return answer(v, hc_space_check(v));
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

static struct verdict hc_test_crash(struct vcpu *v)
{
	const struct partition *p = v->part;
	bool may = p->cfg->has_test_device && p->host->test_crash;
	return answer(v, may ? p->host->test_crash(v->regs[GPR_RBX]) : HC_ENOSYS);
}

typedef struct verdict hypercall_fn(struct vcpu *v);

/* Numbers with holes: each group has sixteen */
static hypercall_fn *const calls[] = {
	[HC_VERSION] = hc_version,
	[HC_EXIT] = hc_exit,
	[HC_YIELD] = hc_yield,
	[HC_PARTITION_INFO] = hc_partition_info,
	[HC_WATCHDOG] = hc_watchdog,
	[HC_HEALTH] = hc_health,
	[HC_CONSOLE] = hc_console,
	[HC_CHANNEL_INFO] = channel_info,
	[HC_DOORBELL] = doorbell,
	[HC_SPACE_CHECK] = space_check_call,
	[HC_TEST_CRASH] = hc_test_crash,
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
