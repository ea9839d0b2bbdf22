/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What boot hands to kmain(): the boot loader's facts in one form, whichever loader it was.
 * Const once kmain starts. All addresses are host-physical; the hypervisor maps them one to one.
 */
#ifndef BULKHEAD_BOOT_INFO_H
#define BULKHEAD_BOOT_INFO_H

#include "types.h"

#define BOOT_MAX_MEM	 128
#define BOOT_MAX_MODULES 64
#define BOOT_CMDLINE_MAX 1024
#define BOOT_NAME_MAX	 128

struct mem_range {
	u64 base, len;
	bool is_usable;
};

/* @name: the module's string in grub.cfg; behind `-kernel -initrd "path name"`, what follows the path */
struct boot_module {
	hpa start;
	u64 len;
	char name[BOOT_NAME_MAX];
};

/**
 * struct boot_info - @mem sorted, without overlap; a byte is usable only if no entry says otherwise
 * @status: of reading the loader's data: unless STATUS_OK, the rest is incomplete
 * @rsdp:  bytes of the ACPI RSDP the loader gave (36 at most), rsdp_len 0 if it gave none
 * @image: the hypervisor from its first byte to the end of .bss
 * @sha256: of the loaded image (text, rodata, data) before anything wrote to it
 */
struct boot_info {
	char cmdline[BOOT_CMDLINE_MAX];
	struct mem_range mem[BOOT_MAX_MEM];
	u32 nr_mem;
	struct boot_module modules[BOOT_MAX_MODULES];
	u32 nr_modules;
	u8 rsdp[36];
	u32 rsdp_len;
	hpa image_start, image_end;
	u8 sha256[32];
	u64 tsc; /* at the first line of C */
	enum status status;
};

/** kmain() - boot's one way up. Never returns. */
void kmain(const struct boot_info *info) __attribute__((noreturn));

#endif
