// SPDX-License-Identifier: BSD-2-Clause
/*
 * Channels between two partitions on the host: what their second-level tables say, hypercalls, and how
 * a doorbell travels from one to the other.
 */
#include "kernel/channel.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "abi/channel.h"
#include "abi/hypercall.h"
#include "kernel/exit.h"
#include "rig.h"

static struct system_config cfg = {
	.channels = { { .name = "data", .size_kib = 64, .writer = "guest", .readers = { "other" },
			.nr_readers = 1 },
		      { .name = "not-ours", .size_kib = 4, .writer = "x", .readers = { "other" },
			.nr_readers = 1 },
		      { .name = "both", .size_kib = 4096, .both_ways = { "third", "other", "guest" },
			.nr_both_ways = 3 } },
	.nr_channels = 3,
};
static struct channel channels[CONFIG_MAX_CHANNELS];
static struct frames frames;
static void *ram;

/* Another partition: no memory and no image, but a PC, a mailbox and second-level tables */
static struct partition other;
static struct core other_core;
static const struct partition_config other_cfg = { .name = "other", .nr_cpus = 1 };

static void build_other(void)
{
	memset(&other, 0, sizeof(other));
	memset(&other_core, 0, sizeof(other_core));
	other.cfg = &other_cfg;
	other.host = rig.part->host;
	other.nr_cores = 1;
	other.core[0] = &other_core;
	other_core.v.part = &other;
	other_core.v.id = 1; /* pokes are counted by it */
	assert_int_equal(pc_init(&other), STATUS_OK);
	assert_int_equal(pt_init(&other.space, &pt_ept, rig.part->space.pages, SIZE_2M), STATUS_OK);
	assert_null(channels_attach(&other, channels, cfg.nr_channels));
}

static int setup(void **state maybe_unused)
{
	ram = aligned_alloc(SIZE_2M, 16 * MIB);
	memset(ram, 0xee, 16 * MIB);
	struct mem_range range = { (u64)(uintptr_t)ram, 16 * MIB, true };
	frames_init(&frames, &range, 1);
	memset(channels, 0, sizeof(channels));
	assert_null(channels_alloc(channels, &cfg, &frames));
	rig.channels = channels;
	rig.nr_channels = cfg.nr_channels;
	assert_null(rig_build(&rig_config));
	build_other();
	return 0;
}

static int teardown(void **state maybe_unused)
{
	rig_fini();
	free(ram);
	return 0;
}

static void check_leaf(const struct partition *p, u64 at, u64 offset, const struct channel *ch, u32 prot)
{
	struct pt_leaf leaf;
	assert_true(pt_lookup(&p->space, at + offset, &leaf));
	assert_true(leaf.pa.v == ch->memory.v + offset);
	assert_int_equal(leaf.prot, prot);
}

static void memory_is_mapped_with_rights(void **state maybe_unused)
{
	struct pt_leaf leaf;
	check_leaf(rig.part, 0xc2000000, 0, &channels[0], PT_R | PT_W);
	check_leaf(rig.part, 0xc2000000, 0xffff, &channels[0], PT_R | PT_W);
	assert_false(pt_lookup(&rig.part->space, 0xc2010000, &leaf));
	check_leaf(rig.part, 0xc4000000, 0x3fffff, &channels[2], PT_R | PT_W);
	assert_false(pt_lookup(&rig.part->space, 0xc6000000, &leaf));
	check_leaf(&other, 0xc2000000, 0xffff, &channels[0], PT_R | PT_WB);
	check_leaf(&other, 0xc4000000, 0, &channels[1], PT_R | PT_WB);
	check_leaf(&other, 0xc6000000, 0x3fffff, &channels[2], PT_R | PT_W | PT_WB);
	assert_null(gmem_ptr(&rig.part->mem, GPA(0xc2000000), 1)); /* and it is no RAM */
	const u8 *at = phys_ptr(channels[2].memory);
	for (u32 i = 0; i < 4 * MIB; i += 4096) {
		assert_int_equal(at[i], 0);
	}
}

static void out_of_memory(void **state maybe_unused)
{
	static struct channel none[CONFIG_MAX_CHANNELS];
	struct mem_range range = { (u64)(uintptr_t)ram, 32 * 1024, true };
	struct frames few;
	frames_init(&few, &range, 1);
	assert_string_equal(channels_alloc(none, &cfg, &few), "out of memory for channels");
}

static s64 call(u64 nr, u64 rbx, u64 rcx)
{
	struct vcpu *v = &rig.part->core[0]->v;
	v->regs[GPR_RAX] = nr;
	v->regs[GPR_RBX] = rbx;
	v->regs[GPR_RCX] = rcx;
	rig_play(0, (struct exit){ .kind = EXIT_HYPERCALL, .insn_len = 3, .rip = RIG_LOAD_ADDR });
	return (s64)v->regs[GPR_RAX];
}

