"""Lines of a table: a row, another row that it is divided by, and a goal.

* a *value* is what a row's benchmark holds: seconds, or bytes;
* a *ratio* is that divided by the other row's value of the same round (or the other
  way round, where more is better).

Each is computed round by round, and shown as the median of the rounds with its median
absolute deviation.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from shrinker.bench.results import Figure, by_round, figure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Goal", "Line", "LineResult", "Section", "line_results", "references"]


@dataclasses.dataclass(frozen=True, slots=True)
class Goal:
    """What a ratio should be."""

    limit: float
    at_least: bool = False
    """At most otherwise."""
    allowance: float = 0.0
    """Seconds by which the row may be longer besides."""

    def __str__(self) -> str:
        """Say it in words: at most 3 + 10 ms."""
        extra = f" + {self.allowance * 1e3:g} ms" if self.allowance else ""
        return f"at {'least' if self.at_least else 'most'} {self.limit:g}{extra}"

    def is_met(self, ratio: float) -> bool:
        """Whether a ratio, from which the allowance is gone, is good enough."""
        return ratio >= self.limit if self.at_least else ratio <= self.limit


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """Lines that stand together."""

    title: str
    unit: str
    """Of the values: ns, ms or bytes."""
    scale: float
    """Values of a benchmark times this are in ``unit``."""
    lines: tuple[Line, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A row, and what it is compared with."""

    label: str
    row: str
    """Name of its benchmark."""
    against: str | None = None
    """Name of the row that its ratio is to; None: it has no ratio."""
    unit: str = "x"
    """Of the ratio, behind the number."""
    goal: Goal | None = None
    rate: bool = False
    """The ratio is that of the rates, not of the times."""


@dataclasses.dataclass(frozen=True, slots=True)
class LineResult:
    """What was measured of a line."""

    line: Line
    value: Figure
    """In the section's unit."""
    ratio: Figure | None
    met: bool | None
    """Whether the goal is met; None: there is none."""


def line_results(
    suite: Any, sections: Sequence[Section]
) -> list[tuple[Section, list[LineResult]]]:
    """Return what a suite says of each section; lines without a row are left out."""
    rounds = {benchmark.get_name(): by_round(benchmark) for benchmark in suite}
    return [
        (
            section,
            [
                _result(line, section.scale, rounds)
                for line in section.lines
                if line.row in rounds
            ],
        )
        for section in sections
    ]


def references(sections: Sequence[Section]) -> Callable[[str], str | None]:
    """Return what leads from a row's name to that of the row beside it."""
    against = {
        line.row: line.against
        for section in sections
        for line in section.lines
        if line.against is not None
    }
    return against.get


def _result(
    line: Line, scale: float, rounds: dict[str, dict[int, float]]
) -> LineResult:
    own = rounds[line.row]
    other = rounds.get(line.against) if line.against is not None else None
    value = figure(own, scale)
    if not other:
        return LineResult(line, value, None, None)
    common = [number for number in own if number in other]

    def ratio(allowance: float) -> Figure:
        return figure(
            {
                n: other[n] / own[n] if line.rate else (own[n] - allowance) / other[n]
                for n in common
            }
        )

    goal = line.goal
    met = None if goal is None else goal.is_met(ratio(goal.allowance).median)
    return LineResult(line, value, ratio(0.0), met)
