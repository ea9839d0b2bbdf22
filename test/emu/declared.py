# SPDX-License-Identifier: BSD-2-Clause
"""Turns the table of in-guest tests (beds.py) into jobs: one for each test on each of its beds."""
import beds
from jobs import Job, Skip
from machine import Machine, job

SECONDS = {"nested": 25, "bochs-vmx": 4, "bochs-svm": 4, "qemu-svm": 3}


def skip_job(test, bed, reason):
    def run():
        raise Skip(reason)
    return Job("emu/%s@%s" % (test.name, bed), run, 0)


def run(test, machine: Machine):
    args = ["--cpus", str(test.cpus)] + (["--mem", str(test.mem)] if test.mem else [])
    machine.run(test.dts, *args, timeout=test.timeout)
    machine.need_status(test.expect)
    machine.need_log(*test.log)
    machine.need_absent(*test.absent)


def jobs():
    for test in beds.TESTS:
        for bed in sorted(set(test.beds) | set(test.skip)):
            if bed in test.skip:
                yield skip_job(test, bed, test.skip[bed])
            else:
                yield job(test.name, bed, lambda m, t=test: run(t, m), SECONDS.get(bed, 5))
