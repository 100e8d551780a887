"""What ``shrinker bench`` measures: the reclaim loop, around callbacks that do nothing.

A default point, and one factor varied at a time around it; and a recording.  The
callbacks count a constant (or the next number of the recording) and free all that they
are asked for.  Deferred counters are never reset: every figure is that of a loop that
has been running for a while.

The default cache has 4,096 objects, so that every pass is the same: with default seeks
and batches of 128 a pass makes 0, 8 or 64 scan calls at priority 12, 3 or 0, and with
priority 3 it makes 1,024, 8 or 1 at batch 1, 128 or 1,024.  The calls take all of the
work, and nothing is deferred.  (At priority 12 two objects a pass are, up to the cap of
8,192, which never makes a call.)

A pass at priority 12 scans nothing, so it costs what a pass costs apart from scan
calls.  Each number of shrinkers therefore has a point at priority 12 beside it: what
another point costs more, divided by its scan calls, is the cost of one call
(``Point.idle``).
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from pyperf import perf_counter

from shrinker._ffi import ffi, lib
from shrinker.bench.lines import (
    Benchmark,
    Column,
    Difference,
    Effort,
    Line,
    Row,
    Table,
)
from shrinker.bench.pure import PureRegistry
from shrinker.bench.recording import Workload, WorkloadShrinker, load_recording
from shrinker.builder import ShrinkerBuilder
from shrinker.domain import Domain
from shrinker.values import DEF_PRIORITY, DEFAULT_SEEKS, ShrinkerFlags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shrinker.bench.lines import Run

__all__ = ["Callbacks", "alike", "benchmark", "open_workload", "points", "scan_calls"]

OBJECTS = 4096
"""Of the default cache."""


class Callbacks(enum.StrEnum):
    """Who counts and scans, and who walks."""

    NATIVE = "native"
    """Callbacks in C, walked from a loop in C: no Python at all."""
    PYTHON = "python"
    """Callbacks in Python, walked by ``Domain.shrink_slab``."""
    PURE = "pure"
    """The same algorithm in pure Python (``shrinker.bench.pure``): the peer."""


# --- points -----------------------------------------------------------------------


class Point(NamedTuple):
    """One setting, to be measured with each kind of callbacks."""

    label: str
    factor: str
    """What it has other than the default point."""
    workload: Workload
    idle: str = ""
    """Label of the point that differs in that it makes no scan call."""


def alike(shrinkers: int = 100, priority: int = 3, batch: int = 128) -> Workload:
    """Return a walk of so many default caches; ``batch``: objects in a scan call."""
    one = WorkloadShrinker(DEFAULT_SEEKS, (OBJECTS,), batch)
    return Workload((one,) * shrinkers, (priority,))


def points(recording: Workload) -> list[Point]:
    """Return all points, in the order of the table."""
    numbers = (1, 10, 1000, 10_000)
    return [
        Point("default", "", alike(), "priority 12"),
        Point("priority 12", "priority", alike(priority=DEF_PRIORITY)),
        Point("priority 0", "priority", alike(priority=0), "priority 12"),
        Point("batch 1", "batch", alike(batch=1), "priority 12"),
        Point("batch 1,024", "batch", alike(batch=1024), "priority 12"),
        # What entering a walk costs.
        Point("no shrinker", "shrinkers", alike(0)),
        *(
            Point(
                f"{n:,} shrinker{'s' * (n > 1)}",
                "shrinkers",
                alike(n),
                f"{n:,} at priority 12",
            )
            for n in numbers
        ),
        *(
            Point(f"{n:,} at priority 12", "shrinkers", alike(n, DEF_PRIORITY))
            for n in numbers
        ),
        Point("recording", "recording", recording),
    ]


# --- running them -----------------------------------------------------------------


@contextlib.contextmanager
def open_workload(callbacks: Callbacks, workload: Workload) -> Iterator[Run]:
    """Set a workload up with a kind of callbacks; yields what runs it."""
    with Domain() as domain:
        yield _OPENING[callbacks](domain, workload)


def scan_calls(workload: Workload) -> float:
    """Return how many scan calls a pass makes on average, by the domain's count."""
    alike = len(set(workload.shrinkers)) == 1
    few = workload.shrinkers[:1] if alike else workload.shrinkers
    if not few:
        return 0.0
    with Domain() as domain:
        run = _native(domain, dataclasses.replace(workload, shrinkers=few))
        run(1)
        before = domain.statistics()
        run(1)
        after = domain.statistics()
    return (after.scan_calls - before.scan_calls) / (after.passes - before.passes)


def _native(domain: Domain, workload: Workload) -> Run:
    scan = ffi.addressof(lib, "bench_scan")
    constant = ffi.addressof(lib, "bench_count")
    recorded = ffi.addressof(lib, "bench_count_recorded")
    kept: list[object] = []
    for shrinker in workload.shrinkers:
        builder = _builder(domain, shrinker)
        if len(shrinker.counts) == 1:
            kept.append(builder.register_native(constant, scan, shrinker.counts[0]))
            continue
        c_counts = ffi.new("unsigned long[]", shrinker.counts)
        fields = c_counts, len(shrinker.counts), 0
        c_recording = ffi.new("struct bench_recording *", fields)
        address = int(ffi.cast("uintptr_t", c_recording))
        keep = c_recording, c_counts
        kept.append(builder.register_native(recorded, scan, address, keepalive=keep))
    c_priorities = ffi.new("int[]", workload.priorities)
    c_domain, nr_walks = domain._c, len(workload.priorities)
    walk = lib.bench_walk

    def run(loops: int, _kept: object = kept) -> float:
        # SAFETY: the domain and its shrinkers are open, `open_workload` says.
        start = perf_counter()
        walk(c_domain, c_priorities, nr_walks, loops)
        return float(perf_counter() - start)

    return run


