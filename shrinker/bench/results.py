"""What a result says, whether just measured or read from a file.

Everything is computed round by round, and shown as the median of the rounds, with the
median absolute deviation beside it, as ``pyperf.Benchmark`` has them.
"""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, Any

import pyperf

from shrinker.bench.lines import Difference
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shrinker.bench.lines import Line, Rounds, Row, Table

__all__ = [
    "MAX_SPREAD",
    "Figure",
    "Shown",
    "by_line",
    "figure",
    "load",
    "shown",
    "shown_rows",
]

MAX_SPREAD = 0.5
"""Of a difference; above this it is the noise of its two lines."""


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A median over rounds, and how far rounds are from it."""

    median: float
    spread: float
    """Median absolute deviation, as a share of the median."""
    rounds: int


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """A cell of a table."""

    value: Figure | None
    """In the table's unit; None where a difference is lost in the noise."""
    ratio: Figure | None
    """None where there is none, or it is lost."""


def load(path: str) -> Any:
    """Read a result file.  Raises ``ShrinkerError`` where it is none."""
    try:
        return pyperf.BenchmarkSuite.load(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else None
        raise ShrinkerError(f"{path}: {reason or 'no result of pyperf'}") from exc


def by_line(suite: Iterable[Any]) -> dict[str, Rounds]:
    """Return the values of all lines of a result, by name and round."""
    return {
        benchmark.get_name(): {
            run.get_metadata().get("round", index): statistics.fmean(run.values)
            for index, run in enumerate(benchmark.get_runs())
            if run.values
        }
        for benchmark in suite
    }


def figure(values: Iterable[float]) -> Figure:
    """Return the median of some values, and how far they are from it."""
    values = list(values)
    median = statistics.median(values)
    spread = statistics.median(abs(value - median) for value in values)
    return Figure(median, abs(spread / median) if median else 0.0, len(values))


def shown(
    cell: Line | Difference | None, found: Mapping[str, Rounds], scale: float = 1.0
) -> Shown | None:
    """Return what a result says of a cell; None where it was not measured."""
    own = cell.by_round(found) if cell else {}
    if cell is None or not own:
        return None
    value = figure(seconds * scale for seconds in own.values())
    if _is_lost(cell, value):
        return Shown(None, None)
    other = cell.against.by_round(found) if cell.against else {}
    ratios = [
        other[n] / own[n] if cell.rate else own[n] / other[n]
        for n in own
        if n in other and own[n] and other[n]
    ]
    if not ratios or _is_lost(cell, figure(other.values())):
        return Shown(value, None)
    return Shown(value, figure(ratios))


def _is_lost(cell: Line | Difference, value: Figure) -> bool:
    return isinstance(cell, Difference) and (
        value.median <= 0 or value.spread > MAX_SPREAD
    )


def shown_rows(
    table: Table, found: Mapping[str, Rounds]
) -> list[tuple[Row, list[Shown | None]]]:
    """Return the rows of a table of which something was measured."""
    rows = (
        (row, [shown(cell, found, table.scale) for cell in row.cells])
        for row in table.rows
    )
    return [(row, cells) for row, cells in rows if any(cells)]
