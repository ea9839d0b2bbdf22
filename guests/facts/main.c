/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest finds when it starts, said aloud: registers of all devices, ACPI tables, PCI functions,
 * memory map, MSRs and CPUID leaves that do not belong to the CPU. It judges nothing: the runner compares
 * what was said on different beds.
 */
#include "lib/guest.h"

#define IOAPIC 0xfec00000ull

static void ports(void)
{
	static const uint16_t list[] = {
		0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x64, 0x92, 0x1e0, 0x3f9, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff,
		0x2f8, 0x3e8, 0x604, 0xcf9, 0xcfc
	};
	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		print("port %x: %02x\n", list[i], inb(list[i]));
	}
	print("port 61: %x\n", inb(0x61) & 0xf); /* the others move */
	for (unsigned c = 0; c < 3; c++) {
		outb(0x43, (uint8_t)(0xe0 | 2u << c)); /* read back: status */
		print("PIT %u: status %02x\n", c, inb((uint16_t)(0x40 + c)));
	}
}

static void cmos(void)
{
	static const uint8_t list[] = { 0x0b, 0x0d, 0x0f, 0x14, 0x15, 0x16, 0x17, 0x18, 0x30, 0x31, 0x34, 0x35,
					0x5b, 0x5c, 0x5d };
	for (unsigned i = 0; i < sizeof(list); i++) {
		outb(0x70, list[i]);
		print("CMOS %02x: %02x\n", list[i], inb(0x71));
	}
}

static void apics(void)
{
	for (uint32_t reg = 0; reg < 0x400; reg += 16) {
		uint32_t v = reg == APIC_COUNT ? 0 : lapic_read(reg);
		if (v) {
			print("local APIC %03x: %x\n", reg, v);
		}
	}
	for (uint32_t i = 0; i < 0x40; i++) {
		*(volatile uint32_t *)IOAPIC = i;
		print("I/O APIC %02x: %x\n", i, *(volatile uint32_t *)(IOAPIC + 0x10));
	}
}

static void cpu(void)
{
	static const uint32_t leaves[] = { 0x40000000, 0x40000001, 0x40000100, 0x40000101 };
	static const uint32_t msrs[] = { 0x1b, 0xfe, 0x174, 0x1d9, 0x277, 0x2ff, 0x200, 0x250, 0xc0000080, 0xc0000081,
					 0xc0000082, 0xc0000103, 0x12345678 };
	uint32_t r[4], lo = 0, hi = 0;
	for (unsigned i = 0; i < sizeof(leaves) / 4; i++) {
		cpuid(leaves[i], 0, r);
		print("CPUID %x: %x %x %x %x\n", leaves[i], r[0], r[1], r[2], r[3]);
	}
	cpuid(1, 0, r);
	print("CPUID 1: EBX %x\n", r[1]);
	for (unsigned i = 0; i < sizeof(msrs) / 4; i++) {
		int vector = TRY("rdmsr", : "=a"(lo), "=d"(hi) : "c"(msrs[i]) : "memory");
		if (vector < 0) {
			print("MSR %x: %x_%08x\n", msrs[i], hi, lo);
		} else {
			print("MSR %x: exception %d\n", msrs[i], vector);
		}
	}
}

static uint32_t word(uint64_t at)
{
	uint32_t v;
	memcpy(&v, (const void *)at, sizeof(v));
	return v;
}

static void table(uint64_t at)
{
	uint32_t len = word(at + 4), hash = 2166136261u; /* FNV-1a */
	for (uint32_t i = 0; i < len; i++) {
		hash = (hash ^ *(uint8_t *)(at + i)) * 16777619u;
	}
	print("ACPI %c%c%c%c at %lx: %u bytes, hash %x\n", *(char *)at, *(char *)(at + 1), *(char *)(at + 2),
	      *(char *)(at + 3), at, len, hash);
}

static void acpi(void)
{
	for (uint64_t at = 0xe0000; at < 0x100000; at += 16) {
		if (word(at) == 0x20445352 && word(at + 4) == 0x20525450) { /* "RSD PTR " */
			uint64_t rsdt = word(at + 16);
			table(rsdt);
			for (uint64_t e = rsdt + 36; e < rsdt + word(rsdt + 4); e += 4) {
				table(word(e));
			}
			return;
		}
	}
	print("no ACPI\n");
}

static void pci(void)
{
	for (uint32_t dev = 0; dev < 32; dev++) {
		for (uint32_t reg = 0; reg < 0x40; reg += 4) {
			outl(0xcf8, 0x80000000 | dev << 11 | reg);
			uint32_t v = inl(0xcfc);
			if (reg == 0 && v == 0xffffffff) {
				break;
			}
			print("PCI %02x.0 %02x: %08x\n", dev, reg, v);
		}
	}
}

/* Multiboot information: memory sizes, then the map, entries of a length of their own */
static void memory(void)
{
	print("memory: %u KiB, %u KiB\n", word(boot_info + 4), word(boot_info + 8));
	uint32_t len = word(boot_info + 44), map = word(boot_info + 48);
	for (uint64_t at = map; at < map + len; at += word(at) + 4) {
		print("map: %08x%08x %08x%08x type %u\n", word(at + 8), word(at + 4), word(at + 16), word(at + 12),
		      word(at + 20));
	}
	print("nothing at 0xd0000000: %x\n", *(volatile uint32_t *)0xd0000000);
}

int main(const char *cmdline)
{
	(void)cmdline;
	ports();
	cmos();
	apics();
	cpu();
	acpi();
	pci();
	memory();
	return 0;
}
