# SPDX-License-Identifier: BSD-2-Clause
"""Software that nobody here wrote, unmodified from Debian's packages: memtest86+ completes a pass without an
error, Xen starts Linux as its domain 0, Linux boots by PVH."""
import re

from machine import OK, job

LAST_TEST = r"#10 \[Bit fade"
MEMTEST = [  # name, bed, what is waited for, arguments, limit, about how long it takes
    ("memtest", "qemu-svm", r"Pass: +1 +Errors: 0 ", [], 900, 190),  # two fades of 80 s are most of it
    ("memtest32", "qemu-svm", LAST_TEST, [], 300, 30),
]


def memtest(machine, until, args, limit):
    machine.run(machine.name + ".dts", "--until", until, *args, timeout=limit)
    machine.need_status(OK)
    screen = machine.read("com2.log")
    machine.need(re.search(LAST_TEST, screen), "not all tests were done")
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
    for name, bed, until, args, limit, seconds in MEMTEST:
        yield job(name, bed, lambda m, u=until, a=args, l=limit: memtest(m, u, a, l), seconds)
    yield job("xen", "qemu-svm", xen, 30)
    yield job("linux-pvh", "qemu-svm", linux_pvh, 25)
