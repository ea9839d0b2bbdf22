#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What exits cost on each bed, in TSC ticks: one instruction each on QEMU with icount and on Bochs, host
time on nested. Prints medians (and p99 where it differs), how they compare, what they may be in cycles of real CPUs,
and the same operations in many forms in random order; asserts nothing. usage: bench.py [bed ...]"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEDS = {"qemu-svm": ["--icount"], "bochs-vmx": [], "bochs-svm": [], "nested": []}
# Instructions with Linux 6.1's KVM (in-kernel APIC, PIC and PIT, a small VMM for the rest) and Xen 4.17 HVM
# on the same emulators, measured with a guest of the same operations; then the goal here.
# qemu-svm: KVM, Xen, goal; bochs-vmx: KVM, Xen, goal; None: not measured
OTHERS = {
    "cpuid0": (2848, 5455, 500, 1063, 966, 200),
    "hypercall_enosys": (3094, 5533, 450, 1110, 919, 180),
    "rdmsr_apicbase": (2912, 5366, 500, 1177, 864, 210),
    "wbinvd": (2741, 5313, 450, 956, 814, 180),
    "xsetbv": (10, None, None, 1062, None, 220),
    "in_uart_lsr": (3236, 1203, 400, 7486, 1364, 260),
    "in_pic_0x21": (1518, 1197, 400, 1352, 1358, 260),
    "out_0x80": (3175, 9, 9, 7412, 9, 9),
    "in_unclaimed_0x1e0": (3217, 1203, 350, 7467, 1364, 220),
    "mmio_lapic_version_r": (3744, 14351, 900, 15737, 12, 12),
    "mmio_lapic_tpr_w": (3556, 17714, 900, 8044, 14, 14),
    "mmio_unclaimed_r": (5622, 14787, 900, 10122, 14482, 700),
    "x2apic_version_r": (3012, 5390, 500, 1285, 8, 8),
    "x2apic_tpr_w": (2987, 5425, 500, 10, 10, 10),
    "ipi_self_whole": (8860, 36149, 2000, 17761, 31, 31),
    "cr0_wp_toggle": (4487, 6692, 8, 8, 1140, 8),
    "cr4_pge_toggle": (3477, 7489, 8, 8, 8, 8),
    "cr4_pse_toggle": (4709, 7489, 8, 2654, 8, 8),
    "arm_oneshot": (4341, 18930, 900, 8835, 2341, 500),
    "hlt_oneshot_long_late": (11313, 22335, 2500, 20246, 6608, 1500),
    "x2apic_ipi_self_whole": (7692, 11575, 1300, 4171, 1487, 400),
    "hlt_deadline_long_late": (3181, None, 1500, 11439, None, 900),
}
# An exit and the entry behind it on hardware, in cycles: Sandy Bridge (2011) and Merom (2006). O. Agesen, J. Mattson,
# R. Rugina, J. Sheldon, "Software Techniques for Avoiding Hardware Virtualization Exits", USENIX ATC 2012, table 1
LATENCY = (784, 1579)
# Exits of an operation where it is not one: on AMD-V, on VT-x with a virtual APIC
EXITS = {"xsetbv": (0, 1), "mmio_lapic_version_r": (1, 0), "mmio_lapic_tpr_w": (1, 0), "x2apic_version_r": (1, 0),
         "x2apic_tpr_w": (1, 0), "ipi_self_whole": (3, 0), "x2apic_ipi_self_whole": (3, 1), "cr0_wp_toggle": (0, 0),
         "cr4_pge_toggle": (1, 0), "cr4_pse_toggle": (1, 0), "out_0x80": (0, 0)}
COMPARED = {"qemu-svm": 0, "bochs-vmx": 3}  # where a bed's figures begin in a row
FIRST = ["hand-off", "hand-off, scrubbing memory", "hand-off, waiting for clocks"]
LINE = r"^\[bench\] %s (\S+) n=\d+ min=\d+ med=(\d+) p99=(\d+) max=\d+$"


