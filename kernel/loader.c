// SPDX-License-Identifier: BSD-2-Clause
/*
 * One door to the boot protocols, the memory map that all of them tell their guest, and what they
 * share: a ledger of used memory, so that nothing a loader places overlaps anything else.
 * Knows no file format. Called at boot, once per partition.
 */
#include "devices/vpci.h"
#include "load.h"
#include "log.h"

static bool is_free(const struct loading *l, u64 start, u64 end, u64 *next)
{
	for (u32 i = 0; i < l->nr_taken; i++) {
		if (start < l->taken[i].end && l->taken[i].start < end) {
			*next = l->taken[i].end;
			return false;
		}
	}
	return true;
}

bool load_claim(struct loading *l, u64 start, u64 len)
{
	u64 next;
	if (start > l->top || len > l->top - start || l->nr_taken == LOAD_MAX_TAKEN ||
	    !is_free(l, start, start + len, &next)) {
		return false;
	}
	l->taken[l->nr_taken].start = start;
	l->taken[l->nr_taken++].end = start + len;
	return true;
}

/* Each step passes one more taken range, so it ends; no range is passed twice. */
u64 load_place(struct loading *l, u64 len, u64 align, u64 lo, u64 hi)
{
	u64 at = ALIGN_UP(lo, align), next;
	hi = MIN(hi, l->top);
	while (at < hi && len <= hi - at) {
		if (is_free(l, at, at + len, &next)) {
			return load_claim(l, at, len) ? at : 0;
		}
		at = ALIGN_UP(next, align);
	}
	return 0;
}

#define BULK (16 * KIB) /* smaller pieces may lie on a stack, and are not worth a plan */

void load_bytes(struct loading *l, u64 addr, const void *data, u64 len)
{
	struct load_plan *plan = l->in->plan;
	if (plan && len >= BULK && plan->nr < LOAD_MAX_COPIES) {
		plan->copy[plan->nr++] = (struct load_copy){ addr, len, data };
		return;
	}
	BUG_ON(!gmem_write(l->mem, GPA(addr), data, len));
}

void load_poke(struct loading *l, u64 addr, u64 value, u32 width)
{
	load_bytes(l, addr, &value, width);
}

u64 load_low(struct loading *l, const void *data, u64 len, u64 align)
{
	u64 at = load_place(l, len, align, LOW_START, LOW_END);
	if (!at) {
		l->is_low_full = true;
	} else {
		BUG_ON(!(data ? gmem_write(l->mem, GPA(at), data, len) :
				gmem_fill(l->mem, GPA(at), 0, len)));
	}
	return at;
}

u64 load_string(struct loading *l, const char *s)
{
	return load_low(l, s, strlen(s) + 1, 1);
}

const char *load_image(struct loading *l, u64 addr, u64 off, u64 filesz, u64 memsz)
{
	const struct blob *k = &l->in->kernel;
	if (!blob_holds(k, off, filesz)) {
		return "kernel truncated";
	}
	if (filesz > memsz) {
		return "kernel has a part larger in the file than in memory";
	}
	if (!load_claim(l, addr, memsz)) {
		return "kernel's parts overlap or lie outside the partition's memory";
	}
	load_bytes(l, addr, (const u8 *)k->data + off, filesz);
	l->image_end = MAX(l->image_end, addr + memsz);
	return NULL;
}

const char *load_modules(struct loading *l, struct loaded_module out[CONFIG_MAX_MODULES])
{
	for (u32 i = 0; i < l->in->nr_modules; i++) {
		const struct load_module *m = &l->in->modules[i];
		u64 at = load_place(l, m->file.len, PAGE_SIZE, MAX(MIB, l->image_end), l->top);
		if (!at) {
			return "modules do not fit into the partition's memory";
		}
		load_bytes(l, at, m->file.data, m->file.len);
		out[i] = (struct loaded_module){ at, m->file.len, load_string(l, m->string), 0 };
	}
	return NULL;
}

/* Flat descriptors, accessed bit set (SDM 3A 3.4.5 "Segment Descriptors") */
#define DESC_CODE64 0x00af9b000000ffffull
#define DESC_CODE32 0x00cf9b000000ffffull
#define DESC_DATA   0x00cf93000000ffffull

/* Selectors 0x10 and 0x18: what Linux asks for (boot.rst, "32-bit boot protocol"), and others do not care */
static const char *enter(struct loading *l, enum entry_mode mode, u64 rip)
{
	const u64 table[] = { 0, 0, mode == ENTRY_LONG ? DESC_CODE64 : DESC_CODE32, DESC_DATA };
	l->out->mode = mode;
	l->out->rip = rip;
	l->out->cs = 0x10;
	l->out->ds = 0x18;
	l->out->gdt = GPA(load_low(l, table, sizeof(table), 16));
	l->out->gdt_limit = sizeof(table) - 1;
	return l->is_low_full ? "no room below 640 KiB for what the guest is told" : NULL;
}

