"""``Pace``: when to look at the memory again, where nothing but time can tell.

Memory that fills at so many bytes a second reaches a watermark no sooner than the
distance divided by the rate.  The rate is the highest seen, decaying: who filled fast a
moment ago may do so again.  Looking at half of that time never comes too late by more
than the rate has risen.  And as long as nothing fills, looks are so rare that all of
them together cost next to nothing.

No clock of its own: ``now`` is given, in seconds.
"""

from __future__ import annotations

__all__ = ["Pace"]

SHORTEST = 0.02
"""Seconds between two looks, at least: a switch interval of four threads."""
LONGEST = 1.0
"""Seconds between two looks, at most: a rate is known only for what was seen."""
SHARE = 0.0005
"""Of a core, that looks may cost while nothing fills."""
HALF_LIFE = 10.0
"""Seconds in which the remembered rate falls by half."""


class Pace:
    """How fast memory fills, and what a look costs."""

    __slots__ = ("_cost", "_last", "_rate")

    def __init__(self) -> None:
        self._rate = 0.0
        self._cost = 0.0
        self._last: tuple[float, int] | None = None

    @property
    def rate(self) -> float:
        """Bytes a second, the highest seen lately."""
        return self._rate

    @property
    def cost(self) -> float:
        """Seconds of a core that a look takes, on the average of late."""
        return self._cost

    def saw(self, now: float, used: int) -> None:
        """Take note of how much is used."""
        if self._last is not None:
            then, before = self._last
            passed = now - then
            if passed < SHORTEST / 2:
                return  # Two looks at once say nothing about the rate.
            self._rate *= 0.5 ** (passed / HALF_LIFE)
            self._rate = max(self._rate, (used - before) / passed)
        self._last = (now, used)

    def elsewhere(self) -> None:
        """Forget what was used: the next figure is another limit's."""
        self._last = None

    def took(self, seconds: float) -> None:
        """Take note of what a look cost."""
        self._cost = seconds if not self._cost else 0.9 * self._cost + 0.1 * seconds

    def period(self, distance: int) -> float:
        """Return the seconds to the next look, ``distance`` bytes from the mark."""
        soon = LONGEST
        if self._rate > 0:
            soon = max(0, distance) / self._rate / 2
        elif distance <= 0:
            soon = SHORTEST
        cheap = self._cost / SHARE
        if soon >= LONGEST:  # All is well, and may cost no more than was promised.
            return max(LONGEST, cheap)
        return max(SHORTEST, soon)
