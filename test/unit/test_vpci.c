// SPDX-License-Identifier: BSD-2-Clause
/* Virtual PCI against PCI Local Bus 3.0 and the ECAM of PCI Express, through real buses. */
#include "devices/vpci.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "devices/vacpi.h"

static struct vpci p;
static struct vacpi a;
static struct bus ports, mmio;
static u32 nr_resets;

static void notify(void *ctx maybe_unused, enum vacpi_event e maybe_unused,
		   const char *how maybe_unused)
{
	nr_resets++;
}

static u64 now(void *ctx maybe_unused)
{
	return 0;
}

static void line(void *ctx maybe_unused, u32 n maybe_unused, bool level maybe_unused)
{
}

static void attach(struct bus *b, u64 base, u64 len, const struct vdev_ops *ops)
{
	struct bus_range r = { .base = base, .len = len, .ops = ops, .self = &p };
	assert_int_equal(bus_attach(b, &r), STATUS_OK);
}

static int setup(void **state maybe_unused)
{
	static const struct vclock clk = { .now_ns = now };
	nr_resets = 0;
	ports.nr = mmio.nr = 0;
	a.notify = notify;
	vacpi_init(&a, &clk, (struct irq_line){ .set = line });
	vpci_init(&p, &vacpi_cf9_ops, &a);
	attach(&ports, VPCI_ADDRESS_PORT, 4, &vpci_address_ops);
	attach(&ports, VPCI_DATA_PORT, 4, &vpci_data_ops);
	attach(&mmio, VPCI_ECAM_BASE, VPCI_ECAM_LEN, &vpci_ecam_ops);
	attach(&mmio, VPCI_MMIO_BASE, VPCI_MMIO_LEN, &vpci_mmio_ops);
	return 0;
}

static u64 in(u64 port, u32 width)
{
	return bus_read(&ports, port, width);
}

static void out(u64 port, u32 width, u64 v)
{
	bus_write(&ports, port, width, v);
}

/* Register @reg of @bdf (bus << 8 | device << 3 | function) by mechanism #1 */
static u64 get(u32 bdf, u32 reg, u32 width)
{
	out(0xcf8, 4, 0x80000000 | bdf << 8 | (reg & 0xfc));
	return in(0xcfc + (reg & 3), width);
}

static void set(u32 bdf, u32 reg, u32 width, u64 v)
{
	out(0xcf8, 4, 0x80000000 | bdf << 8 | (reg & 0xfc));
	out(0xcfc + (reg & 3), width, v);
}

static u64 ecam(u32 bdf, u32 reg, u32 width)
{
	return bus_read(&mmio, VPCI_ECAM_BASE + ((u64)bdf << 12) + reg, width);
}

/* 6.1, 6.2: what every function must say of itself */
static void host_bridge(void **state maybe_unused)
{
	assert_int_equal(get(0, 0x00, 4), 0x0001b417);
	assert_int_equal(get(0, 0x04, 2), 0x0006); /* decodes memory, is a master */
	assert_int_equal(get(0, 0x06, 2), 0);	   /* no capabilities, no errors */
	assert_int_equal(get(0, 0x08, 4), 0x06000000);
	assert_int_equal(get(0, 0x0e, 1), 0); /* header 0, one function */
	for (u32 i = 0; i < 6; i++) {
		assert_int_equal(get(0, 0x10 + 4 * i, 4), 0);
	}
	assert_int_equal(get(0, 0x2c, 4), 0x0001b417);
	assert_int_equal(get(0, 0x34, 1), 0);
	assert_int_equal(get(0, 0x3c, 4), 0); /* no interrupt pin */
	for (u32 reg = 0; reg < 256; reg += 4) { /* and nothing of it can be changed */
		u64 before = get(0, reg, 4);
		set(0, reg, 4, 0xffffffff);
		assert_int_equal(get(0, reg, 4), before);
		set(0, reg, 4, 0);
		assert_int_equal(get(0, reg, 4), before);
	}
}

