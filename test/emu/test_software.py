# SPDX-License-Identifier: BSD-2-Clause
"""Software that nobody here wrote, unmodified from Debian's packages: memtest86+ completes a pass without an
error, Xen starts Linux as its domain 0, Linux boots by PVH."""
import re

from machine import OK, job

PASS_DONE, TEST_6, LAST_TEST = r"Pass: +1 +Errors: 0 ", r"#6 +\[Moving inv", r"#10 \[Bit fade"
MEMTEST = [  # name, bed, what is waited for, about how long it takes
    ("memtest", "qemu-svm", PASS_DONE, 60),  # two fades of 80 s are in it, on a slow clock
    ("memtest", "bochs-vmx", TEST_6, 13),     # the sixth test alone takes minutes there
    ("memtest", "bochs-svm", TEST_6, 13),
    ("memtest32", "qemu-svm", LAST_TEST, 12),
    ("memtest-smp", "qemu-svm", LAST_TEST, 12),
    ("memtest-smp", "bochs-vmx", TEST_6, 15),
]


def start(machine, until):
    """It waits by a clock: the fewer instructions there are in a second, the less it waits."""
    args = [machine.name + ".dts", "--until", until]
    if machine.bed == "qemu-svm" and until == PASS_DONE:
        machine.run(*args, "--icount", "9", timeout=900)
        if "Bad icount read" not in machine.read("emulator.log"):
            return
    machine.run(*args, "--ips", "4000000", "--parallel", timeout=900)


def memtest(machine, until):
    start(machine, until)
    machine.need_status(OK)
    screen = machine.read("com2.log")
    machine.need(until != PASS_DONE or re.search(LAST_TEST, screen), "not all tests were done")
    machine.need(("2 Cores 2 Threads" in screen) == ("smp" in machine.name), "another number of CPUs")
    errors = set(re.findall(r"Errors: (\d+)", screen))
    machine.need(errors == {"0"}, "errors: %s" % errors)
    machine.need_absent(r"FATAL", r"killed", r"verdict")


def linux_ends_well(machine, dts, name, *words):
    machine.run(dts, "--mem", "1200", timeout=300)
    machine.need_status(OK)
    machine.need_log(*words, r"^\[%s\] guest: Linux .* up" % name,
                     r'^bulkhead: \[%s\] verdict=OK reason="poweroff"' % name)
    machine.need_absent(r"FATAL", r"killed", r"\[%s\].*(Kernel panic|Oops|BUG:|soft lockup)" % name)


def xen(machine):
    linux_ends_well(machine, "xen.dts", "xen", r"\(XEN\) Bootloader: bulkhead",
                    r"\(XEN\) Multiboot-e820 RAM map", r"\(XEN\)  Dom0 kernel: 64-bit",
                    r"\] Booting kernel on Xen|\] Booting paravirtualized kernel on Xen")


def linux_pvh(machine):
    linux_ends_well(machine, "linux-pvh.dts", "linux")


def jobs():
    for name, bed, until, seconds in MEMTEST:
        yield job(name, bed, lambda m, u=until: memtest(m, u), seconds)
    yield job("xen", "qemu-svm", xen, 30)
    yield job("linux-pvh", "qemu-svm", linux_pvh, 25)
