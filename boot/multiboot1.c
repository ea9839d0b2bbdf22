/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot (1) boot information (specification 0.6.96, 3.3) to struct boot_info, for the quick way
 * in: `qemu -kernel`. The structure points all over low memory, so it is read through a window, at
 * whatever alignment. Pure; boot_main() calls it.
 */
#include "boot.h"
#include "lib/lib.h"

#define FLAG_CMDLINE BIT(2)
#define FLAG_MODS    BIT(3)
#define FLAG_MMAP    BIT(6)

#define packed __attribute__((packed))
struct packed multiboot1_info {
	u32 flags;
	u32 mem_lower, mem_upper;
	u32 boot_device;
	u32 cmdline;
	u32 mods_count, mods_addr;
	u32 syms[4];
	u32 mmap_length, mmap_addr;
};
static_assert(offsetof(struct multiboot1_info, mmap_addr) == 48, "3.3 Boot information format");

struct packed multiboot1_module {
	u32 start, end, string, reserved;
};

struct packed multiboot1_mmap {
	u32 size; /* of what follows */
	u64 base, len;
	u32 type;
};
static_assert(sizeof(struct multiboot1_mmap) == 24, "mmap_* in 3.3");

/* the string at @addr without its first word, the name of a file on the host */
static enum status read_args(const struct boot_window *w, u64 addr, char *to, size_t size)
{
	const char *c = w->map(w->ctx, addr, 1);
	size_t n = 0;

	for (bool is_args = false; c && *c && n + 1 < size; c = w->map(w->ctx, ++addr, 1)) {
		if (is_args) {
			to[n++] = *c;
		}
		is_args |= *c == ' ';
	}
	to[n] = 0;
	return c ? STATUS_OK : STATUS_TRUNCATED;
}

static enum status parse_modules(const struct boot_window *w, const struct multiboot1_info *info,
				 struct boot_info *out)
{
	const struct multiboot1_module *m;
	char name[BOOT_NAME_MAX];
	enum status s = STATUS_OK;

	for (u32 i = 0; s == STATUS_OK && i < info->mods_count; i++) {
		m = w->map(w->ctx, info->mods_addr + (u64)i * sizeof(*m), sizeof(*m));
		s = m ? read_args(w, m->string, name, sizeof(name)) : STATUS_TRUNCATED;
		s = s ? s : module_add(out, m->start, m->end, name, sizeof(name));
	}
	return s;
}

static enum status parse_mmap(const struct boot_window *w, const struct multiboot1_info *info,
			      struct boot_info *out)
{
	const struct multiboot1_mmap *e;
	enum status s = STATUS_OK;
	u64 at = info->mmap_addr, end = at + info->mmap_length;

	while (s == STATUS_OK && at + sizeof(*e) <= end) {
		e = w->map(w->ctx, at, sizeof(*e));
		if (!e) {
			return STATUS_TRUNCATED;
		}
		s = memory_add(out, e->base, e->len, e->type == MEM_AVAILABLE);
		at += sizeof(e->size) + (u64)e->size;
	}
	return s;
}

enum status multiboot1_parse(const struct boot_window *w, u64 addr, struct boot_info *out)
{
	const struct multiboot1_info *info = w->map(w->ctx, addr, sizeof(*info));
	enum status s = info ? STATUS_OK : STATUS_TRUNCATED;

	if (s == STATUS_OK && info->flags & FLAG_CMDLINE) {
		s = read_args(w, info->cmdline, out->cmdline, sizeof(out->cmdline));
	}
	if (s == STATUS_OK && info->flags & FLAG_MODS) {
		s = parse_modules(w, info, out);
	}
	if (s == STATUS_OK && info->flags & FLAG_MMAP) {
		s = parse_mmap(w, info, out);
	}
	memory_normalise(out);
	return s == STATUS_OK && out->nr_mem == 0 ? STATUS_NOT_FOUND : s;
}
