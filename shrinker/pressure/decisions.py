"""What a ``Policy`` is asked and what it answers."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

from shrinker.growth import PAGE_SIZE
from shrinker.values import DEF_PRIORITY

if TYPE_CHECKING:
    from shrinker.pressure.limits.memory import MemoryLevel
    from shrinker.pressure.watermarks import Watermarks

__all__ = ["Action", "Change", "Decision", "NextLook", "ReclaimOutcome", "kept_bytes"]


class Action(enum.Enum):
    """What to do."""

    NOTHING = "nothing"
    """All is well, or nothing would help."""
    COUNT = "count"
    """Count what all caches hold, and decide again with that; nothing has changed."""
    RECLAIM = "reclaim"
    """Free ``objects``, from ``priority`` down."""
    EASE = "ease"
    """Free one object, as gently as possible."""
    WAKE = "wake"
    """Leave it to the background thread."""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A change for the log and the history."""

    kind: str
    """``breaker opened``, ``breaker closed`` or ``watermarks``."""
    text: str
    """What happened and why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and the figures that led to it."""

    action: Action
    """What to do."""
    reason: str
    """Why, as a text."""
    level: MemoryLevel
    """The level that decided."""
    marks: Watermarks
    """Its watermarks."""
    credit: int
    """Bytes that are charged but count as free."""
    objects: int = 0
    """Objects to reclaim."""
    deficit: int = 0
    """Bytes from what is free up to *high*."""
    priority: int = DEF_PRIORITY
    """The priority to start at."""
    weight: int | None = None
    """What all caches held, in pages, where it was counted."""
    compared_with: int = 0
    """Bytes that caches may be small beside: the deficit, or the whole process."""
    changes: tuple[Change, ...] = ()
    """What has changed."""

    @property
    def missing(self) -> int:
        """Bytes from what is free, with the credit, up to *high*."""
        return max(0, self.marks.high - self.level.free - self.credit)


@dataclasses.dataclass(frozen=True, slots=True)
class ReclaimOutcome:
    """What came of a decision."""

    freed: int
    """Objects freed."""
    priority: int
    """The last priority that was walked."""
    after: MemoryLevel
    """The level that decided, afterwards."""
    fell: int = 0
    """Bytes by which the process's own memory fell; what neighbours freed or took in
    the meantime is not in it."""
    weight: int | None = None
    """What all caches hold now, in pages, where that is known."""
    held: int = 0
    """Scans that could do nothing because the lock of a cache was taken."""


@dataclasses.dataclass(frozen=True, slots=True)
class NextLook:
    """When to look again, and what caches may do until then."""

    until: float | None
    """The latest time for it; ``None`` where nothing is under way."""
    distance: int | None
    """Bytes to the next watermark that matters; ``None`` where none does by then."""
    allowance: int
    """Bytes that caches may grow by before it."""
    under_pressure: bool
    """Whether caches should not grow."""


def kept_bytes(outcome: ReclaimOutcome) -> int:
    """Return the bytes that were freed and are still charged to the process."""
    return max(0, outcome.freed * PAGE_SIZE - max(0, outcome.fell))
