"""Which part of a shortage a worker frees; pure functions.

Each worker publishes what its caches hold (``Member``).  A *shortage* has a number and
a deficit in bytes.  It is divided in proportion to what each worker gives under the
formula: what it holds by its seeks.  A part of what each holds is protected, as
*memory.low* protects a cgroup: without that, a worker that inserts rarely ends up with
nothing, since it loses as often as the others and gains less often.

1. A worker that finds memory short *opens* the next number, with what is missing to
   *high*.  Two that open the same number at once mean the same shortage; the earlier
   one's deficit counts.
2. Every other worker *joins* at its next look, short or not: it frees its part, but no
   more than is left of the deficit and than is missing now.
3. A worker says what it is going to free before it frees (*claimed*), so that one that
   looks meanwhile does not free the same again.
4. What is left goes round again with the next number.  Workers that have not looked
   since the last number was opened get no part: they sleep or hang.

No worker waits for another.  Near exhaustion (*urgent*) a worker takes all that the
others have not claimed.  Times are seconds of the clock that all workers share.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from shrinker.growth import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Member", "Shortage", "divide", "is_asked", "is_protected", "part_of"]

PROTECTED_SHARE = 0.1
"""Each worker keeps this part of an equal share of what all workers hold."""
MIN_SEEKS = 0.25
"""Caches whose seeks are 0 count as this: they give first, but not everything."""
ROUND_SECONDS = 1.0
"""How long a shortage may be joined."""
SETTLE_SECONDS = 0.2
"""How long other workers have to join before what is left goes round again."""
CLAIM_SECONDS = 2.0
"""A claim that was not freed within this time is ignored: that worker hangs."""
NEVER = -1e12
"""A time before all others."""
MAX_BEAT_AGE_SECONDS = 30.0
"""A worker that has not looked for longer gets no part."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shortage:
    """A number, and what has to be freed for it."""

    number: int = 0
    """Counts up from 1."""
    deficit: int = 0
    """Bytes, when it was opened."""
    opened_at: float = NEVER
    since: float = 0.0
    """Workers that have looked at this time or later are counted on."""


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """What a worker publishes about itself."""

    beat: float = 0.0
    """When it looked last."""
    pages: int = 0
    """Objects that its caches hold."""
    seeks: float = 2.0
    """What an object costs to make anew, averaged over what it would give."""
    bytes_per_object: float = float(PAGE_SIZE)
    shortage: Shortage = Shortage()
    """The last one that it opened or joined."""
    busy: bool = False
    """Whether it is freeing for that now."""
    claimed: int = 0
    """Bytes that it set out to free for that."""
    freed: int = 0
    """Bytes that it freed for that."""
    kept: int = 0
    """Bytes that it freed, and that are still charged: they count as free."""
    given: int = 0
    """Bytes that it freed for all shortages so far."""
    shortages: int = 0
    """Shortages that it gave for."""

    @property
    def held(self) -> float:
        """Bytes that its caches hold."""
        return self.pages * self.bytes_per_object

    def done(self, number: int, now: float) -> int:
        """Return the bytes that it freed, or is about to free, for a shortage."""
        if self.shortage.number != number:
            return 0
        return max(self.freed, self.claimed if self.claims(now) else 0)

    def claims(self, now: float) -> bool:
        """Return whether it is about to free what it claimed."""
        return self.busy and now - self.beat < CLAIM_SECONDS


def divide(members: Sequence[Member]) -> list[float]:
    """Return each member's share of a deficit; they add up to 1."""
    protected = _protected_bytes(members)
    weights = [
        max(0.0, each.held - protected) / max(each.seeks, MIN_SEEKS) for each in members
    ]
    total = sum(weights)
    if total <= 0:
        return [1 / len(members)] * len(members)
    return [weight / total for weight in weights]


def is_protected(me: Member, others: Sequence[Member]) -> bool:
    """Return whether a worker holds so little that it may grow while others shrink."""
    return bool(others) and me.held < _protected_bytes([me, *others])


def part_of(
    me: Member,
    others: Sequence[Member],
    missing: int,
    now: float,
    *,
    short: bool,
    urgent: bool = False,
) -> tuple[Shortage, int]:
    """Return the shortage to take part in, and how many bytes to free for it.

    ``missing`` are the bytes from what is free to *high*.  ``short`` says that memory
    is below *low*, ``urgent`` that there is hardly any left.  0 bytes mean that others
    free it already, or that nothing is missing.
    """
    shortage = _latest(me, others)
    fresh = now - shortage.opened_at < ROUND_SECONDS
    joined = me.shortage.number == shortage.number
    rest = _rest(shortage, (me, *others), now)
    # ``me`` too: another thread of this process may have claimed.
    claimed = sum(
        max(0, each.claimed - each.freed) for each in (me, *others) if each.claims(now)
    )
    if not urgent:  # ``kept`` is an estimate: too uncertain to rely on when urgent.
        claimed += sum(each.kept for each in others)
    missing = max(0, missing - claimed)
    if urgent and missing:
        if fresh and not joined and rest > 0:
            return shortage, missing
        return Shortage(shortage.number + 1, missing, now, now), missing
    if fresh and not joined and rest > 0:
        part = math.ceil(_share(me, others, shortage) * shortage.deficit)
        return shortage, min(part, rest, missing)
    settled = now - shortage.opened_at >= SETTLE_SECONDS
    if not short or not missing or (rest <= 0 and not settled and not joined):
        return shortage, 0
    since = now - MAX_BEAT_AGE_SECONDS
    if fresh and rest > 0:
        since = shortage.opened_at if settled else shortage.since
    shortage = Shortage(shortage.number + 1, missing, now, since)
    return shortage, math.ceil(_share(me, others, shortage) * missing)


def is_asked(me: Member, others: Sequence[Member], missing: int, now: float) -> bool:
    """Return whether others have opened a shortage that this worker should join."""
    return part_of(me, others, missing, now, short=False)[1] > 0


def _protected_bytes(members: Sequence[Member]) -> float:
    return PROTECTED_SHARE * sum(each.held for each in members) / len(members)


def _latest(me: Member, others: Iterable[Member]) -> Shortage:
    """Return the shortage with the highest number; of several, the earliest."""
    found = me.shortage
    for each in others:
        one = each.shortage
        if (-one.number, one.opened_at) < (-found.number, found.opened_at):
            found = one
    return found


def _rest(shortage: Shortage, members: Iterable[Member], now: float) -> int:
    """Return the bytes of a deficit that no worker has freed or claimed."""
    done = sum(each.done(shortage.number, now) for each in members)
    return shortage.deficit - done


def _share(me: Member, others: Iterable[Member], shortage: Shortage) -> float:
    counted = [each for each in others if each.beat >= shortage.since]
    return divide([me, *counted])[0]
