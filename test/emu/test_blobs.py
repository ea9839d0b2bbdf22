# SPDX-License-Identifier: BSD-2-Clause
"""Faulty device trees out of good ones (blobs.py): the host tool and the boot path say the same of each, and what has
a fault does not start. `make fuzz-boot BLOBS=1000 SEED=7` tries more of them."""
import argparse
import glob
import os
import random
import re
import sys
import tempfile

from blobs import Mutator, blob_of, parse
from jobs import FAIL, PASS, ROOT, Result
from machine import EMU, Machine, job

sys.path.insert(0, os.path.join(ROOT, "tools"))
from bhtool import beds  # noqa: E402  pylint: disable=wrong-import-position
from bhtool.system import Fault, System  # noqa: E402  pylint: disable=wrong-import-position

SEED, BLOBS, JOBS = 1, 20, 2  # blobs of each job
CPUS, MEM, TIMEOUT = 2, 512, 60
MAX_FAULTS = 64  # printed, CONFIG_MAX_FAULTS
FAULT = r"^(bulkhead: config: .*)$"
MACHINE = r"^bulkhead: for partitions cpus=(\d+) memory=(\d+) MiB$"
LAST = "bulkhead: (start partitions=|halted)"


class Blob(System):
    """@blob in the place of a good system's device tree; the files are those of the good one."""

    def __init__(self, good, blob, path):  # pylint: disable=super-init-not-called
        self.dir, self.files, self.dtb = good.dir, good.files, path
        with open(path, "wb") as f:
            f.write(blob)


def boot(system, machine, work, threads=1):
    """Until the last word. Return: the text of COM1. By no process of its own: there are hundreds of them."""
    opts = argparse.Namespace(on=machine.bed, cpus=CPUS, threads=threads, mem=MEM, boot="kernel", icount=None, parallel=False,
                              append="", qemu_args="", interactive=False, reboot=False, cpu=None,
                              timeout=TIMEOUT, until=LAST)
    beds.run_on(beds.Run(system, opts, machine.dir, work))
    return machine.read()


def faults(text):
    return [line for line in re.findall(FAULT, text, re.M) if not re.search(r"config: and \d+ more$", line)]


def judge(system, machine, work):
    """Return: None, or what differs."""
    log = boot(system, machine, work)
    found = re.search(MACHINE, log, re.M)
    if not found or not re.search(LAST, log):
        return "the boot path has no end:\n" + log[-1000:]
    cpus, mem = found.groups()
    status, text = system.check(cpus, mem, 1)
    host, seen = faults(text), faults(log)
    if host != seen:
        return "host:\n%s\nboot:\n%s" % ("\n".join(host), "\n".join(seen))
    if status not in (0, 2) or (status == 2) != bool(host):
        return "the host tool's exit status is %d:\n%s" % (status, text)
    more = re.search(r"config: and (\d+) more$", text, re.M)
    count = len(host) + (int(more.group(1)) if more else 0)
    if host and "bulkhead: FATAL config faults=%d, nothing is started" % count not in log:
        return "%d faults, but the boot path says\n%s" % (count, log[-300:])
    if host and re.search(r"start partitions|^\[", log, re.M):
        return "it starts with faults:\n%s" % "\n".join(host)
    if not host and not re.search(r"start partitions=|FATAL config (\[|out of memory)", log):
        return "no fault, and it does not start:\n" + log[-300:]
    return None


def good_systems(work):
    """The systems whose files all are there, in a fixed order"""
    paths = [os.path.join(ROOT, "config", "demo.dts"), *sorted(glob.glob(os.path.join(EMU, "*.dts")))]
    for i, path in enumerate(paths):
        sub = os.path.join(work, str(i))
        os.makedirs(sub)
        system = System(path, sub)
        if len(system.present()) == len(system.files):
            yield os.path.basename(path), system


def fuzz(machine, seed, nr):
    """Yields (what, None or what differs) for each of @nr blobs."""
    with tempfile.TemporaryDirectory() as work:
        bases = list(good_systems(work))
        for i in range(nr):
            rng = random.Random("%d-%d" % (seed, i))
            name, good = rng.choice(bases)
            with open(good.dtb, "rb") as f:
                blob = Mutator(rng).blob(f.read())
            yield "seed=%d-%d of %s" % (seed, i, name), judge(Blob(good, blob, machine.path("blob.dtb")), machine, work)


def as_test(machine, seed):
    """One result; the blob of a failure stays as blob-I.dtb beside the logs."""
    wrong, nr_bad = [], 0
    for i, (what, why) in enumerate(fuzz(machine, seed, BLOBS)):
        nr_bad += "FATAL config" in machine.read()
        if why:
            os.replace(machine.path("blob.dtb"), machine.path("blob-%d.dtb" % i))
            wrong.append("%s: %s" % (what, why))
    name = "emu/blobs-%d@%s" % (seed, machine.bed)
    if nr_bad * 2 < BLOBS:
        wrong.append("only %d of %d blobs had a fault" % (nr_bad, BLOBS))
    return [Result(name, FAIL if wrong else PASS, "\n".join(wrong))]


def unchanged(machine):
    """Taken apart and put together, a good tree says the same to the host tool."""
    with tempfile.TemporaryDirectory() as work:
        for name, good in good_systems(work):
            with open(good.dtb, "rb") as f:
                again = Blob(good, blob_of(parse(f.read())), machine.path("again.dtb"))
            machine.need(good.check() == again.check(), "%s: %s, then %s" % (name, good.check(), again.check()))


def main(nr, seed):
    wrong = 0
    for what, why in fuzz(Machine("fuzz-boot", "qemu-svm"), seed, nr):
        wrong += bool(why)
        print("%s %s%s" % (what, "DIFFERS" if why else "same", "\n" + why if why else ""), flush=True)
    print("%d blobs, %d differ" % (nr, wrong))
    return 1 if wrong else 0


def jobs():
    yield job("blobs-unchanged", "qemu-svm", unchanged, 28)
    for i in range(JOBS):
        yield job("blobs-%d" % (SEED + i), "qemu-svm", lambda m, s=SEED + i: as_test(m, s), 14)
