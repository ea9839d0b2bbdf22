# SPDX-License-Identifier: BSD-2-Clause
"""The jobs that need no emulator: unit tests, fuzzers, and checks of the code itself."""
import glob
import os
import re

from jobs import BUILD, FAIL, PASS, ROOT, SKIP, Failure, Job, Result, command

TIMEOUT = 300
FUZZ_RUNS = {"fuzz_pt": 2500}  # a run of this one is a whole history of maps and unmaps
FUZZ_RUNS_DEFAULT = 20000


def names(pattern):
    found = glob.glob(os.path.join(ROOT, pattern))
    return sorted(os.path.splitext(os.path.basename(path))[0] for path in found)


def tail(text, lines=30):
    return "\n".join(text.rstrip().splitlines()[-lines:])


def unit(name):
    """Each cmocka case is a test; so is what is missing when the binary dies on the way."""
    status, text = command([os.path.join(BUILD, "host", name)], TIMEOUT,
                           {"CMOCKA_MESSAGE_OUTPUT": "TAP"})
    results = []
    for verdict, skip, case in re.findall(r"^(not ok|ok) \d+ (?:-|# (SKIP)) (\S+)", text, re.M):
        kind = SKIP if skip else PASS if verdict == "ok" else FAIL
        results.append(Result("%s.%s" % (name, case), kind, tail(text) if kind == FAIL else ""))
    plan = sum(int(n) for n in re.findall(r"^1\.\.(\d+)$", text, re.M))
    if not plan or plan != len(results) or (status and not any(r.status == FAIL for r in results)):
        results.append(Result(name, FAIL, "exit status %d, %d of %d cases ran\n%s"
                              % (status, len(results), plan, tail(text))))
    return results


def fuzz(name):
    runs = FUZZ_RUNS.get(name, FUZZ_RUNS_DEFAULT)
    status, text = command([os.path.join(BUILD, "host", name), str(runs)], TIMEOUT)
    if status:
        raise Failure("exit status %d\n%s" % (status, tail(text)))


def check(*args):
    status, text = command(list(args), TIMEOUT)
    if status:
        raise Failure("%s: exit status %d\n%s" % (" ".join(args), status, tail(text)))


def unit_jobs():
    return [Job("unit/" + n[5:], lambda n=n: unit(n)) for n in names("test/unit/test_*.c")]


def fuzz_jobs():
    return [Job("fuzz/" + n[5:], lambda n=n: fuzz(n), 2) for n in names("test/fuzz/fuzz_*.c")]


def check_jobs():
    elf = os.path.join(BUILD, "bulkhead.elf")
    return [Job("check/clang", lambda: check("make", "-s", "clang"), 20),
            Job("check/arrows", lambda: check("tools/arrows.py", BUILD)),
            Job("check/size", lambda: check("tools/size.py", elf), 3)]
