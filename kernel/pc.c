/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PC around a partition's cores: which device sits where and which line goes to which input. Knows devices
 * and the console's partition end; knows no backend and no physical hardware. Called by the run loop and partition.c.
 */
#include "kernel/partition.h"
#include "kernel/stray.h"
#include "kernel/testdev.h"
#include "lib/lib.h"
#include "log.h"

#define UART_IRQ	4
#define RTC_IRQ		8
#define NR_ISA_LINES	16
#define WATCHDOG_DEVFN	(2 << 3) /* channels come behind it: CHANNEL_DEVICE0 */
#define WATCHDOG_BASE	(VPCI_MMIO_BASE + CONFIG_MAX_ENDS * PAGE_SIZE)
#define POLLS		5000 /* exits since a byte was sent: it polls; ends of its slices are some hundred a second */
#define IRQ0_IOAPIC_PIN 2 /* the MADT's interrupt source override says so */

static u64 clock_now(void *ctx)
{
	return partition_now_ns(ctx);
}

/* An ISA line goes to both controllers; the one that is programmed delivers. Others have only a pin. */
static void isa_line(void *ctx, u32 line, bool level)
{
	struct pc *pc = ctx;
	if (line < NR_ISA_LINES) {
		vpic_set_line(&pc->pic, line, level);
	}
	vioapic_set_line(&pc->ioapic, line == 0 ? IRQ0_IOAPIC_PIN : line, level);
}

struct irq_line pc_irq(struct pc *pc, u32 line)
{
	return (struct irq_line){ .set = isa_line, .ctx = pc, .line = line };
}

enum delivery_mode {
	DM_FIXED = 0, DM_LOWEST = 1, DM_NMI = 4, DM_INIT = 5, DM_STARTUP = 6, DM_EXTINT = 7
};

/* @by: the core on whose CPU this happens, if known */
static void deliver(struct core *c, const struct core *by, const struct vlapic_ipi *m, bool is_level)
{
	switch (m->mode) {
	case DM_FIXED:
	case DM_LOWEST:
		if (c == by || c->v.part->nr_cores == 1) {
			vlapic_accept(&c->lapic, m->vector, is_level);
		} else {
			core_post_vector(c, m->vector, is_level);
		}
		break;
	case DM_NMI:
		if (c == by) {
			c->lapic.nmi_pending = true;
		} else {
			core_post(c, MAIL_NMI);
		}
		break;
	case DM_INIT:
		/* INIT undoes a startup that has not happened yet */
		__atomic_fetch_and(&c->mail.flags, ~(u32)MAIL_SIPI, __ATOMIC_SEQ_CST);
		core_post(c, MAIL_INIT);
		break;
	case DM_STARTUP:
		__atomic_store_n(&c->mail.sipi_vector, m->vector, __ATOMIC_RELAXED);
		core_post(c, MAIL_SIPI);
		break;
	default: break; /* no SMM behind SMI; ExtINT comes by LINT0 */
	}
}

static bool is_target(const struct core *c, const struct core *by, const struct vlapic_ipi *m)
{
	enum { SH_NONE, SH_SELF, SH_ALL, SH_OTHERS };
	switch (m->shorthand) {
	case SH_SELF: return c == by;
	case SH_ALL: return true;
	case SH_OTHERS: return c != by;
	default: return vlapic_matches(&c->lapic, m->dest, m->is_logical, m->is_x2apic);
	}
}

/*
 * SDM 3A 11.6.2.4 "Lowest Priority Delivery Mode": the focus processor, else the lowest arbitration
 * priority; among equals they take turns. An APIC that would drop the message is no candidate: a core
 * that has only just started, say.
 */
