#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Everything behind `make matrix`: stock kernels by flavour, vCPUs and parameters; takes most of an hour.
Arguments pick a flavour, a number of vCPUs, a bed: `test/matrix.py 686-pae 2`. Exit status 1 if a cell failed."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "emu")]
import test_linux  # noqa: E402
from jobs import Failure, Skip  # noqa: E402
from machine import Machine  # noqa: E402

LIMIT = 1200  # seconds for one machine
IPS = {"bochs-vmx": ("--ips", "10000000"), "bochs-svm": ("--ips", "10000000")}  # low: waiting is cheaper


def cells(bed, guests):
    """Return: what to say of each guest."""
    machine = Machine("matrix-" + guests[0].name, bed)
    try:
        return [text or "pass" for _, text in test_linux.boot(machine, guests, LIMIT, *IPS.get(bed, ()))]
    except Skip as skip:
        return [str(skip)] * len(guests)
    except Failure as failure:
        return [str(failure).splitlines()[0]] * len(guests)


def show(table):
    print("\n| flavour, vCPUs | " + " | ".join(p or "none" for p in test_linux.PARAMETERS) + " |")
    print("|---" * (1 + len(test_linux.PARAMETERS)) + "|")
    for row, cell in table.items():
        print("| %s | %s |" % (row, " | ".join(cell.get(p, "") for p in test_linux.PARAMETERS)))


def main():
    os.environ["BULKHEAD_BUILT"] = "1"
    words, failed, table = sys.argv[1:], 0, {}
    for bed, guests in test_linux.matrix():
        kind = (bed, guests[0].flavour, str(len(guests[0].cpus)))
        if not all(word in kind for word in words):
            continue
        row = "%s, %s%s" % (kind[1], kind[2], "" if bed == "qemu-svm" else " on " + bed)
        for guest, text in zip(guests, cells(bed, guests)):
            table.setdefault(row, {})[guest.parameters] = text
            failed += text != "pass" and "this Debian has no" not in text
            print("%s, %s: %s" % (row, guest.parameters or "no parameter", text), flush=True)
    show(table)
    print("%d cells failed" % failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
