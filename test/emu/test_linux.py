# SPDX-License-Identifier: BSD-2-Clause
"""Stock Debian kernels as the yardstick: each flavour, with the parameters that send it down other paths
of APIC, ACPI and clocks, to a shell, some load and its end, without a warning that is ours."""
import os
import re
import sys
from dataclasses import dataclass

from jobs import ROOT, Failure, Skip, command
from machine import BUILD, OK, job

sys.path.insert(0, os.path.join(ROOT, "tools"))
from bhtool import initramfs  # noqa: E402

FLAVOURS = ("amd64", "cloud-amd64", "rt-amd64", "686-pae")
PARAMETERS = ("", "noapic", "nolapic", "nox2apic", "acpi=off", "clocksource=tsc", "clocksource=acpi_pm",
              "hpet=disable")
MEMORY = 160  # MiB

# What stock kernels say at level warning or worse that is not our doing. Nothing else may come.
ALLOWED = (
    # the CPU was somebody else's, a partition's or the emulator's host's: true on any busy machine
    r"^hrtimer: interrupt took \d+ ns",
    r"^clocksource: Long readout interval, skipping watchdog check",
    # "nolapic", "acpi=off": asked not to look, the kernel does not find what is there; so also on bare QEMU
    r"^smpboot: weird, boot CPU \(#0\) not listed by the BIOS",
    r"^smpboot: Boot CPU \(id 0\) not listed by BIOS",
    # there is no PMU, and the kernel is told that it runs on a hypervisor; so also on bare QEMU
    r"^PMU not available due to virtualization",
    # Intel's CPU without the MSRs that mitigate speculation, which no guest is offered
    r"^RETBleed: WARNING: Spectre v2 mitigation leaves CPU vulnerable",
    # Bochs' Ryzen is known to be at risk, and has no microcode that would help
    r"^Speculative Return Stack Overflow: ",
    # a banner of the 32-bit kernel on a 64-bit CPU: lines of stars around its advice
    r"^(\*\*.*\*\*)?$",
    # ten million instructions a second, as Bochs has them here, are too few for the kernel's patience
    r"^Problem loading in-kernel X\.509 certificate \(-110\)",
    # AMD's newer CPUs, QEMU 10's among them, have a frequency driver that wants an ACPI object of the real PC
    r"^amd_pstate: the _CPC object is not present",
    # what the package was built without
    r"^ACPI: MPS support code is not built-in",
)

# QEMU 7.2 does not exit for XSETBV: KVM in between resets XCR0 at its exits, and CPUID tells the reset value.
# Bochs 2.7's XSAVEC (CPUID bit 321 by Linux's count) overwrites its own header; Linux takes XSAVEOPT then.
BED_PARAMETERS = {"nested": " noxsave", "bochs-vmx": " clearcpuid=321", "bochs-svm": " clearcpuid=321"}

REFUSED = {
    # AMD CPUs without an invariant TSC, as QEMU's, are not trusted with more than one CPU
    "tsc": [r"tsc: Marking TSC unstable due to TSCs unsynchronized"],
    # a 32-bit kernel compares it with the PIT, for 30 ms and within 5 %, and must not lose its CPU then
    "acpi_pm": [r"PM-Timer running at invalid rate"],
}


