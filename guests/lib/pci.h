/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI configuration space of bus 0, by ECAM. */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include <stdint.h>

#define ECAM 0xe0000000ull

#define PCI_CONFIG(type, devfn, reg) (*(volatile type *)(ECAM + ((uint64_t)(devfn) << 12) + (reg)))
#define PCI8(devfn, reg)  PCI_CONFIG(uint8_t, devfn, reg)
#define PCI16(devfn, reg) PCI_CONFIG(uint16_t, devfn, reg)
#define PCI32(devfn, reg) PCI_CONFIG(uint32_t, devfn, reg)

/** pci_find() - the @n-th function of bus 0 with this device << 16 | vendor, from 0. Return: devfn or -1. */
static inline int pci_find(uint32_t id, unsigned n)
{
	for (int devfn = 0; devfn < 256; devfn++) {
		if (PCI32(devfn, 0) == id && n-- == 0) {
			return devfn;
		}
	}
	return -1;
}

#endif
