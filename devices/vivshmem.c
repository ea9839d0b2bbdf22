// SPDX-License-Identifier: BSD-2-Clause
/*
 * ivshmem's registers and interrupt. The status is one atomic word: peers set bits from their CPUs, and
 * a read by the guest takes all of them; the line follows whenever the owner looks. Called through
 * the buses of the partition that owns this end, and by whoever rings.
 */
#include "vivshmem.h"
#include "lib/lib.h"

#define CLASS_RAM_REV1 0x05000001u
#define SUBSYSTEM      (0x1100u << 16 | VIVSHMEM_VENDOR) /* QEMU's, as its ivshmem has it */
#define CAP_VENDOR     0x09
#define NO_IRQ_LINE    0xff /* 6.2.4: unknown, or no connection */

bool vivshmem_raise(struct vivshmem *d, u32 n)
{
	u32 bit = 1u << n;

	return !(__atomic_fetch_or(&d->status, bit, __ATOMIC_ACQ_REL) & bit);
}

void vivshmem_update(struct vivshmem *d)
{
	struct vpci_function *f = &d->pci;
	bool is_pending = __atomic_load_n(&d->status, __ATOMIC_ACQUIRE) & d->mask;
	bool is_off = vpci_get(f, VPCI_COMMAND, 2) & VPCI_COMMAND_INTX_OFF;

	/* 6.2.3 "Interrupt Status": regardless of Interrupt Disable */
	vpci_set(f, VPCI_STATUS, 2, VPCI_STATUS_CAPABILITIES | (is_pending ? VPCI_STATUS_INTX : 0));
	irq_line_set(&d->irq, is_pending && !is_off);
}

static u32 read_register(struct vivshmem *d, u64 at)
{
	u32 value = 0;

	switch (at) {
	case VIVSHMEM_MASK: return d->mask;
	case VIVSHMEM_STATUS:
		value = __atomic_exchange_n(&d->status, 0, __ATOMIC_ACQ_REL);
		vivshmem_update(d);
		return value;
	case VIVSHMEM_POSITION: return d->position;
	default: return 0;
	}
}

/* Registers are dwords. Other accesses change and take nothing: reads are 0, writes are lost. */
static u64 register_read(void *self, u64 offset, u32 width)
{
	return width == 4 ? read_register(self, offset) : 0;
}

static void register_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vivshmem *d = self;

	if (width != 4) {
		return;
	}
	switch (offset) {
	case VIVSHMEM_MASK:
		d->mask = (u32)value;
		vivshmem_update(d);
		break;
	case VIVSHMEM_DOORBELL: d->ring(d->ctx, (u32)value >> 16, value & 0xffff); break;
	default: break; /* the spec has the status writable, and does not say what for */
	}
}

/* The same memory that the guest reaches without an exit, for what has to be emulated */
static u64 memory_read(void *self, u64 offset, u32 width)
{
	const struct vivshmem *d = self;
	const void *at = d->memory + offset;
	u64 value = 0;

	switch (width) { /* in one access: the other ends look at the same time */
	case 1: return *(const u8 *)at;
	case 2: __builtin_memcpy(&value, at, 2); break;
	case 4: __builtin_memcpy(&value, at, 4); break;
	default: __builtin_memcpy(&value, at, 8); break;
	}
	return value;
}

static void memory_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vivshmem *d = self;
	void *at = d->memory + offset;

	if (!d->can_write) {
		return;
	}
	switch (width) {
	case 1: *(u8 *)at = (u8)value; break;
	case 2: __builtin_memcpy(at, &value, 2); break;
	case 4: __builtin_memcpy(at, &value, 4); break;
	default: __builtin_memcpy(at, &value, 8); break;
	}
}

static const struct vdev_ops register_ops = { .read = register_read, .write = register_write };
static const struct vdev_ops memory_ops = { .read = memory_read, .write = memory_write };

static void config_written(struct vpci_function *f, u32 offset, u32 width)
{
	if (offset < VPCI_COMMAND + 2 && offset + width > VPCI_COMMAND) {
		vivshmem_update(container_of(f, struct vivshmem, pci));
	}
}

static void add_name(struct vpci_function *f, const char *name)
{
	const u8 head[VIVSHMEM_CAP_NAME] = { CAP_VENDOR, 0, VIVSHMEM_CAP_NAME + VIVSHMEM_NAME_LEN };

	vpci_set(f, VPCI_CAPABILITIES, 1, VIVSHMEM_CAP);
	memcpy(&f->config[VIVSHMEM_CAP], head, sizeof(head));
	memcpy(&f->config[VIVSHMEM_CAP + VIVSHMEM_CAP_NAME], name, strnlen(name, VIVSHMEM_NAME_LEN));
	vpci_set(f, VPCI_STATUS, 2, VPCI_STATUS_CAPABILITIES);
}

void vivshmem_init(struct vivshmem *d, const struct vivshmem_place *at)
{
	struct vpci_function *f = &d->pci;

	d->mask = 0;
	__atomic_store_n(&d->status, 0, __ATOMIC_RELEASE);
	vpci_function_init(f, at->devfn, VIVSHMEM_DEVICE, CLASS_RAM_REV1);
	vpci_set(f, 0, 4, (u32)VIVSHMEM_DEVICE << 16 | VIVSHMEM_VENDOR);
	vpci_set(f, VPCI_SUBSYSTEM, 4, SUBSYSTEM);
	vpci_set(f, VPCI_IRQ_LINE, 1, NO_IRQ_LINE);
	f->writable[VPCI_IRQ_LINE] = 0xff;
	vpci_set(f, VPCI_IRQ_PIN, 1, 1); /* INTA# */
	vpci_bar_init(f, 0, VIVSHMEM_BAR0_LEN, 0, &register_ops, d);
	vpci_bar_init(f, 2, at->len, VPCI_BAR_64 | VPCI_BAR_PREFETCH, &memory_ops, d);
	vpci_bar_place(f, 0, at->base);
	vpci_bar_fix(f, 2, at->memory);
	vpci_set(f, VPCI_COMMAND, 2, VPCI_COMMAND_MEMORY);
	add_name(f, at->name);
	f->written = config_written;
}
