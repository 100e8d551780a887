"""What memory really does, estimated: ``Credit`` and ``GrowthEstimate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shrinker.growth import PAGE_SIZE

if TYPE_CHECKING:
    from shrinker.pressure.limits.memory import MemoryLevel
    from shrinker.pressure.watermarks import Watermarks

__all__ = ["Credit", "GrowthEstimate"]

VOID_CREDIT_DIVISOR = 4
"""The credit is void once used memory has risen by *min* divided by this."""
INITIAL_ALLOWANCE_BYTES = 16 * PAGE_SIZE
"""Growth that may be reported before the first look."""


class Credit:
    """Bytes that were freed but stayed with the allocator, and so count as free.

    Freeing three quarters of a million small entries gives almost nothing back to the
    system: each page still has an entry in use.  But new entries go into the gaps, and
    the process does not grow by them.  So what was freed and is still charged counts as
    free, within bounds:

    - no more than is missing to *high*, since more would decide nothing;
    - less what goes back to the system later, since that is really free then;
    - less what caches have grown by since, since that filled gaps;
    - nothing while less than half of *min* is really free: no room for an error;
    - nothing any more once the process has grown by a quarter of *min*: then memory is
      not taken from the gaps.
    """

    __slots__ = ("_kept", "_used", "_weight", "_where")

    def __init__(self) -> None:
        self._kept = 0
        self._where = ""
        self._used = 0
        self._weight: int | None = None

    def grant(
        self, kept: int, level: MemoryLevel, marks: Watermarks, weight: int | None
    ) -> None:
        """Count ``kept`` bytes as free from now on.

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
        if level.used > self._used + marks.min // VOID_CREDIT_DIVISOR:
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


class GrowthEstimate:
    """How many bytes memory rises by for each byte that caches report.

    A cache without a weigher reports 4 KiB for an entry of 200 KB, and a service takes
    memory for more than its caches.  So an allowance is divided by what was seen
    between two looks: how much memory rose for what was reported.  The highest factor
    counts, and falls by half at each look that shows less.  It does not fall while
    caches evict what they add, since they report that without growing.

    Nothing is known at the start, when all caches are empty and fill fastest.  So the
    first allowance is small, and at most doubles from look to look.
    """

    __slots__ = ("_factor", "_max_allowance", "_used", "_where")

    def __init__(self) -> None:
        self._factor = 1.0
        self._max_allowance = INITIAL_ALLOWANCE_BYTES
        self._where = ""
        self._used = 0

    @property
    def factor(self) -> float:
        """Bytes that memory rises by for each byte reported; at least 1."""
        return self._factor

    def observe(self, level: MemoryLevel, reported: float, *, evicting: bool) -> None:
        """Learn from what is used, and what caches reported since the last time.

        ``evicting`` says that caches were asked not to grow meanwhile.  After a reclaim
        ``reported`` is 0: how far memory fell shows nothing.
        """
        if reported >= 1:
            rose = level.used - self._used if level.where == self._where else 0
            lowest = self._factor if evicting else self._factor / 2
            self._factor = max(1.0, rose / reported, lowest)
            reported = min(reported, 1 << 62)
            self._max_allowance = max(self._max_allowance, 2 * int(reported))
        self._where, self._used = level.where, level.used

    def allow(self, size: int) -> int:
        """Return what may be reported where memory may rise by ``size`` bytes."""
        return max(PAGE_SIZE, min(int(size / self._factor), self._max_allowance))
