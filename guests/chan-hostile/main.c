/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever a partition may do to its channels: all registers with all widths, hypercalls with any argument,
 * floods of doorbells to everybody and nobody, writes to memory that is read-only, configuration space
 * overwritten. All of it has a defined answer, and its neighbour (chan-victim) lives on.
 */
#include "lib/channel.h"
#include "lib/pci.h"

static uint64_t seed = 88172645463325252;
static struct channel both, from_victim;

static uint64_t random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static void touch(uint64_t at, unsigned width, uint64_t v)
{
	switch (width) {
	case 0: *(volatile uint8_t *)at = (uint8_t)v; (void)*(volatile uint8_t *)at; break;
	case 1: *(volatile uint16_t *)at = (uint16_t)v; (void)*(volatile uint16_t *)at; break;
	case 2: *(volatile uint32_t *)at = (uint32_t)v; (void)*(volatile uint32_t *)at; break;
	default: *(volatile uint64_t *)at = v; (void)*(volatile uint64_t *)at; break;
	}
}

/* Beyond its end too, where nobody is */
static void hammer_registers(const struct channel *c)
{
	for (uint64_t at = 0; at < 0x110; at++) {
		for (unsigned width = 0; width < 4; width++) {
			touch(c->info.registers + at, width, random());
		}
	}
	CHECK(c->reg[CHANNEL_POSITION] == c->info.position, "position %x", c->reg[CHANNEL_POSITION]);
}

static void hammer_config(void)
{
	for (unsigned n = 0; n < 2; n++) {
		int f = pci_find(0x11101af4, n);
		uint32_t bars[] = { PCI32(f, 0x10), PCI32(f, 0x18) };
		for (uint64_t at = 0; at < 256; at++) {
			for (unsigned width = 0; width < 4; width++) {
				touch(ECAM + ((uint64_t)f << 12) + at, width, random());
			}
		}
		CHECK(PCI32(f, 0) == 0x11101af4 && PCI32(f, 0x18) == bars[1], "%x at %x", PCI32(f, 0), PCI32(f, 0x18));
		PCI32(f, 0x10) = bars[0];
		PCI32(f, 4) = 2;
	}
}

static void flood(const struct channel *c)
{
	for (unsigned i = 0; i < 400; i++) {
		c->reg[CHANNEL_DOORBELL] = (uint32_t)random();
		c->reg[CHANNEL_DOORBELL] = 1u << 16 | i % 32;
	}
	for (unsigned i = 0; i < 4000; i++) {
		CHECK(channel_ring(c, 1 - c->info.position, i % 32) == 0, "ring %u", i);
	}
}

static void hammer_hypercalls(void)
{
	static struct bulkhead_channel info;
	CHECK(hypercall(HC_CHANNEL_INFO, 2, (uint64_t)&info) == HC_ENOENT, "two channels");
	for (unsigned bit = 1; bit < 64; bit++) {
		CHECK(hypercall(HC_CHANNEL_INFO, 1ull << bit, (uint64_t)&info) == HC_ENOENT, "index bit %u", bit);
		CHECK(hypercall(HC_DOORBELL, 1ull << bit, 0) == HC_ENOENT, "index bit %u", bit);
	}
	for (unsigned bit = 22; bit < 64; bit++) { /* the partition has 4 MiB */
		CHECK(hypercall(HC_CHANNEL_INFO, 0, 1ull << bit) == HC_EINVAL, "address bit %u", bit);
	}
	for (unsigned bit = 5; bit < 16; bit++) {
		CHECK(hypercall(HC_DOORBELL, 0, 1ull << bit) == HC_EINVAL, "vector bit %u", bit);
	}
	for (unsigned bit = 17; bit < 32; bit++) {
		CHECK(hypercall(HC_DOORBELL, 0, 1ull << bit) == HC_ENOENT, "peer bit %u", bit);
	}
	for (unsigned bit = 32; bit < 64; bit++) {
		CHECK(hypercall(HC_DOORBELL, 0, 1ull << bit) == HC_EINVAL, "bit %u", bit);
	}
	for (unsigned i = 0; i < 1000; i++) {
		int64_t r = hypercall(HC_DOORBELL, random() % 4, random() >> random() % 64);
		CHECK(r == 0 || r == HC_EINVAL || r == HC_ENOENT, "%ld", r);
	}
}

/* By every kind of instruction that the emulator knows: lost, as to ROM, and registers as if it had happened */
static void write_read_only(void)
{
	uint64_t m = from_victim.info.memory + 64, was = *(volatile uint64_t *)m, one = 1, rax = was;
	uint64_t rdi = m, rcx = 32;
	for (unsigned width = 0; width < 4; width++) {
		touch(m, width, ~was);
	}
	__asm__ volatile("lock xaddq %0, (%1)" : "+r"(one) : "r"(m) : "memory");
	CHECK(one == was, "XADD saw %lx", one);
	__asm__ volatile("xchgq %0, (%1)" : "+r"(one) : "r"(m) : "memory");
	__asm__ volatile("lock cmpxchgq %2, (%1)" : "+a"(rax) : "r"(m), "r"(5ull) : "memory");
	__asm__ volatile("addl $1, (%0); incq (%0); btsl $3, (%0)" : : "r"(m) : "memory");
	__asm__ volatile("rep stosb" : "+D"(rdi), "+c"(rcx) : "a"(0x55) : "memory");
	CHECK(rcx == 0 && rdi == m + 32, "STOS left %lu", rcx);
	rdi = m;
	rcx = 32;
	uint64_t rsi = (uint64_t)&seed;
	__asm__ volatile("rep movsb" : "+D"(rdi), "+S"(rsi), "+c"(rcx) : : "memory");
	CHECK(*(volatile uint64_t *)m == was, "%lx has become %lx", was, *(volatile uint64_t *)m);
}

int main(const char *cmdline)
{
	(void)cmdline;
	CHECK(channel_open(&both, "both") && channel_open(&from_victim, "from-victim"), "no channels");
	CHECK(from_victim.info.rights == BULKHEAD_CHANNEL_READ, "rights %x", from_victim.info.rights);
	while (((volatile uint32_t *)both.info.memory)[1] == 0) {
		hypercall(HC_YIELD, 0, 0);
	}
	hammer_hypercalls();
	hammer_registers(&both);
	hammer_registers(&from_victim);
	hammer_config();
	write_read_only();
	flood(&both);
	flood(&from_victim);
	*(volatile uint32_t *)both.info.memory = 0x600d; /* the victim may stop */
	channel_ring(&both, 1 - both.info.position, 0);
	return failures != 0;
}
