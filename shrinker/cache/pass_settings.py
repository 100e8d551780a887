"""``PassSettings``: the ``seeks`` and ``batch`` of a cache, set at each of its counts.

A pass reads ``seeks`` of a shrinker after it has counted, and ``batch`` before, as in
the kernel; for these caches ``batch`` too is read after (``RECLAIM_BATCH_BY_COUNT``).
So a count can set both for the size that it has just found:

- ``batch`` follows the size.  A pass defers what is less than a batch, and 128, the
  kernel's batch, is a large part of a cache of a few hundred entries, or more than it
  has.  So a batch is a 64th of the count, from 1 to 128: 53 results are scanned one by
  one, and 8,192 or more by 128.
- ``seeks`` is the cost of rebuilding one *counted* object.  Where pages are counted, it
  is the cost of an entry divided by the pages that an entry has now.  It is at most 4
  times the count, since beyond that even a pass at priority 0 asks for nothing.
  ``seeks`` that the user gave stay as given.

Two walks at once may read each other's settings.  Those were right for the other walk a
moment ago, so they are close enough.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from shrinker._ffi import lib
from shrinker.cache.checks import check_seconds
from shrinker.cache.seeks import choose_seeks, seeks_from_seconds
from shrinker.values import SHRINK_BATCH

if TYPE_CHECKING:
    from shrinker.builder import ShrinkerBuilder

__all__ = ["BATCHES_PER_CACHE", "PassSettings"]

BATCHES_PER_CACHE = 64
"""A cache is scanned in so many batches, unless those exceed 128 objects."""


class PassSettings:
    """The ``seeks`` and ``batch`` of one shrinker.

    Made before the shrinker is registered.  A ``batch`` of None follows the size, up to
    ``max_batch``.
    """

    # Invariants: `_c` is a shrinker that stays allocated as long as `_memory` is
    # referenced, which the builder and the registration reference too.  So a late call
    # of a callback, by code that has kept it, writes into memory that is still there.
    __slots__ = ("_batch", "_c", "_max_batch", "_memory", "_seconds")

    def __init__(
        self,
        builder: ShrinkerBuilder,
        seeks: int | None,
        rebuild_seconds: float | None,
        *,
        batch: int | None = None,
        max_batch: int = SHRINK_BATCH,
    ) -> None:
        builder.set_seeks(choose_seeks(seeks, rebuild_seconds))
        builder.set_batch(0 if batch is None else batch)
        self._seconds = (
            None
            if rebuild_seconds is None
            else check_seconds("rebuild_seconds", rebuild_seconds)
        )
        self._batch = batch
        self._max_batch = max_batch
        self._c: Any = builder._c
        if batch is None:
            self._c.flags |= lib.RECLAIM_BATCH_BY_COUNT
        self._memory = builder._memory

    @property
    def rebuild_seconds(self) -> float:
        """Time to make an entry anew; NaN where the seeks were given."""
        return math.nan if self._seconds is None else self._seconds

    @property
    def seeks(self) -> int:
        """The seeks of a counted object now."""
        return int(self._c.seeks)

    def update(self, count: int, entries: int) -> None:
        """Set both for ``count`` objects, 1 or more, that are ``entries`` entries."""
        # SAFETY: plain stores into a struct that `_memory` keeps; no C function runs.
        c_shrinker = self._c
        if self._batch is None:
            c_shrinker.batch = min(max(count // BATCHES_PER_CACHE, 1), self._max_batch)
        if self._seconds is not None:
            # `entries` may be 0: it is read a moment after `count`.
            seeks = seeks_from_seconds(self._seconds * max(entries, 1) / count)
            c_shrinker.seeks = min(seeks, 4 * count)
