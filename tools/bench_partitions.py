#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What an exit costs when there are more partitions: the benchmark guest on a CPU of its own, and all others, each
asleep, on another CPU. One instruction is one tick on these beds, so a search that grows with the partitions shows.
Prints; asserts nothing. usage: bench_partitions.py [bed ...]"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bhtool.system import BUILD, ROOT  # noqa: E402

COUNTS = (1, 4, 16, 64)
# A quantum of 1: else Bochs' TSC stands still while a CPU executes its 32 instructions
BEDS = {"qemu-svm": ["--icount"], "bochs-vmx": ["--quantum", "1"]}
OPERATIONS = ("cpuid0", "in_uart_lsr", "mmio_unclaimed_r", "ipi_self_whole", "hlt_oneshot_long_late")
PARTITION = """
		%s {
			cpus = <%d>;
			memory = <%d>;
			boot = "multiboot";
			kernel = "%s/guests/%s.elf";
			%s
		};
"""
BENCH = 'cmdline = "n=%d"; debug-exit = <0xf4>; on-exit = "shutdown";'
SYSTEM = """/dts-v1/;
/ {
	compatible = "bulkhead,system-1";
	partitions {%s	};
};
"""


def system(count, samples):
    """Return: the .dts of @count partitions"""
    parts = [PARTITION % ("bench", 0, 4, BUILD, "bench", BENCH % samples)]
    parts += [PARTITION % ("idle%d" % i, 1, 2, BUILD, "idle", "") for i in range(1, count)]
    return SYSTEM % "".join(parts)


def run(bed, count, samples=200):
    """Return: {operation: median ticks}; empty if the run failed"""
    with tempfile.TemporaryDirectory() as work:
        dts = os.path.join(work, "system.dts")
        with open(dts, "w", encoding="ascii") as f:
            f.write(system(count, samples))
        command = [os.path.join(ROOT, "tools", "bulkhead"), "run", dts, "--on", bed, "--cpus", "2", "--mem", "512",
                   "--timeout", "300", "--log", work, *BEDS[bed]]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        with open(os.path.join(work, "com1.log"), encoding="latin-1") as f:
            log = f.read()
    if status:
        print("%s, %d partitions: exit status %d" % (bed, count, status))
        return {}
    return {name: int(ticks) for name, ticks in re.findall(r"EXITBENCH (\S+) n=\d+ min=\d+ med=(\d+)", log)}


def main(beds):
    print("| bed | partitions |" + "".join(" %s |" % name for name in OPERATIONS))
    print("|---|---:|" + "---:|" * len(OPERATIONS))
    good = True
    for bed in beds or BEDS:
        for count in COUNTS:
            row = run(bed, count)
            good &= bool(row)
            print("| %s | %d |" % (bed, count) + "".join(" %s |" % row.get(n, "-") for n in OPERATIONS), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
