// SPDX-License-Identifier: BSD-2-Clause
/*
 * PCI as a chipset without devices has it: two doors to the configuration space, one host bridge,
 * and a window in which memory BARs decode. Where no function is there are ones (PCI Local Bus 3.0
 * 3.2.2.3.4 "Master-Abort"). Knows nothing of what a function does. Called through the buses.
 */
#include "vpci.h"
#include "lib/lib.h"

#define ADDRESS_ENABLE BIT(31)
#define ADDRESS_KEPT   0x80fffffcu /* 30:24 and 1:0 are reserved and read as 0 */

enum { CLASS_HOST_BRIDGE = 0x060000 };

u64 vpci_get(const struct vpci_function *f, u32 offset, u32 width)
{
	u64 value = 0;

	memcpy(&value, &f->config[offset], width);
	return value;
}

void vpci_set(struct vpci_function *f, u32 offset, u32 width, u64 value)
{
	memcpy(&f->config[offset], &value, width);
}

static void set_writable(struct vpci_function *f, u32 offset, u32 width, u64 mask)
{
	memcpy(&f->writable[offset], &mask, width);
}

void vpci_function_init(struct vpci_function *f, u8 devfn, u16 device, u32 class_and_revision)
{
	u32 id = (u32)device << 16 | VPCI_VENDOR;

	*f = (struct vpci_function){ .devfn = devfn };
	vpci_set(f, 0, 4, id);
	vpci_set(f, VPCI_CLASS, 4, class_and_revision);
	vpci_set(f, VPCI_SUBSYSTEM, 4, id);
	set_writable(f, VPCI_COMMAND, 2,
		     VPCI_COMMAND_MEMORY | VPCI_COMMAND_MASTER | VPCI_COMMAND_INTX_OFF);
}

/* 6.2.5.1 "Address Maps": software finds the size by writing ones, of which the low bits stay 0 */
void vpci_bar_init(struct vpci_function *f, u32 i, u64 len, u32 flags, const struct vdev_ops *ops,
		   void *self)
{
	u32 at = VPCI_BAR0 + 4 * i;

	f->bar[i].len = len;
	f->bar[i].ops = ops;
	f->bar[i].self = self;
	vpci_set(f, at, 4, flags);
	set_writable(f, at, (flags & VPCI_BAR_64) ? 8 : 4, ~(len - 1));
}

void vpci_bar_place(struct vpci_function *f, u32 i, u64 base)
{
	u32 at = VPCI_BAR0 + 4 * i, width = (f->config[at] & VPCI_BAR_64) ? 8 : 4;

	vpci_set(f, at, width, base | (vpci_get(f, at, width) & 15));
}

void vpci_bar_fix(struct vpci_function *f, u32 i, u64 base)
{
	f->bar[i].fixed = base;
	vpci_bar_place(f, i, base);
}

/* Each register of a fixed BAR holds its address, or the answer to a write of ones (6.2.5.1) */
static void keep_fixed_bar(struct vpci_function *f, u32 i)
{
	u32 at = VPCI_BAR0 + 4 * i, end = at + ((f->config[at] & VPCI_BAR_64) ? 8 : 4);

	for (u32 reg = at; reg < end; reg += 4) {
		u64 mask = 0, value = vpci_get(f, reg, 4);

		memcpy(&mask, &f->writable[reg], 4);
		if ((value & mask) != mask) {
			vpci_set(f, reg, 4, (value & ~mask) | (f->bar[i].fixed >> 8 * (reg - at) & mask));
		}
	}
}

u64 vpci_bar_base(const struct vpci_function *f, u32 i)
{
	u32 at = VPCI_BAR0 + 4 * i;

	return vpci_get(f, at, (f->config[at] & VPCI_BAR_64) ? 8 : 4) & ~15ull;
}

static struct vpci_function *find(const struct vpci *p, u32 bus_devfn)
{
	for (u32 i = 0; i < p->nr; i++) {
		if (p->function[i]->devfn == bus_devfn) {
			return p->function[i];
		}
	}
	return NULL;
}

enum status vpci_add(struct vpci *p, struct vpci_function *f)
{
	if (find(p, f->devfn)) {
		return STATUS_OVERLAP;
	}
	if (p->nr == VPCI_MAX_FUNCTIONS) {
		return STATUS_FULL;
	}
	p->function[p->nr++] = f;
	return STATUS_OK;
}

/* Beyond 256 bytes there is nothing, not even zeroes: no function has an extended space */
static u64 config_read(const struct vpci *p, u32 bus_devfn, u32 offset, u32 width)
{
	const struct vpci_function *f = find(p, bus_devfn);

	return f && offset + width <= VPCI_CONFIG_LEN ? vpci_get(f, offset, width) : ~0ull;
}

static void config_write(struct vpci *p, u32 bus_devfn, u32 offset, u32 width, u64 value)
{
	struct vpci_function *f = find(p, bus_devfn);
	u64 mask = 0;

	if (!f || offset + width > VPCI_CONFIG_LEN) {
		return;
	}
	memcpy(&mask, &f->writable[offset], width);
	vpci_set(f, offset, width, (vpci_get(f, offset, width) & ~mask) | (value & mask));
	for (u32 i = 0; i < VPCI_NR_BARS; i++) {
		if (f->bar[i].fixed) {
			keep_fixed_bar(f, i);
		}
	}
	if (f->written) {
		f->written(f, offset, width);
	}
}

