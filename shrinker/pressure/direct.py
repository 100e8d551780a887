"""Direct reclaim: a thread that makes caches grow frees first, below *min*.

A background thread that competes for the GIL with the very threads that fill the caches
may come too late.  So ``Growth`` calls a hook when caches have grown by the allowance:
half of what is free above *min*, so the next look comes before that is gone.  The
thread that inserted calls it, holding no lock of the cache.  It costs a few reads of
files, or less.

The work is left to the background thread

- inside ``noreclaim()``;
- on a thread that runs a loop of asyncio or trio, whose other tasks would all wait;
- inside a callback of a shrinker, where the kernel's rule forbids it too;
- inside another direct reclaim of the same thread.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Protocol

from shrinker._ffi import lib
from shrinker.growth import reclaim_allowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.pressure.worker import Worker

__all__ = ["Direct"]


class Owner(Protocol):
    """What ``Direct`` needs of a ``Reclaimer``."""

    def wake(self) -> None:
        """Have the background thread look at the memory now."""

    def restarts_in_child(self) -> bool:
        """Restart in the child after a fork; return whether a restart was due."""


class Direct:
    """The hook for ``Growth.watch``.

    ``owner`` is a weak reference, so that a dropped reclaimer is gone at once.
    """

    def __init__(
        self,
        worker: Worker,
        owner: Callable[[], Owner | None],
        *,
        wanted: bool = True,
        on_event_loop: bool = False,
    ) -> None:
        self._worker = worker
        self._owner = owner
        self._wanted = wanted
        self._on_event_loop = on_event_loop
        self._thread = threading.local()

    def __call__(self) -> None:
        """Look at the memory, and reclaim below *min*.

        Raises nothing but ``KeyboardInterrupt`` and ``SystemExit``: an insert must not
        fail because some other cache could not be shrunk.
        """
        try:
            owner = self._owner()
            if owner is not None and owner.restarts_in_child():
                return
            if not self._may_reclaim():
                self._wake()
                return
            self._thread.reclaims = True
            try:
                wake, _ = self._worker.reclaim_below_min()
            finally:
                self._thread.reclaims = False
            if wake:
                self._wake()
        except Exception as error:  # noqa: BLE001 - see above
            text = f"direct reclaim failed: {type(error).__name__}: {error}"
            self._worker.journal.complain_once(("direct", type(error)), text, error)
            self._wake()

    def __repr__(self) -> str:
        return repr(self._owner())

    def _wake(self) -> None:
        owner = self._owner()
        if owner is not None:
            owner.wake()

    def _may_reclaim(self) -> bool:
        return (
            self._wanted
            and reclaim_allowed()
            and not getattr(self._thread, "reclaims", False)
            and (self._on_event_loop or not _runs_event_loop())
            and not lib.reclaim_in_callback()
        )


def _runs_event_loop() -> bool:
    """Return whether asyncio or trio runs on this thread, without importing it."""
    asyncio = sys.modules.get("asyncio.events")
    # It is missing while another thread is importing the module.
    running = getattr(asyncio, "_get_running_loop", None)
    if running is not None and running() is not None:
        return True
    in_trio = getattr(sys.modules.get("trio.lowlevel"), "current_trio_token", None)
    try:
        return in_trio is not None and in_trio() is not None
    except RuntimeError:
        return False
