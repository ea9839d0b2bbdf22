# SPDX-License-Identifier: BSD-2-Clause
"""A hostile guest (guests/probe) beside one that watches (guests/neighbour): it sees no byte that is not its
own and ends nothing but itself; the watcher misses no beat, keeps every byte of its memory, takes no interrupt but its
timer's, and finds no page in two hands at any beat."""
import re

from machine import OK, job

STAGES = ("memory", "mmio", "instructions", "msrs", "ports", "interrupts")
WAYS = [("qemu-svm", 600, 17), ("bochs-vmx", 900, 42), ("bochs-svm", 900, 38)]  # bed, limit, about how long


def probe(machine, limit):
    log = machine.run("probe.dts", "--cpus", "2", timeout=limit)
    machine.need_status(OK)
    machine.need_absent("FATAL", "killed", "LEAK", r"^\[.*\] FAIL", "crash", "post-mortem")
    machine.need_log(*[r"^\[probe\] probe %s done leaks=0 failures=0$" % stage for stage in STAGES],
                     r"^\[probe\] verdict OK checks=\d+ failures=0$", r"^bulkhead: space .* leaks=0$",
                     r'^bulkhead: \[probe\] verdict=OK reason="exit"',
                     r'^bulkhead: \[neighbour\] verdict=OK reason="stopped"')
    beats = re.findall(r"^\[neighbour\] beat (\d+) (.*)$", log, re.M)
    machine.need([int(n) for n, _ in beats] == list(range(1, len(beats) + 1)), "beats are missing")
    bad = [what for _, what in beats if what != "changed=0 strays=0 leaks=0"]
    machine.need(len(beats) >= 5 and not bad, "%d beats, bad ones: %s" % (len(beats), bad[:3]))


def jobs():
    for bed, limit, seconds in WAYS:
        yield job("probe", bed, lambda m, l=limit: probe(m, l), seconds)
