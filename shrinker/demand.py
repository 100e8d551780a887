"""``Demand``: what a reclaim asks of caches, beyond the kernel's ``nr_to_scan``.

It stands below both caches and reclaimers, as ``Growth`` does.  A reclaimer makes one
for each of its reclaims, which the caches' callbacks find by ``current()``.  Without
one, as in ``Domain.shrink_slab``, a cache never waits for a lock.

A cache whose lock is usually taken has few chances to be scanned.  So the background
waits for locks, for ``patience`` seconds in all, and a lock that it gets is used for
the whole of the cache's part at once.
"""

from __future__ import annotations

import collections
import contextlib
import contextvars
import time
from typing import TYPE_CHECKING

from shrinker._switching import KEEP_GIL_SECONDS, SwitchInterval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Demand", "Inheritor", "Learner", "current", "most_scanned"]

_current: contextvars.ContextVar[Demand | None] = contextvars.ContextVar(
    "shrinker.demand", default=None
)


class Inheritor:
    """A cache that may hold what was there before a fork, in the child."""

    def inherited_bytes(self) -> int:
        """Return the bytes that are kept of what was there before a fork."""
        return 0

    def give_inherited(self) -> bool:
        """Evict what was there before a fork, too; return whether there is any.

        Until then the child of a fork keeps it: its memory is also the parent's, so
        evicting it frees nothing.
        """
        return False


class Learner(Inheritor):
    """A cache that may not know how many bytes its entries have."""

    @property
    def gives_all_or_nothing(self) -> bool:
        """Whether it can only be cleared whole."""
        raise NotImplementedError

    @property
    def wants_probe(self) -> bool:
        """Whether a few entries should be evicted to see what they are worth."""
        raise NotImplementedError

    def count_now(self) -> int | None:
        """Return its count without giving the GIL up; None where that can't be known.

        A count through the domain gives the GIL up twice.
        """
        return None

    def held_entries(self) -> int:
        """Return how many entries there are."""
        raise NotImplementedError

    def learn(self, entries: int, fell: int) -> None:
        """Learn that memory fell by ``fell`` bytes when ``entries`` were evicted."""
        raise NotImplementedError


class Demand:
    """What one reclaim asks of all caches.

    ``share`` is what each cache is to give, as a share of what a pass at priority 0
    scans.  ``patience`` is how long locks may be waited for, in seconds, all together.
    ``at_once`` has each watched cache give its part in the first scan.  ``give_back``
    returns to the system what was freed.  Where there is one, no other Python thread
    runs from the time that a lock is acquired until memory was given back: threads that
    fill caches would have taken it again.
    """

    __slots__ = (
        "_clock",
        "_gave",
        "_patience",
        "_switching",
        "at_once",
        "gave_back",
        "give_back",
        "held",
        "share",
    )

    def __init__(
        self,
        *,
        share: float = 0.0,
        patience: float = 0.0,
        at_once: bool = False,
        give_back: Callable[[], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.share = share
        self.at_once = at_once
        self.give_back = give_back
        self.gave_back = False
        self.held: collections.Counter[object] = collections.Counter()
        """How many scans of each cache found its lock taken, or its loop busy."""
        self._patience = patience
        self._clock = clock
        self._gave: set[object] = set()
        self._switching = SwitchInterval()

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Have callbacks on this thread find it."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    @property
    def is_urgent(self) -> bool:
        """Whether memory is about to run out."""
        return self.give_back is not None

    def wait(self, acquire: Callable[[float], bool]) -> bool:
        """Wait for a lock by ``acquire(seconds)``, while there is patience.

        Once a lock was waited for, each cache gives its part at once.
        """
        if self._patience <= 0:
            return False
        began = self._clock()
        try:
            acquired = acquire(self._patience)
        finally:
            self._patience -= self._clock() - began
        self.at_once = self.at_once or acquired
        return acquired

    def begin(self) -> None:
        """Keep the GIL from now on, where memory is to be given back."""
        if self.give_back is not None:
            self._switching.begin(KEEP_GIL_SECONDS)

    def end(self, cache: object) -> None:
        """Give back what a cache freed, and let other threads run."""
        try:
            if self.give_back is not None and cache in self._gave:
                self.gave_back = True
                self.give_back()
        finally:
            self._switching.end()

    def has_part_of(self, cache: object) -> bool:
        """Return whether a cache has given its part already."""
        return cache in self._gave

    def take_part(self, cache: object, wanted: int, count: int, seeks: int) -> int:
        """Return how many of ``count`` objects a cache frees in this scan.

        ``wanted`` is the kernel's ``nr_to_scan``.
        """
        if not self.at_once or self.share <= 0:
            return wanted
        self._gave.add(cache)
        part = -int(-self.share * most_scanned(count, seeks) // 1)
        return max(wanted, min(part, count))


def current() -> Demand | None:
    """Return the demand of the reclaim on this thread."""
    return _current.get()


def most_scanned(count: int, seeks: int) -> float:
    """Return how many objects a pass at priority 0 scans, by the kernel's formula."""
    return 4 * count / seeks if seeks else count / 2
