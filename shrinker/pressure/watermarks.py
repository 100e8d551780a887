"""``Watermarks``: how much memory below a limit should stay free.

The kernel has three for each zone; here each limit has three.  Above *high* all is
well.  Below *low* a background thread frees until *high* is reached again.  Below *min*
the background is too slow, and a thread that makes a cache grow frees first.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Self

from shrinker.errors import check_int

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Watermarks"]

MIB = 1 << 20

# Shares of the limit, floors and caps, for min, low and high.
#
# min: what a service takes between two looks of a thread that is late.
# low - min: what it takes while the background reclaims.
# high - low: what one reclaim frees, so that reclaims are few.
# All three follow the size of requests, and so roughly that of the container: shares.
# But a thread's stack and an allocator's arena are as large in a small container, and a
# dict that doubles its table at 350,000 entries takes 20 MiB in one step: floors.
# A large machine's requests are not a hundred times those of a small one: caps.
_SHARES_OF_LIMIT = (0.04, 0.10, 0.15)
_FLOOR_BYTES = (16 * MIB, 32 * MIB, 48 * MIB)
_CAP_BYTES = (512 * MIB, 1280 * MIB, 2048 * MIB)
# Floors must leave something to use: no watermark is above these shares of the limit.
_MAX_SHARES_OF_LIMIT = (0.12, 0.25, 0.35)


@dataclasses.dataclass(frozen=True, slots=True)
class Watermarks:
    """Bytes of free memory below a limit: ``0 < min < low < high``.

    Raises ``ValueError`` for another order, ``TypeError`` for anything but an ``int``.
    """

    min: int
    """Below this, a thread that makes a cache grow reclaims first."""
    low: int
    """Below this, the background thread reclaims."""
    high: int
    """It then frees until this is reached."""

    def __post_init__(self) -> None:
        for name in ("min", "low", "high"):
            check_int(name, getattr(self, name), 1, 2**63 - 1)
        if not self.min < self.low < self.high:
            raise ValueError(
                "watermarks must rise: min < low < high, not"
                f" {self.min}, {self.low}, {self.high}"
            )

    @classmethod
    def of(cls, limit: int) -> Self:
        """Return the defaults for a limit in bytes.

        4, 10 and 15 % of it; at least 16, 32 and 48 MiB (but no more than 12, 25 and
        35 % of the limit), at most 512 MiB, 1.25 GiB and 2 GiB.
        """
        check_int("limit", limit, 0, 2**64)
        marks = (
            int(min(max(limit * share, floor), cap, limit * most))
            for share, floor, cap, most in zip(
                _SHARES_OF_LIMIT,
                _FLOOR_BYTES,
                _CAP_BYTES,
                _MAX_SHARES_OF_LIMIT,
                strict=True,
            )
        )
        return cls(*_rising(*marks))

    @classmethod
    def by(cls, rule: Callable[[int], Watermarks], limit: int) -> tuple[Self, str]:
        """Ask a rule; where it fails, return the defaults and what is wrong."""
        wrong = "do not fit"
        try:
            marks = rule(limit)
            if not isinstance(marks, cls):
                kind = type(marks).__name__
                wrong = f"are a callable that returned {kind}, not Watermarks, for"
            elif marks.fits(limit):
                return marks, ""
        except Exception as error:  # noqa: BLE001 - a user's function
            wrong = f"are a callable that raised {type(error).__name__} ({error}) for"
        return cls.of(limit), wrong

    @staticmethod
    def fractions(min: float, low: float, high: float) -> Callable[[int], Watermarks]:  # noqa: A002 - the field's name
        """Return a rule that takes these shares of each limit.

        Raises ``ValueError`` unless ``0 < min < low < high < 1``.
        """
        if not 0 < min < low < high < 1:
            raise ValueError(
                f"shares must rise: 0 < min < low < high < 1, not {min}, {low}, {high}"
            )

        def rule(limit: int) -> Watermarks:
            shares = _rising(int(limit * min), int(limit * low), int(limit * high))
            return Watermarks(*shares)

        return rule

    def within(self, reach: int) -> Self:
        """Return the marks to go by where ``reach`` bytes at most can be free.

        ``reach`` is what would be free if all caches were empty.  Where that is less
        than twice as far above *min* as *high* is, *low* and *high* come down in
        proportion: reclaim cannot reach them, and would empty the caches for nothing.
        So at least half of what caches could use above *min* is theirs to use.  *min*
        stays: below it a process may be killed.
        """
        span, wanted = max(0, reach - self.min), 2 * (self.high - self.min)
        if span >= wanted:
            return self
        low = self.min + (self.low - self.min) * span // wanted
        high = self.min + (self.high - self.min) * span // wanted
        return dataclasses.replace(
            self, low=max(low, self.min + 1), high=max(high, low + 1, self.min + 2)
        )

    def fits(self, limit: int) -> bool:
        """Return whether memory can be free to *high* under this limit."""
        return self.high < limit


def rule_of(
    given: Watermarks | Callable[[int], Watermarks] | None,
) -> Callable[[int], Watermarks]:
    """Return the rule for what a reclaimer was given; None means the defaults.

    Raises ``TypeError`` for anything else.
    """
    if given is None:
        return Watermarks.of
    if isinstance(given, Watermarks):
        return lambda _limit: given
    if not callable(given):
        kind = type(given).__name__
        raise TypeError(f"watermarks must be Watermarks or a callable, not {kind}")
    return given


def _rising(lowest: int, low: int, high: int) -> tuple[int, int, int]:
    """Make three numbers rise; of a very small limit the shares may all be 0."""
    lowest = max(1, lowest)
    low = max(lowest + 1, low)
    return lowest, low, max(low + 1, high)
