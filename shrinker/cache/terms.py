"""``Terms``: what a pass asks a cache for, set anew at each of its counts.

A pass reads ``seeks`` and ``batch`` of a shrinker after it has counted, so a count
can say what they should be for what it has just found:

- ``batch`` follows the size.  What a pass wants of a cache is put off while it is no
  batch, and 128 is much of a cache of a few hundred, or more than there is.  So a
  batch is a 64th of the cache, from 1 to 128 objects: 53 results are asked for one
  by one, and 8,192 entries by 128 as everywhere.
- ``seeks`` is what it takes to rebuild one of the *counted* objects.  Where those are
  pages, it is what an entry takes, divided by the pages of an entry as they are now.
  It is never so much that the most urgent pass would ask for nothing, which it does
  beyond 4 times the count.  A number of seeks that the user gave stays as given.

Walks at the same time may read what another one's count has found; a little while
ago it was right for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shrinker.cache.costs import check_seconds, seeks_for, seeks_of
from shrinker.values import SHRINK_BATCH

if TYPE_CHECKING:
    from shrinker.builder import ShrinkerBuilder

__all__ = ["BATCHES", "Terms"]

BATCHES = 64
"""A cache is this many batches, where those are no larger than 128."""


class Terms:
    """The ``seeks`` and the ``batch`` of one shrinker.

    Made before the shrinker is registered.  ``batch`` None follows the size.
    """

    # Invariants: `_c` is a shrinker that stays allocated as long as we have `_memory`,
    # its owner beside the builder and the registration.  So whoever can still call
    # the callbacks, or has kept what was registered, writes into memory that is there.
    __slots__ = ("_batch", "_c", "_memory", "_seconds")

    def __init__(
        self,
        builder: ShrinkerBuilder,
        seeks: int | None,
        rebuild_seconds: float | None,
        *,
        batch: int | None = None,
    ) -> None:
        builder.set_seeks(seeks_of(seeks, rebuild_seconds))
        builder.set_batch(0 if batch is None else batch)
        self._seconds = (
            None
            if rebuild_seconds is None
            else check_seconds("rebuild_seconds", rebuild_seconds)
        )
        self._batch = batch
        self._c: Any = builder._c
        self._memory = builder._memory

    def update(self, count: int, entries: int) -> None:
        """Set both for ``count`` objects, 1 or more, that are so many entries."""
        # Plain stores into the struct: no function of C is called.
        c_shrinker = self._c
        if self._batch is None:
            c_shrinker.batch = min(max(count // BATCHES, 1), SHRINK_BATCH)
        if self._seconds is not None:
            # Some entries, for a look beside a change may find none.
            seeks = seeks_for(self._seconds * max(entries, 1) / count)
            c_shrinker.seeks = min(seeks, 4 * count)
