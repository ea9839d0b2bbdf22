/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's fixed hardware where the FADT says it is: PM timer, its status bit and SCI, enable and control
 * registers; then the 8042 and port 0x92, as far as no keyboard is needed. Tables are summed.
 */
#include "lib/guest.h"

static uint64_t fadt;
static uint16_t pm1_evt, pm1_cnt, pm_tmr;

static bool is_good(uint64_t at, uint32_t len)
{
	uint8_t sum = 0;
	for (uint32_t i = 0; i < len; i++) {
		sum = (uint8_t)(sum + *(uint8_t *)(at + i));
	}
	return sum == 0;
}

static void tables(void)
{
	for (uint64_t at = 0xe0000; at < 0x100000 && !fadt; at += 16) {
		if (*(uint64_t *)at != 0x2052545020445352) { /* "RSD PTR " */
			continue;
		}
		CHECK(is_good(at, 20), "RSDP");
		uint64_t rsdt = *(uint32_t *)(at + 16);
		CHECK(is_good(rsdt, *(uint32_t *)(rsdt + 4)), "RSDT");
		for (uint64_t e = rsdt + 36; e < rsdt + *(uint32_t *)(rsdt + 4); e += 4) {
			uint64_t table = *(uint32_t *)e;
			CHECK(is_good(table, *(uint32_t *)(table + 4)), "table %x", *(uint32_t *)table);
			fadt = *(uint32_t *)table == 0x50434146 ? table : fadt; /* "FACP" */
		}
	}
	CHECK(fadt, "no FADT");
	if (fadt) {
		uint64_t dsdt = *(uint32_t *)(fadt + 40);
		CHECK(is_good(dsdt, *(uint32_t *)(dsdt + 4)), "DSDT");
		pm1_evt = *(uint16_t *)(fadt + 56);
		pm1_cnt = *(uint16_t *)(fadt + 64);
		pm_tmr = *(uint16_t *)(fadt + 76);
		if (*(uint16_t *)(fadt + 48)) { /* firmware has not switched to ACPI yet */
			outb(*(uint16_t *)(fadt + 48), *(uint8_t *)(fadt + 52));
		}
	}
}

static void registers(void)
{
	CHECK(inw(pm1_cnt) & 1, "SCI_EN: %x", inw(pm1_cnt));
	outw((uint16_t)(pm1_evt + 2), 0x0120);
	CHECK(inw((uint16_t)(pm1_evt + 2)) == 0x0120, "PM1 enable %x", inw((uint16_t)(pm1_evt + 2)));
	outw((uint16_t)(pm1_evt + 2), 0);
	outw(pm1_cnt, 0x1c01); /* a type without SLP_EN does nothing */
	CHECK((inw(pm1_cnt) & 0x3c01) == 0x1c01, "PM1 control %x", inw(pm1_cnt));
	outw(pm1_cnt, 1);
}

static uint32_t timer(void)
{
	return inl(pm_tmr) & 0xffffff;
}

static volatile unsigned interrupts;
static volatile uint16_t seen;

/* Level: it stays until status is cleared */
static void on_sci(struct trap_frame *f)
{
	(void)f;
	interrupts++;
	seen |= inw(pm1_evt);
	outw(pm1_evt, 1);
}

static void on_tick(struct trap_frame *f)
{
	(void)f;
}

/* The top bit changes every 2.3 seconds; each change is a status, and an interrupt if asked for */
static void overflow(void)
{
	on_interrupt(PIC_VECTOR(0), on_tick);
	on_interrupt(PIC_VECTOR(9), on_sci);
	pic_init();
	outb(0x4d1, 0x02);
	pit_periodic(200);
	pic_unmask(0);
	uint32_t before;
	do { /* until the bit has not changed around the clearing */
		before = timer();
		outw(pm1_evt, 0xffff);
	} while ((before ^ timer()) >> 23 & 1);
	CHECK(inl(pm_tmr) < 1u << 24 || *(uint32_t *)(fadt + 112) & 0x100, "24 bits");
	outw((uint16_t)(pm1_evt + 2), 1);
	pic_unmask(9);
	for (unsigned i = 0; i < 2000 && !interrupts; i++) {
		sti_hlt_cli();
	}
	uint32_t after = timer();
	CHECK(interrupts == 1 && (seen & 1), "%u interrupts, status %x", interrupts, seen);
	CHECK((before ^ after) >> 23 & 1, "from %x to %x", before, after);
	CHECK(!(inw(pm1_evt) & 1), "writing 1 clears: %x", inw(pm1_evt));
	outw((uint16_t)(pm1_evt + 2), 0);
	outb(0xa1, 0xff);
	if (!is_hosted()) {
		return; /* QEMU sets the bit only while it is enabled */
	}
	for (unsigned i = 0; i < 2000 && !(inw(pm1_evt) & 1); i++) {
		sti_hlt_cli();
	}
	CHECK(inw(pm1_evt) & 1, "status without enable");
	CHECK(interrupts == 1, "interrupt without enable");
	outw(pm1_evt, 0);
	CHECK(inw(pm1_evt) & 1, "writing 0 does nothing");
	outw(pm1_evt, 1);
}

/* A command to the 8042 and its answer */
static uint8_t kbc(uint8_t command)
{
	while (inb(0x64) & 1) {
		inb(0x60);
	}
	outb(0x64, command);
	for (unsigned i = 0; i < 100000 && !(inb(0x64) & 1); i++) {
		__asm__ volatile("pause");
	}
	return inb(0x60);
}

static void kbc_write(uint8_t command, uint8_t data)
{
	outb(0x64, command);
	while (inb(0x64) & 2) {
		__asm__ volatile("pause");
	}
	outb(0x60, data);
}

static void keyboard_controller(void)
{
	CHECK(kbc(0xaa) == 0x55, "self test");
	CHECK(kbc(0xab) == 0x00, "interface test");
	uint8_t byte = kbc(0x20);
	kbc_write(0x60, (byte & ~0x03) | 0x20);
	CHECK(kbc(0x20) == ((byte & ~0x03) | 0x20), "command byte %x", kbc(0x20));
	outb(0x64, 0xad);
	CHECK(kbc(0x20) & 0x10, "keyboard off");
	outb(0x64, 0xae);
	CHECK(!(kbc(0x20) & 0x10), "keyboard on");
	kbc_write(0xd2, 0x5a);
	CHECK((inb(0x64) & 0x21) == 0x01 && inb(0x60) == 0x5a, "echo as the keyboard");
	CHECK((kbc(0xd0) & 0x03) == 0x03, "output port %x", kbc(0xd0));
	CHECK(inb(0x92) & 2 || !is_hosted(), "A20 is on");
	outb(0x64, 0xff); /* pulses no line */
	if (is_hosted()) { /* elsewhere we would lose our memory */
		kbc_write(0xd1, 0xcd);
		CHECK((kbc(0xd0) & 0x03) == 0x01, "A20 off: %x", kbc(0xd0));
		kbc_write(0xd1, 0xcf);
		CHECK((kbc(0xd0) & 0x03) == 0x03, "A20 on: %x", kbc(0xd0));
		outb(0x92, 0);
		CHECK(inb(0x92) == 0, "port 92 %x", inb(0x92));
		outb(0x92, 2);
		CHECK(inb(0x92) == 2, "port 92 %x", inb(0x92));
	}
	kbc_write(0x60, byte);
}

int main(const char *cmdline)
{
	(void)cmdline;
	tables();
	if (fadt) {
		registers();
		overflow();
	}
	keyboard_controller();
	return (int)failures;
}
