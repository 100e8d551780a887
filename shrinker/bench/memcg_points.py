"""What ``shrinker bench --scenario memcg`` measures: costs at three scales.

A point is a domain with so many memory cgroups and memcg-aware shrinkers, and so many
bits set in each group on each node, spread over the shrinkers' ids.  One of the three
is varied, and what a thing costs then is compared with what it costs where that one
is smallest.

What should come out: walking a group and setting its bits cost in proportion to the
bits, however many groups and shrinkers there are.
"""

from __future__ import annotations

import dataclasses
import enum

__all__ = [
    "MEMORY_ROWS",
    "NR_NODES",
    "POINTS",
    "ROWS",
    "SERIES",
    "MemcgPoint",
    "MemcgRow",
    "Operation",
    "Series",
]

NR_NODES = 2


class Operation(enum.StrEnum):
    """What is timed."""

    CREATE = "create"
    """Creating a group."""
    LEAVE = "leave"
    """Taking a group offline and out of the tree, and releasing it."""
    SET = "set bits"
    """Setting all bits of one group on one node, again and again."""
    WALK = "walk"
    """Walking one group on one node, again and again."""
    TURN = "in turn"
    """Walking a group on a node, a different one each time: what it costs where
    nothing of it is in the processor's caches."""
    MEMORY = "memory"
    """Not timed: bytes by which the process grows for each group and node."""


@dataclasses.dataclass(frozen=True, slots=True)
class MemcgPoint:
    """A domain."""

    memcgs: int
    shrinkers: int
    bits: int
    """Set in each group on each node."""

    @property
    def label(self) -> str:
        """Its name in the rows' names."""
        return (
            f"{self.memcgs:,} memcgs x {self.shrinkers:,} shrinkers, {self.bits:,} bits"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class MemcgRow:
    """An operation at a point: what a pyperf benchmark holds."""

    operation: Operation
    point: MemcgPoint

    @property
    def name(self) -> str:
        """Name of its benchmark."""
        return f"{self.operation}: {self.point.label}"


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """Points that differ in one number; the first is the smallest."""

    varied: str
    title: str
    points: tuple[MemcgPoint, ...]
    operations: tuple[Operation, ...]


_WALKS = (Operation.SET, Operation.WALK, Operation.TURN)
_ALL = (Operation.CREATE, Operation.LEAVE, *_WALKS)

SERIES: tuple[Series, ...] = (
    Series(
        "memcgs",
        "memcgs (100 shrinkers, 10 bits set)",
        tuple(MemcgPoint(n, 100, 10) for n in (10, 100, 1000, 10_000)),
        _ALL,
    ),
    Series(
        "shrinkers",
        "shrinkers (1,000 memcgs, 10 bits set)",
        tuple(MemcgPoint(1000, n, 10) for n in (10, 100, 1000)),
        _ALL,
    ),
    Series(
        "shrinkers",
        "shrinkers (1,000 memcgs, no bit set)",
        tuple(MemcgPoint(1000, n, 0) for n in (10, 100, 1000)),
        _WALKS[1:],
    ),
    Series(
        "bits",
        "bits set (10,000 memcgs, 100 shrinkers)",
        tuple(MemcgPoint(10_000, 100, n) for n in (0, 1, 10, 100)),
        _WALKS,
    ),
)


def _rows() -> tuple[MemcgRow, ...]:
    wanted = {
        MemcgRow(operation, point): None
        for series in SERIES
        for operation in series.operations
        for point in series.points
        # Setting no bit is nothing.
        if point.bits or operation is not Operation.SET
    }
    # A domain is made once for all rows of a point.
    points = list(dict.fromkeys(row.point for row in wanted))
    return tuple(sorted(wanted, key=lambda row: points.index(row.point)))


MEMORY_ROWS: tuple[MemcgRow, ...] = tuple(
    MemcgRow(Operation.MEMORY, point)
    for point in (
        MemcgPoint(10_000, 10, 10),
        MemcgPoint(10_000, 100, 10),
        MemcgPoint(1000, 1000, 10),
    )
)

# Memory first, in a process that has not allocated and released much yet.
ROWS: tuple[MemcgRow, ...] = (*MEMORY_ROWS, *_rows())
"""All rows, in the order of a round."""

POINTS: dict[str, MemcgPoint] = {row.point.label: row.point for row in ROWS}
"""All points by label."""
