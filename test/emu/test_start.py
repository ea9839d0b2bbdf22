# SPDX-License-Identifier: BSD-2-Clause
"""From the loader to the first guest: memory is cleared by all CPUs before anything starts, and the hypervisor
itself stays under 1 MiB. On Bochs a CPU's turn is a fixed number of instructions, so there it is certain that
the second CPU takes part."""
import re

from machine import OK, job

HYPERVISOR_MAX = 1024  # KiB, for two partitions of one vCPU, besides second-level tables
MEMORY = r"^bulkhead: memory image=(\d+) KiB taken=(\d+) KiB tables=\d+ KiB free=\d+ MiB$"
SCRUB = r"^bulkhead: scrub cpus=(\d+) chunks=(\d+) by-others=(\d+)$"
PARTITION = r"^bulkhead: \[[^]]+\] cpu=\S+ memory=(\d+) MiB"  # cleared in pieces of 1 MiB


def start(machine):
    args = ["--parallel"] if machine.bed == "qemu-svm" else []
    machine.run("demo.dts", "--cpus", "2", "--mem", "1024", "--until", "bulkhead: start partitions=2 .*wait ticks=", *args,
                timeout=120)
    machine.need_status(OK)
    log = machine.read()
    image, taken = map(int, re.search(MEMORY, log, re.M).groups())
    machine.need(image + taken < HYPERVISOR_MAX, "%d KiB for the hypervisor" % (image + taken))
    cpus, chunks, others = map(int, re.search(SCRUB, log, re.M).groups())
    want = sum(map(int, re.findall(PARTITION, log, re.M)))
    machine.need(cpus == 2 and chunks == want, "%d CPUs cleared %d pieces" % (cpus, chunks))
    machine.need(0 < others < chunks or machine.bed == "qemu-svm", "%d of them by others" % others)
    machine.need(0 < log.index("bulkhead: scrub cpus=") < log.index("bulkhead: start partitions="),
                 "started before memory was clear")


def jobs():
    for bed in ("qemu-svm", "bochs-vmx"):  # Linux does not run on bochs-svm
        yield job("start", bed, start, 8)
