# SPDX-License-Identifier: BSD-2-Clause
"""The Linux machines in between of the bed `nested`. One takes ten seconds to start, so it is kept for the next test:
there are as many as tests run at once. One that is not ready for more, because a test's limit was over or because
it died, or one on which a test failed, is ended, and the next test gets a new one: no test spoils it for another."""
import atexit
import contextlib
import os
import shutil
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

from jobs import BUILD, ROOT, Failure

sys.path.insert(0, os.path.join(ROOT, "tools"))
from bhtool import nested  # noqa: E402  pylint: disable=wrong-import-position
from bhtool.system import Fault  # noqa: E402  pylint: disable=wrong-import-position

MEM = 2560  # MiB, for L2s of up to 1500
LOCK, IDLE, ALL, RETIRED = threading.Lock(), [], [], set()
STARTER = ThreadPoolExecutor(1)  # they end with the thread that started them: this one, which lives to the end


def start():
    where = os.path.join(BUILD, "test", "nested")  # where the logs are: they are linked into it
    os.makedirs(where, exist_ok=True)
    path = tempfile.mkdtemp(prefix=".l1-", dir=where)
    l1 = STARTER.submit(nested.L1, path, path, MEM).result()
    with LOCK:
        ALL.append(l1)
    try:
        l1.wait_ready()
    except Fault as fault:
        raise Failure(str(fault)) from fault
    return l1


def end(l1):
    l1.stop()
    shutil.rmtree(l1.dir, ignore_errors=True)
    with LOCK:
        ALL.remove(l1)


def retire(path):
    """A test failed on it: no other one gets it, should that be its doing."""
    RETIRED.add(path)


def is_usable(l1):
    return l1.is_ready() and l1.dir not in RETIRED


def take():
    while True:
        with LOCK:
            l1 = IDLE.pop() if IDLE else None
        if l1 is None:
            return start()
        if is_usable(l1):
            return l1
        end(l1)


@contextlib.contextmanager
def lent():
    """The directory of an L1 that nobody else uses meanwhile"""
    l1 = take()
    try:
        yield l1.dir
    finally:
        if is_usable(l1):
            with LOCK:
                IDLE.append(l1)
        else:
            end(l1)


@atexit.register
def end_all():
    for l1 in list(ALL):
        end(l1)
