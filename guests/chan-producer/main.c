/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One end of a ring between partitions: sends kib KiB (command line) of pseudo-random bytes, then their
 * SHA-256, and sleeps whenever the ring is full until the consumer rings. It never reads back what it
 * has sent, so the digest is that of what was meant.
 */
#include "lib/channel.h"
#include "lib/sha256.h"

static uint64_t chunk[512];

static void fill(uint64_t *seed)
{
	for (unsigned i = 0; i < 512; i++) { /* xorshift64 */
		*seed ^= *seed << 13;
		*seed ^= *seed >> 7;
		*seed ^= *seed << 17;
		chunk[i] = *seed;
	}
}

int main(const char *cmdline)
{
	static struct pipe p;
	struct sha256 s;
	uint8_t digest[32];
	char hex[65];
	uint64_t seed = arg(cmdline, "seed", 88172645463325252), left = arg(cmdline, "kib", 64) << 10;
	bool is_ok = pipe_open(&p, true);
	CHECK(is_ok, "no channels");
	sha256_start(&s);
	/* pieces that divide neither the ring nor the chunk come of themselves: the ring's length is odd to 4096 */
	for (; is_ok && left; left -= sizeof(chunk)) {
		fill(&seed);
		sha256_add(&s, chunk, sizeof(chunk));
		is_ok = pipe_put(&p, chunk, sizeof(chunk));
	}
	sha256_end(&s, digest);
	CHECK(is_ok && pipe_put(&p, digest, sizeof(digest)), "the consumer's position is impossible");
	sha256_hex(digest, hex);
	print("sha256 %s\n", hex);
	while (is_ok && ring_ready(&p.ring) < (int64_t)p.ring.len) { /* all of it has been taken */
		__asm__ volatile("pause");
	}
	CHECK(p.forward.info.rights & BULKHEAD_CHANNEL_WRITE, "rights %x", p.forward.info.rights);
	return failures != 0;
}
