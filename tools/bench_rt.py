#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How late PREEMPT_RT Linux wakes beside another partition, idle or hostile: Debian's kernel and a cyclictest-style
program. Two machines, on both of which an instruction is 1 ns: "apart", Bochs, where each has a CPU of its own, and
"shared", QEMU, where both are on one CPU by a schedule. Both machines run at once. Prints; asserts nothing.
usage: bench_rt.py [loops [apart|shared]]"""
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bhtool import initramfs  # noqa: E402
from bhtool.system import BUILD, ROOT  # noqa: E402

KERNEL = os.path.join(BUILD, "linux-rt-amd64")
# guests/hostile, how=
HOSTILE = {0: "sleeps", 5: "is hostile in four ways"}
EACH = {0: "sleeps", 1: "spins, interrupts off", 2: "exits all the time", 3: "REP STOS to RAM and MMIO",
        4: "interrupts itself"}
LOOPS = 300
BED = {"apart": "bochs-vmx", "shared": "qemu-svm"}
BED_ARGS = {"apart": ["--cpus", "2", "--ips", "1000000000"], "shared": ["--icount", "--qemu-args=-seed 1"]}
PERIOD = {"shared": 2730, "apart": 2000}  # us; against a frame of 1000 us the first wanders by all phases
INIT = """#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
echo "rt $(uname -v)"
/bin/cyclic %d %d
poweroff -f
"""
CPUS = {"apart": "CPU of its own", "shared": "windows of a CPU"}
WINDOWS = {
    "apart": """
		all {
			cpus = <1>;
			frame-us = <10000>;
			all { partition = "neighbour"; offset-us = <0>; length-us = <10000>; };
		};
""", "shared": """
		all {
			cpus = <0>;
			frame-us = <1000>;
			rt { partition = "rt"; offset-us = <0>; length-us = <600>; };
			neighbour { partition = "neighbour"; offset-us = <600>; length-us = <300>; };
		};
"""}
SYSTEM = """/dts-v1/;
/ {
	compatible = "bulkhead,system-1";
	schedules {
%s
	};
	partitions {
		rt {
			cpus = <0>;
			memory = <160>;
			boot = "pvh";
			kernel = "%s/vmlinux";
			modules = "rt.img";
			cmdline = "console=ttyS0 panic=-1 quiet clearcpuid=321";
			on-exit = "shutdown";
		};
		neighbour {
			cpus = <%d>;
			memory = <4>;
			boot = "multiboot";
			kernel = "%s/guests/hostile.elf";
			cmdline = "how=%d frames=1000000";
			debug-exit = <0xf4>;
		};
	};
};
"""


def write_files(work, kind, how, loops):
    binary = os.path.join(work, "cyclic")
    subprocess.run(["gcc", "-O2", "-static", "-o", binary, os.path.join(ROOT, "test", "emu", "cyclic.c")],
                   check=True)
    cpio = initramfs.base(INIT % (loops, PERIOD[kind]))
    with open(binary, "rb") as f:
        cpio.file("bin/cyclic", f.read())
    with open(os.path.join(work, "rt.img"), "wb") as f:
        f.write(cpio.bytes())
    with open(os.path.join(work, "rt.dts"), "w", encoding="ascii") as f:
        f.write(SYSTEM % (WINDOWS[kind], KERNEL, kind == "apart", BUILD, how))


def run(kind, how, loops):
    """Return: what the program printed, or why it did not"""
    with tempfile.TemporaryDirectory() as work:
        write_files(work, kind, how, loops)
        command = [os.path.join(ROOT, "tools", "bulkhead"), "run", os.path.join(work, "rt.dts"), "--on",
                   BED[kind], "--mem", "512", "--timeout", "3000", "--log", work, *BED_ARGS[kind]]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        with open(os.path.join(work, "com1.log"), encoding="latin-1") as f:
            log = f.read().replace("\r", "")
    found = re.search(r"^\[rt\] cyclic loops=(\d+) period=(\d+) us min=(\d+) ns avg=(\d+) ns max=(\d+) ns$", log, re.M)
    return found.groups() if found else ("none: exit status %d\n%s" % (status, log[-2000:]),)


def unpack():
    """The kernel, without what unpacks it: billions of instructions. Return: is it there?"""
    tools = os.path.join(ROOT, "tools")
    return (subprocess.run([os.path.join(tools, "fetch-kernel"), KERNEL, "rt-amd64"], check=False).returncode == 0 and
            subprocess.run([os.path.join(tools, "extract-vmlinux"), os.path.join(KERNEL, "vmlinuz"),
                            os.path.join(KERNEL, "vmlinux")], check=False).returncode == 0)


def main(args):
    loops = int(args[0]) if args else LOOPS
    kinds = args[1:] or list(BED)
    if not unpack():
        print("PREEMPT_RT Linux: not measured, no kernel")
        return 1
    neighbours = EACH if kinds == ["shared"] else HOSTILE
    with ThreadPoolExecutor(2) as pool:
        rows = [(kind, name, pool.submit(run, kind, how, loops)) for how, name in neighbours.items() for kind in kinds]
    print("| PREEMPT_RT Linux | beside a partition that | wake-ups | period us | late by ns: min | mean | max |")
    print("|------------------|-------------------------|---------:|----------:|----------------:|-----:|----:|")
    for kind, name, row in sorted(rows, key=lambda row: row[0]):
        print("| %-16s | %-23s | %s |" % (CPUS[kind], name, " | ".join(row.result())))
    return 0 if all(len(row.result()) == 5 for _, _, row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
