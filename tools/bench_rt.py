#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How late PREEMPT_RT Linux wakes beside another partition, idle or hostile: Debian's kernel and a cyclictest-style
program. Two machines: "shared", QEMU with a deterministic clock (an instruction is 1 ns), where both are on one CPU by a
schedule, so that the figures say what Bulkhead adds; and "apart", a CPU for each, which on QEMU shows what else its host
does, and on Bochs takes long to boot. Prints; asserts nothing. usage: bench_rt.py [loops [shared|BED]]"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bhtool import initramfs  # noqa: E402
from bhtool.system import BUILD, ROOT  # noqa: E402

KERNEL = os.path.join(BUILD, "linux-rt-amd64")
# guests/hostile, how=
APART = {0: "idle", 5: "hostile, in four ways"}
SHARED = {0: "idle", 1: "spins, interrupts off", 2: "exits all the time", 3: "REP STOS to RAM and MMIO",
          4: "interrupts itself"}
PERIOD = {"shared": 2730, "apart": 2000}  # us; against a frame of 1000 us the first wanders by all phases
INIT = """#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
echo "rt $(uname -v)"
/bin/cyclic %d %d
poweroff -f
"""
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
			boot = "linux";
			kernel = "%s/vmlinuz";
			initrd = "rt.img";
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


def run(kind, bed, how, loops):
    """Return: what the program printed, or why it did not"""
    with tempfile.TemporaryDirectory() as work:
        write_files(work, kind, how, loops)
        command = [os.path.join(ROOT, "tools", "bulkhead"), "run", os.path.join(work, "rt.dts"), "--on",
                   bed, "--mem", "512", "--timeout", "3000", "--log", work]
        command += ["--icount", "--qemu-args=-seed 1"] if kind == "shared" else ["--cpus", "2"]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        with open(os.path.join(work, "com1.log"), encoding="latin-1") as f:
            log = f.read().replace("\r", "")
    found = re.search(r"^\[rt\] cyclic loops=(\d+) period=(\d+) us min=(\d+) ns avg=(\d+) ns max=(\d+) ns$", log, re.M)
    return found.groups() if found else ("none: exit status %d\n%s" % (status, log[-2000:]),)


def main(args):
    loops = int(args[0]) if args else 1000
    where = args[1] if len(args) > 1 else "shared"
    kind, bed = ("shared", "qemu-svm") if where == "shared" else ("apart", where)
    done = subprocess.run([os.path.join(ROOT, "tools", "fetch-kernel"), KERNEL, "rt-amd64"], check=False)
    if done.returncode:
        print("PREEMPT_RT Linux: not measured, no kernel")
        return done.returncode
    print("| PREEMPT_RT Linux beside  | wake-ups | period us | late by ns: min | mean | max |")
    print("|--------------------------|---------:|----------:|----------------:|-----:|----:|")
    good = True
    for how, name in (SHARED if kind == "shared" else APART).items():
        row = run(kind, bed, how, loops)
        good &= len(row) == 5
        print("| %-24s | %s |" % (name, " | ".join(row)), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