static struct core *arbitrate(struct partition *p, const struct core *by, const struct vlapic_ipi *m)
{
	struct core *best = NULL;
	u32 first = p->pc.next_lowest;
	for (u32 i = 0; i < p->nr_cores; i++) {
		struct core *c = p->core[(first + i) % p->nr_cores];
		if (!vlapic_is_on(&c->lapic) || !is_target(c, by, m)) {
			continue;
		}
		if (vlapic_is_focus(&c->lapic, m->vector)) {
			return c;
		}
		if (!best || vlapic_arbitration_priority(&c->lapic) <
				     vlapic_arbitration_priority(&best->lapic)) {
			best = c;
		}
	}
	p->pc.next_lowest = best ? best->v.id + 1 : first;
	return best;
}

static void route(struct partition *p, const struct core *by, const struct vlapic_ipi *m, bool is_level)
{
	if (m->mode == DM_LOWEST) {
		struct core *c = arbitrate(p, by, m);
		if (c) {
			deliver(c, by, m, is_level);
		}
		return;
	}
	for (u32 i = 0; i < p->nr_cores; i++) {
		if (is_target(p->core[i], by, m)) {
			deliver(p->core[i], by, m, is_level);
		}
	}
}

static void ioapic_deliver(void *ctx, const struct vioapic_message *m)
{
	const struct vlapic_ipi ipi = { .dest = m->dest, .vector = m->vector, .mode = m->mode,
					.is_logical = m->is_logical };
	struct partition *p = ctx;
	route(p, p->pc.by, &ipi, m->is_level);
}

static void lapic_send_ipi_to(void *ctx, const struct vlapic_ipi *ipi)
{
	struct core *c = ctx;
	if (!ipi->is_deassert) {
		route(c->v.part, c, ipi, false);
	}
}

static void lapic_eoi_to_ioapic(void *ctx, u8 vector)
{
	struct core *c = ctx;
	pc_lock(c->v.part);
	vioapic_eoi(&c->v.part->pc.ioapic, vector);
	pc_unlock(c->v.part);
}

static u64 lapic_now(void *ctx)
{
	const struct core *c = ctx;
	return partition_now_ns(c->v.part);
}

static u64 lapic_guest_tsc(void *ctx)
{
	struct vcpu *v = ctx;
	return v->part->host->tsc() + v->ops->get(v, VREG_TSC_OFFSET);
}

static u64 lapic_tsc_to_ns(void *ctx, u64 guest_tsc)
{
	struct vcpu *v = ctx;
	const struct partition *p = v->part;
	u64 host = guest_tsc - v->ops->get(v, VREG_TSC_OFFSET);
	/* a deadline before birth, or one that wrapped, is simply past */
	return (s64)(host - p->birth_tsc) < 0 ? 0 : tsc_to_ns(&p->host->time, host - p->birth_tsc);
}

static size_t uart_tx_room(void *ctx)
{
	struct partition *p = ctx;
	return console_source_room(&p->pc.console);
}

void pc_console_tx(struct partition *p, u8 byte)
{
	console_source_tx(&p->pc.console, byte, partition_now_ns(p));
	p->pc.exits_at_tx = partition_exits(p);
	if (p->pc.console_ns == NEVER) {
		p->pc.console_ns = 0; /* a line begins: when is it due? */
		p->pc.has_line = true;
	}
}

static void uart_tx(void *ctx, u8 byte)
{
	pc_console_tx(ctx, byte);
}

static void acpi_notify(void *ctx, enum vacpi_event e, const char *how)
{
	const struct partition *p = ctx;
	enum health_event what = e == VACPI_POWEROFF ? HEALTH_POWEROFF : HEALTH_RESET;
	log("[%s] %s by %s", p->cfg->name, health_name(what), how);
	partition_end(ctx, what, health_name(what), 0);
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
		partition_end(self, value ? HEALTH_EXIT_FAILED : HEALTH_EXIT, "exit", value);
	}
}

static const struct vdev_ops debug_exit_ops = { .read = debug_exit_read, .write = debug_exit_write };

static const struct vtestdev_ops testdev_ops = { .flush_page = testdev_flush_page, .irq = isa_line };

