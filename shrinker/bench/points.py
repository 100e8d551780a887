"""What is measured: a default point, and one factor varied at a time around it.

The default cache has 4,096 objects, so that every pass is the same: with
default seeks and batches of 128 a pass makes 0, 8 or 64 scan calls at priority
12, 3 or 0, and with priority 3 it makes 1,024, 8 or 1 at batch 1, 128 or 1,024.
Each time the calls take all of the work, and nothing is deferred.  (At priority
12 two objects a pass are, up to the cap of 8,192, which never makes a call.)

A pass at priority 12 scans nothing, so it costs what a pass costs apart from
scan calls.  Each number of shrinkers therefore has a point at priority 12
beside it: what another point costs more, divided by its scan calls, is the cost
of one call (``Point.idle``).
"""

from __future__ import annotations

import dataclasses
import enum

from shrinker.values import DEF_PRIORITY

__all__ = [
    "DEFAULT",
    "POINTS",
    "RECORDED",
    "ROWS",
    "Callbacks",
    "Factor",
    "Point",
    "Row",
]


class Callbacks(enum.StrEnum):
    """Who counts and scans, and who walks."""

    NATIVE = "native"
    """Callbacks in C, walked from a loop in C: no Python at all."""
    PYTHON = "python"
    """Callbacks in Python, walked by ``Domain.shrink_slab``."""
    PURE = "pure"
    """The same algorithm in pure Python (``shrinker.bench.pure``): the peer."""


class Factor(enum.StrEnum):
    """What a point has other than the default point."""

    NONE = "default"
    PRIORITY = "priority"
    BATCH = "batch size"
    SHRINKERS = "number of shrinkers"
    RECORDED = "recording"


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """One setting, to be measured with each kind of callbacks."""

    label: str
    factor: Factor
    priority: int = 3
    batch: int = 128
    """Objects in one scan call."""
    shrinkers: int = 100
    """0: a walk that meets nobody, which stands for what entering one costs."""
    objects: int = 4096
    """What each shrinker counts."""
    idle: str | None = None
    """Label of the point that differs in that it makes no scan call."""


def _idle_label(shrinkers: int) -> str:
    if shrinkers == DEFAULT.shrinkers:
        return "priority 12"
    return f"{shrinkers:,} at priority 12"


def _shrinkers_label(shrinkers: int) -> str:
    return "1 shrinker" if shrinkers == 1 else f"{shrinkers:,} shrinkers"


DEFAULT = Point("default", Factor.NONE, idle="priority 12")
"""100 shrinkers of 4,096 objects, priority 3, batch 128."""

RECORDED = Point("recording", Factor.RECORDED)
"""Cache sizes, seeks and priorities of a trace; its other fields mean nothing."""

_COUNTS = (1, 10, 1000, 10_000)

POINTS: tuple[Point, ...] = (
    DEFAULT,
    Point("priority 12", Factor.PRIORITY, priority=DEF_PRIORITY),
    Point("priority 0", Factor.PRIORITY, priority=0, idle="priority 12"),
    Point("batch 1", Factor.BATCH, batch=1, idle="priority 12"),
    Point("batch 1,024", Factor.BATCH, batch=1024, idle="priority 12"),
    Point("no shrinker", Factor.SHRINKERS, shrinkers=0),
    *(
        Point(_shrinkers_label(n), Factor.SHRINKERS, shrinkers=n, idle=_idle_label(n))
        for n in _COUNTS
    ),
    *(
        Point(_idle_label(n), Factor.SHRINKERS, priority=DEF_PRIORITY, shrinkers=n)
        for n in _COUNTS
    ),
    RECORDED,
)
"""All points, in the order of the table."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A point with one kind of callbacks: what a pyperf benchmark holds."""

    callbacks: Callbacks
    point: Point

    @property
    def name(self) -> str:
        """Name of its benchmark."""
        return f"{self.callbacks}: {self.point.label}"


ROWS: tuple[Row, ...] = tuple(
    Row(callbacks, point) for point in POINTS for callbacks in Callbacks
)
"""All rows; those that are compared stand side by side in time as well."""
