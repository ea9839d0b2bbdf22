# SPDX-License-Identifier: BSD-2-Clause
"""A hostile guest (guests/probe) beside one that watches (guests/neighbour): it sees no byte that is not its
own and ends nothing but itself; the watcher misses no beat, keeps every byte of its memory, takes no interrupt but its
timer's, and finds no page in two hands at any beat. On the nested bed the hostile one does fifty thousand exits instead of
half a million (probe-few.dts), of each kind some."""
from machine import OK, job, lines_of

STAGES = ("memory", "mmio", "instructions", "debug", "msrs", "ports", "interrupts")
WAYS = [("qemu-svm", "probe.dts", 600, 17), ("bochs-vmx", "probe.dts", 900, 42), ("bochs-svm", "probe.dts", 900, 38),
        ("nested", "probe-few.dts", 400, 35)]  # bed, system, limit, about how long


def beat(number):
    return "beat %d changed=0 strays=0 leaks=0" % (number + 1)


def probe(machine, dts, limit):
    machine.need_kept_faults()
    log = machine.run(dts, "--cpus", "2", timeout=limit)
    machine.need_status(OK)
    machine.need_absent("FATAL", "killed", "LEAK", r"^\[.*\] FAIL", "crash", "post-mortem")
    machine.need_log(*[r"^\[probe\] probe %s done leaks=0 failures=0$" % stage for stage in STAGES],
                     r"^\[probe\] verdict OK checks=\d+ failures=0$", r"^bulkhead: space .* leaks=0$",
                     r'^bulkhead: \[probe\] verdict=OK reason="exit"',
                     r'^bulkhead: \[neighbour\] verdict=OK reason="stopped"')
    beats = lines_of(log, "neighbour", beat)
    bad = [line for number, line in enumerate(beats) if line != beat(number)]
    machine.need(len(beats) >= 5 and not bad, "%d beats, missing or bad: %s" % (len(beats), bad[:3]))


def jobs():
    for bed, dts, limit, seconds in WAYS:
        yield job("probe", bed, lambda m, d=dts, l=limit: probe(m, d, l), seconds)
