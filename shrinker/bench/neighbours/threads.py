"""Other threads that run Python code, and what they see."""

from __future__ import annotations

import contextlib
import os
import threading
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Watcher", "spinning", "watching"]

# Seconds: far more than a turn of a loop takes.
_FAR = 1e-4


@contextlib.contextmanager
def spinning(number: int) -> Iterator[None]:
    """Have so many threads run a Python loop that never waits."""
    over = False
    running = threading.Barrier(number + 1)

    def spin() -> None:
        running.wait()
        while not over:
            pass

    threads = [threading.Thread(target=spin, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    running.wait()
    try:
        yield
    finally:
        over = True
        for thread in threads:
            thread.join()


class Watcher:
    """A thread's loop, as others can see it."""

    def __init__(self) -> None:
        self.turns = 0
        self.over = False
        self._gaps: list[tuple[float, float]] = []

    def look(self, started: threading.Event) -> None:
        """Count turns, and keep the times between two that are far from each other.

        On a processor of its own, if there are two, which the main thread leaves.
        """
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        last = perf_counter()
        started.set()
        over = False
        while not over:
            # Where it stood still until the end, that is still to be noticed.
            over = self.over
            self.turns += 1
            now = perf_counter()
            if now - last > _FAR:
                self._gaps.append((last, now))
            last = now

    def longest(self, start: float, end: float) -> float:
        """Return the longest time that it stood still between two times, in seconds.

        At least what it takes to be noticed.
        """
        gaps = (min(now, end) - max(last, start) for last, now in self._gaps)
        return max(_FAR, *gaps, _FAR)


@contextlib.contextmanager
def watching() -> Iterator[Watcher]:
    """Have a thread look at the clock all the time."""
    watcher, started = Watcher(), threading.Event()
    cpus = os.sched_getaffinity(0)
    thread = threading.Thread(target=watcher.look, args=(started,), daemon=True)
    thread.start()
    started.wait()
    # The scheduler may leave both on one, beside which the other is idle.
    os.sched_setaffinity(0, {max(cpus)})
    try:
        yield watcher
    finally:
        os.sched_setaffinity(0, cpus)
        watcher.over = True
        thread.join()
