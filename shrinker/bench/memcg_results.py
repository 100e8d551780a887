"""What a result of ``--scenario memcg`` says.

* a *time* is what a row's benchmark holds: seconds for one group (and for one node,
  but for creating and leaving);
* a *ratio* is that divided by the time of the series' smallest point, of the same
  round: how many times as much it costs;
* *per bit* is (walk - the walk at the same point with no bit set) / bits, of the same
  round.

Each is computed round by round, and shown as the median of the rounds with its median
absolute deviation.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from shrinker.bench.memcg_points import (
    MEMORY_ROWS,
    NR_NODES,
    SERIES,
    MemcgPoint,
    MemcgRow,
    Operation,
    Series,
)
from shrinker.bench.results import NS, Figure, by_round, figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MemcgResult", "Memory", "PointCosts", "SeriesResult", "memcg_result"]


@dataclasses.dataclass(frozen=True, slots=True)
class PointCosts:
    """What things cost at a point of a series."""

    point: MemcgPoint
    number: int
    """The one that is varied."""
    time: dict[Operation, Figure]
    """ns."""
    ratio: dict[Operation, Figure]
    """To the smallest point that has it."""
    per_bit: dict[Operation, Figure]
    """ns; for walks, where the same was walked with no bit set."""


@dataclasses.dataclass(frozen=True, slots=True)
class SeriesResult:
    """A series, smallest first."""

    series: Series
    costs: list[PointCosts]


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """Bytes for each group and node."""

    point: MemcgPoint
    nr_max: int
    """Ids that there is room for."""
    own: float
    """By ``Memcg.memory``."""
    resident: Figure
    """By which the process grows, in C."""
    resident_with_python: float
    """And where ``Domain.create_memcg`` made it."""


@dataclasses.dataclass(frozen=True, slots=True)
class MemcgResult:
    """A result."""

    series: list[SeriesResult]
    memory: list[Memory]


def memcg_result(suite: Any) -> MemcgResult:
    """Return what a suite says."""
    found = {benchmark.get_name(): benchmark for benchmark in suite}
    rounds = {name: by_round(benchmark) for name, benchmark in found.items()}
    return MemcgResult(
        series=[
            SeriesResult(series, [_costs(series, point, rounds) for point in points])
            for series in SERIES
            if (points := series.points)
        ],
        memory=[
            _memory(row.point, found[row.name])
            for row in MEMORY_ROWS
            if row.name in found
        ],
    )


_Rounds = dict[str, dict[int, float]]


def _costs(series: Series, point: MemcgPoint, rounds: _Rounds) -> PointCosts:
    time, ratio, per_bit = {}, {}, {}
    empty = dataclasses.replace(point, bits=0)
    for operation in series.operations:
        own = rounds.get(MemcgRow(operation, point).name)
        if own is None:
            continue
        time[operation] = figure(own, NS)
        smallest = next(_of(operation, series.points, rounds))
        ratio[operation] = figure(
            {n: value / smallest[n] for n, value in own.items() if n in smallest}
        )
        idle = rounds.get(MemcgRow(operation, empty).name)
        if idle and point.bits:
            differences = {n: own[n] - idle[n] for n in own if n in idle}
            per_bit[operation] = figure(differences, NS / point.bits)
    return PointCosts(point, getattr(point, series.varied), time, ratio, per_bit)


def _of(
    operation: Operation, points: Iterable[MemcgPoint], rounds: _Rounds
) -> Iterator[dict[int, float]]:
    for point in points:
        if MemcgRow(operation, point).name in rounds:
            yield rounds[MemcgRow(operation, point).name]


def _memory(point: MemcgPoint, benchmark: Any) -> Memory:
    metadata = benchmark.get_metadata()
    python = [
        run.get_metadata()["resident_with_python"] for run in benchmark.get_runs()
    ]
    return Memory(
        point=point,
        nr_max=metadata["nr_max"],
        own=metadata["memcg_memory"] / NR_NODES,
        resident=figure(by_round(benchmark)),
        resident_with_python=figure(dict(enumerate(python))).median,
    )