@dataclass
class Guest:
    """One partition. @cpus: the machine's CPUs that its virtual ones run on."""
    flavour: str
    parameters: str = ""
    cpus: tuple = (0,)
    seconds: int = 0

    @property
    def name(self):
        word = re.sub("[^a-z0-9]+", "-", self.parameters).strip("-") or "plain"
        return "%s-%d-%s" % (self.flavour.replace("-amd64", ""), len(self.cpus), word)

    def seen_cpus(self):
        """Without local APICs there is one; the others are found by ACPI only."""
        return 1 if self.parameters in ("nolapic", "acpi=off") else len(self.cpus)

    def may_have(self, source, log):
        """Is it the clocksource asked for? Or had the kernel a reason of its own against that one?"""
        asked = re.search(r"clocksource=(\S+)", self.parameters)
        if not asked:
            return source in ("kvm-clock", "tsc")
        refused = any(re.search(words, log) for words in REFUSED[asked.group(1)])
        return source == asked.group(1) or (refused and source == "kvm-clock")

    def end(self):
        """Without ACPI there is no S5; the cloud kernel has no /dev/port to reach debug-exit by."""
        if self.parameters != "acpi=off":
            return "poweroff"
        return "reset" if self.flavour == "cloud-amd64" else "exit"

    def node(self, name, directory, more):
        kernel = os.path.relpath(os.path.join(kernel_dir(self.flavour), "vmlinuz"), directory)
        return """
		%s {
			cpus = <%s>;
			memory = <%d>;
			boot = "linux";
			kernel = "%s";
			initrd = "%s";
			cmdline = "console=ttyS0 panic=-1 seconds=%d %s%s";
			debug-exit = <0xf4>;
		};""" % (name, " ".join(map(str, self.cpus)), MEMORY, kernel, initrd_name(self.flavour),
                 self.seconds, self.parameters, more)

    def problem(self, name, everything):
        """What is wrong with this guest; None if nothing is."""
        log = "\n".join(re.findall(r"^\[%s\] (.*)$" % name, everything, re.M))
        hello = re.search(r"^guest: \S+ cpus=(\d+) clocksource=(\S+) ", log, re.M)
        if not hello:
            return "no shell"
        if int(hello.group(1)) != self.seen_cpus():
            return "%s CPUs" % hello.group(1)
        if not self.may_have(hello.group(2), log):
            return "clocksource " + hello.group(2)
        fault = re.search(r"^guest: FAIL.*", log, re.M)
        if fault or "\nguest: done" not in log:
            return fault.group(0) if fault else "load not done"
        for text in re.findall(r"^warning: (.*)$", log, re.M):
            if not any(re.search(pattern, text) for pattern in ALLOWED):
                return "warns: " + text
        end = re.search(r'^bulkhead: \[%s\] verdict=\S+ reason="(.*)"' % name, everything, re.M)
        return None if end and end.group(1) == self.end() else "end: " + (end.group(1) if end else "none")


def kernel_dir(flavour):
    return os.path.join(BUILD, "linux" if flavour == "amd64" else "linux-" + flavour)


def initrd_name(flavour):
    return "i386.img" if flavour == "686-pae" else "amd64.img"


def fetch(flavour):
    status, text = command(["tools/fetch-kernel", kernel_dir(flavour), flavour], 300)
    if status == 3:
        raise Skip(text.strip())
    if status:
        raise Failure("fetch-kernel %s: exit status %d\n%s" % (flavour, status, text))


def write_initrd(flavour, directory):
    with open(os.path.join(ROOT, "test", "emu", "linux_init.sh"), encoding="ascii") as f:
        init = f.read()
    own = os.path.join(kernel_dir(flavour), "busybox")
    cpio = initramfs.base(init, own if os.path.exists(own) else initramfs.BUSYBOX)
    with open(os.path.join(directory, initrd_name(flavour)), "wb") as f:
        f.write(cpio.bytes())


@dataclass
class Heart:
    """A bare-metal partition beside them: @beats lines, one a second."""
    beats: int
    cpus: tuple
    name: str = "heartbeat"

    def node(self, name, directory, _more):
        return """
		%s {
			cpus = <%d>;
			memory = <4>;
			boot = "multiboot";
			kernel = "%s";
			cmdline = "beats=%d";
			debug-exit = <0xf4>;
		};""" % (name, self.cpus[0], os.path.relpath(os.path.join(BUILD, "guests", "heartbeat.elf"), directory),
                 self.beats)

    def problem(self, name, log):
        """Every beat, in order, to the last."""
        beats = [int(n) for n in re.findall(r"^\[%s\] beat (\d+) " % name, log, re.M)]
        ended = re.search(r'^bulkhead: \[%s\] verdict=OK reason="exit"' % name, log, re.M)
        return None if ended and beats == list(range(1, self.beats + 1)) else "%d beats" % len(beats)


