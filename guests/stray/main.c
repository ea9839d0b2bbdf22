/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses to what nobody has: ports and guest-physical addresses. First the silent ones, of which nobody is told:
 * ports that software probes on each PC, PCI functions that are absent. Then a port or an address that is none of these,
 * as often as a flood. Each is answered as on a PC: all ones, and writes are lost.
 * Command line: what=<1 ports, 2 memory, 3 both>, alive=1 (the health table lets us go on; else it ends this
 * life with the first of them, and if there is another one that says why).
 */
#include "abi/hypercall.h"
#include "abi/health.h"
#include "lib/guest.h"

#define PORT	 0x5a0
#define NOBODY	 0xe8000000ull /* behind ECAM; below it is where BARs may decode, and none does */
#define NO_BAR	 0xd0000000ull
#define PORTS	 1
#define MEMORY	 2
#define FLOOD	 300

extern char stray_port_insn[], stray_memory_insn[]; /* what the hypervisor is to name */

static uint32_t silent(void)
{
	static const uint16_t ports[] = { 0x80, 0xed, 0x2e, 0x87, 0x1f7, 0x2f9, 0x3d5, 0x3f6 };
	uint32_t all = ~0u;
	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		outb(ports[i], 0);
		all &= 0xffffff00 | inb(ports[i]);
	}
	outl(0xcf8, 0x80000000 | 31 << 11);
	all &= inl(0xcfc);
	return all & *(volatile uint32_t *)(0xe0000000ull + (31 << 15));
}

static void touch_port(void)
{
	uint16_t value = 0, buffer[4] = { 0 };
	void *to = buffer;
	uint64_t count = 4;
	print("port at rip=0x%lx\n", (uint64_t)(uintptr_t)stray_port_insn);
	__asm__ volatile("stray_port_insn: inw %%dx, %%ax" : "=a"(value) : "d"(PORT) : "memory");
	CHECK(value == 0xffff, "%x", value);
	outl(PORT + 1, 0x12345678);
	__asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(PORT) : "memory");
	CHECK(count == 0 && buffer[0] == 0xffff && buffer[3] == 0xffff, "%x %x", buffer[0], buffer[3]);
	for (unsigned i = 0; i < FLOOD; i++) {
		outb(PORT + 2, (uint8_t)i);
	}
}

static void touch_memory(void)
{
	uint32_t value = 0;
	print("memory at rip=0x%lx\n", (uint64_t)(uintptr_t)stray_memory_insn);
	__asm__ volatile("stray_memory_insn: movl (%%rbx), %%eax" : "=a"(value) : "b"(NOBODY) : "memory");
	CHECK(value == ~0u, "%x", value);
	for (unsigned i = 0; i < FLOOD; i++) {
		*(volatile uint64_t *)NO_BAR = i;
	}
	CHECK(*(volatile uint64_t *)NO_BAR == ~0ull, "a write was kept");
}

int main(const char *cmdline)
{
	uint64_t what = arg(cmdline, "what", PORTS | MEMORY);
	bool may_live = arg(cmdline, "alive", 0);
	enum health_event want = what & PORTS ? HEALTH_IO_VIOLATION : HEALTH_MEMORY_VIOLATION;
	if (hypercall(HC_PARTITION_INFO, HC_INFO_RESTARTS, 0) > 0) {
		int64_t last = hypercall(HC_PARTITION_INFO, HC_INFO_LAST, 0);
		CHECK(last == want, "event %ld ended the life before", last);
		return failures != 0;
	}
	CHECK(silent() == ~0u, "silent ones are not");
	if (what & PORTS) {
		touch_port();
	}
	CHECK(may_live || !(what & PORTS), "alive behind a port of nobody");
	if (what & MEMORY) {
		touch_memory();
	}
	CHECK(may_live, "alive behind an address of nobody");
	return failures != 0;
}