def run(bed, system):
    """Return: what the machine's first serial port said; exit statuses other than 0 are said here"""
    with tempfile.TemporaryDirectory() as log:
        command = [os.path.join(ROOT, "tools", "bulkhead"), "run",
                   os.path.join(ROOT, "test", "emu", system), "--on", bed, "--cpus", "1",
                   "--timeout", "240", "--log", log, *BEDS[bed]]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        with open(os.path.join(log, "com1.log"), encoding="latin-1") as f:
            text = f.read().replace("\r", "")
    if status:
        print("%s: exit status %d" % (bed, status))
    return text


def rows(text, word):
    """Return: {operation: what to print}"""
    return {name: median if median == p99 else "%s (%s)" % (median, p99)
            for name, median, p99 in re.findall(LINE % word, text, re.M)}


def bench(bed):
    """Return: {operation: what to print}; empty if the bed failed"""
    text = run(bed, "bench.dts")
    row = {}
    start = re.search(r"handoff ticks=(\d+) scrub ticks=(\d+) wait ticks=(\d+)", text)
    if start:
        row.update(zip(FIRST, start.groups()))
    return {**row, **rows(text, "EXITBENCH")}


def table(columns, title, first=()):
    """@columns: bed -> {operation: what to print}"""
    names = list(dict.fromkeys([*first, *(n for row in columns.values() for n in row)]))
    print("\n| %-27s |" % title + "".join(" %16s |" % bed for bed in columns))
    print("|" + "-" * 29 + "|" + ("-" * 17 + ":|") * len(columns))
    for name in names:
        print("| %-27s |" % name + "".join(" %16s |" % row.get(name, "-") for row in columns.values()))


def compare(columns):
    """Ours beside theirs: the ratio is KVM's figure over ours"""
    beds = [bed for bed in COMPARED if columns.get(bed)]
    if not beds:
        return
    titles = ["operation"] + [t for bed in beds for t in (bed, "KVM", "Xen", "goal", "KVM/ours")]
    print("\n| %-22s |" % titles[0] + "".join(" %9s |" % t for t in titles[1:]))
    print("|" + "-" * 24 + "|" + ("-" * 10 + ":|") * (len(titles) - 1))
    for name, figures in OTHERS.items():
        cells = []
        for bed in beds:
            ours = columns[bed].get(name, "-").split()[0]
            kvm, xen, goal = figures[COMPARED[bed]:COMPARED[bed] + 3]
            ratio = "%.1f" % (kvm / int(ours)) if kvm and ours.isdigit() else "-"
            cells += [ours, *("-" if n is None else str(n) for n in (kvm, xen, goal)), ratio]
        print("| %-22s |" % name + "".join(" %9s |" % c for c in cells))


def estimate(columns):
    """Instructions at one a cycle, and the published latency for each exit: a guess, and marked as one"""
    beds = [bed for bed in COMPARED if columns.get(bed)]
    if not beds:
        return
    print("\nESTIMATE, not measured: cycles on hardware")
    print("| %-22s |" % "operation" + "".join(" %9s | exits | cycles, about |" % bed for bed in beds))
    print("|" + "-" * 24 + "|" + "----------:|------:|--------------:|" * len(beds))
    for name in OTHERS:
        line = "| %-22s |" % name
        for bed in beds:
            ours = columns[bed].get(name, "-").split()[0]
            nr = EXITS.get(name, (1, 1))[1 if bed == "bochs-vmx" else 0]
            low, high = (int(ours) + nr * c if ours.isdigit() else 0 for c in LATENCY)
            cycles = "-" if not ours.isdigit() else "%d" % low if low == high else "%d to %d" % (low, high)
            line += " %9s | %5d | %13s |" % (ours, nr, cycles)
        print(line)


def main(beds):
    columns = {bed: bench(bed) for bed in beds or BEDS}
    table(columns, "ticks, median (p99)", FIRST)
    compare(columns)
    estimate(columns)
    mixed = {bed: rows(run(bed, "bench-mixed.dts"), "MIXED") for bed in columns if bed != "nested"}
    if mixed:
        table(mixed, "in random order, ticks")
    return 0 if all(columns.values()) and all(mixed.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
