// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ACPI tables a guest finds: RSDP, XSDT, FADT, FACS, MADT, and the DSDT that iasl compiled from
 * acpi/dsdt.asl. They describe the virtual PC of devices/ and nothing of the host. ACPI 6.5,
 * chapter 5. Called before a partition's kernel is loaded.
 *
 *	GUEST_ACPI_BASE  RSDP | XSDT | FACS | DSDT | FADT | MADT   each 64-byte aligned
 */
#include "config.h"
#include "devices/vacpi.h"
#include "devices/vioapic.h"
#include "devices/vlapic.h"
#include "lib/lib.h"
#include "loader.h"
#include "log.h"
#include "dsdt.h"

#define packed __attribute__((packed))

struct rsdp {
	char signature[8];
	u8 checksum; /* of the first 20 bytes */
	char oem[6];
	u8 revision;
	u32 rsdt;
	u32 len;
	u64 xsdt;
	u8 checksum_all;
	u8 reserved[3];
} packed;
static_assert(sizeof(struct rsdp) == 36, "ACPI 6.5 5.2.5.3");

struct acpi_header {
	char signature[4];
	u32 len;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision;
	char creator[4];
	u32 creator_revision;
} packed;
static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.5 5.2.6");

struct xsdt {
	struct acpi_header h;
	u64 entry[2];
} packed;

/* Generic address: space 1 is system I/O; access 1 byte, 2 word, 3 dword */
struct gas {
	u8 space, bits, offset, access;
	u64 addr;
} packed;
#define GAS_IO(nr_bits, width, port) { .space = 1, .bits = nr_bits, .access = width, .addr = port }

struct fadt {
	struct acpi_header h;
	u32 facs, dsdt;
	u8 reserved0, profile;
	u16 sci_int;
	u32 smi_cmd;
	u8 acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	u32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	u8 pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	u16 c2_latency, c3_latency, flush_size, flush_stride;
	u8 duty_offset, duty_width, day_alarm, month_alarm, century;
	u16 boot_arch;
	u8 reserved1;
	u32 flags;
	struct gas reset_reg;
	u8 reset_value;
	u16 arm_boot_arch;
	u8 minor;
	u64 x_facs, x_dsdt;
	struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
	struct gas sleep_control, sleep_status;
	u64 hypervisor;
} packed;
static_assert(offsetof(struct fadt, boot_arch) == 109, "ACPI 6.5 5.2.9");
static_assert(offsetof(struct fadt, x_pm1a_evt) == 148, "ACPI 6.5 5.2.9");
static_assert(sizeof(struct fadt) == 276, "ACPI 6.5 5.2.9");

#define BOOT_ARCH_LEGACY BIT(0) /* devices that only legacy means find */
#define BOOT_ARCH_8042	 BIT(1)
#define BOOT_ARCH_NO_VGA BIT(2)
#define FADT_WBINVD	 BIT(0)
#define FADT_PROC_C1	 BIT(2)
#define FADT_NO_PWR_BTN	 BIT(4) /* bits 4 and 5: not as fixed hardware */
#define FADT_NO_SLP_BTN	 BIT(5)
#define FADT_NO_FIX_RTC	 BIT(6)
#define FADT_RESET_REG	 BIT(10)

struct facs {
	char signature[4];
	u32 len;
	u32 hardware_signature, waking_vector, global_lock, flags;
	u64 x_waking_vector;
	u8 version;
	u8 reserved[31];
} packed;
static_assert(sizeof(struct facs) == 64, "ACPI 6.5 5.2.10");

struct madt {
	struct acpi_header h;
	u32 lapic_base;
	u32 flags; /* 1: there are 8259s too */
	struct madt_ioapic {
		u8 type, len, id, reserved;
		u32 base, gsi;
	} packed ioapic;
	struct madt_iso {
		u8 type, len, bus, irq;
		u32 gsi;
		u16 flags;
	} packed iso[2];
	struct madt_nmi {
		u8 type, len, uid;
		u16 flags;
		u8 lint;
	} packed nmi;
	struct madt_lapic {
		u8 type, len, uid, id;
		u32 flags;
	} packed lapic[CONFIG_MAX_VCPUS]; /* last, so that the table may end early */
} packed;
static_assert(offsetof(struct madt, lapic) == 44 + 12 + 2 * 10 + 6, "ACPI 6.5 5.2.12");

struct tables {
	const struct gmem *mem;
	u64 next;
};

static u8 checksum(const void *data, u32 len)
{
	u8 sum = 0;
	for (u32 i = 0; i < len; i++) {
		sum = (u8)(sum + ((const u8 *)data)[i]);
	}
	return (u8)-sum;
}

/* Put @len bytes at the next free place, which guest_acpi_build() saw is RAM. Return: where. */
static u64 put(struct tables *t, const void *data, u32 len)
{
	u64 at = t->next;
	BUG_ON(!gmem_write(t->mem, GPA(at), data, len));
	t->next = ALIGN_UP(at + len, 64);
	return at;
}