/* 3.2.2.3.2 "Software Generation of Configuration Transactions" */
static void address_register(void **state maybe_unused)
{
	assert_int_equal(in(0xcf8, 4), 0);
	out(0xcf8, 4, 0xffffffff);
	assert_int_equal(in(0xcf8, 4), 0x80fffffc);
	out(0xcf8, 4, 0x80000000);
	for (u32 i = 0; i < 4; i++) { /* bytes and words are not for it */
		if (i != 1) {
			assert_int_equal(in(0xcf8 + i, 1), 0xff);
			out(0xcf8 + i, 1, 0x08);
		}
	}
	out(0xcf8 + 2, 2, 0x1234);
	assert_int_equal(in(0xcf8 + 2, 2), 0xffff);
	assert_int_equal(in(0xcf8, 4), 0x80000000);
	assert_int_equal(in(0xcfc, 4), 0x0001b417);
	assert_int_equal(in(0xcfc, 2), 0xb417); /* the data register takes any width */
	assert_int_equal(in(0xcfe, 2), 0x0001);
	assert_int_equal(in(0xcfd, 1), 0xb4);
	assert_int_equal(in(0xcfe, 4), 0xffff0001); /* beyond its end is nobody */
	out(0xcf8, 4, 0); /* disabled: no configuration cycle */
	assert_int_equal(in(0xcfc, 4), 0xffffffff);
	out(0xcfc, 4, 0);
}

/* As Linux looks for mechanism #1, and for #2, which must not be found */
static void probes(void **state maybe_unused)
{
	out(0xcfb, 1, 1);
	u64 old = in(0xcf8, 4);
	out(0xcf8, 4, 0x80000000);
	assert_int_equal(in(0xcf8, 4), 0x80000000);
	out(0xcf8, 4, old);
	out(0xcfb, 1, 0);
	out(0xcf8, 1, 0);
	out(0xcfa, 1, 0);
	assert_false(in(0xcf8, 1) == 0 && in(0xcfa, 1) == 0);
	assert_int_equal(nr_resets, 0);
}

static void reset_register_within(void **state maybe_unused)
{
	out(0xcf9, 1, 0x02);
	assert_int_equal(in(0xcf9, 1), 0x02);
	assert_int_equal(in(0xcf8, 2), 0x02ff); /* as the second byte of a word, and as the first */
	assert_int_equal(in(0xcf9, 2), 0xff02);
	assert_int_equal(in(0xcf8, 4), 0);
	out(0xcf8, 4, 0x80000e00); /* its second byte is no reset */
	assert_int_equal(nr_resets, 0);
	assert_int_equal(in(0xcf9, 1), 0x02);
	out(0xcf8, 2, 0x0800);
	assert_int_equal(in(0xcf9, 1), 0x08);
	out(0xcf9, 1, 0x06);
	assert_int_equal(nr_resets, 1);
	out(0xcf9, 2, 0x0004);
	assert_int_equal(nr_resets, 2);
	out(0xcf8, 4, 0x80000000);
	out(0xcf9, 4, 0x04); /* misaligned: bytes */
	assert_int_equal(nr_resets, 3);
	assert_int_equal(in(0xcf8, 4), 0x80000000);
	assert_int_equal(in(0xcfa, 1), 0xff);
}

/* 3.2.2.3.4: who does not exist reads as ones */
static void nobody_else(void **state maybe_unused)
{
	for (u32 bdf = 1; bdf < 0x10000; bdf++) {
		assert_int_equal(get(bdf, 0, 4), 0xffffffff);
	}
	set(0x0100, 4, 2, 0);
	for (u32 bdf = 1; bdf < 256; bdf++) {
		assert_int_equal(ecam(bdf, 0, 4), 0xffffffff);
	}
	assert_int_equal(bus_read(&mmio, VPCI_MMIO_BASE, 4), 0xffffffff);
	bus_write(&mmio, VPCI_MMIO_BASE, 4, 0);
}

/* The same registers; beyond the 256 bytes of conventional PCI nothing */
static void by_ecam(void **state maybe_unused)
{
	for (u32 reg = 0; reg < 256; reg++) {
		assert_int_equal(ecam(0, reg, 1), get(0, reg, 1));
		assert_int_equal(ecam(0, reg & ~3u, 4), get(0, reg & ~3u, 4));
	}
	assert_true(ecam(0, 0, 8) == 0x000000060001b417);
	assert_int_equal(ecam(0, 0x100, 4), 0xffffffff);
	assert_int_equal(ecam(0, 0xffc, 4), 0xffffffff);
	assert_int_equal(ecam(0, 0xfe, 4), 0xffffffff); /* across the end */
	bus_write(&mmio, VPCI_ECAM_BASE + 0xfe, 4, 0);
	bus_write(&mmio, VPCI_ECAM_BASE + 0x100, 4, 0);
	assert_int_equal(ecam(0, 0xfc, 4), 0);
}

