"""What a ``Policy`` is asked and answers: decisions, and what came of them."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

from shrinker.growth import PAGE_SIZE
from shrinker.values import DEF_PRIORITY

if TYPE_CHECKING:
    from shrinker.pressure.memory import MemoryLevel
    from shrinker.pressure.watermarks import Watermarks

__all__ = ["Action", "Decision", "News", "Outcome", "Rest", "kept_bytes"]


class Action(enum.Enum):
    """What is to be done."""

    NOTHING = "nothing"
    """All is well, or nothing would help."""
    WEIGH = "weigh"
    """Count what all caches hold, and look again with it; nothing has changed."""
    RECLAIM = "reclaim"
    """Run the priority ladder for ``pages``."""
    EASE = "ease"
    """Reclaim one object, as gently as may be."""
    PROBE = "probe"
    """Reclaim a part of small caches, to see what their objects are worth."""
    WAKE = "wake"
    """Leave it to the background thread."""


@dataclasses.dataclass(frozen=True, slots=True)
class News:
    """A change that somebody should hear of."""

    kind: str
    """``breaker opened``, ``breaker closed`` or ``watermarks``."""
    text: str
    """What happened and why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and what led to it."""

    action: Action
    """What to do."""
    reason: str
    """Why, in words."""
    level: MemoryLevel
    """The level that decided."""
    marks: Watermarks
    """Its watermarks."""
    credit: int
    """Bytes that are charged, but count as free."""
    pages: int = 0
    """Objects to reclaim."""
    deficit: int = 0
    """Bytes from what is free up to *high*."""
    priority: int = DEF_PRIORITY
    """The priority to start at."""
    weight: int | None = None
    """What all caches held, in pages, where it was counted."""
    against: int = 0
    """Bytes that caches may be small beside: the deficit, or the whole process."""
    news: tuple[News, ...] = ()
    """What has changed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a decision."""

    freed: int
    """Objects freed."""
    priority: int
    """The last priority that was walked."""
    after: MemoryLevel
    """The level that decided, afterwards."""
    weight: int | None = None
    """What all caches hold now, in pages, where that is known."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rest:
    """When to look again."""

    until: float | None
    """The time at which to look, at the latest; ``None``: nothing is under way."""
    distance: int | None
    """Bytes to the next watermark that matters; ``None``: none does before then."""
    allowance: int
    """Bytes that caches may grow by before somebody looks."""
    under_pressure: bool
    """Whether caches should stay as they are."""


def kept_bytes(decision: Decision, outcome: Outcome) -> int:
    """Return the bytes that were freed and are still charged to the process."""
    fell = decision.level.used - outcome.after.used
    return max(0, outcome.freed * PAGE_SIZE - max(0, fell))
