# SPDX-License-Identifier: BSD-2-Clause
"""The demo on every way to boot and every bed: Debian's kernel reaches a shell and turns its machine
off, the bare-metal guest beside it never misses a beat, and the image says the digest of its bytes."""
import hashlib
import os
import re
import subprocess

from machine import BUILD, OK, job

WAYS = [  # name, bed, arguments, limit in seconds, about how long it takes
    ("demo", "bochs-vmx", ["--ips", "30000000"], 900, 150),
    ("demo", "nested", [], 300, 70),
    ("demo", "qemu-svm", [], 120, 12),
    ("demo-uefi", "qemu-svm", ["--boot", "uefi"], 120, 15),
    ("demo-kernel", "qemu-svm", ["--boot", "kernel"], 120, 10),
]


def image_digest(scratch):
    """As linker.ld says."""
    flat = os.path.join(scratch, "image.bin")
    subprocess.run(["objcopy", "-O", "binary", os.path.join(BUILD, "bulkhead.elf"), flat], check=True)
    with open(flat, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def beats(text):
    return [int(n) for n in re.findall(r"^\[heartbeat\] beat (\d+) ", text, re.M)]


def demo(machine, args, limit):
    machine.need_kept_faults()
    log = machine.run("demo.dts", *args, timeout=limit)
    machine.need_status(OK)
    machine.need_absent(r"FATAL", r"killed", r"event=.*-violation", r"\[linux\].*(Kernel panic|Oops|BUG:|soft lockup)")
    machine.need_log(r"^bulkhead: cpus online=2$", r"^\[linux\] guest: Linux .* up",
                     r"^\[linux\] shell-42$", r'^bulkhead: \[linux\] verdict=OK reason="poweroff"',
                     r"^bulkhead: shutdown verdict=OK partitions=2$")
    ours = log[log.find("bulkhead: "):]  # firmware and GRUB may have written before
    hello = re.match(r"bulkhead: \S+ sha256=([0-9a-f]{64}) vendor=\S+ backend=\S+\n", ours)
    machine.need(hello, "no digest in the first line")
    machine.need(hello.group(1) == image_digest(machine.dir), "sha256 is not that of the image")
    before, after = log.split("[linux] shell-42", 1)
    machine.need(beats(before) and len(beats(after)) >= 2, "no beats before, or after, the shell")
    seen = beats(log)
    machine.need(seen == list(range(1, len(seen) + 1)), "beats missing or out of order: %s" % seen)


def jobs():
    for name, bed, args, limit, seconds in WAYS:
        yield job(name, bed, lambda m, a=args, l=limit: demo(m, a, l), seconds)