class Cache:
    """A cache of constant size that frees whatever it is asked for."""

    __slots__ = ("objects",)

    def __init__(self, counts: Sequence[int]) -> None:
        self.objects = counts[0]

    def count_objects(self, _sc: Any) -> int:
        return self.objects

    def scan_objects(self, sc: Any) -> int:
        return sc.nr_to_scan  # type: ignore[no-any-return]


class RecordedCache(Cache):
    """A cache that has the sizes of a recording, one after the other."""

    __slots__ = ("next_count",)

    def __init__(self, counts: Sequence[int]) -> None:
        self.next_count = itertools.cycle(counts).__next__

    def count_objects(self, _sc: Any) -> int:
        return self.next_count()


def _cache(shrinker: WorkloadShrinker) -> Cache:
    # The same two for Python callbacks and for the pure-Python peer.
    kind = Cache if len(shrinker.counts) == 1 else RecordedCache
    return kind(shrinker.counts)


def _python(domain: Domain, workload: Workload) -> Run:
    kept = [
        _builder(domain, shrinker).register(_cache(shrinker))
        for shrinker in workload.shrinkers
    ]
    return _walks(domain.shrink_slab, workload.priorities, kept)


def _pure(_domain: Domain, workload: Workload) -> Run:
    registry = PureRegistry()
    registry.register(
        (_cache(shrinker), shrinker.seeks, shrinker.batch)
        for shrinker in workload.shrinkers
    )
    return _walks(registry.shrink_slab, workload.priorities, None)


_OPENING = {
    Callbacks.NATIVE: _native,
    Callbacks.PYTHON: _python,
    Callbacks.PURE: _pure,
}


def _walks(
    shrink_slab: Callable[..., int], priorities: Sequence[int], kept: object
) -> Run:
    def run(loops: int, _kept: object = kept) -> float:
        start = perf_counter()
        for _ in range(loops):
            for priority in priorities:
                shrink_slab(priority=priority)
        return float(perf_counter() - start)

    return run


def _builder(domain: Domain, shrinker: WorkloadShrinker) -> ShrinkerBuilder:
    builder = ShrinkerBuilder("bench", flags=ShrinkerFlags(0), domain=domain)
    return builder.set_seeks(shrinker.seeks).set_batch(shrinker.batch)


# --- lines and tables -------------------------------------------------------------


def benchmark(path: str | None = None) -> Benchmark:
    """Return the benchmark, with the recording in a file, or the package's own.

    Raises ``ShrinkerError`` where that cannot be read or has no pass in it.
    """
    recording = load_recording(path)
    all_points = points(recording)
    passes = {point.label: _lines(point) for point in all_points}
    calls = {point.label: scan_calls(point.workload) for point in all_points}

    def row(point: Point, cells: Sequence[Line | Difference]) -> Row:
        number = calls[point.label]
        note = f"{number:,.0f}" if number == int(number) else f"{number:.2f}"
        return Row(point.label, cells, note, point.factor)

    def by_call(point: Point) -> list[Difference]:
        pairs = zip(passes[point.label], passes[point.idle], strict=True)
        return [Difference(line, idle, calls[point.label]) for line, idle in pairs]

    columns = (
        Column("native", "vs\npure"),
        Column("Python", "vs\npure"),
        Column("pure\nPython"),
    )

    return Benchmark(
        module=__name__,
        arguments=(path,),
        title="What a pass of the reclaim loop costs",
        effort=Effort(rounds=20, seconds=80.0, min_time=0.02),
        fast=Effort(rounds=5, seconds=11.0, min_time=0.004),
        machine_is="pure",
        tables=[
            Table(
                "ns per pass",
                columns,
                [row(point, passes[point.label]) for point in all_points],
                "calls",
            ),
            Table(
                "ns per scan call",
                columns,
                [row(point, by_call(point)) for point in all_points if point.idle],
                "calls",
            ),
        ],
        legend="default: 100 shrinkers of 4,096 objects, priority 3, batch 128; the"
        " lines below it vary one factor. calls: scan calls in a pass. no shrinker: ns"
        f" of a whole walk. recording: {len(recording.shrinkers)} shrinkers. vs pure:"
        " times as fast as pure Python in the same round, so below 1 is slower.",
    )


def _lines(point: Point) -> list[Line]:
    """Return the lines of a point; those that are compared are measured in a row."""

    def line(callbacks: Callbacks, against: Line | None) -> Line:
        return Line(
            f"{callbacks}: {point.label}",
            functools.partial(open_workload, callbacks, point.workload),
            # Without a shrinker, for each walk.
            point.workload.passes or 1,
            against=against,
            rate=True,
        )

    pure = line(Callbacks.PURE, None)
    return [line(Callbacks.NATIVE, pure), line(Callbacks.PYTHON, pure), pure]
