/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts Linux on a machine without a hypervisor as Bulkhead's boot = "linux" does: by the 64-bit entry at the
 * kernel's preferred address (Documentation/x86/boot.rst, "64-bit Boot Protocol"), without firmware code in
 * between. A multiboot loader brings it, a bzImage and an initramfs (modules 1 and 2). The kernel's command line
 * is the bzImage's; tsc0=0000000000000000 in it becomes the TSC just before the jump, in hexadecimal.
 * For tools/bench_boot.py: how many instructions the same kernel needs with and without Bulkhead below.
 */
#include "lib/guest.h"

#define MB_MODS_COUNT 20 /* offsets in the multiboot (version 1) information */
#define MB_MODS_ADDR  24
#define MB_MMAP_LEN   44
#define MB_MMAP_ADDR  48
#define SETUP_HEADER  0x1f1 /* in the bzImage and in boot_params alike */
#define E820_TABLE    0x2d0
#define E820_ENTRIES  0x1e8
#define INITRD_AT     0x8000000ull /* 128 MiB: above whatever the kernel needs to unpack itself */

struct module {
	uint32_t start, end, args, reserved;
};
struct e820 {
	uint64_t addr, size;
	uint32_t type;
} __attribute__((packed));

static uint8_t params[4096] __attribute__((aligned(4096)));
static char cmdline[2048];

static uint32_t get32(const void *p, unsigned at)
{
	return *(const volatile uint32_t *)((uintptr_t)p + at);
}

static void put32(unsigned at, uint64_t v)
{
	*(volatile uint32_t *)(params + at) = (uint32_t)v;
}

/* The loader's map, as it stands */
static void copy_map(const void *info)
{
	uintptr_t at = get32(info, MB_MMAP_ADDR), end = at + get32(info, MB_MMAP_LEN);
	struct e820 *to = (struct e820 *)(params + E820_TABLE);
	for (; at < end && params[E820_ENTRIES] < 128; at += get32((void *)at, 0) + 4) {
		memcpy(to++, (void *)(at + 4), sizeof(*to));
		params[E820_ENTRIES]++;
	}
}

/* The module's first word is its file's name */
static const char *skip_name(const char *s)
{
	while (*s && *s != ' ') {
		s++;
	}
	return *s ? s + 1 : s;
}

/* Return: where the digits of tsc0= are, or NULL */
static char *copy_cmdline(const char *from)
{
	char *digits = NULL;
	for (unsigned i = 0; from[i] && i < sizeof(cmdline) - 1; i++) {
		cmdline[i] = from[i];
		if (i >= 4 && from[i] == '=' && from[i - 1] == '0' && from[i - 2] == 'c' && from[i - 4] == 't') {
			digits = cmdline + i + 1;
		}
	}
	return digits;
}

static void stamp(char *digits, uint64_t v)
{
	for (int i = 15; i >= 0; i--, v >>= 4) {
		digits[i] = "0123456789abcdef"[v & 15];
	}
}

static void move(uint64_t to, uint64_t from, uint64_t len)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
}

int main(const char *own_cmdline)
{
	const void *info = (const void *)boot_info;
	const struct module *m = (const struct module *)(uintptr_t)get32(info, MB_MODS_ADDR);
	(void)own_cmdline;
	if (get32(info, MB_MODS_COUNT) != 2) {
		print("FAIL modules: a bzImage and an initramfs\n");
		return 1;
	}
	uint64_t image = m[0].start, initrd = m[1].start, initrd_len = m[1].end - initrd;
	uint64_t setup = (*(uint8_t *)(image + SETUP_HEADER) + 1ull) * 512, pref = *(uint64_t *)(image + 0x258);
	char *digits = copy_cmdline(skip_name((const char *)(uintptr_t)m[0].args));
	memcpy(params + SETUP_HEADER, (void *)(image + SETUP_HEADER), 0x202 + *(uint8_t *)(image + 0x201) - SETUP_HEADER);
	copy_map(info);
	params[0x210] = 0xff; /* type_of_loader */
	put32(0x214, pref);
	put32(0x218, INITRD_AT);
	put32(0x21c, initrd_len);
	put32(0x228, (uintptr_t)cmdline);
	image += setup;
	uint64_t len = m[0].end - image;
	move(INITRD_AT, initrd, initrd_len);
	if (pref > image && pref < image + len) {
		print("FAIL the bzImage lies where it has to go\n");
		return 1;
	}
	move(pref, image, len);
	if (digits) {
		stamp(digits, rdtsc());
	}
	__asm__ volatile("jmp *%0" : : "r"(pref + 0x200), "S"(params) : "memory");
	return 1;
}
