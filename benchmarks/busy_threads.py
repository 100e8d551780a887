"""Walks beside busy Python threads: who waits for whom.

Busy threads are Python loops that never wait: each gives the GIL up only when another
thread has asked for it for a switch interval (5 ms, ``sys.getswitchinterval()``).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from functools import partial
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any, Self

import harness

from shrinker.bench.lines import MS, NS, Benchmark, Column, Line
from shrinker.bench.loop import Callbacks, alike, open_workload
from shrinker.values import DEF_PRIORITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from shrinker.bench.lines import Run

PYTHON_SHRINKERS = 100
# For a walk of some ten switch intervals: 1,024 scan calls for each shrinker.
SMALL_BATCH = 8
WARM_UP_WALKS = 10
NATIVE_SHRINKERS = 1000
NATIVE_WALKS = 10
C2_STEPS = 1000
# How long another thread's turns are counted.
WINDOW_SECONDS = 0.03
# How often another thread is watched, for its best time; slow at first.
WATCHES = 10
# Far more than a turn of a loop takes.
GAP_SECONDS = 1e-4


# --- walks beside them ------------------------------------------------------------


def python_walks(batch: int = 128) -> AbstractContextManager[Run]:
    """Walk with 64 scan calls for each shrinker, or more by smaller batches."""
    workload = alike(PYTHON_SHRINKERS, priority=0, batch=batch)
    return open_workload(Callbacks.PYTHON, workload)


@contextlib.contextmanager
def python_walk(threads: int) -> Iterator[Run]:
    """Time walks of Python shrinkers, by the wall clock."""
    with python_walks() as run:
        # In a process that has just begun all is slow at first.
        run(WARM_UP_WALKS)
        with harness.again_and_again(int, threads):
            yield run


@contextlib.contextmanager
def native_walk(threads: int) -> Iterator[Run]:
    """Time walks in C, by the thread's own clock, without waits for the GIL."""
    with (
        harness.NativeMachine(NATIVE_SHRINKERS) as machine,
        harness.again_and_again(int, threads),
    ):
        yield lambda loops: machine.walk(DEF_PRIORITY, loops * NATIVE_WALKS) / NS


@contextlib.contextmanager
def c2_loop() -> Iterator[Run]:
    """Time a loop in C that has nothing of the library in it."""
    lib = harness.loops().lib
    yield harness.timed(lambda number: lib.loop_c2(number * C2_STEPS))


# --- what other threads see -------------------------------------------------------


class Watcher(threading.Thread):
    """A thread's loop that others can watch: its turns, and when it stood still.

    A context manager.  Each of the two threads is on a processor of its own, if there
    are two: the scheduler might leave both on one.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.turns = 0
        self._over = False
        self._started_looping = threading.Event()
        self._gaps: list[tuple[float, float]] = []
        self._cpus = os.sched_getaffinity(0)

    def run(self) -> None:
        """Count turns, and keep the times between two that are far from each other."""
        os.sched_setaffinity(0, {min(self._cpus)})
        last = perf_counter()
        self._started_looping.set()
        over = False
        while not over:
            # One more turn: it may have stood still until the end.
            over = self._over
            self.turns += 1
            now = perf_counter()
            if now - last > GAP_SECONDS:
                self._gaps.append((last, now))
            last = now

    def longest_gap(self, start: float, end: float) -> float:
        """Return the longest gap between two times, in seconds, once it is over.

        At least what it takes to be noticed.
        """
        gaps = (min(now, end) - max(last, start) for last, now in self._gaps)
        return max(GAP_SECONDS, *gaps, GAP_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        self._started_looping.wait()
        os.sched_setaffinity(0, {max(self._cpus)})
        return self

    def __exit__(self, *_: object) -> None:
        os.sched_setaffinity(0, self._cpus)
        self._over = True
        self.join()


def in_c(work: Callable[[int], object]) -> Callable[[float], object]:
    """Return what stays in C for about so many seconds."""
    loops, took = 1, 0.0
    while took < WINDOW_SECONDS / 10:
        loops *= 2
        # By a clock that other programs do not move.
        start = thread_time()
        work(loops)
        took = thread_time() - start
    return lambda seconds: work(max(int(loops * seconds / took), 1))


# What a thread can do in C, given a machine, for about so many seconds.
STAYS: dict[str, Callable[[harness.NativeMachine], Callable[[float], object]]] = {
    "beside a sleep": lambda _: time.sleep,
    "beside a C loop": lambda machine: in_c(machine.lib.loop_c2),
    "beside a native walk": lambda machine: in_c(partial(machine.walk, DEF_PRIORITY)),
}


def turn(stay: Callable[[float], object]) -> float:
    """Return seconds of a turn of another thread's loop while this one is in C."""
    with Watcher() as watcher:
        start, before = perf_counter(), watcher.turns
        stay(WINDOW_SECONDS)
        # Back here the GIL has been waited for, and turns made meanwhile.
        turns, took = watcher.turns - before, perf_counter() - start
    return took / max(turns, 1)


