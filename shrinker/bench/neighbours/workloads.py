"""How a row of ``--scenario neighbours`` is set up, and run."""

from __future__ import annotations

import contextlib
import sys
import time
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any

from shrinker._ffi import lib
from shrinker.bench.machine import NativeMachine
from shrinker.bench.neighbours.points import INTERVAL, ROWS, Kind
from shrinker.bench.neighbours.threads import spinning, watching
from shrinker.builder import ShrinkerBuilder
from shrinker.domain import Domain
from shrinker.values import DEF_PRIORITY, ShrinkerFlags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.bench.neighbours.points import NeighboursRow
    from shrinker.bench.scenario import Run

__all__ = ["NeighboursScenario", "python_domain"]

_STEPS = 1000
# At priority 0 a cache of this size is scanned twice over: 64 batches of 128.
_OBJECTS = 4096
_SHRINKERS = 100
# What fills some ten switch intervals: batches of 8 objects, 1,024 for each.
_SMALL_BATCH = 8
_NATIVE = 1000
_WINDOW = 0.03
"""Seconds that another thread's turns are counted."""
_TIMES = 5
"""How often another thread is watched, for its best time."""


class _Cache:
    """A cache of constant size that frees whatever it is asked for."""

    def count_objects(self, _sc: Any) -> int:
        return _OBJECTS

    def scan_objects(self, sc: Any) -> int:
        return sc.nr_to_scan  # type: ignore[no-any-return]


@contextlib.contextmanager
def python_domain(batch: int = 0) -> Iterator[Domain]:
    """Yield a domain of 100 Python shrinkers; 0 is the usual batch, 128 objects."""
    with Domain() as domain:
        kept = [
            ShrinkerBuilder("bench", flags=ShrinkerFlags(0), domain=domain)
            .set_batch(batch)
            .register(_Cache())
            for _ in range(_SHRINKERS)
        ]
        yield domain
        for registration in kept:
            registration.close()


class NeighboursScenario:
    """What a worker measures: see ``shrinker.bench.scenario``."""

    rows = ROWS
    one_cpu = False

    def __init__(self) -> None:
        self._opened = contextlib.ExitStack()
        sys.setswitchinterval(INTERVAL)

    def open(self, row: NeighboursRow) -> Run:
        """Set a row up, instead of the one before it."""
        self.close()
        enter = self._opened.enter_context
        if row.kind is Kind.LOOP:
            return _timed(lambda loops: lib.bench_calibrate_c2(loops * _STEPS))
        if row.kind is Kind.PYTHON:
            domain = enter(python_domain())
            enter(spinning(row.spinners))
            return _walks(domain)
        if row.kind is Kind.NATIVE:
            machine = enter(contextlib.closing(NativeMachine(_NATIVE)))
            enter(spinning(row.spinners))
            c_domain = machine.domain._c

            # SAFETY: the machine's domain is open until `close`.
            return lambda loops: (
                lib.bench_walk_ns(c_domain, DEF_PRIORITY, loops * _STEPS // 100) / 1e9
            )
        raise ValueError(f"{row.name} is not timed")

    def close(self) -> None:
        """Remove what the last row has left, threads too."""
        self._opened.close()

    def sized(self, row: NeighboursRow) -> tuple[float, dict[str, Any]] | None:
        """Return seconds that another thread has measured."""
        if row.kind is Kind.TURN:
            with _in_c(row.beside) as in_c:
                return min(_turn(in_c) for _ in range(_TIMES)), {}
        if row.kind is Kind.GAP:
            if "walk" not in row.beside:
                return min(_gap(_python_loop) for _ in range(_TIMES)), {}
            with python_domain(_SMALL_BATCH) as domain:
                return min(_gap(_walks(domain)) for _ in range(_TIMES)), {}
        return None

    def describe(self, row: NeighboursRow) -> dict[str, Any]:
        """Return the row's metadata."""
        inner = {Kind.LOOP: _STEPS, Kind.NATIVE: _STEPS // 100 * _NATIVE}
        return {
            "name": row.name,
            "unit": "second",
            "scenario": "neighbours",
            "inner_loops": inner.get(row.kind, 1),
            "kind": str(row.kind),
            "spinners": row.spinners,
        }


def _timed(function: Callable[[int], object]) -> Run:
    def run(loops: int) -> float:
        start = perf_counter()
        function(loops)
        return perf_counter() - start

    return run


def _walks(domain: Domain) -> Run:
    def walk(loops: int) -> None:
        for _ in range(loops):
            domain.shrink_slab(priority=0)

    return _timed(walk)


@contextlib.contextmanager
def _in_c(beside: str) -> Iterator[Callable[[float], object]]:
    """Yield what keeps this thread in C for about so many seconds."""
    if "sleep" in beside:
        yield time.sleep
        return
    with contextlib.closing(NativeMachine(_NATIVE)) as machine:
        c_domain = machine.domain._c

        def walk(loops: int) -> None:
            lib.bench_walk_ns(c_domain, DEF_PRIORITY, loops)

        in_c = walk if "walk" in beside else lib.bench_calibrate_c2
        loops, took = 1, 0.0
        while took < _WINDOW / 10:
            loops *= 2
            # By a clock that other programs do not move.
            start = thread_time()
            in_c(loops)
            took = thread_time() - start
        # SAFETY: the machine's domain is open until the row is closed.
        yield lambda seconds: in_c(max(int(loops * seconds / took), 1))


def _turn(in_c: Callable[[float], object]) -> float:
    """Return seconds of a turn of another thread's loop while this one is in C."""
    with watching() as watcher:
        start, before = perf_counter(), watcher.turns
        in_c(_WINDOW)
        # Back here the GIL has been waited for, and turns made meanwhile.
        turns, took = watcher.turns - before, perf_counter() - start
    return took / max(turns, 1)


def _gap(python: Run) -> float:
    """Return another thread's longest gap in seconds while this one runs Python."""
    with watching() as watcher:
        start = perf_counter()
        python(1)
        end = perf_counter()
    # Now that the thread is over it has noticed the last one, too.
    return watcher.longest(start, end)


def _python_loop(_loops: int) -> float:
    start = end = perf_counter()
    while end - start < 2 * _WINDOW:
        end = perf_counter()
    return end - start
