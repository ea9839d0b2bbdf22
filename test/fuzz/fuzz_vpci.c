// SPDX-License-Identifier: BSD-2-Clause
/*
 * Access scripts for PCI: both doors show the same bytes, read-only bits never change, a BAR answers
 * exactly where its register says, and only the byte 0xcf9 reaches the reset register.
 */
#include "devices/vpci.h"
#include <string.h>
#include "script.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u64 nr_resets;

static u64 reset_read(void *self maybe_unused, u64 offset, u32 width)
{
	CHECK(!offset && width == 1);
	return 0x5a;
}

static void reset_write(void *self maybe_unused, u64 offset, u32 width, u64 value)
{
	CHECK(!offset && width == 1 && value < 256);
	nr_resets++;
}

#define BAR_LEN 64
static u64 bar_read(void *self maybe_unused, u64 offset, u32 width)
{
	CHECK(offset + width <= BAR_LEN);
	return 0x1111111111111111 * (offset & 15);
}

static void bar_write(void *self maybe_unused, u64 offset, u32 width, u64 value)
{
	CHECK(offset + width <= BAR_LEN && !(value & ~width_mask(width)));
}

static const struct vdev_ops reset_ops = { .read = reset_read, .write = reset_write };
static const struct vdev_ops bar_ops = { .read = bar_read, .write = bar_write };

static void check(struct script *s, struct vpci *p, const struct vpci_function *born)
{
	const struct vpci_function *f = p->function[1];
	u8 reg = script_byte(s);
	u64 resets = nr_resets;

	for (u32 i = 0; i < VPCI_CONFIG_LEN; i++) {
		CHECK(!((f->config[i] ^ born->config[i]) & ~born->writable[i]));
		CHECK(f->writable[i] == born->writable[i] && !p->host_bridge.writable[i]);
	}
	for (u32 i = 0; i < p->nr; i++) {
		u32 devfn = p->function[i]->devfn;

		bus_write(&s->bus, 0xcf8, 4, BIT(31) | devfn << 8 | (reg & 0xfcu));
		CHECK(bus_read(&s->bus, 0xcfc + (reg & 3u), 1) ==
		      bus_read(&s->bus, VPCI_ECAM_BASE + (devfn << 12) + reg, 1));
	}
	CHECK(resets == nr_resets);
	u64 base = vpci_bar_base(f, 1), in_window = base - VPCI_MMIO_BASE;
	if (in_window < VPCI_MMIO_LEN) {
		bool is_on = f->config[VPCI_COMMAND] & VPCI_COMMAND_MEMORY;

		CHECK(bus_read(&s->bus, base + BAR_LEN - 1, 1) == 0xff);
		CHECK(bus_read(&s->bus, base + BAR_LEN - 2, 1) == (is_on ? 0xee : 0xff));
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct script s = { .at = data, .end = data + size };
	struct vpci p;
	struct vpci_function f, born;

	vpci_init(&p, &reset_ops, NULL);
	vpci_function_init(&f, script_byte(&s) | 1, 2, 0x02000000);
	vpci_bar_init(&f, 1, BAR_LEN, (script_byte(&s) & 1) * VPCI_BAR_64, &bar_ops, NULL);
	born = f;
	CHECK(vpci_add(&p, &f) == STATUS_OK);
	script_attach(&s, VPCI_ADDRESS_PORT, 4, &vpci_address_ops, &p);
	script_attach(&s, VPCI_DATA_PORT, 4, &vpci_data_ops, &p);
	script_attach(&s, VPCI_ECAM_BASE, VPCI_ECAM_LEN, &vpci_ecam_ops, &p);
	script_attach(&s, VPCI_MMIO_BASE, VPCI_MMIO_LEN, &vpci_mmio_ops, &p);
	while (s.at < s.end) {
		u8 op = script_byte(&s);

		switch (op >> 6) {
		case 0: script_access(&s, op, VPCI_MMIO_BASE + script_byte(&s), 8); break;
		case 1: script_access(&s, op, VPCI_ECAM_BASE + (f.devfn << 12) + script_byte(&s), 8); break;
		case 2: script_access(&s, op, 0xcf8, 8); break;
		default: /* a whole access by mechanism #1: chance seldom finds the function */
			bus_write(&s.bus, 0xcf8, 4, BIT(31) | f.devfn << 8 | (script_byte(&s) & 0xfcu));
			script_access(&s, op, 0xcfc, 4);
			break;
		}
		check(&s, &p, &born);
	}
	return 0;
}
