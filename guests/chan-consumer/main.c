/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other end of the ring: takes kib KiB (command line) and then a SHA-256, which has to be that of what
 * came. Sleeps while the ring is empty. Where the channel is one-way its memory cannot be changed from
 * here: the consumer tries, in the middle of the transfer.
 */
#include "lib/channel.h"
#include "lib/sha256.h"

static uint8_t chunk[4096];

static void try_to_write(const struct channel *c)
{
	if (c->info.rights & BULKHEAD_CHANNEL_WRITE) {
		return;
	}
	volatile uint32_t *unused = (volatile uint32_t *)(c->info.memory + 32); /* in the ring's header */
	*unused = 0x12345678;
	CHECK(*unused == 0, "a reader has written %x", *unused);
	__asm__ volatile("xchgb %%al, (%0)" : : "r"(c->info.memory + 40), "a"(0x55) : "memory");
	CHECK(*(volatile uint8_t *)(c->info.memory + 40) == 0, "a reader has exchanged");
}

int main(const char *cmdline)
{
	static struct pipe p;
	struct sha256 s;
	uint8_t digest[32], sent[32];
	char hex[65];
	uint64_t left = arg(cmdline, "kib", 64) << 10, half = left / 2;
	bool is_ok = pipe_open(&p, false);
	CHECK(is_ok, "no channels");
	sha256_start(&s);
	for (; is_ok && left; left -= sizeof(chunk)) {
		is_ok = pipe_get(&p, chunk, sizeof(chunk));
		sha256_add(&s, chunk, sizeof(chunk));
		if (left == half) {
			try_to_write(&p.forward);
		}
	}
	sha256_end(&s, digest);
	CHECK(is_ok && pipe_get(&p, sent, sizeof(sent)), "the producer's position is impossible");
	unsigned nr_wrong = 0;
	for (unsigned i = 0; i < 32; i++) {
		nr_wrong += digest[i] != sent[i];
	}
	CHECK(nr_wrong == 0, "%u bytes of the digest differ", nr_wrong);
	sha256_hex(digest, hex);
	print("sha256 %s\n", hex);
	return failures != 0;
}
