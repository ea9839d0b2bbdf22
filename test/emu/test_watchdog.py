# SPDX-License-Identifier: BSD-2-Clause
"""A stock Linux drives its watchdog by the driver of its own, stops serving it, and is restarted: it finds a
clean machine, and that it was the watchdog."""
import os

import test_linux
from jobs import ROOT
from machine import BUILD, OK, job
from test_linux import initramfs

SYSTEM = """/dts-v1/;
/ {
	compatible = "bulkhead,system-1";
	partitions {
		linux {
			cpus = <0>;
			memory = <160>;
			boot = "linux";
			kernel = "%s";
			initrd = "watchdog.img";
			cmdline = "console=ttyS0 panic=-1%s";
			watchdog;
			health {
				restart-limit = <1>;
			};
		};
	};
};
"""


def run(machine):
    with open(os.path.join(ROOT, "test", "emu", "watchdog_init.sh"), encoding="ascii") as f:
        cpio = initramfs.base(f.read())
    initramfs.add_modules(cpio, os.path.join(BUILD, "linux", "lib"), ["i6300esb"])
    with open(machine.path("watchdog.img"), "wb") as f:
        f.write(cpio.bytes())
    kernel = os.path.relpath(os.path.join(BUILD, "linux", "vmlinuz"), machine.dir)
    with open(machine.path("watchdog.dts"), "w", encoding="ascii") as f:
        f.write(SYSTEM % (kernel, test_linux.BED_PARAMETERS.get(machine.bed, "")))
    machine.run(machine.path("watchdog.dts"), "--cpus", "1", "--mem", "300", timeout=300)
    machine.need_status(OK)
    machine.need_absent("FATAL", "FAIL", "killed")
    machine.need_log(r"^\[linux\] guest: i6300ESB timer, status 0$", r"^\[linux\] guest: served 5$",
                     r'^bulkhead: \[linux\] restart=1 reason="watchdog"', r"^\[linux\] guest: i6300ESB timer, status 32$",
                     r"^\[linux\] guest: bitten$",
                     r'^bulkhead: \[linux\] verdict=OK reason="poweroff" exits=\d+ restarts=1$')


def jobs():
    yield job("linux-watchdog", "qemu-svm", run, 40)
