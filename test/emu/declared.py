# SPDX-License-Identifier: BSD-2-Clause
"""Turns the table of in-guest tests (beds.py) into jobs: one for each test on each of its beds, and one
that compares what they said there: a visible difference between beds is a defect of ours, or is
explained in beds.MAY_DIFFER."""
import difflib
import re

import beds
from jobs import Failure, Job, Skip
from machine import Machine, is_cut, job

SECONDS = {"nested": 5, "bochs-vmx": 4, "bochs-svm": 4, "qemu-svm": 3}
LONG = {  # about how many, where it is more than 10
    "nested": {"legacy": 24, "windows": 20, "traps": 18, "shootdown": 20, "channels-hostile": 30, "lives": 20,
               "channels-fatal": 13, "apclocks": 15, "storm": 15, "kvmclock": 12},
    "bochs-vmx": {"thousand": 34, "storm-burst": 14, "xstate": 11}, "bochs-svm": {"storm": 12, "storm-burst": 11},
    "qemu-svm": {"kvmclock": 18, "legacy": 15},
}


SAID = {}  # test -> bed -> log of a good run


def skip_job(test, bed, reason):
    def run():
        raise Skip(reason)
    return Job("emu/%s@%s" % (test.name, bed), run, 0)


def run(test, machine: Machine):
    args = ["--cpus", str(test.cpus), "--threads", str(test.threads)] + (["--mem", str(test.mem)] if test.mem else [])
    args += ["--icount"] if test.icount and machine.bed == "qemu-svm" else []
    args += ["--parallel"] if test.parallel and machine.bed == "qemu-svm" else []
    if test.even:
        machine.need_older_bochs("takes a whole REP for one step of a CPU, while time goes on for the others")
    machine.run(test.dts, *args, timeout=test.timeout)
    machine.need_icount()
    machine.need_status(test.expect)
    machine.need_log(*test.log)
    machine.need_absent(*test.absent)
    SAID.setdefault(test.name, {})[machine.bed] = machine.read()


def story(log):
    """Who said what: {speaker: lines}. Lines of different speakers have no order."""
    said = {}
    for line in log.splitlines():
        match = re.match(r"(bulkhead: )?\[([a-z0-9-]+)\] (.*)", line)
        if not match or (match[1] and not re.match(beds.FATE, match[3])):
            continue
        text = match[3]
        for pattern, instead, _ in beds.MAY_DIFFER:
            text = re.sub(pattern, instead, text)
        if text:
            said.setdefault((match[1] or "") + match[2], []).append(text)
    return said


def drop_cut(one, other):
    """Of both, the last line of whom another's end stopped, if he was in the middle of it on one of the beds."""
    for who in set(one) & set(other):
        ends = one.get("bulkhead: " + who, []) + other.get("bulkhead: " + who, [])
        a, b = one[who], other[who]
        if any('reason="stopped"' in end for end in ends) and len(a) == len(b) \
                and (is_cut(a[-1], b[-1]) or is_cut(b[-1], a[-1])):
            a.pop()
            b.pop()


def told(said):
    return ["[%s] %s" % (who, text) for who, lines in sorted(said.items()) for text in lines]


def differences(one, other, names):
    """Of two logs: the lines of a diff, none if they say the same."""
    one, other = story(one), story(other)
    drop_cut(one, other)
    return list(difflib.unified_diff(told(one), told(other), *names, lineterm="", n=0))


def compare(test):
    said = SAID.get(test.name, {})
    names = [bed for bed in beds.ALL if bed in said]
    if len(names) < 2:
        raise Skip("needs good runs on two beds, there were %d" % len(names))
    for other in names[1:]:
        diff = differences(said[names[0]], said[other], (names[0], other))
        if diff:
            raise Failure("%s and %s differ: %s\n%s" % (names[0], other, diff[3], "\n".join(diff[:40])))


def jobs():
    for test in beds.TESTS:
        for bed in sorted(set(test.beds) | set(test.skip)):
            if bed in test.skip:
                yield skip_job(test, bed, test.skip[bed])
            else:
                yield job(test.name, bed, lambda m, t=test: run(t, m), LONG.get(bed, {}).get(test.name, SECONDS.get(bed, 5)))
        if len(test.beds) > 1 and test.compare:
            yield Job("emu/%s@compared" % test.name, lambda t=test: compare(t), 0, is_last=True)
