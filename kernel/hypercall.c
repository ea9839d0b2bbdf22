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

static s64 hc_version(struct vcpu *v maybe_unused)
{
	return HC_ABI_VERSION;
}

static s64 hc_exit(struct vcpu *v)
{
	u64 code = v->regs[GPR_RBX];
	partition_end(v->part, code ? HEALTH_EXIT_FAILED : HEALTH_EXIT, "exit", code);
	return 0;
}

/* The slice is given away by exit_handle() */
static s64 hc_yield(struct vcpu *v maybe_unused)
{
	return 0;
}

static s64 hc_partition_info(struct vcpu *v)
{
	const struct partition *p = v->part;
	switch (v->regs[GPR_RBX]) {
	case HC_INFO_INDEX: return p->index;
	case HC_INFO_RESTARTS: return p->life.nr;
	case HC_INFO_LAST: return p->life.last;
	case HC_INFO_VCPUS: return p->nr_cores;
	case HC_INFO_MEMORY: return p->cfg->memory_mib;
	default: return HC_EINVAL;
	}
}

static s64 hc_watchdog(struct vcpu *v)
{
	life_watchdog(v->part, v->regs[GPR_RBX]);
	pc_touched(core_of(v));
	return 0;
}

static s64 hc_health(struct vcpu *v)
{
	life_event(v->part, HEALTH_REPORT, "report", v->regs[GPR_RBX]);
	return 0;
}

static s64 hc_console(struct vcpu *v)
{
	struct partition *p = v->part;
	pc_lock(p);
	bool has_room = console_source_room(&p->pc.console) > 0;
	if (has_room) {
		pc_console_tx(p, (u8)v->regs[GPR_RBX]);
	}
	pc_unlock(p);
	pc_touched(core_of(v));
	return has_room ? 0 : HC_EAGAIN;
}

/* The frame is this CPU's own, and was sought before the entry: what it says holds now */
static s64 hc_schedule_info(struct vcpu *v)
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
	return (s64)nr;
}

static s64 hc_test_crash(struct vcpu *v)
{
	const struct partition *p = v->part;
	bool may = p->cfg->has_test_device && p->host->test_crash;
	return may ? p->host->test_crash(v->regs[GPR_RBX]) : HC_ENOSYS;
}

typedef s64 hypercall_fn(struct vcpu *v);

/* Numbers with holes: each group has sixteen */
static hypercall_fn *const calls[] = {
	[HC_VERSION] = hc_version,
	[HC_EXIT] = hc_exit,
	[HC_YIELD] = hc_yield,
	[HC_PARTITION_INFO] = hc_partition_info,
	[HC_WATCHDOG] = hc_watchdog,
	[HC_HEALTH] = hc_health,
	[HC_CONSOLE] = hc_console,
	[HC_CHANNEL_INFO] = hc_channel_info,
	[HC_DOORBELL] = hc_doorbell,
	[HC_SPACE_CHECK] = hc_space_check,
	[HC_TEST_CRASH] = hc_test_crash,
	[HC_SCHEDULE_INFO] = hc_schedule_info,
};

/* @i if it is below @nr, else 0, also for a CPU that guesses (Spectre v1: docs/speculation.md) */
static u64 index_within(u64 i, u64 nr)
{
	u64 mask;
	__asm__("cmp %2, %1; sbb %0, %0" : "=r"(mask) : "r"(i), "er"(nr) : "cc");
	return i & mask;
}

bool hypercall_is_known(u64 nr)
{
	return nr < ARRAY_SIZE(calls) && calls[index_within(nr, ARRAY_SIZE(calls))];
}

void hypercall(struct vcpu *v)
{
	v->regs[GPR_RAX] = (u64)calls[index_within(v->regs[GPR_RAX], ARRAY_SIZE(calls))](v);
}
