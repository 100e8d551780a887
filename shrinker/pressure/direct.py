"""Direct reclaim: who makes caches grow, frees first, where memory is below *min*.

A background thread that has to win the interpreter's lock against the very threads
that fill the caches may lose.  So ``Growth`` calls a hook when caches have grown by as
much as was allowed: half of what is free above *min*, so that somebody looks again
before that is gone.  It is called by the thread that inserted, with no lock of the
cache held, and costs a few reads of files, or less.

It leaves the work to the background thread

- inside of ``noreclaim()``;
- on a thread that runs an event loop, whose other tasks would all wait;
- inside a callback of a shrinker, where the kernel's rule forbids it too;
- inside of another direct reclaim of the same thread.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from shrinker._ffi import lib
from shrinker.growth import reclaim_allowed

if TYPE_CHECKING:
    import weakref

    from shrinker.pressure.reclaimer import Reclaimer
    from shrinker.pressure.worker import Worker

__all__ = ["Direct"]


class Direct:
    """The hook for ``Growth.watch``."""

    def __init__(
        self,
        worker: Worker,
        owner: weakref.ref[Reclaimer],
        *,
        wanted: bool = True,
        on_event_loop: bool = False,
    ) -> None:
        self._worker = worker
        self._owner = owner  # Who is dropped should be gone at once.
        self._wanted = wanted
        self._on_event_loop = on_event_loop
        self._inside = threading.local()

    def __call__(self) -> None:
        """Look at the memory, and reclaim where that is bitter need.

        Raises nothing but ``KeyboardInterrupt`` and ``SystemExit``: an insert must not
        fail because a cache elsewhere could not be shrunk.
        """
        try:
            if not self._may():
                self._wake()
                return
            self._inside.busy = True
            try:
                wake, _ = self._worker.look_direct()
            finally:
                self._inside.busy = False
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

    def _may(self) -> bool:
        return (
            self._wanted
            and reclaim_allowed()
            and not getattr(self._inside, "busy", False)
            and (self._on_event_loop or not _runs_event_loop())
            and not lib.reclaim_in_callback()
        )


def _runs_event_loop() -> bool:
    """Return whether asyncio runs a loop on this thread, without importing it."""
    asyncio = sys.modules.get("asyncio.events")
    # Not there yet while another thread is importing it.
    running = getattr(asyncio, "_get_running_loop", None)
    return running is not None and running() is not None
