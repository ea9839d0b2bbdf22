/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From struct boot_info to a running system, in the order that each step needs the one before.
 * Knows every room's entry point and no detail of any. boot calls it once; nothing returns to boot.
 */
#include "acpi_host.h"
#include "apic_trial.h"
#include "console.h"
#include "cpu.h"
#include "drivers/clock.h"
#include "drivers/lapic.h"
#include "drivers/uart.h"
#include "features.h"
#include "lib/lib.h"
#include "log.h"
#include "run.h"
#include "space_host.h"
#include "speculation_host.h"
#include "system.h"
#include "trap.h"
#include "vmx/vmx.h"
#include "x86/insn.h"
#include "x86/regs.h"

#define EPOCH_NS NSEC_PER_MSEC /* until other CPUs are in root mode */

static void noreturn_fn halt(void)
{
	log("halted");
	console_sync(false);
	cpus_freeze();
	cpu_stop();
}

static void noreturn_fn stop(const char *why)
{
	log("FATAL %s", why);
	halt();
}

/* console=com1|com2|none|0xPORT */
static u16 console_port(const char *cmdline)
{
	char word[16];
	const char *value;
	u64 port = UART_COM1;
	int len = arg_find(cmdline, "console", &value);

	format(word, sizeof(word), "%.*s", MAX(len, 0), len > 0 ? value : "");
	if (!strcmp(word, "none") || !strcmp(word, "com2")) {
		return word[0] == 'n' ? 0 : UART_COM2;
	}
	return str_to_u64(word, &port) ? (u16)port : UART_COM1;
}

static void log_to_console(void *self, const char *text, size_t len)
{
	(void)self;
	console_line(text, len);
}

static void console_start(const struct boot_info *info)
{
	static const struct console_port_ops uart = { .write = uart_write, .getc = uart_getc };
	static const struct log_sink sink = { .line = log_to_console };
	u16 port = console_port(info->cmdline);

	uart_init(UART_COM2); /* may be a partition's own */
	console_init(port && uart_init(port) ? port : 0, &uart);
	log_set_sink(&sink);
}

static void hello(const struct boot_info *info, const struct vcpu_ops *ops)
{
	char hex[65];

	for (u32 i = 0; i < sizeof(info->sha256); i++) {
		format(hex + 2 * i, 3, "%02x", info->sha256[i]);
	}
	log("%s sha256=%s vendor=%s backend=%s", BULKHEAD_VERSION, hex, cpu_vendor(),
	    ops ? ops->name : "none");
	if (info->status != STATUS_OK) {
		stop("boot: the loader's information is broken or has no memory map");
	}
}

static u64 host_xgetbv0(void)
{
	return machine.host_xcr0 ? xgetbv(0) : 0;
}

static void host_xsetbv0(u64 xcr0)
{
	xsetbv(0, xcr0);
}

static u64 host_debug_address(u32 n)
{
	return n == 0 ? read_dr0() : n == 1 ? read_dr1() : n == 2 ? read_dr2() : read_dr3();
}

/* All but the time, which is being measured */
static void machine_init(const struct vcpu_ops *ops)
{
	/* EPT has a bit of its own for them; NPT follows CPUID (APM 2 15.25.1) */
	const bool is_vmx = !strcmp(ops->name, "vmx");
	machine.ops = ops;
	machine.host = (struct host){ .tsc = rdtsc,
				      .xgetbv0 = host_xgetbv0,
				      .xsetbv0 = host_xsetbv0,
				      .debug_address = host_debug_address,
				      .pkru = rdpkru,
				      .cpuid = cpuid,
				      .poke = host_poke,
				      .notify = host_notify,
				      .loaded = host_loaded,
				      .kick = cpu_kick,
				      .test_crash = crash_test,
				      .space_check = space_check_running,
				      .wall_seconds = clock_wall_time(),
				      .wall_tsc = rdtsc() };
	machine.host_xcr0 = read_cr4() & CR4_OSXSAVE ? xgetbv(0) : 0;
	machine.max_page = speculation_small_pages() ? PAGE_SIZE :
			   feature_has(is_vmx ? "1g-pages" : "1gib-pages") ? SIZE_1G : SIZE_2M;
}

/* All CPUs are in root mode, and no vCPU is made */
static void apic_start(enum apic_use use)
{
	const struct vcpu_ops *ops = machine.ops;
	const struct apic_trial_env env = { .ops = ops, .space_format = ops == &vmx_ops ? &pt_ept : &pt_npt,
					    .pages = host_memory_scratch(), .host_irq = irq_take };
	bool is_tried = use == APIC_TRY || (use == APIC_AUTO && ops->wants_trial);

	if (ops->no_apic && (use == APIC_EXITS || (is_tried && apic_trial(&env) == APIC_TRIAL_FAILED))) {
		machine.ops = ops->no_apic();
		log("apic served by exits");
	}
}

