/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SHA-256 of one run of memory (FIPS 180-4, 5.1.1, 6.2). Boot measures the image with it before
 * anything has written to it. Names as in the standard.
 */
#include "lib.h"

#define BLOCK 64

/* FIPS 180-4 4.2.2 "SHA-256 Constants" */
static const u32 K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static inline u32 rotr(u32 x, u32 n)
{
	return x >> n | x << (32 - n);
}

/* Word @t of the message schedule, of which the last 16 are kept: 6.2.2 step 1 */
static inline u32 schedule(u32 W[16], u32 t)
{
	u32 x = W[(t + 1) % 16], y = W[(t + 14) % 16];
	u32 s0 = rotr(x, 7) ^ rotr(x, 18) ^ x >> 3;
	u32 s1 = rotr(y, 17) ^ rotr(y, 19) ^ y >> 10;
	return W[t % 16] += s0 + W[(t + 9) % 16] + s1;
}

/*
 * Step 3 for round @t. Instead of moving a to h by one place, the places count down: with @t % 8 known to the
 * compiler they all stay in registers. Three rotations each are one inside the other; ch and maj are
 * shorter than the standard writes them, and the same.
 */
static inline void do_round(u32 v[8], u32 t, u32 kw)
{
	u32 a = v[(0 - t) % 8], b = v[(1 - t) % 8], c = v[(2 - t) % 8];
	u32 e = v[(4 - t) % 8], f = v[(5 - t) % 8], g = v[(6 - t) % 8];
	u32 S1 = rotr(rotr(rotr(e, 14) ^ e, 5) ^ e, 6), S0 = rotr(rotr(rotr(a, 9) ^ a, 11) ^ a, 2);
	u32 T1 = v[(7 - t) % 8] + S1 + (((f ^ g) & e) ^ g) + kw;
	v[(3 - t) % 8] += T1;
	v[(7 - t) % 8] = T1 + S0 + ((a & b) | ((a | b) & c));
}

static void compress(u32 H[8], const u8 block[BLOCK])
{
	u32 W[16], v[8]; /* v: a to h */

	__builtin_memcpy(v, H, sizeof(v));
#pragma GCC unroll 16
	for (u32 t = 0; t < 16; t++) {
		__builtin_memcpy(&W[t], block + 4 * t, 4);
		W[t] = __builtin_bswap32(W[t]); /* the standard is big-endian */
		do_round(v, t, K[t] + W[t]);
	}
	for (u32 t = 16; t < 64; t += 16) {
#pragma GCC unroll 16
		for (u32 i = 0; i < 16; i++) {
			do_round(v, i, K[t + i] + schedule(W, i));
		}
	}
	for (u32 i = 0; i < 8; i++) {
		H[i] += v[i];
	}
}

void sha256(const void *data, size_t len, u8 digest[32])
{
	u32 H[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	u8 last[2 * BLOCK] = { 0 };
	const u8 *p = data;
	size_t rest = len % BLOCK, padded = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
	u64 bits = __builtin_bswap64((u64)len * 8);

	for (size_t i = 0; i < len / BLOCK; i++) {
		compress(H, p + i * BLOCK);
	}
	memcpy(last, p + len - rest, rest);
	last[rest] = 0x80;
	memcpy(last + padded - sizeof(bits), &bits, sizeof(bits));
	for (size_t i = 0; i < padded; i += BLOCK) {
		compress(H, last + i);
	}
	for (u32 i = 0; i < 8; i++) {
		H[i] = __builtin_bswap32(H[i]);
	}
	memcpy(digest, H, sizeof(H));
}