/* A function of a later day: BAR 0 of 4 KiB, BAR 2 of 1 MiB with 64 bits, both backed by a byte */
static struct vpci_function f;
static u32 written_at, nr_written;
static u64 mem[2];

static u64 mem_read(void *self, u64 offset, u32 width maybe_unused)
{
	return *(u64 *)self + offset;
}

static void mem_write(void *self, u64 offset maybe_unused, u32 width maybe_unused, u64 value)
{
	*(u64 *)self = value;
}

static const struct vdev_ops mem_ops = { .read = mem_read, .write = mem_write };

static void on_written(struct vpci_function *self, u32 offset, u32 width maybe_unused)
{
	assert_ptr_equal(self, &f);
	written_at = offset;
	nr_written++;
}

static void plug(void)
{
	nr_written = 0;
	vpci_function_init(&f, 3 << 3 | 1, 0x1234, 0xff000001);
	vpci_bar_init(&f, 0, PAGE_SIZE, 0, &mem_ops, &mem[0]);
	vpci_bar_init(&f, 2, MIB, VPCI_BAR_64 | VPCI_BAR_PREFETCH, &mem_ops, &mem[1]);
	f.written = on_written;
	assert_int_equal(vpci_add(&p, &f), STATUS_OK);
}

static void another_function(void **state maybe_unused)
{
	plug();
	assert_int_equal(vpci_add(&p, &f), STATUS_OVERLAP);
	assert_int_equal(get(0x19, 0, 4), 0x1234b417);
	assert_int_equal(ecam(0x19, 8, 4), 0xff000001);
	assert_int_equal(get(0x18, 0, 4), 0xffffffff);
	set(0x19, 4, 4, 0xffffffff);
	assert_int_equal(get(0x19, 4, 4), 0x0406); /* memory, master, INTx off; status read-only */
	set(0x19, 5, 1, 0);
	assert_int_equal(get(0x19, 4, 2), 0x0006);
	assert_int_equal(written_at, 5);
	assert_int_equal(nr_written, 2);
	bus_write(&mmio, VPCI_ECAM_BASE + 0x19004, 2, 0x0402);
	assert_int_equal(get(0x19, 4, 2), 0x0402);
	static struct vpci_function more[VPCI_MAX_FUNCTIONS];
	for (u8 i = 0; i < VPCI_MAX_FUNCTIONS; i++) {
		vpci_function_init(&more[i], 0x80 + i, i, 0);
		assert_int_equal(vpci_add(&p, &more[i]), i < VPCI_MAX_FUNCTIONS - 2 ? STATUS_OK : STATUS_FULL);
	}
}

/* 6.2.5.1: ones are written, the size is read; 64-bit BARs are two registers */
static void bar_sizes(void **state maybe_unused)
{
	plug();
	assert_int_equal(get(0x19, 0x10, 4), 0);
	assert_int_equal(get(0x19, 0x18, 4), 0x0c);
	for (u32 reg = 0x10; reg < 0x28; reg += 4) {
		set(0x19, reg, 4, 0xffffffff);
	}
	assert_int_equal(get(0x19, 0x10, 4), 0xfffff000);
	assert_int_equal(get(0x19, 0x14, 4), 0);
	assert_int_equal(get(0x19, 0x18, 4), 0xfff0000c);
	assert_int_equal(get(0x19, 0x1c, 4), 0xffffffff);
	assert_int_equal(get(0x19, 0x20, 4), 0);
	assert_int_equal(get(0x19, 0x24, 4), 0);
	set(0x19, 0x10, 4, 0xc0012345);
	assert_int_equal(get(0x19, 0x10, 4), 0xc0012000);
	assert_true(vpci_bar_base(&f, 0) == 0xc0012000);
	set(0x19, 0x18, 4, 0xd0000000);
	set(0x19, 0x1c, 4, 1);
	assert_true(vpci_bar_base(&f, 2) == 0x1d0000000);
}

