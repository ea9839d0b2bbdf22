/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot2 boot information (specification 2.0, 3.6) to struct boot_info. Trusts no length: every
 * byte that is read lies inside the buffer and inside its own tag. Pure; boot_main() calls it.
 */
#include "boot.h"
#include "lib/lib.h"

enum tag_type {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_MMAP = 6,
	TAG_RSDP_OLD = 14,
	TAG_RSDP_NEW = 15,
};

struct tag {
	u32 type, size;
};

struct tag_module {
	struct tag tag;
	u32 start, end;
	char string[];
};
static_assert(sizeof(struct tag_module) == 16, "3.6.6 Modules");

struct tag_mmap {
	struct tag tag;
	u32 entry_size, entry_version;
};

struct mmap_entry {
	u64 base, len;
	u32 type, reserved;
};
static_assert(sizeof(struct mmap_entry) == 24, "3.6.8 Memory map");

/* a string is what the tag holds after @offset, up to its NUL, if there is one */
static void copy_string(char *to, size_t size, const void *tag, size_t offset)
{
	u32 len = ((const struct tag *)tag)->size - (u32)offset;
	format(to, size, "%.*s", (int)len, (const char *)tag + offset);
}

static enum status parse_module(const void *data, struct boot_info *out)
{
	const struct tag_module *t = data;
	char name[BOOT_NAME_MAX];

	if (t->tag.size < sizeof(*t)) {
		return STATUS_TRUNCATED;
	}
	copy_string(name, sizeof(name), t, sizeof(*t));
	return module_add(out, t->start, t->end, name);
}

static enum status parse_mmap(const void *data, struct boot_info *out)
{
	const struct tag_mmap *t = data;
	struct mmap_entry e;
	enum status s = STATUS_OK;

	if (t->tag.size < sizeof(*t) || t->entry_size < sizeof(e)) {
		return STATUS_TRUNCATED;
	}
	for (u32 at = sizeof(*t); s == STATUS_OK && t->tag.size - at >= sizeof(e);) {
		memcpy(&e, (const u8 *)data + at, sizeof(e));
		s = memory_add(out, e.base, e.len, e.type == MEM_AVAILABLE);
		at += MIN(t->entry_size, t->tag.size - at);
	}
	return s;
}

/* A firmware with both has the XSDT only in the new one */
static void parse_rsdp(const struct tag *t, struct boot_info *out)
{
	if (t->type == TAG_RSDP_NEW || out->rsdp_len == 0) {
		out->rsdp_len = MIN(t->size - (u32)sizeof(*t), (u32)sizeof(out->rsdp));
		memcpy(out->rsdp, t + 1, out->rsdp_len);
	}
}

static enum status parse_tag(const struct tag *t, struct boot_info *out)
{
	switch (t->type) {
	case TAG_CMDLINE: copy_string(out->cmdline, sizeof(out->cmdline), t, sizeof(*t)); break;
	case TAG_MODULE: return parse_module(t, out);
	case TAG_MMAP: return parse_mmap(t, out);
	case TAG_RSDP_OLD:
	case TAG_RSDP_NEW: parse_rsdp(t, out); break;
	default: break;
	}
	return STATUS_OK;
}

enum status multiboot2_parse(const void *data, size_t len, struct boot_info *out)
{
	enum status s = STATUS_OK;
	u32 total_size;

	if (len < 8) {
		return STATUS_TRUNCATED;
	}
	memcpy(&total_size, data, sizeof(total_size));
	len = MIN(len, total_size);
	for (size_t at = 8; s == STATUS_OK;) {
		const struct tag *t = (const void *)((const u8 *)data + at);
		if (at > len || len - at < sizeof(*t) || t->size < sizeof(*t) ||
		    t->size > len - at) {
			return STATUS_TRUNCATED;
		}
		if (t->type == TAG_END) {
			break;
		}
		s = parse_tag(t, out);
		at += ALIGN_UP((size_t)t->size, 8);
	}
	memory_normalise(out);
	return s == STATUS_OK && out->nr_mem == 0 ? STATUS_NOT_FOUND : s;
}