const char *load_enter_protected(struct loading *l, u64 rip)
{
	return enter(l, ENTRY_PROTECTED, rip);
}

const char *load_enter_long(struct loading *l, u64 rip)
{
	const u64 present = 0x3, large = 0x83; /* P, RW; P, RW, PS: SDM 3A 4.5 */
	u64 pml4 = load_low(l, NULL, 6 * PAGE_SIZE, PAGE_SIZE);
	u64 pdpt = pml4 + PAGE_SIZE;
	if (pml4) {
		load_poke(l, pml4, pdpt | present, 8);
		for (u64 i = 0; i < 4; i++) {
			load_poke(l, pdpt + 8 * i, (pdpt + (i + 1) * PAGE_SIZE) | present, 8);
		}
		for (u64 i = 0; i < 4 * 512; i++) {
			load_poke(l, pdpt + PAGE_SIZE + 8 * i, i * SIZE_2M | large, 8);
		}
	}
	l->out->cr3 = pml4;
	return enter(l, ENTRY_LONG, rip);
}

/* End of the RAM that begins at 0 and has no gap, at most up to the device hole */
static u64 low_top(const struct gmem *mem)
{
	u64 top = 0;
	for (u32 i = 0; i < mem->nr && mem->ext[i].base.v == top; i++) {
		top += mem->ext[i].len;
	}
	return MIN(top, HOLE_BASE);
}

u32 guest_e820(const struct gmem *mem, struct e820_entry out[E820_MAX])
{
	u64 low = low_top(mem), high = gmem_top_below(mem, NEVER);
	u32 n = 0;
	out[n++] = (struct e820_entry){ 0, MIN(low, LOW_END), 1 };
	out[n++] = (struct e820_entry){ LOW_END, MIB - LOW_END, 2 };
	if (low > MIB) {
		out[n++] = (struct e820_entry){ MIB, low - MIB, 1 };
	}
	out[n++] = (struct e820_entry){ VPCI_ECAM_BASE, VPCI_ECAM_LEN, 2 };
	out[n++] = (struct e820_entry){ 0xfec00000, PAGE_SIZE, 2 }; /* I/O APIC */
	out[n++] = (struct e820_entry){ 0xfee00000, PAGE_SIZE, 2 }; /* local APICs */
	if (high > 4 * GIB) {
		out[n++] = (struct e820_entry){ 4 * GIB, high - 4 * GIB, 1 };
	}
	return n;
}

/*
 * The words of the BIOS data area by which kernels find the end of low memory (Xen its trampoline's
 * place, without asking elsewhere), unless the image lies there. IBM PS/2 and PC BIOS Interface
 * Technical Reference, "BIOS Data Area".
 */
static void fill_bios_data(struct loading *l)
{
	static const struct {
		u32 addr;
		u16 value;
	} words[] = {
		{ 0x400, 0x3f8 },	   /* first serial port */
		{ 0x40e, LOW_END / 16 },   /* segment of the extended BIOS data area */
		{ 0x410, BIT(1) | 1 << 9 }, /* equipment: FPU, one serial port */
		{ 0x413, LOW_END / KIB },  /* memory below it */
		{ LOW_END, 1 },		   /* KiB of extended BIOS data area */
	};
	for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
		if (load_claim(l, words[i].addr, 2)) {
			load_poke(l, words[i].addr, words[i].value, 2);
		}
	}
}

const char *load_guest(const struct load_input *in, const struct gmem *mem, struct guest_entry *out)
{
	static const char *(*const protocol[])(struct loading *) = {
		[BOOT_LINUX] = load_linux, [BOOT_MULTIBOOT] = load_multiboot,
		[BOOT_PVH] = load_pvh, [BOOT_FLAT] = load_flat,
	};
	struct loading l = { .in = in, .mem = mem, .out = out, .top = low_top(mem) };
	memset(out, 0, sizeof(*out));
	if (in->cfg->boot >= ARRAY_SIZE(protocol) || !protocol[in->cfg->boot]) {
		return "no boot protocol";
	}
	if (in->rsdp.v && !load_claim(&l, GUEST_ACPI_BASE, GUEST_ACPI_LEN)) {
		return "no memory where the ACPI tables are";
	}
	const char *why = protocol[in->cfg->boot](&l);
	if (!why) {
		fill_bios_data(&l);
	}
	return why;
}
