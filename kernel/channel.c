/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared memory into the second-level tables of its members, and doorbells from one end to another.
 * Knows where ends lie in the PC and whose they are; what their registers do is devices/vivshmem.c's.
 * Never touches a channel's memory after boot, nor another partition's devices. Pure.
 */
#include "kernel/channel.h"
#include "abi/channel.h"
#include "abi/hypercall.h"
#include "kernel/partition.h"
#include "lib/lib.h"

static_assert(sizeof(struct bulkhead_channel) == 72, "guests know its layout");
static_assert(sizeof(((struct bulkhead_channel *)0)->name) > CONFIG_NAME_MAX, "always ended by a zero");

static u64 size_of(const struct channel *ch)
{
	return (u64)ch->cfg->size_kib << 10;
}

/* Guest-physical address of the memory of end @i */
static u64 memory_at(u32 i)
{
	return VPCI_MMIO_BASE + (i + 1) * CHANNEL_SLOT;
}

const char *channels_alloc(struct channel out[CONFIG_MAX_CHANNELS], const struct system_config *cfg,
			   struct frames *frames)
{
	for (u32 i = 0; i < cfg->nr_channels; i++) {
		struct channel *ch = &out[i];
		ch->cfg = &cfg->channels[i];
		ch->memory = frames_alloc(frames, size_of(ch), MIN(size_of(ch), SIZE_2M));
		if (!ch->memory.v) {
			return "out of memory for channels";
		}
		memset(phys_ptr(ch->memory), 0, size_of(ch));
	}
	return NULL;
}

/* One word of the other end's device, then a bit in its mailbox: no lock of another partition is taken */
static bool ring(struct channel_end *from, u32 peer, u32 vector)
{
	struct channel_end *to = NULL;
	if (peer < channel_nr_members(from->channel->cfg) && vector < VIVSHMEM_VECTORS) {
		to = from->channel->member[peer];
	}
	if (to && vivshmem_raise(&to->dev, vector)) {
		core_post(to->owner->core[0], MAIL_DOORBELL);
	}
	return to;
}

/* ivshmem: to ring nobody, or an unknown vector, does nothing */
static void device_rings(void *ctx, u32 peer, u32 vector)
{
	(void)ring(ctx, peer, vector);
}

static const char *attach(struct partition *p, struct channel *ch, u32 position)
{
	u32 i = p->pc.nr_ends++;
	struct channel_end *e = &p->pc.end[i];
	bool can_write = channel_can_write(ch->cfg, position);
	*e = (struct channel_end){ .channel = ch, .owner = p, .index = i };
	e->dev = (struct vivshmem){ .position = position, .memory = phys_ptr(ch->memory),
				    .can_write = can_write, .irq = pc_irq(&p->pc, CHANNEL_PIN0 + i),
				    .ring = device_rings, .ctx = e };
	ch->member[position] = e;
	u32 prot = PT_R | (can_write ? PT_W : 0) | PT_WB; /* one type for all who look at it */
	if (pt_map(&p->space, memory_at(i), ch->memory, size_of(ch), prot) != STATUS_OK ||
	    (p->space_apic.root.v &&
	     pt_map(&p->space_apic, memory_at(i), ch->memory, size_of(ch), prot) != STATUS_OK)) {
		return "second-level tables of channels cannot be built";
	}
	return NULL;
}

const char *channels_reset(struct partition *p)
{
	for (u32 i = 0; i < p->pc.nr_ends; i++) {
		struct channel_end *e = &p->pc.end[i];
		const struct vivshmem_place place = { .name = e->channel->cfg->name,
						      .devfn = (u8)((CHANNEL_DEVICE0 + i) << 3),
						      .base = VPCI_MMIO_BASE + i * PAGE_SIZE,
						      .memory = memory_at(i),
						      .len = size_of(e->channel) };
		vivshmem_init(&e->dev, &place);
		if (vpci_add(&p->pc.pci, &e->dev.pci) != STATUS_OK) {
			return "no room on the PCI bus for channels";
		}
	}
	return NULL;
}

const char *channels_attach(struct partition *p, struct channel *channels, u32 nr)
{
	const char *why = NULL;
	for (u32 i = 0; i < nr; i++) {
		const struct channel_config *cfg = channels[i].cfg;
		for (u32 k = 0; k < channel_nr_members(cfg) && !why; k++) {
			if (!strcmp(channel_member(cfg, k), p->cfg->name)) {
				why = attach(p, &channels[i], k);
			}
		}
	}
	return why;
}

void channels_look(struct partition *p)
{
	pc_lock(p);
	p->pc.by = p->core[0];
	for (u32 i = 0; i < p->pc.nr_ends; i++) {
		vivshmem_update(&p->pc.end[i].dev);
	}
	p->pc.by = NULL;
	pc_unlock(p);
}

static struct channel_end *end_of(struct vcpu *v, u64 index)
{
	struct pc *pc = &v->part->pc;
	return index < pc->nr_ends ? &pc->end[index] : NULL;
}

s64 hc_channel_info(struct vcpu *v)
{
	const struct channel_end *e = end_of(v, v->regs[GPR_RBX]);
	if (!e) {
		return HC_ENOENT;
	}
	const struct channel_config *cfg = e->channel->cfg;
	struct bulkhead_channel info = {
		.memory = e->dev.pci.bar[2].fixed,
		.size = size_of(e->channel),
		.registers = VPCI_MMIO_BASE + e->index * PAGE_SIZE,
		.rights = BULKHEAD_CHANNEL_READ | (e->dev.can_write ? BULKHEAD_CHANNEL_WRITE : 0),
		.position = e->dev.position,
		.members = channel_nr_members(cfg),
		.pin = CHANNEL_PIN0 + e->index,
	};
	memcpy(info.name, cfg->name, strlen(cfg->name));
	return gmem_write(&v->part->mem, GPA(v->regs[GPR_RCX]), &info, sizeof(info)) ? 0 : HC_EINVAL;
}

s64 hc_doorbell(struct vcpu *v)
{
	struct channel_end *e = end_of(v, v->regs[GPR_RBX]);
	u64 what = v->regs[GPR_RCX];
	if (!e) {
		return HC_ENOENT;
	}
	if (what > UINT32_MAX || (what & 0xffff) >= VIVSHMEM_VECTORS) {
		return HC_EINVAL;
	}
	return ring(e, (u32)(what >> 16), what & 0xffff) ? 0 : HC_ENOENT;
}
