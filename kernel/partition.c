/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds one partition out of its configuration: memory, second-level tables, PC, guest image, first
 * state of the vCPU. Knows every step's order and nothing of how a step works. Boot only, but for the
 * clock and the end of a partition. Pure: hardware is reached through vcpu_ops and struct host.
 */
#include "kernel/partition.h"
#include "lib/lib.h"
#include "log.h"
#include "x86/regs.h"

#define LOW_RAM_TOP  (3 * GIB) /* above it the PC's device hole, up to 4 GiB */
#define HIGH_RAM_BASE (4 * GIB)
#define FXSAVE_FCW    0	   /* SDM 1 10.5.1 "FXSAVE Area" */
#define FXSAVE_MXCSR  24
#define FCW_INIT      0x37f
#define MXCSR_INIT    0x1f80

u64 partition_now_ns(const struct partition *p)
{
	return p->birth_tsc ? tsc_to_ns(&p->host->time, p->host->tsc() - p->birth_tsc) : 0;
}

void partition_end(struct partition *p, bool is_ok, const char *why, u64 code)
{
	bool is_ours = false;
	if (!__atomic_compare_exchange_n(&p->end.is_claimed, &is_ours, true, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		return;
	}
	p->end.is_ok = is_ok;
	p->end.why = why;
	p->end.code = code;
	__atomic_store_n(&p->end.is_set, true, __ATOMIC_RELEASE); /* pairs with partition_has_end() */
	for (u32 i = 0; i < p->nr_cores; i++) {
		p->host->kick(p->core[i]->v.cpu);
	}
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
		u64 before = p->host->tsc();
		memset(phys_ptr(e.host), 0, e.len);
		p->scrub_ticks += p->host->tsc() - before;
		p->mem.ext[p->mem.nr++] = e;
		base += e.len;
		len -= e.len;
	}
	return NULL;
}

