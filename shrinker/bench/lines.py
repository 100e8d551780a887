"""The model of every benchmark: lines that are measured, and tables that show them.

A *line* is one thing that is measured: a benchmark of pyperf's, with a value for each
round.  A *round* measures all lines in turn, so that a machine that is slow for a while
is slow for all of them, and a ratio is that of two lines of the same round.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    Run = Callable[[int], float]
    """Runs something so many times; returns the seconds that it took."""
    Rounds = Mapping[int, float]
    """A value for each round."""

__all__ = [
    "MS",
    "NS",
    "Benchmark",
    "Column",
    "Difference",
    "Effort",
    "Line",
    "Row",
    "Table",
    "lines_of",
]

NS = 1e9
"""Nanoseconds in a second."""
MS = 1e3
"""Milliseconds in a second."""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """What is measured, and what it is compared with."""

    name: str
    """Of its pyperf benchmark."""
    open: Callable[[], AbstractContextManager[Run]]
    """Sets it up, until the context ends."""
    steps: int = 1
    """A loop of the run does it so often: values are those of one step."""
    timed: bool = True
    """False: the run is called once a round, with 1, and returns the value itself."""
    unit: str = "second"
    """Of the value, in pyperf's words: second or byte."""
    against: Line | None = None
    """What it is divided by; None: it has no ratio."""
    rate: bool = False
    """The ratio is the other way round: how many times as fast this line is."""

    def by_round(self, found: Mapping[str, Rounds]) -> Rounds:
        """Return its values in a result; none where it was not measured."""
        return found.get(self.name, {})


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """What a line takes more than another one of the same round, by step.

    Not measured itself.  Small differences are lost in the noise of two lines.  It is
    compared with the difference of what the two are compared with.
    """

    line: Line
    less: Line
    steps: float
    """Of what only ``line`` does."""

    @property
    def rate(self) -> bool:
        """As the line's."""
        return self.line.rate

    @property
    def against(self) -> Difference | None:
        """What it is divided by; None: it has no ratio."""
        if self.line.against is None or self.less.against is None:
            return None
        return Difference(self.line.against, self.less.against, self.steps)

    def by_round(self, found: Mapping[str, Rounds]) -> Rounds:
        """Return its values in a result."""
        whole, rest = self.line.by_round(found), self.less.by_round(found)
        return {n: (whole[n] - rest[n]) / self.steps for n in whole if n in rest}


class Column(NamedTuple):
    """Values below each other, each with its ratio."""

    header: str
    ratio: str = ""
    """Header of the ratios; empty where there are none."""


class Row(NamedTuple):
    """Values beside each other, one for each column."""

    label: str
    cells: Sequence[Line | Difference | None]
    note: str = ""
    """A word or number behind the label."""
    group: str = ""
    """Rows of one group stand together."""


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """What is shown together: on the terminal a table, in the picture a panel."""

    title: str
    """With the unit of the values."""
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: str = ""
    """Header of the rows' notes."""
    scale: float = NS
    """How many of the unit are a second; 1 for bytes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure."""

    rounds: int
    """At most, at least 2."""
    seconds: float
    """No round is begun that would end later, but for the second one."""
    min_time: float
    """Of a value, in seconds; up to twice that, and more where one loop takes
    longer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Benchmark:
    """Everything about a command that measures."""

    module: str
    """Where the process of a round finds it: ``module.benchmark(*arguments)``."""
    title: str
    tables: Sequence[Table]
    legend: str
    """What the tables' words mean."""
    effort: Effort = Effort(rounds=60, seconds=60.0, min_time=0.005)
    fast: Effort = Effort(rounds=12, seconds=12.0, min_time=0.003)
    """The effort of ``--fast``."""
    order: Sequence[Line] = ()
    """Lines in the order of a round; those of the tables that are missing follow."""
    machine_is: str = "C"
    """What the lines are written in that tell how fast the machine was: C, or pure, for
    pure Python; empty: there are none."""
    machine_line: Line | None = None
    """The line that does, for all that are timed; None: what each is compared with."""
    one_cpu: bool = True
    """A round stays on one processor."""
    arguments: tuple[str | None, ...] = ()

    @property
    def lines(self) -> list[Line]:
        """All lines, in the order of a round."""
        lines = (*self.order, *lines_of(*self.tables))
        return list({line.name: line for line in lines}.values())

    @property
    def machine(self) -> dict[str, str]:
        """From a line's name to that of the one that tells how fast the machine was."""
        found = {}
        for line in self.lines if self.machine_is else ():
            other = self.machine_line or line.against
            if other and line.unit == "second" and line.name != other.name:
                found[line.name] = other.name
        return found


def lines_of(*tables: Table) -> list[Line]:
    """Return the lines that tables show; some may be there more than once."""
    rows = (row for table in tables for row in table.rows)
    return [cell for row in rows for cell in row.cells if isinstance(cell, Line)]
