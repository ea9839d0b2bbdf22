/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual PCI: bus 0 behind one host bridge, found by configuration mechanism #1 (0xcf8, 0xcfc) and
 * by ECAM. A function is data: configuration space, which bits of it software may change, and what
 * answers behind its BARs. Pure. PCI Local Bus 3.0; PCI Express Base 7.2.2 "ECAM".
 */
#ifndef BULKHEAD_VPCI_H
#define BULKHEAD_VPCI_H

#include "bus.h"

#define VPCI_ADDRESS_PORT 0xcf8 /* 4 bytes; 0xcf9 among them is the reset register */
#define VPCI_DATA_PORT	  0xcfc /* 4 bytes */
#define VPCI_ECAM_BASE	  0xe0000000ull
#define VPCI_ECAM_LEN	  MIB /* bus 0; the MCFG, the DSDT and guest_e820() agree */
#define VPCI_MMIO_BASE	  0xc0000000ull /* where memory BARs decode; the DSDT agrees */
#define VPCI_MMIO_LEN	  0x20000000ull

/* No vendor ID is set aside for private use. The PCI ID Repository has nobody at this one. */
#define VPCI_VENDOR	 0xb417
#define VPCI_HOST_BRIDGE 0x0001 /* device ID of 00:00.0 */

enum { VPCI_COMMAND = 0x04, VPCI_CLASS = 0x08, VPCI_BAR0 = 0x10, VPCI_SUBSYSTEM = 0x2c,
       VPCI_CAPABILITIES = 0x34, VPCI_STATUS = 0x06, VPCI_IRQ_LINE = 0x3c, VPCI_IRQ_PIN = 0x3d,
       VPCI_CONFIG_LEN = 256, VPCI_NR_BARS = 6 };
enum { VPCI_COMMAND_MEMORY = 0x0002, VPCI_COMMAND_MASTER = 0x0004, VPCI_COMMAND_INTX_OFF = 0x0400 };
enum { VPCI_STATUS_INTX = 0x0008, VPCI_STATUS_CAPABILITIES = 0x0010 };
enum { VPCI_BAR_64 = 0x04, VPCI_BAR_PREFETCH = 0x08 }; /* memory BARs only */

/**
 * struct vpci_function - one function on bus 0; the owner fills it, vpci_add() makes it visible
 * @devfn:     device << 3 | function
 * @config:    what reads give, little-endian
 * @writable:  bits that software may change; all else is read-only. A BAR's size is in these bits.
 * @bar:       len is a power of two, 0 = none. A 64-bit BAR takes two; the second's len is 0.
 *             fixed: where it always is (vpci_bar_fix()), 0 = where its register says
 * @written:   called after a write to [@offset, @offset + @width) of the configuration; may be NULL
 */
struct vpci_function {
	u8 devfn;
	u8 config[VPCI_CONFIG_LEN], writable[VPCI_CONFIG_LEN];
	struct {
		u64 len, fixed;
		const struct vdev_ops *ops;
		void *self;
	} bar[VPCI_NR_BARS];
	void (*written)(struct vpci_function *f, u32 offset, u32 width);
};

#define VPCI_MAX_FUNCTIONS 12
struct vpci {
	u32 address; /* as last written to VPCI_ADDRESS_PORT */
	struct vpci_function host_bridge;
	struct vpci_function *function[VPCI_MAX_FUNCTIONS];
	u32 nr;
	const struct vdev_ops *reset_ops; /* what sits at 0xcf9 */
	void *reset_self;
	const struct bus_stray *stray; /* told of accesses to the window where no BAR decodes; NULL = nobody asks */
};
/* self = struct vpci: the two ports, ECAM, and the window of the BARs */
extern const struct vdev_ops vpci_address_ops, vpci_data_ops, vpci_ecam_ops, vpci_mmio_ops;

/** vpci_init() - the host bridge alone. Byte accesses to 0xcf9 go to @reset_ops. */
void vpci_init(struct vpci *p, const struct vdev_ops *reset_ops, void *reset_self);

/** vpci_function_init() - @f with identity and a writable command register; no BARs yet. */
void vpci_function_init(struct vpci_function *f, u8 devfn, u16 device, u32 class_and_revision);

/** vpci_bar_init() - memory BAR @i of @len bytes (a power of two, 16 or more), with VPCI_BAR_*. */
void vpci_bar_init(struct vpci_function *f, u32 i, u64 len, u32 flags, const struct vdev_ops *ops,
		   void *self);

/** vpci_bar_place() - software before the guest has put BAR @i to @base. */
void vpci_bar_place(struct vpci_function *f, u32 i, u64 base);

/**
 * vpci_bar_fix() - BAR @i is at @base for good
 *
 * For memory that second-level tables map: it decodes there whatever command register and BAR hold.
 * Ones in all bits of the address show the size, as ever; any other value is @base again.
 */
void vpci_bar_fix(struct vpci_function *f, u32 i, u64 base);

/** vpci_add() - Boot time only. Return: STATUS_OVERLAP or STATUS_FULL, else STATUS_OK. */
enum status must_check vpci_add(struct vpci *p, struct vpci_function *f);

/** vpci_get(), vpci_set() - @width bytes of configuration space, as its owner, past @writable. */
u64 vpci_get(const struct vpci_function *f, u32 offset, u32 width);
void vpci_set(struct vpci_function *f, u32 offset, u32 width, u64 value);

/** vpci_bar_base() - where BAR @i is now. */
u64 vpci_bar_base(const struct vpci_function *f, u32 i);

#endif