def gap(python: Callable[[int], object]) -> float:
    """Return another thread's longest gap in seconds while this one runs Python."""
    with Watcher() as watcher:
        start = perf_counter()
        python(1)
        end = perf_counter()
    # Now that the thread is over it has noticed the last one, too.
    return watcher.longest_gap(start, end)


def python_loop(_loops: int) -> None:
    """Run Python code that has nothing of the library in it."""
    end = perf_counter() + 2 * WINDOW_SECONDS
    while perf_counter() < end:
        pass


@contextlib.contextmanager
def turns(beside: str) -> Iterator[Run]:
    """The best turn of a few: other programs only take time away."""
    with harness.NativeMachine(NATIVE_SHRINKERS) as machine:
        stay = STAYS[beside](machine)
        yield lambda _: min(turn(stay) for _ in range(WATCHES))


@contextlib.contextmanager
def gaps(beside: str) -> Iterator[Run]:
    """The shortest longest gap of a few, for the same reason."""
    with python_walks(SMALL_BATCH) as walk:
        python = walk if "walk" in beside else python_loop
        yield lambda _: min(gap(python) for _ in range(WATCHES))


# --- the benchmark ----------------------------------------------------------------


def lines(
    kind: str,
    opened: Callable[..., AbstractContextManager[Run]],
    besides: Mapping[str, Any],
    **line: Any,
) -> dict[str, Line]:
    """Return a line for each label and argument of ``opened``."""
    return harness.compared(
        {
            beside: Line(f"{kind} {beside}", partial(opened, argument), **line)
            for beside, argument in besides.items()
        }
    )


def benchmark() -> Benchmark:
    """Return the lines."""
    loop = Line("C2 loop alone", c2_loop, C2_STEPS)
    threads = {"alone": 0, "beside 1 busy thread": 1, "beside 4 busy threads": 4}
    in_python = ("beside a loop", "beside a Python walk")
    steps = NATIVE_SHRINKERS * NATIVE_WALKS
    return Benchmark(
        module="busy_threads",
        title="Walks beside busy Python threads",
        order=[loop],
        machine_line=loop,
        one_cpu=False,
        tables=[
            harness.column_table(
                "ms for a walk of 100 Python shrinkers, 64 scan calls each",
                Column("ms", "by first"),
                lines("Python walk", python_walk, threads),
                MS,
            ),
            harness.column_table(
                "ns for a native pass, processor time",
                Column("ns", "by first"),
                lines("native walk", native_walk, threads, steps=steps),
            ),
            harness.column_table(
                "ns for a turn of another thread's loop, and its rate",
                Column("ns", "rate"),
                lines(
                    "turn",
                    turns,
                    {name: name for name in STAYS},
                    timed=False,
                    rate=True,
                ),
            ),
            harness.column_table(
                "ms for which another thread stands still, at the longest",
                Column("ms", "by first"),
                lines(
                    "longest gap", gaps, {name: name for name in in_python}, timed=False
                ),
                MS,
            ),
        ],
        legend="Busy threads are Python loops. Ratios are to the first line.",
    )


if __name__ == "__main__":
    harness.command(benchmark, harness.native_loops)()
