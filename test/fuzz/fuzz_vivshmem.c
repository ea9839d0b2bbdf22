// SPDX-License-Identifier: BSD-2-Clause
/*
 * An ivshmem function as an access script: registers, memory and configuration space with all widths, and
 * rings from outside. After each step memory and BAR 2 are where they were, and the line is what status,
 * mask and command register say.
 */
#include "devices/vivshmem.h"
#include "script.h"

#define REGS   VPCI_MMIO_BASE
#define MEMORY (VPCI_MMIO_BASE + 0x2000000)
#define CONFIG (VPCI_ECAM_BASE + (3 << 15))
#define LEN    0x1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vivshmem d;
static struct vpci p;
static u8 memory[LEN];

static void on_ring(void *ctx, u32 peer, u32 vector)
{
	CHECK(ctx == &d && peer <= 0xffff && vector <= 0xffff);
}

static void check(const struct script *s)
{
	bool is_pending = d.status & d.mask, is_off = vpci_get(&d.pci, VPCI_COMMAND, 2) & VPCI_COMMAND_INTX_OFF;
	CHECK(s->level == (is_pending && !is_off));
	CHECK(vpci_get(&d.pci, VPCI_STATUS, 2) == (is_pending ? 0x18 : 0x10));
	CHECK(vpci_get(&d.pci, 0, 4) == 0x11101af4 && d.position == 1);
	u64 bar = vpci_get(&d.pci, VPCI_BAR0 + 8, 8);
	CHECK((u32)bar == (MEMORY | 0xc) || (u32)bar == (~(LEN - 1u) | 0xc));
	CHECK(bar >> 32 == 0 || bar >> 32 == UINT32_MAX);
	u64 word;
	__builtin_memcpy(&word, memory, 8);
	CHECK(bus_read(&s->bus, MEMORY, 8) == word);
	CHECK(d.can_write || word == 0);
}

static void step(struct script *s)
{
	static const u64 base[] = { REGS, MEMORY, CONFIG, MEMORY + LEN - 8 };
	u32 op = script_byte(s), width = 1u << (op >> 2 & 3);
	u64 addr = base[op & 3] + script_byte(s), value = 0;
	switch (op >> 4 & 3) {
	case 0: (void)bus_read(&s->bus, addr, width); break;
	case 1:
		if (vivshmem_raise(&d, op >> 6 | (u32)(addr & 7) << 2)) {
			vivshmem_update(&d);
		}
		break;
	default:
		for (u32 i = 0; i < width; i++) {
			value |= (u64)script_byte(s) << (8 * i);
		}
		bus_write(&s->bus, addr, width, op & 0x40 ? ~0ull & width_mask(width) : value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { .at = data, .end = data + size };
	const struct vivshmem_place at = { "fuzz", 3 << 3, REGS, MEMORY, LEN };
	__builtin_memset(memory, 0, LEN);
	d = (struct vivshmem){ .position = 1, .memory = memory, .can_write = script_byte(&s) & 1,
			       .irq = script_irq(&s), .ring = on_ring, .ctx = &d };
	vivshmem_init(&d, &at);
	vpci_init(&p, NULL, NULL);
	CHECK(vpci_add(&p, &d.pci) == STATUS_OK);
	script_attach(&s, VPCI_MMIO_BASE, VPCI_MMIO_LEN, &vpci_mmio_ops, &p);
	script_attach(&s, VPCI_ECAM_BASE, VPCI_ECAM_LEN, &vpci_ecam_ops, &p);
	while (s.at < s.end) {
		step(&s);
		check(&s);
	}
	return 0;
}
