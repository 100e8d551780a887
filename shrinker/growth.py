"""``Growth``: what caches and a reclaimer tell each other.

It stands below both, so neither knows the other.  A cache reports by how much it grows.
The reclaimer says how much that may be before the next look at the memory, and whether
caches should not grow for now.

A cache that grows does this (``make_room`` of csrc/python/cache.c)::

    growth.add(bytes)
    if growth.grown > growth.allowance:
        growth.exceeded()

While the allowance lasts, this makes no other call.  ``exceeded()`` calls the watcher:
the ``Direct`` hook of a running reclaimer (``shrinker/pressure/direct.py``).  While
that thread looks, the next one may add half as much, and so on: all of them together
add less than twice the allowance.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
from typing import TYPE_CHECKING

from shrinker._ffi import object_function
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PAGE_SIZE", "Growth", "noreclaim", "reclaim_allowed"]

PAGE_SIZE = 4096
"""Bytes of a page, the unit of caches that weigh their entries."""

_forbidden: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "shrinker.noreclaim", default=False
)


@contextlib.contextmanager
def noreclaim() -> Iterator[None]:
    """Let no insert of this thread or task reclaim; a context manager.

    Where memory is short, a thread that makes a cache grow reclaims before it goes on
    (direct reclaim).  This leaves the work to the background thread, around code that
    must be quick, or that holds a lock which a count or scan callback waits for.  The
    kernel's name for it is ``memalloc_noreclaim_save()``.  May be nested.
    """
    token = _forbidden.set(True)
    try:
        yield
    finally:
        _forbidden.reset(token)


def reclaim_allowed() -> bool:
    """Return whether this thread or task is outside ``noreclaim()``."""
    return not _forbidden.get()


if TYPE_CHECKING:

    class _Figures:
        """What inserts read and write (csrc/python/growth.c)."""

        grown: int
        """Bytes that were added to caches, of the allowance."""
        allowance: float
        """Bytes that may be added before the next look."""
        under_pressure: bool
        """Whether caches should not grow."""

        pressures: int
        """How often ``under_pressure`` was set."""

        def exceeded(self) -> None:
            """Tell the watcher that the allowance is used up.

            It looks at the memory and sets a new allowance.  Half is left to other
            threads until then, but 4 KiB at least.
            """

        def learn(self, now_ns: int = ..., /) -> None:
            """Set the seeks of caches by what was measured up to ``now_ns``.

            By CLOCK_MONOTONIC; without it, up to now.  Does nothing less than a second
            after the last time.
            """

        def add(self, size: int, /) -> None:
            """Add bytes to ``grown``, in one step."""

        def added(self) -> int:
            """Return all bytes that were ever added, modulo 2**64."""

        def allow(self, added: int, allowance: float, *, newest: bool) -> None:
            """Allow so many bytes from the moment when ``added()`` was as given.

            That is when memory was read.  What was added since counts as used.  An
            allowance by older figures, not ``newest``, may only lower what is left.
            """

else:
    _Figures = object_function("python_growth_type", 0)()


class Growth(_Figures):
    """The growth of all caches of a domain."""

    __slots__ = ("_watchers", "describe")

    def __init__(self) -> None:
        self.grown = 0
        self.allowance = math.inf
        self.under_pressure = False
        self.describe: Callable[[], str] | None = None
        """What the reclaimer adds to the domain's report."""
        # At most one, of key 0: dicts do each of these in one step.
        self._watchers: dict[int, Callable[[], None]] = {}

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have ``watcher`` called by the thread that exceeds the allowance.

        It looks at the memory and sets a new allowance.  Raises ``ShrinkerError``
        where there is another watcher.
        """
        first = self._watchers.setdefault(0, watcher)
        if first is not watcher:
            raise ShrinkerError(
                "the domain's memory is watched by another reclaimer; stop that first:"
                f" {first!r}"
            )

    def unwatch(self) -> None:
        """Undo ``watch``.  Idempotent."""
        self._watchers.clear()
        self.describe = None
        self.allowance = math.inf
        self.grown = 0
        self.under_pressure = False

    def call_watcher(self) -> None:
        """Call the watcher, if there is one."""
        watcher = self._watchers.get(0)
        if watcher is not None:
            watcher()
