/* SPDX-License-Identifier: BSD-2-Clause */
/* The ways in which a PC is reset, from the one that ACPI names to the one that always works. */
#include "drivers/reset.h"
#include "x86/insn.h"

#define WAIT_US 50000 /* after each: the next one is for machines that lack it */

static void wait(u64 tsc_hz)
{
	for (u64 start = rdtsc(); rdtsc() - start < tsc_hz / 1000000 * WAIT_US;) {
		cpu_pause();
	}
}

void machine_reset(const struct acpi_info *acpi, u64 tsc_hz)
{
	static const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) no_idt = { 0, 0 };

	wait(tsc_hz); /* until a UART has sent what it holds */
	wbinvd();     /* what is in caches only would be lost */
	if (acpi->reset_port) {
		outb(acpi->reset_port, acpi->reset_value); /* ACPI 6.5 4.8.3.6 "Reset Register" */
		wait(tsc_hz);
	}
	outb(0xcf9, 0x02); /* ICH and later, "Reset Control Register": a system reset ... */
	outb(0xcf9, 0x06); /* ... now */
	wait(tsc_hz);
	outb(0x64, 0xfe); /* 8042: pulse the reset line */
	wait(tsc_hz);
	__asm__ volatile("lidt %0; int3" : : "m"(no_idt)); /* SDM 3A 6.15 "Double Fault Exception": shutdown */
	cpu_stop();
}
