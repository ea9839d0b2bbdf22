/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory and what the boot protocol says of it: RAM from address 0, page 0 included, to the size given,
 * no gap; ones above it. Multiboot: map, command line, loader name, modules, and where all this lies.
 * Arguments: mib=<n> of this partition, mods=<n> modules, whose strings end in "sum=<n>" of their bytes.
 */
#include "lib/guest.h"

struct info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length,
		mmap_addr, drives[2], config, loader_name;
};

struct module {
	uint32_t start, end, string, reserved;
};

struct range {
	uint32_t size;
	uint64_t base, len;
	uint32_t type;
} __attribute__((packed));

extern char bss_end[]; /* of the image */

static bool is_same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* Below 640 KiB, not in page 0 */
static void is_low(const char *what, uint64_t at)
{
	CHECK(at >= 4096 && at < 0xa0000, "%s at %lx", what, at);
}

/* Every page of [from, to): holds what is written, and no other page changes with it */
static void ram(uint64_t from, uint64_t to)
{
	unsigned bad = 0;
	for (uint64_t a = from; a < to; a += 4096) {
		volatile uint64_t *p = (volatile uint64_t *)(a + 2048);
		*p = a ^ 0x5555aaaa;
	}
	for (uint64_t a = from; a < to; a += 4096) {
		bad += *(volatile uint64_t *)(a + 2048) != (a ^ 0x5555aaaa);
	}
	CHECK(bad == 0, "%u bad pages from %lx to %lx", bad, from, to);
}

static void page_zero(void)
{
	volatile uint64_t *p = (volatile uint64_t *)8;
	__asm__("" : "+r"(p)); /* for all the compiler knows, an object */
	uint64_t old = *p;
	*p = 0x1234567890abcdef;
	CHECK(*p == 0x1234567890abcdef, "page 0: %lx", *p);
	*p = old;
}

static void map(const struct info *mb, uint64_t mib)
{
	uint64_t total = 0, top = 0;
	is_low("memory map", mb->mmap_addr);
	for (uint64_t at = mb->mmap_addr; at < mb->mmap_addr + mb->mmap_length;) {
		const struct range *r = (const struct range *)at;
		if (r->type == 1) {
			total += r->len;
			top = r->base + r->len > top ? r->base + r->len : top;
		}
		at += r->size + 4;
	}
	CHECK(top == mib << 20, "RAM ends at %lx", top);
	CHECK(total >= (mib << 20) - 0x60400 && total <= mib << 20, "RAM in all %lx", total);
	CHECK(mb->mem_upper == mib * 1024 - 1024, "mem_upper %u", mb->mem_upper);
	CHECK(mb->mem_lower <= 640 && mb->mem_lower >= 600, "mem_lower %u", mb->mem_lower);
}

static void modules(const struct info *mb, uint64_t n)
{
	const struct module *m = (const struct module *)(uint64_t)mb->mods_addr;
	CHECK(mb->mods_count == n, "%u modules", mb->mods_count);
	is_low("modules", mb->mods_addr);
	for (unsigned i = 0; i < mb->mods_count; i++) {
		const char *string = (const char *)(uint64_t)m[i].string;
		uint64_t sum = 0;
		for (uint64_t a = m[i].start; a < m[i].end; a++) {
			sum += *(const uint8_t *)a;
		}
		is_low("module's string", m[i].string);
		CHECK(m[i].start % 4096 == 0 && m[i].start >= (uint64_t)bss_end, "module at %x", m[i].start);
		CHECK(arg(string, "sum", 0) == sum, "module %u \"%s\": sum %lu", i, string, sum);
	}
}

int main(const char *cmdline)
{
	uint64_t mib = arg(cmdline, "mib", 4);
	const struct info *mb = (const struct info *)boot_info;
	CHECK((uint32_t)boot_magic == 0x2badb002, "magic %lx", boot_magic);
	CHECK((mb->flags & 0x24d) == 0x24d, "flags %x", mb->flags);
	is_low("information", boot_info);
	is_low("command line", mb->cmdline);
	is_low("loader's name", mb->loader_name);
	CHECK(is_same((const char *)(uint64_t)mb->loader_name, "bulkhead"), "loader \"%s\"",
	      (const char *)(uint64_t)mb->loader_name);
	CHECK(cmdline[0] && cmdline[0] != 'm', "no file name before \"%s\"", cmdline);
	map(mb, mib);
	modules(mb, arg(cmdline, "mods", 0));
	page_zero();
	ram((uint64_t)bss_end + 0x200000, mib << 20);
	CHECK(*(volatile uint64_t *)(mib << 20) == ~0ull, "above RAM: %lx", *(volatile uint64_t *)(mib << 20));
	*(volatile uint64_t *)(mib << 20) = 0;
	CHECK(*(volatile uint64_t *)(mib << 20) == ~0ull, "above RAM after a write");
	CHECK(*(volatile uint32_t *)0xd0000000 == 0xffffffff, "the PC's device hole");
	return (int)failures;
}
