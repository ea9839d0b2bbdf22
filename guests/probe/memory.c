/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-physical space: dense around each border, sampled elsewhere, up to the last address that a page
 * table entry can name. Then MMIO by accesses that no driver makes, and code that changes right before one.
 */
#include "probe.h"

#define WINDOW	  0x8000000000ull /* 512 GiB: an address in PML4 entry 1 */
#define SIZE_2M	  (2ull << 20)
#define GIB	  (1ull << 30)
#define ADDR_BITS 52
#define PRESENT	  0x83 /* P, W, PS */

static uint64_t window_pdpt[512] __attribute__((aligned(4096))), window_pd[512] __attribute__((aligned(4096)));

/* 4 MiB of guest-physical space from @at's 2 MiB page on, so that an access may cross its end */
static volatile uint8_t *see(uint64_t at)
{
	uint64_t page = at & ~(SIZE_2M - 1);
	window_pdpt[0] = (uint64_t)(uintptr_t)window_pd | 3;
	window_pd[0] = page | PRESENT;
	window_pd[1] = ((page + SIZE_2M) & ((1ull << ADDR_BITS) - 1)) | PRESENT;
	pml4[1] = (uint64_t)(uintptr_t)window_pdpt | 3;
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
	return (volatile uint8_t *)(WINDOW + (at - page));
}

static bool is_nothing(uint64_t at)
{
	const struct {
		uint64_t base, len;
	} known[] = { { 0, own_len }, { 0xe0000000, 1 << 20 }, { 0xfec00000, 4096 }, { 0xfee00000, 4096 } };
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (at - known[i].base < known[i].len) {
			return false;
		}
	}
	return true;
}

static void judge(uint64_t at, uint64_t value, unsigned width)
{
	for (unsigned i = 0; i < width; i++) {
		if (is_nothing(at + i) && (uint8_t)(value >> 8 * i) != 0xff) {
			leaks++;
			print("LEAK at %lx: %lx\n", at + i, value);
		}
	}
}

/* Return: the exception, or -1 */
static int read_at(volatile uint8_t *p, unsigned width, uint64_t *v)
{
	*v = 0;
	switch (width) {
	case 1: return TRY("movb (%%rbx), %%al", : "+a"(*v) : "b"(p) : "memory");
	case 2: return TRY("movw (%%rbx), %%ax", : "+a"(*v) : "b"(p) : "memory");
	case 4: return TRY("movl (%%rbx), %%eax", : "+a"(*v) : "b"(p) : "memory");
	default: return TRY("movq (%%rbx), %%rax", : "+a"(*v) : "b"(p) : "memory");
	}
}

/* 14: an address beyond what the CPU has is a reserved bit of the entry */
static void look(uint64_t at, unsigned width)
{
	uint64_t value;
	int vector = read_at(see(at), width, &value);
	CHECK(vector == -1 || (vector == 14 && at >= 1ull << 32), "read of %lx: %d", at, vector);
	if (vector == -1) {
		judge(at, value, width);
	}
}

/* What is written to nothing is lost */
static void scribble(uint64_t at)
{
	volatile uint8_t *p = see(at);
	int vector = TRY("movq %%rax, (%%rbx)", : : "a"(0x0123456789abcdefull), "b"(p) : "memory");
	CHECK(vector == -1 || vector == 14, "write to %lx: %d", at, vector);
	look(at, 8);
}

static void border(uint64_t at)
{
	static const unsigned widths[] = { 1, 2, 4, 8 };
	for (uint64_t off = 0; off < 32; off++) {
		for (unsigned w = 0; w < 4; w++) {
			if (at >= 16) {
				look(at - 16 + off, widths[w]);
			}
		}
	}
	if (is_nothing(at) && is_nothing(at + 7)) {
		scribble(at);
	}
}