static void watchdog_expired(void *ctx)
{
	life_event(ctx, HEALTH_WATCHDOG, "watchdog", 0);
}

/* The map of ports. debug-exit is four ports where it has room, else one. */
static enum status attach_all(struct partition *p)
{
	struct pc *pc = &p->pc;
	const struct bus_range debug_exit = { p->cfg->debug_exit, 4, "debug-exit", &debug_exit_ops, p, NULL };
	const struct bus_range map[] = {
		{ 0x20, 2, "pic", &vpic_master_ops, &pc->pic, NULL },
		{ 0x40, 4, "pit", &vpit_ops, &pc->pit, &pc->pit.deadline_ns },
		{ 0x60, 1, "kbc-data", &vacpi_kbc_data_ops, &pc->acpi, &pc->acpi.deadline_ns },
		{ 0x61, 1, "port61", &vpit_port61_ops, &pc->pit, &pc->pit.deadline_ns },
		{ 0x64, 1, "kbc", &vacpi_kbc_ops, &pc->acpi, &pc->acpi.deadline_ns },
		{ 0x70, 2, "rtc", &vrtc_ops, &pc->rtc, &pc->rtc.deadline_ns },
		{ 0x92, 1, "port92", &vacpi_port92_ops, &pc->acpi, &pc->acpi.deadline_ns },
		{ 0xa0, 2, "pic2", &vpic_slave_ops, &pc->pic, NULL },
		{ 0x3f8, 8, "uart", &vuart_ops, &pc->uart, &pc->uart.deadline_ns },
		{ 0x4d0, 2, "elcr", &vpic_elcr_ops, &pc->pic, NULL },
		{ VACPI_PM1_EVT, VACPI_BLOCK_LEN, "acpi", &vacpi_pm_ops, &pc->acpi, &pc->acpi.deadline_ns },
		{ VPCI_ADDRESS_PORT, 4, "pci-address", &vpci_address_ops, &pc->pci, &pc->watchdog.deadline_ns },
		{ VPCI_DATA_PORT, 4, "pci-data", &vpci_data_ops, &pc->pci, &pc->watchdog.deadline_ns },
	};
	enum status s = STATUS_OK;
	for (u32 i = 0; i < ARRAY_SIZE(map) && s == STATUS_OK; i++) {
		s = bus_attach(&pc->ports, &map[i]);
	}
	if (s == STATUS_OK && p->cfg->has_watchdog) {
		vwatchdog_init(&pc->watchdog, &pc->clock, WATCHDOG_DEVFN, WATCHDOG_BASE,
			       p->life.last == HEALTH_WATCHDOG, watchdog_expired, p);
		s = vpci_add(&pc->pci, &pc->watchdog.pci);
	}
	if (s == STATUS_OK && p->cfg->has_test_device) {
		s = testdev_attach(p, &testdev_ops);
	}
	if (s == STATUS_OK && p->cfg->has_debug_exit) {
		s = bus_attach(&pc->ports, &debug_exit);
		struct bus_range one = debug_exit;
		one.len = 1;
		s = s == STATUS_OVERLAP ? bus_attach(&pc->ports, &one) : s;
	}
	return s;
}

/* The map of MMIO as one core sees it: its local APIC is its own */
enum status pc_attach_core(struct core *c)
{
	struct partition *p = c->v.part;
	const struct bus_range map[] = {
		{ VPCI_MMIO_BASE, VPCI_MMIO_LEN, "pci", &vpci_mmio_ops, &p->pc.pci, &p->pc.watchdog.deadline_ns },
		{ VPCI_ECAM_BASE, VPCI_ECAM_LEN, "ecam", &vpci_ecam_ops, &p->pc.pci, &p->pc.watchdog.deadline_ns },
		{ VIOAPIC_BASE, PAGE_SIZE, "ioapic", &vioapic_ops, &p->pc.ioapic, NULL },
		{ VLAPIC_BASE, PAGE_SIZE, "lapic", &vlapic_mmio_ops, &c->lapic, NULL },
		{ VTESTDEV_RAM, VTESTDEV_RAM_LEN, "testdev", &vtestdev_ram_ops, &p->pc.testdev, NULL },
	};
	u32 nr = ARRAY_SIZE(map) - (p->cfg->has_test_device ? 0 : 1);
	enum status s = STATUS_OK;
	c->mmio.lock = p->pc.ports.lock;
	c->mmio.stray = p->pc.stray_mmio.seen ? &p->pc.stray_mmio : NULL;
	for (u32 i = 0; i < nr && s == STATUS_OK; i++) {
		s = bus_attach(&c->mmio, &map[i]);
	}
	return s;
}

