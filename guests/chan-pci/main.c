/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A channel as a driver for ivshmem finds it: by PCI alone, with BARs in place, sized, an interrupt that a
 * doorbell to oneself raises, masked in three places; and its memory, which stays where it is.
 */
#include "lib/channel.h"
#include "lib/pci.h"

#define IVSHMEM 0x11101af4

static struct channel bell; /* what the driver makes of BAR 0 */

static void check_bars(int f)
{
	uint64_t base = PCI32(f, 0x18) & ~0xfull, end = base + 0x4000;
	CHECK(PCI32(f, 0x10) % 0x1000 == 0 && PCI32(f, 0x10) >= 0xc0000000, "BAR 0 %x", PCI32(f, 0x10));
	CHECK((PCI32(f, 0x18) & 0xf) == 0xc && PCI32(f, 0x1c) == 0, "BAR 2 %x %x", PCI32(f, 0x18), PCI32(f, 0x1c));
	CHECK(base >= 0xc0000000 && end <= 0xe0000000, "BAR 2 at %lx", base);
	PCI32(f, 0x18) = ~0u;
	CHECK(PCI32(f, 0x18) == 0xffffc00c, "size %x", PCI32(f, 0x18));
	PCI32(f, 0x18) = 0xd0000000; /* it is not moved */
	CHECK((PCI32(f, 0x18) & ~0xfu) == base, "moved to %x", PCI32(f, 0x18));
	PCI32(f, 0x1c) = ~0u;
	CHECK(PCI32(f, 0x1c) == ~0u, "upper size %x", PCI32(f, 0x1c));
	PCI32(f, 0x1c) = 0;
	uint32_t old = PCI32(f, 0x10);
	PCI32(f, 0x10) = ~0u;
	CHECK(PCI32(f, 0x10) == 0xffffff00, "size of BAR 0 %x", PCI32(f, 0x10));
	PCI32(f, 0x10) = 0xdff00000; /* this one moves */
	CHECK(*(volatile uint32_t *)0xdff00008ull == bell.info.position, "position %x",
	      *(volatile uint32_t *)0xdff00008ull);
	PCI32(f, 0x10) = old;
}

/* Rings itself and waits a while. Return: how many interrupts came. */
static unsigned rings(uint32_t vector)
{
	unsigned before = bell.nr_interrupts;
	bell.reg[CHANNEL_DOORBELL] = bell.reg[CHANNEL_POSITION] << 16 | vector;
	sti();
	for (unsigned i = 0; i < 1000 && bell.nr_interrupts == before; i++) {
		__asm__ volatile("pause");
		udelay(10);
	}
	cli();
	return bell.nr_interrupts - before;
}

static void check_interrupt(int f)
{
	CHECK(PCI8(f, 0x3d) == 1, "pin %x", PCI8(f, 0x3d));
	channel_listen(&bell, 0x60);
	bell.status = 0;
	CHECK(rings(0) == 1 && bell.status == 1, "status %x", bell.status);
	CHECK(rings(31) == 1 && bell.status == 0x80000001, "status %x", bell.status);
	CHECK(rings(32) == 0, "there is no vector 32");
	PCI16(f, 4) = 0x0406; /* INTx off */
	CHECK(rings(1) == 0, "an interrupt though INTx is off");
	CHECK(PCI16(f, 6) & 8, "interrupt status %x", PCI16(f, 6));
	PCI16(f, 4) = 0x0006;
	sti();
	cli();
	CHECK(bell.status == 0x80000003, "it comes when INTx is on again: %x", bell.status);
	CHECK(!(PCI16(f, 6) & 8), "interrupt status %x", PCI16(f, 6));
	bell.reg[CHANNEL_MASK] = 0;
	CHECK(rings(2) == 0, "an interrupt though all is masked");
	CHECK(bell.reg[CHANNEL_STATUS] == 4 && bell.reg[CHANNEL_STATUS] == 0, "a read takes it");
}

/* What the hypervisor has to emulate sees the same memory as the CPU */
static void check_memory(int f)
{
	volatile uint32_t *m = (volatile uint32_t *)(uint64_t)(PCI32(f, 0x18) & ~0xfu);
	uint8_t *registers = (uint8_t *)bell.reg, *to = registers + 0x80, *from = (uint8_t *)m;
	uint64_t n = 16;
	m[0] = 0x11111111;
	m[0x4000 / 4 - 1] = 0x22222222;
	PCI16(f, 4) = 0; /* without memory space it is there all the same */
	CHECK(m[0] == 0x11111111 && m[0x4000 / 4 - 1] == 0x22222222, "%x %x", m[0], m[0x4000 / 4 - 1]);
	PCI16(f, 4) = 6;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); /* to a device: lost there */
	CHECK(n == 0 && from == (uint8_t *)m + 16, "left %lu", n);
	n = 2;
	to = (uint8_t *)m;
	from = registers + CHANNEL_POSITION * 4;
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	CHECK(m[0] == bell.info.position && m[1] == 0, "%x %x", m[0], m[1]);
}

int main(const char *cmdline)
{
	(void)cmdline;
	int f = pci_find(IVSHMEM, 0);
	CHECK(f == 3 << 3 && pci_find(IVSHMEM, 1) == -1, "found %d", f);
	CHECK(PCI32(f, 8) == 0x05000001, "class and revision %x", PCI32(f, 8));
	CHECK(channel_open(&bell, "pair"), "no channel");
	CHECK((PCI32(f, 0x10) & ~0xfu) == bell.info.registers && (PCI32(f, 0x18) & ~0xfu) == bell.info.memory,
	      "PCI and the hypercall differ");
	CHECK(bell.reg[CHANNEL_POSITION] == bell.info.position, "position %x", bell.reg[CHANNEL_POSITION]);
	check_bars(f);
	check_interrupt(f);
	check_memory(f);
	return failures != 0;
}
