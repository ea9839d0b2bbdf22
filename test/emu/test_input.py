# SPDX-License-Identifier: BSD-2-Clause
"""What is wrong with a system is said in the same words by the host tool and at boot, all of it, and
nothing starts. What is wrong with a command line, or with a guest that never ends, has its exit status."""
import os
import re

from jobs import command
from machine import BAD_INPUT, BUILD, BULKHEAD, EMU, OK, TIMEOUT, job

FAULT = r"^(bulkhead: config: .*)$"
BROKEN = """/dts-v1/;
/ {
	compatible = "bulkhead,system-1";
	partitions {
		broken {
			cpus = <0>;
			memory = <%d>;
			boot = "%s";
			kernel = "kernel";
		};
	};
};
"""


def faults(machine):
    """The list is the same; 22 faults in it, of form and of meaning, and each partition is named."""
    _, output = command([*BULKHEAD, "check", os.path.join(EMU, "faults.dts"), "--cpus", "2"], 60)
    log = machine.run("faults.dts", "--no-check", "--cpus", "2")
    machine.need_status(BAD_INPUT)
    want, seen = re.findall(FAULT, output, re.M), re.findall(FAULT, log, re.M)
    machine.need(want == seen, "host tool and boot differ:\n%s" % "\n".join(set(want) ^ set(seen)))
    machine.need(len(want) >= 15, "only %d faults found" % len(want))
    machine.need_log(r"^bulkhead: FATAL config faults=%d, nothing is started$" % len(want))
    machine.need_absent(r"start partitions", r"^\[")


def broken(name, memory, boot, fault):
    """A kernel file that only the loader can judge: its first 8 KiB are all there is."""
    def run(machine):
        with open(os.path.join(BUILD, name), "rb") as f:
            data = f.read(8192)
        with open(machine.path("kernel"), "wb") as f:
            f.write(data)
        with open(machine.path("broken.dts"), "w", encoding="ascii") as f:
            f.write(BROKEN % (memory, boot))
        machine.run(machine.path("broken.dts"))
        machine.need_status(BAD_INPUT)
        machine.need_log(r"^bulkhead: FATAL config \[broken\] %s$" % fault)
        machine.need_absent(r"start partitions")
    return run


def bad(args, text):
    """Refused before any machine starts."""
    def run(machine):
        with open(machine.path("syntax.dts"), "w", encoding="ascii") as f:
            f.write("/dts-v1/;\n/ { compatible = ;\n")
        machine.status, machine.output = command(
            ["tools/bulkhead", *[a.replace("DIR", machine.dir) for a in args]], 60)
        machine.need_status(BAD_INPUT)
        machine.need(re.search(text, machine.output), "no word of it")
    return run


def spin(machine):
    machine.run("spin.dts", "--boot", "kernel", timeout=10)
    machine.need_status(TIMEOUT)
    machine.need_log(r"^bulkhead: start partitions=1 ")


def gap(machine):
    """Its lines come out while it runs, though it never lets go."""
    machine.run("gap.dts", "--boot", "kernel", "--icount", "--until", r"(?s)(\n\[lines\] .*){4}", timeout=100)
    machine.need_icount()
    machine.need_status(OK)


def jobs():
    yield job("faults", "bochs-vmx", faults)
    yield job("faults", "qemu-svm", faults)
    yield job("truncated-linux", "qemu-svm", broken("linux/vmlinuz", 256, "linux", "kernel truncated"))
    yield job("truncated-elf", "qemu-svm",
              broken("guests/heartbeat.elf", 4, "multiboot", "kernel truncated"))
    yield job("not-an-elf", "qemu-svm",
              broken("linux/initrd.img", 4, "pvh", "kernel is not an ELF file"))
    yield job("no-file", "qemu-svm", bad(["run", "DIR/none.dts"], "none.dts: no such file"))
    yield job("no-file-check", "qemu-svm", bad(["check", "DIR/none.dts"], "none.dts: no such file"))
    yield job("syntax", "qemu-svm", bad(["run", "DIR/syntax.dts"], "syntax error"))
    yield job("faults-run", "qemu-svm",
              bad(["run", os.path.join(EMU, "faults.dts")], "config: .*unknown property"))
    yield job("no-such-bed", "qemu-svm", bad(["run", "DIR/x.dts", "--on", "mars"], "invalid choice"))
    yield job("timeout", "qemu-svm", spin, 11)
    yield job("gap", "qemu-svm", gap, 5)
