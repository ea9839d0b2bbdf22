/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PC around one vCPU: which device sits where and which line goes to which input. Knows devices
 * and the console's partition end; knows no backend and no physical hardware. Called by the run loop and partition.c.
 */
#include "kernel/partition.h"
#include "log.h"

#define UART_IRQ	4
#define RTC_IRQ		8
#define IRQ0_IOAPIC_PIN 2 /* the MADT's interrupt source override says so */

static u64 clock_now(void *ctx)
{
	return partition_now_ns(ctx);
}

/* An ISA line goes to both controllers; the one that is programmed delivers. */
static void isa_line(void *ctx, u32 line, bool level)
{
	struct pc *pc = ctx;
	vpic_set_line(&pc->pic, line, level);
	vioapic_set_line(&pc->ioapic, line == 0 ? IRQ0_IOAPIC_PIN : line, level);
}

static struct irq_line isa_irq(struct pc *pc, u32 line)
{
	return (struct irq_line){ .set = isa_line, .ctx = pc, .line = line };
}

enum delivery_mode { DM_FIXED = 0, DM_LOWEST = 1, DM_NMI = 4, DM_EXTINT = 7 };

static void deliver(struct pc *pc, u8 mode, u8 vector, bool is_level)
{
	switch (mode) {
	case DM_FIXED:
	case DM_LOWEST: vlapic_accept(&pc->lapic, vector, is_level); break;
	case DM_NMI: pc->lapic.nmi_pending = true; break;
	default: break; /* SMI, INIT: nothing behind them; ExtINT comes by LINT0 */
	}
}

static void ioapic_deliver(void *ctx, const struct vioapic_message *m)
{
	struct pc *pc = ctx;
	if (vlapic_matches(&pc->lapic, m->dest, m->is_logical, false)) {
		deliver(pc, m->mode, m->vector, m->is_level);
	}
}

static void lapic_send_ipi_to(void *ctx, const struct vlapic_ipi *ipi)
{
	struct partition *p = ctx;
	enum { SH_NONE, SH_SELF, SH_ALL, SH_OTHERS };
	bool is_self = ipi->shorthand == SH_SELF || ipi->shorthand == SH_ALL;
	if (ipi->shorthand == SH_NONE) {
		is_self = vlapic_matches(&p->pc.lapic, ipi->dest, ipi->is_logical, ipi->is_x2apic);
	}
	if (is_self) {
		deliver(&p->pc, ipi->mode, ipi->vector, false);
	}
}

static void lapic_eoi_to_ioapic(void *ctx, u8 vector)
{
	struct partition *p = ctx;
	vioapic_eoi(&p->pc.ioapic, vector);
}

static u64 lapic_guest_tsc(void *ctx)
{
	struct partition *p = ctx;
	return p->host->tsc() + p->vcpu.ops->get(&p->vcpu, VREG_TSC_OFFSET);
}

static u64 lapic_tsc_to_ns(void *ctx, u64 guest_tsc)
{
	struct partition *p = ctx;
	u64 host = guest_tsc - p->vcpu.ops->get(&p->vcpu, VREG_TSC_OFFSET);
	/* a deadline before birth, or one that wrapped, is simply past */
	return (s64)(host - p->birth_tsc) < 0 ? 0 : tsc_to_ns(&p->host->time, host - p->birth_tsc);
}

static size_t uart_tx_room(void *ctx)
{
	struct partition *p = ctx;
	return console_source_room(&p->pc.console);
}

static void uart_tx(void *ctx, u8 byte)
{
	struct partition *p = ctx;
	console_source_tx(&p->pc.console, byte, partition_now_ns(p));
}

static void acpi_notify(void *ctx, enum vacpi_event e, const char *how)
{
	const struct partition *p = ctx;
	log("[%s] %s by %s", p->cfg->name, e == VACPI_POWEROFF ? "poweroff" : "reset", how);
	/* nobody restarts it yet, and a panic must not pass for a clean end: a reset is a failure */
	partition_end(ctx, e == VACPI_POWEROFF, e == VACPI_POWEROFF ? "poweroff" : "reset", 0);
}

static u64 debug_exit_read(void *self, u64 offset, u32 width)
{
	(void)self, (void)offset, (void)width;
	return 0;
}

static void debug_exit_write(void *self, u64 offset, u32 width, u64 value)
{
	(void)width;
	if (offset == 0) {
		partition_end(self, value == 0, "exit", value);
	}
}

static const struct vdev_ops debug_exit_ops = { .read = debug_exit_read, .write = debug_exit_write };