static void backend_on(void)
{
	if (machine.ops->cpu_on(&host_memory.pages) != STATUS_OK) {
		stop("backend: this CPU cannot enter root mode");
	}
}

/* Other CPUs sleep until everything is built, and help to clear memory: the BSP allocates alone. */
static void noreturn_fn ap_main(struct cpu *c)
{
	speculation_cpu();
	backend_on();
	cpu_set_online(c);
	while (!__atomic_load_n(&machine.is_released, __ATOMIC_ACQUIRE)) {
		while (scrub_step(&machine.scrub)) {
		}
		irq_wait();
	}
	run_cpu(c);
}

static void kick_others(void)
{
	for (u32 i = 1; i < cpu_count(); i++) {
		cpu_kick(i);
	}
}

/* Of the BSP, in TSC ticks */
static struct {
	u64 boot_tsc, scrub_ticks, wait_ticks, own_chunks;
} spent;

static bool scrub(void)
{
	u64 start = rdtsc();
	bool has_more = scrub_step(&machine.scrub);

	spent.own_chunks += has_more;
	spent.scrub_ticks += rdtsc() - start;
	return has_more;
}

/* What is left when all else is done; then others may still be busy with theirs */
static void scrub_finish(void)
{
	while (scrub()) {
	}
	u64 start = rdtsc();
	while (!scrub_is_done(&machine.scrub)) {
		cpu_pause();
	}
	spent.scrub_ticks += rdtsc() - start;
	log("scrub cpus=%u chunks=%lu by-others=%lu", cpu_count(), machine.scrub.nr_chunks,
	    machine.scrub.nr_chunks - spent.own_chunks);
}

/* The windows of the clocks are filled with clearing memory */
static void clock_end(void)
{
	struct clock_calibration clock;

	while (!clock_poll() && scrub()) {
	}
	if (clock_finish(&clock) != STATUS_OK) {
		stop("clock: no reference to measure the TSC against");
	}
	log("tsc %lu Hz by %s", clock.tsc_hz, clock.source);
	lapic_timer_finish(clock.tsc_hz);
	timebase_init(&machine.host.time, clock.tsc_hz);
	spent.wait_ticks = clock.wait_ticks;
}

static void noreturn_fn release(void)
{
	host_memory_log();
	log("start partitions=%u handoff ticks=%lu scrub ticks=%lu wait ticks=%lu", machine.nr_partitions,
	    rdtsc() - spent.boot_tsc, spent.scrub_ticks, spent.wait_ticks);
	machine.epoch_tsc = rdtsc() + ns_to_tsc(&machine.host.time, EPOCH_NS);
	__atomic_store_n(&machine.is_released, true, __ATOMIC_RELEASE);
	kick_others();
	run_cpu(this_cpu());
}

/* Memory is cleared while clocks are measured and tables built; nothing is loaded before all is clear */
static bool build(const struct boot_info *info)
{
	if (!system_reserve(info)) {
		return false;
	}
	scrub_begin(&machine.scrub, machine.partition, machine.nr_partitions);
	kick_others();
	clock_end();
	if (!system_build()) {
		return false;
	}
	scrub_finish();
	return system_first_life() && run_init() && space_check_machine(false) == 0;
}

void kmain(const struct boot_info *info)
{
	const struct vcpu_ops *ops = backend_pick();
	enum apic_use use = apic_use(info->cmdline);

	spent.boot_tsc = info->tsc;
	cpu_init_bsp();
	console_start(info);
	crash_init();
	hello(info, ops);
	if (!features_check(ops)) {
		stop("features are missing, see above");
	}
	if (use == NR_APIC_USES) {
		stop("apic=: auto, try, trust or exits");
	}
	if (!speculation_start(info->cmdline, ops == &vmx_ops)) {
		stop("mitigations=: auto or off");
	}
	host_memory_init(info);
	crash_find(info->cmdline);
	if (!acpi_start(info, &machine.acpi)) {
		stop("acpi: no usable RSDP or MADT");
	}
	clock_begin(&machine.acpi);
	lapic_init();
	lapic_timer_begin();
	machine_init(ops);
	backend_on();
	log("cpus online=%u", cpus_start(&machine.acpi, ap_main));
	apic_start(use);
	if (!build(info)) {
		halt();
	}
	release();
}