static u64 rd(u64 addr, u32 width)
{
	return bus_read(&mmio, addr, width);
}

static void bar_decode(void **state maybe_unused)
{
	mem[0] = 0x10000;
	mem[1] = 0x20000000;
	plug();
	set(0x19, 0x10, 4, 0xc0003000);
	set(0x19, 0x18, 4, 0xdff00000);
	assert_int_equal(rd(0xc0003000, 4), 0xffffffff); /* memory space is off */
	set(0x19, 4, 2, 2);
	assert_int_equal(rd(0xc0003000, 4), 0x10000);
	assert_int_equal(rd(0xc0003ffc, 4), 0x10ffc);
	assert_int_equal(rd(0xc0003ffe, 4), 0xffffffff); /* across its end */
	assert_int_equal(rd(0xc0002fff, 1), 0xff);
	assert_int_equal(rd(0xc0004000, 4), 0xffffffff);
	assert_int_equal(rd(0xdff00000, 4), 0x20000000);
	assert_int_equal(rd(0xdffffffc, 4), 0x200ffffc);
	bus_write(&mmio, 0xc0003010, 4, 7);
	assert_int_equal(mem[0], 7);
	bus_write(&mmio, 0xdff00000, 8, 0x123456789);
	assert_true(mem[1] == 0x123456789);
	set(0x19, 0x1c, 4, 1); /* above 4 GiB no window is */
	assert_int_equal(rd(0xdff00000, 4), 0xffffffff);
	set(0x19, 0x10, 4, 0xc1000000); /* it moves */
	assert_int_equal(rd(0xc0003000, 4), 0xffffffff);
	assert_int_equal(rd(0xc1000000, 4), 7);
	set(0x19, 4, 2, 0);
	bus_write(&mmio, 0xc1000000, 4, 8);
	assert_int_equal(mem[0], 7);
}

/* Memory behind second-level tables does not move: not by its BAR, not by the command register */
static void bar_fixed(void **state maybe_unused)
{
	mem[1] = 0x20000000;
	plug();
	vpci_bar_fix(&f, 2, 0xc4000000);
	assert_int_equal(get(0x19, 0x18, 4), 0xc400000c);
	assert_int_equal(rd(0xc4000000, 4), 0x20000000); /* memory space is off */
	set(0x19, 0x18, 4, 0xffffffff);
	assert_int_equal(get(0x19, 0x18, 4), 0xfff0000c);
	assert_int_equal(rd(0xc4000004, 4), 0x20000004); /* even now */
	set(0x19, 0x1c, 4, 0xffffffff);
	assert_int_equal(get(0x19, 0x1c, 4), 0xffffffff);
	set(0x19, 0x18, 4, 0xd0000000);
	assert_int_equal(get(0x19, 0x18, 4), 0xc400000c);
	assert_int_equal(get(0x19, 0x1c, 4), 0xffffffff); /* each register for itself */
	set(0x19, 0x1c, 4, 1);
	assert_int_equal(get(0x19, 0x1c, 4), 0);
	set(0x19, 0x1b, 1, 0x12); /* bytes that are not all ones change nothing either */
	assert_true(vpci_bar_base(&f, 2) == 0xc4000000);
	assert_int_equal(rd(0xd0000000, 4), 0xffffffff);
	set(0x19, 0x10, 4, 0xc0003000); /* the other BAR moves as ever */
	set(0x19, 4, 2, 2);
	assert_true(vpci_bar_base(&f, 0) == 0xc0003000);
	assert_int_equal(rd(0xc4000000, 4), 0x20000000);
	mem[0] = 0x10000;
	set(0x19, 0x10, 4, 0xc4000000); /* on top of it: beneath */
	assert_int_equal(rd(0xc4000004, 4), 0x20000004);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup(fn, setup)
	const struct CMUnitTest tests[] = {
		T(host_bridge), T(address_register), T(probes), T(reset_register_within), T(nobody_else),
		T(by_ecam), T(another_function), T(bar_sizes), T(bar_decode), T(bar_fixed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
