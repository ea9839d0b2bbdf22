# SPDX-License-Identifier: BSD-2-Clause
"""The bad systems of test/config/bad: each names in its first comment the faults that it must get. The host
tool and the boot path report exactly these, in this order, and nothing starts. `*` stands for a number. Those whose
name begins with "smt-" are judged on a machine with two threads a core."""
import glob
import os
import re
import tempfile

from jobs import FAIL, PASS, ROOT, Failure, Result, need
from machine import BAD_INPUT, job
from test_blobs import CPUS, Fault, System, boot

BAD = os.path.join(ROOT, "test", "config", "bad")
FAULT = r"^bulkhead: config: (.*)$"
HALVES = 2  # jobs, for as many cores


def systems(part):
    return sorted(glob.glob(os.path.join(BAD, "*.dts")))[part::HALVES]


def wanted(path):
    with open(path, encoding="ascii") as f:
        comment = f.read().split("*/")[0]
    return re.findall(r"^ \* (.*)$", comment, re.M)


def compare(where, want, text):
    seen = re.findall(FAULT, text, re.M)
    same = len(want) == len(seen) and all(
        re.fullmatch(re.escape(w).replace(r"\*", r"\d+"), s) for w, s in zip(want, seen))
    if not want or not same:
        raise Failure("%s: wanted\n%s\nseen\n%s" % (where, "\n".join(want), "\n".join(seen)))


def judge(machine, path, work):
    want = wanted(path)
    threads = 2 if os.path.basename(path).startswith("smt-") else 1
    system = System(path, work)
    status, text = system.check(CPUS, 400, threads)
    need(status == BAD_INPUT, "host: exit status %d" % status)
    compare("host", want, text)
    log = boot(system, machine, work, threads)
    compare("boot", want, log)
    machine.need_log(r"^bulkhead: FATAL config faults=%d, nothing is started$" % len(want), r"^bulkhead: halted$")
    machine.need_absent(r"start partitions", r"^\[")


def all_of(machine, part):
    results = []
    for path in systems(part):
        name = "bad/" + os.path.splitext(os.path.basename(path))[0]
        try:
            with tempfile.TemporaryDirectory() as work:
                judge(machine, path, work)
            results.append(Result(name, PASS))
        except (Failure, Fault) as failure:
            results.append(Result(name, FAIL, str(failure)))
    return results


def jobs():
    for part in range(HALVES):
        yield job("bad-%d" % part, "qemu-svm", lambda m, p=part: all_of(m, p), 40)
