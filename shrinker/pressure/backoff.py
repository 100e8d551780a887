"""How often and how hard to ask again: ``Breaker`` and ``Urgency``.

Neither has a clock: ``now`` is given, in seconds.
"""

from __future__ import annotations

import enum

from shrinker.values import DEF_PRIORITY

__all__ = ["Breaker", "BreakerState", "Urgency"]

INITIAL_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0
FAILURES_TO_OPEN = 3
"""So many fruitless reclaims in a row open the breaker."""
CALM_SECONDS_PER_PRIORITY = 5.0
"""After so many quiet seconds the next reclaim starts one priority less urgent."""


class BreakerState(enum.Enum):
    """Whether reclaim goes on."""

    CLOSED = "closed"
    """Reclaim goes on."""
    OPEN = "open"
    """No reclaim."""
    HALF_OPEN = "half-open"
    """The next reclaim decides."""


class Breaker:
    """Stops reclaim for a while where caches have nothing to give.

    Failures open it, for 1 second, then 2, and so on up to a minute.  After that it is
    half-open: one attempt is let through, and closes it if that frees something.
    """

    __slots__ = ("_backoff", "_failures", "_opened", "_until")

    def __init__(self) -> None:
        self._failures = 0
        self._backoff = INITIAL_BACKOFF_SECONDS
        self._opened = False
        self._until = 0.0

    def state(self, now: float) -> BreakerState:
        """Return its state."""
        if not self._opened:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._until else BreakerState.HALF_OPEN

    @property
    def until(self) -> float:
        """When it will be half-open, if it is open."""
        return self._until

    def succeeded(self) -> bool:
        """Close it; return whether it was open."""
        was_open = self._opened
        self._opened = False
        self._failures = 0
        self._backoff = INITIAL_BACKOFF_SECONDS
        return was_open

    def failed(self, now: float) -> bool:
        """Count a failure; return whether it was closed and opens now."""
        self._failures += 1
        if self._opened or self._failures >= FAILURES_TO_OPEN:
            return self.trip(now)
        return False

    def trip(self, now: float) -> bool:
        """Open it for the next back-off; return whether it was closed."""
        was_open = self._opened
        if was_open and now < self._until:
            return False  # The attempt began before it opened: one back-off is enough.
        self._opened = True
        self._until = now + self._backoff
        self._backoff = min(MAX_BACKOFF_SECONDS, 2 * self._backoff)
        return not was_open


class Urgency:
    """The priority at which the next reclaim starts.

    It begins at 12.  It gets one more urgent each time that this was not enough, and
    one less urgent for every ``CALM_SECONDS_PER_PRIORITY``.
    """

    __slots__ = ("_quiet_since", "priority")

    def __init__(self) -> None:
        self.priority = DEF_PRIORITY
        """12 (calm) to 0 (most urgent)."""
        self._quiet_since = 0.0

    def relax(self, now: float) -> None:
        """Get less urgent by the quiet time that has passed."""
        steps = int((now - self._quiet_since) // CALM_SECONDS_PER_PRIORITY)
        if steps > 0:
            self.priority = min(DEF_PRIORITY, self.priority + steps)
            self._quiet_since += steps * CALM_SECONDS_PER_PRIORITY

    def disturb(self, now: float) -> None:
        """Begin the quiet time anew."""
        self._quiet_since = now

    def rise(self) -> None:
        """Start the next reclaim one priority more urgent."""
        self.priority = max(0, self.priority - 1)

    def reset(self) -> None:
        """Start the next reclaim at 12."""
        self.priority = DEF_PRIORITY
