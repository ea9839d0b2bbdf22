#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Everything behind `make matrix`: stock kernels by flavour, vCPUs and parameters; takes most of an hour.
Arguments pick a flavour, a number of vCPUs, a bed: `test/matrix.py 686-pae 2`. Two words stand for long runs,
on qemu-svm: `together`, two Linux and two bare-metal guests for ten minutes, and `storm`, ten million IPIs.
Exit status 1 if a cell failed."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "emu")]
import test_linux  # noqa: E402
from jobs import Failure, Skip  # noqa: E402
from machine import OK, Machine  # noqa: E402

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


def together():
    test_linux.run(Machine("together-long", "qemu-svm"), test_linux.together(600), 1200)


def storm():
    machine = Machine("storm-long", "qemu-svm")
    machine.run("storm-long.dts", "--cpus", "4", timeout=3600)
    machine.need_status(OK)
    machine.need_log(r"^\[storm\] verdict OK ")


LONG = {"together": together, "storm": storm}


def long_run(name):
    try:
        LONG[name]()
        print("%s: pass" % name)
        return 0
    except Failure as failure:
        print("%s: %s" % (name, failure))
        return 1


def main():
    os.environ["BULKHEAD_BUILT"] = "1"
    words, failed, table = sys.argv[1:], 0, {}
    if len(words) == 1 and words[0] in LONG:
        return long_run(words[0])
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
