# SPDX-License-Identifier: BSD-2-Clause
"""Channels between a stock Linux, where a program maps them, and bare-metal partitions: the same bytes at both
ends, asked for by polling and by a doorbell's interrupt (uio_pci_generic), in both directions."""
import os
import re

import test_linux
from jobs import ROOT
from machine import BUILD, OK, job
from test_linux import initramfs

KIB = 4096
PAIRS = (("polled", "producer"), ("in", "producer"), ("out", "consumer"))  # name of the channels, the other end


def bare(name, kind, directory):
    return """
		%s {
			cpus = <1>;
			memory = <4>;
			boot = "multiboot";
			kernel = "%s";
			cmdline = "kib=%d";
			debug-exit = <0xf4>;
		};""" % (name, os.path.relpath(os.path.join(BUILD, "guests", "chan-%s.elf" % kind), directory), KIB)


def channel(name, size, writer, reader):
    return """
		%s {
			size = <%d>;
			writer = "%s";
			readers = "%s";
		};""" % (name, size, writer, reader)


def pair(name, kind):
    """One channel each way; those who send write to "data", those who receive to "back"."""
    ends = ("linux", name) if kind == "consumer" else (name, "linux")
    return channel("data-" + name, 64, *ends) + channel("back-" + name, 4, *reversed(ends))


def write_initrd(machine):
    with open(os.path.join(ROOT, "test", "emu", "channel_init.sh"), encoding="ascii") as f:
        cpio = initramfs.base(f.read())
    with open(os.path.join(BUILD, "linux", "chan"), "rb") as f:
        cpio.file("chan", f.read())
    initramfs.add_modules(cpio, os.path.join(BUILD, "linux", "lib"), ["uio_pci_generic"])
    with open(machine.path("channel.img"), "wb") as f:
        f.write(cpio.bytes())


def write_system(machine):
    kernel = os.path.relpath(os.path.join(BUILD, "linux", "vmlinuz"), machine.dir)
    linux = """
		linux {
			cpus = <0 1>;
			memory = <160>;
			boot = "linux";
			kernel = "%s";
			initrd = "channel.img";
			cmdline = "console=ttyS0 panic=-1 kib=%d%s";
		};""" % (kernel, KIB, test_linux.BED_PARAMETERS.get(machine.bed, ""))
    with open(machine.path("channel.dts"), "w", encoding="ascii") as f:
        f.write('/dts-v1/;\n/ {\n\tcompatible = "bulkhead,system-1";\n\tpartitions {%s%s\n\t};\n\tchannels {%s\n\t};\n};\n'
                % (linux, "".join(bare(n, k, machine.dir) for n, k in PAIRS), "".join(pair(n, k) for n, k in PAIRS)))


def digest(machine, pattern):
    found = re.search(pattern + r" sha256 ([0-9a-f]{64})", machine.read(), re.M)
    machine.need(found, "not in the log: " + pattern)
    return found.group(1)


def run(machine):
    write_initrd(machine)
    write_system(machine)
    log = machine.run(machine.path("channel.dts"), "--cpus", "2", "--mem", "400", timeout=400)
    machine.need_status(OK)
    machine.need_absent(r"FATAL", r"killed", r"FAIL", r"WRONG")
    received = re.findall(r"^\[linux\] chan: received sha256 ([0-9a-f]{64}) as sent", log, re.M)
    machine.need(received == [digest(machine, r"^\[polled\]"), digest(machine, r"^\[in\]")], "what came in differs")
    machine.need(digest(machine, r"^\[linux\] chan: sent") == digest(machine, r"^\[out\]"), "what went out differs")
    machine.need_log(r"^\[linux\] chan: 0000:00:03.0 data-polled 64 KiB position 1$",
                     r"^\[linux\] chan: 0000:00:08.0 back-out 4 KiB position 1$",
                     r"^\[linux\] chan: data-polled by polling$", r"^\[linux\] chan: data-in by doorbell$",
                     r"^\[linux\] chan: data-in rung by itself: ffffffff$", r"^\[linux\] chan: data-out by doorbell$",
                     r"^\[linux\] guest: done$", r'^bulkhead: \[linux\] verdict=OK reason="poweroff"')
    for text in re.findall(r"^\[linux\] warning: (.*)$", log, re.M):
        machine.need(any(re.search(p, text) for p in test_linux.ALLOWED), "warns: " + text)


def jobs():
    yield job("linux-channel", "qemu-svm", run, 40)
