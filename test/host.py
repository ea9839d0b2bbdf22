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


def first_error(text):
    """Of a compiler, of make or of a sanitizer; else its first line"""
    found = re.search(r"^.*(\berror:|\*\*\*|\bERROR\b).*$", text, re.M)
    return found.group(0) if found else text.split("\n", 1)[0]


def why(text, case):
    """What cmocka says around the line of a case that failed, on one line: fail_msg()'s words before it; what was
    compared, and where, behind it (TAP: "# 0x1 != 0x2")"""
    said = re.search(r"^(?:ERROR: (.*)\n)?not ok \d+ - %s\n((?:# .*\n)*)" % re.escape(case), text, re.M)
    return " ".join([said[1] or "", *said[2].replace("# ", "").splitlines()]).strip() if said else ""


def reason(text, case):
    """Why a case was skipped: what it printed just before."""
    said = re.search(r"^(.*)\n(?:not )?ok \d+ # SKIP %s$" % re.escape(case), text, re.M)
    return said[1] if said else ""


def unit(name):
    """Each cmocka case is a test; so is what is missing when the binary dies on the way."""
    status, text = command([os.path.join(BUILD, "host", name)], TIMEOUT,
                           {"CMOCKA_MESSAGE_OUTPUT": "TAP"})
    results = []
    for verdict, skip, case in re.findall(r"^(not ok|ok) \d+ (?:-|# (SKIP)) (\S+)", text, re.M):
        kind = SKIP if skip else PASS if verdict == "ok" else FAIL
        detail = "%s\n%s" % (why(text, case), tail(text)) if kind == FAIL else reason(text, case) if skip else ""
        results.append(Result("%s.%s" % (name, case), kind, detail))
    plan = sum(int(n) for n in re.findall(r"^1\.\.(\d+)$", text, re.M))
    if not plan or plan != len(results) or (status and not any(r.status == FAIL for r in results)):
        results.append(Result(name, FAIL, "exit status %d, %d of %d cases ran: %s\n%s"
                              % (status, len(results), plan, first_error(text), tail(text))))
    return results


def fuzz(name):
    runs = FUZZ_RUNS.get(name, FUZZ_RUNS_DEFAULT)
    status, text = command([os.path.join(BUILD, "host", name), str(runs)], TIMEOUT)
    if status:
        raise Failure("exit status %d: %s\n%s" % (status, first_error(text), tail(text)))


def check(*args):
    status, text = command(list(args), TIMEOUT)
    if status:
        raise Failure("%s: exit status %d: %s\n%s" % (" ".join(args), status, first_error(text), tail(text)))


def unit_jobs():
    return [Job("unit/" + n[5:], lambda n=n: unit(n)) for n in names("test/unit/test_*.c")]


def fuzz_jobs():
    return [Job("fuzz/" + n[5:], lambda n=n: fuzz(n), 2) for n in names("test/fuzz/fuzz_*.c")]


def check_jobs():
    elf = os.path.join(BUILD, "bulkhead.elf")
    return [Job("check/clang", lambda: check("make", "-s", "clang"), 20),
            Job("check/arrows", lambda: check("tools/arrows.py", BUILD)),
            Job("check/size", lambda: check("tools/size.py", elf), 3)]
