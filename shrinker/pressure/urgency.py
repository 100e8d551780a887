"""``Urgency``: the priority at which the next reclaim starts.

It begins at 12 and gets more urgent by one each time that is not called enough, and
less urgent by one for every ``RELAX`` quiet seconds.

No clock of its own: ``now`` is given, in seconds.
"""

from __future__ import annotations

from shrinker.values import DEF_PRIORITY

__all__ = ["Urgency"]

RELAX = 5.0
"""Quiet seconds after which the next reclaim starts one priority less urgent."""


class Urgency:
    """Remembers how urgent it was."""

    __slots__ = ("_quiet_since", "priority")

    def __init__(self) -> None:
        self.priority = DEF_PRIORITY
        """Where the next one starts, 12 to 0."""
        self._quiet_since = 0.0

    def relax(self, now: float) -> None:
        """Get less urgent by the time that has gone by."""
        steps = int((now - self._quiet_since) // RELAX)
        if steps > 0:
            self.priority = min(DEF_PRIORITY, self.priority + steps)
            self._quiet_since += steps * RELAX

    def disturb(self, now: float) -> None:
        """Begin to count the quiet seconds anew."""
        self._quiet_since = now

    def rise(self) -> None:
        """Let the next one be more urgent."""
        self.priority = max(0, self.priority - 1)

    def fall(self) -> None:
        """Let the next one begin where the first did."""
        self.priority = DEF_PRIORITY
