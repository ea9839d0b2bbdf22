// SPDX-License-Identifier: BSD-2-Clause
/* An ivshmem function against QEMU's docs/specs/ivshmem-spec.txt and PCI Local Bus 3.0 6.2.3 (INTx). */
#include "devices/vivshmem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "vdev.h"

#define REGS   0xc0000000ull
#define MEMORY 0xc2000000ull
#define LEN    0x4000

static struct vivshmem d;
static struct vpci p;
static struct bus mmio;
static struct bench b;
static u8 memory[LEN];
static u32 rung_peer, rung_vector, nr_rung;

static void on_ring(void *ctx, u32 peer, u32 vector)
{
	assert_ptr_equal(ctx, &b);
	rung_peer = peer;
	rung_vector = vector;
	nr_rung++;
}

static int setup(void **state maybe_unused)
{
	const struct vivshmem_place at = { "ring", 3 << 3, REGS, MEMORY, LEN };
	b = (struct bench){ 0 };
	nr_rung = 0;
	memset(memory, 0, LEN);
	d = (struct vivshmem){ .position = 5, .memory = memory, .can_write = true, .irq = bench_line(&b),
			       .ring = on_ring, .ctx = &b };
	vivshmem_init(&d, &at);
	vpci_init(&p, NULL, NULL);
	assert_int_equal(vpci_add(&p, &d.pci), STATUS_OK);
	mmio.nr = 0;
	struct bus_range r = { VPCI_MMIO_BASE, VPCI_MMIO_LEN, "", &vpci_mmio_ops, &p, NULL };
	assert_int_equal(bus_attach(&mmio, &r), STATUS_OK);
	r = (struct bus_range){ VPCI_ECAM_BASE, VPCI_ECAM_LEN, "", &vpci_ecam_ops, &p, NULL };
	assert_int_equal(bus_attach(&mmio, &r), STATUS_OK);
	return 0;
}

static u64 get(u64 addr, u32 width)
{
	return bus_read(&mmio, addr, width);
}

static void set(u64 addr, u32 width, u64 v)
{
	bus_write(&mmio, addr, width, v);
}

#define CONFIG(reg) (VPCI_ECAM_BASE + (3ull << 15) + (reg))

static void raise(u32 n, bool is_news)
{
	assert_int_equal(vivshmem_raise(&d, n), is_news);
	vivshmem_update(&d);
}

static void identity(void **state maybe_unused)
{
	assert_int_equal(get(CONFIG(0), 4), 0x11101af4);
	assert_int_equal(get(CONFIG(8), 4), 0x05000001); /* RAM; revision 1: this layout of registers */
	assert_int_equal(get(CONFIG(0x2c), 4), 0x11001af4);
	assert_int_equal(get(CONFIG(0x3d), 1), 1); /* INTA# */
	assert_int_equal(get(CONFIG(0x10), 4), REGS);
	assert_int_equal(get(CONFIG(0x14), 4), 0); /* no MSI-X */
	assert_true(get(CONFIG(0x18), 8) == (MEMORY | 0xc));
	assert_int_equal(get(CONFIG(4), 2), 2);
	set(CONFIG(0x10), 4, ~0u);
	assert_int_equal(get(CONFIG(0x10), 4), 0xffffff00);
	set(CONFIG(0x18), 8, ~0ull);
	assert_true(get(CONFIG(0x18), 8) == (0xffffffffffffc000 | 0xc));
	assert_int_equal(get(CONFIG(0x34), 1), 0x40);
	assert_int_equal(get(CONFIG(0x40), 4), 0x72230009); /* vendor-specific, the last, 35 bytes, "r" */
	assert_int_equal(get(CONFIG(0x44), 4), 0x00676e69);
	set(CONFIG(0x3c), 1, 11); /* software's own */
	assert_int_equal(get(CONFIG(0x3c), 4), 0x010b);
}

