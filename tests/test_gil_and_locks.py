"""The GIL and the core's locks: nobody waits for one with the other in hand."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests_support import Scripted, register

if TYPE_CHECKING:
    from shrinker import Domain

LIMIT = 300
"""Seconds; how long a test waits for what is stuck, and not for what is slow."""


def test_no_deadlock_between_the_gil_and_our_locks() -> None:
    """Registering, freeing, walking, groups and traces beside each other end.

    Python shrinkers, native ones whose callbacks take the GIL for themselves, and
    callbacks that enter the library: what waits for a lock has given the GIL up.
    """
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("gil_and_locks.py"))],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "True"], done.stderr


def test_a_python_walk_lets_other_threads_in(domain: Domain) -> None:
    """A callback goes on only when another thread has run: it does, within a walk."""
    asked, ran = 0, 0
    over = threading.Event()

    def other() -> None:
        nonlocal ran
        while not over.is_set():
            ran = asked

    def count(_sc: object) -> int:
        nonlocal asked
        asked += 1
        turns = 0
        while ran != asked and turns < 10**9:
            turns += 1
        return 0

    thread = threading.Thread(target=other)
    thread.start()
    try:
        registrations = [register(domain, Scripted(count)) for _ in range(3)]
        domain.shrink_slab()
        assert asked == 3
        assert ran == 3
    finally:
        over.set()
        thread.join()
    for registration in registrations:
        registration.close()


PAUSED = """
import ctypes, faulthandler, signal, threading
from shrinker import Domain, ShrinkerBuilder

faulthandler.dump_traceback_later(60, exit=True)
signal.signal(signal.SIGUSR1, lambda *_: None)
libc = ctypes.CDLL(None)
with Domain() as domain:
    builder = ShrinkerBuilder("paused", domain=domain)
    with builder.register_native(libc.pause, libc.getpid):
        walk = threading.Thread(target=domain.shrink_slab)
        walk.start()
        sent = 0
        while walk.is_alive():
            signal.pthread_kill(walk.ident, signal.SIGUSR1)
            sent += 1
        entries = domain.statistics().host_entries
print(sent > 0, entries)
"""


def test_a_walk_in_c_does_not_hold_the_gil() -> None:
    """A callback that sleeps in C is woken by a thread in Python.

    ``pause()`` ends with a signal, which nobody could send if the walk held the GIL.
    """
    done = subprocess.run(
        [sys.executable, "-c", PAUSED],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "0"]