def write_system(machine, guests):
    """Names are unique: a second guest of one kind gets a number."""
    names = []
    for guest in guests:
        names.append(guest.name if guest.name not in names else "%s-%d" % (guest.name, len(names)))
        if isinstance(guest, Heart):
            continue
        fetch(guest.flavour)
        write_initrd(guest.flavour, machine.dir)
    with open(machine.path("linux.dts"), "w", encoding="ascii") as f:
        f.write('/dts-v1/;\n/ {\n\tcompatible = "bulkhead,system-1";\n\tpartitions {%s\n\t};\n};\n'
                % "".join(g.node(n, machine.dir, BED_PARAMETERS.get(machine.bed, ""))
                          for n, g in zip(names, guests)))
    return names


def boot(machine, guests, limit, *args):
    """Return: (guest, its problem or None) for each."""
    names = write_system(machine, guests)
    cpus = 1 + max(max(guest.cpus) for guest in guests)
    machine.run(machine.path("linux.dts"), "--cpus", str(cpus),
                "--mem", str(256 + (MEMORY + 8) * len(guests)), *args, timeout=limit)
    return [(guest, guest.problem(name, machine.read())) for name, guest in zip(names, guests)]


def run(machine, guests, limit, *args):
    for guest, text in boot(machine, guests, limit, *args):
        machine.need(not text, "%s: %s" % (guest.name, text))
    machine.need_absent(r"FATAL", r"killed")


def alone(flavour, *parameters, cpus=1):
    """Guests beside each other, each on CPUs of its own."""
    return [Guest(flavour, words, tuple(range(i * cpus, (i + 1) * cpus))) for i, words in enumerate(parameters)]


def shared(flavour, *parameters):
    """Guests of one CPU each on the two CPUs of one machine."""
    return [Guest(flavour, words, (i % 2,)) for i, words in enumerate(parameters)]


def together(seconds):
    """Two Linux guests of two CPUs each, at work, and on a CPU of each a bare-metal guest that is in no hurry."""
    return [Guest("amd64", "", (0, 1), seconds), Guest("amd64", "", (2, 3), seconds),
            Heart(seconds, (1,)), Heart(seconds, (2,))]


# name, bed, guests, limit in seconds, about how long it takes
RUNS = [
    ("linux-flavours", "qemu-svm", [Guest("cloud-amd64"), Guest("rt-amd64", cpus=(0, 1))], 400, 40),
    ("linux-686-pae", "qemu-svm", [Guest("686-pae", cpus=(0, 1))], 400, 25),
    ("linux-apic", "qemu-svm", shared("amd64", "noapic", "nolapic", "acpi=off"), 400, 30),
    ("linux-smp", "qemu-svm", [Guest("amd64", cpus=(0, 1, 2, 3))], 400, 13),
    ("linux", "nested", [Guest("amd64")], 400, 60),
    ("linux-together", "qemu-svm", together(60), 600, 100),
]


def matrix():
    """All of it, for `make matrix`: (bed, guests that boot together), one flavour and number of vCPUs at a time"""
    for flavour in FLAVOURS:
        for cpus, count in ((1, 4), (2, 2), (4, 1), (8, 1)):
            for i in range(0, len(PARAMETERS), count):
                some = PARAMETERS[i:i + count]
                yield "qemu-svm", shared(flavour, *some) if cpus == 1 else alone(flavour, *some, cpus=cpus)
    # not 686-pae on nested: KVM there refuses CR0 when QEMU has set accessed bits in the PDPTEs
    for bed, flavour, cpus in (("nested", "amd64", 1), ("nested", "rt-amd64", 1), ("nested", "cloud-amd64", 1),
                               ("bochs-vmx", "686-pae", 1), ("bochs-vmx", "amd64", 1), ("bochs-vmx", "amd64", 2),
                               ("bochs-vmx", "amd64", 4), ("bochs-vmx", "cloud-amd64", 1),
                               ("bochs-vmx", "rt-amd64", 1), ("bochs-svm", "686-pae", 1),
                               ("bochs-svm", "amd64", 1)):
        yield bed, alone(flavour, "", cpus=cpus)


def jobs():
    for name, bed, guests, limit, seconds in RUNS:
        yield job(name, bed, lambda m, g=guests, l=limit: run(m, g, l), seconds)
