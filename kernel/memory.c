/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own memory: which frames are free, and its page tables. Everything is mapped one
 * to one; only rights differ. Knows no partition. kmain calls it, and whoever needs pages at boot.
 *
 *	page 0			not mapped: NULL pointers fault
 *	.text			R X
 *	.rodata			R
 *	.data .bss, all RAM	R W
 *	guards below stacks	not mapped
 *	device registers	R W uncached, by mmio_map()
 */
#include "boot/boot.h"
#include "cpu.h"
#include "gmem.h"
#include "record.h"
#include "kernel/space_host.h"
#include "lib/lib.h"
#include "lock.h"
#include "log.h"
#include "mm/pt.h"
#include "x86/insn.h"

#define MAP_TOP	 BIT(47) /* of the canonical lower half */
#define PHYS_TOP BIT(52)

#define MAX_TAKEN 384 /* a few for each partition: between two pages of ours there may be its memory */
#define NR_UNUSABLE 2 /* own_unusable(): the first MiB, and what is behind the last usable range */

struct host_memory host_memory;
static struct lock frames_lock; /* host_memory.frames, once other CPUs enter root mode */
static struct pt host_pt;
static const struct boot_info *boot; /* what memory there is, for host_owned() */

/* What the hypervisor took for itself, joined where it is adjacent; guarded by frames_lock */
static struct {
	u64 base, end;
} taken[MAX_TAKEN];
static u32 nr_taken;

static void note_taken(u64 base, u64 len)
{
	u32 i = 0;

	while (i < nr_taken && taken[i].base != base + len && taken[i].end != base) {
		i++;
	}
	BUG_ON(i == ARRAY_SIZE(taken));
	if (i == nr_taken) {
		taken[i].base = base;
		taken[i].end = base + len;
		nr_taken++;
	}
	taken[i].base = MIN(taken[i].base, base);
	taken[i].end = MAX(taken[i].end, base + len);
}

static hpa take(u64 len, u64 *counter)
{
	lock_take(&frames_lock);
	hpa at = frames_alloc(&host_memory.frames, len, PAGE_SIZE);
	if (at.v) {
		note_taken(at.v, len);
		*counter += len;
	}
	lock_drop(&frames_lock);
	return at;
}

static hpa page_alloc(struct page_source *self, u32 nr_pages)
{
	struct host_memory *m = &host_memory;

	hpa page = take(nr_pages * PAGE_SIZE, self == &m->tables ? &m->table_bytes : &m->taken_bytes);
	if (page.v) {
		memset(phys_ptr(page), 0, nr_pages * PAGE_SIZE);
	}
	return page;
}

static struct frames scratch_frames;

static hpa scratch_alloc(maybe_unused struct page_source *self, u32 nr_pages)
{
	hpa page = frames_alloc(&scratch_frames, nr_pages * PAGE_SIZE, PAGE_SIZE);
	if (page.v) {
		memset(phys_ptr(page), 0, nr_pages * PAGE_SIZE);
	}
	return page;
}

static void *page_ptr(maybe_unused struct page_source *self, hpa page)
{
	return phys_ptr(page);
}

struct page_source *host_memory_scratch(void)
{
	static struct page_source scratch = { .alloc = scratch_alloc, .ptr = page_ptr };
	scratch_frames = host_memory.frames;
	return &scratch;
}

static void reserve(struct frames *f, u64 base, u64 end)
{
	BUG_ON(frames_reserve(f, base, end - base) != STATUS_OK);
}

/* What is usable in [@from, @to) and holds neither the image nor a module */
static void frames_of(struct frames *f, const struct boot_info *info, u64 from, u64 to)
{
	frames_init(f, info->mem, info->nr_mem);
	reserve(f, 0, from);
	reserve(f, to, PHYS_TOP);
	reserve(f, info->image_start.v, info->image_end.v);
	for (u32 i = 0; i < info->nr_modules; i++) {
		const struct boot_module *m = &info->modules[i];
		reserve(f, m->start.v, m->start.v + m->len);
	}
	if (host_memory.record.v) {
		reserve(f, host_memory.record.v, host_memory.record.v + RECORD_LEN);
	}
}

static void map(u64 base, u64 end, u32 prot)
{
	BUG_ON(base < end && pt_map(&host_pt, base, HPA(base), end - base, prot) != STATUS_OK);
}

static void unmap(u64 base, u64 end)
{
	BUG_ON(pt_unmap(&host_pt, base, end - base) != STATUS_OK);
}

/* Reserved ranges hold ACPI tables; above 4 GiB they may be holes of any size, and hold none. */
static void map_all(const struct boot_info *info)
{
	const u64 image = (uintptr_t)image_start, data = (uintptr_t)rodata_end;
	u64 next = MIB;

	map(PAGE_SIZE, MIB, PT_R | PT_W);
	map(image, (uintptr_t)text_end, PT_R | PT_X);
	map((uintptr_t)text_end, data, PT_R);
	for (u32 i = 0; i < info->nr_mem; i++) {
		const struct mem_range *r = &info->mem[i];
		u64 base = MAX(ALIGN_DOWN(r->base, PAGE_SIZE), next);
		u64 end = MIN(ALIGN_UP(MIN(r->base + r->len, MAP_TOP), PAGE_SIZE),
			      r->is_usable ? MAP_TOP : 4 * GIB);
		map(base, MIN(end, image), PT_R | PT_W);
		map(MAX(base, data), end, PT_R | PT_W);
		next = MAX(next, end);
	}
	for (u32 i = 0; i < NR_BOOT_STACKS; i++) {
		unmap((uintptr_t)boot_stacks[i].guard, (uintptr_t)boot_stacks[i].bytes);
	}
}

