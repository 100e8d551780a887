"""Two threads that walk, shrinkers that come and go beside a walk, and their memory.

Shrinkers are native, and all that is timed runs in C, without the GIL.  A rate of two
threads is the sum of theirs, held against the mean of what each does alone on its
processor; by each thread's own clock, because walks wait for nothing, and other
programs should not count.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import thread_time
from typing import TYPE_CHECKING

import harness

from shrinker._ffi import ffi, lib
from shrinker.bench.lines import Benchmark, Column, Line
from shrinker.bench.loop import Cache
from shrinker.builder import ShrinkerBuilder
from shrinker.domain import Domain
from shrinker.values import DEF_PRIORITY, ShrinkerFlags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shrinker.bench.lines import Run

    Work = Callable[[int], object]
    """Does something so many times."""

# Shrinkers of a domain that is walked.
SHRINKERS = 1000
# Of the C2 loop, about as long as a walk.
STEPS = 1000
MEMORY_SHRINKERS = 10_000


def side_by_side(works: Sequence[Work], threads: int) -> Run:
    """Return what runs the first so many of ``works`` at the same time.

    The seconds that it returns are such that loops by seconds is the rate of all
    threads together.  With one thread it runs each of them alone, and takes the mean
    of their rates.
    """
    cpus = sorted(os.sched_getaffinity(0))
    places = [cpus[i * len(cpus) // len(works)] for i in range(len(works))]

    def rates(loops: int, *chosen: int) -> list[float]:
        ready = threading.Barrier(len(chosen))

        def rate(which: int) -> float:
            os.sched_setaffinity(0, {places[which]})
            ready.wait()
            start = thread_time()
            works[which](loops)
            return loops / (thread_time() - start)

        with ThreadPoolExecutor(len(chosen)) as pool:
            return list(pool.map(rate, chosen))

    def run(loops: int) -> float:
        if threads == 1:
            alone = [rates(loops, which)[0] for which in range(len(works))]
            return loops / statistics.fmean(alone)
        return loops / sum(rates(loops, *range(threads)))

    return run


@contextlib.contextmanager
def opened(machines: int, priority: int, threads: int) -> Iterator[Run]:
    """Walk over a machine in each thread, or over one for both; 0: C2 loops."""
    with contextlib.ExitStack() as stack:
        made = [
            stack.enter_context(harness.NativeMachine(SHRINKERS))
            for _ in range(machines or 1)
        ]
        works: list[Work] = [partial(machine.walk, priority) for machine in made]
        if not machines:
            works = [lambda number: made[0].lib.loop_c2(number * STEPS)]
        yield side_by_side([works[0], works[-1]], threads)


def pair(kind: str, machines: int, priority: int | None) -> list[Line]:
    """Return a line for one thread, and one for two against it."""
    name = kind if priority is None else f"{kind}, priority {priority}"
    work = partial(opened, machines, priority or 0)
    steps = 1 if machines else STEPS
    one = Line(f"{name}, 1 thread", partial(work, 1), steps)
    two = Line(f"{name}, 2 threads", partial(work, 2), steps, against=one, rate=True)
    return [one, two]


# --- coming and going -------------------------------------------------------------


@contextlib.contextmanager
def comes_and_goes(nr: int, *, freeing: bool) -> Iterator[Run]:
    """Register so many shrinkers and free them beside a walk; time one of the two."""
    lib = harness.loops().lib
    shrinkers = harness.loops().ffi.new("struct shrinker *[]", nr)

    def once() -> float:
        with (
            harness.NativeMachine(0) as machine,
            harness.again_and_again(partial(machine.walk, DEF_PRIORITY, 1)),
        ):
            return harness.half_timed(
                nr,
                lambda: lib.register_shrinkers(machine.domain, 0, shrinkers, nr),
                lambda made: lib.free_shrinkers(shrinkers, made),
                second=freeing,
            )

    yield lambda loops: sum(once() for _ in range(loops))


def changes(kind: str) -> list[Line]:
    """Return lines for more and more shrinkers; each should cost the same."""
    lines: list[Line] = []
    for nr in (1000, 10_000, 100_000):
        opening = partial(comes_and_goes, nr, freeing=kind == "free")
        fewer = lines[-1] if lines else None
        lines.append(Line(f"{kind} {nr:,}", opening, nr, against=fewer))
    return lines


# --- memory -----------------------------------------------------------------------


def growth(kind: str) -> float:
    """Register shrinkers; return by how much the process grows for each."""
    count, scan = (ffi.addressof(lib, f"bench_{name}") for name in ("count", "scan"))
    numbers = range(MEMORY_SHRINKERS)
    kept: list[object] = [None for _ in numbers]
    caches = [Cache((0,)) for _ in numbers]
    domain = Domain()

    def builder() -> ShrinkerBuilder:
        return ShrinkerBuilder("bench", flags=ShrinkerFlags(0), domain=domain)

    # What only the first one takes.
    harness.NativeMachine(1).close()
    builder().register(caches[0]).close()
    before = harness.resident()
    if kind == "native":
        kept[0] = harness.NativeMachine(MEMORY_SHRINKERS)
    elif kind == "Python":
        for i in numbers:
            kept[i] = builder().register(caches[i])
    else:
        for i in numbers:
            kept[i] = builder().register_native(count, scan, 1)
    return (harness.resident() - before) / MEMORY_SHRINKERS


def memory(kind: str) -> Line:
    """Return a line of bytes."""
    opening = partial(harness.in_a_fork, partial(growth, kind))
    return Line(f"memory: {kind}", opening, timed=False, unit="byte")


# --- the benchmark ----------------------------------------------------------------


def benchmark() -> Benchmark:
    """Return the lines: memory first, before the process has freed much."""
    apart = pair("C2 loops", 0, None)
    walks = [
        line
        for kind, machines in (("apart", 2), ("shared", 1))
        for priority in (12, 0)
        for line in pair(kind, machines, priority)
    ]
    grown = {kind: memory(kind) for kind in ("native", "native, from Python", "Python")}
    return Benchmark(
        module="two_threads",
        title="Walks in two threads, and shrinkers that come and go",
        order=list(grown.values()),
        machine_line=apart[0],
        one_cpu=False,
        tables=[
            harness.column_table(
                f"ns for a walk of {SHRINKERS:,} shrinkers, by all threads together",
                Column("ns", "rate"),
                harness.named(*apart, *walks),
            ),
            harness.column_table(
                "ns for a shrinker that comes or goes beside a walk",
                Column("ns", "by ten\ntimes fewer"),
                harness.named(*changes("register"), *changes("free")),
            ),
            harness.column_table(
                "bytes for a shrinker", Column("bytes"), grown, scale=1.0
            ),
        ],
        legend="Rates of two threads are to that of one. C2 loops share nothing. apart:"
        " a domain for each thread. shared: one domain. Bytes: by how much a process"
        " grows.",
    )


if __name__ == "__main__":
    harness.command(benchmark, harness.native_loops)()
