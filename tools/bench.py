#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What exits cost on each bed, in TSC ticks: one instruction each on QEMU with icount and on Bochs, host
time on nested. Prints medians (and p99 where it differs); asserts nothing. usage: bench.py [bed ...]"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEDS = {"qemu-svm": ["--icount"], "bochs-vmx": [], "bochs-svm": [], "nested": []}
FIRST = ["hand-off", "hand-off, scrubbing memory"]
LINE = r"^\[bench\] EXITBENCH (\S+) n=\d+ min=\d+ med=(\d+) p99=(\d+) max=\d+$"


def bench(bed, args):
    """Return: {operation: what to print}; empty if the bed failed, which is said."""
    with tempfile.TemporaryDirectory() as log:
        command = [os.path.join(ROOT, "tools", "bulkhead"), "run",
                   os.path.join(ROOT, "test", "emu", "bench.dts"), "--on", bed, "--cpus", "1",
                   "--timeout", "240", "--log", log, *args]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        with open(os.path.join(log, "com1.log"), encoding="latin-1") as f:
            text = f.read().replace("\r", "")
    if status:
        print("%s: exit status %d" % (bed, status))
    row = {}
    start = re.search(r"handoff ticks=(\d+) scrub ticks=(\d+)", text)
    if start:
        row[FIRST[0]], row[FIRST[1]] = start.group(1), start.group(2)
    for name, median, p99 in re.findall(LINE, text, re.M):
        row[name] = median if median == p99 else "%s (%s)" % (median, p99)
    return row


def main(beds):
    columns = {bed: bench(bed, BEDS[bed]) for bed in beds or BEDS}
    names = list(dict.fromkeys([*FIRST, *(n for row in columns.values() for n in row)]))
    print("| %-27s |" % "ticks, median (p99)" + "".join(" %16s |" % bed for bed in columns))
    print("|" + "-" * 29 + "|" + ("-" * 17 + ":|") * len(columns))
    for name in names:
        print("| %-27s |" % name + "".join(" %16s |" % row.get(name, "-") for row in columns.values()))
    return 0 if all(columns.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
