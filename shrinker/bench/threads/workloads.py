"""How a row of ``--scenario threads`` is set up, and run."""

from __future__ import annotations

import contextlib
import os
import threading
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any

from shrinker._ffi import ffi, lib
from shrinker.bench.machine import NativeMachine
from shrinker.bench.resident import in_a_child, resident
from shrinker.bench.threads.points import NATIVE, PYTHON, ROWS, SHARED, Kind
from shrinker.builder import ShrinkerBuilder
from shrinker.domain import Domain
from shrinker.values import DEF_PRIORITY, ShrinkerFlags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shrinker.bench.scenario import Run
    from shrinker.bench.threads.points import ThreadsRow

__all__ = ["ThreadsScenario", "comes_and_goes", "side_by_side"]

_THREADS = 2
# Of the calibration loop, about as long as a walk.
_STEPS = 1000


class ThreadsScenario:
    """What a worker measures: see ``shrinker.bench.scenario``."""

    rows = ROWS
    one_cpu = False

    def __init__(self) -> None:
        self._opened = contextlib.ExitStack()

    def open(self, row: ThreadsRow) -> Run:
        """Set a row up, instead of the one before it."""
        self.close()
        if row.kind in (Kind.REGISTER, Kind.FREE):
            return comes_and_goes(row.number, freeing=row.kind is Kind.FREE)
        if row.kind is Kind.LOOP:
            step: Callable[[int], object] = lambda loops: lib.bench_calibrate_c2(  # noqa: E731
                loops * _STEPS
            )
            return side_by_side([step] * _THREADS, row.number)
        domains = [self._domain() for _ in range(1 + (row.kind is Kind.APART))]
        walks = [_walk(domain, row.priority) for domain in domains]
        return side_by_side([walks[0], walks[-1]], row.number)

    def _domain(self) -> Domain:
        machine = NativeMachine(SHARED)
        return self._opened.enter_context(contextlib.closing(machine)).domain

    def close(self) -> None:
        """Remove what the last row has left."""
        self._opened.close()

    def sized(self, row: ThreadsRow) -> tuple[float, dict[str, Any]] | None:
        """Return bytes of a row of memory."""
        if row.kind is not Kind.MEMORY:
            return None
        return in_a_child(lambda: _grow(row))

    def describe(self, row: ThreadsRow) -> dict[str, Any]:
        """Return the row's metadata."""
        inner = {Kind.REGISTER: row.number, Kind.FREE: row.number, Kind.LOOP: _STEPS}
        return {
            "name": row.name,
            "unit": "byte" if row.kind is Kind.MEMORY else "second",
            "scenario": "threads",
            "inner_loops": inner.get(row.kind, 1),
            "kind": str(row.kind),
            "number": row.number,
            "priority": row.priority,
        }


def _walk(domain: Domain, priority: int) -> Callable[[int], object]:
    c_domain = domain._c
    priorities = ffi.new("int[]", [priority])

    # SAFETY: the domain is open until the row is closed.
    return lambda loops: lib.bench_walk(c_domain, priorities, 1, loops)


def side_by_side(steps: Sequence[Callable[[int], object]], threads: int) -> Run:
    """Return what runs the first so many of ``steps`` at the same time.

    The seconds that it returns are such that loops by seconds is the rate of all
    threads together.  With one thread it runs each of them alone, and takes the mean
    of their rates.
    """
    cpus = sorted(os.sched_getaffinity(0))
    places = [cpus[i * len(cpus) // len(steps)] for i in range(len(steps))]

    def run(loops: int) -> float:
        rates: list[float] = []

        def go(which: int, ready: threading.Barrier) -> None:
            os.sched_setaffinity(0, {places[which]})
            ready.wait()
            start = thread_time()
            steps[which](loops)
            rates.append(loops / (thread_time() - start))

        def together(*chosen: int) -> None:
            ready = threading.Barrier(len(chosen))
            running = [
                threading.Thread(target=go, args=(which, ready)) for which in chosen
            ]
            for thread in running:
                thread.start()
            for thread in running:
                thread.join()

        if threads == 1:
            for which in range(len(steps)):
                together(which)
            return loops * len(rates) / sum(rates)
        together(*range(threads))
        return loops / sum(rates)

    return run


@contextlib.contextmanager
def _walking(domain: Domain) -> Iterator[None]:
    """Have a thread walk again and again."""
    over = False
    walk, walked = _walk(domain, DEF_PRIORITY), threading.Event()

    def go() -> None:
        while not over:
            walk(1)
            walked.set()

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    walked.wait()
    try:
        yield
    finally:
        over = True
        thread.join()


def comes_and_goes(nr: int, *, freeing: bool) -> Run:
    """Return what registers so many shrinkers and frees them beside a walk."""
    shrinkers = ffi.new("struct shrinker *[]", nr)

    def run(loops: int) -> float:
        coming = going = 0.0
        for _ in range(loops):
            with Domain() as domain, _walking(domain):
                start = perf_counter()
                made = lib.bench_register(domain._c, shrinkers, nr)
                between = perf_counter()

                # SAFETY: these are registered, and nobody else frees them.
                lib.bench_free(shrinkers, made)
                going += perf_counter() - between
                coming += between - start
                if made < nr:
                    raise MemoryError("no memory for shrinkers")
        return going if freeing else coming

    return run


class _Cache:
    """A cache as small as can be."""

    __slots__ = ("__weakref__",)

    def count_objects(self, _sc: Any) -> int:
        return 0

    def scan_objects(self, _sc: Any) -> int:
        return 0


def _grow(row: ThreadsRow) -> tuple[float, dict[str, Any]]:
    """Register shrinkers, and see by how much the process grows for each."""
    count, scan = (ffi.addressof(lib, f"bench_{name}") for name in ("count", "scan"))
    kept: list[object] = [None] * row.number
    caches = [_Cache() for _ in range(row.number)]
    domain = Domain()
    builder = ShrinkerBuilder("bench", flags=ShrinkerFlags(0), domain=domain)
    builder.register(caches[0]).close()
    before = resident()
    if row.of == NATIVE:
        kept.append(NativeMachine(row.number))
    else:
        for i in range(row.number):
            builder = ShrinkerBuilder("bench", flags=ShrinkerFlags(0), domain=domain)
            kept[i] = (
                builder.register(caches[i])
                if row.of == PYTHON
                else builder.register_native(count, scan, 1)
            )
    return (resident() - before) / row.number, {}
