#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How exact the edges of windows are, beside an idle neighbour and beside hostile ones: what the hypervisor
counted (docs/performance.md). One instruction is one tick on these beds. Prints; asserts nothing.
usage: bench_schedule.py [frames [bed ...]]"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SYSTEM = os.path.join(ROOT, "test", "emu", "schedule.dts")
BEDS = {"qemu-svm": ["--icount"], "bochs-vmx": []}
NEIGHBOURS = ["idle", "spins, interrupts off", "exits all the time", "REP STOS to RAM and MMIO",
              "interrupts itself"]  # guests/hostile, how=
LINE = (r"schedule cpu=0 frames=(\d+) windows=(\d+) jitter-max=(\d+) \((\d+) ns\) jitter-mean=(\d+) "
        r"\((\d+) ns\) overruns=(\d+)")


def system_of(how, frames, path):
    with open(SYSTEM, encoding="ascii") as f:
        text = f.read()
    text = text.replace("how=1 ", "how=%d " % how).replace("frames=100", "frames=%d" % frames)
    text = text.replace("../../build", os.path.join(ROOT, "build"))
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def run(bed, how, frames):
    """Return: the figures as text, or why there are none"""
    with tempfile.TemporaryDirectory() as work:
        dts = os.path.join(work, "schedule.dts")
        system_of(how, frames, dts)
        command = [os.path.join(ROOT, "tools", "bulkhead"), "run", dts, "--on", bed, "--cpus", "1",
                   "--timeout", "900", "--log", work, *BEDS[bed]]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        with open(os.path.join(work, "com1.log"), encoding="latin-1") as f:
            found = re.search(LINE, f.read())
    return found.groups() if found and not status else ("exit status %d" % status,)


def main(args):
    frames = int(args[0]) if args else 10000
    print("| %-9s | %-25s | frames | windows | latest start, ticks (ns) | mean, ticks (ns) | overruns |"
          % ("bed", "neighbour"))
    print("|-----------|---------------------------|-------:|--------:|" + "-" * 25 + ":|" + "-" * 17 + ":|---------:|")
    good = True
    for bed in args[1:] or BEDS:
        for how, name in enumerate(NEIGHBOURS):
            row = run(bed, how, frames)
            good &= len(row) == 7
            if len(row) == 7:
                row = row[0], row[1], "%s (%s)" % row[2:4], "%s (%s)" % row[4:6], row[6]
                print("| %-9s | %-25s | %6s | %7s | %24s | %16s | %8s |" % (bed, name, *row), flush=True)
            else:
                print("%s, %s: %s" % (bed, name, row[0]), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