void probe_memory(uint64_t step)
{
	static const uint64_t borders[] = {
		0x9fc00, 0xa0000, 0xc0000, 0xe0000, 0xf0000, 0x100000, 3 * GIB, 0xe0000000, 0xe0100000,
		0xfec00000, 0xfec01000, 0xfee00000, 0xfee01000, 0xff000000, 0xfffff000, 4 * GIB,
	};
	border(own_len);
	border(2 * own_len);
	border(4 * GIB + own_len);
	for (unsigned i = 0; i < sizeof(borders) / sizeof(borders[0]); i++) {
		border(borders[i]);
	}
	for (unsigned bit = 23; bit < ADDR_BITS; bit++) {
		border(1ull << bit);
		look((2ull << bit) - 8, 8);
	}
	for (uint64_t at = own_len; at < 64 * GIB; at += 32 * SIZE_2M + 0x1238) {
		look(at, 8);
	}
	for (uint64_t at = own_len; at < own_len + 16 * SIZE_2M; at += 4096 * step) {
		look(at + 0xff8, 8);
	}
}

/* Any offset and width, across the borders of device pages too */
static void unaligned(uint64_t page)
{
	uint64_t value;
	for (uint64_t off = 0; off < 0x1000; off += 0x33) {
		read_at((volatile uint8_t *)(page + off), 1 << (off & 3), &value);
	}
	for (uint64_t off = 0xff9; off < 0x1000; off++) {
		int vector = read_at((volatile uint8_t *)(page + off), 8, &value);
		CHECK(vector == -1, "%lx: %d", page + off, vector);
		judge(page + off, value, 8);
		vector = read_at((volatile uint8_t *)(page - 0x1000 + off), 8, &value);
		CHECK(vector == -1, "before %lx: %d", page, vector);
		judge(page - 0x1000 + off, value, 8);
	}
}

/* REP INS and OUTS over a border of pages, and from RAM into nothing: what is beyond is lost */
static void strings(void)
{
	static uint8_t buffer[3 * 4096] __attribute__((aligned(4096)));
	static const uint64_t widths[] = { 1, 2, 4 };
	for (unsigned i = 0; i < 3; i++) {
		uint64_t w = widths[i], nr = 64 / w + 3;
		uint8_t *at = buffer + 4096 - 32 - w / 2;
		memset(buffer, 0, sizeof(buffer));
		void *to = at;
		uint64_t count = nr;
		switch (w) {
		case 1: __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(0x1e0) : "memory"); break;
		case 2: __asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(0x1e0) : "memory"); break;
		default: __asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(0x1e0) : "memory"); break;
		}
		for (uint64_t k = 0; k < nr * w; k++) {
			CHECK(at[k] == 0xff, "width %lu byte %lu: %x", w, k, at[k]);
		}
		CHECK(at[-1] == 0 && at[nr * w] == 0 && count == 0 && to == at + nr * w, "width %lu", w);
		const void *from = at;
		count = nr;
		__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(0x80) : "memory");
		CHECK(count == 0, "outs");
	}
	void *end = (void *)(own_len - 2);
	uint64_t count = 5;
	__asm__ volatile("rep insb" : "+D"(end), "+c"(count) : "d"(0x1e0) : "memory");
	CHECK(count == 0, "over the end of memory: %lu are left", count);
}

/* The same place holds another instruction each time, with another length and another result */
static void changing_code(void)
{
	static uint8_t code[64] __attribute__((aligned(64)));
	static const struct {
		uint8_t bytes[6];
		uint64_t mask;
	} form[] = {
		{ { 0x8b, 0x43, 0x30, 0xc3 }, 0xffffffff },	     /* mov 0x30(%rbx), %eax; ret */
		{ { 0x0f, 0xb6, 0x43, 0x30, 0xc3 }, 0xff },	     /* movzbl */
		{ { 0x0f, 0xb7, 0x43, 0x30, 0xc3 }, 0xffff },	     /* movzwl */
	};
	uint64_t want = lapic_read(APIC_VERSION);
	for (unsigned i = 0; i < 300; i++) {
		uint64_t value;
		unsigned k = i % 3;
		memcpy(code, form[k].bytes, 6);
		__asm__ volatile("call *%1" : "=a"(value) : "r"(code), "b"(LAPIC) : "memory", "cc");
		CHECK(value == (want & form[k].mask), "form %u: %lx", k, value);
	}
}

void probe_mmio(uint64_t unused)
{
	(void)unused;
	unaligned(0xfec00000);
	unaligned(LAPIC);
	strings();
	changing_code();
}
