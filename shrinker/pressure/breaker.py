"""``Breaker``: stop asking where there is nothing to be had.

Closed, reclaim goes on.  After failures it opens: nobody is asked for a second, then
for two, and so on up to a minute.  In between one attempt is let through (half-open);
if that brings something, the breaker closes.

No clock of its own: ``now`` is given, in seconds.
"""

from __future__ import annotations

import enum

__all__ = ["Breaker", "BreakerState"]

FIRST = 1.0
"""Seconds that it stays open the first time."""
LONGEST = 60.0
"""Seconds that it stays open at most."""
FAILURES = 3
"""Fruitless reclaims in a row that open it."""


class BreakerState(enum.Enum):
    """Whether reclaim goes on."""

    CLOSED = "closed"
    """It does."""
    OPEN = "open"
    """It does not."""
    HALF_OPEN = "half-open"
    """The next one decides."""


class Breaker:
    """Counts failures, and says whether to go on."""

    __slots__ = ("_backoff", "_failures", "_opened", "_until")

    def __init__(self) -> None:
        self._failures = 0
        self._backoff = FIRST
        self._opened = False
        self._until = 0.0

    def state(self, now: float) -> BreakerState:
        """Return how it stands."""
        if not self._opened:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._until else BreakerState.HALF_OPEN

    @property
    def until(self) -> float:
        """When it will be half-open, if it is open."""
        return self._until

    @property
    def backoff(self) -> float:
        """Seconds that it stays open the next time."""
        return self._backoff

    def succeeded(self) -> bool:
        """Close it; return whether that is a change."""
        was_open = self._opened
        self._opened = False
        self._failures = 0
        self._backoff = FIRST
        return was_open

    def failed(self, now: float) -> bool:
        """Count a failure; return whether it opens now, having been closed."""
        self._failures += 1
        if self._opened or self._failures >= FAILURES:
            return self.trip(now)
        return False

    def trip(self, now: float) -> bool:
        """Open it for the next back-off; return whether it was closed."""
        was_open = self._opened
        if was_open and now < self._until:
            return False  # Attempts that began earlier; one back-off is enough.
        self._opened = True
        self._until = now + self._backoff
        self._backoff = min(LONGEST, 2 * self._backoff)
        return not was_open
