# SPDX-License-Identifier: BSD-2-Clause
"""One run of a system on a bed, as a user would start it, and what its logs must say."""
import contextlib
import functools
import os
import re
import subprocess
import sys

import l1
from jobs import BUILD, ROOT, Failure, Job, Skip, command, need

BULKHEAD = (sys.executable, "tools/bulkhead")  # by this Python: `env` may find one that takes longer to start
OK, FAILED, BAD_INPUT, TIMEOUT = 0, 1, 2, 124
EMU = os.path.dirname(os.path.abspath(__file__))
GRUB_CURSOR = re.compile(r"\x1b\[[0-9;=?]*[A-Za-z]")  # before our first line
GRACE = 60  # beyond the run's own limit: building the boot image, a loaded machine


@functools.lru_cache(maxsize=None)
def bochs_is_3():
    return "Bochs x86 Emulator 3." in subprocess.run(
        ["bochs", "--help", "cpu"], capture_output=True, text=True, errors="replace", timeout=30, check=False).stdout


class Machine:
    """Where one test on one bed keeps its files: build/test/<bed>/<name>/"""

    def __init__(self, name, bed):
        self.name, self.bed = name, bed
        self.dir = os.path.join(BUILD, "test", bed, name)
        self.status, self.output, self.l1 = None, "", None
        os.makedirs(self.dir, exist_ok=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, name="com1.log"):
        if not os.path.exists(self.path(name)):
            return ""
        with open(self.path(name), encoding="latin-1", newline="") as f:
            return GRUB_CURSOR.sub("", f.read().replace("\r", ""))

    def args(self, dts, *args, timeout):
        return [*BULKHEAD, "run", os.path.join(EMU, dts), "--on", self.bed, "--log", self.dir,
                "--timeout", str(timeout), *args]

    def run(self, dts, *args, timeout=60):
        """Return: the text of COM1; the exit status is in @status."""
        for log in ("com1.log", "com2.log"):
            if os.path.exists(self.path(log)):
                os.remove(self.path(log))
        with l1.lent() if self.bed == "nested" else contextlib.nullcontext() as door:
            self.l1, more = door, ["--l1", door] if door else []
            self.status, self.output = command(self.args(dts, *args, *more, timeout=timeout), timeout + GRACE)
        return self.read()

    def fail(self, text):
        """The first line says also what `bulkhead run` said last: the emulator itself may have died."""
        l1.retire(self.l1)
        said, (first, *more) = self.output.splitlines()[-10:], text.split("\n")
        first += " (%s)" % said[-1] if said else ""
        lines = [first, *more, *said, *self.read().splitlines()[-25:]]
        raise Failure("\n".join([*lines, "logs: " + os.path.relpath(self.dir, ROOT)]))

    def need(self, condition, text):
        if not condition:
            self.fail(text)

    def need_status(self, want):
        self.need(self.status == want, "exit status %s, not %s" % (self.status, want))

    def need_icount(self):
        if "Bad icount read" in self.read("emulator.log"):
            raise Skip("this QEMU (10) aborts when the local APIC's count is read while it counts instructions")

    def need_older_bochs(self, because):
        if self.bed.startswith("bochs") and bochs_is_3():
            raise Skip("Bochs 3 " + because)

    def need_kept_faults(self):
        """bxmain() in its main.cc does not commit the RIP of an exception's handler, as cpu_loop() does for one CPU."""
        self.need_older_bochs("with several CPUs goes back to what faulted if a VM exit comes before the handler")

    def need_log(self, *patterns):
        log = self.read()
        for pattern in patterns:
            self.need(re.search(pattern, log, re.M), "not in the log: " + pattern)

    def need_absent(self, *patterns):
        log = self.read()
        for pattern in patterns:
            found = re.search(pattern, log, re.M)
            self.need(not found, "must not be in the log: %s" % (found and found.group(0)))


def is_cut(line, right):
    """Is @line the beginning of the @right one, and no more?"""
    return line != right and right.startswith(line)


def lines_of(log, name, right):
    """What partition @name said, line by line. One that another's end stopped may have been in the middle of its last
    line: that one is left out if it is cut, right(N) being line N, from 0, as it has to be."""
    lines = re.findall(r"^\[%s\] (.*)$" % re.escape(name), log, re.M)
    stopped = re.search(r'^bulkhead: \[%s\] verdict=OK reason="stopped"' % re.escape(name), log, re.M)
    if stopped and lines and is_cut(lines[-1], right(len(lines) - 1)):
        lines.pop()
    return lines


def job(name, bed, test, seconds=3.0):
    """@test is called with the Machine."""
    return Job("emu/%s@%s" % (name, bed), lambda: test(Machine(name, bed)), seconds)


__all__ = ["BAD_INPUT", "BUILD", "BULKHEAD", "FAILED", "Machine", "OK", "ROOT", "TIMEOUT", "is_cut", "job", "lines_of", "need"]
