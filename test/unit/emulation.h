/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bench for the emulator: one vCPU in 64-bit code, 64 KiB of RAM with a device of two pages above, ports,
 * paging at a test's wish. Include after string.h and cmocka.h; what a test does not use is no error.
 */
#ifndef BULKHEAD_TEST_EMULATION_H
#define BULKHEAD_TEST_EMULATION_H

#include <stdlib.h>

#include "fake.h"
#include "kernel/emulate.h"
#include "x86/regs.h"

#define BUF_LEN	 0x2000
static u8 device[BUF_LEN]; /* the device's memory */
static u32 nr_reads, nr_writes, bytes_moved;
static u64 port_value, port_log[600];
static u32 nr_ports;
static struct bus mmio, ports;
static struct gmem mem;
static struct insn_cache insns;
static struct vcpu_ops ops; /* the fake's, but EFER.LMA stays as the test set it */
static struct vcpu vcpu = { .ops = &ops };

static maybe_unused u64 device_read(void *self, u64 offset, u32 width)
{
	u64 v = 0;
	(void)self;
	nr_reads++;
	bytes_moved += width;
	memcpy(&v, device + offset, width);
	return v | ~width_mask(width); /* upper bits are garbage */
}

static maybe_unused void device_write(void *self, u64 offset, u32 width, u64 value)
{
	(void)self;
	nr_writes++;
	bytes_moved += width;
	memcpy(device + offset, &value, width);
}
static const struct vdev_ops device_ops = { .read = device_read, .write = device_write };

static maybe_unused u64 port_read(void *self, u64 offset, u32 width)
{
	(void)self;
	(void)offset;
	(void)width;
	return port_value++;
}

static maybe_unused void port_write(void *self, u64 offset, u32 width, u64 value)
{
	(void)self;
	(void)offset;
	(void)width;
	port_log[nr_ports++ % ARRAY_SIZE(port_log)] = value;
}
static const struct vdev_ops port_ops = { .read = port_read, .write = port_write };

static u64 (*clock_of_emu)(void); /* NULL: as if there were no deadline */

static maybe_unused struct emu emu(void)
{
	return (struct emu){ .v = &vcpu, .mem = &mem, .mmio = &mmio, .ports = &ports, .insns = &insns,
			     .tsc = clock_of_emu };
}

/* 64-bit code, flat, paging off (which no CPU has, but address arithmetic does not care) */
static maybe_unused struct fake *long_mode(void)
{
	struct fake *f = fake_of(&vcpu);
	memset(f, 0, sizeof(*f));
	f->reg[VREG_CR0] = CR0_PE;
	f->reg[VREG_EFER] = EFER_LME | EFER_LMA;
	f->reg[VREG_RFLAGS] = RFLAGS_FIXED1;
	f->seg[SEG_CS] = (struct segment){ .attr = 0xa09b, .limit = ~0u };
	for (enum seg s = SEG_ES; s <= SEG_GS; s++) {
		if (s != SEG_CS) {
			f->seg[s] = (struct segment){ .attr = 0xc093, .limit = ~0u };
		}
	}
	return f;
}

static maybe_unused int setup(void **state)
{
	(void)state;
	ops = fake_ops;
	ops.set = fake_set_raw;
	struct bus_range all = { 0x100, 0x100, "ports", &port_ops, NULL, NULL };
	return bus_attach(&ports, &all) != STATUS_OK ||
	       vcpu.ops->vcpu_init(&vcpu, NULL) != STATUS_OK;
}

static maybe_unused int teardown(void **state)
{
	(void)state;
	free(vcpu.hw);
	return 0;
}

#define RAM 0x10000 /* 64 KiB from 0; above lies the device */
static u8 ram[RAM] __attribute__((aligned(4096)));

static maybe_unused struct fake *small_machine(void)
{
	mem = (struct gmem){ .ext = { { GPA(0), HPA((uintptr_t)ram), RAM } }, .nr = 1 };
	mmio.nr = 0;
	assert_int_equal(bus_attach(&mmio, &(struct bus_range){ RAM, BUF_LEN, "device",
								&device_ops, NULL, NULL }), STATUS_OK);
	memset(ram, 0, RAM);
	memset(vcpu.regs, 0, sizeof(vcpu.regs));
	for (u32 i = 0; i < BUF_LEN; i++) {
		device[i] = (u8)(i * 3 + 1);
	}
	nr_reads = nr_writes = bytes_moved = nr_ports = 0;
	port_value = 0x1122334455667788;
	struct fake *f = long_mode();
	f->reg[VREG_RIP] = 0x1000;
	return f;
}

/* What a CPU would say of the access: does the instruction write to the device? */
static maybe_unused bool writes(const struct insn *in)
{
	const u64 readers = BIT(OP_CMP) | BIT(OP_TEST) | BIT(OP_BT) | BIT(OP_LODS) | BIT(OP_SCAS) |
			    BIT(OP_CMPS) | BIT(OP_PUSH);
	if (in->op == OP_MOVS) {
		return vcpu.regs[GPR_RDI] - RAM < BUF_LEN;
	}
	return in->form != FORM_REG_RM && !(readers >> in->op & 1);
}

static bool no_shortcut; /* the exit says nothing that spares a walk */

static maybe_unused struct verdict run(const char *bytes, u32 n, u64 addr)
{
	struct emu e = emu();
	struct insn in;
	u64 cs = fake_of(&vcpu)->seg[SEG_CS].attr;
	bool is_long = cs & SEG_L && fake_of(&vcpu)->reg[VREG_EFER] & EFER_LMA;
	memcpy(ram + 0x1000, bytes, n);
	insn_decode((const u8 *)bytes, n, is_long ? MODE_64 : cs & SEG_DB ? MODE_32 : MODE_16, &in);
	return emulate_mmio(&e, &(struct exit_mmio){ .addr = GPA(addr), .is_write = writes(&in) != no_shortcut });
}
#define RUN(bytes, addr) run(bytes, sizeof(bytes) - 1, addr)

static maybe_unused u64 ram_u64(u64 at)
{
	u64 v;
	memcpy(&v, ram + at, 8);
	return v;
}

static maybe_unused void expect_kill(struct verdict d, const char *why)
{
	assert_int_equal(d.kind, V_KILL);
	assert_string_equal(d.why, why);
}

static maybe_unused void expect_ud(struct verdict d)
{
	assert_int_equal(d.kind, V_INJECT);
	assert_int_equal(d.event.vector, VEC_UD);
}

static maybe_unused void set_entry(u64 at, u64 entry)
{
	memcpy(ram + at, &entry, 8);
}

/* 4-level tables at 4000..7fff: the first 2 MiB one to one, by 4 KiB pages; the device's page at 11000 absent */
static maybe_unused void paged(struct fake *f)
{
	f->reg[VREG_CR0] |= CR0_PG | CR0_WP;
	f->reg[VREG_CR4] = CR4_PAE;
	f->reg[VREG_CR3] = 0x4000;
	set_entry(0x4000, 0x5007);
	set_entry(0x5000, 0x6007);
	set_entry(0x6000, 0x7007);
	for (u64 i = 0; i < 512; i++) {
		set_entry(0x7000 + 8 * i, i << 12 | (i == 0x11 ? 0 : 7));
	}
}

static maybe_unused void expect_fault(struct verdict d, u8 vector, u32 error, u64 cr2)
{
	assert_int_equal(d.kind, V_INJECT);
	assert_int_equal(d.event.vector, vector);
	assert_int_equal(d.event.error, error);
	if (vector == VEC_PF) {
		assert_int_equal(d.cr2, cr2);
	}
}

#endif
