#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fails on an #include or an undefined symbol that points outside a room's row (docs/architecture.md)."""
import os
import re
import subprocess
import sys

ROWS = {  # room: rooms it may use beside itself and include
    "include": (), "lib": (), "boot": ("lib",), "mm": ("lib",), "drivers": ("mm", "lib"),
    "vmx": ("mm", "lib"), "svm": ("mm", "lib"), "devices": ("lib",), "config": ("lib",),
    "kernel": ("boot", "lib", "mm", "drivers", "vmx", "svm", "devices", "config"),
    "guests": (),
}
FREE_SYMBOLS = {"boot": {"kmain"}}  # boot's one way up
GUEST_INCLUDES = ("abi/", "lib/guest.h", "lib/smp.h", "lib/hypercall.h", "lib/channel.h", "lib/pci.h", "lib/ring.h", "lib/sha256.h")


def includes(path):
    with open(path, encoding="utf-8") as f:
        return re.findall(r'^\s*#\s*include\s+"([^"]+)"', f.read(), re.M)


def sources(room):
    for folder, _, files in os.walk(room):
        yield from (os.path.join(folder, f) for f in files if f.endswith((".c", ".h", ".S")))


def bad_include(room, path, inc):
    if room == "guests":
        return not (inc.startswith(GUEST_INCLUDES) or "/" not in inc)
    near = os.path.normpath(os.path.join(os.path.dirname(path), inc))
    for candidate in (near, os.path.join("include", inc), inc):
        if os.path.exists(candidate):
            target = candidate.split(os.sep)[0]
            return target not in (room, "include", *ROWS[room])
    return False  # generated


def nm(archive, flag):
    text = subprocess.run(["nm", flag, archive], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {line.split()[-1] for line in text.splitlines() if len(line.split()) >= 2}


def main(build):
    faults = []
    for room in ROWS:
        for path in sources(room):
            faults += ["%s includes %s" % (path, i) for i in includes(path) if bad_include(room, path, i)]
    archives = {r: os.path.join(build, "obj", "lib%s.a" % r) for r in ROWS if r not in ("include", "guests")}
    defined = {r: nm(a, "--defined-only") for r, a in archives.items()}
    owner = {symbol: room for room, symbols in defined.items() for symbol in symbols}
    for room, archive in archives.items():
        for symbol in sorted(nm(archive, "-u")):
            home = owner.get(symbol)
            if home and home not in (room, *ROWS[room]) and symbol not in FREE_SYMBOLS.get(room, ()):
                if symbol not in defined[room]:
                    faults.append("%s uses %s of %s" % (room, symbol, home))
    print("\n".join(faults) if faults else "arrows: %d rooms, no forbidden include or symbol" % len(ROWS))
    return 1 if faults else 0


sys.exit(main(sys.argv[1]))
