/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI as a kernel finds it: mechanism #1, a scan of bus 0, the host bridge, and ECAM where the MCFG
 * says it is. Hosted by Bulkhead there is the bridge and nothing else.
 */
#include "lib/guest.h"

static uint32_t read1(unsigned devfn, unsigned reg)
{
	outl(0xcf8, 0x80000000 | devfn << 8 | reg);
	return inl(0xcfc);
}

static void address(void)
{
	uint8_t reset = inb(0xcf9);
	outl(0xcf8, 0x80000000);
	CHECK(inl(0xcf8) == 0x80000000, "%x", inl(0xcf8));
	outb(0xcfb, 0);
	outb(0xcf8, 0x08);
	CHECK(inl(0xcf8) == 0x80000000, "bytes are not for it: %x", inl(0xcf8));
	uint32_t id = inl(0xcfc);
	CHECK(id != 0xffffffff, "no function 00:00.0");
	CHECK(inw(0xcfc) == (id & 0xffff) && inw(0xcfe) == id >> 16 && inb(0xcff) == id >> 24, "narrow reads");
	outl(0xcf8, 0);
	CHECK(inl(0xcfc) == 0xffffffff, "disabled: %x", inl(0xcfc));
	outl(0xcf8, 0x80000600); /* 0xcf9 within a dword is no reset */
	CHECK(inb(0xcf9) == reset, "reset register %x, was %x", inb(0xcf9), reset);
	outl(0xcf8, 0x80ff0000);
	CHECK(inl(0xcfc) == 0xffffffff, "bus 255: %x", inl(0xcfc));
}

static void bridge(void)
{
	CHECK(read1(0, 8) >> 16 == 0x0600, "class %x", read1(0, 8));
	CHECK((read1(0, 0x0c) >> 16 & 0x7f) == 0, "header %x", read1(0, 0x0c));
	if (!is_hosted()) {
		return;
	}
	CHECK(read1(0, 0) == 0x0001b417, "ID %x", read1(0, 0));
	CHECK(read1(0, 0x2c) == 0x0001b417, "subsystem %x", read1(0, 0x2c));
	for (unsigned reg = 0; reg < 256; reg += 4) {
		uint32_t before = read1(0, reg);
		outl(0xcfc, 0xffffffff);
		CHECK(read1(0, reg) == before, "register %x was %x, is %x", reg, before, read1(0, reg));
	}
	for (unsigned devfn = 1; devfn < 256; devfn++) {
		CHECK(read1(devfn, 0) == 0xffffffff, "function %x: %x", devfn, read1(devfn, 0));
	}
}

/* In the XSDT or RSDT of the RSDP that a search finds. Return: address, or 0. */
static uint64_t find_table(const char *name)
{
	for (uint64_t at = 0xe0000; at < 0x100000; at += 16) {
		if (*(uint64_t *)at != 0x2052545020445352) { /* "RSD PTR " */
			continue;
		}
		bool is_new = *(uint8_t *)(at + 15) >= 2;
		uint64_t root = is_new ? *(uint64_t *)(at + 24) : *(uint32_t *)(at + 16);
		unsigned step = is_new ? 8 : 4;
		for (uint64_t e = root + 36; e < root + *(uint32_t *)(root + 4); e += step) {
			uint64_t table = is_new ? *(uint64_t *)e : *(uint32_t *)e;
			if (*(uint32_t *)table == *(const uint32_t *)name) {
				return table;
			}
		}
	}
	return 0;
}

static void ecam(void)
{
	uint64_t mcfg = find_table("MCFG");
	if (!mcfg) {
		CHECK(!is_hosted(), "no MCFG");
		skip("ecam", "this machine has no MCFG");
		return;
	}
	uint64_t base = *(uint64_t *)(mcfg + 44);
	CHECK(*(uint16_t *)(mcfg + 52) == 0 && *(uint8_t *)(mcfg + 54) == 0, "segment and bus");
	for (unsigned devfn = 0; devfn < 256; devfn++) {
		uint32_t id = *(volatile uint32_t *)(base + devfn * 4096);
		CHECK(id == read1(devfn, 0), "function %x: %x by ECAM, %x", devfn, id, read1(devfn, 0));
	}
	for (unsigned reg = 0; reg < 64; reg += 4) {
		uint32_t v = *(volatile uint32_t *)(base + reg);
		CHECK(v == read1(0, reg), "register %x: %x by ECAM, %x", reg, v, read1(0, reg));
		CHECK(*(volatile uint16_t *)(base + reg + 2) == v >> 16, "word at %x", reg + 2);
		CHECK(*(volatile uint8_t *)(base + reg + 1) == (v >> 8 & 0xff), "byte at %x", reg + 1);
	}
	if (is_hosted()) {
		*(volatile uint32_t *)base = 0;
		CHECK(*(volatile uint32_t *)base == 0x0001b417, "written");
		CHECK(*(volatile uint32_t *)(base + 0x100) == 0xffffffff, "extended space");
		CHECK(*(volatile uint32_t *)0xc0000000 == 0xffffffff, "window of the BARs");
	}
}

int main(const char *cmdline)
{
	(void)cmdline;
	address();
	bridge();
	ecam();
	return (int)failures;
}