/*
 * The early page tables reach 4 GiB, so ours are built from frames below; frames above join after
 * CR3 is loaded. Below 1 MiB, all that is needed is a page that a startup IPI can name.
 */
void host_memory_init(const struct boot_info *info)
{
	static struct frames part;
	struct host_memory *m = &host_memory;
	u64 max_page = cpuid_has(0x80000001, 3, 26) ? SIZE_1G : SIZE_2M;

	boot = info;
	m->record = HPA(record_place(info));
	m->pages = m->tables = (struct page_source){ .alloc = page_alloc, .ptr = page_ptr };
	frames_of(&part, info, PAGE_SIZE, MIB);
	m->trampoline = frames_alloc(&part, PAGE_SIZE, PAGE_SIZE);
	frames_of(&m->frames, info, MIB, 4 * GIB);
	BUG_ON(pt_init(&host_pt, &pt_host, &m->pages, max_page) != STATUS_OK);
	map_all(info);
	write_cr3(host_pt.root.v);
	frames_of(&part, info, 4 * GIB, MAP_TOP);
	for (u32 i = 0; i < part.nr && m->frames.nr < FRAMES_MAX_RANGES; i++) {
		m->frames.free[m->frames.nr++] = part.free[i];
	}
}

void mmio_map(u64 addr, u64 len)
{
	u64 base = ALIGN_DOWN(addr, PAGE_SIZE), end = ALIGN_UP(addr + len, PAGE_SIZE);

	unmap(base, end);
	map(base, end, PT_R | PT_W | PT_UC);
	write_cr3(read_cr3()); /* also from paging-structure caches */
}

bool host_is_mapped(u64 addr, u64 len)
{
	struct pt_leaf leaf;
	u64 end = addr + len;

	if (!host_pt.root.v) { /* still on the early page tables */
		return end >= len && end <= 4 * GIB;
	}
	while (addr < end && pt_lookup(&host_pt, addr, &leaf)) {
		addr = ALIGN_DOWN(addr, leaf.size) + leaf.size;
	}
	return addr >= end && end >= len;
}

void *stack_alloc(u64 len)
{
	hpa guard = take(len + PAGE_SIZE, &host_memory.taken_bytes);

	BUG_ON(!guard.v);
	unmap(guard.v, guard.v + PAGE_SIZE);
	invlpg(guard.v);
	return (u8 *)phys_ptr(guard) + PAGE_SIZE + len;
}

void host_memory_log(void)
{
	const struct host_memory *m = &host_memory;

	u64 image = boot->image_end.v - boot->image_start.v;

	log("memory image=%u KiB taken=%u KiB tables=%u KiB free=%u MiB", (u32)(image / KIB),
	    (u32)(m->taken_bytes / KIB), (u32)(m->table_bytes / KIB), (u32)(frames_free_bytes(&m->frames) / MIB));
}

/* Where host_owned() puts them */
struct owned {
	struct space_owned *out;
	u32 nr, max;
};

static void own(struct owned *o, u64 base, u64 end, const char *name)
{
	BUG_ON(o->nr == o->max);
	o->out[o->nr++] = (struct space_owned){ base, end, name };
}

/* Gaps in the usable memory; the first MiB is not for partitions */
static void own_unusable(struct owned *o)
{
	u64 top = MIB;

	own(o, 0, MIB, "memory below 1 MiB");
	for (u32 i = 0; i < boot->nr_mem; i++) {
		const struct mem_range *r = &boot->mem[i];
		if (r->is_usable && r->base + r->len > top) {
			own(o, top, MAX(top, r->base), "no usable memory");
			top = r->base + r->len;
		}
	}
	own(o, top, PHYS_TOP, "no usable memory");
}

u32 host_owned(struct space_owned *out, u32 max, u32 *nr_pages)
{
	const struct frames *f = &host_memory.frames;
	struct owned o = { .out = out, .max = max };

	lock_take(&frames_lock);
	for (u32 i = 0; i < nr_taken; i++) {
		own(&o, taken[i].base, taken[i].end, "the hypervisor");
	}
	*nr_pages = o.nr;
	for (u32 i = 0; i < f->nr; i++) {
		own(&o, f->free[i].base, f->free[i].base + f->free[i].len, "free memory");
	}
	lock_drop(&frames_lock);
	own(&o, boot->image_start.v, boot->image_end.v, "the image");
	for (u32 i = 0; i < boot->nr_modules; i++) {
		const struct boot_module *m = &boot->modules[i];
		own(&o, m->start.v, m->start.v + m->len, "a boot module");
	}
	own_unusable(&o);
	return o.nr;
}

u32 host_max_owned(void)
{
	return nr_taken + host_memory.frames.nr + 1 + boot->nr_modules + boot->nr_mem + NR_UNUSABLE;
}