static const char *build_space(const struct partition *p, struct pt *space, const struct partition_resources *res)
{
	if (pt_init(space, res->space_format, res->pages, res->max_page) != STATUS_OK) {
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

static const char *build_memory(struct partition *p, const struct partition_resources *res)
{
	u64 len = p->cfg->memory_mib * MIB;
	u64 low = MIN(len, LOW_RAM_TOP);
	const char *why = add_ram(p, res->frames, 0, low);
	if (!why) {
		why = add_ram(p, res->frames, HIGH_RAM_BASE, len - low);
	}
	if (why) {
		return why;
	}
	why = build_space(p, &p->space, res);
	if (!why && res->ops->apic) {
		why = build_apic_space(p, res);
	}
	return why;
}

static void set_flat_segments(struct vcpu *v, const struct guest_entry *g)
{
	const u32 code = 0xb | SEG_S | SEG_P | SEG_G | (g->mode == ENTRY_LONG ? SEG_L : SEG_DB);
	const struct segment cs = { .limit = UINT32_MAX, .attr = code, .sel = g->cs };
	const struct segment ds = { .limit = UINT32_MAX,
				    .attr = 0x3 | SEG_S | SEG_P | SEG_G | SEG_DB,
				    .sel = g->ds };
	const struct segment gdtr = { .base = g->gdt.v, .limit = g->gdt_limit };
	const enum seg data[] = { SEG_DS, SEG_ES, SEG_SS, SEG_FS, SEG_GS };
	v->ops->set_seg(v, SEG_CS, &cs);
	for (u32 i = 0; i < ARRAY_SIZE(data); i++) {
		v->ops->set_seg(v, data[i], &ds);
	}
	v->ops->set_seg(v, SEG_GDTR, &gdtr);
}

static void set_real_segments(struct vcpu *v, const struct guest_entry *g)
{
	struct segment s;
	const enum seg all[] = { SEG_CS, SEG_DS, SEG_ES, SEG_SS, SEG_FS, SEG_GS };
	for (u32 i = 0; i < ARRAY_SIZE(all); i++) {
		v->ops->get_seg(v, all[i], &s);
		s.sel = all[i] == SEG_CS ? g->cs : g->ds;
		s.base = (u64)s.sel << 4;
		v->ops->set_seg(v, all[i], &s);
	}
}

/* From the reset state that vcpu_init() left to what the boot protocol promises */
static void set_entry(struct vcpu *v, const struct guest_entry *g)
{
	memcpy(v->regs, g->gpr, sizeof(v->regs));
	v->ops->set(v, VREG_RIP, g->rip);
	v->ops->set(v, VREG_RSP, g->rsp);
	v->ops->set(v, VREG_RFLAGS, RFLAGS_FIXED1);
	if (g->mode == ENTRY_REAL) {
		v->ops->set(v, VREG_CR0, CR0_ET);
		set_real_segments(v, g);
		return;
	}
	u64 cr0 = CR0_PE | CR0_ET | CR0_NE;
	if (g->mode == ENTRY_LONG) {
		v->ops->set(v, VREG_CR3, g->cr3);
		v->ops->set(v, VREG_CR4, CR4_PAE);
		v->ops->set(v, VREG_EFER, EFER_LME);
		cr0 |= CR0_PG;
	}
	v->ops->set(v, VREG_CR0, cr0);
	set_flat_segments(v, g);
}

/* Initial XSAVE image: all components in their init state, MXCSR and FCW explicit (SDM 1 13.6, 13.8) */
static bool init_fpu(struct vcpu *v, const struct partition_resources *res)
{
	u32 pages = (u32)(ALIGN_UP(res->xsave_len, PAGE_SIZE) / PAGE_SIZE);
	hpa area = res->pages->alloc(res->pages, pages);
	if (area.v == 0) {
		return false;
	}
	v->xsave = res->pages->ptr(res->pages, area);
	*(u16 *)((u8 *)v->xsave + FXSAVE_FCW) = FCW_INIT;
	*(u32 *)((u8 *)v->xsave + FXSAVE_MXCSR) = MXCSR_INIT;
	v->xcr0 = XCR0_X87;
	return true;
}

static void init_cpuid(struct core *c)
{
	struct partition *p = c->v.part;
	u32 basic[4], extended[4];
	p->host->cpuid(0, 0, basic);
	p->host->cpuid(0x80000000, 0, extended);
	c->cpuid = (struct cpuid_env){ .policy = p->policy, .host = p->host->cpuid, .apic_id = c->v.id,
				       .max_basic = basic[0], .max_extended = extended[0],
				       .nr_vcpus = p->nr_cores,
				       .tsc_hz = p->host->time.tsc_hz,
				       .has_tsc_deadline = true, .has_x2apic = true };
}

/* @at: where @c is */
static const char *build_core(struct core *c, hpa at, const struct partition_resources *res)
{
	struct vcpu *v = &c->v;
	struct vcpu_params params = { .second_level = v->part->space.root,
				      .with_apic = v->part->space_apic.root,
				      .apic_access = v->part->apic_access,
				      .apic_page = HPA(at.v + offsetof(struct core, lapic.page)),
				      .apic_base = GPA(VLAPIC_BASE),
				      .pages = res->pages,
				      .tag = ++res->tags[v->cpu],
				      .msrs = v->part->policy->pass,
				      .nr_msrs = v->part->policy->nr_pass,
				      .exits_on_pause = res->nr_on_cpu[v->cpu] > 1 };
	v->ops = res->ops;
	v->deadline_tsc = NEVER;
	c->state = v->id == 0 ? CORE_RUNNING : CORE_WAITING;
	if (!init_fpu(v, res) || v->ops->vcpu_init(v, &params) != STATUS_OK) {
		return "out of memory for the vCPU";
	}
	init_cpuid(c);
	msr_state_init(&c->msrs);
	pc_init_lapic(c);
	BUG_ON(pc_attach_core(c) != STATUS_OK);
	return NULL;
}

/* vCPUs go round the CPUs that the partition has */
static const char *build_cores(struct partition *p, const struct partition_resources *res)
{
	u32 pages = (u32)(ALIGN_UP(sizeof(struct core), PAGE_SIZE) / PAGE_SIZE);
	const char *why = NULL;
	for (u32 i = 0; i < p->nr_cores && !why; i++) {
		hpa at = res->pages->alloc(res->pages, pages);
		if (at.v == 0) {
			return "out of memory for the vCPU";
		}
		struct core *c = res->pages->ptr(res->pages, at);
		c->v.part = p;
		c->v.id = i;
		c->v.cpu = p->cfg->cpus[i % p->cfg->nr_cpus];
		p->core[i] = c;
		why = build_core(c, at, res);
	}
	return why;
}

static const char *load_files(struct partition *p, const struct partition_resources *res,
			      struct guest_entry *entry)
{
	struct load_input in = res->files;
	in.cfg = p->cfg;
	in.rsdp = guest_acpi_build(&p->mem, p->nr_cores);
	const char *why = load_guest(&in, &p->mem, entry);
	u64 len = p->cfg->memory_mib * MIB;
	vrtc_set_memory(&p->pc.rtc, MIN(len, LOW_RAM_TOP), len - MIN(len, LOW_RAM_TOP));
	return why;
}

const char *partition_build(struct partition *p, const struct partition_config *cfg,
			    const struct partition_resources *res)
{
	struct guest_entry entry = { 0 };
	p->cfg = cfg;
	p->host = res->host;
	p->policy = &policy_default;
	p->nr_cores = cfg->nr_vcpus ? cfg->nr_vcpus : cfg->nr_cpus;
	const char *why = build_memory(p, res);
	if (why) {
		return why;
	}
	if (pc_init(p) != STATUS_OK) {
		return "debug-exit meets a device of the PC";
	}
	why = load_files(p, res, &entry);
	if (!why) {
		why = build_cores(p, res);
	}
	if (!why) {
		set_entry(&p->core[0]->v, &entry);
	}
	return why;
}

void partition_start(struct partition *p)
{
	p->birth_tsc = p->host->tsc();
	for (u32 i = 0; i < p->nr_cores; i++) {
		struct vcpu *v = &p->core[i]->v;
		v->ops->set(v, VREG_TSC_OFFSET, 0 - p->birth_tsc);
	}
	__atomic_store_n(&p->state, PARTITION_RUNNING, __ATOMIC_RELEASE);
}
