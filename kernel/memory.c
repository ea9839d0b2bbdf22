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
#include "lib/lib.h"
#include "lock.h"
#include "log.h"
#include "mm/pt.h"
#include "x86/insn.h"

#define MAP_TOP BIT(47) /* of the canonical lower half */

struct host_memory host_memory;
static struct lock frames_lock; /* host_memory.frames, once other CPUs enter root mode */
static struct pt host_pt;

static hpa page_alloc(struct page_source *self, u32 nr_pages)
{
	struct host_memory *m = container_of(self, struct host_memory, pages);

	lock_take(&frames_lock);
	hpa page = frames_alloc(&m->frames, nr_pages * PAGE_SIZE, PAGE_SIZE);
	lock_drop(&frames_lock);
	if (page.v) {
		memset(phys_ptr(page), 0, nr_pages * PAGE_SIZE);
	}
	return page;
}

static void *page_ptr(struct page_source *self, hpa page)
{
	(void)self;
	return phys_ptr(page);
}

static void reserve(struct frames *f, u64 base, u64 len)
{
	enum status s = frames_reserve(f, base, len);
	BUG_ON(s != STATUS_OK);
}

/* What is usable in [@from, @to) and holds neither the image nor a module */
static void frames_of(struct frames *f, const struct boot_info *info, u64 from, u64 to)
{
	static struct mem_range part[BOOT_MAX_MEM];
	u32 nr = 0;

	for (u32 i = 0; i < info->nr_mem; i++) {
		const struct mem_range *r = &info->mem[i];
		u64 base = MAX(r->base, from), end = MIN(r->base + r->len, to);
		if (base < end) {
			part[nr++] = (struct mem_range){ base, end - base, r->is_usable };
		}
	}
	frames_init(f, part, nr);
	reserve(f, info->image_start.v, info->image_end.v - info->image_start.v);
	for (u32 i = 0; i < info->nr_modules; i++) {
		reserve(f, info->modules[i].start.v, info->modules[i].len);
	}
}

static void map(u64 base, u64 end, u32 prot)
{
	if (base < end) {
		enum status s = pt_map(&host_pt, base, HPA(base), end - base, prot);
		BUG_ON(s != STATUS_OK);
	}
}

/* Read and write, but for the part of the image that has other rights */
static void map_memory(u64 base, u64 end)
{
	map(base, MIN(end, (uintptr_t)image_start), PT_R | PT_W);
	map(MAX(base, (uintptr_t)rodata_end), end, PT_R | PT_W);
}

/* Reserved ranges hold ACPI tables; above 4 GiB they may be holes of any size, and hold none. */
static void map_all(const struct boot_info *info)
{
	u64 next = MIB;

	map((uintptr_t)image_start, (uintptr_t)text_end, PT_R | PT_X);
	map((uintptr_t)text_end, (uintptr_t)rodata_end, PT_R);
	map_memory(PAGE_SIZE, MIB);
	for (u32 i = 0; i < info->nr_mem; i++) {
		const struct mem_range *r = &info->mem[i];
		u64 base = MAX(ALIGN_DOWN(r->base, PAGE_SIZE), next);
		u64 end = MIN(ALIGN_UP(MIN(r->base + r->len, MAP_TOP), PAGE_SIZE),
			      r->is_usable ? MAP_TOP : 4 * GIB);
		if (base < end) {
			map_memory(base, end);
			next = end;
		}
	}
	for (u32 i = 0; i < NR_BOOT_STACKS; i++) {
		enum status s = pt_unmap(&host_pt, (uintptr_t)boot_stacks[i].guard, PAGE_SIZE);
		BUG_ON(s != STATUS_OK);
	}
}

/* The highest usable page that a startup IPI can name. On UEFI, GRUB puts modules down there. */
static hpa find_trampoline(const struct boot_info *info)
{
	for (u64 page = 0x9f000; page; page -= PAGE_SIZE) {
		bool is_free = false;
		for (u32 i = 0; i < info->nr_mem; i++) {
			const struct mem_range *r = &info->mem[i];
			is_free |= r->is_usable && r->base <= page &&
				   r->base + r->len >= page + PAGE_SIZE;
		}
		for (u32 i = 0; i < info->nr_modules; i++) {
			const struct boot_module *m = &info->modules[i];
			is_free &= m->start.v >= page + PAGE_SIZE || m->start.v + m->len <= page;
		}
		if (is_free) {
			return HPA(page);
		}
	}
	return HPA(0);
}

/*
 * The early page tables reach 4 GiB, so ours are built from frames below; frames above join after
 * CR3 is loaded.
 */
void host_memory_init(const struct boot_info *info)
{
	static struct frames high;
	struct host_memory *m = &host_memory;
	bool has_1g = cpuid_has(0x80000001, 3, 26);

	m->pages = (struct page_source){ .alloc = page_alloc, .ptr = page_ptr };
	m->trampoline = find_trampoline(info);
	frames_of(&m->frames, info, 0, 4 * GIB);
	enum status s = pt_init(&host_pt, &pt_host, &m->pages, has_1g ? SIZE_1G : SIZE_2M);
	BUG_ON(s != STATUS_OK);
	map_all(info);
	write_cr3(host_pt.root.v);
	frames_of(&high, info, 4 * GIB, MAP_TOP);
	for (u32 i = 0; i < high.nr && m->frames.nr < FRAMES_MAX_RANGES; i++) {
		m->frames.free[m->frames.nr++] = high.free[i];
	}
}

void mmio_map(u64 addr, u64 len)
{
	u64 base = ALIGN_DOWN(addr, PAGE_SIZE), end = ALIGN_UP(addr + len, PAGE_SIZE);
	enum status s = pt_unmap(&host_pt, base, end - base);

	BUG_ON(s != STATUS_OK);
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
	hpa guard = frames_alloc(&host_memory.frames, len + PAGE_SIZE, PAGE_SIZE);

	BUG_ON(!guard.v);
	enum status s = pt_unmap(&host_pt, guard.v, PAGE_SIZE);
	BUG_ON(s != STATUS_OK);
	invlpg(guard.v);
	return (u8 *)phys_ptr(guard) + PAGE_SIZE + len;
}