/* The map of the PC: ports, then MMIO. debug-exit is four ports where it has room, else one. */
static enum status attach_all(struct partition *p)
{
	struct pc *pc = &p->pc;
	const struct bus_range debug_exit = { p->cfg->debug_exit, 4, "debug-exit", &debug_exit_ops, p };
	const struct {
		struct bus *bus;
		struct bus_range range;
	} map[] = {
		{ &pc->ports, { 0x20, 2, "pic", &vpic_master_ops, &pc->pic } },
		{ &pc->ports, { 0x40, 4, "pit", &vpit_ops, &pc->pit } },
		{ &pc->ports, { 0x60, 1, "kbc-data", &vacpi_kbc_data_ops, &pc->acpi } },
		{ &pc->ports, { 0x61, 1, "port61", &vpit_port61_ops, &pc->pit } },
		{ &pc->ports, { 0x64, 1, "kbc", &vacpi_kbc_ops, &pc->acpi } },
		{ &pc->ports, { 0x70, 2, "rtc", &vrtc_ops, &pc->rtc } },
		{ &pc->ports, { 0x92, 1, "port92", &vacpi_port92_ops, &pc->acpi } },
		{ &pc->ports, { 0xa0, 2, "pic2", &vpic_slave_ops, &pc->pic } },
		{ &pc->ports, { 0x3f8, 8, "uart", &vuart_ops, &pc->uart } },
		{ &pc->ports, { 0x4d0, 2, "elcr", &vpic_elcr_ops, &pc->pic } },
		{ &pc->ports, { VACPI_PM1_EVT, VACPI_BLOCK_LEN, "acpi", &vacpi_pm_ops, &pc->acpi } },
		{ &pc->ports, { 0xcf9, 1, "reset", &vacpi_cf9_ops, &pc->acpi } },
		{ &pc->mmio, { VIOAPIC_BASE, PAGE_SIZE, "ioapic", &vioapic_ops, &pc->ioapic } },
		{ &pc->mmio, { VLAPIC_BASE, PAGE_SIZE, "lapic", &vlapic_mmio_ops, &pc->lapic } },
	};
	enum status s = STATUS_OK;
	for (u32 i = 0; i < ARRAY_SIZE(map) && s == STATUS_OK; i++) {
		s = bus_attach(map[i].bus, &map[i].range);
	}
	if (s == STATUS_OK && p->cfg->has_debug_exit) {
		s = bus_attach(&pc->ports, &debug_exit);
		struct bus_range one = debug_exit;
		one.len = 1;
		s = s == STATUS_OVERLAP ? bus_attach(&pc->ports, &one) : s;
	}
	return s;
}

enum status pc_init(struct partition *p)
{
	struct pc *pc = &p->pc;
	const struct host *h = p->host;
	u64 wall = h->wall_seconds + tsc_to_ns(&h->time, h->tsc() - h->wall_tsc) / NSEC_PER_SEC;
	pc->clock = (struct vclock){ .now_ns = clock_now, .ctx = p };
	pc->uart_backend =
		(struct vuart_backend){ .tx_room = uart_tx_room, .tx = uart_tx, .ctx = p };
	pc->lapic_env = (struct vlapic_env){ .now_ns = clock_now,
					     .tsc_to_ns = lapic_tsc_to_ns,
					     .guest_tsc = lapic_guest_tsc,
					     .send_ipi = lapic_send_ipi_to,
					     .eoi_broadcast = lapic_eoi_to_ioapic,
					     .ctx = p };
	vuart_init(&pc->uart, &pc->uart_backend, &pc->clock, isa_irq(pc, UART_IRQ));
	vpic_init(&pc->pic);
	vpit_init(&pc->pit, &pc->clock, isa_irq(pc, 0));
	vrtc_init(&pc->rtc, &pc->clock, isa_irq(pc, RTC_IRQ), wall);
	vacpi_init(&pc->acpi, &pc->clock, isa_irq(pc, VACPI_SCI_IRQ));
	pc->acpi.notify = acpi_notify;
	pc->acpi.ctx = p;
	vlapic_init(&pc->lapic, &pc->lapic_env, 0, true, h->has_x2apic);
	vlapic_set_virtual_wire(&pc->lapic);
	vioapic_init(&pc->ioapic, 1, ioapic_deliver, pc);
	return attach_all(p);
}

static u64 uart_poll(struct partition *p, u64 now_ns)
{
	struct pc *pc = &p->pc;
	while (vuart_rx_room(&pc->uart) > 0) {
		int c = console_source_getc(&pc->console);
		if (c < 0) {
			break;
		}
		vuart_rx(&pc->uart, (u8)c);
	}
	/* A prompt is what an idle guest leaves behind; a busy one may only be slow, or preempted */
	bool is_idle = p->vcpu.is_halted && !pc->uart.has_tx_held;
	u64 flush = is_idle ? 0 : pc->console.quiet_since_ns + NSEC_PER_SEC;
	if (now_ns >= flush || !pc->console.len) {
		flush = console_source_flush(&pc->console, now_ns);
	}
	return MIN(flush, vuart_poll(&pc->uart, now_ns));
}

u64 pc_poll(struct partition *p, u64 now_ns)
{
	struct pc *pc = &p->pc;
	u64 next = vlapic_poll(&pc->lapic, now_ns);
	next = MIN(next, vpit_poll(&pc->pit, now_ns));
	next = MIN(next, vrtc_poll(&pc->rtc, now_ns));
	next = MIN(next, vacpi_poll(&pc->acpi, now_ns));
	next = MIN(next, uart_poll(p, now_ns));
	pc->deadline_ns = next;
	return next;
}

bool pc_has_irq(const struct pc *pc)
{
	return vlapic_pending(&pc->lapic) >= 0 ||
	       (vpic_is_pending(&pc->pic) && vlapic_takes_extint(&pc->lapic));
}

u8 pc_ack_irq(struct pc *pc)
{
	/* ExtINT goes first: the 8259 has no priority among local vectors (SDM 3A 11.8.3) */
	if (vpic_is_pending(&pc->pic) && vlapic_takes_extint(&pc->lapic)) {
		return vpic_ack(&pc->pic);
	}
	u8 vector = (u8)vlapic_pending(&pc->lapic);
	vlapic_ack(&pc->lapic, vector);
	return vector;
}
