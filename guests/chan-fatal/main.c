/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ends a partition by name, since a channel is no RAM: how=1 jumps into it, how=2 puts page tables
 * there, how=3 writes to a read-only one by an instruction that is not emulated.
 */
#include "lib/channel.h"

#define IOAPIC 0xfec00000ull

static void jump(const struct channel *c)
{
	*(volatile uint8_t *)c->info.memory = 0xc3; /* RET */
	((void (*)(void))c->info.memory)();
}

static void move_page_tables(const struct channel *c)
{
	memcpy((void *)c->info.memory, pml4, 4096);
	__asm__ volatile("mov %0, %%cr3" : : "r"(c->info.memory) : "memory");
	*(volatile uint32_t *)IOAPIC; /* an access that has to be looked up in these tables; no CPU serves it */
}

static void set_byte(const struct channel *c)
{
	__asm__ volatile("sete (%0)" : : "r"(c->info.memory) : "memory");
}

int main(const char *cmdline)
{
	static struct channel ours, theirs;
	CHECK(channel_open(&ours, arg(cmdline, "how", 0) == 2 ? "tables" : "ours") && channel_open(&theirs, "theirs"), "no channels");
	switch (arg(cmdline, "how", 0)) {
	case 1: jump(&ours); break;
	case 2: move_page_tables(&ours); break;
	case 3: set_byte(&theirs); break;
	}
	print("FAIL alive\n");
	return 1;
}
