/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-physical addresses to host memory through a short table of extents. Knows no paging and no
 * devices: what is in no extent is simply not RAM. Called by loaders, walk and the emulator. Pure.
 */
#include "gmem.h"
#include "lib/lib.h"

enum transfer { LOOK, READ, WRITE, FILL };

/* The host memory at @addr, and in *@run how many of @len bytes its extent holds; NULL: not RAM */
static u8 *run_at(const struct gmem *m, u64 addr, u64 len, u64 *run)
{
	for (u32 i = 0; i < m->nr; i++) {
		u64 off = addr - m->ext[i].base.v;
		if (off < m->ext[i].len) {
			*run = MIN(len, m->ext[i].len - off);
			return (u8 *)phys_ptr(m->ext[i].host) + off;
		}
	}
	return NULL;
}

void *gmem_ptr(const struct gmem *m, gpa addr, u64 len)
{
	for (u32 i = 0; i < m->nr; i++) { /* its own loop, for speed: page tables are read by it */
		u64 off = addr.v - m->ext[i].base.v, size = m->ext[i].len;
		if (off < size) {
			return len <= size - off ? (u8 *)phys_ptr(m->ext[i].host) + off : NULL;
		}
	}
	return NULL;
}

/* FILL takes one byte from @buf, again and again; LOOK does nothing. Return: false when RAM ends */
static bool transfer(const struct gmem *m, u64 addr, void *buf, u64 len, enum transfer what)
{
	for (u64 run, at = 0; at < len; at += run) {
		u8 *host = run_at(m, addr + at, len - at, &run);
		if (!host) {
			return false;
		}
		switch (what) {
		case LOOK: break;
		case READ: memcpy((u8 *)buf + at, host, run); break;
		case WRITE: memcpy(host, (const u8 *)buf + at, run); break;
		case FILL: memset(host, *(const u8 *)buf, run); break;
		}
	}
	return true;
}

bool gmem_read(const struct gmem *m, gpa addr, void *buf, u64 len)
{
	return transfer(m, addr.v, buf, len, LOOK) && transfer(m, addr.v, buf, len, READ);
}

bool gmem_write(const struct gmem *m, gpa addr, const void *buf, u64 len)
{
	return transfer(m, addr.v, NULL, len, LOOK) && transfer(m, addr.v, (void *)buf, len, WRITE);
}

bool gmem_fill(const struct gmem *m, gpa addr, u8 byte, u64 len)
{
	return transfer(m, addr.v, NULL, len, LOOK) && transfer(m, addr.v, &byte, len, FILL);
}

u64 gmem_top_below(const struct gmem *m, u64 limit)
{
	u64 top = 0;
	for (u32 i = 0; i < m->nr && m->ext[i].base.v < limit; i++) {
		top = MIN(limit, m->ext[i].base.v + m->ext[i].len);
	}
	return top;
}
