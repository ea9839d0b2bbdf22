# SPDX-License-Identifier: BSD-2-Clause
"""A job is one thing that can run beside others; it yields one result per test it holds."""
import os
import subprocess
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"


class Failure(Exception):
    """What was seen is not what must be; the text says both."""


class Skip(Exception):
    """Cannot be shown here; the text says why."""


@dataclass
class Result:
    name: str
    status: str
    detail: str = ""


@dataclass
class Job:
    """@run returns a list of Result, or None, which is one PASS; it may raise Failure or Skip."""
    name: str
    run: callable
    seconds: float = 1.0  # about; long ones start first
    log: str = None       # directory to look at after a failure
    is_last: bool = False # judges what the others have left: starts when all of them have ended
    results: list = field(default_factory=list)


def execute(job):
    try:
        job.results = job.run() or [Result(job.name, PASS)]
    except Failure as failure:
        job.results = [Result(job.name, FAIL, str(failure))]
    except Skip as skip:
        job.results = [Result(job.name, SKIP, str(skip))]
    except Exception as error:  # pylint: disable=broad-except; the runner's own fault counts too
        job.results = [Result(job.name, FAIL, "%s: %s" % (type(error).__name__, error))]


def need(condition, text):
    if not condition:
        raise Failure(text)


def command(args, timeout, env=None):
    """Return: (exit status, output and errors); a timeout is a Failure."""
    try:
        done = subprocess.run(args, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, check=False,
                              env={**os.environ, **(env or {})})
    except subprocess.TimeoutExpired as late:
        raise Failure("no end within %d s" % timeout) from late
    return done.returncode, done.stdout.decode(errors="replace")