static void registers(void **state maybe_unused)
{
	assert_int_equal(get(REGS + 0, 4), 0);
	assert_int_equal(get(REGS + 8, 4), 5);
	assert_int_equal(get(REGS + 12, 4), 0);
	set(REGS + 8, 4, 9);
	assert_int_equal(get(REGS + 8, 4), 5);
	set(REGS + 0, 4, 0x12345678);
	assert_int_equal(get(REGS + 0, 4), 0x12345678);
	set(REGS + 12, 4, 0x0003001f);
	assert_int_equal(nr_rung, 1);
	assert_int_equal(rung_peer, 3);
	assert_int_equal(rung_vector, 31);
	set(REGS + 12, 4, 0xffffffff);
	assert_int_equal(rung_peer, 0xffff);
	assert_int_equal(rung_vector, 0xffff);
}

static void interrupt(void **state maybe_unused)
{
	raise(0, true);
	assert_false(b.level); /* masked */
	assert_int_equal(get(CONFIG(6), 2), 0x10);
	set(REGS + 0, 4, 1);
	assert_true(b.level);
	assert_int_equal(get(CONFIG(6), 2), 0x18);
	set(CONFIG(4), 2, 0x402); /* INTx off: the status bit stays */
	assert_false(b.level);
	assert_int_equal(get(CONFIG(6), 2), 0x18);
	set(CONFIG(4), 2, 0x002);
	assert_true(b.level);
	assert_int_equal(get(REGS + 4, 4), 1); /* a read takes it */
	assert_false(b.level);
	assert_int_equal(get(CONFIG(6), 2), 0x10);
	assert_int_equal(get(REGS + 4, 4), 0);
}

/* However often it is rung: one rise, one piece of news, until it has been read */
static void flood(void **state maybe_unused)
{
	set(REGS + 0, 4, ~0u);
	for (u32 i = 0; i < 1000; i++) {
		raise(3, i == 0);
	}
	raise(31, true);
	assert_int_equal(b.rises, 1);
	assert_int_equal(get(REGS + 4, 4), 0x80000008);
	raise(3, true);
	assert_int_equal(b.rises, 2);
	set(REGS + 4, 4, 0); /* writing is nothing */
	assert_true(b.level);
	assert_int_equal(get(REGS + 4, 4), 8);
}

static bool is_register(u64 offset, u32 width)
{
	return width == 4 && offset % 4 == 0 && offset < 16;
}

/* Any offset and width: only whole registers do something */
static void all_widths(void **state maybe_unused)
{
	set(REGS + 0, 4, ~0u);
	raise(1, true);
	for (u64 at = 0; at < VIVSHMEM_BAR0_LEN; at++) {
		for (u32 width = 1; width <= 8; width *= 2) {
			if (!is_register(at, width) && at + width <= VIVSHMEM_BAR0_LEN) {
				assert_true(get(REGS + at, width) == 0);
				set(REGS + at, width, 0x00010001);
			}
		}
	}
	assert_int_equal(nr_rung, 0);
	assert_int_equal(get(REGS + 0, 4), ~0u);
	assert_int_equal(get(REGS + 4, 4), 2);
}

static void emulated_memory(void **state maybe_unused)
{
	set(MEMORY, 8, 0x1122334455667788);
	set(MEMORY + LEN - 1, 1, 0x99);
	assert_int_equal(memory[0], 0x88);
	assert_int_equal(memory[LEN - 1], 0x99);
	assert_int_equal(get(MEMORY + 1, 2), 0x6677);
	assert_int_equal(get(MEMORY + 4, 4), 0x11223344);
	assert_int_equal(get(MEMORY + LEN - 1, 1), 0x99);
	d.can_write = false;
	for (u32 width = 1; width <= 8; width *= 2) {
		set(MEMORY, width, 0);
	}
	assert_true(get(MEMORY, 8) == 0x1122334455667788);
	set(CONFIG(4), 2, 0); /* memory space off: the second level maps it still, so both agree */
	assert_int_equal(get(MEMORY, 4), 0x55667788);
	assert_int_equal(get(REGS + 8, 4), 0xffffffff);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup(fn, setup)
	const struct CMUnitTest tests[] = {
		T(identity), T(registers), T(interrupt), T(flood), T(all_widths), T(emulated_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
