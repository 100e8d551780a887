"""What a result says, whether just measured or read from a file.

* *ns per pass* is what a row's benchmark holds: the time of its walks, divided
  by the passes in them; scan calls included.
* *ns per scan call* is (this row's pass - the idle point's pass) / scan calls of
  a pass, both of the same round; the idle point is the same but for priority 12,
  where no scan call is made.
* a *ratio* is the pure-Python row's pass, divided by this row's, of the same
  round: how many times faster this one is.

Each is computed round by round; what is shown is the median of the rounds, with
the median absolute deviation beside it, as ``pyperf.Benchmark`` has them.
"""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, Any

import pyperf

from shrinker.bench.points import POINTS, Callbacks, Point, Row
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "NS",
    "Figure",
    "PointResult",
    "by_round",
    "figure",
    "load",
    "medians",
    "point_results",
]

NS = 1e9
"""Nanoseconds of a second."""


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A median over rounds, and how far rounds are from it."""

    median: float
    spread: float
    """Median absolute deviation, as a share of the median."""
    rounds: int = 1
    """How many there were."""


@dataclasses.dataclass(frozen=True, slots=True)
class PointResult:
    """A point, with the figures of each kind of callbacks that was measured."""

    point: Point
    shrinkers: int
    scan_calls: float
    """Of a pass, on average."""
    per_pass: dict[Callbacks, Figure]
    """ns."""
    per_call: dict[Callbacks, Figure]
    """ns; empty where the point has no scan calls, or no idle point."""
    ratio: dict[Callbacks, Figure]
    """Times as fast as pure Python, by pass."""
    call_ratio: dict[Callbacks, Figure]
    """And by scan call."""


def load(path: str) -> Any:
    """Read a result file.  Raises ``ShrinkerError`` where it is none."""
    try:
        return pyperf.BenchmarkSuite.load(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else None
        raise ShrinkerError(f"{path}: {reason or 'no result of pyperf'}") from exc


def by_round(benchmark: Any) -> dict[int, float]:
    """Return seconds per pass by round."""
    return {
        run.get_metadata().get("round", index): statistics.fmean(run.values)
        for index, run in enumerate(benchmark.get_runs())
        if run.values
    }


def point_results(suite: Any) -> list[PointResult]:
    """Return the points of a result, in the order of the table."""
    found = {benchmark.get_name(): benchmark for benchmark in suite}
    passes = {name: by_round(benchmark) for name, benchmark in found.items()}
    idle_points = {point.label: point for point in POINTS}
    results = []
    for point in POINTS:
        rows = {kind: Row(kind, point).name for kind in Callbacks}
        kinds = [kind for kind in Callbacks if rows[kind] in found]
        if not kinds:
            continue
        metadata = found[rows[kinds[0]]].get_metadata()
        scan_calls = float(metadata.get("scan_calls_per_pass", 0.0))
        own = {kind: passes[rows[kind]] for kind in kinds}
        calls = {}
        if point.idle is not None and scan_calls:
            idle = idle_points[point.idle]
            calls = {
                kind: _less(own[kind], passes[name], scan_calls)
                for kind in kinds
                if (name := Row(kind, idle).name) in passes
            }
        results.append(
            PointResult(
                point=point,
                shrinkers=int(metadata.get("shrinkers", point.shrinkers)),
                scan_calls=scan_calls,
                per_pass={kind: figure(own[kind], NS) for kind in kinds},
                per_call={kind: figure(calls[kind], NS) for kind in calls},
                ratio=_ratios(own),
                call_ratio=_ratios(calls),
            )
        )
    return results


def _less(
    total: dict[int, float], idle: dict[int, float], calls: float
) -> dict[int, float]:
    return {
        number: (seconds - idle[number]) / calls
        for number, seconds in total.items()
        if number in idle
    }


def _ratios(rounds: dict[Callbacks, dict[int, float]]) -> dict[Callbacks, Figure]:
    peer = rounds.get(Callbacks.PURE)
    if peer is None:
        return {}
    return {
        kind: figure(
            {
                number: peer[number] / seconds
                for number, seconds in own.items()
                if number in peer and seconds
            }
        )
        for kind, own in rounds.items()
        if kind is not Callbacks.PURE
    }


def figure(rounds: dict[int, float], unit: float = 1.0) -> Figure:
    """Return the median of rounds, in ``unit``, and how far they are from it."""
    values = [value * unit for value in rounds.values()]
    # A pyperf.Benchmark takes positive values only.  The cost of a scan call is
    # a difference, and noise can make it negative.
    median = statistics.median(values)
    spread = statistics.median(abs(value - median) for value in values)
    return Figure(median, abs(spread / median) if median else 0.0, len(values))


def medians(figures: Iterable[Figure]) -> str:
    """Say what figures are the medians of: Medians of 5 rounds."""
    rounds = max((figure.rounds for figure in figures), default=0)
    return f"Medians of {rounds} round{'s' * (rounds != 1)}"
