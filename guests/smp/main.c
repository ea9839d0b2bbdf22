/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All CPUs come: MADT and CPUID name as many as cpus=N says, INIT and startup IPI start each with the
 * registers of a reset, and each one's CPUID topology (leaves 1, 4, 0xb, 0x1f) agrees with its APIC ID
 * and with the others. x2apic=1: with all APICs in x2APIC mode. Bochs itself is no model of either.
 */
#include "lib/smp.h"

static struct barrier all;

static bool is_modelled(void)
{
	return is_hosted() || is_lax();
}

/* SDM 3A table 9-1: CR0 after INIT; CD and NW keep what they were, EDX is the family signature */
static void check_start(const struct cpu *c)
{
	uint32_t r[4];
	cpuid(1, 0, r);
	CHECK((c->cr0 & ~0x60000000) == 0x10, "CPU %u: CR0 %x", c->index, c->cr0);
	CHECK(c->cs == AP_PAGE >> 4, "CPU %u: CS %x", c->index, c->cs);
	if (is_modelled()) {
		CHECK((c->edx & 0xf00) == (r[0] & 0xf00), "CPU %u: EDX %x, signature %x", c->index, c->edx, r[0]);
	}
	CHECK(c->starts == 1, "CPU %u: started %u times", c->index, c->starts);
}

/* Topology leaves: levels follow each other, the last one's shift covers all CPUs */
static void check_levels(const struct cpu *c, uint32_t leaf)
{
	uint32_t r[4], shift = 0, cpus_seen = 0;
	for (uint32_t level = 0; level < 8; level++) {
		cpuid(leaf, level, r);
		if (!(r[2] >> 8 & 0xff)) {
			break;
		}
		CHECK((r[2] & 0xff) == level, "leaf %x level %u: ECX %x", leaf, level, r[2]);
		CHECK(r[3] == c->apic_id, "leaf %x: ID %x, APIC's %x", leaf, r[3], c->apic_id);
		CHECK((r[0] & 0x1f) >= shift && (r[1] & 0xffff) >= cpus_seen, "leaf %x level %u shrinks", leaf, level);
		shift = r[0] & 0x1f;
		cpus_seen = r[1] & 0xffff;
	}
	CHECK(cpus_seen == nr_cpus, "leaf %x: %u CPUs", leaf, cpus_seen);
	CHECK(1u << shift >= nr_cpus && c->apic_id >> shift == 0, "leaf %x: shift %u, ID %x", leaf, shift, c->apic_id);
}

static void check_topology(const struct cpu *c)
{
	uint32_t r[4], max;
	cpuid(0, 0, r);
	max = r[0];
	cpuid(1, 0, r);
	CHECK(r[1] >> 24 == c->apic_id, "leaf 1: ID %x, APIC's %x", r[1] >> 24, c->apic_id);
	if (!is_modelled()) {
		return;
	}
	CHECK(nr_cpus == 1 || ((r[3] >> 28 & 1) && (r[1] >> 16 & 0xff) >= nr_cpus), "leaf 1: EBX %x EDX %x", r[1], r[3]);
	if (is_intel() && max >= 4) {
		cpuid(4, 0, r);
		CHECK((r[0] >> 26) + 1 >= nr_cpus, "leaf 4: EAX %x", r[0]);
	}
	if (max >= 0xb) {
		cpuid(0xb, 0, r);
		if (r[1]) {
			check_levels(c, 0xb);
		}
	}
	if (max >= 0x1f) {
		cpuid(0x1f, 0, r);
		if (r[1]) {
			check_levels(c, 0x1f);
		}
	}
}

static void on_each(void *arg)
{
	(void)arg;
	struct cpu *c = this_cpu();
	uint32_t id = apic_read(APIC_ID);
	CHECK((smp_is_x2apic ? id : id >> 24) == c->apic_id, "APIC ID %x, table's %x", id, c->apic_id);
	CHECK((rdmsr(0x1b) >> 8 & 1) == (c->index == 0), "CPU %u: APIC_BASE %lx", c->index, rdmsr(0x1b));
	check_topology(c);
	barrier(&all, nr_cpus); /* all at the same time, not one after the other */
}

int main(const char *cmdline)
{
	unsigned want = (unsigned)arg(cmdline, "cpus", 1);
	bool is_all = smp_start(arg(cmdline, "x2apic", 0));
	CHECK(is_all, "not all CPUs came");
	CHECK(smp_is_madt, "no MADT");
	CHECK(nr_cpus == want, "%u CPUs, not %u", nr_cpus, want);
	for (unsigned i = 1; i < nr_cpus && is_all; i++) {
		check_start(&cpus[i]);
	}
	if (is_all) {
		CHECK(smp_all(on_each, NULL, 10000), "not all came back");
	}
	CHECK(taken(VECTOR_SPURIOUS) == 0, "%u spurious interrupts", taken(VECTOR_SPURIOUS));
	print("%u CPUs, %s mode\n", nr_cpus, smp_is_x2apic ? "x2APIC" : "xAPIC");
	return (int)failures;
}
