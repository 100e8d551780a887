"""What ``shrinker bench --scenario neighbours`` measures, and the goals.

Busy threads are Python loops that never wait: each gives the GIL up only when another
thread has asked for it for a switch interval (5 ms, ``sys.getswitchinterval()``).
"""

from __future__ import annotations

import dataclasses
import enum

from shrinker.bench.lines import Goal, Line, Section

__all__ = ["INTERVAL", "LOOP", "ROWS", "SECTIONS", "Kind", "NeighboursRow"]

INTERVAL = 0.005
"""Seconds: the switch interval, which the rows set."""
_MS, _NS = 1e3, 1e9
_SPINNERS = (0, 1, 4)


class Kind(enum.StrEnum):
    """What is timed."""

    LOOP = "C2 loop"
    """Nothing of ours: what ``--compare`` holds the others against."""
    PYTHON = "Python walk"
    """A walk of 100 Python shrinkers with 64 scan calls each; by the wall clock."""
    NATIVE = "native walk"
    """Shrinkers of native walks of 1,000, by the walking thread's own clock, which C
    reads: the GIL is not waited for within."""
    TURN = "another thread's turn"
    """A turn of a Python loop in another thread, by the wall clock, while this thread
    does something in C; the best of a few times, as other programs only take away."""
    GAP = "longest gap"
    """The longest time that another thread's loop stands still while this one runs
    Python code for a few switch intervals; the best of a few times."""


@dataclasses.dataclass(frozen=True, slots=True)
class NeighboursRow:
    """What a pyperf benchmark holds."""

    kind: Kind
    beside: str
    spinners: int = 0

    @property
    def name(self) -> str:
        """Name of its benchmark."""
        return f"{self.kind} {self.beside}"


def _spinners(kind: Kind) -> list[NeighboursRow]:
    return [
        NeighboursRow(
            kind, f"beside {n} busy thread{'s' * (n != 1)}" if n else "alone", n
        )
        for n in _SPINNERS
    ]


LOOP = NeighboursRow(Kind.LOOP, "alone")
_PYTHON = _spinners(Kind.PYTHON)
_NATIVE = _spinners(Kind.NATIVE)
_TURNS = [
    NeighboursRow(Kind.TURN, what)
    for what in ("beside a sleep", "beside a C loop", "beside a native walk")
]
_GAPS = [
    NeighboursRow(Kind.GAP, what) for what in ("beside a loop", "beside a Python walk")
]

ROWS: tuple[NeighboursRow, ...] = (LOOP, *_PYTHON, *_NATIVE, *_TURNS, *_GAPS)
"""All rows; those that are compared stand side by side in time as well."""


def _line(
    row: NeighboursRow,
    against: NeighboursRow,
    goal: Goal | None,
    *,
    rate: bool = False,
) -> Line:
    other = None if row is against else against.name
    return Line(row.beside, row.name, other, goal=goal, rate=rate)


SECTIONS: tuple[Section, ...] = (
    Section(
        "a walk of 100 Python shrinkers, 64 scan calls each",
        "ms",
        _MS,
        tuple(
            _line(
                row,
                _PYTHON[0],
                Goal(3, allowance=2 * INTERVAL * row.spinners)
                if row.spinners
                else None,
            )
            for row in _PYTHON
        ),
    ),
    Section(
        "a native pass, processor time",
        "ns",
        _NS,
        tuple(
            _line(row, _NATIVE[0], Goal(1.1) if row.spinners else None)
            for row in _NATIVE
        ),
    ),
    Section(
        "a turn of another thread's loop, and its rate",
        "ns",
        _NS,
        (
            _line(_TURNS[0], _TURNS[0], None),
            _line(_TURNS[1], _TURNS[0], None, rate=True),
            _line(_TURNS[2], _TURNS[0], Goal(0.9, at_least=True), rate=True),
        ),
    ),
    Section(
        "another thread stands still, at the longest",
        "ms",
        _MS,
        (
            _line(_GAPS[0], _GAPS[0], None),
            _line(_GAPS[1], _GAPS[0], Goal(1.1)),
        ),
    ),
)
