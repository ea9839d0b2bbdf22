/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lies between GRUB and kmain: parsers of what the loader left (pure), and what the kernel
 * needs of the early world later: stacks, and the way in for the other CPUs.
 */
#ifndef BULKHEAD_BOOT_H
#define BULKHEAD_BOOT_H

#include "boot_info.h"

#define MULTIBOOT1_MAGIC 0x2badb002 /* in EAX at entry */
#define MULTIBOOT2_MAGIC 0x36d76289

/* @map: a pointer to [addr, addr+len), or NULL if that cannot be read */
struct boot_window {
	const void *(*map)(void *ctx, u64 addr, u64 len);
	void *ctx;
};

/**
 * multiboot2_parse() - fill cmdline, mem, modules and rsdp of @out (zeroed before)
 * @data: the boot information, @len bytes of it readable; its own total_size may say less
 *
 * Multiboot2 Specification 2.0, 3.6. Unknown tags are skipped.
 * Return: STATUS_TRUNCATED, STATUS_NOT_FOUND (no memory map), STATUS_FULL.
 */
enum status must_check multiboot2_parse(const void *data, size_t len, struct boot_info *out);

/** multiboot1_parse() - likewise, from the structure at @addr. Specification 0.6.96, 3.3. */
enum status must_check multiboot1_parse(const struct boot_window *w, u64 addr,
					struct boot_info *out);

/* Multiboot memory map entries of both versions; any other type is reserved. */
#define MEM_AVAILABLE 1

/** memory_add() - one entry of the firmware's map, as it comes. Return: STATUS_FULL. */
enum status must_check memory_add(struct boot_info *out, u64 base, u64 len, bool is_usable);

/** memory_normalise() - sorted, disjoint, reserved beats usable, neighbours of one kind merged. */
void memory_normalise(struct boot_info *out);

/** module_add() - @name is @max bytes at most. Return: STATUS_FULL, STATUS_BAD_VALUE (bad range) */
enum status must_check module_add(struct boot_info *out, u64 start, u64 end, const char *name,
				  size_t max);

/* linker.ld */
extern const u8 image_start[], text_end[], rodata_end[], data_end[], image_end[];

/*
 * Stacks of the first CPU: the main one, then those of NMI, #DF and #MC. The guard pages are mapped
 * until host_memory_init().
 */
#define STACK_SIZE     (16 * KIB) /* the deepest path, log lines out of a build, takes 6 */
#define NR_BOOT_STACKS 4
struct boot_stack {
	u8 guard[PAGE_SIZE];
	u8 bytes[STACK_SIZE];
};
static_assert(sizeof(struct boot_stack) == 0x5000, "GUARDED_STACK in head.S");
extern struct boot_stack boot_stacks[NR_BOOT_STACKS];

/*
 * Where a startup IPI leads: @trampoline_start is copied to a page below 1 MiB; from there a CPU
 * comes to long mode on the early page tables, loads @cr3 and @stack and calls @entry(@arg).
 */
struct ap_start {
	u64 cr3, stack, arg;
	void (*entry)(void *arg);
};
static_assert(offsetof(struct ap_start, entry) == 24, "ap_long in head.S");
extern struct ap_start ap_start;
extern const u8 trampoline_start[], trampoline_end[];

#endif
