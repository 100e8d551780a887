"""How a row is set up on a domain, and run.

All callbacks do next to nothing: they count a constant (or the next number of a
recording) and free all that they are asked for, so that what is measured is the
loop around them.  Deferred counters are never reset; every figure is that of a
loop that has been running for a while.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from pyperf import perf_counter

from shrinker._ffi import ffi, lib
from shrinker.bench.points import RECORDED, Callbacks
from shrinker.bench.pure import PureRegistry
from shrinker.builder import ShrinkerBuilder
from shrinker.domain import Domain
from shrinker.values import DEFAULT_SEEKS, ShrinkerFlags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shrinker.bench.points import Point, Row
    from shrinker.bench.recording import Recording
    from shrinker.bench.scenario import Run

__all__ = ["Plan", "open_row", "plan", "scan_calls"]


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedShrinker:
    """A shrinker of a row."""

    seeks: int
    batch: int
    counts: tuple[int, ...]
    """What it counts, walk by walk, over and over."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What one round of a point does, whatever kind of callbacks it has."""

    shrinkers: tuple[PlannedShrinker, ...]
    priorities: tuple[int, ...]
    """Of the walks of a round."""
    passes: int
    """Passes of a round that get past the count; 1 where there is no shrinker,
    so that the figure is that of a walk."""


def plan(point: Point, recording: Recording) -> Plan:
    """Return what ``point`` asks for."""
    if point is RECORDED:
        return Plan(
            tuple(
                PlannedShrinker(shrinker.seeks, 0, shrinker.counts)
                for shrinker in recording.shrinkers
            ),
            recording.priorities,
            recording.passes,
        )
    one = PlannedShrinker(DEFAULT_SEEKS, point.batch, (point.objects,))
    return Plan((one,) * point.shrinkers, (point.priority,), point.shrinkers or 1)


@contextlib.contextmanager
def open_row(row: Row, recording: Recording) -> Iterator[Run]:
    """Set a row up; yields what runs it."""
    planned = plan(row.point, recording)
    if row.callbacks is Callbacks.PURE:
        yield _pure(planned)
        return
    with Domain() as domain:
        if row.callbacks is Callbacks.NATIVE:
            yield _native(domain, planned)
        else:
            yield _python(domain, planned)


def scan_calls(point: Point, recording: Recording) -> float:
    """Return how many scan calls a pass makes on average, by the domain's count."""
    planned = plan(point, recording)
    # They are all alike.
    few = planned.shrinkers if point is RECORDED else planned.shrinkers[:1]
    if not few:
        return 0.0
    with Domain() as domain:
        run = _native(domain, dataclasses.replace(planned, shrinkers=few))
        run(1)
        before = domain.statistics()
        run(1)
        after = domain.statistics()
    return (after.scan_calls - before.scan_calls) / (after.passes - before.passes)


def _native(domain: Domain, planned: Plan) -> Run:
    scan = ffi.addressof(lib, "bench_scan")
    constant = ffi.addressof(lib, "bench_count")
    recorded = ffi.addressof(lib, "bench_count_recorded")
    kept: list[object] = []
    for shrinker in planned.shrinkers:
        if len(shrinker.counts) == 1:
            kept.append(
                _builder(domain, shrinker).register_native(
                    constant, scan, shrinker.counts[0]
                )
            )
            continue
        c_counts = ffi.new("unsigned long[]", shrinker.counts)
        c_recording = ffi.new(
            "struct bench_recording *", (c_counts, len(shrinker.counts), 0)
        )
        kept.append(
            _builder(domain, shrinker).register_native(
                recorded,
                scan,
                int(ffi.cast("uintptr_t", c_recording)),
                keepalive=(c_recording, c_counts),
            )
        )
    c_priorities = ffi.new("int[]", planned.priorities)
    c_domain, nr_walks = domain._c, len(planned.priorities)
    walk = lib.bench_walk

    def run(loops: int, _kept: object = kept) -> float:
        # SAFETY: the domain and its shrinkers are open, `open_row` says.
        start = perf_counter()
        walk(c_domain, c_priorities, nr_walks, loops)
        return float(perf_counter() - start)

    return run


class _Cache:
    """A cache of constant size that frees whatever it is asked for."""

    __slots__ = ("objects",)

    def __init__(self, counts: Sequence[int]) -> None:
        self.objects = counts[0]

    def count_objects(self, _sc: Any) -> int:
        return self.objects

    def scan_objects(self, sc: Any) -> int:
        return sc.nr_to_scan  # type: ignore[no-any-return]


class _RecordedCache:
    """A cache that has the sizes of a recording, one after the other."""

    __slots__ = ("next_count",)

    def __init__(self, counts: Sequence[int]) -> None:
        self.next_count = itertools.cycle(counts).__next__

    def count_objects(self, _sc: Any) -> int:
        return self.next_count()

    def scan_objects(self, sc: Any) -> int:
        return sc.nr_to_scan  # type: ignore[no-any-return]


def _cache(shrinker: PlannedShrinker) -> _Cache | _RecordedCache:
    # The same two for Python callbacks and for the pure-Python peer.
    if len(shrinker.counts) == 1:
        return _Cache(shrinker.counts)
    return _RecordedCache(shrinker.counts)


def _python(domain: Domain, planned: Plan) -> Run:
    kept = [
        _builder(domain, shrinker).register(_cache(shrinker))
        for shrinker in planned.shrinkers
    ]
    priorities = planned.priorities

    def run(loops: int, _kept: object = kept) -> float:
        shrink_slab = domain.shrink_slab
        start = perf_counter()
        for _ in range(loops):
            for priority in priorities:
                shrink_slab(priority=priority)
        return float(perf_counter() - start)

    return run


def _pure(planned: Plan) -> Run:
    registry = PureRegistry()
    registry.register(
        (_cache(shrinker), shrinker.seeks, shrinker.batch)
        for shrinker in planned.shrinkers
    )
    priorities = planned.priorities

    def run(loops: int) -> float:
        shrink_slab = registry.shrink_slab
        start = perf_counter()
        for _ in range(loops):
            for priority in priorities:
                shrink_slab(priority)
        return float(perf_counter() - start)

    return run


def _builder(domain: Domain, shrinker: PlannedShrinker) -> ShrinkerBuilder:
    builder = ShrinkerBuilder("bench", flags=ShrinkerFlags(0), domain=domain)
    return builder.set_seeks(shrinker.seeks).set_batch(shrinker.batch)
