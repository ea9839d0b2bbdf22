#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Line coverage of the unit tests, by file and in total, from the objects in DIR. usage: coverage.py DIR
Fails if a group that guests' input reaches first is below its goal."""
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

GOAL = 90.0
GROUPS = {
    "decoder": ("kernel/decode",),
    "emulator": ("kernel/emulate", "kernel/walk", "kernel/task_switch"),
    "loaders": ("kernel/load",),
    "devices": ("devices/",),
    "config": ("config/",),
    "exits": ("kernel/exit", "kernel/apply"),
    "cores": ("kernel/core", "kernel/pc.", "kernel/partition"),
}
OTHERS = ("lib/", "mm/", "boot/", "drivers/", "vmx/", "svm/", "kernel/")


def gcov(counts, scratch):
    """Yields (file, lines) of one .gcda; a header's code is counted with each file that uses it."""
    done = subprocess.run(["gcov", "--json-format", os.path.abspath(counts)], cwd=scratch,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout)
    for path in glob.glob(os.path.join(scratch, "*.gcov.json.gz")):
        with gzip.open(path) as f:
            for item in json.load(f)["files"]:
                yield item["file"], item["lines"]
        os.remove(path)


def measure(build):
    """Return: {file: {line: how often}}"""
    seen = {}
    with tempfile.TemporaryDirectory() as scratch:
        for notes in glob.glob(os.path.join(build, "**", "*.gcno"), recursive=True):
            counts = notes[:-5] + ".gcda"
            for name, lines in gcov(counts if os.path.exists(counts) else notes, scratch):
                if name.startswith(OTHERS + ("devices/", "config/")) and name.endswith(".c"):
                    file = seen.setdefault(name, {})
                    for line in lines:
                        number = line["line_number"]
                        file[number] = file.get(number, 0) + line["count"]
    return seen


def ratio(files):
    total = sum(len(f) for f in files)
    hit = sum(1 for f in files for count in f.values() if count)
    return hit, total, 100.0 * hit / total if total else 0.0


def main(build):
    seen = measure(build)
    if not seen:
        sys.exit("coverage: nothing measured in " + build)
    for name in sorted(seen):
        hit, total, percent = ratio([seen[name]])
        print("%6.1f %%  %4d of %4d  %s" % (percent, hit, total, name))
    failed = False
    for group, prefixes in GROUPS.items():
        hit, total, percent = ratio([f for n, f in seen.items() if n.startswith(prefixes)])
        failed |= percent < GOAL
        print("%6.1f %%  %4d of %4d  = %s (goal %.0f %%)" % (percent, hit, total, group, GOAL))
    hit, total, percent = ratio(list(seen.values()))
    print("%6.1f %%  %4d of %4d  = all pure code" % (percent, hit, total))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
