"""What ``shrinker bench --scenario threads`` measures, and the goals.

Shrinkers are native, and all that is timed runs in C, without the GIL.  A rate of two
threads is the sum of theirs, held against the mean of what each does alone on its
processor; by each thread's own clock: walks wait for nothing, and other programs do
not count.
"""

from __future__ import annotations

import dataclasses
import enum

from shrinker.bench.lines import Goal, Line, Section

__all__ = [
    "LOOP",
    "NATIVE",
    "PYTHON",
    "ROWS",
    "SECTIONS",
    "SHARED",
    "Kind",
    "ThreadsRow",
]

SHARED = 1000
"""Shrinkers of a domain that is walked."""
_NS = 1e9
_MANY = (1000, 10_000, 100_000)


class Kind(enum.StrEnum):
    """What is measured."""

    LOOP = "C2 loops"
    """Nothing of ours, and nothing shared: what the machine gives two threads."""
    APART = "apart"
    """Walks of domains of their own."""
    SHARED = "shared"
    """Walks of one domain."""
    REGISTER = "register"
    FREE = "free"
    MEMORY = "memory"


@dataclasses.dataclass(frozen=True, slots=True)
class ThreadsRow:
    """What a pyperf benchmark holds: seconds of a loop, a walk, a shrinker; bytes."""

    kind: Kind
    number: int
    """Threads, or shrinkers."""
    priority: int = 12
    of: str = ""
    """MEMORY: which shrinkers."""

    @property
    def name(self) -> str:
        """Name of its benchmark."""
        if self.kind is Kind.MEMORY:
            return f"memory: {self.of}"
        if self.kind in (Kind.REGISTER, Kind.FREE):
            return f"{self.kind} {self.number:,}"
        priority = "" if self.kind is Kind.LOOP else f", priority {self.priority}"
        threads = f"{self.number} thread{'s' * (self.number > 1)}"
        return f"{self.kind}{priority}, {threads}"


_WALKS: tuple[tuple[Kind, int, Goal | None], ...] = (
    (Kind.LOOP, 12, None),
    (Kind.APART, 12, Goal(1.8, at_least=True)),
    (Kind.APART, 0, Goal(1.8, at_least=True)),
    (Kind.SHARED, 12, Goal(1.3, at_least=True)),
    (Kind.SHARED, 0, Goal(1.3, at_least=True)),
)
LOOP = ThreadsRow(Kind.LOOP, 1)
"""What ``--compare`` holds the others against."""
NATIVE, REGISTERED, PYTHON = "native", "native, from Python", "Python"
_MEMORY = tuple(
    ThreadsRow(Kind.MEMORY, 10_000, of=which) for which in (NATIVE, REGISTERED, PYTHON)
)
_COMING = tuple(
    ThreadsRow(kind, n) for kind in (Kind.REGISTER, Kind.FREE) for n in _MANY
)

# Memory first, in a process that has not allocated and released much yet.
ROWS: tuple[ThreadsRow, ...] = (
    *_MEMORY,
    *(
        ThreadsRow(kind, threads, priority)
        for kind, priority, _ in _WALKS
        for threads in (1, 2)
    ),
    *_COMING,
)
"""All rows; those that are compared stand side by side in time as well."""


def _scaling() -> tuple[Line, ...]:
    lines = []
    for kind, priority, goal in _WALKS:
        one, two = (ThreadsRow(kind, n, priority).name for n in (1, 2))
        lines += [Line(one, one), Line(two, two, one, goal=goal, rate=True)]
    return tuple(lines)


def _linear() -> tuple[Line, ...]:
    lines = []
    for row in _COMING:
        # Of ten times fewer, each should cost the same.
        fewer = ThreadsRow(row.kind, row.number // 10)
        known = fewer in _COMING
        lines.append(
            Line(
                row.name,
                row.name,
                fewer.name if known else None,
                goal=Goal(2) if known else None,
            )
        )
    return tuple(lines)


SECTIONS: tuple[Section, ...] = (
    Section(
        f"all threads together, for a walk of {SHARED:,} shrinkers, and their rate",
        "ns",
        _NS,
        _scaling(),
    ),
    Section("a shrinker that comes or goes beside a walk", "ns", _NS, _linear()),
    Section(
        "memory of a shrinker", "bytes", 1.0, tuple(Line(r.of, r.name) for r in _MEMORY)
    ),
)
