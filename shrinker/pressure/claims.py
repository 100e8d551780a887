"""``Claims``: how much memory goes for each byte that caches say they grow by.

A cache that weighs nothing says 4 KiB for an entry of 200 KB, and a service takes
memory for more than its caches.  So an allowance is divided by what was seen between
two looks: how much memory rose for what was claimed.  The highest counts, and half of
it at each look that says less; but none counts while caches drop what is added, since
that claims without growing.

Nothing is known at the start, when all caches are empty and fill fastest.  So the
first looks come early: the allowance is small, and at most doubles from look to look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shrinker.growth import PAGE_SIZE

if TYPE_CHECKING:
    from shrinker.pressure.memory import MemoryLevel

__all__ = ["Claims"]

FIRST = 16 * PAGE_SIZE
"""Bytes that may be claimed before the first look."""


class Claims:
    """Scales allowances."""

    __slots__ = ("_factor", "_most", "_used", "_where")

    def __init__(self) -> None:
        self._factor = 1.0
        self._most = FIRST
        self._where = ""
        self._used = 0

    @property
    def factor(self) -> float:
        """Bytes that memory rises by for each byte that is claimed; 1 at least."""
        return self._factor

    def looked(self, level: MemoryLevel, claimed: float, *, dropped: bool) -> None:
        """Take note of what is used, and what was claimed since the last time.

        ``dropped`` says that caches were asked not to grow meanwhile.  After a
        reclaim ``claimed`` is 0: how far memory fell says nothing.
        """
        if claimed >= 1:
            rose = level.used - self._used if level.where == self._where else 0
            least = self._factor if dropped else self._factor / 2
            self._factor = max(1.0, rose / claimed, least)
            self._most = max(self._most, 2 * int(min(claimed, 1 << 62)))
        self._where, self._used = level.where, level.used

    def allow(self, allowance: int) -> int:
        """Return how much may be claimed where memory may rise by ``allowance``."""
        return max(PAGE_SIZE, min(int(allowance / self._factor), self._most))
