"""``Watermarks``: how much memory below a limit should stay free.

The kernel has three for each zone, and so have we for each limit.  Above *high* all is
well.  Below *low* a background thread frees until *high* is reached again.  Below *min*
the background is too slow, and whoever grows a cache has to free before going on.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from shrinker.errors import check_int

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Watermarks"]

MIB = 1 << 20

# Shares of the limit, floors and caps, for min, low and high.
#
# min: what a service takes between two looks of a thread that is late.  low - min: what
# it takes while the background reclaims.  high - low: what one reclaim frees, so that
# they are few.  All three follow the size of requests and with it roughly that of the
# container, hence shares.  But a thread's stack and an arena of the allocator are as
# large in a small container, and a dict that doubles its table at 350,000 entries takes
# 20 MiB in one step there, too (floors).  A large machine's requests are not a hundred
# times those of a small one (caps).
_SHARES = (0.04, 0.10, 0.15)
_FLOORS = (16 * MIB, 32 * MIB, 48 * MIB)
_CAPS = (512 * MIB, 1280 * MIB, 2048 * MIB)
# Floors must leave something to use: no mark is above these shares of the limit.
_MOST = (0.12, 0.25, 0.35)


@dataclasses.dataclass(frozen=True, slots=True)
class Watermarks:
    """Bytes of free memory below a limit: ``0 < min < low < high``.

    Raises ``ValueError`` for another order, ``TypeError`` for what is no ``int``.
    """

    min: int
    """Below this, whoever grows a cache reclaims first."""
    low: int
    """Below this, the background thread reclaims."""
    high: int
    """What it wants to reach then."""

    def __post_init__(self) -> None:
        for name in ("min", "low", "high"):
            check_int(name, getattr(self, name), 1, 2**63 - 1)
        if not self.min < self.low < self.high:
            raise ValueError(
                "watermarks must rise: min < low < high, not"
                f" {self.min}, {self.low}, {self.high}"
            )

    @classmethod
    def of(cls, limit: int) -> Watermarks:
        """Return the defaults for a limit of so many bytes.

        4, 10 and 15 % of it; at least 16, 32 and 48 MiB (but no more than 12, 25 and
        35 % of the limit), at most 512 MiB, 1.25 GiB and 2 GiB.
        """
        check_int("limit", limit, 0, 2**64)
        marks = (
            int(min(max(limit * share, floor), cap, limit * most))
            for share, floor, cap, most in zip(
                _SHARES, _FLOORS, _CAPS, _MOST, strict=True
            )
        )
        return _rising(*marks)

    @staticmethod
    def fractions(min: float, low: float, high: float) -> Callable[[int], Watermarks]:  # noqa: A002 - the field's name
        """Return a rule that takes these shares of whatever limit there is.

        Raises ``ValueError`` unless ``0 < min < low < high < 1``.
        """
        if not 0 < min < low < high < 1:
            raise ValueError(
                f"shares must rise: 0 < min < low < high < 1, not {min}, {low}, {high}"
            )

        def rule(limit: int) -> Watermarks:
            return _rising(int(limit * min), int(limit * low), int(limit * high))

        return rule

    def fits(self, limit: int) -> bool:
        """Return whether memory can be free to *high* under this limit."""
        return self.high < limit


def _rising(lowest: int, low: int, high: int) -> Watermarks:
    """Make watermarks; of next to nothing the shares may all be 0."""
    lowest = max(1, lowest)
    low = max(lowest + 1, low)
    return Watermarks(lowest, low, max(low + 1, high))