enum status pc_init(struct partition *p)
{
	struct pc *pc = &p->pc;
	const struct host *h = p->host;
	u8 *ram = pc->testdev.ram;
	u64 wall = h->wall_seconds + tsc_to_ns(&h->time, h->tsc() - h->wall_tsc) / NSEC_PER_SEC;
	memset(&pc->ports, 0, sizeof(*pc) - offsetof(struct pc, ports));
	pc->testdev.ram = ram;
	pc->watchdog_ns = pc->watchdog.deadline_ns = NEVER;
	pc->clock = (struct vclock){ .now_ns = clock_now, .ctx = p };
	pc->uart_backend =
		(struct vuart_backend){ .tx_room = uart_tx_room, .tx = uart_tx, .ctx = p };
	vuart_init(&pc->uart, &pc->uart_backend, &pc->clock, pc_irq(pc, UART_IRQ));
	vpic_init(&pc->pic);
	vpic_elcr_ops.write(&pc->pic, 1, 1, BIT(VACPI_SCI_IRQ - 8)); /* as firmware leaves it: a level line */
	vpit_init(&pc->pit, &pc->clock, pc_irq(pc, 0));
	vrtc_init(&pc->rtc, &pc->clock, pc_irq(pc, RTC_IRQ), wall);
	vacpi_init(&pc->acpi, &pc->clock, pc_irq(pc, VACPI_SCI_IRQ));
	pc->acpi.notify = acpi_notify;
	pc->acpi.ctx = p;
	vpci_init(&pc->pci, &vacpi_cf9_ops, &pc->acpi);
	vioapic_init(&pc->ioapic, (u8)p->nr_cores, ioapic_deliver, p);
	pc->ports.lock = p->nr_cores > 1 ? &pc->lock : NULL;
	stray_watch(p);
	return attach_all(p);
}

void pc_init_lapic(struct core *c)
{
	bool is_bsp = c->v.id == 0;
	c->lapic_env = (struct vlapic_env){ .now_ns = lapic_now,
					    .tsc_to_ns = lapic_tsc_to_ns,
					    .guest_tsc = lapic_guest_tsc,
					    .send_ipi = lapic_send_ipi_to,
					    .eoi_broadcast = lapic_eoi_to_ioapic,
					    .ctx = c,
					    .is_cpu_serving = c->v.has_apic,
					    .is_cpu_delivering = c->v.delivers_irqs };
	vlapic_init(&c->lapic, &c->lapic_env, c->v.id, is_bsp, !c->v.ops->only_xapic);
	if (is_bsp) {
		vlapic_set_virtual_wire(&c->lapic);
	}
}

static bool is_idle(const struct partition *p)
{
	for (u32 i = 0; i < p->nr_cores; i++) {
		if (!p->core[i]->v.is_halted && p->core[i]->state == CORE_RUNNING) {
			return false;
		}
	}
	return true;
}

/*
 * When an unfinished line may go out. A prompt is what an idle guest leaves behind; a busy one may only be slow, or have
 * little of the CPU: who has polled for a second waits for a key.
 */
