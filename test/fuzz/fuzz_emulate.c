// SPDX-License-Identifier: BSD-2-Clause
/*
 * A hostile guest: the input is registers, segments, RAM (code and page tables in it) and a script of
 * exits. Whatever it is, the emulator ends, stays in the guest's RAM (an array of exact size under ASan),
 * does the same with its cache of instructions as without, and a refusal of a plain instruction leaves RAM,
 * devices and registers as they were.
 */
#include "kernel/emulate.h"
#include "x86/regs.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM_PAGES 8

struct cpu {
	u64 reg[NR_VREGS];
	struct segment seg[NR_SEGS];
};

static u64 cpu_get(struct vcpu *v, enum vreg r)
{
	return ((struct cpu *)v->hw)->reg[r];
}

static void cpu_set(struct vcpu *v, enum vreg r, u64 value)
{
	((struct cpu *)v->hw)->reg[r] = value;
}

static void cpu_get_seg(struct vcpu *v, enum seg s, struct segment *out)
{
	*out = ((struct cpu *)v->hw)->seg[s];
}
static const struct vcpu_ops ops = { .get = cpu_get, .set = cpu_set, .get_seg = cpu_get_seg };

static u32 nr_accesses;

static u64 device_read(void *self, u64 offset, u32 width)
{
	(void)self;
	nr_accesses++;
	return offset * 0x0101010101010101 + width;
}

static void device_write(void *self, u64 offset, u32 width, u64 value)
{
	(void)self;
	(void)offset;
	nr_accesses++;
	if (value & ~width_mask(width)) {
		abort();
	}
}
static const struct vdev_ops device = { .read = device_read, .write = device_write };

struct input {
	const u8 *data;
	size_t left;
};

static u64 take(struct input *in, u32 len)
{
	u64 v = 0;
	len = (u32)MIN(len, in->left);
	memcpy(&v, in->data, len);
	in->data += len;
	in->left -= len;
	return v;
}

static void set_up_cpu(struct input *in, struct cpu *f)
{
	u64 kind = take(in, 1);
	f->reg[VREG_CR0] = (kind & 1 ? CR0_PE : 0) | ((kind & 3) == 3 ? CR0_PG : 0) | (kind & 4 ? CR0_WP : 0);
	f->reg[VREG_CR4] = (kind & 8 ? CR4_PAE : 0) | (kind & 16 ? CR4_PSE : 0) |
			   (kind & 32 ? CR4_SMAP | CR4_SMEP : 0);
	f->reg[VREG_EFER] = kind & 64 ? EFER_LME | EFER_LMA | EFER_NXE : 0;
	f->reg[VREG_CR3] = (take(in, 1) % RAM_PAGES) << 12;
	f->reg[VREG_RFLAGS] = take(in, 2) | RFLAGS_FIXED1;
	f->reg[VREG_RIP] = kind & 128 ? take(in, 8) : take(in, 2) % (RAM_PAGES * PAGE_SIZE);
	f->reg[VREG_RSP] = take(in, 2);
	for (enum seg s = SEG_ES; s <= SEG_GS; s++) {
		f->seg[s] = (struct segment){ .base = take(in, 1) << 8, .limit = ~0u >> take(in, 1) % 32,
					      .attr = (u32)take(in, 2) | 0x93 };
	}
}

/* The rest of the input, again and again, is what RAM holds */
static void fill_ram(const struct input *in, u8 *ram)
{
	for (size_t i = 0; in->left && i < RAM_PAGES * PAGE_SIZE; i++) {
		ram[i] = in->data[i % in->left];
	}
}

static struct exit exit_of(u64 script)
{
	struct exit x = { .insn_len = (u8)(script >> 4 & 3), .info = { script >> 4 } };
	if (script & 1) {
		x.kind = EXIT_PIO;
		x.pio = (struct exit_pio){ .port = 0x100, .width = (u8)(1 << script % 3),
					   .is_in = script & 2, .is_string = script & 4,
					   .is_rep = script & 8, .seg = (u8)(script >> 8 & 7) % 6,
					   .addr_size = (u8)(1 << (script >> 12 & 3) & 14) };
		return x;
	}
	x.kind = EXIT_MMIO;
	x.mmio = (struct exit_mmio){ .addr = GPA(script >> 8 << 12), .is_write = script & 2 };
	return x;
}

/* Everything that an instruction can change */
struct outcome {
	struct verdict d;
	struct cpu cpu;
	u64 regs[NR_GPRS];
	u32 nr_accesses;
	u8 ram[RAM_PAGES * PAGE_SIZE];
};

static void save(struct outcome *o, const struct emu *e, const u8 *ram)
{
	memcpy(&o->cpu, e->v->hw, sizeof(o->cpu));
	memcpy(o->regs, e->v->regs, sizeof(o->regs));
	memcpy(o->ram, ram, sizeof(o->ram));
	o->nr_accesses = nr_accesses;
}

static void run(const struct emu *e, const struct exit *x, const u8 *ram, struct outcome *o)
{
	nr_accesses = 0;
	struct verdict d = x->kind == EXIT_PIO ? emulate_pio(e, x) : emulate_mmio(e, &x->mmio);
	save(o, e, ram);
	o->d = d;
}

