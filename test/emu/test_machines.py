# SPDX-License-Identifier: BSD-2-Clause
"""The machine below: how many CPUs come up, what a CPU that lacks something gets to hear, and that the
same machine twice does the same twice."""
import re

from machine import FAILED, OK, Machine, job

SMP = {"qemu-svm": (1, 2, 4, 8), "bochs-vmx": (1, 2, 4)}
LACKING = [  # name, bed, CPU model, exactly what is missing
    ("no-nested-paging", "qemu-svm", "qemu64", ["npt"]),
    ("no-virtualization", "qemu-svm", "Nehalem", ["virtualization"]),
    ("no-basics", "qemu-svm", "max,pat=off,nx=off,npt=off", ["pat", "nx", "npt"]),
    ("32-bit", "qemu-svm", "n270", ["long-mode"]),
    ("no-ept", "bochs-vmx", "core2_penryn_t9600",
     ["preemption-timer", "ept", "unrestricted-guest", "vpid", "rdtscp", "exit-switching",
      "entry-switching", "ept-4-level-wb-2m", "invept"]),
    ("no-unrestricted-guest", "bochs-vmx", "corei5_lynnfield_750", ["unrestricted-guest"]),
]


def smp(count):
    def run(machine):
        machine.run("beats.dts", "--cpus", str(count))
        machine.need_status(OK)
        machine.need_log(r"^bulkhead: cpus online=%d$" % count, r"^\[heartbeat\] beat 3 ")
    return run


def lacking(cpu, features):
    def run(machine):
        log = machine.run("beats.dts", "--cpu", cpu, timeout=40)
        machine.need_status(FAILED)
        seen = re.findall(r"^bulkhead: FATAL feature=(\S+) \S", log, re.M)
        machine.need(seen == features, "missing features: %s, expected %s" % (seen, features))
        machine.need_absent(r"start partitions", r"^\[")
    return run


def partly(machine):
    """A CPU that serves TPR and no other register, and does not deliver: the rest is done by exits."""
    log = machine.run("lapic.dts", "--cpu", "corei7_ivy_bridge_3770k", "--cpus", "1", timeout=100)
    machine.need_status(OK)
    for feature, state in (("tpr-shadow", "present"), ("apic-access", "present"),
                           ("apic-registers", "absent"), ("virtual-interrupts", "absent")):
        machine.need("bulkhead: feature %s=%s" % (feature, state) in log, "%s is not %s" % (feature, state))
    machine.need_log(r"^\[lapic\] verdict OK ")


def twice(machine):
    """With one instruction per nanosecond and no disk, every byte of the log is determined."""
    first = machine.run("beats.dts", "--icount", "--cpus", "1")
    machine.need_icount()
    machine.need_status(OK)
    again = Machine(machine.name + "-again", machine.bed)
    second = again.run("beats.dts", "--icount", "--cpus", "1")
    again.need_status(OK)
    machine.need(first == second, "two runs differ")


SPECULATION = [  # name, bed, what is added to the run, and what the log must say
    ("auto", "bochs-vmx", ["--cpu", "tigerlake"],
     ["spectre-v2 mitigated=enhanced-ibrs,ibpb-on-switch", "mds mitigated=verw-on-switch",
      "itlb-multihit mitigated=4-kib-pages", "meltdown not-affected"]),
    ("old", "bochs-vmx", [], ["meltdown mitigated=own-address-space", "l1tf open: no L1D_FLUSH"]),
    ("amd", "qemu-svm", [], ["meltdown not-affected", "spectre-v2 open: no IBPB"]),
    ("off", "bochs-vmx", ["--cpu", "tigerlake", "--append", "mitigations=off"],
     ["spectre-v2 open: mitigations=off", "mds open: mitigations=off"]),
    ("off", "qemu-svm", ["--append", "mitigations=off"], ["spectre-v2 open: mitigations=off"]),
]


def speculation(args, said):
    """Two partitions take turns on one CPU; MSRs that are not there would be #GP, hence a crash"""
    def run(machine):
        machine.run("slices.dts", "--cpus", "1", *args)
        machine.need_status(OK)
        machine.need_log(*["^bulkhead: speculation %s" % line for line in said])
        lines = re.findall(r"^bulkhead: speculation \S+ (?:not-affected$|mitigated=\S+$|open: \S)",
                           machine.read(), re.M)
        machine.need(len(lines) == 20, "%d lines about speculation" % len(lines))
    return run


def bad_word(word, allowed):
    def run(machine):
        machine.run("slices.dts", "--cpus", "1", "--append", word, timeout=40)
        machine.need_status(FAILED)
        machine.need_log(r"^bulkhead: FATAL %s: %s$" % (word.split("=")[0] + "=", allowed))
        machine.need_absent(r"start partitions", r"^\[")
    return run


APIC_LINES = (r"^bulkhead: apic trial=passed steps=\d+$", r"^bulkhead: apic trial=", r"^bulkhead: apic served by exits$")
APIC = [  # apic=, bed, which of these lines there are, and which there are not
    ("auto", "bochs-vmx", (), APIC_LINES),
    ("try", "bochs-vmx", APIC_LINES[:1], APIC_LINES[2:]),
    ("trust", "bochs-vmx", (), APIC_LINES),
    ("exits", "bochs-vmx", APIC_LINES[2:], APIC_LINES[:2]),
    ("try", "qemu-svm", (), APIC_LINES),  # no CPU of these has AVIC: nothing to try
    ("try", "bochs-svm", (), APIC_LINES),
]


def apic(word, there, absent):
    """Whoever serves the local APIC, and whether that was tried before: a guest sees the same one."""
    def run(machine):
        machine.run("lapic.dts", "--cpus", "1", "--append", "apic=" + word)
        machine.need_status(OK)
        machine.need_log(r"^\[lapic\] verdict OK ", *there)
        machine.need_absent(*absent)
    return run


def exits_of(machine):
    return int(re.search(r" verdict=OK reason=.* exits=(\d+) ", machine.read())[1])


def apic_saves(machine):
    """What the CPU serves makes no exit: the same guest has fewer than with apic=exits."""
    machine.run("irq.dts", "--cpus", "1", "--append", "apic=try")
    machine.need_status(OK)
    machine.need_log(APIC_LINES[0])
    other = Machine(machine.name + "-exits", machine.bed)
    other.run("irq.dts", "--cpus", "1", "--append", "apic=exits")
    other.need_status(OK)
    machine.need(exits_of(machine) < exits_of(other), "%d exits, and %d with apic=exits" % (exits_of(machine), exits_of(other)))


def jobs():
    for bed, counts in SMP.items():
        for count in counts:
            yield job("smp-%d" % count, bed, smp(count), 3 + count)
    for name, bed, cpu, features in LACKING:
        yield job(name, bed, lacking(cpu, features))
    for name, bed, args, said in SPECULATION:
        yield job("speculation-" + name, bed, speculation(args, said))
    yield job("speculation-bad", "qemu-svm", bad_word("mitigations=none", "auto or off"))
    yield job("apic-bad", "qemu-svm", bad_word("apic=yes", "auto, try, trust or exits"))
    for word, bed, there, absent in APIC:
        yield job("apic-" + word, bed, apic(word, there, absent))
    yield job("apic-saves", "bochs-vmx", apic_saves, 8)
    yield job("apic-partly", "bochs-vmx", partly, 10)
    yield job("determinism", "qemu-svm", twice)