static u64 prompt_due_ns(const struct partition *p)
{
	const struct pc *pc = &p->pc;
	if (is_idle(p) && !pc->uart.has_tx_held) {
		return 0;
	}
	bool has_gone_on = partition_exits(p) - pc->exits_at_tx >= POLLS;
	return pc->console.quiet_since_ns + (has_gone_on ? 1 : 10) * NSEC_PER_SEC;
}

/* Bytes from the keyboard to the UART; an unfinished line to the console. Return: when to look again. */
static u64 console_poll(struct partition *p, u64 now_ns)
{
	struct pc *pc = &p->pc;
	while (vuart_rx_room(&pc->uart) > 0) {
		int c = console_source_getc(&pc->console);
		if (c < 0) {
			break;
		}
		vuart_rx(&pc->uart, (u8)c);
	}
	u64 flush = prompt_due_ns(p);
	if (now_ns >= flush || !pc->console.len) {
		return console_source_flush(&pc->console, now_ns);
	}
	return MIN(flush, now_ns + NSEC_PER_SEC); /* it may go on meanwhile */
}

static inline u64 pc_deadline(const struct pc *pc)
{
	u64 next = MIN(pc->pit.deadline_ns, pc->rtc.deadline_ns);
	next = MIN(next, pc->acpi.deadline_ns);
	next = MIN(next, pc->uart.deadline_ns);
	next = MIN(next, pc->watchdog.deadline_ns);
	next = MIN(next, __atomic_load_n(&pc->watchdog_ns, __ATOMIC_RELAXED));
	return MIN(next, pc->console_ns);
}

u64 pc_poll(struct partition *p, u64 now_ns)
{
	struct pc *pc = &p->pc;
	pc_lock(p);
	pc->by = p->core[0];
	vpit_poll(&pc->pit, now_ns);
	vrtc_poll(&pc->rtc, now_ns);
	vacpi_poll(&pc->acpi, now_ns);
	life_poll(p, now_ns);
	vwatchdog_poll(&pc->watchdog, now_ns);
	pc->has_line = false;
	pc->console_ns = console_poll(p, now_ns);
	vuart_poll(&pc->uart, now_ns);
	u64 next = pc_deadline(pc);
	__atomic_store_n(&pc->deadline_ns, next, __ATOMIC_RELAXED);
	pc->by = NULL;
	pc_unlock(p);
	return next;
}

/* Another core must know: core 0's CPU that something is due sooner, all of them of the 8259's INT */
static void tell_siblings(const struct core *by, bool is_sooner)
{
	struct partition *p = by->v.part;
	for (u32 i = 0; i < p->nr_cores; i++) {
		struct core *c = p->core[i];
		bool takes_pic = vpic_is_pending(&p->pc.pic) && vlapic_takes_extint(&c->lapic);
		if (c != by && ((i == 0 && is_sooner) || takes_pic)) {
			core_post(c, MAIL_LOOK);
		}
	}
}

static cold void changed(struct core *by)
{
	struct partition *p = by->v.part;
	struct pc *pc = &p->pc;
	bool is_sooner = false;
	if (pc_deadline(pc) != __atomic_load_n(&pc->deadline_ns, __ATOMIC_RELAXED)) {
		pc_lock(p); /* else a sibling's change in between could be overwritten by an older minimum */
		u64 next = pc_deadline(pc);
		is_sooner = next < pc->deadline_ns;
		__atomic_store_n(&pc->deadline_ns, next, __ATOMIC_RELAXED);
		pc_unlock(p);
		by->due_tsc = 0;
	}
	if (by->lapic.deadline_ns != by->lapic_due_ns) {
		by->due_tsc = 0;
	}
	if (p->nr_cores > 1) {
		tell_siblings(by, is_sooner);
	}
}

void pc_touched(struct core *by)
{
	const struct partition *p = by->v.part;
	if (p->nr_cores > 1 || pc_deadline(&p->pc) != __atomic_load_n(&p->pc.deadline_ns, __ATOMIC_RELAXED) ||
	    by->lapic.deadline_ns != by->lapic_due_ns) {
		changed(by);
	}
}