static void info(void **state maybe_unused)
{
	struct bulkhead_channel c;
	assert_int_equal(call(HC_CHANNEL_INFO, 0, 0x3000), 0);
	assert_true(gmem_read(&rig.part->mem, GPA(0x3000), &c, sizeof(c)));
	assert_true(c.memory == 0xc2000000 && c.size == 65536 && c.registers == 0xc0000000);
	assert_int_equal(c.rights, BULKHEAD_CHANNEL_READ | BULKHEAD_CHANNEL_WRITE);
	assert_int_equal(c.position, 0);
	assert_int_equal(c.members, 2);
	assert_int_equal(c.pin, 16);
	assert_string_equal(c.name, "data");
	assert_int_equal(call(HC_CHANNEL_INFO, 1, 6 * MIB - sizeof(c)), 0);
	assert_true(gmem_read(&rig.part->mem, GPA(6 * MIB - sizeof(c)), &c, sizeof(c)));
	assert_true(c.memory == 0xc4000000 && c.registers == 0xc0001000 && c.position == 2 && c.pin == 17);
	assert_int_equal(call(HC_CHANNEL_INFO, 2, 0x3000), HC_ENOENT);
	assert_int_equal(call(HC_CHANNEL_INFO, ~0ull, 0x3000), HC_ENOENT);
	assert_int_equal(call(HC_CHANNEL_INFO, 1, 6 * MIB - sizeof(c) + 1), HC_EINVAL);
	assert_int_equal(call(HC_CHANNEL_INFO, 1, ~0ull), HC_EINVAL);
	assert_int_equal(call(HC_CHANNEL_INFO, 1, 0xc4000000), HC_EINVAL); /* a channel is no RAM */
}

static void doorbell_arguments(void **state maybe_unused)
{
	assert_int_equal(call(HC_DOORBELL, 2, 0), HC_ENOENT);
	assert_int_equal(call(HC_DOORBELL, ~0ull, 0), HC_ENOENT);
	assert_int_equal(call(HC_DOORBELL, 0, 32), HC_EINVAL);
	assert_int_equal(call(HC_DOORBELL, 0, 0x1ffff), HC_EINVAL);
	assert_int_equal(call(HC_DOORBELL, 0, 1ull << 32), HC_EINVAL);
	assert_int_equal(call(HC_DOORBELL, 0, 2 << 16), HC_ENOENT); /* two members: 0 and 1 */
	assert_int_equal(call(HC_DOORBELL, 0, 0xffff0000), HC_ENOENT);
	assert_int_equal(call(HC_DOORBELL, 1, 0), HC_ENOENT); /* "third" is no partition that was built */
	assert_int_equal(other_core.mail.flags, 0);
}

static void doorbell_is_mail(void **state maybe_unused)
{
	struct vivshmem *there = &other.pc.end[0].dev;
	assert_int_equal(call(HC_DOORBELL, 0, 1 << 16 | 7), 0);
	assert_int_equal(other_core.mail.flags, MAIL_DOORBELL);
	assert_int_equal(rig.pokes[1], 1);
	assert_int_equal(there->status, 1 << 7);
	for (u32 i = 0; i < 100; i++) { /* a flood: the neighbour has heard it, and is left alone */
		other_core.mail.flags = 0;
		assert_int_equal(call(HC_DOORBELL, 0, 1 << 16 | 7), 0);
		assert_int_equal(other_core.mail.flags, 0);
	}
	assert_int_equal(rig.pokes[1], 1);
	there->mask = ~0u;
	channels_look(&other);
	assert_int_equal(other.pc.ioapic.lines, 1 << 16);
	assert_int_equal(bus_read(&rig.part->core[0]->mmio, 0xc0000004, 4), 0); /* not ours */
	bus_write(&rig.part->core[0]->mmio, 0xc000100c, 4, 1 << 16 | 31); /* by the register: "both" */
	assert_int_equal(other_core.mail.flags, MAIL_DOORBELL);
	assert_int_equal(other.pc.end[2].dev.status, 1u << 31);
	bus_write(&rig.part->core[0]->mmio, 0xc000100c, 4, ~0u);
}

/* To oneself: I/O APIC pin 16, level-triggered, vector 0x70 of the local APIC */
static void doorbell_interrupts(void **state maybe_unused)
{
	struct core *c = rig.part->core[0];
	bus_write(&c->mmio, 0xfec00000, 4, 0x30);
	bus_write(&c->mmio, 0xfec00010, 4, 0x8070);
	bus_write(&c->mmio, 0xfee000f0, 4, 0x1ff);
	bus_write(&c->mmio, 0xc0000000, 4, ~0u);
	assert_int_equal(call(HC_DOORBELL, 0, 0), 0);
	assert_true(core_has_mail(c));
	assert_true(core_is_runnable(c)); /* takes the mail */
	assert_false(core_has_mail(c));
	assert_true(core_pending_irq(c) >= 0);
	assert_int_equal(core_ack_irq(c, core_pending_irq(c)), 0x70);
	assert_int_equal(bus_read(&c->mmio, 0xc0000004, 4), 1);
	bus_write(&c->mmio, 0xfee000b0, 4, 0);
	assert_false(core_pending_irq(c) >= 0);
}

/* With several cores an interrupt goes by mail, but not to the core that is on this very CPU */
static void several_cores(void **state)
{
	static struct partition_config two;
	teardown(state);
	two = rig_config;
	two.nr_vcpus = 2;
	memset(channels, 0, sizeof(channels));
	ram = aligned_alloc(SIZE_2M, 16 * MIB);
	struct mem_range range = { (u64)(uintptr_t)ram, 16 * MIB, true };
	frames_init(&frames, &range, 1);
	assert_null(channels_alloc(channels, &cfg, &frames));
	rig.channels = channels;
	rig.nr_channels = cfg.nr_channels;
	assert_null(rig_build(&two));
	doorbell_interrupts(state);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(memory_is_mapped_with_rights), T(out_of_memory), T(info), T(doorbell_arguments),
		T(doorbell_is_mail), T(doorbell_interrupts), T(several_cores),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
