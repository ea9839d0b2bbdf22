# SPDX-License-Identifier: BSD-2-Clause
"""Turns the addresses of a crash record into functions and lines: every number in its lines that lies in the
image's code. By binutils, so inlined functions are named too."""
import re
import subprocess

from .system import Fault

CRASH = re.compile(r"^bulkhead: (?:previous )?crash: .*$")
NUMBER = re.compile(r"(?:(\w+)=)?(?:0x)?\b([0-9a-f]{6,16})\b")


def output(args):
    try:
        return subprocess.run(args, check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Fault("%s: %s" % (args[0], error)) from error


def code_range(elf):
    """Of section .text"""
    found = re.search(r"\s\.text\s+PROGBITS\s+([0-9a-f]+)\s+[0-9a-f]+\s+([0-9a-f]+)",
                      output(["readelf", "-SW", elf]))
    if not found:
        raise Fault("%s has no section .text" % elf)
    start = int(found[1], 16)
    return range(start, start + int(found[2], 16))


def places(elf, address):
    """[(function, file:line)], the innermost first. Asked twice: the first answer of a process of binutils 2.44's (Debian
    13) may be "??", where the second knows all."""
    text = output(["addr2line", "-a", "-f", "-i", "-s", "-e", elf, hex(address), hex(address)])
    lines = re.split(r"^0x[0-9a-f]+\n", text, flags=re.M)[-1].splitlines()
    return list(zip(lines[0::2], (line.split(" (")[0] for line in lines[1::2])))


def decode(log, elf):
    """Lines: each one of a crash, and below it what its addresses are."""
    code = code_range(elf)
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in (text.rstrip("\r\n") for text in f):
            if not CRASH.match(line):
                continue
            yield line
            for name, number in NUMBER.findall(line):
                address = int(number, 16)
                if address in code:
                    # a return address is behind its call
                    found = places(elf, address - (0 if name == "rip" else 1))
                    yield "    %s=%x %s" % (name, address, " in ".join("%s (%s)" % p for p in found))
