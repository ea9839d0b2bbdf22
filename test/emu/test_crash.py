# SPDX-License-Identifier: BSD-2-Clause
"""A crash of the hypervisor itself: by a failed assertion, an NMI, a double fault, a machine check. All CPUs stop,
the machine is reset, and the next boot finds the record and tells it; the host tool knows the functions."""
import re

from jobs import command
from machine import BULKHEAD, OK, job

KINDS = {  # name: number, the record's vector, a function that decode must name
    "bug": (0, 6, "crash_test"),
    "nmi": (1, 2, None),  # wherever it hits
    "df": (2, 8, "double_fault"),
    "mc": (3, 18, "crash_test"),
}

SYSTEM = """/dts-v1/;
/ {
	compatible = "bulkhead,system-1";
	partitions {
		crash {
			cpus = <0>;
			memory = <4>;
			boot = "multiboot";
			kernel = "../../../guests/crash.elf";
			cmdline = "kind=%d";
			debug-exit = <0xf4>;
			test-device;
		};
		other {
			cpus = <1>;
			memory = <4>;
			boot = "multiboot";
			kernel = "../../../guests/slices.elf";
			cmdline = "ms=50";
			debug-exit = <0xf4>;
		};
	};
};
"""


def crash(name, boot):
    number, vector, function = KINDS[name]

    def run(machine):
        with open(machine.path("crash.dts"), "w", encoding="ascii") as f:
            f.write(SYSTEM % number)
        machine.run(machine.path("crash.dts"), "--cpus", "2", "--append", "crash=reset", "--reboot", "--boot", boot,
                    timeout=120)
        machine.need_status(OK)
        machine.need_log(r"^bulkhead: crash: cpu=0 vector=%d " % vector,
                         r"^bulkhead: previous crash: cpu=0 vector=%d " % vector,
                         r"^bulkhead: previous crash: .* rax=[0-9a-f]{16}",
                         r"^\[crash\] there was one before this boot$")
        machine.need(len(re.findall(r"^bulkhead: crash: cpu=", machine.read(), re.M)) == 1, "more than one crash")
        status, text = command([*BULKHEAD, "decode", machine.path("com1.log"), "build/bulkhead.elf"], 60)
        machine.need(status == 0, "decode: exit status %d\n%s" % (status, text))
        machine.need(function is None or re.search(r"^    (rip|stack)=\S+ .*\b%s\b.*\.c:\d+" % function, text, re.M),
                     "decode does not name %s:\n%s" % (function, text))
    return run


def jobs():
    for name in KINDS:
        yield job("crash-" + name, "qemu-svm", crash(name, "kernel"), 4)
    yield job("crash-grub", "qemu-svm", crash("bug", "bios"), 6)
