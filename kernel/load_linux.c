// SPDX-License-Identifier: BSD-2-Clause
/*
 * Linux's boot protocol, 2.12 or later: bzImage, initrd, zero page. A kernel with a 64-bit entry
 * point is entered there, another one at its 32-bit one.
 * Names and offsets as in Documentation/x86/boot.rst and zero-page.rst of Linux 6.1.
 * Called by load_guest().
 */
#include "load.h"

/* The setup header has the same offsets in the file and in the zero page */
enum {
	HDR_START = 0x1f1,
	HDR_SETUP_SECTS = 0x1f1,
	HDR_SYSSIZE = 0x1f4, /* in 16 bytes, rounded up */
	HDR_BOOT_FLAG = 0x1fe,
	HDR_JUMP_LEN = 0x201, /* the header ends this far behind 0x202 */
	HDR_MAGIC = 0x202,
	HDR_VERSION = 0x206,
	HDR_TYPE_OF_LOADER = 0x210,
	HDR_LOADFLAGS = 0x211,
	HDR_CODE32_START = 0x214,
	HDR_RAMDISK_IMAGE = 0x218,
	HDR_RAMDISK_SIZE = 0x21c,
	HDR_EXT_LOADER_VER = 0x226,
	HDR_CMD_LINE_PTR = 0x228,
	HDR_INITRD_ADDR_MAX = 0x22c,
	HDR_XLOADFLAGS = 0x236,
	HDR_CMDLINE_SIZE = 0x238,
	HDR_PREF_ADDRESS = 0x258,
	HDR_INIT_SIZE = 0x260,
	HDR_END = 0x290,
};

enum {
	ZP_ACPI_RSDP = 0x70,
	ZP_E820_ENTRIES = 0x1e8,
	ZP_E820_TABLE = 0x2d0,
};

#define MAGIC_HDRS     0x53726448
#define LOADED_HIGH    BIT(0) /* of loadflags; a zImage, which has not, runs at 64 KiB */
#define XLF_KERNEL_64  BIT(0)
#define ENTRY_64       0x200 /* behind the start of the protected-mode kernel */
#define LOADER_UNKNOWN 0xff

static const char *check_header(const struct blob *k, const char *cmdline)
{
	if (k->len < HDR_END || blob_get(k, HDR_BOOT_FLAG, 2) != 0xaa55 ||
	    blob_get(k, HDR_MAGIC, 4) != MAGIC_HDRS ||
	    !(blob_get(k, HDR_LOADFLAGS, 1) & LOADED_HIGH)) {
		return "kernel is not a Linux bzImage";
	}
	if (blob_get(k, HDR_VERSION, 2) < 0x20c) {
		return "kernel's boot protocol is older than 2.12";
	}
	if (strlen(cmdline) > blob_get(k, HDR_CMDLINE_SIZE, 4)) {
		return "cmdline is longer than the kernel takes";
	}
	return NULL;
}

/*
 * The kernel goes to its preferred address and nowhere else: even a relocatable one moves itself
 * there from any lower place (boot.rst, "pref_address"), so lower saves no memory, and higher
 * needs more.
 */
static const char *load_kernel(struct loading *l, u64 *start)
{
	const struct blob *k = &l->in->kernel;
	u64 sects = blob_get(k, HDR_SETUP_SECTS, 1);
	u64 setup = ((sects ? sects : 4) + 1) * 512; /* 0 means 4, for history's sake */
	if (setup >= k->len || blob_get(k, HDR_SYSSIZE, 4) > (k->len - setup + 15) / 16) {
		return "kernel truncated";
	}
	*start = blob_get(k, HDR_PREF_ADDRESS, 8);
	return load_image(l, *start, setup, k->len - setup,
			  MAX(blob_get(k, HDR_INIT_SIZE, 4), k->len - setup));
}

/* As high as the kernel allows: what is low is scarce. */
static const char *load_initrd(struct loading *l, u64 zero_page)
{
	const struct blob *rd = &l->in->initrd;
	u64 end = MIN(l->top, blob_get(&l->in->kernel, HDR_INITRD_ADDR_MAX, 4) + 1);
	u64 start = ALIGN_DOWN(end - rd->len, PAGE_SIZE);
	if (!rd->len) {
		return NULL;
	}
	if (rd->len > end || start < MIB || !load_claim(l, start, rd->len)) {
		return "initrd does not fit into the partition's memory";
	}
	load_bytes(l, start, rd->data, rd->len);
	load_poke(l, zero_page + HDR_RAMDISK_IMAGE, start, 4);
	load_poke(l, zero_page + HDR_RAMDISK_SIZE, rd->len, 4);
	return NULL;
}

/* All else stays 0: screen_info too, so that the kernel looks for no display. */
static void fill_zero_page(struct loading *l, u64 zero_page, u64 cmdline, u64 start)
{
	const struct blob *k = &l->in->kernel;
	struct e820_entry e[E820_MAX];
	u32 nr = guest_e820(l->mem, e);
	u64 end = MIN(HDR_MAGIC + blob_get(k, HDR_JUMP_LEN, 1), HDR_END);
	load_bytes(l, zero_page + HDR_START, (const u8 *)k->data + HDR_START, end - HDR_START);
	load_poke(l, zero_page + HDR_TYPE_OF_LOADER, LOADER_UNKNOWN, 1);
	load_poke(l, zero_page + HDR_CODE32_START, start, 4);
	load_poke(l, zero_page + HDR_EXT_LOADER_VER, 0, 2); /* and type */
	load_poke(l, zero_page + HDR_CMD_LINE_PTR, cmdline, 4);
	load_poke(l, zero_page + HDR_RAMDISK_IMAGE, 0, 8); /* and size */
	load_poke(l, zero_page + ZP_ACPI_RSDP, l->in->rsdp.v, 8);
	load_poke(l, zero_page + ZP_E820_ENTRIES, nr, 1);
	for (u32 i = 0; i < nr; i++) {
		load_bytes(l, zero_page + ZP_E820_TABLE + i * E820_LEN, &e[i], E820_LEN);
	}
}

const char *load_linux(struct loading *l)
{
	const char *cmdline = l->in->cfg->cmdline;
	u64 start;
	const char *why = check_header(&l->in->kernel, cmdline) ?: load_kernel(l, &start);
	if (why) {
		return why;
	}
	u64 zero_page = load_low(l, NULL, PAGE_SIZE, PAGE_SIZE);
	u64 cmdline_at = load_string(l, cmdline);
	bool is_64 = blob_get(&l->in->kernel, HDR_XLOADFLAGS, 2) & XLF_KERNEL_64;
	why = is_64 ? load_enter_long(l, start + ENTRY_64) : load_enter_protected(l, start);
	if (why) {
		return why;
	}
	fill_zero_page(l, zero_page, cmdline_at, start);
	l->out->gpr[GPR_RSI] = zero_page;
	return load_initrd(l, zero_page);
}
