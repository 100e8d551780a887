"""``Growth``: what caches and whoever watches memory tell each other.

It stands below both, so that neither has to know the other.  A cache says by how
much it grows; who watches says how much that may be before somebody has to look
at the memory again, and whether caches should stay as they are for now.

A cache that grows does, holding no lock of its own::

    growth.grown += bytes
    if growth.grown > growth.allowance:
        growth.exceeded()

This makes no call as long as all is well, and so takes part in no race that
matters: a lost update is a look that comes a little later.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
from typing import TYPE_CHECKING

from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PAGE_SIZE", "Growth", "noreclaim", "reclaim_allowed"]

PAGE_SIZE = 4096
"""What caches that weigh their entries count in: bytes of a page."""

_forbidden: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "shrinker.noreclaim", default=False
)


@contextlib.contextmanager
def noreclaim() -> Iterator[None]:
    """Let no insert of this thread or task reclaim; a context manager.

    Where memory is short, whoever grows a cache reclaims before going on (direct
    reclaim).  Around code that must be quick, or that holds a lock which a count or
    scan callback waits for, this leaves the work to the background thread.  In the
    kernel it is ``memalloc_noreclaim_save()``.  May be nested.
    """
    token = _forbidden.set(True)
    try:
        yield
    finally:
        _forbidden.reset(token)


def reclaim_allowed() -> bool:
    """Return whether this thread or task is outside of ``noreclaim()``."""
    return not _forbidden.get()


class Growth:
    """The growth of all caches of a domain."""

    __slots__ = ("_watcher", "allowance", "grown", "under_pressure")

    def __init__(self) -> None:
        self.grown = 0
        """Bytes that were added to caches since the last look at the memory."""
        self.allowance = math.inf
        """Bytes that may be added before somebody has to look."""
        self.under_pressure = False
        """Whether caches should not grow for now."""
        self._watcher: Callable[[], None] | None = None

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have ``watcher`` called by whoever exceeds the allowance.

        It looks at the memory, sets ``grown`` back and a new allowance.  Raises
        ``ShrinkerError`` where there is another one.
        """
        if self._watcher is not None:
            raise ShrinkerError(
                "the domain's memory is watched by another reclaimer; stop that first:"
                f" {self._watcher!r}"
            )
        self._watcher = watcher

    def unwatch(self) -> None:
        """Go back to how it was before ``watch``.  Idempotent."""
        self._watcher = None
        self.allowance = math.inf
        self.grown = 0
        self.under_pressure = False

    def exceeded(self) -> None:
        """Tell the watcher that the allowance is used up."""
        self.grown = 0  # Others go on; one look is enough.
        watcher = self._watcher
        if watcher is not None:
            watcher()
