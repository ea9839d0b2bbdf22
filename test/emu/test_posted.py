# SPDX-License-Identifier: BSD-2-Clause
"""Posted interrupts (SDM 3C 30.6): an IPI to a vCPU that runs makes no exit there. Of our beds only Bochs 3.0, which
Debian 13 has, knows them. Each move in guests/shootdown sends three IPIs, by one exit of the sender; without posting,
three more exits are the receivers', 1,600 in all, and others beside them. Counted, and the same in every run there."""
import re

from jobs import Skip
from machine import OK, job

CPUS, MOVES = 4, 400


def posted(machine):
    log = machine.run("shootdown.dts", "--cpus", str(CPUS), timeout=100)
    if "feature posted-interrupts=absent" in log:
        raise Skip("this Bochs has no posted interrupts (3.0 has)")
    machine.need_status(OK)
    machine.need_log(r"^\[shootdown\] 4 CPUs, %d shootdowns$" % MOVES, r"^\[shootdown\] verdict OK ")
    exits = int(re.search(r"^bulkhead: \[shootdown\] verdict=OK .* exits=(\d+)", log, re.M)[1])
    machine.need(MOVES <= exits < MOVES * CPUS,
                 "%d exits: too many for %d IPIs to running vCPUs" % (exits, MOVES * (CPUS - 1)))


def jobs():
    yield job("posted", "bochs-vmx", posted, 5)
