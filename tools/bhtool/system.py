# SPDX-License-Identifier: BSD-2-Clause
"""A system: a .dts, the files it names, and what config-check says of it."""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
IMAGE = os.path.join(BUILD, "bulkhead.elf")


class Fault(Exception):
    """Bad input: exit status 2."""


def capture(args):
    return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)


def build(*targets):
    """Whatever `make` builds, quietly. The test runner has built all of it, and runs many of us."""
    if os.environ.get("BULKHEAD_BUILT"):
        return
    done = subprocess.run(["make", "-s", "-C", ROOT, *targets], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Fault("make %s failed:\n%s" % (" ".join(targets), done.stdout))


class System:
    """FILE.dts compiled into `dtb`; `files` maps each name it uses to a path."""

    def __init__(self, dts, work):
        if not os.path.isfile(dts):
            raise Fault("%s: no such file" % dts)
        self.dir = os.path.dirname(os.path.abspath(dts))
        self.dtb = os.path.join(work, "system.dtb")
        done = capture(["dtc", "-q", "-I", "dts", "-O", "dtb", "-i", self.dir, "-o", self.dtb, dts])
        if done.returncode:
            raise Fault("%s: %s" % (dts, done.stderr.strip()))
        self.files = {name: os.path.normpath(os.path.join(self.dir, name)) for name in self._names()}

    def _get(self, node, prop):
        done = capture(["fdtget", "-t", "s", self.dtb, node, prop])
        return done.stdout.rstrip("\n") if done.returncode == 0 else None

    def _modules(self, node):
        """modules = "file args", ...: the first word of each string."""
        done = capture(["fdtget", "-t", "bx", self.dtb, node, "modules"])
        if done.returncode:
            return []
        raw = bytes(int(b, 16) for b in done.stdout.split())
        strings = raw.rstrip(b"\0").split(b"\0")
        return [s.split()[0].decode(errors="replace") for s in strings if s.split()]

    def _names(self):
        names = []
        for part in capture(["fdtget", "-l", self.dtb, "/partitions"]).stdout.split():
            node = "/partitions/" + part
            for prop in ("kernel", "initrd"):
                value = self._get(node, prop)
                if value:
                    names.append(value)
            names += self._modules(node)
        return list(dict.fromkeys(names))

    def present(self):
        """(name, path) of the files that exist. The check has words for those that do not."""
        return [(n, p) for n, p in self.files.items() if os.path.isfile(p)]

    def check(self, cpus=None, mem=None, threads=None):
        """Return: (exit status, text) of the very code that checks at boot."""
        args = [os.path.join(BUILD, "host", "config-check"), self.dtb]
        if cpus:
            args += ["--cpus", str(cpus)]
        if threads:
            args += ["--threads", str(threads)]
        if mem:
            args += ["--mem", str(mem)]
        for name, path in self.present():
            args.append("%s:%d" % (name, os.path.getsize(path)))
        done = capture(args)
        return done.returncode, done.stdout + done.stderr