/* With remembered instructions, or the CPU's own bytes, all is as without */
static void compare(const struct outcome *a, const struct outcome *b)
{
	bool is_same = a->d.kind == b->d.kind && a->d.insn_len == b->d.insn_len && a->d.cr2 == b->d.cr2 &&
		       a->d.event.vector == b->d.event.vector && a->d.event.error == b->d.event.error &&
		       !memcmp(&a->cpu, &b->cpu, sizeof(a->cpu)) && !memcmp(a->regs, b->regs, sizeof(a->regs)) &&
		       a->nr_accesses == b->nr_accesses && !memcmp(a->ram, b->ram, sizeof(a->ram));
	if (!is_same) {
		abort();
	}
}

static void restore(struct vcpu *v, const struct outcome *o, u8 *ram)
{
	memcpy(v->hw, &o->cpu, sizeof(o->cpu));
	memcpy(v->regs, o->regs, sizeof(o->regs));
	memcpy(ram, o->ram, sizeof(o->ram));
}

/*
 * The same exit of a CPU that says what it has read of the instruction, all of it or less: as of one that does not.
 * Pages that only this reads get their A bits here.
 */
static struct exit tell(const struct emu *e, const struct exit *x, u8 bytes[15])
{
	struct exit told = *x;
	struct paging p;
	struct event fault;
	if (x->kind == EXIT_MMIO) {
		paging_read(e->v, &p);
		u32 nr = fetch_insn(e->v, e->mem, &p, bytes, &fault);
		told.mmio.nr_fetched = (u8)(x->info[0] % (nr + 1));
	}
	return told;
}

static void step(struct emu *e, const struct exit *x, u8 *ram)
{
	static struct outcome before, plain, cached, told;
	struct emu no_cache = *e;
	struct insn in;
	struct event fault;
	u8 bytes[15];
	struct exit told_x = tell(e, x, bytes);
	u32 len = emulate_length(e, OP_NONE, &in, &fault);
	save(&before, e, ram);
	no_cache.insns = NULL;
	run(&no_cache, x, ram, &plain);
	restore(e->v, &before, ram);
	e->v->insn_bytes = bytes;
	run(e, &told_x, ram, &told);
	e->v->insn_bytes = NULL;
	restore(e->v, &before, ram);
	run(e, x, ram, &cached);
	compare(&plain, &cached);
	compare(&plain, &told);
	const struct verdict *d = &cached.d;
	bool is_done = d->kind == V_ADVANCE;
	bool is_string = x->kind == EXIT_PIO ? x->pio.is_string : len && in.form == FORM_STRING;
	bool is_sane = is_done ? d->insn_len >= 1 && d->insn_len <= 15 :
				 d->kind == V_RESUME || d->kind == V_INJECT ||
					 (d->kind == V_REPEAT && is_string) || (d->kind == V_KILL && d->why);
	bool has_moved = nr_accesses || memcmp(before.regs, cached.regs, sizeof(before.regs));
	if (!is_sane || (!is_done && !is_string && has_moved) || nr_accesses > 16 * EMU_REP_BATCH) {
		abort();
	}
	/* only A and D bits may have changed: with paging off there are none */
	if (!is_done && !is_string && !(e->v->ops->get(e->v, VREG_CR0) & CR0_PG) &&
	    memcmp(before.ram, ram, sizeof(before.ram))) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct cpu f = { .reg = { 0 } };
	struct vcpu v = { .ops = &ops, .hw = &f };
	struct bus mmio = { .nr = 0 }, ports = { .nr = 0 };
	u8 *ram = aligned_alloc(PAGE_SIZE, RAM_PAGES * PAGE_SIZE);
	struct gmem mem = { .ext = { { GPA(0), HPA((uintptr_t)ram), RAM_PAGES * PAGE_SIZE } }, .nr = 1 };
	static struct insn_cache insns; /* its rows point into the RAM that this run frees */
	memset(&insns, 0, sizeof(insns));
	struct emu e = { .v = &v, .mem = &mem, .mmio = &mmio, .ports = &ports, .insns = &insns };
	const struct bus_range range = { RAM_PAGES * PAGE_SIZE, 0x100000, "device", &device, NULL, NULL };
	const struct bus_range port = { 0x100, 0x10, "port", &device, NULL, NULL };
	memset(ram, 0, RAM_PAGES * PAGE_SIZE);
	set_up_cpu(&in, &f);
	for (u32 r = 0; r < NR_GPRS; r++) {
		v.regs[r] = take(&in, r & 1 ? 2 : 3);
	}
	u64 script[4];
	for (u32 i = 0; i < ARRAY_SIZE(script); i++) {
		script[i] = take(&in, 2);
	}
	fill_ram(&in, ram);
	bool ok = bus_attach(&mmio, &range) == STATUS_OK && bus_attach(&ports, &port) == STATUS_OK;
	for (u32 i = 0; ok && i < ARRAY_SIZE(script); i++) {
		struct exit x = exit_of(script[i]);
		step(&e, &x, ram);
	}
	free(ram);
	return 0;
}
