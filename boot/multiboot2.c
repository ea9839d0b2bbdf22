/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot2 boot information (specification 2.0, 3.6) to struct boot_info. Trusts no length: every
 * byte that is read lies inside the buffer and inside its own tag. Pure; boot_main() calls it.
 */
#include "boot.h"
#include "lib/lib.h"

enum { TAG_END, TAG_CMDLINE, TAG_MODULE = 3, TAG_MMAP = 6, TAG_RSDP_OLD = 14, TAG_RSDP_NEW = 15 };

struct tag {
	u32 type, size;
	u32 word[]; /* a module's start and end; the size and version of a map's entries */
};
#define WORDS_END 16 /* behind two words */

struct __attribute__((packed)) mmap_entry {
	u64 base, len;
	u32 type, reserved;
};
static_assert(sizeof(struct mmap_entry) == 24, "3.6.8 Memory map");

static enum status parse_module(const struct tag *t, struct boot_info *out)
{
	if (t->size < WORDS_END) {
		return STATUS_TRUNCATED;
	}
	const char *name = (const char *)&t->word[2];
	return module_add(out, t->word[0], t->word[1], name, t->size - WORDS_END);
}

static enum status parse_mmap(const struct tag *t, struct boot_info *out)
{
	enum status s = STATUS_OK;

	if (t->size < WORDS_END || t->word[0] < sizeof(struct mmap_entry)) {
		return STATUS_TRUNCATED;
	}
	for (u64 at = WORDS_END; s == STATUS_OK && at + sizeof(struct mmap_entry) <= t->size;) {
		const struct mmap_entry *e = (const void *)((const u8 *)t + at);
		s = memory_add(out, e->base, e->len, e->type == MEM_AVAILABLE);
		at += t->word[0];
	}
	return s;
}

static enum status parse_tag(const struct tag *t, struct boot_info *out)
{
	u32 len = t->size - (u32)sizeof(*t);

	switch (t->type) {
	case TAG_CMDLINE:
		format(out->cmdline, sizeof(out->cmdline), "%.*s", (int)len, (const char *)t->word);
		return STATUS_OK;
	case TAG_MODULE: return parse_module(t, out);
	case TAG_MMAP: return parse_mmap(t, out);
	case TAG_RSDP_OLD:
	case TAG_RSDP_NEW: /* a firmware with both has the XSDT only in the new one */
		if (t->type == TAG_RSDP_NEW || out->rsdp_len == 0) {
			out->rsdp_len = MIN(len, (u32)sizeof(out->rsdp));
			memcpy(out->rsdp, t->word, out->rsdp_len);
		}
		return STATUS_OK;
	default: return STATUS_OK;
	}
}

enum status multiboot2_parse(const void *data, size_t len, struct boot_info *out)
{
	enum status s = len < 8 ? STATUS_TRUNCATED : STATUS_OK;

	len = s == STATUS_OK ? MIN(len, *(const u32 *)data) : 0; /* total_size */
	for (size_t at = 8; s == STATUS_OK;) {
		const struct tag *t = (const void *)((const u8 *)data + at);
		if (at + sizeof(*t) > len || t->size < sizeof(*t) || t->size > len - at) {
			s = STATUS_TRUNCATED;
		} else if (t->type == TAG_END) {
			break;
		} else {
			s = parse_tag(t, out);
			at += ALIGN_UP((size_t)t->size, 8);
		}
	}
	memory_normalise(out);
	return s == STATUS_OK && out->nr_mem == 0 ? STATUS_NOT_FOUND : s;
}
