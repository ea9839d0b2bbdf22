#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Everything behind `make test`: builds what the tests need, runs them two at a time, and closes
with `N passed, M failed, K skipped`. Exit status 1 if any failed."""
import argparse
import importlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "emu")]
import host  # noqa: E402
from jobs import FAIL, PASS, SKIP, Failure, Job, Result, command, execute  # noqa: E402

EMU_MODULES = ["declared", *host.names("test/emu/test_*.py")]
BUILD_TIMEOUT = 1200
SLOWEST = 10  # named at the end
REASON = 200  # characters of it, there
GROUPS = ["unit", "fuzz", "check", "emu"]


def options():
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("groups", nargs="*", choices=[*GROUPS, []], metavar="GROUP",
                     help="of %s; default: all" % ", ".join(GROUPS))
    top.add_argument("-k", dest="words", action="append", default=[],
                     help="only tests whose name has this word in it")
    top.add_argument("--bed", action="append", help="only emulator tests of this bed")
    top.add_argument("-j", dest="workers", type=int, default=2)
    top.add_argument("--list", action="store_true", help="only name the jobs")
    return top.parse_args()


def jobs_of(module):
    """A file of tests that cannot be read is a failed test, and no end to the others."""
    try:
        return list(importlib.import_module(module).jobs())
    except Exception as error:  # pylint: disable=broad-except
        text = "%s: %s" % (type(error).__name__, error)
        return [Job("emu/" + module, lambda: fail(text))]


def fail(text):
    raise Failure(text)


def emu_jobs(beds):
    for module in EMU_MODULES:
        for job in jobs_of(module):
            if not beds or job.name.rsplit("@", 1)[-1] in beds:
                yield job


def select(opts):
    groups = opts.groups or GROUPS
    jobs = []
    for group in GROUPS:
        if group in groups:
            made = emu_jobs(opts.bed) if group == "emu" else getattr(host, group + "_jobs")()
            jobs += sorted(made, key=lambda job: -job.seconds)
    return [j for j in jobs if not opts.words or any(w in j.name for w in opts.words)]


def build(jobs):
    """Once, before any job, so that none of them runs make. -k: one broken file fails its own tests."""
    kinds = {job.name.split("/")[0] for job in jobs}
    targets = ["test-binaries"] if kinds & {"unit", "fuzz"} else []
    targets += ["test-systems"] if kinds & {"check", "emu"} else []
    status, text = command(["make", "-s", "-k", "-j2", *targets], BUILD_TIMEOUT)
    if status:
        return [Result("build", FAIL, host.first_error(text) + "\n" + host.tail(text, 60))]
    return []


def timed(job):
    start = time.monotonic()
    execute(job)
    return job, time.monotonic() - start


def show(job, seconds):
    """One line per job; what failed or was skipped in it has lines of its own."""
    bad = [r for r in job.results if r.status == FAIL]
    status = FAIL if bad else job.results[0].status if len(job.results) == 1 else PASS
    count = " %d tests" % len(job.results) if len(job.results) > 1 else ""
    reason = " " + job.results[0].detail if status == SKIP else ""
    print("%s %s%s %.1f s%s" % (status, job.name, count, seconds, reason))
    for result in job.results:
        if result.status == FAIL or (result.status == SKIP and count):
            label = "" if result.name == job.name else result.status + " " + result.name + ": "
            print("     " + (label + result.detail).replace("\n", "\n     "))
    sys.stdout.flush()


def reason(result):
    """In one line: enough where a log is cut in the middle"""
    return next((line.strip() for line in result.detail.splitlines() if line.strip()), "no word of it")[:REASON]


def show_times(took):
    """Of the unit tests in all, of each bed, and of the slowest: where a shorter run would come from"""
    sums = {}
    for name, seconds in took.items():
        kind = name.rsplit("@", 1)[-1].split("/")[0]
        sums[kind] = sums.get(kind, 0) + seconds
    if len(took) > 1:
        print("in all: " + ", ".join("%s %.0f s" % pair for pair in sums.items() if pair[1] >= 0.5))
    if len(took) > SLOWEST:
        slowest = sorted(took.items(), key=lambda pair: -pair[1])[:SLOWEST]
        print("slowest: " + ", ".join("%s %.0f s" % pair for pair in slowest))


def run(jobs, workers):
    """Return: all results. Jobs start in the order given, but for those that come last."""
    results, took = [], {}
    for is_last in (False, True):
        with ThreadPoolExecutor(workers) as pool:
            chosen = [pool.submit(timed, job) for job in jobs if job.is_last == is_last]
            for future in as_completed(chosen):
                job, seconds = future.result()
                show(job, seconds)
                results += job.results
                took[job.name] = seconds
    show_times(took)
    return results


def main():
    opts = options()
    for name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL"):
        os.environ.pop(name, None)  # the makes that tests start are not children of this one
    jobs = select(opts)
    if opts.list:
        print("\n".join(job.name for job in jobs))
        return 0
    start = time.monotonic()
    try:
        results = build(jobs)
    except Failure as failure:
        results = [Result("build", FAIL, str(failure))]
    for result in results:
        print("%s %s\n%s" % (result.status, result.name, result.detail))
    os.environ["BULKHEAD_BUILT"] = "1"
    results += run(jobs, opts.workers)
    for result in results:
        if result.status == FAIL:
            print("failed: %s: %s" % (result.name, reason(result)))
    count = {s: sum(r.status == s for r in results) for s in (PASS, FAIL, SKIP)}
    print("%.0f s" % (time.monotonic() - start))
    print("%d passed, %d failed, %d skipped" % (count[PASS], count[FAIL], count[SKIP]))
    return 1 if count[FAIL] or not results else 0


if __name__ == "__main__":
    sys.exit(main())
