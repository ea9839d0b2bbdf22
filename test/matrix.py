#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Everything behind `make matrix`: stock kernels by flavour, vCPUs and parameters; takes most of an hour.
Arguments pick flavours and numbers of vCPUs: `test/matrix.py 686-pae 2`. Exit status 1 if a cell failed."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "emu")]
import test_linux  # noqa: E402
from jobs import Failure, Skip  # noqa: E402
from machine import Machine  # noqa: E402

LIMIT = 900  # seconds for one machine


def cells(flavour, cpus, guests):
    """Return: what to say of each guest."""
    name = "matrix-%s-%d-%s" % (flavour, cpus, guests[0].name.rsplit("-", 1)[-1])
    try:
        return [text or "pass" for _, text in
                test_linux.boot(Machine(name, "qemu-svm"), guests, LIMIT)]
    except Skip as skip:
        return [str(skip)] * len(guests)
    except Failure as failure:
        return [str(failure).splitlines()[0]] * len(guests)


def main():
    os.environ["BULKHEAD_BUILT"] = "1"
    words, failed, table = sys.argv[1:], 0, {}
    for flavour, cpus, guests in test_linux.matrix():
        if any(w in test_linux.FLAVOURS and w != flavour for w in words) or \
           any(w.isdigit() and str(cpus) not in words for w in words):
            continue
        for guest, text in zip(guests, cells(flavour, cpus, guests)):
            table[flavour, cpus, guest.parameters] = text
            failed += text != "pass" and "this Debian has no" not in text
            print("%s, %d vCPU, %s: %s" % (flavour, cpus, guest.parameters or "no parameter", text), flush=True)
    print("\n| flavour, vCPUs | " + " | ".join(p or "none" for p in test_linux.PARAMETERS) + " |")
    print("|---" * (1 + len(test_linux.PARAMETERS)) + "|")
    for flavour, cpus in dict.fromkeys(key[:2] for key in table):
        print("| %s, %d | %s |" % (flavour, cpus, " | ".join(table.get((flavour, cpus, p), "")
                                                           for p in test_linux.PARAMETERS)))
    print("%d of %d cells failed" % (failed, len(table)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