static u64 put_table(struct tables *t, struct acpi_header *h, const char *signature, u32 len)
{
	memcpy(h->signature, signature, sizeof(h->signature));
	h->len = len;
	memcpy(h->oem, "BULKHD", sizeof(h->oem));
	memcpy(h->oem_table, "GUEST   ", sizeof(h->oem_table));
	h->oem_revision = 1;
	memcpy(h->creator, "BLKH", sizeof(h->creator));
	h->creator_revision = 1;
	h->checksum = checksum(h, len);
	return put(t, h, len);
}

/* Every LAPIC enabled, IDs from 0; the I/O APIC's ID follows. Flags of an override: 0 as the bus
 * (ISA: edge, high), 0xd level and high. */
static u64 put_madt(struct tables *t, u32 nr_vcpus)
{
	struct madt m = {
		.h.revision = 5,
		.lapic_base = VLAPIC_BASE,
		.flags = 1,
		.ioapic = { 1, sizeof(m.ioapic), (u8)nr_vcpus, 0, VIOAPIC_BASE, 0 },
		.iso = { { 2, sizeof(m.iso[0]), 0, 0, 2, 0 },
			 { 2, sizeof(m.iso[0]), 0, VACPI_SCI_IRQ, VACPI_SCI_IRQ, 0xd } },
		.nmi = { 4, sizeof(m.nmi), 0xff, 0, 1 },
	};
	for (u32 i = 0; i < nr_vcpus; i++) {
		m.lapic[i] = (struct madt_lapic){ 0, sizeof(m.lapic[0]), (u8)i, (u8)i, 1 };
	}
	return put_table(t, &m.h, "APIC",
			 (u32)(offsetof(struct madt, lapic) + nr_vcpus * sizeof(m.lapic[0])));
}

/* SMI_CMD 0: ACPI is on and stays on (ACPI 6.5 4.8.2.5). Latencies this long: no C2, no C3. */
static u64 put_fadt(struct tables *t, u64 facs, u64 dsdt)
{
	struct fadt f = {
		.h.revision = 6,
		.facs = (u32)facs,
		.dsdt = (u32)dsdt,
		.sci_int = VACPI_SCI_IRQ,
		.pm1a_evt = VACPI_PM1_EVT,
		.pm1a_cnt = VACPI_PM1_CNT,
		.pm_tmr = VACPI_PM_TMR,
		.pm1_evt_len = 4,
		.pm1_cnt_len = 2,
		.pm_tmr_len = 4,
		.c2_latency = 0xfff,
		.c3_latency = 0xfff,
		.boot_arch = BOOT_ARCH_LEGACY | BOOT_ARCH_8042 | BOOT_ARCH_NO_VGA,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_PWR_BTN | FADT_NO_SLP_BTN |
			 FADT_NO_FIX_RTC | FADT_RESET_REG,
		.reset_reg = GAS_IO(8, 1, 0xcf9),
		.reset_value = 6,
		.x_dsdt = dsdt,
		.x_pm1a_evt = GAS_IO(32, 2, VACPI_PM1_EVT),
		.x_pm1a_cnt = GAS_IO(16, 2, VACPI_PM1_CNT),
		.x_pm_tmr = GAS_IO(32, 3, VACPI_PM_TMR),
	};
	return put_table(t, &f.h, "FACP", sizeof(f));
}

gpa guest_acpi_build(const struct gmem *mem, u32 nr_vcpus)
{
	struct tables t = { mem, GUEST_ACPI_BASE };
	struct rsdp r = { .signature = "RSD PTR ", .oem = "BULKHD", .revision = 2, .len = sizeof(r) };
	struct xsdt x = { .h.revision = 1 };
	struct facs f = { .signature = "FACS", .len = sizeof(f), .version = 2 };
	if (!gmem_fill(mem, GPA(GUEST_ACPI_BASE), 0, GUEST_ACPI_LEN) || nr_vcpus > CONFIG_MAX_VCPUS) {
		return GPA(0);
	}
	u64 rsdp = put(&t, &r, sizeof(r));
	u64 xsdt = put(&t, &x, sizeof(x));
	u64 facs = put(&t, &f, sizeof(f));
	u64 dsdt = put(&t, dsdt_aml_code, sizeof(dsdt_aml_code));
	x.entry[0] = put_fadt(&t, facs, dsdt);
	x.entry[1] = put_madt(&t, nr_vcpus);
	t.next = xsdt;
	put_table(&t, &x.h, "XSDT", sizeof(x));
	t.next = rsdp;
	r.xsdt = xsdt;
	r.checksum = checksum(&r, 20);
	r.checksum_all = checksum(&r, sizeof(r));
	put(&t, &r, sizeof(r));
	return GPA(rsdp);
}
