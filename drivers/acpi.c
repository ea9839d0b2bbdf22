// SPDX-License-Identifier: BSD-2-Clause
/*
 * ACPI tables to struct acpi_info. Firmware is taken as hostile bytes: every length is checked and
 * every loop ends with its table. Reads no memory but through the injected window, and evaluates no
 * AML: \_S5 is found by its encoding. Called by the kernel at boot.
 */
#include "drivers/acpi.h"
#include "lib/lib.h"

#define HEADER_LEN   36 /* ACPI 6.5 table 5.4 "DESCRIPTION_HEADER Fields" */
#define TABLE_MAX    (16 * MIB)
#define RSDP_V1_LEN  20
#define RSDP_V2_LEN  36
#define SPACE_MEMORY 0
#define SPACE_IO     1

struct table {
	const u8 *data;
	u32 len;
};

/* A little-endian field; one that lies beyond the table's end was not in that revision: 0. */
static u64 field(const struct table *t, u32 at, u32 bytes)
{
	u64 v = 0;

	if (at > t->len || bytes > t->len - at) {
		return 0;
	}
	while (bytes--) {
		v = v << 8 | t->data[at + bytes];
	}
	return v;
}

static bool has_good_sum(const u8 *p, u32 len)
{
	u8 sum = 0;

	while (len--) {
		sum = (u8)(sum + p[len]);
	}
	return sum == 0;
}

static bool is_named(const struct table *t, const char *name)
{
	return memcmp(t->data, name, 4) == 0;
}

/* Return: true if at @addr is a whole table with a good checksum. */
static bool table_open(const struct acpi_memory *mem, u64 addr, struct table *t)
{
	*t = (struct table){ addr ? mem->map(mem->ctx, addr, HEADER_LEN) : NULL, HEADER_LEN };
	u32 len = t->data ? (u32)field(t, 4, 4) : 0;

	if (len < HEADER_LEN || len > TABLE_MAX) {
		return false;
	}
	*t = (struct table){ mem->map(mem->ctx, addr, len), len };
	return t->data && has_good_sum(t->data, len);
}

static void cpu_add(struct acpi_info *out, u32 apic_id)
{
	for (u32 i = 0; i < out->nr_cpus; i++) {
		if (out->apic_id[i] == apic_id) {
			return;
		}
	}
	if (out->nr_cpus < ACPI_MAX_CPUS) {
		out->apic_id[out->nr_cpus++] = apic_id;
	}
}

/* ACPI 6.5 5.2.12 "Multiple APIC Description Table", structure types 0, 5 and 9 */
static void madt_parse(const struct table *t, struct acpi_info *out)
{
	out->lapic_addr = field(t, 36, 4);
	for (u32 at = 44; at + 2 <= t->len;) {
		struct table e = { t->data + at, MIN(t->data[at + 1], t->len - at) };
		if (e.len < 2) {
			break;
		}
		if (e.data[0] == 0 && field(&e, 4, 4) & 1 && e.data[3] != 0xff) {
			cpu_add(out, e.data[3]);
		} else if (e.data[0] == 9 && field(&e, 8, 4) & 1) {
			cpu_add(out, (u32)field(&e, 4, 4));
		} else if (e.data[0] == 5 && e.len >= 12) {
			out->lapic_addr = field(&e, 4, 8);
		}
		at += e.len;
	}
}

/* An AML integer (ACPI 6.5 20.2.3 "Data Objects Encoding"). Return: its end, or 0 if it is none. */
static u32 aml_integer(const struct table *t, u32 at, u64 *value)
{
	u8 op = (u8)field(t, at, 1);
	u32 bytes = op == 0x0a ? 1 : op == 0x0b ? 2 : op == 0x0c ? 4 : 0;

	if (at >= t->len || (!bytes && op > 1) || bytes >= t->len - at) {
		return 0;
	}
	*value = bytes ? field(t, at + 1, bytes) : op; /* ZeroOp and OneOp are their own value */
	return at + 1 + bytes;
}

/*
 * Name (\_S5, Package () { typ_a, typ_b, ...}): NameOp 08, [5c], "_S5_", PackageOp 12, PkgLength
 * whose bits 7:6 count further bytes, NumElements. ACPI 6.5 20.2.4 and 20.2.5.4.
 */
static void s5_parse(const struct table *t, u32 at, struct acpi_info *out)
{
	u64 a, b;

	if (field(t, at, 4) != 0x5f35535f || field(t, at + 4, 1) != 0x12 ||
	    (t->data[at - 1] != 0x08 && (t->data[at - 1] != '\\' || t->data[at - 2] != 0x08))) {
		return;
	}
	u32 elements = at + 7 + ((u32)field(t, at + 5, 1) >> 6);
	u32 next = field(t, elements - 1, 1) ? aml_integer(t, elements, &a) : 0;
	if (!next || a > 7) {
		return;
	}
	out->has_s5 = true;
	out->s5_typ_a = (u8)a;
	out->s5_typ_b = (u8)(aml_integer(t, next, &b) && b <= 7 ? b : a);
}

