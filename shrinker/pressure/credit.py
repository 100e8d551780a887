"""``Credit``: what was freed but stayed with the allocator.

Freeing three quarters of a million small entries gives next to nothing back to the
system: each page still has an entry in use.  But new entries go into the gaps, and the
process does not grow by them.  So what was freed and is still charged counts as free,
as long as it can be believed in:

- no more than what is missing to *high*: further belief would decide nothing;
- less what is given back to the system later on, since that is free indeed;
- less what the caches have grown by since, since that went into the gaps;
- nothing while less than half of *min* is really free: that is too little to err;
- nothing any more once the process has grown by more than a quarter of *min*: whatever
  takes memory now does not take it from the gaps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shrinker.growth import PAGE_SIZE

if TYPE_CHECKING:
    from shrinker.pressure.memory import MemoryLevel
    from shrinker.pressure.watermarks import Watermarks

__all__ = ["Credit"]

TRUST = 4
"""The credit is void once used has risen by *min* divided by this."""


class Credit:
    """Bytes that count as free below one limit."""

    __slots__ = ("_kept", "_used", "_weight", "_where")

    def __init__(self) -> None:
        self._kept = 0
        self._where = ""
        self._used = 0
        self._weight: int | None = None

    def grant(
        self, kept: int, level: MemoryLevel, marks: Watermarks, weight: int | None
    ) -> None:
        """Count ``kept`` bytes as free from now on; see the module.

        ``weight`` is what caches hold now, in pages, where that is known.
        """
        self._kept = min(kept, max(0, marks.high - level.free))
        self._where = level.where
        self._used = level.used
        self._weight = weight

    def worth(
        self, level: MemoryLevel, marks: Watermarks, weight: int | None = None
    ) -> int:
        """Return the bytes that still count as free."""
        if not self._kept or level.where != self._where:
            return 0
        if level.used > self._used + marks.min // TRUST:
            self._kept = 0
            return 0
        if level.free < marks.min // 2:
            return 0
        if level.used < self._used:
            self._kept = max(0, self._kept - (self._used - level.used))
            self._used = level.used
        if weight is not None and self._weight is not None and weight > self._weight:
            self._kept = max(0, self._kept - (weight - self._weight) * PAGE_SIZE)
            self._weight = weight
        return self._kept
