/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a partition has for all its lives: memory, second-level tables, room for its cores. And its clock,
 * its start, its end. What each life begins with is birth.c's. Pure: hardware is reached through vcpu_ops
 * and struct host.
 */
#include "kernel/partition.h"
#include "drivers/lapic.h"
#include "lib/lib.h"
#include "log.h"
#include "x86/regs.h"

u64 partition_now_ns(const struct partition *p)
{
	return p->birth_tsc ? tsc_to_ns(&p->host->time, p->host->tsc() - p->birth_tsc) : 0;
}

void partition_end(struct partition *p, enum health_event what, const char *why, u64 code)
{
	bool is_ours = false;
	if (!__atomic_compare_exchange_n(&p->end.is_claimed, &is_ours, true, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		return;
	}
	p->end.event = what;
	p->end.why = why;
	p->end.code = code;
	__atomic_store_n(&p->end.is_set, true, __ATOMIC_RELEASE); /* pairs with partition_has_end() */
	for (u32 i = 0; i < p->nr_cores; i++) {
		p->host->kick(p->core[i]->v.cpu);
	}
}

u64 partition_exits(const struct partition *p)
{
	u64 nr = 0;
	for (u32 i = 0; i < p->nr_cores; i++) {
		nr += p->core[i]->v.nr_exits;
	}
	return nr;
}

/* The largest run that fits @len and whose alignment lets large pages be used at @base */
static struct mem_extent take_extent(struct frames *f, u64 base, u64 len)
{
	static const u64 sizes[] = { SIZE_1G, SIZE_2M, PAGE_SIZE };
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 want = MIN(ALIGN_DOWN(len, sizes[i]), frames_largest(f, sizes[i]));
		if (want == 0 || base % sizes[i]) {
			continue;
		}
		hpa host = frames_alloc(f, want, sizes[i]);
		if (host.v) {
			return (struct mem_extent){ .base = GPA(base), .host = host, .len = want };
		}
	}
	return (struct mem_extent){ .len = 0 };
}

static const char *add_ram(struct partition *p, struct frames *f, u64 base, u64 len)
{
	while (len > 0) {
		struct mem_extent e = take_extent(f, base, len);
		if (e.len == 0) {
			return "out of memory";
		}
		if (p->mem.nr == GMEM_MAX_EXTENTS) {
			return "memory too fragmented";
		}
		p->mem.ext[p->mem.nr++] = e;
		base += e.len;
		len -= e.len;
	}
	return NULL;
}

static const char *build_space(const struct partition *p, struct pt *space, const struct partition_resources *res)
{
	if (pt_init(space, res->space_format, res->tables, res->max_page) != STATUS_OK) {
		return "out of memory for second-level tables";
	}
	for (u32 i = 0; i < p->mem.nr; i++) {
		const struct mem_extent *e = &p->mem.ext[i];
		if (pt_map(space, e->base.v, e->host, e->len, PT_R | PT_W | PT_X) != STATUS_OK) {
			return "second-level tables cannot be built";
		}
	}
	return NULL;
}

/*
 * What a CPU does at the local APIC's address hangs on a mapping there, which a core must not have whose
 * APIC is off or in x2APIC mode: so there are two spaces. The page is the partition's own, since a CPU may
 * use it for page table walks (SDM 3C 30.4.6.1 "Guest-Physical Accesses to the APIC-Access Page").
 */
static const char *build_apic_space(struct partition *p, const struct partition_resources *res)
{
	const char *why = build_space(p, &p->space_apic, res);
	p->apic_access = res->pages->alloc(res->pages, 1);
	if (!why && (!p->apic_access.v || pt_map(&p->space_apic, VLAPIC_BASE, p->apic_access, PAGE_SIZE,
						 PT_R | PT_W) != STATUS_OK)) {
		why = "out of memory for second-level tables";
	}
	return why;
}

static hpa alloc_bytes(const struct partition_resources *res, u64 len)
{
	return res->pages->alloc(res->pages, (u32)(ALIGN_UP(len, PAGE_SIZE) / PAGE_SIZE));
}

static const u16 post_port[] = { 0x80 };

static const char *add_core(struct partition *p, u32 id, const struct partition_resources *res)
{
	hpa at = alloc_bytes(res, sizeof(struct core));
	hpa xsave = alloc_bytes(res, res->xsave_len);
	if (at.v == 0 || xsave.v == 0) {
		return "out of memory for the vCPU";
	}
	struct core *c = res->pages->ptr(res->pages, at);
	u32 cpu = p->cfg->cpus[id % p->cfg->nr_cpus];
	c->v.part = p;
	c->v.id = id;
	c->v.cpu = cpu;
	c->v.ops = res->ops;
	c->v.xsave = res->pages->ptr(res->pages, xsave);
	c->params = (struct vcpu_params){ .second_level = p->space.root,
					  .with_apic = p->space_apic.root,
					  .apic_access = p->apic_access,
					  .apic_page = HPA(at.v + offsetof(struct core, lapic.page)),
					  .apic_base = GPA(VLAPIC_BASE),
					  .posts = HPA(at.v + offsetof(struct core, mail)),
					  .post_vector = HOST_VEC_POSTED,
					  .pages = res->pages,
					  .tag = ++res->tags[cpu],
					  .msrs = p->policy->pass,
					  .nr_msrs = p->policy->nr_pass,
					  .io_pass = post_port,
					  .nr_io_pass = p->cfg->has_post_port ? ARRAY_SIZE(post_port) : 0,
					  .exits_on_pause = res->nr_on_cpu[cpu] > 1 };
	p->core[id] = c;
	return NULL;
}

const char *partition_reserve(struct partition *p, const struct partition_config *cfg,
			      const struct partition_resources *res)
{
	u64 len = cfg->memory_mib * MIB, low = MIN(len, LOW_RAM_TOP);
	p->cfg = cfg;
	p->host = res->host;
	p->policy = &policy_default;
	p->nr_cores = cfg->nr_vcpus ? cfg->nr_vcpus : cfg->nr_cpus;
	p->xsave_len = res->xsave_len;
	p->files = res->files;
	p->files.cfg = cfg;
	const char *why = add_ram(p, res->frames, 0, low);
	return why ? why : add_ram(p, res->frames, HIGH_RAM_BASE, len - low);
}

const char *partition_build(struct partition *p, const struct partition_resources *res)
{
	const char *why = build_space(p, &p->space, res);
	if (!why && res->ops->apic) {
		why = build_apic_space(p, res);
	}
	for (u32 i = 0; i < p->nr_cores && !why; i++) {
		why = add_core(p, i, res); /* they go round the CPUs that the partition has */
	}
	return why ? why : channels_attach(p, res->channels, res->nr_channels);
}

const char *partition_first_life(struct partition *p)
{
	birth_begin(p, BIRTH_DEVICES);
	while (birth_step(p)) {
	}
	return p->birth.why;
}

void partition_start(struct partition *p)
{
	p->birth_tsc = p->host->tsc();
	for (u32 i = 0; i < p->nr_cores; i++) {
		struct vcpu *v = &p->core[i]->v;
		v->ops->set(v, VREG_TSC_OFFSET, 0 - p->birth_tsc);
	}
	__atomic_store_n(&p->state, PARTITION_RUNNING, __ATOMIC_RELEASE);
	for (u32 i = 0; i < p->nr_cores; i++) {
		__atomic_store_n(&p->core[i]->is_parked, false, __ATOMIC_RELEASE); /* pairs with core_is_parked() */
	}
}