/* The 64-bit form of a register block wins, as far as it is an I/O port; 0 = none. */
static u16 fadt_port(const struct table *t, u32 at, u32 x_at)
{
	u64 port = field(t, x_at + 4, 8);

	if (!port) {
		port = field(t, at, 4);
	} else if (field(t, x_at, 1) != SPACE_IO) {
		return 0;
	}
	return port <= 0xffff ? (u16)port : 0;
}

/* ACPI 6.5 table 5.9 "FADT Format" */
static void fadt_parse(const struct acpi_memory *mem, const struct table *t, struct acpi_info *out)
{
	struct table dsdt;
	u64 x_dsdt = field(t, 140, 8);

	out->pm1a_cnt_port = fadt_port(t, 64, 172);
	out->pm1b_cnt_port = fadt_port(t, 68, 184);
	out->pm_timer_port = field(t, 91, 1) == 4 ? fadt_port(t, 76, 208) : 0;
	/* RESET_REG_SUP is bit 10 of the flags; RESET_REG at 116 is a generic address of one byte */
	if (field(t, 112, 4) & BIT(10) && field(t, 116, 1) == SPACE_IO && field(t, 120, 8) <= 0xffff) {
		out->reset_port = (u16)field(t, 120, 8);
		out->reset_value = (u8)field(t, 128, 1);
	}
	if (table_open(mem, x_dsdt ? x_dsdt : field(t, 40, 4), &dsdt) && is_named(&dsdt, "DSDT")) {
		for (u32 at = HEADER_LEN; at < dsdt.len && !out->has_s5; at++) {
			s5_parse(&dsdt, at, out);
		}
	}
}

/*
 * ACPI 6.5 5.2.5.3 "RSDP Structure". Return: the length of the one at @p, where @len bytes can be
 * read; 0 if it is none.
 */
static u32 rsdp_check(const u8 *p, u32 len)
{
	if (len < RSDP_V1_LEN || memcmp(p, "RSD PTR ", 8) != 0 || !has_good_sum(p, RSDP_V1_LEN)) {
		return 0;
	}
	if (p[15] < 2 || len < RSDP_V2_LEN) {
		return RSDP_V1_LEN;
	}
	return has_good_sum(p, RSDP_V2_LEN) ? RSDP_V2_LEN : 0;
}

/* The root table is the XSDT if the RSDP has one. HPET specification 1.0a 3.2.4 */
enum status acpi_parse(const struct acpi_memory *mem, const u8 *rsdp, u32 rsdp_len,
		       struct acpi_info *out)
{
	const struct table pointer = { rsdp, rsdp_check(rsdp, rsdp_len) };
	struct table root, t;
	u64 xsdt = field(&pointer, 24, 8);

	*out = (struct acpi_info){ 0 };
	if (!table_open(mem, xsdt ? xsdt : field(&pointer, 16, 4), &root)) {
		return STATUS_NOT_FOUND;
	}
	u32 width = is_named(&root, "XSDT") ? 8 : 4;
	for (u32 at = HEADER_LEN; at + width <= root.len; at += width) {
		if (!table_open(mem, field(&root, at, width), &t)) {
			continue;
		}
		if (is_named(&t, "APIC") && !out->nr_cpus) {
			madt_parse(&t, out);
		} else if (is_named(&t, "FACP")) {
			fadt_parse(mem, &t, out);
		} else if (is_named(&t, "HPET") && field(&t, 40, 1) == SPACE_MEMORY) {
			out->hpet_addr = field(&t, 44, 8);
		}
	}
	return out->nr_cpus ? STATUS_OK : STATUS_NOT_FOUND;
}

/* ACPI 6.5 5.2.5.1 "Finding the RSDP on IA-PC Systems": first KiB of the EBDA, then the BIOS */
u32 acpi_find_rsdp(const struct acpi_memory *mem, u8 out[36])
{
	const struct table bda = { mem->map(mem->ctx, 0x40e, 2), 2 };
	const u64 base[] = { bda.data ? field(&bda, 0, 2) << 4 : 0, 0xe0000 };
	const u32 len[] = { 1024, 0x20000 };

	for (u32 i = 0; i < ARRAY_SIZE(base); i++) {
		const u8 *area = mem->map(mem->ctx, base[i], len[i]);
		for (u32 at = 0; area && at < len[i]; at += 16) {
			u32 found = rsdp_check(area + at, len[i] - at);
			if (found) {
				memcpy(out, area + at, found);
				return found;
			}
		}
	}
	return 0;
}