/* 3.2.2.3.2: only a dword is for this register; the byte 0xcf9 within others is the reset register */
static u64 address_read(void *self, u64 offset, u32 width)
{
	struct vpci *p = self;
	u64 value = ~0ull;

	if (width == 4) {
		value = p->address;
	} else if (offset <= 1 && offset + width > 1) {
		u32 shift = 8 * (u32)(1 - offset);

		value = field_set(BITS(7, 0) << shift, value, p->reset_ops->read(p->reset_self, 0, 1));
	}
	return value;
}

static void address_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vpci *p = self;

	if (width == 4) {
		p->address = (u32)value & ADDRESS_KEPT;
	} else if (offset <= 1 && offset + width > 1) {
		p->reset_ops->write(p->reset_self, 0, 1, value >> (8 * (1 - offset)) & 0xff);
	}
}

static u64 data_read(void *self, u64 offset, u32 width)
{
	const struct vpci *p = self;
	bool is_enabled = p->address & ADDRESS_ENABLE;
	u32 at = (p->address & 0xfc) + (u32)offset;

	return is_enabled ? config_read(p, p->address >> 8 & 0xffff, at, width) : ~0ull;
}

static void data_write(void *self, u64 offset, u32 width, u64 value)
{
	struct vpci *p = self;

	if (p->address & ADDRESS_ENABLE) {
		config_write(p, p->address >> 8 & 0xffff, (p->address & 0xfc) + (u32)offset, width,
			     value);
	}
}

/* 4 KiB for each function */
static u64 ecam_read(void *self, u64 offset, u32 width)
{
	return config_read(self, (u32)(offset >> 12), offset & 0xfff, width);
}

static void ecam_write(void *self, u64 offset, u32 width, u64 value)
{
	config_write(self, (u32)(offset >> 12), offset & 0xfff, width, value);
}

/* Where BAR @i of @f decodes; 0 = nowhere */
static u64 decodes_at(const struct vpci_function *f, u32 i)
{
	bool is_on = f->bar[i].len && (f->config[VPCI_COMMAND] & VPCI_COMMAND_MEMORY);

	return f->bar[i].fixed ? f->bar[i].fixed : is_on ? vpci_bar_base(f, i) : 0;
}

/*
 * The BAR that holds all of an access at @addr, as a range of which ops is NULL if there is none. Fixed
 * ones go first, as they do in second-level tables, should the guest move another one on top.
 */
static struct bus_range find_bar(const struct vpci *p, u64 addr, u32 width)
{
	struct bus_range found = { 0 };

	for (u32 n = 0; n < p->nr * VPCI_NR_BARS; n++) {
		const struct vpci_function *f = p->function[n / VPCI_NR_BARS];
		u32 i = n % VPCI_NR_BARS;
		u64 at = addr - decodes_at(f, i);

		if (at < f->bar[i].len && width <= f->bar[i].len - at && (!found.ops || f->bar[i].fixed)) {
			found = (struct bus_range){ .base = at, .ops = f->bar[i].ops, .self = f->bar[i].self };
		}
	}
	return found;
}

static u64 mmio_read(void *self, u64 offset, u32 width)
{
	struct bus_range r = find_bar(self, VPCI_MMIO_BASE + offset, width);

	if (!r.ops) {
		bus_tell(((struct vpci *)self)->stray, VPCI_MMIO_BASE + offset, width, false);
		return ~0ull;
	}
	return r.ops->read(r.self, r.base, width);
}

static void mmio_write(void *self, u64 offset, u32 width, u64 value)
{
	struct bus_range r = find_bar(self, VPCI_MMIO_BASE + offset, width);

	if (r.ops) {
		r.ops->write(r.self, r.base, width, value);
	} else {
		bus_tell(((struct vpci *)self)->stray, VPCI_MMIO_BASE + offset, width, true);
	}
}

const struct vdev_ops vpci_address_ops = { .read = address_read, .write = address_write };
const struct vdev_ops vpci_data_ops = { .read = data_read, .write = data_write };
const struct vdev_ops vpci_ecam_ops = { .read = ecam_read, .write = ecam_write };
const struct vdev_ops vpci_mmio_ops = { .read = mmio_read, .write = mmio_write };

/* A host bridge always decodes memory and is always a master: its command register is fixed */
void vpci_init(struct vpci *p, const struct vdev_ops *reset_ops, void *reset_self)
{
	struct vpci_function *f = &p->host_bridge;

	*p = (struct vpci){ .reset_ops = reset_ops, .reset_self = reset_self, .nr = 1 };
	p->function[0] = f;
	vpci_function_init(f, 0, VPCI_HOST_BRIDGE, CLASS_HOST_BRIDGE << 8);
	vpci_set(f, VPCI_COMMAND, 2, VPCI_COMMAND_MEMORY | VPCI_COMMAND_MASTER);
	set_writable(f, VPCI_COMMAND, 2, 0);
}
