/* SPDX-License-Identifier: BSD-2-Clause */
/* A partition on the host; see rig.h. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/exit.h"
#include "log.h"
#include "x86/regs.h"

#define HOST_LEN (32 * MIB)

struct rig rig;

static u64 rig_tsc(void)
{
	return rig.tsc;
}

static u64 rig_xgetbv0(void)
{
	return rig.xcr0;
}

static void rig_xsetbv0(u64 xcr0)
{
	rig.xcr0 = xcr0;
}

/* A host with XSAVE and AVX */
static void rig_cpuid(u32 leaf, u32 sub, u32 out[4])
{
	memset(out, 0, 16);
	if (leaf == 0 && rig.is_intel) {
		out[0] = 0xd;
		memcpy(&out[1], "Genu", 4);
	} else if (leaf == 0) {
		out[0] = 0xd;
		memcpy(&out[1], "Auth", 4);
		memcpy(&out[3], "enti", 4);
		memcpy(&out[2], "cAMD", 4);
	} else if (leaf == 1) {
		out[0] = 0x800f12;
		out[2] = BIT(26) | BIT(28); /* XSAVE, AVX */
		out[3] = 0x178bfbff;
	} else if (leaf == 0xd && sub == 0) {
		out[0] = 7;
		out[1] = out[2] = 832;
	} else if (leaf == 0xd && sub == 2) {
		out[0] = 256;
		out[1] = 576;
	} else if (leaf == 0x80000000) {
		out[0] = 0x80000008;
	} else if (leaf == 0x80000001) {
		out[3] = BIT(29) | BIT(20) | BIT(11);
	} else if (leaf == 0x80000008) {
		out[0] = 0x3028;
	}
}

static void rig_poke(const struct vcpu *v)
{
	rig.pokes[v->id]++;
}

static void rig_notify(const struct vcpu *v)
{
	rig.notes[v->id]++;
}

static struct vcpu *playing;

static struct vcpu *rig_loaded(void)
{
	return playing;
}

static void rig_kick(u32 cpu)
{
	rig.kicks[cpu]++;
}

static const struct host host = { .time = { .tsc_hz = RIG_TSC_HZ,
					    .ns_per_tick_q32 = 1ull << 32,
					    .ticks_per_ns_q32 = 1ull << 32 },
				  .tsc = rig_tsc,
				  .xgetbv0 = rig_xgetbv0,
				  .xsetbv0 = rig_xsetbv0,
				  .poke = rig_poke,
				  .notify = rig_notify,
				  .loaded = rig_loaded,
				  .kick = rig_kick,
				  .cpuid = rig_cpuid };

static hpa pages_alloc(struct page_source *self, u32 nr)
{
	(void)self;
	if (nr > rig.max_pages) {
		return HPA(0);
	}
	rig.max_pages -= nr;
	hpa at = frames_alloc(&rig.frames, nr * PAGE_SIZE, PAGE_SIZE);
	memset(phys_ptr(at), 0, nr * PAGE_SIZE);
	return at;
}

static void *pages_ptr(struct page_source *self, hpa page)
{
	(void)self;
	return phys_ptr(page);
}

static struct page_source pages = { .alloc = pages_alloc, .ptr = pages_ptr };

static void keep_line(void *self, const char *text, size_t len)
{
	(void)self;
	size_t have = strlen(rig.log);
	if (have + len + 2 < sizeof(rig.log)) {
		snprintf(rig.log + have, sizeof(rig.log) - have, "%.*s\n", (int)len, text);
	}
}

static size_t uart_write(u16 port, const char *s, size_t len)
{
	(void)port, (void)s;
	return len;
}

static int uart_getc(u16 port)
{
	return port && rig.input && *rig.input ? *rig.input++ : -1;
}

static const u8 image[64] = { 0x0f, 0xa2, 0xf4 }; /* CPUID; HLT */

const struct partition_config rig_config = { .name = "guest",
					     .nr_cpus = 1,
					     .memory_mib = 6,
					     .boot = BOOT_FLAT,
					     .kernel = "image",
					     .cmdline = "",
					     .load_address = RIG_LOAD_ADDR,
					     .flat_mode = FLAT_LONG,
					     .has_debug_exit = true,
					     .debug_exit = 0xf4 };

const char *rig_build(const struct partition_config *cfg)
{
	static const struct console_port_ops uart = { uart_write, uart_getc };
	static const struct log_sink sink = { .line = keep_line };
	static const u8 nr_on_cpu[4] = { 1, 1, 1, 1 };
	u64 len = rig.host_len ? rig.host_len : HOST_LEN;
	u32 max_pages = rig.max_pages ? rig.max_pages : UINT32_MAX;
	const struct vcpu_ops *ops = rig.ops ? rig.ops : &fake_ops;
	rig = (struct rig){ .tsc = RIG_BIRTH, .xcr0 = XCR0_X87, .max_pages = max_pages,
			    .channels = rig.channels, .nr_channels = rig.nr_channels };
	log_set_sink(&sink);
	console_init(0x3f8, &uart);
	rig.ram = aligned_alloc(SIZE_2M, len);
	struct mem_range range = { (u64)(uintptr_t)rig.ram, len, true };
	frames_init(&rig.frames, &range, 1);
	rig.part = calloc(1, sizeof(*rig.part));
	console_add(&rig.part->pc.console, "guest", 0);
	struct partition_resources res = { .host = &host,
					   .ops = ops,
					   .space_format = &pt_npt,
					   .max_page = SIZE_2M,
					   .frames = &rig.frames,
					   .pages = &pages,
					   .tables = &pages,
					   .xsave_len = 832,
					   .tags = rig.tags,
					   .nr_on_cpu = nr_on_cpu,
					   .channels = rig.channels,
					   .nr_channels = rig.nr_channels };
	res.files.kernel = (struct blob){ image, sizeof(image) };
	const char *why = partition_reserve(rig.part, cfg, &res);
	why = why ? why : partition_build(rig.part, &res);
	for (u32 i = 0; i < rig.part->mem.nr && !why; i++) {
		memset(phys_ptr(rig.part->mem.ext[i].host), 0, rig.part->mem.ext[i].len);
	}
	why = why ? why : partition_first_life(rig.part);
	if (!why) {
		partition_start(rig.part);
	}
	return why;
}

void rig_fini(void)
{
	for (u32 i = 0; i < rig.part->nr_cores && rig.part->core[i]; i++) {
		free(rig.part->core[i]->v.hw);
	}
	free(rig.part);
	free(rig.ram);
	rig = (struct rig){ 0 };
}

bool rig_play(u32 n, struct exit e)
{
	struct vcpu *v = &rig.part->core[n]->v;
	struct fake *f = fake_of(v);
	f->script = &e;
	f->nr_script = 1;
	f->at = 0;
	playing = v;
	return vcpu_step(v);
}
